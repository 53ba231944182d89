//! What pauses everything, and what ends a pause.

use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::time::Duration;
use talkmirror_simulator::{Fault, TOKEN};

/// A mirror with 40 queued talks whose every request fails like this.
fn always(fault: Fault) -> Mirror {
    let mut account = account(40);
    account.always = Some(fault);
    let mirror = Mirror::new(account);
    mirror.ends(0, &["enqueue", "1..40"]);
    mirror
}

fn pause_seconds(mirror: &Mirror) -> i64 {
    mirror.sql("SELECT pause_until - paused_at FROM daemon_status")
}

fn assert_nothing_is_spent(mirror: &Mirror) {
    assert_eq!(
        mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE failed_at IS NULL AND attempts = 0"),
        40
    );
}

#[test]
fn a_401_pauses_everything_and_status_says_what_to_do() {
    let mirror = always(Fault::Problem(401));
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("unauthorized");
    assert!((59..=61).contains(&pause_seconds(&mirror)));
    assert_nothing_is_spent(&mirror);
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(part(&out, "Paused"), @"Paused  for [n] s: the API does not accept the token; next probe in 1 min");
    assert_said!(complaints(&out), @"
    ! everything pauses: the API does not accept the token (HTTP 401: the token is not accepted)
      → put a valid token into api.token_file: the daemon uses it without a restart. If only systemd can read that file, restart the service
    ");
    let (out, _) = mirror.ends(1, &["status", "--json"]);
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["daemon"]["pause"]["reason"], "unauthorized");
    let (out, _) = mirror.ends(0, &["why", "7"]);
    assert_said!(part(&out, "Next"), @"Next  everything pauses: HTTP 401: the token is not accepted; the next probe is in 1 min");
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  BAD  http://127.0.0.1:[port]: HTTP 401: the token is not accepted");
    // Only requests under way when the first refusal came.
    assert!(mirror.simulator.account().requests() <= 8 + 1, "and the request of check");
    assert_eq!(mirror.logged(journal::PAUSED).len(), 1, "once: {}", mirror.log());
    daemon.stop();
}

#[test]
fn a_replaced_token_file_ends_the_pause_at_once() {
    let mirror = Mirror::new(account(40));
    fs::write(mirror.path("token"), "old").unwrap();
    mirror.ends(0, &["enqueue", "1..40"]);
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("unauthorized");
    mirror.write_secret("new", TOKEN);
    fs::rename(mirror.path("new"), mirror.path("token")).unwrap();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert_said!(mirror.wait_logged(journal::RESUMED), @r#"INFO resumed after a pause of [n] s (the API does not accept the token) reason="unauthorized""#);
    mirror.wait_sql("no pause any more", "SELECT pause_reason IS NULL FROM daemon_status", true);
    daemon.stop();
}

#[test]
fn sighup_probes_a_refused_token_at_once() {
    let mirror = always(Fault::Problem(401));
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("unauthorized");
    mirror.simulator.account().always = None;
    daemon.signal(Signal::SIGHUP);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
}

#[test]
fn sync_does_not_wait_for_a_long_pause() {
    let mirror = always(Fault::Problem(401));
    let (_, err) = mirror.ends(1, &["sync"]);
    assert_said!(journal::error(&err), @"error: everything pauses for [n] s more: the API does not accept the token (HTTP 401: the token is not accepted); 40 talks stay queued");
    assert_nothing_is_spent(&mirror);
    // A repaired token is tried at once.
    mirror.simulator.account().always = None;
    mirror.ends(0, &["sync"]);
}

#[test]
fn a_402_pauses_for_15_minutes() {
    let mirror = always(Fault::Problem(402));
    mirror.ends(1, &["sync"]);
    assert_eq!(mirror.sql::<String>("SELECT pause_reason FROM daemon_status"), "unpaid");
    assert!((899..=901).contains(&pause_seconds(&mirror)));
    assert_nothing_is_spent(&mirror);
}

#[test]
fn three_bare_403_in_a_row_are_a_block_which_outlives_a_restart() {
    let mirror = always(Fault::Html(403));
    mirror.configure("api.max_in_flight = 1\n");
    mirror.ends(1, &["sync"]);
    assert_eq!(mirror.sql::<String>("SELECT pause_reason FROM daemon_status"), "blocked");
    assert!((899..=901).contains(&pause_seconds(&mirror)));
    assert_eq!(mirror.simulator.account().log.len(), 3);
    let (_, err) = mirror.ends(1, &["sync"]);
    assert_said!(journal::faults(&err), @r#"
    ERROR still paused: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); next probe in [n] s reason="blocked"
    error: everything pauses for 14 min more: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); 40 talks stay queued
    "#);
    assert_eq!(mirror.simulator.account().log.len(), 3, "a restart asks no sooner");
    // `check` works during a pause.
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  BAD  http://127.0.0.1:[port]: HTTP 403 without a problem report: the account or this address may be blocked");
}

