//! The views of the server say the same as those of the mirror.

use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use std::process::Command;

/// A view, its columns here, and the same there. What counts from now on is left out.
const VIEWS: [(&str, &str, &str); 6] = [
    (
        "open_talks",
        "talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id, status, is_read, created_at,
         updated_at, missed_at, missed_seconds IS NULL, waiting_seconds IS NULL, contact, lead, price, responsible_user_id,
         responsible_user, pipeline_id, pipeline, lead_status_id, lead_status, lead_url, chat_url",
        "talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id, status, is_read::int,
         extract(epoch FROM created_at)::bigint, extract(epoch FROM updated_at)::bigint,
         extract(epoch FROM missed_at)::bigint, (missed_seconds IS NULL)::int, (waiting_seconds IS NULL)::int, contact, lead,
         price, responsible_user_id, responsible_user, pipeline_id, pipeline, lead_status_id, lead_status, lead_url, chat_url",
    ),
    ("missed_by_day", "day, missed, still_open", "day::text, missed, still_open"),
    (
        "closures_by_day",
        "day, mode, decided, would_close, closed, under_way, withdrawn, refused, failed",
        "day::text, mode, decided, would_close, closed, under_way, withdrawn, refused, failed",
    ),
    (
        "responses",
        "talk_id, origin, missed_at, responded_at, seconds, how, responded_by, user_id, source, read_at,
         work_seconds, missed_local, user_name, lead_id, responsible_user_id, responsible_user, pipeline_id, pipeline",
        "talk_id, origin, extract(epoch FROM missed_at)::bigint, extract(epoch FROM responded_at)::bigint, seconds, how,
         responded_by, user_id, source, extract(epoch FROM read_at)::bigint, work_seconds,
         to_char(missed_local, 'YYYY-MM-DD HH24:MI:SS'), user_name, lead_id, responsible_user_id, responsible_user,
         pipeline_id, pipeline",
    ),
    (
        "missed_by_user",
        "responsible_user_id, responsible_user, missed, missed_talks, responses, waiting, p50, p95, within_hour",
        "responsible_user_id, responsible_user, missed, missed_talks, responses, waiting, p50, p95, within_hour",
    ),
    (
        "missed_by_pipeline",
        "pipeline_id, pipeline, missed, missed_talks, responses, waiting, p50, p95, within_hour",
        "pipeline_id, pipeline, missed, missed_talks, responses, waiting, p50, p95, within_hour",
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
    // Names, of most leads.
    mirror.execute(
        "DELETE FROM users; DELETE FROM pipelines; DELETE FROM statuses; DELETE FROM leads; DELETE FROM contacts;
         INSERT INTO users (user_id, name, fetched_at) VALUES (501, 'Anna', 1), (502, 'Boris', 1), (503, NULL, 1);
         INSERT INTO pipelines (pipeline_id, name, fetched_at) VALUES (7, 'Sales', 1), (8, 'Service', 1);
         INSERT INTO statuses (pipeline_id, status_id, name, fetched_at) VALUES (7, 142, 'Won', 1), (8, 142, 'Done', 1);
         INSERT INTO leads (lead_id, name, price, responsible_user_id, pipeline_id, status_id, fetched_at)
         SELECT DISTINCT lead_id, 'Lead #' || lead_id, lead_id % 9 * 100, 501 + lead_id % 4, 7 + lead_id % 2, 142, 1
           FROM talks WHERE lead_id % 5;
         INSERT INTO contacts (contact_id, name, fetched_at) SELECT DISTINCT contact_id, 'Client', 1 FROM talks WHERE contact_id % 2",
    );
    let report = "[report]\ntimezone = \"Asia/Kathmandu\"\nwork_hours = \"Mon-Sat 09:00-18:00\"\n";
    mirror.configure(&format!("{}\n{report}", database.config()));
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    daemon.stop();
    assert_same_views(&mirror, &database);
    // Nobody says when the team works.
    mirror.configure(&database.config());
    let daemon = mirror.daemon();
    let shifts = "SELECT count(*) FROM talkmirror.work_time";
    mirror.wait_long("the hours are gone", || database.sql(shifts) == "0");
    daemon.stop();
    assert_same_views(&mirror, &database);
    let open = "SELECT count(*) FROM talks WHERE is_in_work AND gone_at IS NULL";
    let fleet = "SELECT open FROM talkmirror.fleet";
    assert_eq!(database.sql(fleet), mirror.sql::<i64>(open).to_string());
}
