//! Other processes that read and write the database, and what they leave there.

use crate::harness::{Mirror, account, skip};
use crate::http::{shown, value};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The `sqlite3` shell, kept open. Dropping this kills it.
struct Shell {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Shell {
    /// `None` if it is not installed.
    fn open(mirror: &Mirror) -> Option<Shell> {
        let mut command = Command::new("sqlite3");
        command.arg(mirror.database()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            skip("no sqlite3 shell");
            return None;
        };
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Shell { child, answers })
    }

    fn say(&mut self, sql: &str) {
        self.child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn name(&self) -> String {
        format!("sqlite3 (process {}", self.child.id())
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wal_bytes(mirror: &Mirror) -> u64 {
    fs::metadata(mirror.path("talks.db-wal")).unwrap().len()
}

const MIB: u64 = 1024 * 1024;

#[test]
fn a_reader_that_keeps_an_old_state_open_is_named_and_what_gathered_is_taken_back_when_it_ends() {
    let (mirror, port) = shown(account(30_000), "api.requests_per_second = 400\n");
    mirror.ends(0, &["sync", "1..10"]);
    mirror.ends(0, &["enqueue", "1..30000"]);
    let daemon = mirror.running_daemon();
    let Some(mut reader) = Shell::open(&mirror) else { return };
    reader.say("BEGIN; SELECT count(*) >= 10 FROM talks;\n");
    assert_eq!(reader.line(), "1");
    let held = format!("SELECT wal_held_by LIKE '{}%' FROM daemon_status", reader.name());
    mirror.wait_sql("the reader is named", &held, 1);
    mirror.wait("the log grows beyond what is kept of it", || wal_bytes(&mirror) > 70 * MIB);
    let recorded: i64 = mirror.sql("SELECT count(*) FROM talks");
    mirror.wait("the daemon goes on", || mirror.sql::<i64>("SELECT count(*) FROM talks") > recorded);

    let (out, _) = mirror.ends(0, &["status"]);
    let own = format!("process {}\\b", reader.child.id());
    let size = (r"[\d.]+ MiB, held for \d+ (s|min)", "[n] MiB, held for [n] s");
    assert_said!(part(&out, "WAL"), [(&own, "process [of the reader]"), size], @"WAL  [n] MiB, held for [n] s by sqlite3 (process [of the reader], user [name])");
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(status["size"]["wal_bytes"].as_u64().unwrap() > 64 * MIB, "{status:#}");
    assert!(status["daemon"]["wal_held_by"].as_str().unwrap().starts_with(&reader.name()), "{status:#}");
    let (_, metrics) = mirror.get(port, "/metrics");
    assert!(value(&metrics, "talkmirror_wal_held_seconds").unwrap() >= 10.0);
    assert!(value(&metrics, "talkmirror_wal_bytes").unwrap() > (64 * MIB) as f64);

    reader.end();
    mirror.wait_sql("nobody holds it", "SELECT wal_held_since IS NULL FROM daemon_status", 1);
    mirror.wait("what gathered is taken back", || wal_bytes(&mirror) <= 64 * MIB);
    mirror.wait("the metrics say so", || {
        value(&mirror.get(port, "/metrics").1, "talkmirror_wal_held_seconds") == Some(0.0)
    });
    daemon.stop();
    mirror.assert_sound();
}

#[test]
fn a_writer_that_keeps_the_lock_is_waited_for_and_named_and_nothing_is_lost() {
    let (mirror, port) = shown(account(300), "api.requests_per_second = 100\n");
    mirror.ends(0, &["enqueue", "1..300"]);
    let daemon = mirror.running_daemon();
    mirror.wait("it is at work", || mirror.sql::<i64>("SELECT count(*) FROM talks") > 10);
    let Some(mut writer) = Shell::open(&mirror) else { return };
    writer.say(".timeout 20000\nBEGIN IMMEDIATE; SELECT 'locked';\n");
    assert_eq!(writer.line(), "locked");

    // While the daemon still waits on its own.
    let (out, _) = mirror.ends(0, &["status"]);
    let own = format!("process {}\\b", writer.child.id());
    assert_said!(complaints(&out), [(&own, "process [of the writer]")], @"
    ! sqlite3 (process [of the writer], user [name]) holds the write lock: nothing can be recorded meanwhile
      → end its transaction; nothing is lost, and the daemon continues by itself
    ");
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(status["write_lock_held_by"].as_str().unwrap().starts_with(&writer.name()), "{status:#}");

    let trouble = mirror.wait_logged(journal::DATABASE_NOT_WRITABLE);
    assert_said!(trouble, [(&own, "process [of the writer]")], @"ERROR cannot write the database: another program holds the write lock, sqlite3 (process [of the writer], user [name]): end its transaction; no talk is fetched until it can be written");
    mirror.wait("not ready", || mirror.get(port, "/readyz").0 == 503);
    assert_said!(mirror.get(port, "/readyz").1, [(&own, "process [of the writer]")], @"the database cannot be written: another program holds the write lock, sqlite3 (process [of the writer], user [name]): end its transaction");
    writer.say("COMMIT;\n");
    writer.end();
    mirror.wait_sql("every id is worked", "SELECT count(*) FROM talk_queue", 0);
    mirror.wait("ready", || mirror.get(port, "/readyz").0 == 200);
    daemon.stop();
    mirror.assert_mirrors_the_account();
    let asked_again =
        (1..=300).filter(|talk_id| mirror.simulator.account().requests_of(*talk_id) > 1).count();
    assert_eq!(asked_again, 0, "what was fetched meanwhile is recorded, not fetched anew");
    assert!(mirror.status()["write_lock_held_by"].is_null(), "{}", mirror.status());
}

#[test]
fn a_writer_that_keeps_the_lock_at_a_start_is_named_and_waited_for_and_ends_commands_of_a_moment() {
    let mirrors = ["run", "sync"].map(|command| {
        let mirror = Mirror::new(account(9));
        mirror.ends(0, &["enqueue", "1..9"]);
        (command, mirror)
    });
    let mut waiting = Vec::new();
    for (command, mirror) in &mirrors {
        let Some(mut writer) = Shell::open(mirror) else { return };
        writer.say("BEGIN IMMEDIATE; SELECT 'locked';\n");
        assert_eq!(writer.line(), "locked");
        waiting.push((mirror, mirror.start(&[command]), writer));
    }
    for (mirror, _, writer) in &waiting {
        let own = format!("process {}\\b", writer.child.id());
        let said = mirror.wait_logged(journal::WAITS_FOR_LOCK);
        assert_said!(said, [(&own, "process [of the writer]")], @"WARN another program holds the write lock: sqlite3 (process [of the writer], user [name]): waiting until its transaction ends");
    }
    // Meanwhile the default timeout of a statement passes.
    let (mirror, _, writer) = &waiting[0];
    let own = format!("process {}\\b", writer.child.id());
    let mut said = String::new();
    for arguments in [&["enqueue", "1..9"][..], &["queue", "retry", "1"]] {
        said += journal::error(&mirror.ends(1, arguments).1);
    }
    assert_said!(said, [(&own, "process [of the writer]")], @"
    error: cannot queue them all; what was queued stays queued: database is locked; another program holds the write lock: sqlite3 (process [of the writer], user [name]): end its transaction, then try again
    error: database is locked; another program holds the write lock: sqlite3 (process [of the writer], user [name]): end its transaction, then try again
    ");
    for (_, daemon, writer) in &mut waiting {
        assert_eq!(daemon.child.try_wait().unwrap(), None);
        writer.say("COMMIT;\n");
    }
    for (mirror, _, _) in &waiting {
        mirror.wait_sql("every id is worked", "SELECT count(*) FROM talk_queue", 0);
        mirror.assert_mirrors_the_account();
        assert_eq!(mirror.logged(journal::WAITS_FOR_LOCK).len(), 1, "{}", mirror.log());
    }
    assert!(waiting.pop().unwrap().1.wait().success());
    waiting.pop().unwrap().1.stop();
}

#[test]
fn a_signal_ends_a_daemon_that_waits_for_a_lock_at_its_start() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    let connection = mirror.connect();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut daemon = mirror.daemon();
    mirror.wait_logged(journal::WAITS_FOR_LOCK);
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    daemon.wait();
    connection.execute_batch("COMMIT").unwrap();
    mirror.running_daemon().stop();
}

#[test]
fn a_reader_that_takes_its_rows_slowly_sees_one_state_while_the_daemon_stops_and_starts() {
    let mirror = Mirror::new(account(1000));
    mirror.ends(0, &["sync", "1..1000"]);
    let daemon = mirror.running_daemon();
    let Some(mut reader) = Shell::open(&mirror) else { return };
    // More than fits into the pipe, so the cursor is in the middle of the table.
    reader.say("SELECT is_read, payload FROM talks;\n");
    let before = reader.line();
    for talk in mirror.simulator.account().talks.values_mut() {
        talk.is_read = talk.is_read.map(|read| !read);
        talk.updated_at += 1;
    }
    mirror.ends(0, &["enqueue", "1..500"]);
    mirror.wait_sql("they are fetched anew", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.running_daemon().kill_hard();
    let daemon = mirror.running_daemon();
    mirror.ends(0, &["enqueue", "501..1000"]);
    mirror.wait_sql("they too", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    reader.say(".quit\n");
    let mut rows = vec![before];
    loop {
        match reader.line() {
            line if line.is_empty() => break,
            line => rows.push(line),
        }
    }
    assert_eq!(rows.len(), 1000);
    let read = |row: &String| row.split_once('|').map(|(is_read, _)| is_read.to_owned()).unwrap();
    let now: i64 = mirror.sql("SELECT is_read FROM talks WHERE talk_id = 1");
    let old = (1 - now).to_string();
    let seen: Vec<String> = rows.iter().map(read).collect();
    assert_eq!(seen[0], old);
    let stored: i64 = mirror.sql("SELECT sum(is_read) FROM talks");
    assert_eq!(
        seen.iter().filter(|is_read| *is_read == "0").count() as i64,
        stored,
        "the state before, whole"
    );
    mirror.assert_mirrors_the_account();
}

#[test]
fn views_triggers_and_indexes_that_were_dropped_or_changed_are_made_again_at_a_start() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..5"]);
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"schema  ok  as this version creates it");
    mirror.execute(
        "DROP VIEW stale_talks; DROP TRIGGER talk_queue_again; DROP INDEX talks_open_missed;
         DROP VIEW open_talks; CREATE VIEW open_talks AS SELECT talk_id FROM talks;
         INSERT OR REPLACE INTO mirror_info VALUES ('auto_close.last_sweep', 'none');",
    );
    let schema = "SELECT group_concat(sql) FROM sqlite_schema";
    let before: String = mirror.sql(schema);
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"
    schema  BAD  the view open_talks was changed: start or restart the daemon, or run `talkmirror sync`: each repairs it
    schema  BAD  the view stale_talks is missing: start or restart the daemon, or run `talkmirror sync`: each repairs it
    schema  BAD  the index talks_open_missed is missing: start or restart the daemon, or run `talkmirror sync`: each repairs it
    schema  BAD  the trigger talk_queue_again is missing: start or restart the daemon, or run `talkmirror sync`: each repairs it
    schema  BAD  the value of auto_close.last_sweep in mirror_info cannot be read: start or restart the daemon, or run `talkmirror sync`: each repairs it
    ");
    assert_eq!(mirror.sql::<String>(schema), before, "it changes nothing");
    let (_, err) = mirror.ends(1, &["status"]);
    assert_said!(err, @"error: no such index: talks_open_missed: Error code 1: SQL logic error; something was dropped from the database, or added to it: `talkmirror check` shows what, and how to repair it");
    mirror.running_daemon().stop();
    assert_said!(journal::faults(&mirror.log()), @"
    WARN the view open_talks was changed: repaired
    WARN the view stale_talks is missing: repaired
    WARN the index talks_open_missed is missing: repaired
    WARN the trigger talk_queue_again is missing: repaired
    WARN the value of auto_close.last_sweep in mirror_info cannot be read: removed
    ");
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"schema  ok  as this version creates it");
    mirror.ends(0, &["stale"]);
}

#[test]
fn another_version_s_views_are_brought_to_this_one_s_and_a_view_of_others_by_a_new_name_is_refused_until_it_is_gone()
 {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..5"]);
    // As another version would have left it, with `old`, without `ratings`, and with another comment.
    mirror.execute(
        "UPDATE mirror_info SET value = replace(replace(value, '\"hash\":\"', '\"hash\":\"other '), 'ratings', 'old')
          WHERE key = 'schema.views';
         CREATE VIEW old AS SELECT 1; DROP VIEW open_talks; DROP VIEW ratings;
         CREATE VIEW open_talks AS -- Which were open?
             SELECT talk_id FROM talks;
         CREATE VIEW ratings AS SELECT talk_id, rate FROM talks;",
    );
    let schema = "SELECT group_concat(sql) FROM sqlite_schema";
    let before: String = mirror.sql(schema);
    for command in ["run", "sync"] {
        let (_, err) = mirror.ends(78, &[command]);
        assert_said!(err, @r#"error: [folder]/talks.db is not as talkmirror created it: the view ratings is not talkmirror's, and this version creates one of that name: create it under another name, or drop it: `DROP VIEW "ratings"`"#);
    }
    let (out, _) = mirror.ends(78, &["check"]);
    let line = out.lines().find(|line| line.starts_with("schema ")).unwrap();
    assert_said!(line, @r#"schema  BAD  the view ratings is not talkmirror's, and this version creates one of that name: create it under another name, or drop it: `DROP VIEW "ratings"`; until then `run`, `sync` and `close` refuse to start"#);
    assert_eq!(mirror.sql::<String>(schema), before, "nothing is changed");
    mirror.execute(line.split('`').nth(1).unwrap());
    mirror.ends(0, &["sync", "1..5"]);
    mirror.assert_mirrors_the_account();
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"schema  ok  as this version creates it");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM sqlite_schema WHERE name = 'old'"), 0);
}

#[test]
fn a_table_or_column_that_is_missing_is_refused_and_nothing_is_changed() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..5"]);
    // As an older SQLite does, which does not check whether a trigger needs the column.
    mirror.execute(
        "PRAGMA legacy_alter_table = ON; DROP VIEW stale_talks; ALTER TABLE talk_queue DROP COLUMN last_error;",
    );
    for arguments in [&["run"][..], &["sync"], &["close", "--dry-run", "1"]] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/talks.db is not as talkmirror created it: the column last_error of talk_queue is missing: restore a backup, or sync into a new database");
    }
    let (out, _) = mirror.ends(78, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"
    schema  BAD  the column last_error of talk_queue is missing: restore a backup, or sync into a new database; until then `run`, `sync` and `close` refuse to start
    schema  BAD  the view stale_talks is missing: start or restart the daemon, or run `talkmirror sync`: each repairs it
    ");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM sqlite_schema WHERE name = 'stale_talks'"), 0);
}

#[test]
fn a_trigger_of_somebody_else_s_on_our_tables_is_told_of_and_works() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1"]);
    mirror.execute(
        "CREATE TABLE seen (talk_id INTEGER); CREATE VIEW mine AS SELECT talk_id FROM seen;
         CREATE TRIGGER see AFTER INSERT ON talks BEGIN INSERT INTO seen VALUES (NEW.talk_id); END;",
    );
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["schema"]), @"schema  note  the trigger see on talks is not talkmirror's: it runs within the daemon's transactions, and can make them fail");
    let (_, err) = mirror.ends(0, &["sync", "2"]);
    assert_said!(journal::faults(&err), @"WARN the trigger see on talks is not talkmirror's: it runs within the daemon's transactions, and can make them fail");
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM mine"), 2);
}

