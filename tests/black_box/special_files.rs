//! A special file in place of a regular one: it is reported at once, without blocking.

use crate::harness::{Mirror, account, text};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

/// The name of a kind, and a function that creates one at a path.
type Kind = (&'static str, fn(&Path));

const KINDS: [Kind; 4] = [
    ("a directory", |path| fs::create_dir(path).unwrap()),
    ("a named pipe", |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap()),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("a device", |path| symlink("/dev/null", path).unwrap()),
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
    for (kind, make) in KINDS {
        make(&mirror.database());
        let path = mirror.database();
        let expected = format!("{} is {kind}, not a file: set database.path to a file", path.display());
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
            let said = refused(&mirror, arguments);
            assert!(said.contains(&expected), "{kind}: {arguments:?}: {said}");
            assert_eq!(said.matches("error: ").count(), usize::from(arguments != ["check"]), "{said}");
        }
        remove(&path);
    }
    mirror.ends(0, &["sync", "1"]);
}

#[test]
fn what_lies_in_the_place_of_a_file_beside_the_database_is_named() {
    for name in ["talks.db.lock", "talks.db-wal", "talks.db-shm", "talks.db-journal"] {
        for (kind, make) in KINDS {
            let mirror = Mirror::new(account(3));
            make(&mirror.path(name));
            let expected = format!("{} is {kind}, not a file: remove it", mirror.path(name).display());
            for arguments in [&["run"][..], &["sync", "1"], &["check"]] {
                let said = refused(&mirror, arguments);
                assert!(said.contains(&expected), "{arguments:?}: {said}");
            }
            remove(&mirror.path(name));
            mirror.ends(0, &["sync", "1"]);
        }
    }
}

#[test]
fn a_lock_file_that_is_replaced_by_a_pipe_holds_nobody_up() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let pid = daemon.child.id().to_string();
    let lock = mirror.path("talks.db.lock");
    fs::remove_file(&lock).unwrap();
    mkfifo(&lock, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talks", 1);
    for arguments in [&["sync", "2"][..], &["run"]] {
        let (_, err) = mirror.ends(75, arguments);
        assert!(err.contains(&format!("another talkmirror (process {pid}) is working on")), "{err}");
    }
    let (out, _) = mirror.ends(0, &["status"]);
    assert!(out.contains(&format!("process {pid}")), "{out}");
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
    for name in ["token", "secret"] {
        let kept = fs::read_to_string(mirror.path(name)).unwrap();
        for (kind, make) in KINDS {
            remove(&mirror.path(name));
            make(&mirror.path(name));
            for arguments in [&["run"][..], &["check"]] {
                let said = refused(&mirror, arguments);
                assert!(said.contains(&format!("found {kind}, not a file")), "{name}: {arguments:?}: {said}");
            }
        }
        remove(&mirror.path(name));
        mirror.write_secret(name, &kept);
    }
    mirror.ends(0, &["check"]);
}

#[test]
fn the_files_of_oauth_that_are_no_files_are_named() {
    let mirror = crate::oauth::oauth(account(3));
    for name in ["client-secret", "secrets/oauth.json"] {
        crate::oauth::keep(&mirror, 0, 3600);
        for (kind, make) in KINDS {
            let kept = fs::read_to_string(mirror.path(name)).unwrap();
            remove(&mirror.path(name));
            make(&mirror.path(name));
            let said = refused(&mirror, &["sync", "1"]);
            assert!(said.contains(&format!("{kind}, not a file")), "{name}: {said}");
            remove(&mirror.path(name));
            mirror.write_secret(name, &kept);
        }
    }
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
    mirror.wait("it is named", || mirror.log().contains("a named pipe, not a file"));
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
    for (kind, make) in &KINDS[1..] {
        let backup = mirror.path("backup");
        make(&backup);
        let mut command = mirror.command(&["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
        let output = command.timeout(Duration::from_secs(30)).output().unwrap();
        let (_, err) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains(&format!("is {kind}, not a file: name a backup")), "{err}");
        remove(&backup);
    }
}

#[test]
fn an_empty_database_is_as_good_as_none() {
    let mirror = Mirror::new(account(3));
    fs::write(mirror.database(), "").unwrap();
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.contains("talks.db is empty: `run` and `sync` fill it"), "{out}");
    assert_eq!(fs::metadata(mirror.database()).unwrap().len(), 0, "it is as it was");
    let names = fs::read_dir(mirror.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("talks.db")).collect();
    assert_eq!(names, ["talks.db"]);
    mirror.ends(0, &["sync", "1"]);
}
