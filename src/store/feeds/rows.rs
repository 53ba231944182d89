//! The table `feeders`: the state of each, and where it continues after a restart.

use super::Feeder;
use crate::clock::UnixSeconds;
use crate::number;
use rusqlite::{Connection, OptionalExtension, named_params};

/// The state of a feeder to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Whose run it was.
    pub feeder: Feeder,
    /// When it ran, and how many ids that run queued. `None` in the middle of a run.
    pub ran: Option<(UnixSeconds, u64)>,
    /// Ids queued since the last note.
    pub added: u64,
    /// Why it did not read its list, if it did not.
    pub error: Option<String>,
    /// When the error was logged, if it was.
    pub warned_at: Option<UnixSeconds>,
    /// `None` keeps the stored cursor.
    pub cursor: Option<serde_json::Value>,
    /// The time.
    pub now: UnixSeconds,
}

/// A row of `feeders`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct FeederRow {
    /// The name of the feeder.
    pub feeder: String,
    /// Whether the configuration has it on.
    pub enabled: bool,
    /// When it last ran.
    pub ran_at: Option<UnixSeconds>,
    /// How many ids its last run queued.
    pub found: i64,
    /// How many ids all of its runs queued.
    pub found_in_all: i64,
    /// Its error, if it has one.
    pub trouble: Option<String>,
    /// Since when.
    pub trouble_since: Option<UnixSeconds>,
    /// When the journal last had a warning of it.
    pub warned_at: Option<UnixSeconds>,
    /// Where its next run begins.
    pub cursor: Option<serde_json::Value>,
}

/// Adds a run that found something to the feeder's row.
pub(super) fn note_run(
    connection: &Connection,
    feeder: Feeder,
    found: u64,
    now: UnixSeconds,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO feeders (feeder, enabled, ran_at, found, found_in_all) VALUES (?1, 1, ?2, ?3, ?3)
         ON CONFLICT (feeder) DO UPDATE
            SET ran_at = ?2, found = ?3, found_in_all = found_in_all + ?3,
                trouble = NULL, trouble_since = NULL",
        )?
        .execute((feeder.as_str(), now, number::whole(found)))?;
    Ok(())
}

/// Stores the state of a feeder.
///
/// # Errors
/// If the database cannot be written.
pub fn note(connection: &Connection, note: &Note) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO feeders (feeder, enabled, ran_at, found, found_in_all, trouble, trouble_since,
                                  warned_at, cursor)
             VALUES (:feeder, 1, :ran_at, coalesce(:found, 0), :added, :trouble,
                     CASE WHEN :trouble IS NOT NULL THEN :now END, :warned_at, :cursor)
             ON CONFLICT (feeder) DO UPDATE
                SET ran_at = coalesce(:ran_at, ran_at),
                    found = coalesce(:found, found),
                    found_in_all = found_in_all + :added,
                    trouble = :trouble,
                    trouble_since = CASE WHEN :trouble IS NOT NULL THEN coalesce(trouble_since, :now) END,
                    warned_at = coalesce(:warned_at, warned_at),
                    cursor = coalesce(:cursor, cursor)",
        )?
        .execute(named_params! {
            ":feeder": note.feeder.as_str(),
            ":ran_at": note.ran.map(|(at, _)| at),
            ":found": note.ran.map(|(_, found)| number::whole(found)),
            ":added": number::whole(note.added),
            ":trouble": note.error,
            ":warned_at": note.warned_at,
            ":cursor": note.cursor.as_ref().map(ToString::to_string),
            ":now": note.now,
        })?;
    Ok(())
}

/// Stores whether the running configuration enables a feeder. The rest of its row stays.
///
/// # Errors
/// If the database cannot be written.
pub fn note_enabled(connection: &Connection, feeder: Feeder, enabled: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO feeders (feeder, enabled, found, found_in_all) VALUES (?1, ?2, 0, 0)
             ON CONFLICT (feeder) DO UPDATE
                SET enabled = ?2, trouble = iif(?2, trouble, NULL), trouble_since = iif(?2, trouble_since, NULL)",
        )?
        .execute((feeder.as_str(), enabled))?;
    Ok(())
}

/// All feeders that a daemon has stored.
///
/// # Errors
/// If the database cannot be read.
pub fn rows(connection: &Connection) -> rusqlite::Result<Vec<FeederRow>> {
    let mut rows = Vec::new();
    for feeder in Feeder::ALL {
        rows.extend(row(connection, feeder)?);
    }
    Ok(rows)
}

/// One feeder, if a daemon has stored it.
///
/// # Errors
/// If the database cannot be read.
pub fn row(connection: &Connection, feeder: Feeder) -> rusqlite::Result<Option<FeederRow>> {
    connection
        .prepare_cached("SELECT * FROM feeders WHERE feeder = ?1")?
        .query_row([feeder.as_str()], |row| {
            let cursor: Option<String> = row.get("cursor")?;
            Ok(FeederRow {
                feeder: row.get("feeder")?,
                enabled: row.get("enabled")?,
                ran_at: row.get("ran_at")?,
                found: row.get("found")?,
                found_in_all: row.get("found_in_all")?,
                trouble: row.get("trouble")?,
                trouble_since: row.get("trouble_since")?,
                warned_at: row.get("warned_at")?,
                // A damaged cursor starts again.
                cursor: cursor.and_then(|text| serde_json::from_str(&text).ok()),
            })
        })
        .optional()
}
