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
