//! The SQLite database: how it is opened, and all SQL.
//!
//! A database of another program, of a newer version, or that cannot be written is refused before anything changes.
//! Related records are durable together. Readers never block writes. All writes of the daemon go through one thread
//! ([`writer`]); commands open their own connections.
//!
//! Uses `clock`, `directory`, `files`, `gate`, `language`, `named`, `number`, `policy`, `sqlite`, `talk`, `telemetry`, `text`. Alone knows `rusqlite`, with `sqlite`.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod changes;
pub(crate) mod closures;
pub(crate) mod completeness;
pub(crate) mod counts;
pub(crate) mod course;
pub(crate) mod exemptions;
pub mod feeds;
pub(crate) mod figures;
mod info;
pub(crate) mod lists;
pub mod local_time;
pub mod lock;
pub(crate) mod maintenance;
pub(crate) mod named;
pub(crate) mod odd;
pub mod queue;
pub mod record;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod retention;
pub(crate) mod schema;
pub(crate) mod sizes;
pub(crate) mod status;
pub(crate) mod story;
pub mod sweep;
mod talk_id;
pub(crate) mod tokens;
mod tombstones;
pub(crate) mod trial;
mod unix_seconds;
#[cfg(test)]
mod views;
pub mod writer;

pub use crate::sqlite::SCHEMA_VERSION;
pub use crate::sqlite::error::StoreError;
pub use rusqlite::{Connection, Error as SqlError};
#[cfg(test)]
pub(crate) use schema::migrations;

use crate::clock;
use crate::sqlite::{self, busy_wait, connect, owner, require_file};
use rusqlite::{ErrorCode, OpenFlags, TransactionBehavior};
use schema::migrations::{create, current, migrate};
use std::ffi::c_int;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a long migration reports progress, and how many SQLite steps are between two checks of the clock: some
/// milliseconds.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
const PROGRESS_STEPS: c_int = 100_000;

/// Opens the database for the process that holds the lock, and repairs missing views, triggers and indexes
/// ([`schema`]). It calls `on_progress` several times a second with the current step while it migrates, makes an
/// index, or waits for another process's lock ([`busy_wait`]).
///
/// # Errors
/// See [`StoreError`]. Nothing is changed then.
pub fn open_patiently(path: &Path, on_progress: fn(&str)) -> Result<Connection, StoreError> {
    open_as(path, true, Some(on_progress))
}

/// Opens the database for writing, and creates it if there is none.
///
/// `owner` means that the caller holds the lock ([`lock`]). Only then is an older schema migrated, because a
/// running daemon knows only its own schema.
///
/// # Errors
/// See [`StoreError`]. Nothing is changed then.
pub fn open(path: &Path, owner: bool) -> Result<Connection, StoreError> {
    open_as(path, owner, None)
}

