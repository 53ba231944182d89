//! Auto-close: what it refuses to do, and what is left of it after a crash or a storm.

use crate::closing::{LIVE, missed};
use crate::harness::{Daemon, Mirror};
use rusqlite::Connection;
use std::time::Duration;
use talkmirror::clock::unix_now;
use talkmirror::simulator::{Fault, Storm};

const DAY: i64 = 86_400;
/// No sweep by itself.
const NEVER: &str = "0 0 0 1 1 *";

#[test]
fn a_sweep_that_would_close_too_large_a_share_closes_none_until_a_person_says_so() {
    let more = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(21, &more);
    for _ in 0..20 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["sync", "--no-close", "22..41"]);
    let daemon = mirror.running_daemon();
    mirror.wait("the sweep is stopped", || mirror.log().contains("21 of 41 open talks are stale"));
    let (out, _) = mirror.ends(1, &["status"]);
    assert!(out.contains("! auto-close stopped a sweep") && out.contains("talkmirror close --yes"), "{out}");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 0);
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert!(out.contains("stopped by auto_close.max_share"), "{out}");

    // A person looks, and has it done once.
    let (out, _) = mirror.ends(0, &["close", "--yes"]);
    assert!(out.contains("21 talks queued"), "{out}");
    mirror.wait_sql("closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 21);
    mirror.wait("healthy again", || mirror.output(&["status"]).status.success());
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn twenty_talks_or_half_of_the_open_ones_are_not_too_many() {
    let all = missed(20, &LIVE.replace("max_share = 1.0", "max_share = 0.0"));
    all.ends(0, &["sync"]);
    assert_eq!(all.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 20);

    let half = missed(21, &LIVE.replace("max_share = 1.0", "max_share = 0.5"));
    for _ in 0..21 {
        half.simulator.account().create_talk();
    }
    half.ends(0, &["sync", "22..42"]);
    assert_eq!(half.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 21);
}

#[test]
fn a_wrong_clock_closes_nothing_and_says_so_everywhere() {
    let mirror = missed(3, LIVE);
    mirror.simulator.account().clock_ahead = 90;
    let daemon = mirror.running_daemon();
    let why = "this machine's clock is 1 min behind the API's";
    mirror.wait("it is logged", || mirror.log().contains(&format!("{why}: nothing is closed")));
    mirror.wait("status says so", || {
        let (out, _) = crate::harness::text(&mirror.output(&["status"]));
        out.contains(&format!("! {why}: nothing is closed"))
    });
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert!(out.contains(&format!("{why}: nothing is closed")), "{out}");
    let (out, _) = mirror.ends(0, &["stale"]);
    assert!(out.contains(&format!("{why}: nothing is closed.")), "{out}");
    assert_eq!(mirror.log().matches("nothing is closed until").count(), 1, "once");
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 0);

    mirror.simulator.account().clock_ahead = 0;
    mirror.wait_sql(
        "set right, they are closed",
        "SELECT count(*) FROM closures WHERE outcome = 'closed'",
        3,
    );
    assert!(mirror.log().contains("clock agrees with the API's again"));
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn a_clock_that_is_off_by_less_than_a_minute_closes() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().clock_ahead = -55;
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "closed");
}

#[test]
fn a_sweep_that_overlaps_the_last_is_skipped() {
    let mirror = missed(6, &format!("{LIVE}api.requests_per_second = 1\nauto_close.max_per_sweep = 3\n"));
    let daemon = mirror.running_daemon();
    mirror.wait("a sweep is skipped", || mirror.log().contains("skipped a sweep: "));
    let waiting = "SELECT count(*) FROM talk_queue WHERE reason = 'close'";
    assert!(mirror.sql::<i64>(waiting) <= 3, "never more than one sweep's");
    daemon.stop();
}

