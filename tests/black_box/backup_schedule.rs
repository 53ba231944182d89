//! `[backup]`: scheduled copies by the daemon.

use crate::backup::{assert_whole, fatten, names, read};
use crate::harness::{Mirror, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, complaints};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;

/// Backups each second, into a folder beside the database.
const EVERY_SECOND: &str = "backup.path = \"backups\"\nbackup.schedule = \"* * * * * *\"\n";

/// What differs from one good copy to the next.
const VARIES: [(&str, &str); 3] = [
    (r"[\d.]+ KiB", "[n] KiB"),
    (r"bytes=\d+", "bytes=[n]"),
    ("next (now|in [01] s);", "next within a second;"),
];

const LAST: &str = "SELECT coalesce(max(value ->> 'at'), 0) FROM mirror_info WHERE key = 'backup.last'";

fn mirror(talks: i64, more: &str) -> Mirror {
    let mirror = Mirror::new(account(talks));
    mirror.ends(0, &["sync", &format!("1..{talks}")]);
    mirror.configure(more);
    mirror
}

/// Waits for a good backup that starts from now on.
fn wait_for_another(mirror: &Mirror) {
    let now = unix_now();
    mirror.wait("another backup", || mirror.sql::<i64>(LAST) > now);
}

/// The line about backups of a healthy status.
fn line(mirror: &Mirror) -> String {
    let (status, _) = mirror.ends(0, &["status"]);
    let line = status.lines().find_map(|line| line.strip_prefix("Backup ")).unwrap();
    line.trim().to_owned()
}

fn dated(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| name.starts_with("talks-20")).collect()
}

#[test]
fn the_daemon_makes_dated_copies_keeps_so_many_and_touches_no_other_file() {
    let port = Mirror::free_port();
    let more = format!("{EVERY_SECOND}backup.keep = 2\nhttp.listen = \"127.0.0.1:{port}\"\n");
    let mirror = mirror(20, &more);
    let folder = mirror.path("backups");
    fs::create_dir(&folder).unwrap();
    let others = [
        "talks.db",
        "talks-2020-01-01.db",
        "talks-2020-01-01T000000Z.db.gz",
        // Has such a name, but is not a database.
        "talks-2020-01-01T000000Z.db",
        "talks-before-2020-01-01T000000Z.db",
    ];
    for name in others {
        fs::write(folder.join(name), "somebody's").unwrap();
    }
    // Another account's mirror is backed up into the same folder.
    let another = folder.join("talks-2020-01-02T000000Z.db");
    mirror.ends(0, &["backup", another.to_str().unwrap()]);
    rusqlite::Connection::open(&another)
        .unwrap()
        .execute("UPDATE mirror_info SET value = '4711' WHERE key = 'account_id'", [])
        .unwrap();
    // A backup of ours, from long ago.
    let old = folder.join("talks-2020-01-03T000000Z.db");
    mirror.ends(0, &["backup", old.to_str().unwrap()]);

    let daemon = mirror.running_daemon();
    // The first copy and the old one are two.
    assert_said!(mirror.wait_logged_times(journal::BACKED_UP, 2), VARIES, @"INFO backed up 20 talks into [folder]/backups/talks-[time].db: [n] KiB in [n] s; removed 1 older bytes=[n] talks=20");
    assert!(!old.exists());
    for _ in 0..2 {
        wait_for_another(&mirror);
    }
    mirror.wait_sql("no trouble", "SELECT count(*) FROM mirror_info WHERE key = 'backup.trouble'", 0);
    assert_said!(line(&mirror), VARIES, @"last [n] s ago: [folder]/backups/talks-[time].db, [n] KiB; next within a second; 2 are kept");
    let (_, metrics) = mirror.get(port, "/metrics");
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("talkmirror_backup_last_success_timestamp_seconds") > unix_now() as f64 - 60.0);
    assert!(value("talkmirror_backup_bytes") > 8192.0);
    assert_eq!(value("talkmirror_backup_trouble"), 0.0);
    daemon.stop();
    // Nobody makes another.
    assert_said!(line(&mirror), VARIES, @"last [n] s ago: [folder]/backups/talks-[time].db, [n] KiB; 2 are kept");

    let ours: Vec<String> = dated(&folder).into_iter().filter(|name| name.as_str() > "talks-2021").collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    for name in &ours {
        assert_whole(&folder.join(name));
        assert_eq!(read::<i64>(&folder.join(name), "SELECT count(*) FROM talks"), 20);
    }
    assert!(!old.exists());
    assert_eq!(read::<String>(&another, "SELECT value FROM mirror_info WHERE key = 'account_id'"), "4711");
    for name in others {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "somebody's", "{name}");
    }
    assert_eq!(names(&folder).len(), others.len() + 1 + 2, "and nothing else: {:?}", names(&folder));
}

