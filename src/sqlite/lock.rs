//! One process owns a database. It holds a lock on the database's own file for its whole life. The lock holds under
//! every name of the file (link, hard link), and the kernel releases it when the process ends in any way.
//!
//! A lock file beside it, readable only by its owner, names the holder and shows whether there was one before.
//!
//! The lock belongs to Linux's open file descriptions (`F_OFD_SETLK`), on a byte far beyond those that SQLite
//! locks. It must not be taken or checked while this process has the database open in SQLite, unless the file stays
//! open: closing it would drop SQLite's own locks.

use super::lock_holders;
use super::owner::{self, FileId};
use crate::files;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The locked byte. No database is this large, and SQLite locks other bytes.
const LOCK_BYTE: libc::off_t = 1 << 62;
/// How many links are followed at most.
const MAX_LINKS: usize = 40;
/// How often and how long to wait for another process's short lock.
const ATTEMPTS: usize = 5;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(20);

/// The owner process according to the database itself, if the lock file cannot be read.
pub(crate) type NotedBy = fn(&Path) -> Option<u32>;

/// The held lock. Dropping it releases it.
#[derive(Debug)]
pub struct InstanceLock {
    /// The database's file. `None` if there is none, or this user may not write it.
    guard: Option<File>,
    note: File,
    /// The path of the lock file.
    path: PathBuf,
    /// Whether another process held it before. Then requests may have left a moment ago.
    pub used_before: bool,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum LockError {
    #[error("another talkmirror (process {holder}) uses {database}")]
    Held { database: PathBuf, holder: String },
    #[error("{path} is {kind}, not a file: remove it")]
    NotAFile { path: PathBuf, kind: &'static str },
    #[error("cannot write {path}")]
    TooLarge { path: PathBuf, source: io::Error },
    #[error(
        "cannot lock {path}: can this user write to the folder of database.path (under systemd, \
         $STATE_DIRECTORY), and does this user own that file?"
    )]
    Io { path: PathBuf, source: io::Error },
}

impl LockError {
    /// An error of a file to lock or to write.
    fn of(path: &Path, source: io::Error) -> LockError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::FileTooLarge => LockError::TooLarge { path, source },
            _ => LockError::Io { path, source },
        }
    }
}

/// Takes the lock of a database to work on, or fails at once. Creates the database's file if there is none.
///
/// # Errors
/// [`LockError::Held`] with the holder's process id.
pub(crate) fn acquire(database: &Path, noted: NotedBy) -> Result<InstanceLock, LockError> {
    let file = file_of(database);
    let (note, used_before) = lock_note(database, noted).map_err(|error| held_or(error, database, noted))?;
    // If it cannot be created, opening it reports why.
    let _ = owner::make(&file, 0o644);
    InstanceLock::guarded(database, note, used_before, noted)
}

/// The same for a database to be replaced. Creates no file.
///
/// # Errors
/// See [`acquire`].
pub(crate) fn acquire_to_replace(database: &Path, noted: NotedBy) -> Result<InstanceLock, LockError> {
    let (note, used_before) = lock_note(database, noted).map_err(|error| held_or(error, database, noted))?;
    InstanceLock::guarded(database, note, used_before, noted)
}

