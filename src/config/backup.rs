//! `[backup]`.

use super::keys::Keys;
use std::path::{Path, PathBuf};

/// `[backup]`, if a path is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backup {
    /// When to make backups: a cron expression of six fields, seconds first; UTC.
    pub schedule: String,
    /// The folder for backups.
    pub folder: PathBuf,
    /// Whether to create the folder: only if it is below the database's folder. Another may be a disk that is not
    /// mounted.
    pub make: bool,
    /// How many are kept; at least 1.
    pub keep: usize,
}

pub(super) fn backup(keys: &mut Keys, database: &Path) -> Option<Backup> {
    let path = keys.optional("backup.path", "the path of a folder, or \"\" for no backups", |found| {
        found.string().map(PathBuf::from)
    });
    let schedule = keys.schedule("backup.schedule", "0 0 3 * * *");
    let keep: usize = keys.whole("backup.keep", 7, 1..=100_000);
    let path = path.filter(|path| !path.as_os_str().is_empty())?;
    let folder = database.parent().unwrap_or(Path::new("")).join(&path);
    if folder.exists() && !folder.is_dir() {
        keys.mistake("backup.path", "the path of a folder", &format!("a file at {}", folder.display()));
    }
    Some(Backup { schedule, folder, make: path.is_relative(), keep })
}
