//! Holding a database alone for a moment: all of it in its one file, and nobody else with it open.

use super::persist_wal;
use rusqlite::Connection;
use std::time::Duration;

/// All of the old database is in its one file, and nobody else can open it. Dropped, it is as it was.
pub struct HeldDatabase {
    pub connection: Connection,
    was_wal: bool,
}

impl HeldDatabase {
    /// Lets go of it as it is: one file.
    pub fn leave(mut self) {
        self.was_wal = false;
    }
}

impl Drop for HeldDatabase {
    fn drop(&mut self) {
        if self.was_wal {
            persist_wal(&self.connection);
            // Where it fails, the daemon does it at its start.
            let _ = self
                .connection
                .execute_batch("PRAGMA main.locking_mode = NORMAL; PRAGMA main.journal_mode = WAL");
            // It makes the files that a reader may not be able to make.
            let _ = self.connection.execute_batch("SELECT count(*) FROM main.sqlite_schema");
        }
    }
}

/// Folds the WAL into the database and keeps everybody else off. `None` if somebody has it open for longer than
/// `timeout`.
///
/// # Errors
/// When the database cannot be read or written.
pub fn hold(connection: Connection, timeout: Duration) -> rusqlite::Result<Option<HeldDatabase>> {
    let mut held = HeldDatabase { connection, was_wal: false };
    Ok(fold(&mut held, timeout)?.then_some(held))
}

fn fold(held: &mut HeldDatabase, timeout: Duration) -> rusqlite::Result<bool> {
    let HeldDatabase { connection, was_wal } = held;
    connection.busy_timeout(timeout)?;
    let mode = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let before = mode("PRAGMA journal_mode")?;
    if mode("PRAGMA journal_mode = DELETE")? != "delete" {
        return Ok(false);
    }
    *was_wal = before == "wal";
    mode("PRAGMA main.locking_mode = EXCLUSIVE")?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(true)
}