fn open_as(path: &Path, owner: bool, on_progress: Option<fn(&str)>) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(StoreError::NoFolder(folder.to_owned()));
    }
    require_file(path)?;
    // Checked before this process opens the database.
    let held = if owner { None } else { lock::is_held(path) };
    if held == Some(true) {
        sqlite::refuse_other_name(path)?;
    }
    if !path.exists() {
        // The running process has lost its file, and must recreate it itself.
        if held == Some(true) {
            return Err(StoreError::Lost(path.to_owned()));
        }
        // If it cannot be created, SQLite reports why.
        let _ = owner::make(&lock::file_of(path), 0o644);
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if let Some(on_progress) = on_progress {
        busy_wait::begin(&connection, path, on_progress)?;
    }
    let version = identify(&connection, path)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    let sql = |step| {
        move |source| match source {
            rusqlite::Error::SqliteFailure(error, _)
                if matches!(error.code, ErrorCode::ReadOnly | ErrorCode::PermissionDenied) =>
            {
                StoreError::ReadOnly(path.to_owned())
            }
            source => StoreError::Open { step, path: path.to_owned(), source },
        }
    };
    if version == 0 {
        // Halves the pages written for random chat ids. Only a new file accepts it.
        connection.pragma_update(None, "page_size", 8192).map_err(sql("set up"))?;
    }
    let mode = sqlite::switch_to_wal(&connection).map_err(sql("switch to WAL mode"))?;
    if mode != "wal" {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 8000; -- until the writer makes them itself
             PRAGMA cache_size = -3000; -- KiB; more is faster on a full queue, and resident
             PRAGMA journal_size_limit = 67108864; -- a WAL that grew is cut back to 64 MiB",
        )
        .map_err(sql("set up"))?;
    sqlite::persist_wal(&connection);
    if held == Some(true) {
        // The running process makes checkpoints. Here one might take long if the WAL has grown.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(sql("set up"))?;
    }

    if (1..current().version()).contains(&version) {
        if !owner {
            return Err(StoreError::Older { path: path.to_owned(), found: version });
        }
        schema::older::may_migrate(&connection, path, version)?;
    }
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    if let Some(on_progress) = on_progress {
        // Waits for a current writer, so that the start's own writes usually find no lock.
        connection.transaction()?.rollback()?;
        let mut last: Option<Instant> = None;
        let progress = move || {
            if last.is_none_or(|last| clock::since(last) >= PROGRESS_INTERVAL) {
                last = Some(clock::mono());
                on_progress("bringing the database to this version's schema");
            }
            false
        };
        connection.progress_handler(PROGRESS_STEPS, Some(progress))?;
    }
    if version == 0 {
        create(&mut connection, path)?;
    }
    migrate(&mut connection).map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
    if on_progress.is_some() {
        // An index of many rows takes time.
        schema::repair(&mut connection, path)?;
    }
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens the database for reading, with or without a running daemon.
///
/// # Errors
/// See [`StoreError`].
pub fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    require_file(path)?;
    if sqlite::has_other_names(path) && lock::is_held(path) == Some(true) {
        sqlite::refuse_other_name(path)?;
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match identify(&connection, path)? {
        0 => Err(StoreError::Missing(path.to_owned())),
        found if found < current().version() => Err(StoreError::Older { path: path.to_owned(), found }),
        _ => Ok(connection),
    }
}

/// The schema version, 0 for an empty database. An error if it belongs to another program.
fn identify(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    // All in one transaction: another process may be creating the database.
    let moment = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
    let version = identify_now(connection, path)?;
    drop(moment);
    Ok(version)
}

fn identify_now(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let version = sqlite::identify(connection, path)?;
    if version != 0 && is_of_development(connection)? {
        return Err(StoreError::Development(path.to_owned()));
    }
    if version > current().version() {
        return Err(StoreError::Newer { path: path.to_owned(), found: version });
    }
    Ok(version)
}

/// Before the first release a table with all states had the name of what is now a view.
fn is_of_development(connection: &Connection) -> rusqlite::Result<bool> {
    let is_there = "EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name =";
    connection.query_row(
        &format!("SELECT {is_there} 'talk_versions') AND NOT {is_there} 'talk_history')"),
        [],
        |row| row.get(0),
    )
}

/// Reads several things at one moment.
///
/// # Errors
/// Those of `read`, or if the database cannot be read.
pub fn at_one_moment<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let moment = connection.unchecked_transaction()?;
    read(&moment)
}

/// The account that this database mirrors, once a talk of it is stored.
///
/// # Errors
/// If the database cannot be read.
pub fn account_id(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    account::ID.get(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_strict_and_every_column_has_its_comment() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("talks.db"), true).unwrap();
        let tables: Vec<(String, bool)> = connection
            .prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(tables.len() >= 6, "{tables:?}");
        for (table, strict) in tables {
            assert!(strict, "{table} is not STRICT");
            let sql: String = connection
                .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&table], |row| row.get(0))
                .unwrap();
            let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            for column in columns.query_map([&table], |row| row.get::<_, String>(0)).unwrap() {
                let column = column.unwrap();
                let line = sql
                    .lines()
                    .find(|line| line.trim_start().starts_with(&format!("{column} ")))
                    .unwrap_or_else(|| panic!("{table}.{column} has a line of its own"));
                // talk_history repeats the columns of talks and says so once.
                let repeated = table == "talk_history" && column != "valid_from";
                assert!(repeated || line.contains("-- "), "{table}.{column} has no comment");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::Foreign(_))));

        let path = folder.path().join("newer.db");
        drop(open(&path, true).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::Newer { found: 999, .. })));
        assert!(matches!(open_read_only(&path), Err(StoreError::Newer { found: 999, .. })));

        let path = folder.path().join("text.db");
        std::fs::write(&path, "this is no database, whatever its name says\n".repeat(30)).unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::NotADatabase(_))));
        assert!(matches!(open(&folder.path().join("no/such/talks.db"), true), Err(StoreError::NoFolder(_))));
    }

    #[test]
    fn the_wal_outlives_the_last_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("talks.db");
        drop(open(&path, true).unwrap());
        assert!(folder.path().join("talks.db-wal").exists());
        assert!(folder.path().join("talks.db-shm").exists());
    }
}