#[test]
fn an_account_id_that_is_not_the_talks_own_is_refused_with_the_sql_that_mends_it() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..3"]);
    let mut said = String::new();
    for change in [
        "UPDATE mirror_info SET value = '4711' WHERE key = 'account_id'",
        "UPDATE mirror_info SET value = 'ours' WHERE key = 'account_id'",
        "DELETE FROM mirror_info WHERE key = 'account_id'",
    ] {
        mirror.execute(change);
        let (_, err) = mirror.ends(78, &["sync", "4"]);
        said += &err;
        let (out, _) = mirror.ends(78, &["check"]);
        let line = out.lines().find(|line| line.starts_with("schema ")).unwrap();
        let sql = line.split('`').nth(1).unwrap();
        assert!(err.contains(sql), "{err}\n{line}");
        mirror.execute(sql);
        mirror.ends(0, &["sync", "4"]);
    }
    assert_said!(said, @r#"
    error: [folder]/talks.db is not as talkmirror created it: the talks are of account 17029541, and mirror_info has "4711": repair it with `UPDATE mirror_info SET value = '17029541' WHERE key = 'account_id'`
    error: [folder]/talks.db is not as talkmirror created it: the talks are of account 17029541, and mirror_info has "ours": repair it with `UPDATE mirror_info SET value = '17029541' WHERE key = 'account_id'`
    error: [folder]/talks.db is not as talkmirror created it: the talks are of account 17029541, and mirror_info has no account_id: repair it with `INSERT INTO mirror_info (key, value) VALUES ('account_id', '17029541')`
    "#);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 4);
}
