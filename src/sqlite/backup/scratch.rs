//! A folder for unfinished files, inside the folder of the final file: a rename within a file system is atomic.
//!
//! A lock file inside shows that a process is using it. The copy itself is not locked, because on NFS that would
//! block SQLite.

use super::BackupError;
use crate::clock;
use crate::files;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The start of the folders' names. The rest is random.
const PREFIX: &str = ".talkmirror-copy-";
const LOCK_FILE: &str = "lock";
/// A folder without a lock file is new, or left over once it is this old.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60);

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Scratch {
    within: PathBuf,
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes a folder, and removes leftovers of killed processes.
    pub(crate) fn new(within: &Path) -> Result<Scratch, BackupError> {
        sweep(within);
        Scratch::make(within).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound if !within.is_dir() => BackupError::NoFolder(within.to_owned()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BackupError::DiskFull(within.to_owned())
            }
            _ => BackupError::Unwritable { folder: within.to_owned(), source },
        })
    }

    fn make(within: &Path) -> io::Result<Scratch> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(within)?;
        // Locked before the file gets its name, because an unlocked file of that name counts as left over.
        let new = folder.path().join("new-lock");
        let lock = File::create_new(&new)?;
        lock.lock()?;
        fs::rename(&new, folder.path().join(LOCK_FILE))?;
        Ok(Scratch { within: within.to_owned(), folder, _lock: lock })
    }

    /// The folder that contains it.
    pub(crate) fn within(&self) -> &Path {
        &self.within
    }

    /// The unfinished file.
    pub(crate) fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.db")
    }
}

/// Removes leftovers, as far as this user may.
fn sweep(within: &Path) {
    let Ok(entries) = fs::read_dir(within) else { return };
    for entry in entries.flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if named && entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_left_over(&entry.path()) {
            let removed = fs::remove_dir_all(entry.path());
            tracing::debug!("{}: left over by a backup that was killed: {removed:?}", entry.path().display());
        }
    }
}

fn is_left_over(folder: &Path) -> bool {
    match files::open(&folder.join(LOCK_FILE)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = folder.metadata().and_then(|metadata| metadata.modified()).map(clock::age);
            age.is_ok_and(|age| age.is_some_and(|age| age > LEFT_OVER_AFTER))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let in_use = Scratch::new(folder.path()).unwrap();
        let (killed, begun, old) =
            (make(".talkmirror-copy-killed"), make(".talkmirror-copy-begun"), make(".talkmirror-copy-old"));
        fs::write(killed.join(LOCK_FILE), "").unwrap();
        fs::write(killed.join("copy.db"), "half").unwrap();
        let long_ago = std::time::SystemTime::now() - LEFT_OVER_AFTER * 2;
        File::open(&old).unwrap().set_modified(long_ago).unwrap();
        let others = make(".talkmirror");
        fs::write(folder.path().join(".talkmirror-copy-file"), "a file").unwrap();
        let second = Scratch::new(folder.path()).unwrap();
        assert!(!killed.exists() && !old.exists());
        assert!(in_use.folder.path().join(LOCK_FILE).exists() && begun.exists() && others.exists());
        assert!(folder.path().join(".talkmirror-copy-file").exists());
        let copy = second.copy();
        drop(second);
        assert!(!copy.parent().unwrap().exists());
    }
}
