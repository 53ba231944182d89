//! Closing: crashes, storms and stops in the middle of it.

use crate::closing::{LIVE, missed};
use crate::closing_safety::NEVER;
use crate::harness::{Daemon, Mirror, unix_now};
use crate::journal;
use rusqlite::Connection;
use std::time::Duration;
use talkmirror_simulator::{Fault, Storm};

const DAY: i64 = 86_400;

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
    /// Brings a daemon to this point and kills it there.
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
                // At one request a second it waits its turn.
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

/// Holds the write lock from the `nth` request of a method until its response, then kills the daemon.
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
        !mirror.logged(journal::DATABASE_NOT_WRITABLE).is_empty() || requests(true) >= nth
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
        // The other half was answered, but the mirror does not know.
        for talk_id in STALE + 1..=2 * STALE {
            let talk = account.talk(talk_id);
            (talk.missed_at, talk.is_read, talk.updated_at) = (None, Some(true), unix_now() - DAY);
        }
        let faults = Fault::passing()
            .into_iter()
            .filter(|fault| !matches!(fault, Fault::TooMany { .. } | Fault::Problem(400)))
            .collect();
        account.storm = Some(Storm { share: 0.3, faults });
    }
    for kill in 1..=20 {
        let daemon = mirror.daemon();
        let before = mirror.simulator.account().requests();
        mirror.wait("some requests", || mirror.simulator.account().requests() >= before + kill * 5);
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
