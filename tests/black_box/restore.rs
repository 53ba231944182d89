//! `backup --restore`: what it keeps, and the mirror afterwards.

use crate::backup::{assert_whole, names, read};
use crate::harness::{Mirror, account, text, unix_now};
use crate::rights::{DAEMON, State};
use crate::snapshots::{assert_said, part};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const WEEK: i64 = 7 * 86_400;

impl Mirror {
    /// A copy of the database as it is now.
    pub fn back_up(&self, name: &str) -> PathBuf {
        let to = self.path(name);
        self.ends(0, &["backup", to.to_str().unwrap()]);
        to
    }

    /// Restores a backup. Returns the report, and the path of the old file.
    pub fn restore(&self, backup: &Path) -> (Value, PathBuf) {
        let (out, _) = self.ends(0, &["backup", "--restore", backup.to_str().unwrap(), "--yes", "--json"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        let kept = report["kept"].as_str().unwrap_or_default().into();
        (report, kept)
    }

    /// It is not restored, and nothing is replaced; the error.
    pub fn refuses(&self, backup: &str) -> String {
        let before = fs::read(self.database()).unwrap();
        let files = names(&self.path(""));
        let path = self.path(backup);
        let (out, err) = self.ends(1, &["backup", "--restore", path.to_str().unwrap(), "--yes"]);
        assert_eq!(out, "", "{backup}: {err}");
        assert!(before == fs::read(self.database()).unwrap(), "{backup}: nothing was replaced");
        assert_eq!(names(&self.path("")), files, "{backup}");
        err
    }
}

/// All columns except our own fetch times, of the talks that exist.
const STATES: &str = "SELECT group_concat(row, char(10)) FROM (
    SELECT talk_id || '|' || json_array(created_at, updated_at, rate, contact_id, chat_id, entity_id, entity_type,
           is_in_work, is_read, origin, missed_at, account_id, status, source_id, lead_id, customer_id, payload,
           closed_at IS NULL, denied_at IS NULL) AS row
      FROM talks WHERE gone_at IS NULL ORDER BY talk_id)";
/// Ids that the API reports as missing, mirrored before or not.
const GONE: &str = "SELECT group_concat(talk_id) FROM (
    SELECT talk_id FROM talks WHERE gone_at IS NOT NULL UNION SELECT talk_id FROM tombstones ORDER BY 1)";

#[test]
fn a_backup_of_a_week_ago_restored_and_synced_ends_equal_to_a_fresh_mirror_but_for_versions() {
    week_old(false);
}

#[test]
fn so_does_one_where_the_database_itself_was_lost() {
    week_old(true);
}

