//! How many names of the account are stored.

use rusqlite::Connection;

/// Rows by table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NameCounts {
    pub users: i64,
    pub pipelines: i64,
    pub leads: i64,
    pub contacts: i64,
}

/// Counts the names.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<NameCounts> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM pipelines), (SELECT count(*) FROM leads),
                (SELECT count(*) FROM contacts)",
        [],
        |row| {
            Ok(NameCounts {
                users: row.get(0)?,
                pipelines: row.get(1)?,
                leads: row.get(2)?,
                contacts: row.get(3)?,
            })
        },
    )
}