#[test]
fn the_first_live_sweep_and_one_under_wider_rules_say_how_many_are_stale() {
    let mirror = missed(2, LIVE);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 2);
    daemon.stop();
    let first = "the first live sweep under these rules (missed for over 24h and unchanged for over 15m): \
                 2 of 2 open talks are stale";
    assert_eq!(mirror.log().matches(first).count(), 1, "{}", mirror.log());
    assert_eq!(mirror.log().matches("the first live sweep").count(), 1, "not at each sweep");

    let talk_id = mirror.simulator.account().create_missed(7200);
    mirror.ends(0, &["sync", "--no-close", &talk_id.to_string()]);
    mirror.configure(&format!("{LIVE}auto_close.stale_after = \"1h\"\n"));
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(talk_id, "closed");
    daemon.stop();
    let second = "(missed for over 1h and unchanged for over 15m): 1 of 1 open talks are stale";
    assert!(mirror.log().contains(second), "{}", mirror.log());
}

#[test]
fn sweeps_never_hurry_a_talk_that_backs_off() {
    let mirror = missed(2, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, attempts, due_at) VALUES (1, 2, unixepoch() + 3600)");
    mirror.ends(1, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT attempts FROM talk_queue WHERE talk_id = 1"), 2);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures WHERE talk_id = 2"), "closed");
    assert!(mirror.simulator.account().talks[&1].is_in_work);
}

#[test]
fn a_close_request_that_has_to_wait_too_long_is_decided_anew() {
    // It has 15 s to go, and another one's 429 pauses for 17 s.
    let mirror = missed(1, &format!("{}api.requests_per_second = 2\n", LIVE.replace("* * * * * *", NEVER)));
    mirror.simulator.account().create_talk();
    mirror.simulator.account().script(1, [Fault::Slow(Duration::from_millis(700))]);
    mirror.simulator.account().script(2, [Fault::TooMany { header: Some(17), body: None }]);
    mirror.execute(
        "INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1000000000), (2, 'sql', 0)",
    );
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "requested");
    mirror.wait("it does not leave", || {
        mirror.log().contains("not sent within 15 s of its fetch: decided anew")
    });
    let later = "SELECT due_at > unixepoch() + 200 FROM talk_queue WHERE talk_id = 1";
    mirror.wait_sql("not at once", later, true);
    assert!(mirror.simulator.account().closes.is_empty());
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    mirror.assert_closed_rightly();
    assert_eq!(mirror.simulator.account().closes.len(), 1);
    assert!(mirror.sql::<bool>("SELECT attempts = 1 AND error IS NULL FROM closures"));
}

#[test]
fn a_denied_talk_does_not_stop_the_sweeps() {
    let mirror = missed(2, LIVE);
    // One is not believed before the account is confirmed.
    mirror.simulator.account().script(1, [Fault::Problem(403), Fault::Problem(403), Fault::Problem(403)]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(2, "closed");
    let talk_id = mirror.simulator.account().create_missed(2 * DAY);
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_outcome(talk_id, "closed");
    daemon.stop();
    assert!(mirror.sql::<bool>("SELECT denied_at IS NOT NULL FROM talks WHERE talk_id = 1"));
}

#[test]
fn what_a_dry_run_queued_is_not_closed_once_it_is_live() {
    let guarded = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(30, &LIVE.replace("live", "dry-run"));
    mirror.simulator.account().token = "another".into();
    let daemon = mirror.running_daemon();
    mirror.wait_sql("they wait", "SELECT count(*) FROM talk_queue WHERE reason LIKE 'close%'", 30);
    daemon.kill_hard();
    mirror.simulator.account().token = talkmirror::simulator::TOKEN.into();
    mirror.configure(&guarded);
    let daemon = mirror.running_daemon();
    mirror.wait("the guard holds", || mirror.log().contains("30 of 30 open talks are stale, more than"));
    daemon.stop();
    assert!(mirror.simulator.account().closes.is_empty());
}

#[test]
fn closing_one_by_hand_touches_no_other() {
    let mirror = missed(3, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1000000000)");
    mirror.execute("INSERT INTO talk_queue (talk_id, reason) VALUES (2, 'close')");
    mirror.ends(0, &["close", "3", "--yes"]);
    let closed: Vec<i64> = mirror.simulator.account().closes.iter().map(|close| close.talk_id).collect();
    assert_eq!(closed, [3]);
    // Without the priority the reason is somebody's own word.
    mirror.configure(&LIVE.replace("* * * * * *", NEVER));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(2), (0, 0));
    assert_eq!(mirror.simulator.account().closes_of(1), (1, 1));
}