fn week_old(lost: bool) {
    let mut account = account(60);
    let missed: Vec<i64> = (0..5).map(|_| account.create_missed(90_000)).collect();
    let mirror = Mirror::new(account);
    // Nothing of the last talks existed then.
    mirror.ends(0, &["sync", "1..70"]);
    mirror.execute(&format!(
        "UPDATE talks SET first_fetched_at = first_fetched_at - {WEEK}, fetched_at = fetched_at - {WEEK},
                          changed_at = changed_at - {WEEK}, closed_at = closed_at - {WEEK};
         UPDATE talk_history SET valid_from = valid_from - {WEEK}, valid_to = valid_to - {WEEK};
         UPDATE tombstones SET gone_at = gone_at - {WEEK};
         UPDATE daemon_status SET started_at = started_at - {WEEK}, seen_at = seen_at - {WEEK},
                                  stopped_at = stopped_at - {WEEK}, last_success_at = last_success_at - {WEEK};",
    ));
    let backup = mirror.back_up("week-old.db");

    // A week in the account.
    {
        let mut account = mirror.simulator.account();
        let now = unix_now() - 60;
        for talk_id in 1..=30 {
            let talk = account.talk(talk_id);
            talk.updated_at = now;
            match talk_id % 3 {
                0 => talk.is_read = talk.is_read.map(|read| !read),
                1 => (talk.is_in_work, talk.missed_at) = (!talk.is_in_work, None),
                _ => (talk.rate, talk.origin) = (Some(5), Some("viber".into())),
            }
        }
        for talk_id in [31, 32, missed[0]] {
            account.talks.remove(&talk_id);
        }
        for _ in 0..15 {
            account.create_talk();
        }
        account.create_missed(100);
    }
    let last = *mirror.simulator.account().talks.keys().max().unwrap();
    // The mirror has seen some of it when it is lost.
    mirror.ends(0, &["sync", "1..10", "31", "66..72"]);
    if lost {
        for name in ["talks.db", "talks.db-wal", "talks.db-shm"] {
            fs::remove_file(mirror.path(name)).unwrap();
        }
    }
    let (report, kept) = mirror.restore(&backup);
    assert_eq!(report["talks"].as_i64(), Some(65));
    assert_eq!(kept.exists(), !lost);
    let newest = format!("SELECT max(fetched_at) < unixepoch() - {} FROM talks", WEEK - 3600);
    assert_eq!(mirror.sql::<i64>(&newest), 1, "a week has not happened");
    mirror.assert_sound();
    let everything = format!("1..{}", last + 3);
    mirror.ends(0, &["sync", &everything]);
    mirror.assert_sound();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    let restored = (mirror.sql::<String>(STATES), mirror.sql::<String>(GONE));
    let since =
        format!("SELECT count(*) FROM talk_versions WHERE valid_from < unixepoch() - {}", WEEK - 3600);
    assert_eq!(mirror.sql::<i64>(&since), 65, "the old states are there");

    mirror.configure("database.path = \"fresh.db\"\n");
    mirror.ends(0, &["sync", &everything]);
    let fresh = mirror.path("fresh.db");
    assert_eq!(restored.0, read::<String>(&fresh, STATES));
    assert_eq!(restored.1, read::<String>(&fresh, GONE));
}

#[test]
fn the_old_file_is_kept_whole_and_what_was_done_and_asked_for_since_is_taken_over() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..20"]);
    let closure = |talk_id: i64, decided_at: i64, outcome: &str| {
        format!(
            "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                                   requested_at, http_status, outcome, verified_at, attempts, error)
             VALUES ({talk_id}, 'live', 5, 6, 'r', 1, {decided_at}, {decided_at}, 202, '{outcome}', NULL, 1, NULL);"
        )
    };
    mirror.execute(&format!(
        "{}{}{}",
        closure(1, 100, "closed"),
        closure(2, 200, "accepted"),
        closure(3, 300, "requested")
    ));
    mirror.execute("UPDATE daemon_status SET seen_at = seen_at - 1000, stopped_at = NULL");
    let backup = mirror.back_up("good.db");
    // Since then one continued, two are new, one of them for a talk in the backup.
    mirror.execute("UPDATE closures SET outcome = 'closed', verified_at = 250 WHERE talk_id = 2");
    mirror.execute(&format!("{}{}", closure(4, 400, "accepted"), closure(2, 500, "requested")));
    mirror.execute("UPDATE talks SET is_read = 1 - is_read, changed_at = changed_at + 7 WHERE talk_id = 9");
    mirror.execute(
        "UPDATE daemon_status SET seen_at = unixepoch(), stopped_at = unixepoch(), pause_reason = 'unpaid',
                pause_detail = 'HTTP 402', paused_at = unixepoch() - 5, pause_until = unixepoch() + 600",
    );
    mirror.execute("INSERT INTO talk_queue (talk_id, reason, priority) VALUES (25, 'ann', 3)");
    mirror.execute("INSERT INTO talk_queue (talk_id, failed_at, last_error) VALUES (26, 7, 'HTTP 400')");
    let talks = mirror.sql::<String>("SELECT group_concat(talk_id || ' ' || is_read) FROM talks");

    let before = unix_now();
    let (report, kept) = mirror.restore(&backup);
    assert_eq!(report["carried"]["closures"], 3);
    assert_eq!(report["carried"]["queued"], 2);
    assert_eq!(report["carried"]["differing"], 1);
    let closures: String = mirror.sql(
        "SELECT group_concat(closure_id || ' ' || talk_id || ' ' || decided_at || ' ' || outcome, ', ')
           FROM (SELECT * FROM closures ORDER BY closure_id)",
    );
    assert_eq!(
        closures,
        "1 1 100 closed, 2 2 200 closed, 3 3 300 requested, 4 4 400 accepted, 5 2 500 requested"
    );
    let queue: String = mirror.sql(
        "SELECT group_concat(talk_id || ' ' || reason || ' ' || (failed_at IS NULL), ', ')
           FROM (SELECT * FROM talk_queue ORDER BY talk_id)",
    );
    assert_eq!(queue, "9 restore 1, 25 ann 1, 26 sql 0");
    assert_eq!(mirror.sql::<String>("SELECT pause_reason FROM daemon_status"), "unpaid");
    assert_eq!(mirror.sql::<i64>(&format!("SELECT pause_until > {before} FROM daemon_status")), 1);
    // The old database, complete in one file.
    assert_whole(&kept);
    assert_eq!(talks, read::<String>(&kept, "SELECT group_concat(talk_id || ' ' || is_read) FROM talks"));
    assert_eq!(read::<i64>(&kept, "SELECT count(*) FROM closures"), 5);
    assert!(kept.file_name().unwrap().to_str().unwrap().starts_with("talks.db.before-restore-20"));
    // The open closings are verified.
    mirror.execute("UPDATE daemon_status SET pause_reason = NULL");
    mirror.ends(0, &["sync"]);
    let open = "SELECT count(*) FROM closures WHERE outcome IN ('requested', 'accepted') AND talk_id NOT IN
                  (SELECT talk_id FROM talk_queue)";
    assert_eq!(mirror.sql::<i64>(open), 0);
    assert!(mirror.simulator.account().requests_of(4) > 0);
}

