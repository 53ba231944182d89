//! Copies of the database, made while it is written.
//!
//! A copy shows one moment of the database, and is complete and checked before it gets its name. It is one file
//! that can be read anywhere, even on read-only media. Nothing is overwritten, and an unfinished copy leaves
//! nothing under the final name. Copying only reads the database, and holds no lock that a writer would wait for.

pub(crate) mod state;

pub(crate) use crate::sqlite::backup::{BackupError, CopyProgress};

use super::{StoreError, connect, identify};
use crate::clock::{self, UnixSeconds};
use crate::sqlite::backup::{
    CopyUnderWay, Scratch, Target, as_the_database, check_folder as check_room, copy, dated, full_or,
    require_folder, sql, sync_folder,
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The contents of a complete copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    pub account_id: Option<i64>,
    /// The schema version.
    pub schema: i64,
    pub talks: i64,
    /// The daemon's last sign of life in it: the moment that the copy shows.
    pub seen_at: Option<UnixSeconds>,
}

/// A finished copy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Copied {
    pub path: PathBuf,
    pub bytes: u64,
    pub contents: Contents,
    /// How long it took.
    pub seconds: f64,
}

/// Copies the database to a new file, or into a folder under a dated name.
///
/// The copy has the database's mode. If its group differs, that group may do what others may.
///
/// # Errors
/// See [`BackupError`].
pub(crate) fn back_up(
    database: &Path,
    to: &Path,
    now: UnixSeconds,
    progress: &Arc<CopyProgress>,
) -> Result<Copied, BackupError> {
    let _reading = CopyUnderWay::begin();
    let began = clock::mono();
    let target = Target::of(to, database)?;
    let scratch = Scratch::new(target.folder())?;
    let contents = copy_checked(database, &scratch, progress)?;
    let copy = scratch.copy();
    let io = |step| {
        let path = target.folder().to_owned();
        move |source| BackupError::Io { step, path, source }
    };
    as_the_database(&copy, database, target.folder()).map_err(io("set the rights of a file in"))?;
    let bytes = copy.metadata().map_err(io("read"))?.len();
    File::open(&copy).and_then(|file| file.sync_all()).map_err(|source| full_or(&target, source))?;
    progress.check_stopped()?;
    let path = target.take(copy, now)?;
    sync_folder(target.folder()).map_err(io("write"))?;
    Ok(Copied { path, bytes, contents, seconds: clock::since(began).as_secs_f64() })
}

/// Copies a database into a new file and reads all of the copy before anyone sees it.
pub(super) fn copy_checked(
    source: &Path,
    scratch: &Scratch,
    progress: &Arc<CopyProgress>,
) -> Result<Contents, BackupError> {
    let copied = copy(open(source)?, source, scratch, progress)?;
    let schema = identify(&copied, source)?;
    contents(&copied, schema).map_err(sql("check the copy of", source, scratch.within()))
}

/// What a complete file contains.
pub(super) fn contents_of(path: &Path) -> Result<Contents, BackupError> {
    let connection = open(path)?;
    let schema = identify(&connection, path)?;
    contents(&connection, schema).map_err(sql("read", path, path))
}

/// Removes the oldest dated copies of the same account beside a new one and keeps `keep`. Returns how many it
/// removed.
///
/// # Errors
/// If the folder cannot be read, or a file cannot be removed.
pub(crate) fn prune(copied: &Copied, stem: &str, keep: usize) -> io::Result<usize> {
    let is_ours = |path: &Path| {
        open(path).is_ok_and(|copy| super::account_id(&copy).ok() == Some(copied.contents.account_id))
    };
    dated::prune(&copied.path, stem, keep, is_ours)
}

fn contents(connection: &Connection, schema: i64) -> rusqlite::Result<Contents> {
    Ok(Contents {
        account_id: super::account_id(connection)?,
        schema,
        talks: connection.query_row("SELECT count(*) FROM talks", [], |row| row.get(0))?,
        seen_at: connection.query_row("SELECT max(seen_at) FROM daemon_status", [], |row| row.get(0))?,
    })
}

/// Opens a database of this or an earlier version for reading.
pub(super) fn open(path: &Path) -> Result<Connection, BackupError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()).into());
    }
    let opened = || {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok((identify(&connection, path)?, connection))
    };
    match opened() {
        Ok((0, _)) => Err(StoreError::Missing(path.to_owned()).into()),
        Ok((_, connection)) => Ok(connection),
        Err(StoreError::Open { source, .. } | StoreError::Sql(source))
            if source.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
        {
            Err(BackupError::Damaged { path: path.to_owned(), found: source.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks that a copy of the database could go to the folder now, as far as possible without writing there.
///
/// # Errors
/// Why it could not go there.
pub(crate) fn check_folder(database: &Path, folder: &Path) -> Result<(), BackupError> {
    require_folder(folder)?;
    check_room(&open(database)?, database, folder)
}

#[cfg(test)]
mod tests;
