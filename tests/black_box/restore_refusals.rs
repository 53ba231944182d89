//! `backup --restore`: what it refuses, without replacing anything.

use crate::backup::{names, read};
use crate::harness::{Mirror, SmallDisk, account};
use crate::journal;
use crate::restore::mode;
use crate::snapshots::assert_said;
use rusqlite::Connection;
use std::fs;

#[test]
fn what_is_no_backup_of_this_mirror_is_refused_and_nothing_is_replaced() {
    let mirror = Mirror::new(account(200));
    mirror.ends(0, &["sync", "1..200"]);
    let backup = mirror.back_up("good.db");
    let with = |name: &str, sql: &str| {
        fs::copy(&backup, mirror.path(name)).unwrap();
        Connection::open(mirror.path(name)).unwrap().execute_batch(sql).unwrap();
    };
    with("other.db", "UPDATE mirror_info SET value = '4711' WHERE key = 'account_id'");
    with("newer.db", "PRAGMA user_version = 99");
    with("nameless.db", "DELETE FROM mirror_info WHERE key = 'account_id'");
    with("talks-of-others.db", "UPDATE talks SET account_id = 4711");
    with("table.db", "DROP TABLE tombstones");
    with("column.db", "ALTER TABLE closures RENAME COLUMN error TO mistake");
    fs::write(mirror.path("empty.db"), "").unwrap();
    fs::write(mirror.path("notes.txt"), "my notes, at length\n".repeat(500)).unwrap();
    Connection::open(mirror.path("notes.db")).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let mut bytes = fs::read(&backup).unwrap();
    fs::write(mirror.path("half.db"), &bytes[..bytes.len() / 2]).unwrap();
    // A page of talks: a damaged index would be repaired.
    let payload = b"\"talk_id\":100,";
    let place = bytes.windows(payload.len()).position(|text| text == payload).expect("the payload of a talk");
    bytes[place - place % 8192..][..8192].fill(0x5a);
    fs::write(mirror.path("damaged.db"), &bytes).unwrap();
    fs::create_dir(mirror.path("folder")).unwrap();
    std::os::unix::fs::symlink(mirror.database(), mirror.path("link.db")).unwrap();
    let mut said = String::new();
    for name in [
        "missing.db",
        "folder",
        "talks.db",
        "link.db",
        "talks.db-wal",
        "empty.db",
        "notes.txt",
        "notes.db",
        "half.db",
        "damaged.db",
        "newer.db",
        "other.db",
        "nameless.db",
        "talks-of-others.db",
        "table.db",
        "column.db",
    ] {
        said += &mirror.refuses(name);
    }
    assert_said!(said, @r#"
    error: there is no file [folder]/missing.db
    error: [folder]/folder is a folder: name one of the backups in it
    error: [folder]/talks.db is the database itself, or a part of it: name a backup
    error: [folder]/link.db is the database itself, or a part of it: name a backup
    error: [folder]/talks.db-wal is the database itself, or a part of it: name a backup
    error: [folder]/empty.db is not a backup: it is a SQLite database of something else, or an empty one
    error: [folder]/notes.txt is not a backup: it is not a SQLite database
    error: [folder]/notes.db is not a backup: it is a SQLite database of something else, or an empty one
    error: [folder]/half.db is damaged: database disk image is malformed
    error: [folder]/damaged.db is damaged: database disk image is malformed
    error: [folder]/newer.db was written by a newer talkmirror (schema 99; this one knows 4): upgrade talkmirror
    error: [folder]/other.db is a backup of account 4711, and the database [folder]/talks.db mirrors account 17029541: restore it under another database.path, or move that database away first
    error: [folder]/nameless.db cannot be restored, because it is not as talkmirror created it: the talks are of account 17029541, and mirror_info has no account_id; use another backup, or sync into a new database
    error: [folder]/talks-of-others.db cannot be restored, because it is not as talkmirror created it: the talks are of account 4711, and mirror_info has "17029541"; use another backup, or sync into a new database
    error: [folder]/table.db cannot be restored, because it is not as talkmirror created it: the table tombstones is missing; use another backup, or sync into a new database
    error: [folder]/column.db cannot be restored, because it is not as talkmirror created it: the column error of closures is missing; use another backup, or sync into a new database
    "#);
    // Without a terminal it does not ask.
    let (_, err) = mirror.ends(1, &["backup", "--restore", backup.to_str().unwrap()]);
    assert_said!(err, @"error: there is no terminal to ask on: --yes restores without asking");
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_daemon_that_runs_or_somebody_who_has_the_file_open_is_not_restored_over() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..3"]);
    let backup = mirror.back_up("good.db");
    let arguments = ["backup", "--restore", backup.to_str().unwrap(), "--yes"];
    let daemon = mirror.running_daemon();
    let (_, err) = mirror.ends(75, &arguments);
    let own = format!("process {}\\b", daemon.child.id());
    assert_said!(err, [(&own, "process [of the daemon]")], @"error: stop it first (`systemctl stop talkmirror`, or end the program that runs it), then restore again: another talkmirror (process [of the daemon]) uses [folder]/talks.db");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (4)");
    mirror.wait_sql("it works on", "SELECT count(*) FROM talks", 4);
    daemon.stop();
    // Closing it would remove the new database's WAL.
    let other_process = mirror.connect();
    let read = |other_process: &Connection| -> i64 {
        other_process.query_row("SELECT count(*) FROM talks", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(read(&other_process), 4);
    assert_said!(mirror.refuses("good.db"), @"error: another program has [folder]/talks.db open: end it (`fuser -v` with that path names it), then restore again; nothing was replaced");
    other_process.execute_batch("INSERT INTO talk_queue (talk_id) VALUES (5)").unwrap();
    assert_eq!(read(&other_process), 4);
    drop(other_process);
    mirror.ends(0, &arguments);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 3);
    mirror.ends(0, &["sync"]);
    mirror.assert_mirrors_the_account();
}

/// What a refusal leaves unchanged, although the file was settled for a moment.
fn assert_not_replaced(mirror: &Mirror, talks: i64) {
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), talks);
    assert_eq!(mode(mirror), "wal");
    let all = names(&mirror.path(""));
    assert!(!all.iter().any(|name| name.contains("before-restore") || name.starts_with(".talk")), "{all:?}");
}