#[test]
fn a_later_backup_loses_nothing_that_it_knows_to_an_earlier_mirror() {
    let mirror = Mirror::new(account(10));
    mirror.ends(0, &["sync", "1..4"]);
    let early = mirror.back_up("early.db");
    mirror.ends(0, &["sync", "5..8"]);
    mirror.execute(
        "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
         VALUES (1, 'live', 5, 6, 'r', 1, 100, 'closed', 1), (2, 'dry-run', 5, 6, 'r', 1, 100, 'would_close', 0)",
    );
    let late = mirror.back_up("late.db");
    fs::remove_file(mirror.database()).unwrap();
    mirror.restore(&early);
    // The same id for another closing, and a closing that is in both.
    mirror.execute(
        "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
         VALUES (3, 'live', 5, 6, 'r', 1, 150, 'failed', 1), (2, 'dry-run', 5, 6, 'r', 1, 160, 'would_close', 0)",
    );
    mirror.restore(&late);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 8);
    let closures: String = mirror
        .sql("SELECT group_concat(talk_id || ' ' || decided_at, ', ') FROM (SELECT * FROM closures ORDER BY closure_id)");
    assert_eq!(closures, "1 100, 2 100, 3 150");
    let kept = |name: &&String| name.contains(".before-restore-") && name.ends_with('Z');
    assert_eq!(names(&mirror.path("")).iter().filter(kept).count(), 1, "of the first there was none");
}

