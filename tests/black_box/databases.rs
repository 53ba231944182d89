//! Databases that cannot be used, are locked, or are shared.

use crate::harness::{Mirror, SmallDisk, account, skip};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
use rusqlite::Connection;
use std::fs;
use std::process::Command;
use talkmirror_simulator::Fault;

#[test]
fn what_is_no_database_of_ours_is_refused_and_untouched() {
    let mirror = Mirror::new(account(1));
    let text = "these are my notes on many things\n".repeat(50);
    fs::write(mirror.database(), &text).unwrap();
    for arguments in [&["run"][..], &["sync"], &["enqueue", "1"], &["status"], &["backup", "copy.db"]] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/talks.db is not a SQLite database: set database.path to another file, or move this one away and restore a backup");
    }
    assert_eq!(fs::read_to_string(mirror.database()).unwrap(), text);

    fs::remove_file(mirror.database()).unwrap();
    Connection::open(mirror.database()).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let (other, backup) = (Mirror::new(account(1)), mirror.path("backup.db"));
    other.ends(0, &["sync", "1"]);
    other.ends(0, &["backup", backup.to_str().unwrap()]);
    let restore = ["backup", "--restore", backup.to_str().unwrap(), "--yes"];
    for arguments in [&["run"][..], &["backup", "copy.db"], &restore] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/talks.db is a SQLite database of something else: set database.path to another file");
    }
}

#[test]
fn a_newer_database_is_refused() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    mirror.execute("PRAGMA user_version = 99");
    for arguments in [&["run"][..], &["sync"], &["enqueue", "1"], &["status"], &["backup", "copy.db"]] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/talks.db was written by a newer talkmirror (schema 99; this one knows 4): upgrade talkmirror");
    }
    assert_eq!(mirror.sql::<i64>("PRAGMA user_version"), 99);
}

#[test]
fn a_database_of_a_development_version_is_refused_with_what_to_do() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    let backup = mirror.back_up("good.db");
    mirror.execute(
        "DROP TABLE talk_history; DROP VIEW talk_versions; CREATE TABLE talk_versions (a); PRAGMA user_version = 6",
    );
    let restore = ["backup", "--restore", backup.to_str().unwrap(), "--yes"];
    for arguments in
        [&["run"][..], &["sync"], &["enqueue", "1"], &["status"], &["backup", "copy.db"], &restore]
    {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/talks.db was made by a development version of talkmirror, from before its first release, and is not migrated: move it away or remove it, then start talkmirror, which mirrors the account anew");
    }
    let (out, _) = mirror.ends(78, &["check"]);
    assert_said!(verdicts(&out, &["database"]), @"database  BAD  [folder]/talks.db was made by a development version of talkmirror, from before its first release, and is not migrated: move it away or remove it, then start talkmirror, which mirrors the account anew");
    assert_eq!(mirror.sql::<i64>("PRAGMA user_version"), 6);
    let old = mirror.path("old.db");
    fs::rename(mirror.database(), &old).unwrap();
    mirror.ends(0, &["sync", "1"]);
    let (_, err) = mirror.ends(1, &["backup", "--restore", old.to_str().unwrap(), "--yes"]);
    assert_said!(err, @"error: [folder]/old.db was made by a development version of talkmirror, from before its first release, and is not migrated: move it away or remove it, then start talkmirror, which mirrors the account anew");
}

#[test]
fn a_database_of_another_account_is_refused_and_nothing_is_stored() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    mirror.execute(
        "UPDATE mirror_info SET value = '4711' WHERE key = 'account_id'; UPDATE talks SET account_id = 4711",
    );
    for command in ["sync", "run"] {
        mirror.ends(0, &["enqueue", "2"]);
        let (_, err) = mirror.ends(78, &[command]);
        assert_said!(journal::error(&err), @r#"error: this database mirrors account 4711 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 17029541 ("Simulated", http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 4711"#);
    }
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 1);
    assert!(
        mirror.sql::<bool>("SELECT attempts = 0 AND failed_at IS NULL FROM talk_queue WHERE talk_id = 2")
    );
    let (out, _) = mirror.ends(78, &["check"]);
    assert_said!(verdicts(&out, &["account"]), @r#"account  BAD  this database mirrors account 4711 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 17029541 ("Simulated", http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 4711"#);
}

