//! `backup`: copies made while the database is written, who may make them, and what a failure leaves.

use crate::harness::{Daemon, Mirror, SmallDisk, account, text};
use crate::journal;
use crate::rights::{ANALYST, OUTSIDER, State};
use crate::snapshots::assert_said;
use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

/// The first column of the first row of a copy, read from a read-only folder.
pub fn read<T: rusqlite::types::FromSql>(copy: &Path, sql: &str) -> T {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    copy.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn assert_whole(copy: &Path) {
    assert_eq!(read::<String>(copy, "PRAGMA integrity_check"), "ok");
    assert_eq!(read::<String>(copy, "PRAGMA journal_mode"), "delete");
    let odd = "SELECT count(*) FROM talks t WHERE
                 (SELECT count(*) FROM talk_versions v WHERE v.talk_id = t.talk_id AND valid_to IS NULL) <> 1";
    assert_eq!(read::<i64>(copy, odd), 0, "each talk has one current version");
}

/// Grows the database so that a copy takes some time.
pub fn fatten(mirror: &Mirror, mebibytes: i64) {
    mirror.execute(&format!(
        "CREATE TABLE fat (bytes BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {mebibytes})
         INSERT INTO fat SELECT randomblob(1048576) FROM n;"
    ));
}

#[test]
fn a_copy_taken_while_the_daemon_writes_is_one_moment_of_it() {
    let mirror = Mirror::new(account(3000));
    mirror.ends(0, &["enqueue", "1..3000"]);
    let daemon = mirror.running_daemon();
    fs::create_dir(mirror.path("copies")).unwrap();
    let mut talks = Vec::new();
    for number in 0.. {
        mirror.wait("it goes on", || {
            let fetched = mirror.sql::<i64>("SELECT count(*) FROM talks");
            fetched == 3000 || fetched > talks.last().copied().unwrap_or(0)
        });
        let before = mirror.sql::<i64>("SELECT count(*) FROM talks");
        let copy = mirror.path(&format!("copies/{number}.db"));
        let (out, _) = mirror.ends(0, &["backup", copy.to_str().unwrap()]);
        assert!(out.starts_with(&format!("{}: ", copy.display())) && out.lines().count() == 1, "{out}");
        assert_whole(&copy);
        // A talk is stored in the transaction that removes its row.
        assert_eq!(
            read::<i64>(
                &copy,
                "SELECT count(*) FROM (SELECT talk_id FROM talks UNION ALL SELECT talk_id FROM talk_queue)"
            ),
            3000
        );
        talks.push(read::<i64>(&copy, "SELECT count(*) FROM talks"));
        assert!(talks.last() >= Some(&before), "what was committed before is in it: {talks:?}, {before}");
        if talks.last() == Some(&3000) {
            break;
        }
    }
    assert!(talks.len() >= 3, "some were taken meanwhile: {talks:?}");
    assert!(talks.is_sorted());
    assert!(names(&mirror.path("copies")).iter().all(|name| name.ends_with(".db")), "one file each");
    daemon.stop();
}

#[test]
fn a_folder_is_given_a_dated_copy_and_json_says_which() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "1..5"]);
    fs::create_dir(mirror.path("copies")).unwrap();
    let copies = mirror.path("copies");
    let mut paths = Vec::new();
    // Within one second.
    for _ in 0..3 {
        let (out, _) = mirror.ends(0, &["backup", copies.to_str().unwrap(), "--json"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        let path = PathBuf::from(report["path"].as_str().unwrap());
        assert_eq!(
            (report["talks"].as_i64(), report["bytes"].as_u64()),
            (Some(5), Some(path.metadata().unwrap().len()))
        );
        assert_whole(&path);
        paths.push(path);
    }
    paths.dedup();
    assert_eq!(paths.len(), 3, "nothing was overwritten");
    let name = paths[0].file_name().unwrap().to_str().unwrap();
    assert!(name.len() == "talks-2026-11-23T220000Z.db".len() && name.starts_with("talks-20"), "{name}");
    assert_eq!(names(&copies).len(), 3);
}

#[test]
fn what_cannot_be_a_copy_is_refused_and_nothing_is_left() {
    let mirror = Mirror::new(account(3));
    let (_, err) = mirror.ends(1, &["backup", mirror.path("copy.db").to_str().unwrap()]);
    assert_said!(err, @"error: there is no database at [folder]/talks.db yet: `talkmirror run` or `talkmirror sync` creates it");
    mirror.ends(0, &["sync", "1..3"]);
    fs::write(mirror.path("mine"), "my notes").unwrap();
    std::os::unix::fs::symlink(mirror.database(), mirror.path("link.db")).unwrap();
    std::os::unix::fs::symlink("nowhere", mirror.path("dangling")).unwrap();
    let before = names(&mirror.path(""));
    let mut said = String::new();
    for to in [
        "mine",
        "dangling",
        "talks.db",
        "link.db",
        "talks.db-wal",
        "talks.db-journal",
        "talks.db.lock",
        "none/copy.db",
        "none/",
        "mine/copy.db",
    ] {
        let (out, err) = mirror.ends(1, &["backup", &format!("{}/{to}", mirror.path("").display())]);
        assert_eq!(out, "", "{to}: {err}");
        said += &err;
    }
    assert_said!(said, @"
    error: [folder]//mine already exists, and a backup overwrites nothing: give another name, or a folder for a dated one
    error: [folder]//dangling already exists, and a backup overwrites nothing: give another name, or a folder for a dated one
    error: [folder]//talks.db is the database itself, or one of the files that belong to it: give another name or folder
    error: [folder]//link.db is the database itself, or one of the files that belong to it: give another name or folder
    error: [folder]//talks.db-wal is the database itself, or one of the files that belong to it: give another name or folder
    error: [folder]//talks.db-journal is the database itself, or one of the files that belong to it: give another name or folder
    error: [folder]//talks.db.lock is the database itself, or one of the files that belong to it: give another name or folder
    error: there is no folder [folder]//none: create it, or mount what belongs there
    error: there is no folder [folder]//none/: create it, or mount what belongs there
    error: there is no folder [folder]//mine: create it, or mount what belongs there
    ");
    mirror.ends(2, &["backup"]);
    mirror.ends(2, &["backup", "x", "--yes"]);
    assert_eq!(names(&mirror.path("")), before);
    assert_eq!(fs::read_to_string(mirror.path("mine")).unwrap(), "my notes");
    mirror.assert_sound();
}

#[test]
fn too_little_room_is_said_beforehand() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    fatten(&mirror, 6);
    let Some(disk) = SmallDisk::mount(mirror.path("disk"), "4m") else { return };
    let to = mirror.path("disk/copy.db");
    let (_, err) = mirror.ends(1, &["backup", to.to_str().unwrap()]);
    assert_said!(err, @"error: too little room in [folder]/disk: the copy takes 7 MiB, and 4 MiB are free there; make room, or use another folder");
    assert_eq!(names(&mirror.path("disk")), [""; 0]);
    drop(disk);
}

#[test]
fn a_disk_that_fills_up_meanwhile_leaves_nothing_of_the_copy() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    fatten(&mirror, 40);
    let Some(disk) = SmallDisk::mount(mirror.path("disk"), "64m") else { return };
    let to = mirror.path("disk/copy.db");
    let copying = mirror.start(&["backup", to.to_str().unwrap()]);
    mirror.wait("it has begun", || {
        // After the check of the free space.
        let writing = |name: &String| {
            let copy = mirror.path("disk").join(name).join("copy.db");
            name == "copy.db" || copy.metadata().is_ok_and(|copy| copy.len() > 0)
        };
        names(&mirror.path("disk")).iter().any(writing)
    });
    copying.signal(Signal::SIGSTOP);
    // Fills the rest of the disk, unless the copy was quicker and is complete.
    let filled =
        std::io::copy(&mut std::io::repeat(7), &mut fs::File::create(mirror.path("disk/others")).unwrap());
    assert!(filled.is_err());
    copying.signal(Signal::SIGCONT);
    let mut copying = copying;
    if copying.wait().success() {
        return assert_whole(&to);
    }
    assert_said!(journal::error(&mirror.log()), @"error: the disk of [folder]/disk is full: make room, or use another folder");
    assert_eq!(names(&mirror.path("disk")), ["others"]);
    drop(disk);
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_copy_or_none_and_the_next_sweeps_up() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["sync", "1..20"]);
    fatten(&mirror, 24);
    let copies = mirror.path("copies");
    fs::create_dir(&copies).unwrap();
    let mut left = 0;
    for round in 0..30 {
        let before = names(&copies);
        let to = copies.join(format!("{round}.db"));
        let copying = mirror.start(&["backup", to.to_str().unwrap()]);
        if round % 2 == 0 {
            // Half of them are killed during the copy, however long a start takes on this machine.
            mirror.wait("it has begun", || names(&copies).iter().any(|name| !before.contains(name)));
        }
        std::thread::sleep(Duration::from_millis(round * 4));
        copying.kill_hard();
        if to.exists() {
            assert_whole(&to);
            fs::remove_file(&to).unwrap();
        }
        left += usize::from(!names(&copies).is_empty());
    }
    assert!(left > 3, "some were killed in the middle: {left}");
    // A folder whose process was killed before it made its lock counts as left over once it is old.
    for name in names(&copies) {
        fs::File::open(copies.join(name)).unwrap().set_modified(UNIX_EPOCH).unwrap();
    }
    mirror.ends(0, &["backup", copies.join("last.db").to_str().unwrap()]);
    assert_eq!(names(&copies), ["last.db"]);
}

