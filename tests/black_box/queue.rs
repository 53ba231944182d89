//! The queue as a table that any program writes while the daemon runs.

use crate::harness::{Mirror, account};
use std::time::Duration;
use talkmirror_simulator::Fault;

#[test]
fn a_row_that_another_process_inserts_is_noticed_within_the_poll_interval() {
    let mirror = Mirror::new(account(50));
    mirror.configure("queue.poll_interval = \"200ms\"\n");
    let daemon = mirror.running_daemon();
    for talk_id in 1..=5 {
        mirror.execute(&format!("INSERT INTO talk_queue (talk_id) VALUES ({talk_id})"));
        mirror.wait_sql("it is mirrored", "SELECT count(*) FROM talks", talk_id);
    }
    daemon.stop();
    assert_eq!(mirror.simulator.account().requests(), 5, "each is fetched once");
}

#[test]
fn inserting_an_id_that_waits_never_fails_and_makes_it_due() {
    let mirror = Mirror::new(account(0));
    mirror.ends(0, &["enqueue", "117"]);
    let state = "SELECT json_array(reason, priority, due_at <= unixepoch(), attempts, last_error, failed_at IS NULL) FROM talk_queue";
    let cases = [
        // Backing off: due now, its attempts kept.
        (
            "due_at = unixepoch() + 900, attempts = 3, last_error = 'x'",
            "(talk_id) VALUES (117)",
            r#"["cli",0,1,3,"x",1]"#,
        ),
        // Failed: as new.
        (
            "due_at = 5, attempts = 8, last_error = 'x', failed_at = 5",
            "(talk_id) VALUES (117)",
            r#"["cli",0,1,0,null,1]"#,
        ),
        // A higher priority is taken with its reason, a lower one is not.
        ("due_at = 5", "(talk_id, priority, reason) VALUES (117, 7, 'boss')", r#"["boss",7,1,0,null,1]"#),
        ("due_at = 5", "(talk_id, priority, reason) VALUES (117, 3, 'me')", r#"["boss",7,1,0,null,1]"#),
    ];
    for (before, insert, expected) in cases {
        mirror.execute(&format!("UPDATE talk_queue SET {before}"));
        mirror.execute(&format!("INSERT INTO talk_queue {insert}"));
        assert_eq!(mirror.sql::<String>(state), expected, "{before}; {insert}");
    }
    for insert in ["INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT OR ABORT"] {
        mirror.execute(&format!("{insert} INTO talk_queue (talk_id) VALUES (117), (117)"));
    }
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (117) ON CONFLICT DO NOTHING");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 1);
    for bad in ["NULL", "0", "-3", "'seven'", "1.5"] {
        let error =
            mirror.connect().execute_batch(&format!("INSERT INTO talk_queue (talk_id) VALUES ({bad})"));
        assert!(error.is_err(), "{bad}");
    }
}

#[test]
fn a_talk_queued_while_it_is_being_fetched_is_fetched_once_more() {
    let mirror = Mirror::new(account(3));
    mirror.simulator.account().latency = Duration::from_millis(400);
    let daemon = mirror.running_daemon();
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    mirror.wait("it is in flight", || mirror.simulator.account().requests_of(2) == 1);
    for _ in 0..3 {
        mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    }
    mirror.simulator.account().talk(2).updated_at += 1;
    mirror.wait("it is asked for again", || mirror.simulator.account().requests_of(2) == 2);
    mirror.wait_sql("and done", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!((account.requests_of(2), account.overlaps), (2, 0), "once more, and not at the same time");
    drop(account);
    assert_eq!(
        mirror.sql::<i64>("SELECT count(*) FROM talk_versions"),
        1,
        "the first answer was the newest state"
    );
}

#[test]
fn a_failed_fetch_does_not_put_off_a_talk_that_was_queued_again_meanwhile() {
    let mirror = Mirror::new(account(3));
    mirror.configure("queue.max_attempts = 1\n");
    {
        let mut account = mirror.simulator.account();
        account.latency = Duration::from_millis(400);
        account.script(2, [Fault::Problem(400)]);
    }
    let daemon = mirror.running_daemon();
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    mirror.wait("it is in flight", || mirror.simulator.account().requests_of(2) == 1);
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    mirror.wait_sql("it is mirrored all the same", "SELECT count(*) FROM talks", 1);
    daemon.stop();
}

#[test]
fn a_row_taken_off_the_queue_in_flight_stays_off() {
    let mirror = Mirror::new(account(3));
    mirror.simulator.account().latency = Duration::from_millis(300);
    let daemon = mirror.running_daemon();
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    mirror.wait("it is in flight", || mirror.simulator.account().requests_of(2) == 1);
    mirror.ends(0, &["queue", "drop", "2"]);
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    mirror.wait_sql("the other one is mirrored", "SELECT count(*) FROM talks WHERE talk_id = 3", 1);
    daemon.stop();
    assert_eq!(mirror.simulator.account().requests_of(2), 1);
}

#[test]
fn higher_priority_goes_first_also_when_it_comes_late() {
    let mut account = account(100);
    account.latency = Duration::from_millis(20);
    let mirror = Mirror::new(account);
    mirror.configure("api.requests_per_second = 20\napi.max_in_flight = 1\n");
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.running_daemon();
    mirror.wait("some are fetched", || mirror.simulator.account().requests() >= 5);
    mirror.execute("INSERT INTO talk_queue (talk_id, priority) VALUES (99, 100)");
    mirror.wait("the urgent one is fetched", || mirror.simulator.account().requests_of(99) == 1);
    let place = mirror.simulator.account().requests();
    daemon.stop();
    assert!(place < 50, "it was request {place} of 61");
}
