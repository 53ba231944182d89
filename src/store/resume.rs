//! `talkmirror resume`: how a command asks the process that works the queue to end its pause, through `mirror_info`.

use super::info;
use rusqlite::Connection;

const ASKED: &str = "resume.asked";

/// Asks to end the pause now, with a probe. `now` is in Unix seconds.
///
/// # Errors
/// If the database cannot be written.
pub fn ask(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
        .execute((ASKED, format!("{now} by process {}", std::process::id())))?;
    Ok(())
}

/// The request that is not done yet: who asked, and when.
///
/// # Errors
/// If the database cannot be read.
pub fn asked(connection: &Connection) -> rusqlite::Result<Option<String>> {
    info(connection, ASKED)
}

/// Clears the request: the probe was answered, or nothing pauses.
///
/// # Errors
/// If the database cannot be written.
pub fn done(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([ASKED])?;
    Ok(())
}
