//! The demo, as a newcomer sees it.

use crate::harness::text;
use crate::snapshots::assert_said;
use assert_cmd::Command;
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[test]
fn it_ends_within_25_s_with_a_table_a_database_and_queries_that_work() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let output =
        command.arg("demo").arg("--dir").arg(&dir).timeout(Duration::from_secs(60)).output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    // Plain lines where there is no terminal.
    let progress = err.lines().last().and_then(|line| line.split(';').next()).unwrap_or_default();
    assert_said!(progress, [(r"\d+", "[n]")], @"[n] of [n] talks done");
    let numbers = [(r"\(7 ", "(seven "), (r"\d+", "[n]")];
    assert_said!(out.trim_start().lines().next().unwrap_or_default(), numbers, @"[n] requests in [n] s, [n] in the busiest second as the account counted (seven allowed); [n] talks new, [n] changed, [n] gone, [n] retries after an error.");
    for expected in ["ORIGIN", "telegram", "missed_by_day"] {
        assert!(out.contains(expected), "{expected} in\n{out}");
    }
    let database = dir.join("talks.db");
    assert!(out.contains(&database.display().to_string()), "{out}");

    let connection = Connection::open(database).unwrap();
    let queries: Vec<&str> = out.lines().filter(|line| line.contains("sqlite3 -box")).collect();
    assert_eq!(queries.len(), 3);
    for line in queries {
        let sql = line.split('"').nth(1).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        assert!(statement.exists([]).unwrap(), "{sql} shows something");
    }
    let count = |outcome: &str| -> i64 {
        let sql = "SELECT count(*) FROM closures WHERE outcome = ?1";
        connection.query_row(sql, [outcome], |row| row.get(0)).unwrap()
    };
    assert!(count("closed") > 0, "{out}");
    assert_eq!(count("withdrawn"), 1, "one was answered just before: {out}");
    let sql = "SELECT outcome || '  ' || reason FROM closures WHERE outcome = 'withdrawn'";
    let withdrawn: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_said!(withdrawn, @"withdrawn  not missed");
    assert!(out.contains(&withdrawn), "{withdrawn} in\n{out}");
    let changed: i64 = connection
        .query_row("SELECT count(*) FROM talk_versions WHERE version > 1", [], |row| row.get(0))
        .unwrap();
    assert!(changed > 0, "talks changed while it ran");

    let mut status = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    status.arg("--config").arg(dir.join("config.toml")).arg("status").assert().success();
    let mut again = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let again = again.arg("demo").arg("--dir").arg(&dir).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_said!(text(&again).1, @"error: [folder]/demo already holds a talks.db: name another folder, or remove it");
}