#[test]
fn one_at_work_is_not_swept_up_by_another_and_a_signal_leaves_nothing() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["sync", "1..20"]);
    fatten(&mirror, 24);
    let copies = mirror.path("copies");
    fs::create_dir(&copies).unwrap();
    let begin = |name: &str| {
        let before = names(&copies);
        let copying = mirror.start(&["backup", copies.join(name).to_str().unwrap()]);
        // Its copy grows. Earlier it may be in the middle of opening the database, and be stopped with a lock in hand.
        let copies_in = |name: &String| fs::read_dir(copies.join(name)).into_iter().flatten().flatten();
        let grows = |entry: fs::DirEntry| entry.metadata().is_ok_and(|copy| copy.len() > 0);
        mirror.wait("it has begun", || {
            names(&copies).iter().any(|name| !before.contains(name) && copies_in(name).any(grows))
                || copies.join(name).exists()
        });
        copying
    };
    let mut first: Daemon = begin("first.db");
    first.signal(Signal::SIGSTOP);
    mirror.ends(0, &["backup", copies.join("second.db").to_str().unwrap()]);
    first.signal(Signal::SIGCONT);
    assert!(first.wait().success(), "{}", mirror.log());
    assert_whole(&copies.join("first.db"));
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut copying = begin("third.db");
        copying.signal(signal);
        if copying.wait().success() {
            // The copy was quicker.
            fs::remove_file(copies.join("third.db")).unwrap();
        }
        assert_eq!(names(&copies), ["first.db", "second.db"], "{}", mirror.log());
    }
}