#[test]
fn a_dry_run_by_hand_says_nothing_of_a_closing_that_is_under_way() {
    let mirror = missed(2, &LIVE.replace("* * * * * *", NEVER));
    mirror.simulator.account().script_close(1, [Fault::TakenInVain]);
    mirror.ends(1, &["close", "1", "--yes"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "accepted");
    let (out, _) = mirror.ends(1, &["close", "1", "2", "--dry-run"]);
    assert!(out.contains("a closing of it is under way already") && out.contains("would_close"), "{out}");
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures WHERE talk_id = 1"), "accepted");
    assert_eq!(mirror.sql::<String>("SELECT reason FROM talk_queue WHERE talk_id = 1"), "verify");
}

#[test]
fn a_closing_whose_row_was_dropped_is_found_again() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script_close(1, [Fault::TakenInVain]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "accepted");
    mirror.simulator.account().talk(1).is_in_work = false;
    mirror.execute("DELETE FROM talk_queue");
    mirror.wait_outcome(1, "closed");
    daemon.stop();
}

#[test]
fn closing_by_hand_is_now_or_says_why_not() {
    let mirror = missed(2, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (1, unixepoch() + 80000)");
    mirror.ends(0, &["close", "1", "--yes"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "closed");
    mirror.simulator.account().clock_ahead = 90;
    let (out, _) = mirror.ends(1, &["close", "2", "--yes"]);
    assert!(out.contains("left") && out.contains("clock is 1 min behind"), "{out}");
    assert!(mirror.simulator.account().talks[&2].is_in_work);
}

#[test]
fn a_clock_is_found_right_again_with_nothing_stale_to_fetch() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().clock_ahead = 90;
    let daemon = mirror.running_daemon();
    mirror.wait("it is noticed", || mirror.log().contains("nothing is closed until"));
    mirror.simulator.account().talk(1).missed_at = None;
    mirror.simulator.account().talk(1).updated_at += 1;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("answered", "SELECT count(*) FROM stale_talks", 0);
    mirror.simulator.account().clock_ahead = 0;
    mirror.wait("healthy again", || mirror.output(&["status"]).status.success());
    daemon.stop();
}

#[test]
fn a_sweep_that_was_stopped_does_not_matter_once_auto_close_is_off() {
    let guarded = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(21, &guarded);
    mirror.ends(0, &["sync"]);
    mirror.ends(1, &["status"]);
    mirror.configure("");
    mirror.ends(0, &["status"]);
    // A sweep by hand in the mode that is configured counts, one that was tried out does not.
    mirror.configure(&guarded);
    mirror.ends(0, &["close", "--dry-run"]);
    mirror.ends(1, &["status"]);
    mirror.configure(&guarded.replace("live", "dry-run"));
    mirror.ends(0, &["close", "--yes"]);
    mirror.ends(0, &["status"]);
    assert!(mirror.simulator.account().closes.is_empty());
}

/// Where the process is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    BeforeRequestedIsCommitted,
    BeforeTheRequestLeaves,
    DuringTheRequest,
    AfterTheServerActed,
    BeforeAcceptedIsCommitted,
    AfterAcceptedIsCommitted,
    BeforeClosedIsCommitted,
}