#[test]
fn a_folder_that_is_gone_is_told_of_once_and_in_the_status_until_it_is_back() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    let folder = mirror.path("disk");
    fs::create_dir(&folder).unwrap();
    let more = format!("backup.path = \"{}\"\nbackup.schedule = \"* * * * * *\"\n", folder.display());
    mirror.configure(&more);
    let daemon = mirror.running_daemon();
    wait_for_another(&mirror);
    fs::remove_dir_all(&folder).unwrap();
    let failures = "SELECT coalesce(max(value ->> 'at' - (value ->> 'since')), 0) >= 3 FROM mirror_info
                     WHERE key = 'backup.trouble'";
    mirror.wait_sql("it fails again and again", failures, 1);
    assert!(!folder.exists(), "a disk that is not mounted is not filled by mistake");
    let (status, _) = mirror.ends(1, &["status"]);
    // At its schedule, which is each second.
    assert_said!(complaints(&status).replace("in 1 s", "in a second"), @"
    ! the backup failed [n] s ago: there is no folder [folder]/disk: create it, or mount what belongs there
      → correct that; the backup is retried in a second, or at once by `systemctl reload talkmirror` (SIGHUP)
    ");
    assert_eq!(mirror.logged(journal::BACKUP_FAILED).len(), 1, "{}", mirror.log());
    fs::create_dir(&folder).unwrap();
    wait_for_another(&mirror);
    let (status, _) = mirror.ends(0, &["status"]);
    assert_eq!(complaints(&status), "");
    daemon.stop();
    assert_eq!(mirror.logged(journal::BACKUP_FAILED).len(), 1, "{}", mirror.log());
}

#[test]
fn a_reload_switches_backups_on_and_off_and_tries_a_failed_one_at_once() {
    let mirror = mirror(3, "");
    let daemon = mirror.running_daemon();
    let rare = |folder: &Path| {
        format!("backup.path = \"{}\"\nbackup.schedule = \"0 0 0 1 1 *\"\n", folder.display())
    };
    assert_eq!(line(&mirror), "off");
    mirror.reload(&daemon, EVERY_SECOND);
    wait_for_another(&mirror);
    let folder = mirror.path("backups");
    assert!(!dated(&folder).is_empty());
    mirror.reload(&daemon, "");
    mirror.wait_sql("off", "SELECT count(*) FROM mirror_info WHERE key = 'backup.rules'", 0);
    assert_eq!(line(&mirror), "off");

    // As if the last backup had failed because the folder was missing.
    let other = mirror.path("other");
    mirror.reload(&daemon, EVERY_SECOND.replace("backups", &other.display().to_string()).as_str());
    mirror.wait_sql("it fails", "SELECT count(*) FROM mirror_info WHERE key = 'backup.trouble'", 1);
    fs::create_dir(&other).unwrap();
    mirror.reload(&daemon, &rare(&other));
    mirror.wait_sql("mended at once", "SELECT count(*) FROM mirror_info WHERE key = 'backup.trouble'", 0);
    assert!(!dated(&other).is_empty());
    daemon.stop();
}

