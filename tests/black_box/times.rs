//! Times from outside and from storage: none is trusted beyond the API's clock.

use crate::feeders::REFRESH;
use crate::harness::{Mirror, account, text, unix_now};
use crate::journal;
use crate::snapshots::assert_said;
use std::fs;
use std::time::{Duration, SystemTime};
use talkmirror_simulator::Fault;

const DAY: i64 = 86_400;

/// A command with the clock error set last.
fn shifted(mirror: &Mirror, code: i32, arguments: &[&str]) -> String {
    let output = mirror.command(arguments).envs(mirror.shifted_clock()).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    out
}

#[test]
fn an_updated_at_ahead_of_its_answer_makes_no_later_answer_older() {
    let mirror = Mirror::new(account(3));
    let stored = |what: &str| mirror.sql::<i64>(&format!("SELECT {what} FROM talks WHERE talk_id = 1"));
    let ahead = unix_now() + 10 * DAY;
    {
        let mut account = mirror.simulator.account();
        let talk = account.talk(1);
        (talk.updated_at, talk.is_in_work, talk.missed_at) = (ahead, true, None);
    }
    mirror.ends(0, &["sync", "1"]);
    assert_eq!(stored("updated_at"), ahead, "stored as it came");
    {
        let mut account = mirror.simulator.account();
        let talk = account.talk(1);
        (talk.updated_at, talk.is_in_work) = (unix_now(), false);
    }
    mirror.ends(0, &["sync", "1"]);
    assert_eq!(stored("is_in_work"), 0, "the later answer is believed");
    let older = stored("updated_at") - 100;
    {
        let mut account = mirror.simulator.account();
        let talk = account.talk(1);
        (talk.updated_at, talk.is_in_work) = (older, true);
    }
    mirror.ends(0, &["sync", "1"]);
    assert_eq!(stored("is_in_work"), 0, "one that is older by right times is not");
    mirror.assert_sound();
}

#[test]
fn rows_that_were_queued_under_a_wrong_clock_are_due_at_once() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1"]);
    mirror.shift_clock(10 * 365 * DAY);
    shifted(&mirror, 0, &["enqueue", "2..4"]);
    // As another program queues it by such a clock, and as a failure leaves it.
    mirror.execute(
        "INSERT INTO talk_queue (talk_id, enqueued_at, due_at) VALUES (5, unixepoch() + 1e9, unixepoch() + 1e9);
         INSERT INTO talk_queue (talk_id, enqueued_at, due_at, attempts, last_error)
         VALUES (6, unixepoch() + 1e9, unixepoch() + 1e9 + 60, 2, 'HTTP 500')",
    );
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are fetched", "SELECT count(*) FROM talks", 6);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
}

#[test]
fn what_a_process_with_a_wrong_clock_put_off_is_due_when_the_clock_is_right() {
    let mirror = Mirror::new(account(9));
    mirror.configure("queue.retry_base = \"1d\"\nqueue.retry_max = \"2d\"\n");
    // The jitter may make a retry so soon that `sync` waits for it, but not seven of them.
    mirror.simulator.account().script(1, vec![Fault::Problem(500); 7]);
    mirror.shift_clock(30 * DAY);
    shifted(&mirror, 1, &["sync", "1", "2"]);
    mirror.simulator.account().scripted.clear();
    assert!(mirror.sql::<bool>("SELECT due_at > unixepoch() + 2000000 FROM talk_queue WHERE talk_id = 1"));
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 2);
}

#[test]
fn a_date_to_wait_for_is_measured_against_the_answer_s_own() {
    for shift in [0, -40 * DAY, 40 * DAY] {
        let mirror = Mirror::new(account(3));
        mirror.ends(0, &["enqueue", "1"]);
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let headers = vec![("retry-after", &*Box::leak(date.into_boxed_str()))];
        mirror.simulator.account().always = Some(Fault::Answer { status: 429, headers, body: Vec::new() });
        mirror.shift_clock(shift);
        shifted(&mirror, 1, &["sync"]);
        let waits: i64 = mirror.sql("SELECT pause_until - paused_at FROM daemon_status");
        assert!((55..=61).contains(&waits), "a clock that is off by {shift} s: {waits}");
    }
}

