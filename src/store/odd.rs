//! `odd_fields`: optional fields with a value of a shape that the API does not document.

use super::info;
use crate::clock::UnixSeconds;
use crate::talk::TalkId;
use rusqlite::{Connection, Transaction};
use std::collections::BTreeMap;

/// A field, and the responses with such a value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct OddField {
    pub field: String,
    pub answers: i64,
    /// The talk of the last response, …
    pub last_talk_id: TalkId,
    /// … and when it came.
    pub last_at: UnixSeconds,
}

/// Counts the fields of one response.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn note(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    fields: &[&'static str],
    at: UnixSeconds,
) -> rusqlite::Result<()> {
    for field in fields {
        tx.prepare_cached(
            "INSERT INTO odd_fields (field, answers, last_talk_id, last_at) VALUES (?1, 1, ?2, ?3)
             ON CONFLICT (field) DO UPDATE SET answers = answers + 1, last_talk_id = ?2, last_at = ?3",
        )?
        .execute((field, talk_id, at))?;
    }
    Ok(())
}

/// A key in `mirror_info`, followed by the field. The value is a decimal number.
const REPORTED_AT: &str = "odd_fields.reported_at.";

/// When each field was last reported in the journal.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn reported_at(connection: &Connection) -> rusqlite::Result<BTreeMap<String, UnixSeconds>> {
    connection
        .prepare_cached(
            "SELECT substr(key, 1 + length(?1)), CAST(value AS INTEGER) FROM mirror_info WHERE key GLOB ?1 || '*'",
        )?
        .query_map([REPORTED_AT], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Stores that a field was reported in the journal.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn note_reported(connection: &Connection, field: &str, at: UnixSeconds) -> rusqlite::Result<()> {
    info::set_text(connection, &format!("{REPORTED_AT}{field}"), &at.to_string())
}

/// Every field that was ever odd.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn fields(connection: &Connection) -> rusqlite::Result<Vec<OddField>> {
    connection
        .prepare_cached("SELECT field, answers, last_talk_id, last_at FROM odd_fields ORDER BY field")?
        .query_map([], |row| {
            Ok(OddField {
                field: row.get(0)?,
                answers: row.get(1)?,
                last_talk_id: row.get(2)?,
                last_at: row.get(3)?,
            })
        })?
        .collect()
}

/// Among the newest stored talks: how many there are, and how many have no key `missed_at`.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn without_missed_at(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(json_type(payload, '$.missed_at') IS NULL), 0)
               FROM (SELECT payload FROM talks ORDER BY talk_id DESC LIMIT 50) WHERE json_valid(payload)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}
