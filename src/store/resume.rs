//! `talkmirror resume`: how a command asks the process that works the queue to end its pause, through `mirror_info`.

use super::info;
use rusqlite::Connection;

const ASKED: &str = "resume.asked";

/// Asks that the pause end now, with a probe; `now` in Unix seconds.
///
/// # Errors
/// When the database cannot be written.
pub fn ask(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
        .execute((ASKED, format!("{now} by process {}", std::process::id())))?;
    Ok(())
}

/// Who has asked, and when, for what is not done yet.
///
/// # Errors
/// When the database cannot be read.
pub fn asked(connection: &Connection) -> rusqlite::Result<Option<String>> {
    info(connection, ASKED)
}

/// The probe is answered, or nothing pauses.
///
/// # Errors
/// When the database cannot be written.
pub fn done(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([ASKED])?;
    Ok(())
}
