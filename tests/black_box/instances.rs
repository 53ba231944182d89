//! One process works on a database, whatever name leads to its file. Any number may create it at once.

use crate::closing::{LIVE, missed};
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;
use talkmirror::store::lock;
use talkmirror_simulator::Fault;

/// A second process by that path ends at once, and names the running one.
fn assert_is_held(mirror: &Mirror, pid: u32, path: &str) {
    mirror.configure(&format!("database.path = \"{path}\"\n"));
    let own = format!("process {pid}\\b");
    for command in ["run", "sync"] {
        let (_, err) = mirror.ends(75, &[command]);
        let err = err.replace(&mirror.path(path).display().to_string(), "[path]");
        assert_said!(err, [(&own, "process [of the daemon]")], @"error: another talkmirror (process [of the daemon]) uses [path]");
    }
    mirror.configure("");
}

#[test]
fn a_lock_file_that_is_removed_lets_no_second_process_in_and_is_made_again() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let pid = daemon.child.id();
    fs::remove_file(mirror.path("talks.db.lock")).unwrap();
    let (_, err) = mirror.ends(75, &["sync", "1"]);
    assert_said!(err, @"error: another talkmirror (process [pid]) uses [folder]/talks.db");
    let names_it =
        || fs::read_to_string(mirror.path("talks.db.lock")).is_ok_and(|text| text.trim() == pid.to_string());
    mirror.wait("it is there again, and names the daemon", names_it);
    assert_is_held(&mirror, pid, "talks.db");
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the daemon works on", "SELECT count(*) FROM talks", 1);
    daemon.stop();
    mirror.ends(0, &["sync", "2"]);
}

#[test]
fn a_hard_link_and_a_link_lead_to_the_same_lock() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let pid = daemon.child.id();
    fs::hard_link(mirror.database(), mirror.path("hard.db")).unwrap();
    symlink(mirror.database(), mirror.path("soft.db")).unwrap();
    symlink("soft.db", mirror.path("softer.db")).unwrap();
    for path in ["hard.db", "soft.db", "softer.db"] {
        assert_is_held(&mirror, pid, path);
    }
    // By that name nothing is written, and nothing stale shown.
    mirror.configure("database.path = \"hard.db\"\n");
    for arguments in [&["enqueue", "1"][..], &["status"], &["queue", "list"], &["why", "1"]] {
        let (_, err) = mirror.ends(1, arguments);
        assert_said!(err, @"error: [folder]/hard.db is another name (a hard link) of a database that a talkmirror process uses: use the same name, as SQLite keeps a WAL for each name");
    }
    mirror.configure("database.path = \"soft.db\"\n");
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("it is fetched", "SELECT count(*) FROM talks", 1);
    daemon.stop();
}

#[test]
fn a_link_that_leads_nowhere_yet_is_followed_and_locked_where_it_leads() {
    let mirror = Mirror::new(account(3));
    fs::create_dir(mirror.path("elsewhere")).unwrap();
    symlink("elsewhere/real.db", mirror.database()).unwrap();
    let daemon = mirror.running_daemon();
    assert!(mirror.path("elsewhere/real.db").exists());
    assert_is_held(&mirror, daemon.child.id(), "elsewhere/real.db");
    daemon.stop();
    mirror.ends(0, &["sync", "1"]);
}

#[test]
fn two_daemons_by_two_names_at_the_same_moment_are_one() {
    for _ in 0..5 {
        let mirror = Mirror::new(account(3));
        symlink("talks.db", mirror.path("soft.db")).unwrap();
        let first = mirror.daemon();
        mirror.configure("database.path = \"soft.db\"\n");
        let second = mirror.daemon();
        let mut daemons = [first, second];
        mirror.wait("one of them ends", || {
            daemons.iter_mut().any(|daemon| daemon.child.try_wait().unwrap().is_some())
        });
        let codes = daemons
            .each_mut()
            .map(|daemon| daemon.child.try_wait().unwrap().and_then(|status| status.code()));
        assert!(codes.contains(&Some(75)) && codes.contains(&None), "{codes:?}: {}", mirror.log());
    }
}

#[test]
fn any_number_of_processes_may_make_the_database_at_once() {
    for round in 0..5 {
        let mirror = Mirror::new(account(9));
        let one = |ids: String| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
            command.arg("--config").arg(mirror.path("config.toml")).args(["enqueue", &ids]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (1..=12).map(|id| one(id.to_string())).collect();
        let daemon = (round % 2 == 0).then(|| mirror.daemon());
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let known = "SELECT count(*) FROM (SELECT talk_id FROM talks UNION SELECT talk_id FROM talk_queue
                                           UNION SELECT talk_id FROM tombstones)";
        mirror.wait_sql("each is queued", known, 12);
        if let Some(daemon) = daemon {
            mirror.wait_sql("each is fetched", "SELECT count(*) FROM talk_queue", 0);
            daemon.stop();
        }
        assert_eq!(mirror.sql::<String>("PRAGMA integrity_check"), "ok");
    }
}