impl InstanceLock {
    fn guarded(
        database: &Path,
        note: File,
        used_before: bool,
        noted: NotedBy,
    ) -> Result<InstanceLock, LockError> {
        let path = note_path(database);
        let io = |source| LockError::of(database, source);
        let guard = match files::open_as(OpenOptions::new().read(true).write(true), &file_of(database)) {
            Ok(file) => Some(file),
            Err(error) if is_no_right(&error) || error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        if let Some(file) = &guard {
            match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK))) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => {
                    return Err(LockError::Held {
                        database: database.to_owned(),
                        holder: holder(database, noted),
                    });
                }
                Err(error) => return Err(io(error.into())),
            }
        }
        let mut lock = InstanceLock { guard, note, path, used_before };
        lock.sign().map_err(|source| LockError::of(&lock.path, source))?;
        Ok(lock)
    }

    /// Writes our process id into the lock file.
    fn sign(&mut self) -> io::Result<()> {
        self.note.set_len(0)?;
        self.note.rewind()?;
        writeln!(self.note, "{}", std::process::id())
    }

    /// Whether the file at `database` is still the locked one. Recreates a removed lock file.
    pub fn holds(&mut self, database: &Path) -> bool {
        let locked = self.guard.as_ref().and_then(|file| FileId::of_file(file).ok());
        let holds = locked.is_none_or(|locked| !locked.is_gone_from(database));
        if holds && FileId::of_file(&self.note).is_ok_and(|note| note.is_gone_from(&self.path)) {
            // A process that has created another lock file meanwhile has no lock on the database.
            if let Ok((note, _)) = lock_note(database, |_| None) {
                self.note = note;
                let _ = self.sign();
            }
        }
        holds
    }
}

/// Whether a process works on a database. `None` if unknown.
///
/// Must not be called while this process has the database open.
pub fn is_held(database: &Path) -> Option<bool> {
    let guard = files::open(&file_of(database)).ok().and_then(|file| {
        let mut found = byte(libc::F_WRLCK);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut found)).ok()?;
        Some(i32::from(found.l_type) != libc::F_UNLCK)
    });
    // The holder may be of an earlier version, or its database was removed.
    let note = || {
        let file = files::open(&note_path(database)).ok()?;
        match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    };
    match guard {
        Some(true) => Some(true),
        guard => note().or(guard),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "libc has these constants in a wider type than their field"
)]
fn byte(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: LOCK_BYTE,
        l_len: 1,
        l_pid: 0,
    }
}