#[test]
fn another_account_s_404_and_403_are_not_believed() {
    for fault in [Fault::Problem(404), Fault::Problem(403)] {
        let mirror = Mirror::new(account(30));
        mirror.ends(0, &["sync", "1..30"]);
        mirror.simulator.account().account_fault = Some(Fault::Problem(404));
        // An account that has talk 30 and none of the others.
        let others = (1..30).map(|talk_id| (talk_id, vec![fault.clone(); 5]));
        others.for_each(|(talk_id, faults)| mirror.simulator.account().script(talk_id, faults));
        mirror.simulator.account().script(30, [Fault::OtherAccount]);
        let (_, err) = mirror.ends(78, &["sync", "1..12"]);
        assert_said!(journal::error(&err), @r#"error: this database mirrors account 17029541 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 1 (http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 17029541"#);
        assert_eq!(mirror.sql::<i64>("SELECT count(gone_at) + count(denied_at) FROM talks"), 0, "{fault:?}");
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0, "nor is anything queued");
        let (out, _) = mirror.ends(0, &["status"]);
        assert_said!(part(&out, "Daemon"), @"Daemon  does not run; stopped [n] s ago (sync [version])");
    }
}

#[test]
fn one_wrong_answer_at_the_start_stops_nobody() {
    let mirror = Mirror::new(account(30));
    mirror.configure("queue.max_attempts = 1\napi.max_in_flight = 1\n");
    mirror.ends(0, &["sync", "1..3"]);
    mirror.simulator.account().script(21, vec![Fault::OtherAccount; 5]);
    mirror.ends(0, &["enqueue", "10..20"]);
    mirror.execute("INSERT INTO talk_queue (talk_id, priority) VALUES (21, 1)");
    mirror.ends(1, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 14, "the others are mirrored");
    let error: String = mirror.sql("SELECT last_error FROM talk_queue WHERE talk_id = 21 AND failed_at > 0");
    assert_said!(error, @"the answer holds no valid talk: account_id: expected 17029541, found 1");
}

#[test]
fn a_404_is_believed_once_a_stored_talk_has_shown_the_account() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..30"]);
    mirror.simulator.account().talks.remove(&5);
    mirror.simulator.account().account_fault = Some(Fault::Problem(404));
    mirror.ends(0, &["sync", "5", "77"]);
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM talks WHERE gone_at IS NOT NULL"), 5);
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM tombstones"), 77);
    assert_eq!(mirror.simulator.account().requests_of(30), 2, "once more, to be sure");
}

#[test]
fn status_tells_a_daemon_that_was_killed_from_one_that_runs() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    mirror.ends(0, &["status"]);
    daemon.kill_hard();
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! the daemon ended without a clean stop: it was killed, or the machine went down
      → start it again: nothing is lost
    ");
}

#[test]
fn a_missing_folder_is_named() {
    let mirror = Mirror::new(account(1));
    mirror.configure("database.path = \"no/such/talks.db\"\n");
    for arguments in [&["run"][..], &["sync"], &["enqueue", "1"]] {
        let (_, err) = mirror.ends(1, arguments);
        assert_said!(err, @"error: there is no folder [folder]/no/such for the database: create it, or set database.path");
    }
}

#[test]
fn a_second_instance_ends_at_once_with_75_and_the_holder_s_process_id() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let holder = daemon.child.id();
    for command in ["run", "sync"] {
        let (_, err) = mirror.ends(75, &[command]);
        assert_said!(err, [(&format!("process {holder}\\b"), "process [of the daemon]")], @"error: another talkmirror (process [of the daemon]) uses [folder]/talks.db");
    }
    for arguments in [&["enqueue", "1"][..], &["status"], &["why", "1"], &["queue", "list"], &["check"]] {
        mirror.ends(0, arguments);
    }
    std::os::unix::fs::symlink(mirror.database(), mirror.path("link.db")).unwrap();
    let through_link =
        mirror.command(&["run"]).env("TALKMIRROR__DATABASE__PATH", "link.db").output().unwrap();
    assert_eq!(through_link.status.code(), Some(75));
    daemon.kill_hard();
    mirror.ends(0, &["sync"]);
}