impl Point {
    /// Brings a daemon to the point, and kills it there.
    fn crash(self, mirror: &Mirror) {
        let slow = Fault::Slow(Duration::from_millis(700));
        let hang = Duration::from_secs(30);
        {
            let mut account = mirror.simulator.account();
            match self {
                Point::BeforeRequestedIsCommitted => account.script(1, [slow]),
                Point::BeforeClosedIsCommitted => account.script(1, [Fault::Nothing, slow]),
                Point::DuringTheRequest => account.script_close(1, [Fault::Hang(hang)]),
                Point::AfterTheServerActed => account.script_close(1, [Fault::ActAndHang(hang)]),
                Point::BeforeAcceptedIsCommitted => account.script_close(1, [slow]),
                Point::BeforeTheRequestLeaves | Point::AfterAcceptedIsCommitted => {}
            }
        }
        let asked = mirror.simulator.account().log.len();
        let daemon = mirror.running_daemon();
        let outcome = |outcome: &str| mirror.wait_outcome(1, outcome);
        let posted = || mirror.simulator.account().log.iter().any(|request| request.method == "POST");
        match self {
            Point::BeforeRequestedIsCommitted => locked(mirror, daemon, asked, "GET", 1),
            Point::BeforeTheRequestLeaves => {
                // At one request a second it waits for its turn.
                outcome("requested");
                daemon.kill_hard();
                assert!(!posted());
            }
            Point::DuringTheRequest | Point::AfterTheServerActed => {
                mirror.wait("the request is there", posted);
                mirror.wait("it is acted upon", || {
                    let acted = mirror.simulator.account().closes_of(1).1 == 1;
                    acted == matches!(self, Point::AfterTheServerActed)
                });
                daemon.kill_hard();
            }
            Point::BeforeAcceptedIsCommitted => locked(mirror, daemon, asked, "POST", 1),
            Point::AfterAcceptedIsCommitted => {
                outcome("accepted");
                daemon.kill_hard();
            }
            Point::BeforeClosedIsCommitted => locked(mirror, daemon, asked, "GET", 2),
        }
    }
}

