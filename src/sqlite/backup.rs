//! The file work of a copy: its target, folder, progress and check.

pub(crate) mod dated;
mod scratch;
mod target;

pub(crate) use scratch::Scratch;
pub(crate) use target::{Target, full_or};

use super::{SIDE_FILE_SUFFIXES, StoreError, beside, connect, owner};
use crate::clock;
use crate::number;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, eaccess};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::ffi::c_int;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// SQLite steps between two checks whether to stop: less than a millisecond.
const PROGRESS_STEPS: c_int = 1000;
/// How often the progress is updated.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Why there is no copy. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "{0} already exists, and a backup overwrites nothing: give another name, or a folder for a dated one"
    )]
    Exists(PathBuf),
    #[error("{0} is the database itself, or one of the files that belong to it: give another name or folder")]
    Live(PathBuf),
    #[error("there is no folder {0}: create it, or mount what belongs there")]
    NoFolder(PathBuf),
    #[error("{0} is not a path that SQLite accepts: it is not UTF-8")]
    Name(PathBuf),
    #[error(
        "cannot write into the folder {folder}: give this user the right to write there, or use another \
         folder. A systemd service also needs that right in a drop-in (`systemctl edit`: [Service] \
         ReadWritePaths={folder})"
    )]
    Unwritable { folder: PathBuf, source: io::Error },
    #[error(
        "too little room in {folder}: the copy takes {needed} MiB, and {free} MiB are free there; make room, \
         or use another folder"
    )]
    NoRoom { folder: PathBuf, needed: u64, free: u64 },
    #[error("the disk of {0} is full: make room, or use another folder")]
    DiskFull(PathBuf),
    #[error("{path} is damaged: {found}")]
    Damaged { path: PathBuf, found: String },
    #[error("stopped: no copy was made, and nothing is left over")]
    Stopped,
    #[error("cannot {step} {path}")]
    Io { step: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {step} {path}")]
    Sql { step: &'static str, path: PathBuf, source: rusqlite::Error },
}

/// The progress of a copy, for another thread that may also stop it.
#[derive(Debug, Default)]
pub(crate) struct CopyProgress {
    stop: AtomicBool,
    bytes: AtomicU64,
    of: AtomicU64,
}

impl CopyProgress {
    /// Stops the copy within some milliseconds, with [`BackupError::Stopped`].
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Bytes written, and the total (0 before it is known). Both are equal during the check.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }

    pub(crate) fn check_stopped(&self) -> Result<(), BackupError> {
        if self.stop.load(Ordering::Relaxed) { Err(BackupError::Stopped) } else { Ok(()) }
    }
}

/// Copies `source` into the scratch folder, makes the copy a single file, and reads all of it. Returns it open.
///
/// # Errors
/// See [`BackupError`].
pub(crate) fn copy(
    connection: Connection,
    source: &Path,
    scratch: &Scratch,
    progress: &Arc<CopyProgress>,
) -> Result<Connection, BackupError> {
    let (folder, copy) = (scratch.within(), scratch.copy());
    let needed = size(&connection).map_err(sql("read", source, folder))?;
    progress.of.store(needed, Ordering::Relaxed);
    room(folder, needed)?;
    let name = copy.to_str().ok_or_else(|| BackupError::Name(copy.clone()))?;
    report_progress(&connection, progress, Some(copy.clone())).map_err(sql("read", source, folder))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(sql("copy", source, folder))?;
    drop(connection);
    progress.bytes.store(needed, Ordering::Relaxed);
    check(source, scratch, progress)
}

