//! The demo, as a newcomer sees it.

use crate::harness::{Daemon, text};
use crate::snapshots::assert_said;
use assert_cmd::Command;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A demo with its page.
struct Served {
    process: Daemon,
    log: PathBuf,
}

fn served(dir: &Path) -> Served {
    let log = dir.with_extension("log");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .args(["demo", "--serve", "--no-open", "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    Served { process: Daemon { child }, log }
}

impl Served {
    /// The address that it prints: host and port.
    fn page(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let page = log.split("http://").nth(1).unwrap_or_else(|| panic!("an address in {log}"));
        page.split('/').next().unwrap().to_owned()
    }
}

#[test]
fn it_ends_within_25_s_with_a_table_a_database_and_queries_that_work() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let mut served = served(&folder.path().join("served"));
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let output =
        command.arg("demo").arg("--dir").arg(&dir).timeout(Duration::from_secs(60)).output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    // Calm at first, and plain lines where there is no terminal.
    assert!(err.starts_with("This is a simulated account") && !err.contains("WARN"), "{err}");
    let progress = err.lines().last().and_then(|line| line.split(';').next()).unwrap_or_default();
    assert_said!(progress, [(r"\d+", "[n]")], @"[n] of [n] s");
    let numbers = [(r"\(7 ", "(seven "), (r"\d+", "[n]")];
    let first = out.trim_start().lines().take(2).collect::<Vec<_>>().join("\n");
    assert_said!(first, numbers, @"
    [n] requests in [n] s, [n] in the busiest second as the account counted (seven allowed).
    [n] talks new, [n] changed, [n] gone, [n] retried after an error.
    ");
    for expected in ["ORIGIN", "telegram", "missed_by_day"] {
        assert!(out.contains(expected), "{expected} in\n{out}");
    }
    let story: Vec<&str> = out.lines().skip_while(|line| !line.starts_with("The story of talk")).collect();
    for expected in
        ["opened", "missed: nobody answered in time", "answered by ", "talkmirror did not close it"]
    {
        assert!(story.iter().any(|line| line.contains(expected)), "{expected} in\n{out}");
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

    // The other one has ended its course too, and serves its page until Ctrl-C.
    let page = served.page();
    let began = Instant::now();
    while !std::fs::read_to_string(&served.log).unwrap().contains("Ctrl-C ends the demo") {
        assert!(began.elapsed() < Duration::from_secs(30), "its course does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut stream = TcpStream::connect(&page).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.process.signal(Signal::SIGINT);
    assert!(served.process.wait().success());

    let mut status = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    status.arg("--config").arg(dir.join("config.toml")).arg("status").assert().success();
    let mut again = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let again = again.arg("demo").arg("--dir").arg(&dir).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_said!(text(&again).1, @"error: [folder]/demo already holds a talks.db: name another folder, or remove it");
}
