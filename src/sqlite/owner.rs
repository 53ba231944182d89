//! File ownership: what root creates beside a service's database gets the service's user, who could not open it
//! otherwise.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Creates a file if there is none, owned by the folder's owner. SQLite gives the files beside a database the same
/// owner.
///
/// # Errors
/// If it cannot be created.
pub(crate) fn make(path: &Path, mode: u32) -> io::Result<()> {
    let made = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(made) => made,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    hand_over(&made, folder)
}

/// Gives what root has created in a folder to the folder's owner.
///
/// # Errors
/// If the owner cannot be changed.
pub(crate) fn hand_over(made: &File, folder: &Path) -> io::Result<()> {
    let (folder, own) = (fs::metadata(folder)?, made.metadata()?);
    if own.uid() == 0 && folder.uid() != 0 {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

/// Identifies the file that was opened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    /// The id of the file at a path.
    ///
    /// # Errors
    /// If there is none, or its metadata cannot be read.
    pub(crate) fn of(path: &Path) -> io::Result<FileId> {
        let metadata = fs::metadata(path)?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    /// The id of an open file.
    ///
    /// # Errors
    /// If its metadata cannot be read.
    pub(crate) fn of_file(file: &File) -> io::Result<FileId> {
        let metadata = file.metadata()?;
        Ok(FileId(metadata.dev(), metadata.ino()))
    }

    /// Whether it is certainly gone from there: removed or replaced.
    pub(crate) fn is_gone_from(self, path: &Path) -> bool {
        match FileId::of(path) {
            Ok(there) => there != self,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}