#[test]
fn a_database_that_is_damaged_is_kept_with_what_belongs_to_it_and_none_of_that_touches_the_new_one() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..20"]);
    let backup = mirror.back_up("good.db");
    mirror.ends(0, &["sync", "21..30"]);
    // Its WAL is intact, and would be taken for the new database's.
    let wal = {
        let other_process = mirror.connect();
        other_process
            .execute_batch("INSERT INTO talk_queue (talk_id, reason) VALUES (29, 'in the log')")
            .unwrap();
        fs::read(mirror.path("talks.db-wal")).unwrap()
    };
    let mut said = String::new();
    for damage in ["header", "schema", "gone"] {
        match damage {
            "gone" => fs::remove_file(mirror.database()).unwrap(),
            "header" => fs::write(mirror.database(), vec![7; 50_000]).unwrap(),
            _ => {
                let mut bytes = fs::read(&backup).unwrap();
                bytes[100..8192].fill(0x5a);
                fs::write(mirror.database(), bytes).unwrap();
            }
        }
        if damage != "schema" {
            fs::write(mirror.path("talks.db-wal"), &wal).unwrap();
        }
        // As SQLite leaves a finished journal.
        fs::write(mirror.path("talks.db-journal"), "\0 a journal").unwrap();
        let output = mirror.output(&["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{damage}: {err}");
        said += &format!("{damage}: {}{err}", part(&out, "Restored"));
        mirror.assert_sound();
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 20, "{damage}");
        assert_eq!(
            mirror.sql::<i64>("SELECT count(*) FROM talk_queue"),
            0,
            "{damage}: no row of the old log"
        );
        let all = names(&mirror.path(""));
        let kept = |suffix: &str| {
            all.iter().any(|name| name.contains("talks.db.before-restore-") && name.ends_with(suffix))
        };
        assert!(kept("Z-journal") && (damage == "schema" || kept("Z-wal")), "{damage}: {all:?}");
        for name in all.iter().filter(|name| name.contains(".before-restore-")) {
            fs::remove_file(mirror.path(name)).unwrap();
        }
    }
    assert_said!(said, @"
    header: Restored [folder]/talks.db from [folder]/good.db: 20 talks of account 17029541, which will then be mirrored, as of [time] ([n] s ago)
    warning: nothing could be copied from the old database: [folder]/talks.db is not a SQLite database: set database.path to another file, or move this one away and restore a backup
    schema: Restored [folder]/talks.db from [folder]/good.db: 20 talks of account 17029541, which will then be mirrored, as of [time] ([n] s ago)
    warning: nothing could be copied from the old database: database disk image is malformed
    gone: Restored [folder]/talks.db from [folder]/good.db: 20 talks of account 17029541, which will then be mirrored, as of [time] ([n] s ago)
    ");
    mirror.ends(0, &["sync", "1..30"]);
    mirror.assert_mirrors_the_account();
}

#[test]
fn root_restores_on_behalf_of_the_service() {
    let Some(state) = State::new(12) else { return };
    let quiet = |arguments: &[&str]| state.command(arguments).stdout(Stdio::null()).status().unwrap();
    assert!(quiet(&["sync", "1..8"]).success());
    let backup = state.mirror.back_up("good.db");
    let rights = |path: &Path| {
        let metadata = path.metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    for lost in [false, true] {
        assert!(quiet(&["sync", "9..12"]).success());
        if lost {
            fs::remove_file(state.database()).unwrap();
        }
        state.mirror.ends(0, &["backup", "--restore", backup.to_str().unwrap(), "--yes"]);
        let (uid, gid, mode) = rights(&state.database());
        assert_eq!((uid, gid), (DAEMON, DAEMON));
        assert!(lost || mode == 0o640, "{mode:o}");
        assert!(quiet(&["sync", "1"]).success(), "the service's user works with it");
        assert_eq!(state.talks(), if lost { 8 } else { 12 });
        for name in names(&state.mirror.path("state")) {
            assert!(!name.starts_with(".talkmirror-copy-"), "{name}");
        }
    }
}

/// Runs a restore at a terminal and types `typed` when it asks. Returns its output, and whether it succeeded.
fn at_a_terminal(mirror: &Mirror, backup: &Path, typed: &str) -> (bool, String) {
    let pty = nix::pty::openpty(None, None).unwrap();
    let said = mirror.path("said");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .arg("--config")
        .arg(mirror.path("config.toml"))
        .args(["backup", "--restore"])
        .arg(backup)
        .stdin(Stdio::from(pty.slave))
        .stdout(fs::File::create(mirror.path("out")).unwrap())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    mirror.wait("it asks", || fs::read_to_string(&said).unwrap().ends_with("[y/N] "));
    match typed {
        "" => kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap(),
        typed => fs::File::from(pty.master.try_clone().unwrap()).write_all(typed.as_bytes()).unwrap(),
    }
    let mut ended = None;
    mirror.wait("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    (ended.unwrap().success(), fs::read_to_string(&said).unwrap())
}

#[test]
fn a_person_is_told_what_would_be_replaced_by_what_and_may_say_no() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1..4"]);
    let backup = mirror.back_up("good.db");
    mirror.ends(0, &["sync", "5..9"]);
    let (ok, said) = at_a_terminal(&mirror, &backup, "n\n");
    assert!(ok, "{said}");
    assert_said!(said, @"Replace [folder]/talks.db with [folder]/good.db: 4 talks of account 17029541, as of [time] ([n] s ago)? The old database is kept beside it. [y/N] Nothing was replaced.");
    // Also while it waits for input.
    let (ok, said) = at_a_terminal(&mirror, &backup, "");
    assert!(!ok, "{said}");
    assert_said!(said, @"Replace [folder]/talks.db with [folder]/good.db: 4 talks of account 17029541, as of [time] ([n] s ago)? The old database is kept beside it. [y/N] error: stopped: nothing was replaced");
    mirror.assert_mirrors_the_account();
    assert!(!names(&mirror.path("")).iter().any(|name| name.starts_with(".talkmirror-copy-")));
    let (ok, said) = at_a_terminal(&mirror, &backup, "y\n");
    assert!(ok, "{said}");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 4);
}

