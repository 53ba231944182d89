//! A special file in place of a regular one: it is reported at once, without blocking.

use crate::harness::{Mirror, account, text};
use crate::journal;
use crate::snapshots::{assert_said, part, verdicts};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

/// Creates a special file of each kind at a path: a directory, a named pipe, a socket and a device.
const KINDS: [fn(&Path); 4] = [
    |path| fs::create_dir(path).unwrap(),
    |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap(),
    |path| drop(UnixListener::bind(path).unwrap()),
    |path| symlink("/dev/null", path).unwrap(),
];

fn remove(path: &Path) {
    fs::remove_file(path).or_else(|_| fs::remove_dir(path)).unwrap();
}

/// Runs a command that must end with 78. Returns its output.
fn refused(mirror: &Mirror, arguments: &[&str]) -> String {
    let mut command = mirror.command(arguments);
    let output = command.timeout(Duration::from_secs(30)).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(78), "{arguments:?}\n{out}{err}");
    format!("{out}{err}")
}

/// The part of that output which names the file: `check` gives a verdict, and other commands an error.
fn refusal(text: &str) -> String {
    let verdict = text.lines().find(|line| line.starts_with("database "));
    format!("{}\n", verdict.unwrap_or_else(|| journal::error(text)).trim_end())
}

#[test]
fn a_database_path_that_leads_to_no_file_is_named_by_every_command() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    mirror.ends(0, &["backup", mirror.path("copy.db").to_str().unwrap()]);
    for name in ["talks.db", "talks.db-wal", "talks.db-shm", "talks.db.lock"] {
        let _ = fs::remove_file(mirror.path(name));
    }
    mirror.configure("auto_close.mode = \"dry-run\"\n");
    let (copy, new) = (mirror.path("copy.db"), mirror.path("new.db"));
    let (copy, new) = (copy.to_str().unwrap(), new.to_str().unwrap());
    let mut said = String::new();
    for make in KINDS {
        make(&mirror.database());
        let path = mirror.database();
        let mut texts = BTreeSet::new();
        for arguments in [
            &["run"][..],
            &["sync", "1"],
            &["enqueue", "1"],
            &["queue", "list"],
            &["queue", "retry"],
            &["queue", "drop", "1"],
            &["status"],
            &["stale"],
            &["close", "1", "--yes"],
            &["why", "1"],
            &["resume"],
            &["backfill", "--from", "5"],
            &["backup", new],
            &["backup", "--restore", copy, "--yes"],
            &["check"],
        ] {
            let text = refused(&mirror, arguments);
            assert_eq!(text.matches("error: ").count(), usize::from(arguments != ["check"]), "{text}");
            texts.insert(refusal(&text));
        }
        said.extend(texts);
        remove(&path);
    }
    assert_said!(said, @"
    database  BAD  [folder]/talks.db is a directory, not a file: set database.path to a file
    error: [folder]/talks.db is a directory, not a file: set database.path to a file
    database  BAD  [folder]/talks.db is a named pipe, not a file: set database.path to a file
    error: [folder]/talks.db is a named pipe, not a file: set database.path to a file
    database  BAD  [folder]/talks.db is a socket, not a file: set database.path to a file
    error: [folder]/talks.db is a socket, not a file: set database.path to a file
    database  BAD  [folder]/talks.db is a device, not a file: set database.path to a file
    error: [folder]/talks.db is a device, not a file: set database.path to a file
    ");
    mirror.ends(0, &["sync", "1"]);
}

#[test]
fn what_lies_in_the_place_of_a_file_beside_the_database_is_named() {
    let mut said = String::new();
    for name in ["talks.db.lock", "talks.db-wal", "talks.db-shm", "talks.db-journal"] {
        for make in KINDS {
            let mirror = Mirror::new(account(3));
            make(&mirror.path(name));
            let refused =
                [&["run"][..], &["sync", "1"], &["check"]].map(|arguments| refused(&mirror, arguments));
            said.extend(BTreeSet::from(refused.each_ref().map(|text| refusal(text))));
            remove(&mirror.path(name));
            mirror.ends(0, &["sync", "1"]);
        }
    }
    assert_said!(said, @"
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db.lock is a directory, not a file: remove it
    error: [folder]/talks.db.lock is a directory, not a file: remove it
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db.lock is a named pipe, not a file: remove it
    error: [folder]/talks.db.lock is a named pipe, not a file: remove it
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db.lock is a socket, not a file: remove it
    error: [folder]/talks.db.lock is a socket, not a file: remove it
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db.lock is a device, not a file: remove it
    error: [folder]/talks.db.lock is a device, not a file: remove it
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-wal is a directory, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-wal is a directory, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-wal is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-wal is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-wal is a socket, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-wal is a socket, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-wal is a device, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-wal is a device, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-shm is a directory, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-shm is a directory, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-shm is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-shm is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-shm is a socket, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-shm is a socket, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-shm is a device, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-shm is a device, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-journal is a directory, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-journal is a directory, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-journal is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-journal is a named pipe, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-journal is a socket, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-journal is a socket, not a file: remove it, as SQLite keeps a file of the database there
    database  BAD  [folder]/talks.db does not exist yet: `run` and `sync` create it; but [folder]/talks.db-journal is a device, not a file: remove it, as SQLite keeps a file of the database there
    error: [folder]/talks.db-journal is a device, not a file: remove it, as SQLite keeps a file of the database there
    ");
}

#[test]
fn a_lock_file_that_is_replaced_by_a_pipe_holds_nobody_up() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let pid = daemon.child.id().to_string();
    let own = format!("process {pid}\\b");
    let lock = mirror.path("talks.db.lock");
    fs::remove_file(&lock).unwrap();
    mkfifo(&lock, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talks", 1);
    for arguments in [&["sync", "2"][..], &["run"]] {
        let (_, err) = mirror.ends(75, arguments);
        assert_said!(err, [(&own, "process [of the daemon]")], @"error: another talkmirror (process [of the daemon]) uses [folder]/talks.db");
    }
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Daemon"), [(&own, "process [of the daemon]")], @"Daemon  runs (run [version], process [of the daemon]) for [n] s; last sign of life [n] s ago");
    fs::remove_file(&lock).unwrap();
    mirror.wait("it is made again", || fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid));
    daemon.stop();
}

