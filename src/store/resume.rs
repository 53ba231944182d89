//! `talkmirror resume`: how a command asks the process that works the queue to end its pause, through `mirror_info`.

use super::info;
use rusqlite::Connection;

const ASKED_AT: &str = "resume.asked_at";

/// Asks that the pause end now, with a probe; `now` in Unix seconds.
///
/// # Errors
/// When the database cannot be written.
pub fn ask(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
        .execute((ASKED_AT, now.to_string()))?;
    Ok(())
}

/// Whether somebody has asked, and nobody has taken it up yet.
///
/// # Errors
/// When the database cannot be read.
pub fn is_asked(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(info(connection, ASKED_AT)?.is_some())
}

/// Takes it up; false if nobody has asked.
///
/// # Errors
/// When the database cannot be written.
pub fn take(connection: &Connection) -> rusqlite::Result<bool> {
    let moved = connection.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([ASKED_AT])?;
    Ok(moved == 1)
}