#[test]
fn one_that_was_missed_while_the_daemon_was_down_is_made_up_for() {
    let yearly = "backup.path = \"backups\"\nbackup.schedule = \"0 0 0 1 1 *\"\n";
    let mirror = mirror(3, yearly);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it knows when", "SELECT count(*) FROM mirror_info WHERE key = 'backup.rules'", 1);
    daemon.stop();
    assert!(!mirror.path("backups").exists(), "none was due");
    // Backups were set up two years ago, and no daemon has run since.
    mirror.execute(
        "UPDATE mirror_info SET value = json_set(value, '$.since', unixepoch() - 63072000) WHERE key = 'backup.rules'",
    );
    let (status, _) = mirror.ends(1, &["status"]);
    // On the first of January before: how long that is depends on today.
    assert_said!(complaints(&status), [(r"\d+ d ago", "[n] d ago")], @"
    ! a backup was due [n] d ago and was not made; there is none yet
      → check that the daemon runs, and read its journal; or make a backup now: `talkmirror backup PATH`
    ");
    let daemon = mirror.running_daemon();
    mirror.wait("it is made", || mirror.sql::<i64>(LAST) > 0);
    assert_eq!(dated(&mirror.path("backups")).len(), 1);
    mirror.ends(0, &["status"]);
    daemon.stop();
}

#[test]
fn a_stop_ends_a_backup_under_way_and_leaves_nothing_half() {
    let mirror = mirror(10, EVERY_SECOND);
    fatten(&mirror, 150);
    let folder = mirror.path("backups");
    let half = || names(&folder).into_iter().filter(|name| name.starts_with(".talkmirror-copy-")).count();
    for _ in 0..3 {
        let mut daemon = mirror.daemon();
        // Stopped in the middle of a backup.
        let held = loop {
            mirror.wait("a backup is under way", || folder.exists() && half() > 0);
            daemon.signal(Signal::SIGSTOP);
            if half() > 0 {
                break dated(&folder);
            }
            daemon.signal(Signal::SIGCONT);
        };
        daemon.signal(Signal::SIGTERM);
        daemon.signal(Signal::SIGCONT);
        assert!(daemon.wait().success(), "{}", mirror.log());
        assert_eq!(names(&folder), held, "it was given up, and nothing is left of it");
        for name in &held {
            assert_whole(&folder.join(name));
        }
        let trouble = "SELECT count(*) FROM mirror_info WHERE key = 'backup.trouble'";
        assert_eq!(mirror.sql::<i64>(trouble), 0, "nothing is wrong with that");
    }
}

#[test]
fn what_cannot_be_kept_to_is_refused_in_the_configuration() {
    let mirror = Mirror::new(account(1));
    fs::write(mirror.path("file"), "").unwrap();
    mirror.configure("backup.path = \"file\"\nbackup.schedule = \"daily\"\nbackup.keep = 0\n");
    let (_, err) = mirror.ends(78, &["run"]);
    assert_said!(err, @r#"
    error: [folder]/config.toml: backup.schedule: expected a cron expression of six fields, seconds first, such as "0 0 3 * * *", found "daily"
    [folder]/config.toml: backup.keep: expected a whole number from 1 to 100000, found 0
    [folder]/config.toml: backup.path: expected the path of a folder, found a file at [folder]/file
    "#);
}

#[test]
fn a_schedule_of_two_restricted_days_ticks_on_either() {
    // Each day of the month, and a day of the week that is not near.
    let weekday = (unix_now() / 86_400 + 4 + 3) % 7;
    let more = format!("backup.path = \"backups\"\nbackup.schedule = \"* * * 1-31 * {weekday}\"\n");
    let mirror = mirror(1, &more);
    let daemon = mirror.running_daemon();
    wait_for_another(&mirror);
    wait_for_another(&mirror);
    assert_said!(line(&mirror), VARIES, @"last [n] s ago: [folder]/backups/talks-[time].db, [n] KiB; next within a second; 7 are kept");
    daemon.stop();
    assert!(mirror.logged(journal::BACKUP_STILL_UNDER_WAY).is_empty(), "{}", mirror.log());
}