/// `source` is named if the copy is damaged.
fn check(source: &Path, scratch: &Scratch, progress: &Arc<CopyProgress>) -> Result<Connection, BackupError> {
    let failed = |step| sql(step, source, scratch.within());
    let damaged = |found: String| BackupError::Damaged { path: source.to_owned(), found };
    let connection = connect(&scratch.copy(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    report_progress(&connection, progress, None).map_err(failed("check the copy of"))?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .map_err(failed("check the copy of"))?;
    if mode != "delete" {
        return Err(damaged(format!("its copy stays in journal mode {mode}")));
    }
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed("check the copy of"))?;
    if found != "ok" {
        return Err(damaged(found));
    }
    Ok(connection)
}

/// Whether the folder could take a copy now, as far as can be checked without writing there.
///
/// # Errors
/// Why it could not take one.
pub(crate) fn check_folder(
    connection: &Connection,
    database: &Path,
    folder: &Path,
) -> Result<(), BackupError> {
    let needed = size(connection).map_err(sql("read", database, folder))?;
    room(folder, needed)
}

/// Checks that this user may write into the folder.
///
/// # Errors
/// If it does not exist, or this user may not write there.
pub(crate) fn require_folder(folder: &Path) -> Result<(), BackupError> {
    if !folder.is_dir() {
        return Err(BackupError::NoFolder(folder.to_owned()));
    }
    eaccess(folder, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|errno| BackupError::Unwritable { folder: folder.to_owned(), source: errno.into() })
}

/// The number of copies that this process is making. Each keeps reading one state of the database.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Counts a running copy until dropped.
pub(crate) struct CopyUnderWay;

impl CopyUnderWay {
    pub(crate) fn begin() -> CopyUnderWay {
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        CopyUnderWay
    }
}

impl Drop for CopyUnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether this process is making a copy.
pub(crate) fn is_under_way() -> bool {
    UNDER_WAY.load(Ordering::Relaxed) > 0
}

/// Makes the connection stop when asked to, and reports the size of a growing file.
fn report_progress(
    connection: &Connection,
    progress: &Arc<CopyProgress>,
    growing: Option<PathBuf>,
) -> rusqlite::Result<()> {
    let progress = Arc::clone(progress);
    let mut looked = clock::mono();
    let check_folder = move || {
        if let Some(path) = &growing
            && clock::since(looked) >= PROGRESS_INTERVAL
        {
            looked = clock::mono();
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            progress.bytes.store(bytes, Ordering::Relaxed);
        }
        progress.stop.load(Ordering::Relaxed)
    };
    connection.progress_handler(PROGRESS_STEPS, Some(check_folder))
}

/// The size of a copy: the used pages.
pub(crate) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(number::positive(pages * pragma("page_size")?))
}

/// Checks that this many bytes are free there.
fn room(folder: &Path, needed: u64) -> Result<(), BackupError> {
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    match free(folder).filter(|free| *free < needed) {
        Some(free) => {
            Err(BackupError::NoRoom { folder: folder.to_owned(), needed: mib(needed), free: mib(free) })
        }
        None => Ok(()),
    }
}

/// How much this user may still write there. `None` if unknown.
fn free(folder: &Path) -> Option<u64> {
    let stat = statvfs(folder).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether a path is the database or one of the files beside it.
pub(crate) fn is_of_database(path: &Path, database: &Path) -> bool {
    let same = |one: &Path| owner::FileId::of(one).ok().zip(owner::FileId::of(path).ok());
    let beside = SIDE_FILE_SUFFIXES.iter().chain(&[".lock"]).map(|suffix| beside(database, suffix));
    std::iter::once(database.to_owned())
        .chain(beside)
        .any(|one| one == path || same(&one).is_some_and(|(one, path)| one == path))
}

pub(crate) fn as_the_database(copy: &Path, database: &Path, folder: &Path) -> io::Result<()> {
    let file = File::open(copy)?;
    owner::hand_over(&file, folder)?;
    let like = fs::metadata(database)?;
    let mode = like.mode() & 0o666;
    let mode = match file.metadata()?.gid() == like.gid() {
        true => mode,
        false => (mode & 0o606) | ((mode & 0o006) << 3),
    };
    file.set_permissions(Permissions::from_mode(mode))
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Classifies SQLite's errors: of reading `path`, or of writing into `folder`.
pub(crate) fn sql<'a>(
    step: &'static str,
    path: &'a Path,
    folder: &'a Path,
) -> impl FnOnce(rusqlite::Error) -> BackupError + 'a {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => BackupError::Stopped,
        Some(ErrorCode::DiskFull) => BackupError::DiskFull(folder.to_owned()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            BackupError::Damaged { path: path.to_owned(), found: source.to_string() }
        }
        _ => BackupError::Sql { step, path: path.to_owned(), source },
    }
}