#[test]
fn another_program_s_long_transaction_is_waited_for() {
    let mirror = Mirror::new(account(20));
    mirror.simulator.account().latency = std::time::Duration::from_millis(500);
    let daemon = mirror.running_daemon();
    let connection = mirror.connect();
    connection.execute_batch("INSERT INTO talk_queue (talk_id) VALUES (1)").unwrap();
    mirror.wait("talk 1 is asked for", || mirror.simulator.account().requests_of(1) == 1);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    // A talk queued before the lock was taken is fetched, but cannot be recorded.
    let waits = mirror.wait_logged(journal::DATABASE_NOT_WRITABLE);
    assert_said!(waits, @"ERROR cannot write the database: another program holds the write lock, black_box (process [pid], user [name]): end its transaction; no talk is fetched until it can be written");
    connection.execute_batch("COMMIT").unwrap();
    mirror.wait_sql("talk 1 is mirrored", "SELECT count(*) FROM talks", 1);
    mirror.wait_logged(journal::DATABASE_WRITABLE_AGAIN);
    daemon.stop();
}

#[test]
fn a_reader_with_an_open_transaction_holds_nobody_up() {
    let mirror = Mirror::new(account(200));
    mirror.ends(0, &["sync", "1..10"]);
    let reader = mirror.connect();
    reader.execute_batch("BEGIN").unwrap();
    let count = || reader.query_row("SELECT count(*) FROM talks", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 10);
    mirror.ends(0, &["sync", "1..200"]);
    assert_eq!(count(), 10, "its own snapshot");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 200);
}

/// Runs SQL with the sqlite3 shell as another user who may read the folder but write nothing. `None` if that is not
/// possible.
fn read_as_nobody(mirror: &Mirror) -> Option<String> {
    if !nix::unistd::Uid::effective().is_root() {
        skip("only root can try another user's rights");
        return None;
    }
    if Command::new("sqlite3").arg("--version").output().is_err() {
        skip("no sqlite3 shell");
        return None;
    }
    fs::set_permissions(mirror.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    use std::os::unix::process::CommandExt;
    let output = Command::new("sqlite3")
        .args(["-readonly", mirror.database().to_str().unwrap(), "SELECT count(*) FROM talks"])
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some(text.trim().to_owned())
}

#[test]
fn readers_without_rights_to_write_work_while_the_daemon_runs_and_when_it_is_down() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1..9"]);
    let daemon = mirror.running_daemon();
    let Some(while_running) = read_as_nobody(&mirror) else { return };
    daemon.stop();
    let stopped = read_as_nobody(&mirror).unwrap();
    mirror.running_daemon().kill_hard();
    let killed = read_as_nobody(&mirror).unwrap();
    assert_eq!([while_running, stopped, killed], ["9", "9", "9"]);
}

#[test]
fn a_database_that_cannot_be_written_is_named() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    if !nix::unistd::Uid::effective().is_root() {
        fs::set_permissions(mirror.database(), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    } else if !Command::new("chattr")
        .arg("+i")
        .arg(mirror.database())
        .status()
        .is_ok_and(|status| status.success())
    {
        skip("root writes everything, and this file system has no immutable files");
        return;
    }
    let outputs = [&["sync", "2"][..], &["run"], &["enqueue", "2"]].map(|arguments| mirror.output(arguments));
    let _ = Command::new("chattr").arg("-i").arg(mirror.database()).status();
    for output in outputs {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert_said!(err, @"error: [folder]/talks.db cannot be written: give this user the right to write the file and its folder");
    }
}

