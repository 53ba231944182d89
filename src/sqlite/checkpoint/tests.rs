use super::*;
use crate::sqlite::lock;
use crate::store;
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
fn the_wal_restarts_even_if_the_writer_is_never_idle() {
    let (folder, path, connection) = database();
    let mut checkpoints = Checkpoints::new(&connection, &path, &WalView::default()).unwrap();
    let (mut number, mut most, mut restarts) = (0, 0, 0);
    while restarts < 2 {
        write(&connection, number);
        number += 1;
        restarts += i32::from(FRAMES.get() < most);
        most = FRAMES.get();
        assert!(most < 2 * CHECKPOINT_FRAMES, "{most} frames, never taken back");
        checkpoints.look(&connection);
    }
    // Another connection reads all that was written.
    let reader = Connection::open(&path).unwrap();
    let rows: i64 = reader.query_row("SELECT count(*) FROM pages", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, number);
    drop(reader);
    drop(connection);
    assert_eq!(folder.path().join("talks.db-wal").metadata().unwrap().len(), 0, "kept, and empty");
}

#[test]
fn the_few_are_moved_after_a_minute_and_a_reader_in_the_way_is_watched() {
    let (_folder, path, connection) = database();
    let mut checkpoints = Checkpoints::new(&connection, &path, &WalView::default()).unwrap();
    write(&connection, 1);
    checkpoints.look(&connection);
    assert_eq!(checkpoints.moved, 0, "not yet");
    let pass = |checkpoints: &mut Checkpoints, seconds| {
        checkpoints.tried -= Duration::from_secs(seconds);
        checkpoints.look(&connection);
        FRAMES.get() - checkpoints.moved
    };
    assert_eq!(pass(&mut checkpoints, 60), 0);
    assert!(checkpoints.moved > 0);

    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM pages").unwrap();
    write(&connection, 2);
    assert!(pass(&mut checkpoints, 60) > 0);
    assert!(checkpoints.wal_watch.is_watching());
    reader.execute_batch("COMMIT").unwrap();
    assert!(pass(&mut checkpoints, 0) > 0, "not at each commit");
    assert_eq!(pass(&mut checkpoints, 2), 0);
    assert!(!checkpoints.wal_watch.is_watching());
}

#[test]
fn beside_a_running_process_no_other_makes_checkpoints() {
    let (_folder, path, connection) = database();
    drop(connection);
    let of = || -> i64 {
        let other = store::open(&path, false).unwrap();
        other.query_row("PRAGMA wal_autocheckpoint", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(of(), 8000, "else the log would grow for ever");
    let lock = lock::acquire(&path, |_| None).unwrap();
    assert_eq!(of(), 0);
    drop(lock);
}

#[test]
fn one_that_fails_is_not_tried_at_each_commit() {
    let (_folder, path, connection) = database();
    let mut checkpoints = Checkpoints::new(&connection, &path, &WalView::default()).unwrap();
    // A checkpoint cannot be made within a transaction.
    connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO pages VALUES (1, zeroblob(100))").unwrap();
    checkpoints.tried -= MAX_DELAY;
    checkpoints.look(&connection);
    assert!(checkpoints.failing);
    connection.execute_batch("COMMIT").unwrap();
    checkpoints.look(&connection);
    assert!(checkpoints.failing, "not tried again at once");
    checkpoints.tried -= RETRY_INTERVAL;
    checkpoints.look(&connection);
    assert!(!checkpoints.failing);
    assert_eq!(FRAMES.get(), checkpoints.moved);
}
