//! The database that a restore finds in its place.

use super::{RestoreError, io_error, sql};
use crate::sqlite::causes;
use crate::sqlite::hold::{HeldDatabase, hold};
use crate::store::{StoreError, connect, identify, info};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Who has the database open gets so long to end a transaction.
const EXCLUSIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is at the database's place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    Nothing,
    /// A mirror, of this account if it knows one yet.
    Mirror(Option<i64>),
    /// Something that is no sound database, and why.
    Damaged(String),
}

/// Looks at the database; only what SQLite calls damaged counts as that.
pub fn present(database: &Path) -> Result<Present, RestoreError> {
    if !database.try_exists().map_err(io_error("look at", database))? {
        return Ok(Present::Nothing);
    }
    let read = |flags| -> Result<Option<i64>, StoreError> {
        let connection = connect(database, flags)?;
        connection.busy_timeout(EXCLUSIVE_TIMEOUT)?;
        match identify(&connection, database) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(StoreError::Newer { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(account(&connection)?)
    };
    let mut found = read(OpenFlags::SQLITE_OPEN_READ_ONLY);
    if found.as_ref().is_err_and(|error| code(error) == Some(ErrorCode::ReadOnly)) {
        // A write was cut off by a kill: to read it, SQLite must take it back first.
        found = read(OpenFlags::SQLITE_OPEN_READ_WRITE);
    }
    match found {
        Ok(account_id) => Ok(Present::Mirror(account_id)),
        Err(error) => refused_or_damaged(error, database).map(Present::Damaged),
    }
}

/// Why a database is damaged, where that is what an error of it tells.
pub fn refused_or_damaged(error: StoreError, database: &Path) -> Result<String, RestoreError> {
    let damaged = matches!(error, StoreError::NotADatabase(_));
    match code(&error) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Err(RestoreError::InUse(database.to_owned()))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Err(RestoreError::Store(StoreError::ReadOnly(database.to_owned())))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(causes(&error)),
        _ if damaged => Ok(causes(&error)),
        _ => Err(RestoreError::Store(error)),
    }
}

fn code(error: &StoreError) -> Option<ErrorCode> {
    match error {
        StoreError::Open { source, .. } | StoreError::Sql(source) => source.sqlite_error_code(),
        _ => None,
    }
}

/// The account of the talks, else the one that is noted. A table may be missing: that is why one restores.
fn account(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let has = |table: &str, column: &str| {
        connection.query_row(
            "SELECT count(*) > 0 FROM pragma_table_info(?1) WHERE name = ?2",
            [table, column],
            |row| row.get::<_, bool>(0),
        )
    };
    if has("talks", "account_id")? {
        let of_talks: Option<i64> =
            connection.query_row("SELECT (SELECT account_id FROM talks LIMIT 1)", [], |row| row.get(0))?;
        if of_talks.is_some() {
            return Ok(of_talks);
        }
    }
    if !has("mirror_info", "value")? {
        return Ok(None);
    }
    Ok(info(connection, "account_id")?.and_then(|id| id.parse().ok()))
}

/// The old database, for a moment.
pub enum Settled {
    Held(HeldDatabase),
    Damaged(String),
}

/// Folds the write-ahead log into the old database. Who else has it open would go on writing into it, and when
/// done remove the log of the new one by its name: while such programs are there nothing is replaced.
pub fn settle(database: &Path) -> Result<Settled, RestoreError> {
    let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(RestoreError::Store)?;
    if connection.is_readonly("main").map_err(sql("settle", database))? {
        return Err(RestoreError::Store(StoreError::ReadOnly(database.to_owned())));
    }
    match hold(connection, EXCLUSIVE_TIMEOUT) {
        Ok(Some(held)) => Ok(Settled::Held(held)),
        Ok(None) => Err(RestoreError::InUse(database.to_owned())),
        Err(source) => {
            let path = database.to_owned();
            refused_or_damaged(StoreError::Open { step: "settle", path, source }, database)
                .map(Settled::Damaged)
        }
    }
}
