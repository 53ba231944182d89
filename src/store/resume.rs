//! `talkmirror resume`: how a command asks the process that works the queue to end its pause, through `mirror_info`.

use super::info::InfoKey;
use crate::clock::UnixSeconds;
use rusqlite::Connection;

const ASKED: InfoKey<String> = InfoKey::text("resume.asked");

/// Asks to end the pause now, with a probe.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn ask(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<()> {
    ASKED.set(connection, &format!("{now} by process {}", std::process::id()))
}

/// The request that is not done yet: who asked, and when.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn asked(connection: &Connection) -> rusqlite::Result<Option<String>> {
    ASKED.get(connection)
}

/// Clears the request: the probe was answered, or nothing pauses.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn done(connection: &Connection) -> rusqlite::Result<()> {
    ASKED.remove(connection)
}