/// Holds the write lock from the `nth` request of a method until it is answered, and kills the daemon then.
fn locked(mirror: &Mirror, daemon: Daemon, asked: usize, method: &str, nth: usize) {
    let requests = |answered: bool| {
        let account = mirror.simulator.account();
        let of = account.log[asked..].iter().filter(|request| request.method == method);
        of.filter(|request| !answered || request.status != 0).count()
    };
    mirror.wait("the request is there", || requests(false) >= nth);
    let connection: Connection = mirror.connect();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before: i64 = connection.query_row("SELECT count(*) FROM closures", [], |row| row.get(0)).unwrap();
    mirror.wait("it is answered", || requests(true) >= nth);
    mirror.wait("the daemon has seen that", || {
        mirror.log().contains("another program holds the write lock") || requests(true) >= nth
    });
    daemon.kill_hard();
    let after: i64 = connection.query_row("SELECT count(*) FROM closures", [], |row| row.get(0)).unwrap();
    assert_eq!(before, after, "nothing of it was committed");
    connection.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_crash_at_any_point_ends_with_the_talk_closed_once_and_one_true_row() {
    let points = [
        Point::BeforeRequestedIsCommitted,
        Point::BeforeTheRequestLeaves,
        Point::DuringTheRequest,
        Point::AfterTheServerActed,
        Point::BeforeAcceptedIsCommitted,
        Point::AfterAcceptedIsCommitted,
        Point::BeforeClosedIsCommitted,
    ];
    std::thread::scope(|scope| {
        for point in points {
            scope.spawn(move || {
                let mirror = missed(1, &format!("{LIVE}api.requests_per_second = 1\n"));
                point.crash(&mirror);
                let daemon = mirror.running_daemon();
                mirror.wait_outcome(1, "closed");
                mirror.wait_sql("nothing is left to do", "SELECT count(*) FROM talk_queue", 0);
                daemon.stop();
                mirror.assert_closed_rightly();
                mirror.assert_mirrors_the_account();
                assert_eq!(mirror.simulator.account().closes_of(1).1, 1, "{point:?}");
                let row = "SELECT verified_at >= requested_at AND requested_at >= decided_at FROM closures";
                assert!(mirror.sql::<bool>(row), "{point:?}");
            });
        }
    });
}

#[test]
fn kill_9_amid_a_storm_closes_every_stale_talk_once_and_no_other() {
    const STALE: i64 = 300;
    let mirror = missed(
        2 * STALE,
        &format!(
            "{LIVE}auto_close.max_per_sweep = 1000\napi.timeout = \"250ms\"\napi.max_in_flight = 16\n\
             queue.max_attempts = 100\n"
        ),
    );
    {
        let mut account = mirror.simulator.account();
        // The other half was answered, and the mirror does not know.
        for talk_id in STALE + 1..=2 * STALE {
            let talk = account.talk(talk_id);
            (talk.missed_at, talk.is_read, talk.updated_at) = (None, true, unix_now() - DAY);
        }
        let faults = Fault::passing()
            .into_iter()
            .filter(|fault| !matches!(fault, Fault::TooMany { .. } | Fault::Problem(400)))
            .collect();
        account.storm = Some(Storm { share: 0.3, faults });
    }
    for kill in 1..=20 {
        let daemon = mirror.daemon();
        let before = mirror.simulator.account().log.len();
        mirror.wait("some requests", || mirror.simulator.account().log.len() >= before + kill * 5);
        daemon.kill_hard();
        let twice = "SELECT count(*) FROM (SELECT 1 FROM closures GROUP BY talk_id HAVING count(*) > 1)";
        assert_eq!(mirror.sql::<i64>(twice), 0, "one row a talk, after kill {kill}");
    }
    assert_eq!(mirror.sql::<String>("PRAGMA integrity_check"), "ok");
    let daemon = mirror.running_daemon();
    let settled = "SELECT count(*) FROM closures WHERE outcome IN ('closed', 'withdrawn')";
    mirror.wait_for_long("all are settled", settled, 2 * STALE);
    mirror.simulator.account().storm = None;
    daemon.stop();
    mirror.assert_closed_rightly();
    {
        let account = mirror.simulator.account();
        for talk_id in 1..=STALE {
            assert_eq!(account.closes_of(talk_id).1, 1, "talk {talk_id} is closed by one request");
        }
        for close in &account.closes {
            assert!(close.talk_id <= STALE, "talk {} was not stale", close.talk_id);
        }
    }
    let wrong = format!("SELECT count(*) FROM closures WHERE (outcome = 'closed') <> (talk_id <= {STALE})");
    assert_eq!(mirror.sql::<i64>(&wrong), 0);
    mirror.ends(0, &["sync", "--no-close", &format!("1..{}", 2 * STALE)]);
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_talk_that_is_queued_again_while_it_is_being_closed_is_fetched_once_more() {
    let mirror = missed(1, &LIVE.replace("* * * * * *", NEVER));
    mirror.simulator.account().script_close(1, [Fault::Slow(Duration::from_millis(500))]);
    let daemon = mirror.running_daemon();
    mirror.ends(0, &["close", "1", "--yes"]);
    mirror.wait_outcome(1, "requested");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_outcome(1, "closed");
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_closed_rightly();
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_stop_puts_off_no_closing_that_has_not_left() {
    let mirror = missed(8, &format!("{LIVE}api.requests_per_second = 2\n"));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("some are written down", "SELECT count(*) > 0 FROM closures", true);
    daemon.stop();
    let sent = mirror.simulator.account().closes.len() as i64;
    let late = "SELECT count(*) FROM talk_queue WHERE due_at > unixepoch() + 10";
    assert_eq!(mirror.sql::<i64>(late), 0);
    let not_sent = "SELECT count(*) FROM closures WHERE attempts = 0 AND outcome = 'requested'
                       AND error = 'not sent: talkmirror was stopping'";
    let requested = "SELECT count(*) FROM closures WHERE outcome = 'requested' AND attempts > 0";
    assert!(mirror.sql::<i64>(not_sent) + mirror.sql::<i64>(requested) + sent > 0);
    assert!(mirror.sql::<i64>(requested) <= sent, "what says that it may have left was sent");
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 8);
    daemon.stop();
    mirror.assert_closed_rightly();
}
