use super::*;
use crate::store::{self, lock};
use tempfile::TempDir;

fn database() -> (TempDir, PathBuf, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talks.db");
    let connection = store::open(&path, true).unwrap();
    connection.execute_batch("CREATE TABLE pages (number INTEGER PRIMARY KEY, page BLOB) STRICT").unwrap();
    (folder, path, connection)
}

/// Commits a few pages, one of a hundred thousand.
fn write(connection: &Connection, number: i64) {
    connection
        .execute("INSERT OR REPLACE INTO pages VALUES (?1 % 100000, randomblob(100000))", [number])
        .unwrap();
}

#[test]
fn the_log_begins_anew_also_where_the_writer_is_never_idle() {
    let (folder, path, connection) = database();
    let checkpointer = Checkpointer::start(&connection, &path, &WalView::default()).unwrap();
    let began = Instant::now();
    let (mut number, mut most, mut restarts) = (0, 0, 0);
    while restarts < 2 {
        write(&connection, number);
        checkpointer.committed(&connection);
        number += 1;
        restarts += i32::from(FRAMES.get() < most);
        most = FRAMES.get();
        assert!(began.elapsed() < Duration::from_secs(120), "{most} frames, never taken back");
    }
    // Another one reads what was written, and all of it is there.
    let reader = Connection::open(&path).unwrap();
    let rows: i64 = reader.query_row("SELECT count(*) FROM pages", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, number);
    drop(reader);
    checkpointer.stop();
    drop(connection);
    assert_eq!(folder.path().join("talks.db-wal").metadata().unwrap().len(), 0, "kept, and empty");
}

#[test]
fn beside_a_process_at_work_nobody_else_makes_checkpoints() {
    let (_folder, path, connection) = database();
    drop(connection);
    let of = || -> i64 {
        let other = store::open(&path, false).unwrap();
        other.query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(of(), 8000, "else the log would grow for ever");
    let lock = lock::acquire(&path).unwrap();
    assert_eq!(of(), 0);
    drop(lock);
}

#[test]
fn the_writer_moves_less_at_once_on_a_slow_disk_and_slowly_more_again() {
    let (slow, quick) = (Duration::from_millis(40), Duration::from_millis(3));
    assert_eq!(next_rest(REST, quick), REST);
    assert_eq!(next_rest(REST, slow), REST / 2);
    assert_eq!((0..20).fold(REST, |rest, _| next_rest(rest, slow)), LEAST_REST);
    assert_eq!(next_rest(LEAST_REST, quick), LEAST_REST + MORE_REST);
    assert_eq!((0..100).fold(LEAST_REST, |rest, _| next_rest(rest, quick)), REST);
}

#[test]
fn a_checkpoint_of_the_writer_s_that_fails_is_not_tried_at_each_commit() {
    let (_folder, path, connection) = database();
    let checkpointer = Checkpointer::start(&connection, &path, &WalView::default()).unwrap();
    // None can be made within a transaction.
    connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO pages VALUES (1, zeroblob(100))").unwrap();
    checkpointer.shared.finish.store(true, Ordering::Relaxed);
    checkpointer.committed(&connection);
    assert!(!checkpointer.shared.finish.load(Ordering::Relaxed));
    checkpointer.stop();
}

#[test]
fn where_there_is_no_thread_it_is_tried_again() {
    let error = no_thread(&io::ErrorKind::WouldBlock.into());
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OutOfMemory));
    assert!(error.to_string().starts_with("cannot start a thread for checkpoints: "), "{error}");
}