#[test]
fn talks_that_were_fetched_under_a_wrong_clock_are_refreshed() {
    let mut account = account(3);
    for talk_id in 1..=3 {
        account.talk(talk_id).is_in_work = true;
    }
    let mirror = Mirror::new(account);
    mirror.shift_clock(300 * DAY);
    shifted(&mirror, 0, &["sync", "1..3"]);
    assert!(mirror.sql::<bool>("SELECT min(fetched_at) > unixepoch() + 1000000 FROM talks"));
    mirror.configure(REFRESH);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("they are fetched again", "SELECT max(fetched_at) <= unixepoch() FROM talks", true);
    daemon.stop();
}

#[test]
fn a_clock_that_is_set_back_while_it_works_holds_nothing_up() {
    let mirror = Mirror::new(account(9));
    mirror.configure(REFRESH);
    mirror.shift_clock(5 * DAY);
    let daemon = mirror.daemon_with_shifted_clock();
    mirror.ends(0, &["enqueue", "1..3"]);
    mirror.wait_sql("they are fetched", "SELECT count(*) FROM talks", 3);
    mirror.simulator.account().script(4, [Fault::Problem(500), Fault::Problem(500)]);
    mirror.shift_clock(0);
    mirror.ends(0, &["enqueue", "4..6"]);
    mirror.wait_sql("so are the next", "SELECT count(*) FROM talks", 6);
    assert_said!(mirror.wait_logged(journal::CLOCK_SET_BACK), @"INFO the clock was set back by 5 d: it is now [time], and the schedules use that time");
    // Its signs of life use the new time.
    mirror.wait_sql(
        "a sign of life",
        "SELECT abs(seen_at - unixepoch()) < 90 AND abs(started_at - unixepoch()) < 90 FROM daemon_status",
        true,
    );
    daemon.stop();
}

#[test]
fn a_backup_that_is_named_for_the_future_neither_goes_nor_takes_another_s_place() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    fs::create_dir(mirror.path("copies")).unwrap();
    let future = mirror.path("copies").join("talks-2099-01-01T000000Z.db");
    fs::copy(mirror.database(), &future).unwrap();
    mirror.configure("backup.path = \"copies\"\nbackup.schedule = \"* * * * * *\"\nbackup.keep = 1\n");
    let daemon = mirror.running_daemon();
    mirror.wait_logged_times(journal::BACKED_UP, 3);
    daemon.stop();
    assert!(future.exists());
    let names = fs::read_dir(mirror.path("copies")).unwrap().count();
    assert!((2..=3).contains(&names), "the newest, and the one of the future: {names}");
}

#[test]
fn a_state_that_was_seen_under_a_wrong_clock_began_when_the_api_said() {
    let mirror = Mirror::new(account(1));
    mirror.shift_clock(10 * 365 * 86_400);
    shifted(&mirror, 0, &["sync", "1"]);
    // As an earlier version left it, or if a response has no date.
    let mut connection = mirror.connect();
    let tx = connection.transaction().unwrap();
    let ahead = unix_now() + 10 * 365 * 86_400;
    let seen: i64 = tx.query_row("SELECT valid_from FROM talk_versions", [], |row| row.get(0)).unwrap();
    assert!((seen - unix_now()).abs() < 60, "{seen}");
    tx.execute("UPDATE talks SET first_fetched_at = ?1, changed_at = ?1", [ahead]).unwrap();
    tx.commit().unwrap();
    mirror.shift_clock(0);
    for round in 1..=2 {
        {
            let mut account = mirror.simulator.account();
            let talk = account.talk(1);
            (talk.rate, talk.updated_at) = (Some(round), talk.updated_at + 1);
        }
        mirror.ends(0, &["sync", "1"]);
        let now = "SELECT count(*) FROM talk_versions WHERE valid_from <= unixepoch()
                      AND (valid_to IS NULL OR valid_to > unixepoch())";
        assert_eq!(mirror.sql::<i64>(now), 1, "the last one is valid now");
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions WHERE valid_from > unixepoch()"), 0);
        assert!(mirror.sql::<bool>("SELECT first_fetched_at <= unixepoch() FROM talks"));
    }
}
