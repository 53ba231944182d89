//! Putting a copy in the place of the database.
//!
//! It promises that nothing is replaced before the copy was read through and found to be this account's; that
//! the file which was there is kept, whole in itself; that at each moment the database's name leads to the one
//! or to the other, and never to one with the write-ahead log of the other beside it; and that what talkmirror
//! did since the copy is not forgotten (`carry`). The caller holds the lock.

mod carry;

pub use carry::Carried;

use super::backup::{self, BESIDE, BackupError, Contents, Scratch, Watch, beside, sync_folder};
use super::{MIGRATIONS, StoreError, connect, identify, owner};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Who has the database open gets so long to end a transaction.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("there is no file {0}")]
    Missing(PathBuf),
    #[error("{0} is a folder: name one of the backups in it")]
    Folder(PathBuf),
    #[error("{0} is the database itself, or a part of it: name a backup")]
    Live(PathBuf),
    #[error("{0} is no backup: it is no SQLite database")]
    NotADatabase(PathBuf),
    #[error("{0} is no backup: it is a SQLite database of something else, or an empty one")]
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
    #[error("stopped: nothing was replaced")]
    Stopped,
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Backup(BackupError),
    #[error("cannot {step} {path}")]
    Io { step: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {step} {path}")]
    Sql { step: &'static str, path: PathBuf, source: rusqlite::Error },
}

/// What is at the database's place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    Nothing,
    /// A mirror, of this account if it knows one yet.
    Mirror(Option<i64>),
    /// Something that cannot be read, and why.
    Damaged(String),
}

/// A copy that is ready to be put in place.
#[derive(Debug)]
pub struct Restore {
    database: PathBuf,
    scratch: Scratch,
    pub contents: Contents,
    pub present: Present,
}

/// What was done.
#[derive(Debug)]
pub struct Restored {
    /// Where the file is that was there, if there was one.
    pub kept: Option<PathBuf>,
    /// What the restored database took over from it; or why it could not.
    pub carried: Result<Carried, String>,
}

impl Restore {
    /// Reads a backup through and makes a database of it, beside the one that is there; changes nothing there.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn prepare(path: &Path, database: &Path, watch: &Arc<Watch>) -> Result<Restore, RestoreError> {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let real = path.canonicalize().map_err(|_| RestoreError::Missing(path.to_owned()))?;
        if real.is_dir() {
            return Err(RestoreError::Folder(path.to_owned()));
        }
        if backup::is_of_database(&real, &database) {
            return Err(RestoreError::Live(path.to_owned()));
        }
        let present = present(&database)?;
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        let scratch = Scratch::new(folder.unwrap_or(Path::new("."))).map_err(RestoreError::Backup)?;
        let contents =
            backup::copy_checked(&real, &scratch, watch).map_err(|error| of_backup(error, path))?;
        if let (Some(account), Present::Mirror(Some(present))) = (contents.account_id, &present)
            && account != *present
        {
            let path = path.to_owned();
            return Err(RestoreError::OtherAccount { path, account, database, present: *present });
        }
        migrate(&scratch.copy(), path)?;
        Ok(Restore { database, scratch, contents, present })
    }

    /// Puts it in place; the name of the file that was there tells `now`, in Unix seconds.
    ///
    /// # Errors
    /// Nothing was replaced then, unless it says so.
    pub fn put_in_place(self, now: i64) -> Result<Restored, RestoreError> {
        let Restore { database, scratch, present, .. } = self;
        let new = scratch.copy();
        // Holds everybody else off until the end.
        let mut held = None;
        let carried = match &present {
            Present::Nothing => carry::nothing(&new).map_err(sql("prepare", &new)).map(Ok)?,
            Present::Damaged(why) => {
                carry::nothing(&new).map_err(sql("prepare", &new))?;
                Err(why.clone())
            }
            Present::Mirror(_) => match held.insert(settle(&database)?) {
                Settled::Held(old) => carry::carry(old, &new).map_err(|error| error.to_string()),
                Settled::Damaged(why) => Err(why.clone()),
            },
        };
        let io = |step| io_error(step, &database);
        as_before(&new, &database, scratch.within())
            .map_err(io("give its owner and mode to the successor of"))?;
        let kept = keep(&database, now).map_err(io("keep"))?;
        sync_folder(scratch.within()).map_err(io("keep"))?;
        fs::rename(&new, &database).map_err(io("replace"))?;
        sync_folder(scratch.within()).map_err(io("make sure, though it was replaced, of"))?;
        drop(held);
        Ok(Restored { kept, carried })
    }
}