#[test]
fn a_database_that_is_locked_or_cannot_be_opened_is_not_taken_for_a_damaged_one() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["sync", "1..12"]);
    let backup = mirror.back_up("other.db");
    // Nor is its account forgotten.
    Connection::open(&backup)
        .unwrap()
        .execute_batch(
            "UPDATE mirror_info SET value = '4711' WHERE key = 'account_id'; UPDATE talks SET account_id = 4711",
        )
        .unwrap();
    {
        let other_process = Connection::open(mirror.database()).unwrap();
        other_process.execute_batch("PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM talks").unwrap();
        // This process does not read the file meanwhile, because it would lose its locks.
        let (_, err) = mirror.ends(1, &["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
        assert_said!(err, @"error: another program has [folder]/talks.db open: end it (`fuser -v` with that path names it), then restore again; nothing was replaced");
    }
    assert_not_replaced(&mirror, 12);
    // Then it cannot be opened.
    let wal = mirror.path("talks.db-wal");
    if wal.exists() {
        fs::remove_file(&wal).unwrap();
    }
    fs::create_dir(&wal).unwrap();
    let (_, err) = mirror.ends(78, &["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
    assert_said!(err, @"error: [folder]/talks.db-wal is a directory, not a file: remove it, as SQLite keeps a file of the database there");
    fs::remove_dir(&wal).unwrap();
    mirror.execute("DELETE FROM mirror_info WHERE key = 'account_id'");
    let (_, err) = mirror.ends(1, &["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
    assert_said!(err, @"error: [folder]/other.db is a backup of account 4711, and the database [folder]/talks.db mirrors account 17029541: restore it under another database.path, or move that database away first");
    assert_not_replaced(&mirror, 12);
}

#[test]
fn where_a_sound_database_cannot_be_taken_over_from_nothing_is_replaced() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1..4"]);
    let backup = mirror.back_up("good.db");
    let stubborn = mirror.back_up("stubborn.db");
    Connection::open(&stubborn)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER mine BEFORE INSERT ON talk_queue BEGIN SELECT raise(ABORT, 'not in my queue'); END",
        )
        .unwrap();
    mirror.ends(0, &["sync", "5..9"]);
    let (_, err) = mirror.ends(1, &["backup", "--restore", stubborn.to_str().unwrap(), "--yes"]);
    assert_said!(journal::faults(&err), @"
    WARN the trigger mine on talk_queue is not talkmirror's: it runs within the daemon's transactions, and can make them fail
    error: cannot copy from [folder]/talks.db what talkmirror did since the backup, so nothing was replaced. Correct that; or move the database with its -wal away by hand: then the restored one does not know what was done since: not in my queue: Error code 1811: constraint failed
    ");
    assert_not_replaced(&mirror, 9);
    mirror.execute("ALTER TABLE closures RENAME COLUMN error TO mistake");
    let arguments = ["backup", "--restore", backup.to_str().unwrap(), "--yes"];
    let (_, err) = mirror.ends(1, &arguments);
    assert_said!(err, [("in INSERT .* at offset [0-9]+", "in [SQL]")], @"error: cannot copy from [folder]/talks.db what talkmirror did since the backup, so nothing was replaced. Correct that; or move the database with its -wal away by hand: then the restored one does not know what was done since: no such column: error in [SQL]: Error code 1: SQL logic error; something was dropped from the database, or added to it: `talkmirror check` shows what, and how to repair it");
    assert_not_replaced(&mirror, 9);
    for name in
        names(&mirror.path("")).iter().filter(|name| ["talks.db", "talks.db-wal"].contains(&name.as_str()))
    {
        fs::rename(mirror.path(name), mirror.path(&format!("by-hand-{name}"))).unwrap();
    }
    mirror.ends(0, &arguments);
    mirror.ends(0, &["sync", "1..9"]);
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_disk_that_is_full_once_the_queue_is_taken_over_stops_the_restore() {
    let mirror = Mirror::new(account(9));
    let Some(disk) = SmallDisk::mount(mirror.path("disk"), "12m") else { return };
    mirror.configure("database.path = \"disk/talks.db\"\n");
    mirror.ends(0, &["sync", "1..9"]);
    let backup = mirror.back_up("good.db");
    mirror.ends(0, &["enqueue", "10..60000"]);
    let database = disk.0.join("talks.db");
    let used = |name: &str| disk.0.join(name).metadata().map_or(0, |metadata| metadata.len() as usize);
    let free = (12 << 20) - used("talks.db") - used("talks.db-wal") - used("talks.db-shm");
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; free - 700_000]).unwrap();
    let arguments = ["backup", "--restore", backup.to_str().unwrap(), "--yes"];
    let (_, err) = mirror.ends(1, &arguments);
    assert_said!(err, @"error: cannot copy from [folder]/disk/talks.db what talkmirror did since the backup, so nothing was replaced. Correct that; or move the database with its -wal away by hand: then the restored one does not know what was done since: database or disk is full; make room on the disk, then try again");
    assert!(!names(&disk.0).iter().any(|name| name.contains("before-restore")), "{:?}", names(&disk.0));
    let queued = "SELECT count(*) FROM talk_queue";
    assert_eq!(read::<i64>(&database, queued), 59_991);
    fs::remove_file(ballast).unwrap();
    mirror.ends(0, &arguments);
    assert_eq!(read::<i64>(&database, queued), 59_991);
}