#[test]
fn a_429_waits_as_long_as_the_longest_of_what_the_server_says() {
    for (header, body, expected) in
        [(Some(120), Some(300), 300), (Some(400), None, 400), (None, Some(60), 60)]
    {
        let mirror = always(Fault::TooMany { header, body });
        mirror.ends(1, &["sync"]);
        assert_eq!(mirror.sql::<String>("SELECT pause_reason FROM daemon_status"), "rate_limited");
        let waits = pause_seconds(&mirror);
        assert!((expected - 1..=expected + 1).contains(&waits), "{waits}");
        assert_nothing_is_spent(&mirror);
        let requests = mirror.simulator.account().requests();
        mirror.ends(1, &["sync"]);
        assert_eq!(mirror.simulator.account().requests(), requests, "a restart asks no sooner");
    }
}

#[test]
fn a_429_may_name_a_date_in_any_form_of_http_and_nobody_waits_for_more_than_a_day() {
    // At least a day from now, whatever the clock shows.
    for date in
        ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri Dec 31 23:59:59 9999", "Tuesday, 31-Dec-69 23:59:59 GMT"]
    {
        let headers = vec![("retry-after", date)];
        let mirror = always(Fault::Answer { status: 429, headers, body: Vec::new() });
        let daemon = mirror.running_daemon();
        mirror.wait_for_pause("rate_limited");
        let seconds = pause_seconds(&mirror);
        assert!((86_399..=86_401).contains(&seconds), "{date}: {seconds}");
        daemon.stop();
    }
}

#[test]
fn a_short_429_is_waited_for_and_then_the_pace_is_half() {
    let mirror = Mirror::new(account(60));
    mirror.configure("api.requests_per_second = 10\napi.max_in_flight = 1\n");
    mirror.simulator.account().script(5, [Fault::TooMany { header: None, body: None }]);
    mirror.ends(0, &["sync", "1..60"]);
    let account = mirror.simulator.account();
    let refused = account.log.iter().position(|request| request.status == 429).unwrap();
    let pause = account.log[refused + 1].at - account.log[refused].at;
    assert!(pause >= Duration::from_secs(2), "{pause:?}");
    // The ten requests after it take the time of ten at half the pace, about two seconds.
    let ten = account.log[refused + 11].at - account.log[refused + 1].at;
    assert!(ten >= Duration::from_millis(1700), "{ten:?}");
    assert_eq!(account.requests_of(5), 2);
    drop(account);
    mirror.assert_mirrors_the_account();
}

#[test]
fn after_a_429_a_place_waits_for_its_answer_also_after_a_restart() {
    let mut account = account(30);
    account.latency = Duration::from_millis(1500);
    let mirror = Mirror::new(account);
    mirror.configure("api.requests_per_second = 1\n");
    mirror.ends(0, &["enqueue", "1..30"]);
    mirror.simulator.account().script(1, [Fault::TooMany { header: None, body: None }]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("some after the pause", "SELECT count(*) >= 2 FROM talks", 1);
    daemon.kill_hard();
    let left = "SELECT strict_until - unixepoch() FROM daemon_status";
    let left = mirror.sql::<i64>(left);
    assert!((500..=605).contains(&left), "{left} s");
    mirror.simulator.account().most_in_flight = 0;
    let before = mirror.simulator.account().requests();
    let daemon = mirror.running_daemon();
    mirror.wait("some after the restart", || mirror.simulator.account().requests() >= before + 4);
    daemon.stop();
    assert_eq!(mirror.simulator.account().most_in_flight, 1);
}

#[test]
fn an_outage_pauses_and_spends_no_attempts_and_ends_by_itself() {
    let mirror = always(Fault::Html(503));
    mirror.configure("queue.max_attempts = 2\n");
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("outage");
    let spent = "SELECT sum(attempts) FROM talk_queue";
    let at_first: i64 = mirror.sql(spent);
    assert!(at_first <= 8, "only what was under way before the pause");
    let before = mirror.simulator.account().requests();
    mirror.wait("three probes", || mirror.simulator.account().requests() >= before + 3);
    assert_eq!(mirror.sql::<i64>(spent), at_first);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE failed_at IS NULL"), 40);
    assert_eq!(mirror.logged(journal::PAUSED).len(), 1, "once: {}", mirror.log());
    mirror.simulator.account().always = None;
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_server_that_is_not_there_is_an_outage() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["enqueue", "1..20"]);
    mirror.configure("api.base_url = \"http://127.0.0.1:9\"\n");
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("outage");
    assert_said!(mirror.sql::<String>("SELECT pause_detail FROM daemon_status"), @"cannot connect: client error (Connect): tcp connect error: Connection refused (os error 111)");
    daemon.stop();
    mirror.configure("");
    mirror.ends(0, &["sync"]);
    mirror.assert_mirrors_the_account();
}

