//! The database that a restore finds.

use super::{RestoreError, io_error, sql};
use crate::sqlite::busy_wait::is_lock;
use crate::sqlite::causes;
use crate::sqlite::hold::{HeldDatabase, hold};
use crate::store::{StoreError, account_id, connect, identify};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How long other processes get to end a transaction.
const EXCLUSIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is at the database's path now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Present {
    Nothing,
    /// A mirror, and its account if known.
    Mirror(Option<i64>),
    /// An unsound database, and why.
    Damaged(String),
}

/// Checks the database. Only what SQLite calls damaged counts as damaged.
pub(super) fn present(database: &Path) -> Result<Present, RestoreError> {
    if !database.try_exists().map_err(io_error("inspect", database))? {
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
        // A kill interrupted a write. To read the database, SQLite must roll it back first.
        found = read(OpenFlags::SQLITE_OPEN_READ_WRITE);
    }
    match found {
        Ok(account_id) => Ok(Present::Mirror(account_id)),
        Err(error) => refused_or_damaged(error, database).map(Present::Damaged),
    }
}

/// Why a database is damaged, if the error means that.
pub(super) fn refused_or_damaged(error: StoreError, database: &Path) -> Result<String, RestoreError> {
    let damaged = matches!(error, StoreError::NotADatabase(_));
    match code(&error) {
        Some(code) if is_lock(code) => Err(RestoreError::InUse(database.to_owned())),
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

/// The account of the talks, else the stored one. A table may be missing, which is a reason to restore.
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
    account_id(connection)
}

/// The old database, held for a moment.
pub(super) enum Settled {
    Held(HeldDatabase),
    Damaged(String),
}

/// Moves the WAL into the old database. Another process that has it open would keep writing to it, and on closing
/// remove the new database's WAL by its name. So nothing is replaced while there is one.
pub(super) fn settle(database: &Path) -> Result<Settled, RestoreError> {
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