fn is_no_right(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Takes the lock file. Also returns whether it existed before.
fn lock_note(database: &Path, noted: NotedBy) -> Result<(File, bool), LockError> {
    let path = note_path(database);
    let io = |source| LockError::of(&path, source);
    let used_before = path.exists();
    // Only for its owner: a process that may read it could lock it, and keep the daemon from starting.
    owner::make(&path, 0o600).map_err(io)?;
    require_note(&path)?;
    let note = files::open_as(OpenOptions::new().read(true).write(true), &path).map_err(io)?;
    // A file of an earlier version. Another owner's file stays as it is.
    let _ = note.set_permissions(Permissions::from_mode(0o600));
    match try_lock(&note) {
        Ok(()) => Ok((note, used_before)),
        Err(TryLockError::WouldBlock) => {
            Err(LockError::Held { database: database.to_owned(), holder: holder(database, noted) })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// A wrong lock file does not show whether the database is held, so that is checked first.
fn held_or(error: LockError, database: &Path, noted: NotedBy) -> LockError {
    match error {
        LockError::NotAFile { path, kind } => match lock_holder(database, noted) {
            Some(holder) => LockError::Held { database: database.to_owned(), holder },
            None => LockError::NotAFile { path, kind },
        },
        error => error,
    }
}

/// Checks that the lock file is a regular file, or missing.
///
/// # Errors
/// [`LockError::NotAFile`].
pub(crate) fn require_note(path: &Path) -> Result<(), LockError> {
    match files::special(path) {
        Some(kind) => Err(LockError::NotAFile { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Retries for a moment, because [`is_held`] in another process locks the file briefly.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..ATTEMPTS {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        thread::sleep(ATTEMPT_INTERVAL);
    }
    file.try_lock()
}

/// The process that works on a database, for people. `None` if there is none.
///
/// Must not be called while this process has the database open.
pub(crate) fn lock_holder(database: &Path, noted: NotedBy) -> Option<String> {
    (is_held(database) == Some(true)).then(|| holder(database, noted))
}

/// The process that holds the lock, from the lock file, else from the database.
fn holder(database: &Path, noted: NotedBy) -> String {
    let mut named = String::new();
    for _ in 0..ATTEMPTS {
        named = read_note(database);
        if named.parse().is_ok_and(is_alive) {
            return named;
        }
        // It is being written. Until then it is empty, or names the previous process.
        thread::sleep(ATTEMPT_INTERVAL);
    }
    if !named.is_empty() {
        // The process is in another container, with another number here.
        return named;
    }
    let pid =
        noted(database).or_else(|| lock_holders::talkmirrors(database).first().map(|holder| holder.pid));
    pid.map_or("unknown".into(), |pid| pid.to_string())
}

/// The content of the lock file. Empty if it cannot be read.
fn read_note(database: &Path) -> String {
    let mut named = String::new();
    let _ = files::open(&note_path(database)).and_then(|mut note| note.read_to_string(&mut named));
    named.trim().to_owned()
}

fn is_alive(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

/// The lock file of a database: its name plus `.lock`, beside the file itself and not beside a link to it.
pub(crate) fn note_path(database: &Path) -> PathBuf {
    let mut name = file_of(database).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

/// The file that a path leads to, even if it does not exist yet.
pub fn file_of(database: &Path) -> PathBuf {
    let mut path = database.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(file) = path.canonicalize() {
            return file;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => {
                let (Ok(folder), Some(name)) = (folder.canonicalize(), path.file_name()) else { break };
                return folder.join(name);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn take(database: &Path) -> Result<InstanceLock, LockError> {
        acquire(database, |_| None)
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("talks.db");
        drop(crate::store::open(&database, true).unwrap());
        (folder, database)
    }

    fn is_refused(database: &Path) -> bool {
        matches!(take(database), Err(LockError::Held { .. }))
    }

    #[test]
    fn one_lock_holds_whatever_name_leads_to_the_file() {
        let (folder, database) = folder();
        let (link, hard) = (folder.path().join("link.db"), folder.path().join("hard.db"));
        symlink("talks.db", &link).unwrap();
        fs::hard_link(&database, &hard).unwrap();
        let lock = take(&database).unwrap();
        for name in [&database, &link, &hard] {
            assert!(is_refused(name), "{name:?}");
            assert_eq!(is_held(name), Some(true), "{name:?}");
        }
        drop(lock);
        assert_eq!(is_held(&hard), Some(false));
        assert!(take(&hard).is_ok());
    }

    #[test]
    fn a_lock_file_that_is_removed_lets_nobody_in_and_is_made_again() {
        let (folder, database) = folder();
        let mut lock = take(&database).unwrap();
        fs::remove_file(folder.path().join("talks.db.lock")).unwrap();
        assert_eq!(is_held(&database), Some(true));
        assert!(is_refused(&database));
        assert!(lock.holds(&database));
        let named = fs::read_to_string(folder.path().join("talks.db.lock")).unwrap();
        assert_eq!(named.trim(), std::process::id().to_string());
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let link = folder.path().join("link.db");
        symlink("data/talks.db", &link).unwrap();
        assert_eq!(file_of(&link), folder.path().canonicalize().unwrap().join("data/talks.db"));
        let _lock = take(&link).unwrap();
        assert!(folder.path().join("data/talks.db").exists(), "the database's file, and not the link");
        assert!(is_refused(&link) && is_refused(&folder.path().join("data/talks.db")));
    }

    #[test]
    fn a_database_that_was_replaced_is_no_longer_the_locked_one() {
        let (folder, database) = folder();
        let mut lock = take(&database).unwrap();
        assert!(lock.holds(&database));
        fs::rename(&database, folder.path().join("away.db")).unwrap();
        assert!(!lock.holds(&database), "removed");
        fs::write(&database, "").unwrap();
        assert!(!lock.holds(&database), "replaced");
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
        symlink(&b, &a).unwrap();
        symlink(&a, &b).unwrap();
        assert!(matches!(take(&a), Err(LockError::Io { .. })));
    }
}
