use super::*;
use crate::sqlite::beside;
use crate::store::migrations::tests::{NEXT, upgrade};
use crate::store::{self, SCHEMA_VERSION};
use rusqlite::ffi;

/// A database with a talk, a row in the queue and a pause.
fn database(path: &Path) -> Connection {
    let connection = store::open(path, true).unwrap();
    connection
        .execute_batch(
            "INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, account_id, payload,
                                first_fetched_at, fetched_at, changed_at)
             VALUES (1, 1, 1, 1, 1, 0, 7, '{}', 1, 1, 1);
             INSERT INTO mirror_info VALUES ('account_id', '7');
             INSERT INTO talk_queue (talk_id, reason) VALUES (5, 'ann');
             INSERT INTO daemon_status (id, mode, version, pid, started_at, seen_at, pause_reason,
                                        requests_per_second, request_rate)
             VALUES (1, 'run', '0', 9, 1, 100, 'unpaid', 6, 0);",
        )
        .unwrap();
    connection
}

#[test]
fn a_backup_of_an_earlier_schema_is_migrated_and_an_earlier_database_taken_over_from() {
    const NEXT_VERSION: i64 = SCHEMA_VERSION + 1;
    for (old, present) in
        [(SCHEMA_VERSION, SCHEMA_VERSION), (SCHEMA_VERSION, NEXT_VERSION), (NEXT_VERSION, SCHEMA_VERSION)]
    {
        let folder = tempfile::tempdir().unwrap();
        let (path, backup) = (folder.path().join("talks.db"), folder.path().join("backup.db"));
        let of_schema = |path: &Path, schema: i64, change: &str| {
            NEXT.set(None);
            if schema == NEXT_VERSION {
                upgrade();
            }
            database(path).execute_batch(change).unwrap();
        };
        of_schema(&backup, old, "DELETE FROM talk_queue");
        of_schema(&path, present, "UPDATE daemon_status SET seen_at = 200");
        upgrade();
        let restore = Restore::prepare(&backup, &path, &Arc::default()).unwrap();
        assert_eq!(restore.contents.schema, old);
        let restored = restore.put_in_place(UnixSeconds::EPOCH).unwrap();
        let carried = restored.carried.unwrap();
        assert_eq!((carried.queued, carried.differing), (1, 0), "{old} {present}");
        assert!(restored.kept.unwrap().ends_with("talks.db.before-restore-1970-01-01T000000Z"));
        let connection = store::open_read_only(&path).unwrap();
        let status = store::status::DaemonStatus::read(&connection).unwrap().unwrap();
        assert_eq!((status.seen_at.get(), status.pause.unwrap().reason.as_str()), (200, "unpaid"));
    }
}

#[test]
fn an_older_daemon_status_is_replaced_and_without_any_it_is_not_running() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("talks.db"), folder.path().join("backup.db"));
    database(&backup);
    database(&path).execute_batch("UPDATE daemon_status SET seen_at = 50, pause_reason = NULL").unwrap();
    let restore = || {
        Restore::prepare(&backup, &path, &Arc::default()).unwrap().put_in_place(UnixSeconds::EPOCH).unwrap();
        store::status::DaemonStatus::read(&store::open_read_only(&path).unwrap()).unwrap().unwrap()
    };
    let status = restore();
    assert_eq!((status.seen_at.get(), status.pause.is_some()), (100, true));
    fs::remove_file(&path).unwrap();
    assert_eq!(restore().stopped_at, Some(UnixSeconds::new(100)), "that process is no more");
}

#[test]
fn closings_that_are_carried_get_numbers_above_what_the_server_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("talks.db"), folder.path().join("backup.db"));
    let closing = "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
                   VALUES (1, 'live', 1, 'missed', 1, 1, 'closed', 1)";
    database(&path).execute_batch(closing).unwrap();
    for (floor, top, number) in [(90, 30, 91), (20, 30, 31)] {
        let _ = fs::remove_file(&backup);
        database(&backup)
            .execute_batch(&format!(
                "INSERT INTO mirror_info VALUES ('publish.capture', json_object('floor', {floor}));
                 INSERT INTO changes (talk_id, seq) VALUES (2, {top})"
            ))
            .unwrap();
        let restore = Restore::prepare(&backup, &path, &Arc::default()).unwrap();
        restore.put_in_place(UnixSeconds::EPOCH).unwrap();
        let seq = "SELECT seq FROM changes WHERE talk_id = 1";
        let connection = store::open_read_only(&path).unwrap();
        assert_eq!(connection.query_row(seq, [], |row| row.get(0)), Ok(number));
    }
}

#[test]
fn a_name_that_is_taken_is_left_to_whom_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("talks.db");
    fs::write(&database, "old").unwrap();
    fs::write(folder.path().join("talks.db.before-restore-1970-01-01T000000Z"), "earlier").unwrap();
    fs::write(folder.path().join("talks.db.before-restore-1970-01-01T000001Z-wal"), "its log").unwrap();
    fs::write(folder.path().join("talks.db-wal"), "log").unwrap();
    let kept = KeptFile::new(&database, UnixSeconds::EPOCH).unwrap().keep().unwrap();
    assert!(kept.ends_with("talks.db.before-restore-1970-01-01T000002Z"));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "old");
    assert_eq!(fs::read_to_string(beside(&kept, "-wal")).unwrap(), "log");
    assert!(!folder.path().join("talks.db-wal").exists());
}

#[test]
fn what_was_taken_away_for_a_database_that_is_then_not_replaced_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("talks.db");
    for (name, text) in [("talks.db", "old"), ("talks.db-wal", "log"), ("talks.db-journal", "journal")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let kept = KeptFile::new(&database, UnixSeconds::EPOCH).unwrap();
    assert!(!folder.path().join("talks.db-wal").exists());
    drop(kept);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        (read("talks.db"), read("talks.db-wal"), read("talks.db-journal")),
        ("old".into(), "log".into(), "journal".into())
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "and has no second name");
}

#[test]
fn what_a_kill_left_under_the_second_name_of_the_database_belongs_to_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("talks.db");
    fs::write(&database, "old").unwrap();
    fs::write(folder.path().join("talks.db-wal"), "log").unwrap();
    // As a kill would.
    std::mem::forget(KeptFile::new(&database, UnixSeconds::EPOCH).unwrap());
    tidy(&database);
    assert_eq!(fs::read_to_string(folder.path().join("talks.db-wal")).unwrap(), "log");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn only_what_sqlite_calls_damaged_is_damaged() {
    let path = Path::new("talks.db");
    let judged = |code| {
        let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        present::refused_or_damaged(StoreError::Sql(source), path)
    };
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
        assert!(judged(code).is_ok());
    }
    for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_BUSY_RECOVERY, ffi::SQLITE_PROTOCOL] {
        assert!(matches!(judged(code), Err(RestoreError::InUse(_))));
    }
    for code in
        [ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR_READ, ffi::SQLITE_NOMEM, ffi::SQLITE_ERROR, ffi::SQLITE_FULL]
    {
        assert!(matches!(judged(code), Err(RestoreError::Store(_))));
    }
}

#[test]
fn a_broken_view_of_others_in_an_earlier_backup_does_not_stop_its_migration() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("talks.db"), folder.path().join("backup.db"));
    database(&backup).execute_batch("CREATE VIEW theirs AS SELECT * FROM no_such_table").unwrap();
    upgrade();
    Restore::prepare(&backup, &path, &Arc::default()).unwrap().put_in_place(UnixSeconds::EPOCH).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        6,
        "each with a -wal and a -shm, and nothing else"
    );
}
