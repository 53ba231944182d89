//! The views of the server say the same as those of the mirror.

use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use std::process::Command;

/// A view, its columns here, and the same there. What counts from now on is left out.
const VIEWS: [(&str, &str, &str); 4] = [
    (
        "open_talks",
        "talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id, status, is_read, created_at,
         updated_at, missed_at, missed_seconds IS NULL, waiting_seconds IS NULL",
        "talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id, status, is_read::int,
         extract(epoch FROM created_at)::bigint, extract(epoch FROM updated_at)::bigint,
         extract(epoch FROM missed_at)::bigint, (missed_seconds IS NULL)::int, (waiting_seconds IS NULL)::int",
    ),
    ("missed_by_day", "day, missed, still_open", "day::text, missed, still_open"),
    (
        "closures_by_day",
        "day, mode, decided, would_close, closed, under_way, withdrawn, refused, failed",
        "day::text, mode, decided, would_close, closed, under_way, withdrawn, refused, failed",
    ),
    (
        "responses",
        "talk_id, origin, missed_at, responded_at, seconds, how, responded_by, user_id, source, read_at",
        "talk_id, origin, extract(epoch FROM missed_at)::bigint, extract(epoch FROM responded_at)::bigint, seconds, how,
         responded_by, user_id, source, extract(epoch FROM read_at)::bigint",
    ),
];

fn assert_same_views(mirror: &Mirror, database: &Database) {
    for (view, here, there) in VIEWS {
        let there = database.sql(&format!("SELECT json_build_array({there}) FROM talkmirror.{view}"));
        let connection = mirror.connect();
        let mut rows = connection.prepare(&format!("SELECT json_array({here}) FROM {view}")).unwrap();
        let here = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let sorted = |rows: Vec<String>| {
            let plain = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap().to_string();
            let mut rows: Vec<String> = rows.iter().map(plain).collect();
            rows.sort();
            rows
        };
        let here = sorted(here.map(Result::unwrap).collect());
        assert!(!here.is_empty(), "{view}");
        assert_eq!(here, sorted(there.lines().map(str::to_owned).collect()), "{view}");
    }
}

#[test]
fn the_views_of_the_demo_s_data_are_the_same_on_both_sides() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(0));
    let demo = Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .args(["demo", "--dir"])
        .arg(mirror.path("demo"))
        .output()
        .unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    // The demo's file, without what is still to be fetched: the account behind it is gone.
    std::fs::copy(mirror.path("demo/talks.db"), mirror.database()).unwrap();
    mirror.execute("DELETE FROM talk_queue; UPDATE closures SET outcome = 'failed' WHERE outcome IN ('requested', 'accepted')");
    // What the demo's account does not do: misses that no fetch saw, by talks that are mirrored and one that is not.
    mirror.execute(
        "INSERT INTO talk_events SELECT 'm' || talk_id, talk_id, 'talk_missed_event', created_at - 7200, NULL FROM talks;
         INSERT INTO talk_events SELECT 'a' || talk_id, talk_id,
                iif(talk_id % 3, 'conversation_answered', 'talk_closed'), created_at - 7200 + talk_id % 300,
                iif(talk_id % 2, 500 + talk_id, NULL) FROM talks WHERE talk_id % 5;
         INSERT INTO talk_events VALUES ('m0', 999999, 'talk_missed_event', 1700000000, NULL),
                                        ('a0', 999999, 'conversation_answered', 1700000060, 31)",
    );
    mirror.configure(&database.config());
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    daemon.stop();
    assert_same_views(&mirror, &database);
    let open = "SELECT count(*) FROM talks WHERE is_in_work AND gone_at IS NULL";
    let fleet = "SELECT open FROM talkmirror.fleet";
    assert_eq!(database.sql(fleet), mirror.sql::<i64>(open).to_string());
}