#[test]
fn a_database_that_is_put_in_the_place_of_the_one_that_is_worked_on_is_noticed() {
    let mirror = Mirror::new(account(3));
    let mut daemon = mirror.running_daemon();
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("it works", "SELECT count(*) FROM talks", 1);
    fs::copy(mirror.database(), mirror.path("copy.db")).unwrap();
    fs::rename(mirror.path("copy.db"), mirror.database()).unwrap();
    assert_eq!(daemon.wait().code(), Some(1));
    assert_said!(journal::error(&mirror.log()), @"error: [folder]/talks.db was removed or replaced while talkmirror used it, so nothing could be stored there; start talkmirror again, which creates a new file, or restore a backup first");
}

/// `close` ends at once, names the lock holder and queues nothing.
fn assert_close_is_refused(mirror: &Mirror, pid: u32, when: &str) {
    let own = format!("process {pid}\\b");
    for arguments in [&["close", "2", "--yes"][..], &["close", "--yes"], &["close", "2", "--dry-run"]] {
        let (_, err) = mirror.ends(75, arguments);
        assert_said!(err, [(&own, "process [of the lock holder]")], @"error: another talkmirror (process [of the lock holder]) uses [folder]/talks.db");
    }
    // It does not even ask: without a terminal that would be another error.
    mirror.ends(75, &["close", "2"]);
    let to_close = "SELECT count(*) FROM talk_queue WHERE talk_id = 2";
    assert_eq!(mirror.sql::<i64>(to_close), 0, "{when}");
}

#[test]
fn closing_by_hand_while_a_sync_holds_the_database_is_refused_with_its_process_id() {
    let mirror = missed(2, LIVE);
    mirror.simulator.account().script(1, [Fault::Slow(Duration::from_secs(60))]);
    mirror.configure(&format!("{LIVE}api.timeout = \"90s\"\n"));
    let sync = mirror.start(&["sync", "1", "--no-close"]);
    let asked = || mirror.simulator.account().log.last().is_some_and(|request| request.status == 0);
    mirror.wait("the talk is being fetched", asked);
    assert_close_is_refused(&mirror, sync.child.id(), "while it waits for an answer");
}

#[test]
fn a_daemon_that_is_gone_is_not_taken_for_a_lock_holder_that_starts() {
    let mirror = missed(2, LIVE);
    let daemon = mirror.running_daemon();
    daemon.kill_hard();
    // The state of a start before it reads the database. The stored status is the last daemon's.
    let starting = lock::acquire(&mirror.database()).unwrap();
    let own = std::process::id();
    assert_close_is_refused(&mirror, own, "after a kill");
    mirror.execute("UPDATE daemon_status SET stopped_at = seen_at");
    assert_close_is_refused(&mirror, own, "after a stop");
    mirror.execute(&format!("UPDATE daemon_status SET pid = {own}"));
    assert_close_is_refused(&mirror, own, "after the same process number stopped");
    fs::write(mirror.path("talks.db.lock"), "").unwrap();
    let (_, err) = mirror.ends(75, &["close", "2", "--yes"]);
    assert_said!(err, @"error: another talkmirror (process unknown) uses [folder]/talks.db");
    drop(starting);

    mirror.configure(&LIVE.replace("* * * * * *", "0 0 0 1 1 *"));
    let daemon = mirror.running_daemon();
    fs::remove_file(mirror.path("talks.db.lock")).unwrap();
    let (out, _) = mirror.ends(0, &["close", "2", "--yes"]);
    assert_said!(out, @"1 talk queued to be closed by the running daemon; `talkmirror status` and the table closures show the results");
    daemon.stop();
}

#[test]
fn whoever_holds_a_database_that_is_not_there_yet_is_named() {
    let mirror = Mirror::new(account(2));
    mirror.configure(LIVE);
    let _starting = lock::acquire(&mirror.database()).unwrap();
    let own = format!("process {}\\b", std::process::id());
    for arguments in [&["run"][..], &["sync"], &["close", "2", "--yes"], &["close", "2", "--dry-run"]] {
        let (_, err) = mirror.ends(75, arguments);
        assert_said!(err, [(&own, "process [of this test]")], @"error: another talkmirror (process [of this test]) uses [folder]/talks.db");
    }
}
