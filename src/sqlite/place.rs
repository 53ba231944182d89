//! Replaces a database file: handles the old and the new files, and their names.

use super::{SIDE_FILE_SUFFIXES, beside, connect, owner, persist_wal};
use crate::clock::{UnixSeconds, iso};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The suffix of an old file's name, followed by the time.
const KEPT_SUFFIX: &str = ".before-restore-";

/// Gives the new file the owner and mode of the old one, and syncs it to disk.
pub(crate) fn match_owner_and_mode(new: &Path, database: &Path, folder: &Path) -> io::Result<()> {
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

/// Sets the new file to WAL mode while no reader can block that. Its WAL is empty, and is removed with the
/// connection.
pub(crate) fn to_wal(new: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// Creates the files beside the new database that a reader who may not write the folder cannot create. If this
/// fails, the daemon creates them.
pub(crate) fn make_beside(database: &Path) {
    if let Ok(connection) = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        persist_wal(&connection);
        let _ = connection.execute_batch("SELECT count(*) FROM sqlite_schema");
    }
}

/// The old file under a second name. Dropping this restores the earlier state.
#[derive(Debug)]
pub(crate) struct KeptFile {
    name: Option<PathBuf>,
    /// From where to where.
    moved: Vec<(PathBuf, PathBuf)>,
    undo: bool,
}

impl KeptFile {
    /// Gives the old file a second name, and moves away the files that would be taken for parts of the new
    /// database. A kill in between leaves the old one in place.
    pub(crate) fn new(database: &Path, now: UnixSeconds) -> io::Result<KeptFile> {
        let name = |at| {
            let time = iso(at).replace(':', "");
            beside(database, &format!("{KEPT_SUFFIX}{time}"))
        };
        let free = |kept: &PathBuf| {
            let taken = |path: &Path| path.symlink_metadata().is_ok();
            !taken(kept) && !SIDE_FILE_SUFFIXES.iter().any(|suffix| taken(&beside(kept, suffix)))
        };
        let name = (0..).map(|later| name(now.later_by(later))).find(free).unwrap_or_else(|| name(now));
        let there = match fs::hard_link(database, &name) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let mut kept = KeptFile { name: there.then(|| name.clone()), moved: Vec::new(), undo: true };
        // A settled database has none.
        for suffix in SIDE_FILE_SUFFIXES {
            let (from, to) = (beside(database, suffix), beside(&name, suffix));
            match fs::rename(&from, &to) {
                Ok(()) => kept.moved.push((from, to)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }

    /// Keeps the result and returns the second name.
    pub(crate) fn keep(mut self) -> Option<PathBuf> {
        self.undo = false;
        self.name.take()
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if self.undo {
            for (from, to) in &self.moved {
                let _ = fs::rename(to, from);
            }
            let _ = self.name.as_ref().map(fs::remove_file);
        }
    }
}

/// Removes second names of the current database, left by a restore that was killed before the replacement. The
/// caller holds the lock.
pub(crate) fn tidy(database: &Path) {
    let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let (Some(folder), Some(name), Ok(own)) =
        (database.parent(), database.file_name().and_then(|name| name.to_str()), fs::metadata(&database))
    else {
        return;
    };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for kept in entries.flatten().map(|entry| entry.path()) {
        let of_restore = kept
            .file_name()
            .and_then(|kept| kept.to_str()?.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with(KEPT_SUFFIX));
        // Not through a link, which a person has made.
        let same =
            kept.symlink_metadata().is_ok_and(|kept| (kept.dev(), kept.ino()) == (own.dev(), own.ino()));
        if of_restore && same {
            for suffix in SIDE_FILE_SUFFIXES {
                let (from, to) = (beside(&kept, suffix), beside(&database, suffix));
                if to.symlink_metadata().is_err() {
                    let _ = fs::rename(from, to);
                }
            }
            let removed = fs::remove_file(&kept);
            tracing::debug!("{}: left over by a restore that was killed: {removed:?}", kept.display());
        }
    }
}