#[test]
fn a_full_disk_is_named_waited_for_and_nothing_is_lost() {
    let mirror = Mirror::with_database(account(400), "disk/talks.db");
    let Some(disk) = SmallDisk::mount(mirror.path("disk"), "12m") else { return };
    mirror.ends(0, &["enqueue", "1..400"]);
    // There is room for a start, and not for 400 talks.
    let _ = fs::write(disk.0.join("ballast"), vec![0; 11_880_000]);
    let daemon = mirror.daemon();
    let full = mirror.wait_logged(journal::DATABASE_NOT_WRITABLE);
    assert_said!(full, @"ERROR cannot write the database: the disk is full: make room; no talk is fetched until it can be written");
    // Requests under way when the disk filled up are answered first.
    mirror.wait("nothing is fetched that cannot be recorded", || {
        let requests = mirror.simulator.account().requests();
        std::thread::sleep(std::time::Duration::from_secs(2));
        mirror.simulator.account().requests() == requests
    });

    let (_, err) = mirror.ends(1, &["enqueue", "1000..60000"]);
    assert_said!(err, @"error: cannot queue them all; what was queued stays queued: database or disk is full; make room on the disk, then try again");

    fs::remove_file(disk.0.join("ballast")).unwrap();
    mirror.wait_sql("everything is mirrored", "SELECT count(*) FROM talks", 400);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    mirror.wait_logged(journal::DATABASE_WRITABLE_AGAIN);
    daemon.stop();
}

#[test]
fn the_sqlite3_shell_queues_and_reads() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1"]);
    let shell = |sql: &str| Command::new("sqlite3").arg(mirror.database()).arg(sql).output();
    let Ok(output) =
        shell("INSERT INTO talk_queue (talk_id) VALUES (7); INSERT INTO talk_queue (talk_id) VALUES (7);")
    else {
        skip("no sqlite3 shell");
        return;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    mirror.ends(0, &["sync"]);
    for view in ["open_talks", "talks_iso", "missed_by_day", "mirror_freshness"] {
        let output = shell(&format!("SELECT * FROM {view}")).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{view}: {output:?}");
    }
    let output =
        shell("SELECT origin, talks, p50 <= p95 AND p95 <= max FROM mirror_freshness WHERE origin = '(all)'")
            .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "(all)|2|1\n");
    let refused = shell("INSERT INTO talk_queue (talk_id) VALUES (NULL)").unwrap();
    assert_said!(String::from_utf8_lossy(&refused.stderr), @"Error: stepping, talk_queue.talk_id must be a talk id: a whole number above 0 (19)");
}

#[test]
fn a_database_that_is_removed_ends_the_daemon_before_it_closes_unseen() {
    let mirror = Mirror::new(account(5));
    let mut daemon = mirror.running_daemon();
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("it works", "SELECT count(*) FROM talks", 1);
    daemon.signal(nix::sys::signal::Signal::SIGSTOP);
    fs::remove_file(mirror.database()).unwrap();
    let (_, err) = mirror.ends(1, &["enqueue", "2"]);
    assert_said!(err, @"error: [folder]/talks.db was removed while a talkmirror process uses it: restart that process, which creates a new file, or restore a backup first");
    assert!(!mirror.database().exists(), "and nothing is put in its place");
    daemon.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(daemon.wait().code(), Some(1));
    assert_said!(journal::error(&mirror.log()), @"error: [folder]/talks.db was removed or replaced while talkmirror used it, so nothing could be stored there; start talkmirror again, which creates a new file, or restore a backup first");
}

#[test]
fn a_damaged_database_is_named_with_what_to_do_by_every_command() {
    let mirror = Mirror::new(account(200));
    mirror.ends(0, &["sync", "1..200"]);
    mirror.ends(0, &["enqueue", "1..20"]);
    let connection = mirror.connect();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let (page, size): (i64, i64) = connection
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'talks'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(mirror.database()).unwrap();
    bytes[((page - 1) * size) as usize..(page * size) as usize].fill(0x5a);
    fs::write(mirror.database(), bytes).unwrap();
    let mut said = String::new();
    for arguments in
        [&["run"][..], &["sync"], &["status"], &["why", "5"], &["stale"], &["check"], &["backup", "copy.db"]]
    {
        let (out, err) = mirror.ends(78, arguments);
        said += &match arguments {
            ["check"] => verdicts(&out, &["database"]),
            _ => format!("{arguments:?}: {}", journal::error(&err)),
        };
    }
    assert_said!(said, @r#"
    ["run"]: error: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    ["sync"]: error: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    ["status"]: error: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    ["why", "5"]: error: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    ["stale"]: error: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    database  BAD  database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    ["backup", "copy.db"]: error: [folder]/talks.db is damaged: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read
    "#);
    assert_eq!(mirror.simulator.account().requests(), 200, "nothing is fetched");
}