/// The mode in the file's header.
pub fn mode(mirror: &Mirror) -> &'static str {
    if fs::read(mirror.database()).unwrap()[18] == 2 { "wal" } else { "delete" }
}

#[test]
fn a_write_that_was_cut_off_is_taken_back_and_the_database_is_taken_over_from() {
    let mirror = Mirror::new(account(300));
    mirror.ends(0, &["sync", "1..300"]);
    let backup = mirror.back_up("good.db");
    mirror.execute("INSERT INTO talk_queue (talk_id, reason) VALUES (7, 'ann')");
    let (database, journal) = (mirror.database(), mirror.path("talks.db-journal"));
    let (half, its_journal) = {
        let other_process = Connection::open(&database).unwrap();
        other_process
            .execute_batch(
                "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN; UPDATE talks SET payload = '\"other\"'",
            )
            .unwrap();
        (fs::read(&database).unwrap(), fs::read(&journal).unwrap())
    };
    fs::write(&database, half).unwrap();
    fs::write(&journal, its_journal).unwrap();
    let (report, kept) = mirror.restore(&backup);
    assert_eq!(report["carried"]["queued"], 1);
    assert_whole(&kept);
    assert_eq!(read::<i64>(&kept, "SELECT count(*) FROM talks WHERE payload = '\"other\"'"), 0);
}

#[test]
fn what_a_backup_lacks_that_holds_no_data_is_made_again() {
    let mirror = Mirror::new(account(4));
    mirror.ends(0, &["sync", "1..4"]);
    let backup = mirror.back_up("good.db");
    Connection::open(&backup)
        .unwrap()
        .execute_batch("DROP VIEW stale_talks; DROP TRIGGER talk_queue_again; DROP INDEX talks_chat")
        .unwrap();
    mirror.restore(&backup);
    let made =
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('stale_talks', 'talk_queue_again', 'talks_chat')";
    assert_eq!(mirror.sql::<i64>(made), 3);
    mirror.ends(0, &["check"]);
}

#[test]
fn who_reads_the_restored_database_is_not_in_the_way_of_the_next_start() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1..4"]);
    let backup = mirror.back_up("good.db");
    for lost in [false, true] {
        if lost {
            fs::remove_file(mirror.database()).unwrap();
        }
        mirror.restore(&backup);
        assert_eq!(mode(&mirror), "wal");
        // A user who may not write the folder cannot create them.
        for name in ["talks.db-wal", "talks.db-shm"] {
            assert!(mirror.path(name).exists(), "{name}");
        }
        let other_process = mirror.connect();
        other_process.execute_batch("BEGIN; SELECT count(*) FROM talks").unwrap();
        mirror.ends(0, &["sync", "1..9"]);
        drop(other_process);
        mirror.assert_mirrors_the_account();
    }
}

#[test]
fn a_second_name_that_a_killed_restore_left_to_the_database_is_taken_away() {
    let mirror = Mirror::new(account(4));
    mirror.ends(0, &["sync", "1..4"]);
    let backup = mirror.back_up("good.db");
    let left = mirror.path("talks.db.before-restore-2020-01-01T000000Z");
    let another = mirror.path("talks.db.before-restore-2019-01-01T000000Z");
    fs::copy(mirror.database(), &another).unwrap();
    fs::hard_link(mirror.database(), &left).unwrap();
    mirror.ends(0, &["sync", "1"]);
    assert!(!left.exists() && another.exists());
    fs::hard_link(mirror.database(), &left).unwrap();
    let (_, kept) = mirror.restore(&backup);
    assert!(!left.exists() && another.exists() && kept.exists());
}
