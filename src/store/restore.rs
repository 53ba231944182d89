//! Replaces the database with a copy.
//!
//! Nothing is replaced before the copy was read completely and found to be this account's. The old file is kept,
//! complete in itself. At each moment the database's name leads to one of the two files, never with the other's WAL
//! beside it. What talkmirror did since the copy is not forgotten (`carry`). The caller holds the lock.

mod carry;
mod present;

pub(crate) use crate::sqlite::place::tidy;
pub(crate) use carry::Carried;
use carry::Origin;
pub(crate) use present::Present;

use super::backup::{self, BackupError, Contents, CopyProgress};
use super::{StoreError, changes, connect, migrate, schema};
use crate::clock::UnixSeconds;
use crate::files;
use crate::sqlite::backup::{Scratch, is_of_database, sync_folder};
use crate::sqlite::place::{self, KeptFile};
use present::{Settled, settle};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("there is no file {0}")]
    Missing(PathBuf),
    #[error("{0} is a folder: name one of the backups in it")]
    Folder(PathBuf),
    #[error("{path} is {kind}, not a file: name a backup")]
    NotAFile { path: PathBuf, kind: &'static str },
    #[error("{0} is the database itself, or a part of it: name a backup")]
    Live(PathBuf),
    #[error("{0} is not a backup: it is not a SQLite database")]
    NotADatabase(PathBuf),
    #[error("{0} is not a backup: it is a SQLite database of something else, or an empty one")]
    Foreign(PathBuf),
    #[error(
        "{path} is a backup of account {account}, and the database {database} mirrors account {present}: restore it \
         under another database.path, or move that database away first"
    )]
    OtherAccount { path: PathBuf, account: i64, database: PathBuf, present: i64 },
    #[error(
        "another program has {0} open: end it (`fuser -v` with that path names it), then restore again; nothing was \
         replaced"
    )]
    InUse(PathBuf),
    #[error(
        "{path} cannot be restored, because it is not as talkmirror created it: {broken}; use another \
         backup, or sync into a new database"
    )]
    Broken { path: PathBuf, broken: String },
    #[error(
        "cannot copy from {database} what talkmirror did since the backup, so nothing was replaced. Correct \
         that; or move the database with its -wal away by hand: then the restored one does not know what was \
         done since"
    )]
    Carry { database: PathBuf, source: rusqlite::Error },
    #[error("stopped: nothing was replaced")]
    Stopped,
    /// An error of the database to be replaced.
    #[error(transparent)]
    Store(StoreError),
    /// An error of the backup, or of the copy of it.
    #[error(transparent)]
    OfBackup(StoreError),
    #[error(transparent)]
    Backup(BackupError),
    #[error("cannot {step} {path}")]
    Io { step: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {step} {path}")]
    Sql { step: &'static str, path: PathBuf, source: rusqlite::Error },
}

/// A copy that is ready to replace the database.
#[derive(Debug)]
pub(crate) struct Restore {
    database: PathBuf,
    scratch: Scratch,
    pub contents: Contents,
    pub present: Present,
    origin: Origin,
}

/// A place for a file that is to replace the database.
#[derive(Debug)]
pub(crate) struct NewDatabase {
    database: PathBuf,
    scratch: Scratch,
    present: Present,
}

impl NewDatabase {
    /// Where the file is to be made.
    pub(crate) fn file(&self) -> PathBuf {
        self.scratch.copy()
    }

    /// The account of the database that is to be replaced, if it is known.
    pub(crate) fn present_account(&self) -> Option<i64> {
        match self.present {
            Present::Mirror(account) => account,
            Present::Nothing | Present::Damaged(_) => None,
        }
    }

    /// The file is complete: one, without a WAL.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn ready(self) -> Result<Restore, RestoreError> {
        let NewDatabase { database, scratch, present } = self;
        let contents = backup::contents_of(&scratch.copy()).map_err(RestoreError::Backup)?;
        Ok(Restore { database, scratch, contents, present, origin: Origin::Server })
    }
}

/// The result of a restore.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Where the old file is now, if there was one.
    pub kept: Option<PathBuf>,
    /// What the restored database took over from it, or why it could not.
    pub carried: Result<Carried, String>,
}