#[test]
fn check_probes_with_a_talk_in_a_pause() {
    let firewall = Fault::Answer { status: 400, headers: Vec::new(), body: b"bad request".to_vec() };
    let mut said = String::new();
    for (fault, reason) in
        [(Fault::Problem(402), "unpaid"), (Fault::Html(403), "blocked"), (firewall, "unexpected_answer")]
    {
        let mirror = Mirror::new(account(40));
        mirror.ends(0, &["sync", "1..40"]);
        // The account request itself succeeds.
        for talk_id in 1..=40 {
            mirror.simulator.account().script(talk_id, vec![fault.clone(); 50]);
        }
        mirror.ends(0, &["enqueue", "1..40"]);
        let daemon = mirror.running_daemon();
        mirror.wait_for_pause(reason);
        let line = |code| {
            let (out, _) = mirror.ends(code, &["check"]);
            assert_said!(verdicts(&out, &["token", "account"]), @r#"
            token  ok  http://127.0.0.1:[port] accepts it
            account  ok  17029541 ("Simulated", http://127.0.0.1:[port]) answers (by GET /api/v4/account), as in the database
            "#);
            verdicts(&out, &["pause"])
        };
        said += &line(1);
        daemon.stop();
        let asked = mirror.simulator.account().requests();
        said += &line(1);
        mirror.simulator.account().scripted.clear();
        said += &line(0);
        assert_eq!(mirror.simulator.account().requests(), asked + 2, "one each");
    }
    assert_said!(said, @"
    pause  BAD  everything pauses: the account is not paid for (HTTP 402: the account is not paid for); talk 40: HTTP 402: the account is not paid for
    pause  BAD  everything paused when it last ran: the account is not paid for (HTTP 402: the account is not paid for); talk 40: HTTP 402: the account is not paid for
    pause  ok  everything paused when it last ran: the account is not paid for (HTTP 402: the account is not paid for); but the API answers talk 40: `talkmirror resume` ends the pause
    pause  BAD  everything pauses: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); talk 40: HTTP 403 without a problem report: the account or this address may be blocked
    pause  BAD  everything paused when it last ran: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); talk 40: HTTP 403 without a problem report: the account or this address may be blocked
    pause  ok  everything paused when it last ran: the account or this address is blocked (HTTP 403 without a problem report: the account or this address may be blocked); but the API answers talk 40: `talkmirror resume` ends the pause
    pause  BAD  everything pauses: the API returns unexpected answers (HTTP 400: not an answer that the API documents); talk 40: HTTP 400: not an answer that the API documents
    pause  BAD  everything paused when it last ran: the API returns unexpected answers (HTTP 400: not an answer that the API documents); talk 40: HTTP 400: not an answer that the API documents
    pause  ok  everything paused when it last ran: the API returns unexpected answers (HTTP 400: not an answer that the API documents); but the API answers talk 40: `talkmirror resume` ends the pause
    ");
}

#[test]
fn in_a_pause_for_missing_talks_a_missing_talk_is_no_answer_to_check() {
    let mirror = Mirror::new(account(0));
    for _ in 0..60 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["sync", "1..60"]);
    let talks = std::mem::take(&mut mirror.simulator.account().talks);
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("many_gone");
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["pause"]), @"pause  BAD  everything pauses: the API reports too many stored open talks as missing (5 of those requested last); talk 60: HTTP 404: no such talk");
    mirror.simulator.account().talks = talks;
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["pause"]), @"pause  ok  everything pauses: the API reports too many stored open talks as missing (5 of those requested last); but the API answers talk 60: `talkmirror resume` ends the pause");
    daemon.stop();
}
