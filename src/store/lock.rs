//! One process owns a database: a lock file beside it, held as long as it lives.
//! The kernel lets go of it when the process ends, however it ends.

use super::owner;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The held lock; dropping it lets go.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
    /// Whether some process held it before: then requests may have left a moment ago.
    pub used_before: bool,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another talkmirror (process {holder}) is working on {database}")]
    Held { database: PathBuf, holder: String },
    #[error(
        "cannot lock {path}: is database.path where this user may write (under systemd in $STATE_DIRECTORY), and is that \
         file this user's own?"
    )]
    Io { path: PathBuf, source: std::io::Error },
}

/// Takes the lock of a database, or fails at once.
///
/// # Errors
/// [`LockError::Held`] with the holder's process id.
pub fn acquire(database: &Path) -> Result<InstanceLock, LockError> {
    let path = lock_path(database);
    let io = |source| LockError::Io { path: path.clone(), source };
    let used_before = path.exists();
    // For its owner alone: whoever may read it could hold it, and keep the daemon from starting.
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let mut file = owner::make(&path, 0o600).and_then(|()| options.open(&path)).map_err(io)?;
    // One of an earlier version; another owner's stays as it is.
    let _ = file.set_permissions(Permissions::from_mode(0o600));
    match try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown".to_owned(),
                holder => holder.to_owned(),
            };
            return Err(LockError::Held { database: database.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io)?;
    Ok(InstanceLock { _file: file, used_before })
}

/// Tries for a moment: [`is_held`] of another process holds the lock as long as it takes to ask.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..5 {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    file.try_lock()
}

/// Whether some process works on a database; `None` where that cannot be told.
pub fn is_held(database: &Path) -> Option<bool> {
    let file = File::open(lock_path(database)).ok()?;
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// The lock file of a database: its name and `.lock`, beside the file itself and not beside a link to it.
pub(super) fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.canonicalize().unwrap_or_else(|_| database.to_owned()).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}
