//! A failure that affects every request is distinguished from a talk's own. It costs no talk an attempt, and passes
//! on its own.

use crate::feeders::{EVENTS, LISTING};
use crate::harness::{Mirror, account, text, unix_now};
use crate::snapshots::{assert_said, complaints, part};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write;
use std::net::TcpListener;
use talkmirror_simulator::{Fault, TalkEvent};

const ALL_WAIT: &str = "SELECT count(*) FROM talk_queue WHERE attempts = 0 AND failed_at IS NULL";
const REASON: &str = "SELECT pause_reason FROM daemon_status";

fn html(status: &'static str) -> Fault {
    Fault::Answer {
        status: 200,
        headers: vec![("content-type", "text/html")],
        body: format!("<html>{status}").into(),
    }
}

fn json(body: &str) -> Fault {
    Fault::Answer { status: 200, headers: vec![("content-type", "application/json")], body: body.into() }
}

/// Responses to every request by systems between us and the API, and by a failing API.
fn not_the_api() -> Vec<Fault> {
    vec![
        html("Maintenance"),
        Fault::Redirect("https://www.amocrm.ru/login".into()),
        Fault::Redirect("/login".into()),
        Fault::Html(400),
        Fault::Html(405),
        Fault::Html(451),
        Fault::Problem(400),
        json(r#"{"title":"Error","status":500,"detail":"Internal error"}"#),
        json(r#"{"response":{"error":"Account is under maintenance"}}"#),
        json("[]"),
        json("null"),
        json("\"ok\""),
        Fault::Empty,
        Fault::Answer { status: 200, headers: vec![], body: vec![0xff, 0xfe, 0x00] },
        Fault::Missing("updated_at"),
    ]
}

#[test]
fn an_answer_that_everybody_gets_pauses_and_costs_no_talk_an_attempt() {
    std::thread::scope(|scope| {
        for fault in not_the_api() {
            scope.spawn(move || {
                let mirror = Mirror::new(account(20));
                mirror.configure("queue.max_attempts = 2\n");
                mirror.ends(0, &["enqueue", "1..20"]);
                mirror.simulator.account().always = Some(fault.clone());
                let daemon = mirror.running_daemon();
                mirror.wait_sql(&format!("{fault:?} pauses"), REASON, "unexpected_answer".to_owned());
                mirror.wait_sql(&format!("{fault:?} costs nothing"), ALL_WAIT, 20);
                mirror.ends(1, &["status"]);
                let pause = mirror.status()["daemon"]["pause"]["reason"].clone();
                assert_eq!(pause, "unexpected_answer", "{fault:?}");
                let asked = mirror.simulator.account().log.len();
                assert!(asked <= 3 + 8 + 2, "{fault:?}: {asked} requests");
                mirror.simulator.account().always = None;
                // Repeated in case an earlier probe is answered first.
                mirror.wait(&format!("{fault:?} is over"), || mirror.output(&["resume"]).status.success());
                mirror.wait_sql(&format!("{fault:?} passes"), "SELECT count(*) FROM talk_queue", 0);
                daemon.stop();
                mirror.assert_mirrors_the_account();
            });
        }
    });
}

#[test]
fn what_one_talk_alone_is_answered_is_its_own_failure() {
    for fault in not_the_api() {
        let mirror = Mirror::new(account(20));
        mirror.configure("queue.max_attempts = 2\napi.max_in_flight = 1\n");
        mirror.simulator.account().script(7, vec![fault.clone(); 9]);
        mirror.ends(1, &["sync", "1..20"]);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 19, "{fault:?}");
        let failed = "SELECT talk_id FROM talk_queue WHERE failed_at IS NOT NULL AND attempts = 2";
        assert_eq!(mirror.sql::<i64>(failed), 7, "{fault:?}");
        assert!(mirror.sql::<bool>("SELECT pause_reason IS NULL FROM daemon_status"), "{fault:?}");
    }
}

#[test]
fn an_outage_spends_no_attempt_however_few_talks_there_are() {
    for talks in [1, 2] {
        for fault in [Some(Fault::Reset), Some(Fault::CutOff), None] {
            let mirror = Mirror::new(account(talks));
            mirror.configure("queue.max_attempts = 1\n");
            mirror.ends(0, &["enqueue", &format!("1..{talks}")]);
            let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            match &fault {
                Some(fault) => mirror.simulator.account().always = Some(fault.clone()),
                None => {
                    mirror
                        .configure(&format!("queue.max_attempts = 1\napi.base_url = \"http://{nobody}\"\n"));
                }
            }
            let daemon = mirror.running_daemon();
            mirror.wait_sql(&format!("{talks}, {fault:?}: it pauses"), REASON, "outage".to_owned());
            mirror.wait_sql(&format!("{talks}, {fault:?}: all wait"), ALL_WAIT, talks);
            daemon.stop();
            mirror.configure("queue.max_attempts = 1\n");
            mirror.simulator.account().always = None;
            mirror.ends(0, &["sync"]);
            mirror.assert_mirrors_the_account();
        }
    }
}

#[test]
fn an_account_that_answers_makes_no_failure_of_all_talks_their_own() {
    for (fault, stored) in [
        (Fault::Reset, true),
        (Fault::Reset, false),
        (Fault::Problem(503), false),
        (Fault::Html(400), false),
        (Fault::Problem(401), true),
        (Fault::Problem(401), false),
    ] {
        let mirror = Mirror::new(account(3));
        if stored {
            mirror.ends(0, &["sync", "1..3"]);
        }
        mirror
            .configure("queue.max_attempts = 2\nqueue.retry_base = \"100ms\"\nqueue.retry_max = \"200ms\"\n");
        let failing = |count: usize| {
            let mut account = mirror.simulator.account();
            account.scripted = (1..=3).map(|talk_id| (talk_id, vec![fault.clone(); count].into())).collect();
        };
        failing(1000);
        mirror.ends(0, &["enqueue", "1..3"]);
        let daemon = mirror.running_daemon();
        let asked = mirror.simulator.account().requests();
        mirror.wait("they are tried again and again", || {
            let (out, _) = text(&mirror.output(&["resume"]));
            assert!(!out.is_empty());
            mirror.simulator.account().requests() >= asked + 20
        });
        let failed = "SELECT count(*) FROM talk_queue WHERE failed_at IS NOT NULL";
        assert_eq!(mirror.sql::<i64>(failed), 0, "{fault:?}, {stored}");
        failing(0);
        mirror.output(&["resume"]);
        mirror.wait_sql(&format!("{fault:?}, {stored}: it passes"), "SELECT count(*) FROM talk_queue", 0);
        daemon.stop();
        mirror.assert_mirrors_the_account();
    }
}

#[test]
fn an_outage_ends_though_the_talk_that_was_fetched_last_fails_by_itself() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..5"]);
    mirror.simulator.account().script(5, vec![Fault::Problem(500); 99]);
    mirror.ends(0, &["enqueue", "1..4"]);
    mirror.simulator.account().always = Some(Fault::Reset);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it pauses", REASON, "outage".to_owned());
    mirror.simulator.account().always = None;
    mirror.wait_sql("it is over", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
}

#[test]
fn talks_that_fail_by_themselves_fail_for_good_on_a_quiet_account() {
    for fault in [html("Broken"), Fault::Reset] {
        let mirror = Mirror::new(account(5));
        mirror.ends(0, &["sync", "1..5"]);
        mirror
            .configure("queue.max_attempts = 3\nqueue.retry_base = \"100ms\"\nqueue.retry_max = \"200ms\"\n");
        for talk_id in 1..=3 {
            mirror.simulator.account().script(talk_id, vec![fault.clone(); 999]);
        }
        mirror.ends(0, &["enqueue", "1..3"]);
        let daemon = mirror.running_daemon();
        let failed = "SELECT count(*) FROM talk_queue WHERE failed_at IS NOT NULL AND attempts = 3";
        mirror.wait_for_long(&format!("{fault:?}: they fail"), failed, 3);
        mirror.wait_sql("nothing pauses", "SELECT pause_reason IS NULL FROM daemon_status", true);
        daemon.stop();
    }
}

#[test]
fn a_sync_ends_though_two_talks_never_answer_and_waits_are_short() {
    let mirror = Mirror::new(account(5));
    mirror.configure("queue.max_attempts = 3\nqueue.retry_base = \"100ms\"\nqueue.retry_max = \"200ms\"\n");
    for talk_id in 1..=2 {
        mirror.simulator.account().script(talk_id, vec![Fault::Problem(500); 999]);
    }
    mirror.ends(1, &["sync", "1", "2"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE failed_at IS NULL"), 2);
}

#[test]
fn a_list_that_alone_is_refused_is_asked_ever_more_seldom() {
    for feeder in [LISTING, EVENTS] {
        let mirror = Mirror::new(account(3));
        mirror.ends(0, &["sync", "1..3"]);
        mirror.configure(feeder);
        {
            let mut account = mirror.simulator.account();
            account.list_fault = Some(Fault::Problem(401));
            account.events_fault = Some(Fault::Problem(401));
        }
        let daemon = mirror.running_daemon();
        mirror.wait_sql(
            &format!("{feeder}: it is the list's own trouble"),
            "SELECT count(*) FROM feeders WHERE trouble LIKE '%HTTP 401%'",
            1,
        );
        mirror.ends(0, &["enqueue", "1..3"]);
        mirror.wait_sql("the talks are fetched", "SELECT count(*) FROM talk_queue", 0);
        let account = mirror.simulator.account();
        assert!(account.list_requests() + account.events_requests() <= 3, "{feeder}");
        drop(account);
        assert!(mirror.sql::<bool>("SELECT pause_reason IS NULL FROM daemon_status"), "{feeder}");
        daemon.stop();
    }
}

#[test]
fn the_first_failure_of_a_quiet_account_is_in_status_at_once() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    mirror.configure("queue.retry_base = \"1d\"\nqueue.retry_max = \"1d\"\n");
    let daemon = mirror.running_daemon();
    mirror.wait("it is confirmed", || mirror.simulator.account().account_requests() == 2);
    mirror.simulator.account().always = Some(Fault::Html(502));
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("it is written", "SELECT last_failure LIKE 'HTTP 502%' FROM daemon_status", true);
    let (out, _) = text(&mirror.output(&["status"]));
    assert_said!(complaints(&out), @"
    ! the last request failed, [n] s ago: HTTP 502: the server failed
      → none if it was a single one: it is retried; three in a row without an answer pause everything
    ");
    daemon.stop();
}

#[test]
fn a_single_401_is_probed_and_pauses_nothing() {
    let mirror = Mirror::new(account(20));
    mirror.configure("api.max_in_flight = 1\n");
    mirror.simulator.account().script(7, [Fault::Problem(401)]);
    mirror.ends(0, &["sync", "1..20"]);
    assert!(mirror.sql::<bool>("SELECT pause_reason IS NULL FROM daemon_status"));
    mirror.assert_mirrors_the_account();
}

#[test]
fn what_everybody_gets_shows_on_lists_as_well_as_on_talks() {
    for (fault, reason) in [(Fault::Html(403), "blocked"), (Fault::NotJson, "unexpected_answer")] {
        let mirror = Mirror::new(account(3));
        mirror.configure(&format!("{LISTING}{EVENTS}"));
        let daemon = mirror.daemon();
        mirror.wait("the lists are read", || {
            let account = mirror.simulator.account();
            account.list_requests() > 0 && account.events_requests() > 0
        });
        mirror.simulator.account().always = Some(fault);
        mirror.wait_sql("the lists show it", REASON, reason.to_owned());
        mirror.simulator.account().always = None;
        mirror.ends(0, &["resume"]);
        mirror.wait_sql("it is over", "SELECT pause_reason IS NULL FROM daemon_status", true);
        daemon.stop();
    }
}

#[test]
fn a_403_in_json_is_the_talk_s_own_whatever_its_media_type() {
    let mirror = Mirror::new(account(20));
    mirror.configure("api.max_in_flight = 1\n");
    mirror.ends(0, &["sync", "1"]);
    let body = br#"{"title":"Forbidden","type":"https://httpstatus.es/403","status":403}"#;
    let types = [
        Some("application/problem+json"),
        Some("application/json"),
        Some("application/hal+json"),
        Some("text/plain"),
        Some("text/html"),
        None,
    ];
    for (talk_id, media_type) in (2..=9).zip(types.into_iter().cycle()) {
        let headers = media_type.map(|media_type| ("content-type", media_type)).into_iter().collect();
        let fault = Fault::Answer { status: 403, headers, body: body.to_vec() };
        mirror.simulator.account().script(talk_id, [fault]);
    }
    mirror.ends(1, &["sync", "1..20"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE last_error LIKE 'HTTP 403%'"), 8);
    assert!(mirror.sql::<bool>("SELECT pause_reason IS NULL FROM daemon_status"));
}

#[test]
fn a_403_in_json_is_the_talk_s_own_whatever_its_shape_and_length() {
    let mirror = Mirror::new(account(20));
    mirror.configure("api.max_in_flight = 1\n");
    mirror.ends(0, &["sync", "1"]);
    let long = format!("\n {{\"title\":\"Forbidden\",\"detail\":\"{}\"}}", "x".repeat(2_000_000));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(long.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let bodies = [
        br#"[{"title":"Forbidden","status":403}]"#.to_vec(),
        br#"["Forbidden"]"#.to_vec(),
        b"[]".to_vec(),
        b"\"Forbidden\"".to_vec(),
        long.clone().into_bytes(),
        format!("[{long}]").into_bytes(),
        packed,
    ];
    for (talk_id, body) in (2..=8).zip(bodies) {
        let mut headers = vec![("content-type", "text/plain")];
        if body.starts_with(&[0x1f, 0x8b]) {
            headers.push(("content-encoding", "gzip"));
        }
        mirror.simulator.account().script(talk_id, [Fault::Answer { status: 403, headers, body }]);
    }
    mirror.ends(1, &["sync", "1..20"]);
    let errors = "SELECT group_concat(count || ' times ' || last_error)
                    FROM (SELECT count(*) AS count, last_error FROM talk_queue GROUP BY last_error)";
    assert_said!(mirror.sql::<String>(errors), @"7 times HTTP 403: this token has no right to the talk");
    assert!(mirror.sql::<bool>("SELECT pause_reason IS NULL FROM daemon_status"));
    // Only a number, or a part of an object, counts as bare.
    for body in [&b"403"[..], b"{\"title\":\"Forb", b"null"] {
        let fault = Fault::Answer { status: 403, headers: Vec::new(), body: body.to_vec() };
        mirror.simulator.account().always = Some(fault);
        mirror.ends(1, &["sync", "1..20"]);
        assert_eq!(mirror.sql::<String>(REASON), "blocked");
        mirror.simulator.account().always = None;
        mirror.ends(0, &["resume"]);
        mirror.ends(0, &["sync", "1..20"]);
    }
}

#[test]
fn a_connection_that_was_just_closing_is_no_failure() {
    let mirror = Mirror::new(account(9));
    mirror.configure("api.max_in_flight = 1\nqueue.max_attempts = 1\n");
    for talk_id in 2..=9 {
        mirror.simulator.account().script(talk_id, [Fault::Reset]);
    }
    let (out, _) = mirror.ends(0, &["sync", "1..9", "--json"]);
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&summary["mirrored"], &summary["retries"]), (&Value::from(9), &Value::from(0)), "{summary}");
    assert!(mirror.sql::<bool>("SELECT last_failure IS NULL FROM daemon_status"));
}

#[test]
fn resume_ends_a_402_and_a_403_with_one_probe() {
    let mut said = String::new();
    for (fault, reason) in [(Fault::Problem(402), "unpaid"), (Fault::Html(403), "blocked")] {
        let mirror = Mirror::new(account(9));
        mirror.ends(0, &["enqueue", "1..9"]);
        mirror.simulator.account().always = Some(fault);
        let daemon = mirror.running_daemon();
        mirror.wait_sql("it pauses", REASON, reason.to_owned());
        mirror.wait_sql("nothing is under way", "SELECT count(*) FROM talk_queue", 9);
        let asked = mirror.simulator.account().log.len();
        let (out, _) = mirror.ends(1, &["resume"]);
        said += &out;
        assert_eq!(mirror.simulator.account().log.len(), asked + 1, "{reason}: one probe");
        mirror.simulator.account().always = None;
        let (out, _) = mirror.ends(0, &["resume"]);
        said += &out;
        mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
        daemon.stop();
        let (out, _) = mirror.ends(0, &["resume"]);
        said += &out;
    }
    assert_said!(said, @"
    still paused: the account is not paid for (HTTP 402: the account is not paid for); next probe in 15 min
    resumed: the API answers again
    not paused
    still paused: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); next probe in 15 min
    resumed: the API answers again
    not paused
    ");
}

#[test]
fn resume_without_a_daemon_has_the_next_start_probe_at_once() {
    let mirror = Mirror::new(account(9));
    mirror.simulator.account().always = Some(Fault::Problem(402));
    mirror.ends(1, &["sync", "1..9"]);
    mirror.simulator.account().always = None;
    mirror.ends(1, &["sync"]);
    let (out, _) = mirror.ends(0, &["resume"]);
    assert_said!(out, @"no daemon runs: the next start probes at once, whatever paused the last one (the account is not paid for (HTTP 402: the account is not paid for))");
    mirror.ends(0, &["sync"]);
    mirror.assert_mirrors_the_account();
}

/// A mirror of talk 1, which failed in a refresh.
fn set_aside(feeder: &str) -> Mirror {
    let mirror = Mirror::new(account(2));
    mirror.simulator.account().talk(1).is_in_work = true;
    mirror.ends(0, &["sync", "1..2"]);
    mirror.configure("queue.max_attempts = 1\n");
    mirror.simulator.account().script(1, [Fault::Missing("updated_at")]);
    mirror.ends(1, &["sync", "1", "2"]);
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM talk_queue WHERE failed_at IS NOT NULL"), 1);
    mirror.configure(feeder);
    mirror
}

#[test]
fn a_talk_that_was_set_aside_is_due_again_when_it_changes() {
    for feeder in [LISTING, EVENTS] {
        let mirror = set_aside(feeder);
        let daemon = mirror.running_daemon();
        {
            let mut account = mirror.simulator.account();
            let at = unix_now();
            let talk = account.talk(1);
            (talk.missed_at, talk.updated_at) = (Some(at), at);
            let event = TalkEvent {
                id: "01j0000000000000000000000z".into(),
                kind: "talk_missed_event".into(),
                talk_id: 1,
                created_at: at,
                created_by: 0,
            };
            account.events.push(event);
        }
        mirror.wait_sql(
            feeder,
            "SELECT missed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM talk_queue) FROM talks WHERE talk_id = 1",
            true,
        );
        daemon.stop();
    }
}

#[test]
fn sync_fails_for_what_it_tried_and_was_asked_for_and_not_for_what_failed_before() {
    let mirror = Mirror::new(account(9));
    mirror.configure("queue.max_attempts = 1\n");
    {
        let mut account = mirror.simulator.account();
        account.script(1, [Fault::Problem(403)]);
        account.script(2, vec![Fault::Missing("updated_at"); 2]);
    }
    mirror.ends(1, &["sync", "1..9"]);
    mirror.configure("queue.retry_base = \"1d\"\nqueue.retry_max = \"1d\"\n");
    // The jitter may make a retry so soon that `sync` waits for it, but not seven of them.
    mirror.simulator.account().script(3, vec![Fault::Problem(500); 7]);
    mirror.ends(1, &["sync", "3", "4"]);
    mirror.execute("UPDATE talk_queue SET due_at = unixepoch() + 2400 WHERE talk_id = 3");
    // A denied, a failed and a backing-off row wait by now. Each run of a cron job still succeeds.
    for _ in 0..2 {
        let (out, _) = mirror.ends(0, &["sync"]);
        assert_said!(part(&out, "Waiting"), [(r"in \d+ min", "in [n] min")], @"Waiting  2 talks, the next in [n] min: see `talkmirror queue list`");
        mirror.ends(0, &["sync", "5"]);
    }
    mirror.ends(1, &["sync", "2", "5"]);
    mirror.simulator.account().always = Some(Fault::Problem(402));
    mirror.ends(1, &["sync", "5"]);
}
