//! Unexpected rows and responses: each affects only itself.

use crate::closing::{LIVE, missed};
use crate::harness::{Mirror, account, skip};
use crate::journal;
use crate::snapshots::assert_said;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;
use talkmirror_simulator::{ACCOUNT_ID, Fault};

#[test]
fn a_row_with_absurd_values_fails_alone() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "30"]);
    mirror.simulator.account().script(3, vec![Fault::Problem(500); 50]);
    let daemon = mirror.running_daemon();
    let (least, most) = (i64::MIN, i64::MAX);
    mirror.execute(&format!(
        "INSERT INTO talk_queue (talk_id, attempts) VALUES (3, {most});
         INSERT INTO talk_queue (talk_id, attempts) VALUES (4, {least});
         INSERT INTO talk_queue (talk_id, priority) VALUES (5, {most}), (6, {least});
         INSERT INTO talk_queue (talk_id, enqueued_at) VALUES (7, {most}), (8, {least});
         INSERT INTO talk_queue (talk_id, due_at) VALUES (9, {least});
         INSERT INTO talk_queue (talk_id, reason, last_error) VALUES (10, '', 'x'), (11, 'close verify\u{1b}[2J', NULL);
         INSERT INTO talk_queue (talk_id, failed_at) VALUES (12, {most}), (13, {least});
         INSERT INTO talk_queue (talk_id, ticket) VALUES (14, {most}), (15, {least}), (16, 0);
         INSERT INTO talk_queue (talk_id, reason) VALUES (17, CAST(x'eff0e0' AS TEXT));
         INSERT INTO talk_queue (talk_id, reason, priority) VALUES (18, CAST(x'eff0e0' AS TEXT), 1000000000);
         INSERT INTO talk_queue (talk_id, reason, last_error, failed_at)
         VALUES (19, CAST(x'ff' AS TEXT), CAST(x'e9ff' AS TEXT), 5);
         INSERT INTO talk_queue (talk_id) VALUES ({most})"
    ));
    let fetched =
        "SELECT count(*) FROM talks WHERE talk_id IN (4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18)";
    mirror.wait_sql("all but the failing one are fetched", fetched, 13);
    mirror.wait_sql(
        "that one failed",
        "SELECT failed_at IS NOT NULL FROM talk_queue WHERE talk_id = 3",
        true,
    );
    for arguments in [&["queue", "list"][..], &["why", "3"], &["why", "12"], &["status", "--json"]] {
        let (_, err) = crate::harness::text(&mirror.output(arguments));
        assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    }
    let (out, _) = mirror.ends(0, &["queue", "list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let foreign = rows.as_array().unwrap().iter().find(|row| row["talk_id"] == 19).unwrap();
    assert_eq!(
        (&foreign["reason"], &foreign["last_error"]),
        (&json!("\u{fffd}"), &json!("\u{fffd}\u{fffd}"))
    );
    for arguments in [&["queue", "list"][..], &["why", "19"]] {
        assert!(mirror.ends(0, arguments).0.contains('\u{fffd}'), "{arguments:?}");
    }
    mirror.ends(0, &["queue", "retry"]);
    mirror.ends(0, &["enqueue", "20"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talks WHERE talk_id IN (12, 13, 20)", 3);
    daemon.stop();
}

fn packed(parts: &[&str]) -> Vec<u8> {
    let member = |part: &&str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(member).collect()
}

fn body() -> String {
    json!({"talk_id": 1, "created_at": 1_700_000_000, "updated_at": 1_700_000_000, "is_in_work": true,
           "account_id": ACCOUNT_ID, "origin": "telegram"})
    .to_string()
}

#[test]
fn gzip_is_read_by_either_name_in_any_number_of_members() {
    let body = body();
    let (head, tail) = body.split_at(body.len() / 2);
    for encoding in ["gzip", "x-gzip", "GZIP"] {
        for parts in [&[&*body][..], &[head, tail], &["", head, "", tail]] {
            let mirror = Mirror::new(account(1));
            let headers = vec![("content-type", "application/hal+json"), ("content-encoding", encoding)];
            mirror
                .simulator
                .account()
                .script(1, [Fault::Answer { status: 200, headers, body: packed(parts) }]);
            mirror.ends(0, &["sync", "1"]);
            assert_eq!(mirror.sql::<String>("SELECT payload FROM talks"), body, "{encoding}, {parts:?}");
        }
    }
}

#[test]
fn an_answer_may_have_very_many_headers() {
    let mirror = Mirror::new(account(1));
    let name = |number: usize| &*Box::leak(format!("x-edge-{number}").into_boxed_str());
    let headers = (0..400).map(|number| (name(number), "value")).collect();
    mirror.simulator.account().script(1, [Fault::Answer { status: 200, headers, body: body().into() }]);
    mirror.ends(0, &["sync", "1"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 1);
}

#[test]
fn the_sqlite3_shell_imports_a_list_of_ids() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1"]);
    fs::write(mirror.path("ids.csv"), "2\n3\n4\n3\n").unwrap();
    let output = Command::new("sqlite3")
        .arg(mirror.database())
        .arg(".mode csv")
        .arg(format!(".import {} talk_queue", mirror.path("ids.csv").display()))
        .output();
    let Ok(output) = output else {
        skip("no sqlite3 shell");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let row = "SELECT count(*) FROM talk_queue WHERE reason = 'sql' AND priority = 0 AND attempts = 0
                  AND abs(due_at - unixepoch()) < 60 AND abs(enqueued_at - unixepoch()) < 60 AND failed_at IS NULL";
    assert_eq!(mirror.sql::<i64>(row), 3, "each with the defaults");
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 4);
}

#[test]
fn a_closing_whose_row_is_gone_is_reported_and_ends_nothing() {
    let mirror = missed(2, LIVE);
    mirror.simulator.account().script_close(1, [Fault::Slow(Duration::from_millis(800))]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "requested");
    mirror.execute("DELETE FROM closures WHERE talk_id = 1");
    assert_said!(mirror.wait_logged(journal::RESULT_NOT_RECORDED), @"ERROR the result of talk 1 cannot be recorded: the row that it changes is gone, or another program has changed it");
    mirror.wait_outcome(2, "closed");
    mirror.ends(0, &["enqueue", "2"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talk_queue WHERE talk_id = 2", 0);
    daemon.stop();
    mirror.assert_sound();
}