impl Restore {
    /// Reads a backup completely and makes a database of it beside the current one. Changes nothing there, except
    /// to clean up after a kill.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub(crate) fn prepare(
        path: &Path,
        database: &Path,
        progress: &Arc<CopyProgress>,
    ) -> Result<Restore, RestoreError> {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let real = path.canonicalize().map_err(|_| RestoreError::Missing(path.to_owned()))?;
        if real.is_dir() {
            return Err(RestoreError::Folder(path.to_owned()));
        }
        if let Some(kind) = files::special(&real) {
            return Err(RestoreError::NotAFile { path: path.to_owned(), kind });
        }
        if is_of_database(&real, &database) {
            return Err(RestoreError::Live(path.to_owned()));
        }
        tidy(&database);
        let present = present::present(&database)?;
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        let scratch = Scratch::new(folder.unwrap_or(Path::new("."))).map_err(RestoreError::Backup)?;
        let contents =
            backup::copy_checked(&real, &scratch, progress).map_err(|error| of_backup(error, path))?;
        if let (Some(account), Present::Mirror(Some(present))) = (contents.account_id, &present)
            && account != *present
        {
            let path = path.to_owned();
            return Err(RestoreError::OtherAccount { path, account, database, present: *present });
        }
        ready(&scratch.copy(), path)?;
        Ok(Restore { database, scratch, contents, present, origin: Origin::Backup })
    }

    /// Begins with a file that is yet to be made, beside the database: [`NewDatabase::file`].
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub(crate) fn with_new_file(database: &Path) -> Result<NewDatabase, RestoreError> {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        tidy(&database);
        let present = present::present(&database)?;
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        let scratch = Scratch::new(folder.unwrap_or(Path::new("."))).map_err(RestoreError::Backup)?;
        Ok(NewDatabase { database, scratch, present })
    }

    /// Replaces the database. The old file's new name contains `now`.
    ///
    /// # Errors
    /// Nothing is replaced then, unless the error says so.
    pub(crate) fn put_in_place(self, now: UnixSeconds) -> Result<Restored, RestoreError> {
        let Restore { database, scratch, present, origin, .. } = self;
        let new = scratch.copy();
        // Locks out other processes until the end.
        let mut held = None;
        let carried = match &present {
            Present::Nothing => Ok(Carried::default()),
            Present::Damaged(why) => Err(why.clone()),
            Present::Mirror(_) => match settle(&database)? {
                Settled::Held(old) => carried(&held.insert(old).connection, (&new, origin), &database)?,
                Settled::Damaged(why) => Err(why),
            },
        };
        if carried.is_err() || present == Present::Nothing {
            carry::nothing(&new).map_err(sql("prepare", &new))?;
        }
        place::to_wal(&new).map_err(sql("prepare", &new))?;
        let io = |step| io_error(step, &database);
        place::match_owner_and_mode(&new, &database, scratch.within())
            .map_err(io("set owner and mode of the replacement of"))?;
        let kept = KeptFile::new(&database, now).map_err(io("keep"))?;
        sync_folder(scratch.within()).map_err(io("keep"))?;
        fs::rename(&new, &database).map_err(io("replace"))?;
        let kept = kept.keep();
        if let Some(old) = held {
            old.leave();
        }
        sync_folder(scratch.within()).map_err(io("sync, after it was replaced,"))?;
        place::make_beside(&database);
        Ok(Restored { kept, carried })
    }
}

/// What was taken over, or why the old database is too damaged for it.
fn carried(
    old: &Connection,
    (new, origin): (&Path, Origin),
    database: &Path,
) -> Result<Result<Carried, String>, RestoreError> {
    match carry::carry(old, new, origin) {
        Ok(carried) => Ok(Ok(carried)),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            Ok(Err(error.to_string()))
        }
        Err(source) => Err(RestoreError::Carry { database: database.to_owned(), source }),
    }
}

/// The errors of reading the backup, worded for it.
fn of_backup(error: BackupError, path: &Path) -> RestoreError {
    match error {
        BackupError::Store(StoreError::NotADatabase(_)) => RestoreError::NotADatabase(path.to_owned()),
        BackupError::Store(StoreError::Foreign(_) | StoreError::Missing(_)) => {
            RestoreError::Foreign(path.to_owned())
        }
        BackupError::Store(StoreError::Newer { found, .. }) => {
            RestoreError::OfBackup(StoreError::Newer { path: path.to_owned(), found })
        }
        BackupError::Store(StoreError::Development(_)) => {
            RestoreError::OfBackup(StoreError::Development(path.to_owned()))
        }
        BackupError::Stopped => RestoreError::Stopped,
        error => RestoreError::Backup(error),
    }
}

/// Makes a database of this version from a copy, repaired except for foreign objects. It knows that it was restored.
/// `path` is the backup.
fn ready(new: &Path, path: &Path) -> Result<(), RestoreError> {
    let mut connection = connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(RestoreError::OfBackup)?;
    migrate(&mut connection)
        .map_err(|source| RestoreError::OfBackup(StoreError::Migrate { path: path.to_owned(), source }))?;
    let broken = schema::compare(&connection).map_err(sql("check the copy of", path))?.broken;
    if !broken.is_empty() {
        let broken = broken.into_iter().map(|broken| broken.what).collect::<Vec<_>>().join("; ");
        return Err(RestoreError::Broken { path: path.to_owned(), broken });
    }
    schema::repair(&mut connection, path).map_err(RestoreError::OfBackup)?;
    changes::note_restored(&connection).map_err(sql("prepare the copy of", path))
}

fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { step, path, source }
}

fn sql(step: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Sql { step, path, source }
}

#[cfg(test)]
mod tests;