#[test]
fn secrets_that_are_no_files_are_named() {
    let mirror = Mirror::new(account(3));
    mirror.configure(
        "webhook.enabled = true\nwebhook.secret_file = \"secret\"\nhttp.listen = \"127.0.0.1:9\"\n",
    );
    mirror.write_secret("secret", "0123456789abcdef");
    let mut said = String::new();
    for name in ["token", "secret"] {
        let kept = fs::read_to_string(mirror.path(name)).unwrap();
        for make in KINDS {
            remove(&mirror.path(name));
            make(&mirror.path(name));
            for arguments in [&["run"][..], &["check"]] {
                said += journal::error(&refused(&mirror, arguments));
            }
        }
        remove(&mirror.path(name));
        mirror.write_secret(name, &kept);
    }
    assert_said!(said, @"
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a directory, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a directory, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a named pipe, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a named pipe, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a socket, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a socket, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a device, not a file
    error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a device, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a directory, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a directory, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a named pipe, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a named pipe, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a socket, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a socket, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a device, not a file
    error: [folder]/config.toml: webhook.secret_file: expected 16 to 200 letters, digits, - and _ in [folder]/secret, found a device, not a file
    ");
    mirror.ends(0, &["check"]);
}

#[test]
fn the_files_of_oauth_that_are_no_files_are_named() {
    let mirror = crate::oauth::oauth(account(3));
    let mut said = String::new();
    for name in ["client-secret", "secrets/oauth.json"] {
        crate::oauth::keep(&mirror, 0, 3600);
        for make in KINDS {
            let kept = fs::read_to_string(mirror.path(name)).unwrap();
            remove(&mirror.path(name));
            make(&mirror.path(name));
            said += journal::error(&refused(&mirror, &["sync", "1"]));
            remove(&mirror.path(name));
            mirror.write_secret(name, &kept);
        }
    }
    assert_said!(said, @"
    error: [folder]/config.toml: api.oauth.client_secret_file: expected the integration's secret, readable, at [folder]/client-secret, found a directory, not a file
    error: [folder]/config.toml: api.oauth.client_secret_file: expected the integration's secret, readable, at [folder]/client-secret, found a named pipe, not a file
    error: [folder]/config.toml: api.oauth.client_secret_file: expected the integration's secret, readable, at [folder]/client-secret, found a socket, not a file
    error: [folder]/config.toml: api.oauth.client_secret_file: expected the integration's secret, readable, at [folder]/client-secret, found a device, not a file
    error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found cannot read [folder]/secrets/oauth.json (a directory, not a file): give this user the right to read it, or run as the daemon's user
    error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found cannot read [folder]/secrets/oauth.json (a named pipe, not a file): give this user the right to read it, or run as the daemon's user
    error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found cannot read [folder]/secrets/oauth.json (a socket, not a file): give this user the right to read it, or run as the daemon's user
    error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found cannot read [folder]/secrets/oauth.json (a device, not a file): give this user the right to read it, or run as the daemon's user
    ");
    mirror.ends(0, &["sync", "1"]);
}

#[test]
fn a_token_that_becomes_a_pipe_while_the_daemon_runs_is_named_and_holds_nothing_up() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let token = fs::read_to_string(mirror.path("token")).unwrap();
    fs::remove_file(mirror.path("token")).unwrap();
    mkfifo(&mirror.path("token"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    assert_said!(mirror.wait_logged(journal::TOKEN_KEPT), @"WARN the API token in use is kept, as there is no other in [folder]/token: a named pipe, not a file");
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talks", 1);
    fs::remove_file(mirror.path("token")).unwrap();
    mirror.write_secret("token", &token);
    daemon.stop();
}

#[test]
fn a_backup_to_restore_that_is_no_file_is_named() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    let mut said = String::new();
    for make in &KINDS[1..] {
        let backup = mirror.path("backup");
        make(&backup);
        let mut command = mirror.command(&["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
        let output = command.timeout(Duration::from_secs(30)).output().unwrap();
        let (_, err) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{err}");
        said += &err;
        remove(&backup);
    }
    assert_said!(said, @"
    error: [folder]/backup is a named pipe, not a file: name a backup
    error: [folder]/backup is a socket, not a file: name a backup
    error: [folder]/backup is a device, not a file: name a backup
    ");
}

#[test]
fn an_empty_database_is_as_good_as_none() {
    let mirror = Mirror::new(account(3));
    fs::write(mirror.database(), "").unwrap();
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["database"]), @"database  ok  [folder]/talks.db is empty: `run` and `sync` fill it");
    assert_eq!(fs::metadata(mirror.database()).unwrap().len(), 0, "it is as it was");
    let names = fs::read_dir(mirror.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("talks.db")).collect();
    assert_eq!(names, ["talks.db"]);
    mirror.ends(0, &["sync", "1"]);
}
