//! Exclusive use of a database for a moment, with all of it in one file.

use super::persist_wal;
use rusqlite::Connection;
use std::time::Duration;

/// The old database is in one file, and no other process can open it. Dropping this restores the earlier state.
pub(crate) struct HeldDatabase {
    pub connection: Connection,
    was_wal: bool,
}

impl HeldDatabase {
    /// Releases it as it is: one file.
    pub(crate) fn leave(mut self) {
        self.was_wal = false;
    }
}

impl Drop for HeldDatabase {
    fn drop(&mut self) {
        if self.was_wal {
            persist_wal(&self.connection);
            // If this fails, the daemon does it at its start.
            let _ = self
                .connection
                .execute_batch("PRAGMA main.locking_mode = NORMAL; PRAGMA main.journal_mode = WAL");
            // This creates the files that a reader may not be able to create.
            let _ = self.connection.execute_batch("SELECT count(*) FROM main.sqlite_schema");
        }
    }
}

/// Moves the WAL into the database and locks out other processes. `None` if one has it open for longer than
/// `timeout`.
///
/// # Errors
/// If the database cannot be read or written.
pub(crate) fn hold(connection: Connection, timeout: Duration) -> rusqlite::Result<Option<HeldDatabase>> {
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