/// The errors of reading the backup, in words that fit it.
fn of_backup(error: BackupError, path: &Path) -> RestoreError {
    match error {
        BackupError::Store(StoreError::NotADatabase(_)) => RestoreError::NotADatabase(path.to_owned()),
        BackupError::Store(StoreError::Foreign(_) | StoreError::Missing(_)) => {
            RestoreError::Foreign(path.to_owned())
        }
        BackupError::Store(StoreError::Newer { found, .. }) => {
            RestoreError::Store(StoreError::Newer { path: path.to_owned(), found })
        }
        BackupError::Stopped => RestoreError::Stopped,
        error => RestoreError::Backup(error),
    }
}

fn present(database: &Path) -> Result<Present, RestoreError> {
    if !database.exists() {
        return Ok(Present::Nothing);
    }
    let read = || -> Result<Option<i64>, StoreError> {
        let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        match identify(&connection, database) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(StoreError::Newer { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(super::account_id(&connection)?)
    };
    match read() {
        Ok(account_id) => Ok(Present::Mirror(account_id)),
        Err(error @ StoreError::Foreign(_)) => Err(RestoreError::Store(error)),
        Err(error) => Ok(Present::Damaged(format!("{:#}", anyhow::Error::from(error)))),
    }
}

fn migrate(new: &Path, path: &Path) -> Result<(), RestoreError> {
    let mut connection = connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(RestoreError::Store)?;
    MIGRATIONS
        .to_latest(&mut connection)
        .map_err(super::schema::unscripted)
        .map_err(|source| RestoreError::Store(StoreError::Migrate { path: path.to_owned(), source }))
}

/// The old database, for a moment.
enum Settled {
    /// All of it is in its one file, and nobody else can open it.
    Held(Connection),
    Damaged(String),
}

/// Folds the write-ahead log into the old database. Who else has it open would go on writing into it, and when
/// done remove the log of the new one by its name: with such guests nothing is replaced.
fn settle(database: &Path) -> Result<Settled, RestoreError> {
    let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(RestoreError::Store)?;
    if connection.is_readonly("main").map_err(sql("settle", database))? {
        return Err(RestoreError::Store(StoreError::ReadOnly(database.to_owned())));
    }
    let fold = || -> rusqlite::Result<bool> {
        connection.busy_timeout(PATIENCE)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        connection.query_row("PRAGMA main.locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        Ok(mode == "delete")
    };
    match fold() {
        Ok(true) => Ok(Settled::Held(connection)),
        Ok(false) => Err(RestoreError::InUse(database.to_owned())),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Err(RestoreError::InUse(database.to_owned()))
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Settled::Damaged(error.to_string()))
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Err(RestoreError::Store(StoreError::ReadOnly(database.to_owned())))
            }
            _ => Err(RestoreError::Sql { step: "settle", path: database.to_owned(), source: error }),
        },
    }
}

/// Gives the new file the owner and the mode of the old one, and has it on the disk.
fn as_before(new: &Path, database: &Path, folder: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(new)?;
    match fs::metadata(database) {
        Ok(old) => {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => owner::hand_over(&file, folder)?,
        Err(error) => return Err(error),
    }
    file.sync_all()
}

/// Gives the old file a second name, and takes away from beside the first what would be taken for a part of the
/// new database. A kill in between leaves the old one where it was.
fn keep(database: &Path, now: i64) -> io::Result<Option<PathBuf>> {
    let name = |at| {
        let time = crate::words::iso(at).replace(':', "");
        beside(database, &format!(".before-restore-{time}"))
    };
    let free = |kept: &PathBuf| {
        let taken = |path: &Path| path.symlink_metadata().is_ok();
        !taken(kept) && !BESIDE.iter().any(|suffix| taken(&beside(kept, suffix)))
    };
    let kept = (now..).map(name).find(free).unwrap_or_else(|| name(now));
    let there = match fs::hard_link(database, &kept) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    // There are none of a database that was settled.
    for suffix in BESIDE {
        match fs::rename(beside(database, suffix), beside(&kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(there.then_some(kept))
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
