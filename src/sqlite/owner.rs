//! Whose the files are: what root makes by hand beside a service's database belongs to the service's user, who
//! could not open it otherwise.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Makes a file where there is none, as the owner of its folder would; SQLite gives what it makes beside a
/// database the same owner.
///
/// # Errors
/// When it cannot be made.
pub fn make(path: &Path, mode: u32) -> io::Result<()> {
    let made = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(made) => made,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    hand_over(&made, folder)
}

/// Gives what root has made in a folder to the owner of that folder.
///
/// # Errors
/// When the owner cannot be changed.
pub fn hand_over(made: &File, folder: &Path) -> io::Result<()> {
    let (folder, own) = (fs::metadata(folder)?, made.metadata()?);
    if own.uid() == 0 && folder.uid() != 0 {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

/// Which file it is that was opened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// Of the file that is there.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<FileId> {
        let metadata = fs::metadata(path)?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    /// Of an open file.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of_file(file: &File) -> io::Result<FileId> {
        let metadata = file.metadata()?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    /// Whether it certainly is no longer there: removed, or another one in its place.
    pub fn is_gone_from(self, path: &Path) -> bool {
        match FileId::of(path) {
            Ok(there) => there != self,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}
