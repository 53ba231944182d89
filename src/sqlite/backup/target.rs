//! Where a copy goes, and its name.

use super::{BackupError, dated, is_of_database};
use crate::clock::UnixSeconds;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// The target of a copy.
pub(crate) enum Target {
    File {
        folder: PathBuf,
        name: OsString,
    },
    /// Under a dated name.
    Folder {
        folder: PathBuf,
        stem: String,
    },
}

impl Target {
    /// Resolves `to`, if it can be written.
    pub(crate) fn of(to: &Path, database: &Path) -> Result<Target, BackupError> {
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        if to.is_dir() {
            let folder = canonical(to)?;
            return Ok(Target::Folder { folder, stem: dated::stem(&database) });
        }
        let trailing = to.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = to.file_name().filter(|_| !trailing).map(OsStr::to_owned) else {
            return Err(BackupError::NoFolder(to.to_owned()));
        };
        let folder =
            canonical(to.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        let path = folder.join(&name);
        if is_of_database(&path, &database) {
            return Err(BackupError::Live(to.to_owned()));
        }
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        Ok(Target::File { folder, name })
    }

    pub(crate) fn folder(&self) -> &Path {
        match self {
            Target::File { folder, .. } | Target::Folder { folder, .. } => folder,
        }
    }

    /// Gives the copy its name, if that is free.
    pub(crate) fn take(&self, copy: PathBuf, now: UnixSeconds) -> Result<PathBuf, BackupError> {
        let mut copy = TempPath::try_from_path(copy).map_err(|source| full_or(self, source))?;
        let mut at = now;
        loop {
            let path = match self {
                Target::File { folder, name } => folder.join(name),
                Target::Folder { folder, stem } => folder.join(dated::name(stem, at)),
            };
            match copy.persist_noclobber(&path) {
                Ok(()) => return Ok(path),
                Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => match self {
                    Target::File { .. } => return Err(BackupError::Exists(path)),
                    // The name of this second is taken: another mirror is backed up into the same folder.
                    Target::Folder { .. } => (at, copy) = (at.later_by(1), refused.path),
                },
                Err(refused) => return Err(full_or(self, refused.error)),
            }
        }
    }
}

fn canonical(folder: &Path) -> Result<PathBuf, BackupError> {
    folder
        .canonicalize()
        .ok()
        .filter(|folder| folder.is_dir())
        .ok_or_else(|| BackupError::NoFolder(folder.to_owned()))
}

pub(crate) fn full_or(target: &Target, source: io::Error) -> BackupError {
    let folder = target.folder().to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::DiskFull(folder),
        _ => BackupError::Io { step: "write into", path: folder, source },
    }
}