#[test]
fn who_may_only_read_makes_a_copy_and_anybody_reads_it_in_a_folder_that_nobody_writes() {
    let Some(state) = State::new(40) else { return };
    let quiet = |arguments: &[&str]| state.command(arguments).stdout(Stdio::null()).status().unwrap();
    assert!(quiet(&["enqueue", "1..40"]).success());
    let daemon = state.daemon();
    state.mirror.wait("they are mirrored", || state.talks() == 40);
    let mirror = &state.mirror;
    let config = mirror.path("config.toml");
    fs::create_dir(mirror.path("analyst")).unwrap();
    nix::unistd::chown(&mirror.path("analyst"), Some(ANALYST.0.into()), Some(ANALYST.1.into())).unwrap();
    let back_up = |to: &str| {
        let to = mirror.path(to);
        let binary = state.binary.to_str().unwrap();
        let arguments = ["--config", config.to_str().unwrap(), "backup", to.to_str().unwrap()];
        state.as_user(ANALYST, binary, &arguments)
    };
    let (ok, said) = back_up("analyst/copy.db");
    assert!(ok, "{said}");
    assert_said!(said, [(r"[\d.]+ KiB", "[n] KiB")], @"[folder]/analyst/copy.db: [n] KiB, 40 talks, in [n] s");
    let copy = mirror.path("analyst/copy.db");
    assert_eq!(copy.metadata().unwrap().mode() & 0o777, 0o640, "as the database");
    // A copy must not write beside the database.
    let (ok, said) = back_up("state/copy.db");
    assert!(!ok, "{said}");
    assert_said!(said, @r#"error: cannot write into the folder [folder]/state: give this user the right to write there, or use another folder. A systemd service also needs that right in a drop-in (`systemctl edit`: [Service] ReadWritePaths=[folder]/state): Permission denied (os error 13) at path "[folder]/state/.talkmirror-copy-[name]""#);

    let shelf = mirror.path("shelf");
    fs::create_dir(&shelf).unwrap();
    fs::copy(&copy, shelf.join("copy.db")).unwrap();
    fs::set_permissions(shelf.join("copy.db"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&shelf, fs::Permissions::from_mode(0o555)).unwrap();
    let uri = format!("file:{}?mode=ro", shelf.join("copy.db").display());
    let count = "SELECT count(*) FROM talks; PRAGMA journal_mode";
    let (ok, said) = state.as_user(OUTSIDER, "sqlite3", &[&uri, count]);
    assert!(ok && said == "40\ndelete", "{said}");
    daemon.stop();

    // In a folder of another group its mode grants that group nothing.
    fs::create_dir(mirror.path("elsewhere")).unwrap();
    mirror.ends(0, &["backup", mirror.path("elsewhere/copy.db").to_str().unwrap()]);
    assert_eq!(mirror.path("elsewhere/copy.db").metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_database_makes_no_copy() {
    let mirror = Mirror::new(account(400));
    mirror.ends(0, &["sync", "1..400"]);
    mirror.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut bytes = fs::read(mirror.database()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64 * 1024].fill(0x5a);
    fs::write(mirror.database(), bytes).unwrap();
    let output = mirror.output(&["backup", mirror.path("copy.db").to_str().unwrap()]);
    let (_, err) = text(&output);
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert_said!(err, @"error: [folder]/talks.db is damaged: database disk image is malformed; [folder]/talks.db is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); without one, `sqlite3 [folder]/talks.db .recover` saves what can be read");
    assert!(!names(&mirror.path("")).iter().any(|name| name.contains("copy")), "{err}");
}
