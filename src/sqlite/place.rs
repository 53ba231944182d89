//! Putting a file in the place of a database: the files of the old one and of the new one, and their names.

use super::{SIDE_FILE_SUFFIXES, beside, connect, owner, persist_wal};
use crate::clock::iso;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// What the name of an old file has after that of the database; the time follows.
const KEPT_SUFFIX: &str = ".before-restore-";

/// Gives the new file the owner and the mode of the old one, and has it on the disk.
pub fn match_owner_and_mode(new: &Path, database: &Path, folder: &Path) -> io::Result<()> {
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

/// Sets the new file to WAL mode while nobody can be in the way: later each reader would be. Its log is empty, and
/// goes with the connection.
pub fn to_wal(new: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// Makes the files beside the new database that a reader without the right to write the folder cannot make. Where
/// it fails, the daemon makes them.
pub fn make_beside(database: &Path) {
    if let Ok(connection) = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        persist_wal(&connection);
        let _ = connection.execute_batch("SELECT count(*) FROM sqlite_schema");
    }
}

/// The old file under its second name; dropped, it is as it was.
#[derive(Debug)]
pub struct KeptFile {
    name: Option<PathBuf>,
    /// From where, and to where.
    moved: Vec<(PathBuf, PathBuf)>,
    undo: bool,
}

impl KeptFile {
    /// Gives the old file a second name, and takes away from beside the first what would be taken for a part of the
    /// new database. A kill in between leaves the old one where it was.
    pub fn new(database: &Path, now: i64) -> io::Result<KeptFile> {
        let name = |at| {
            let time = iso(at).replace(':', "");
            beside(database, &format!("{KEPT_SUFFIX}{time}"))
        };
        let free = |kept: &PathBuf| {
            let taken = |path: &Path| path.symlink_metadata().is_ok();
            !taken(kept) && !SIDE_FILE_SUFFIXES.iter().any(|suffix| taken(&beside(kept, suffix)))
        };
        let name = (now..).map(name).find(free).unwrap_or_else(|| name(now));
        let there = match fs::hard_link(database, &name) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let mut kept = KeptFile { name: there.then(|| name.clone()), moved: Vec::new(), undo: true };
        // There are none of a database that was settled.
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

    /// For good; returns the second name.
    pub fn keep(mut self) -> Option<PathBuf> {
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

/// Takes away second names that the database itself has: a restore was killed before it had replaced it. The caller
/// holds the lock.
pub fn tidy(database: &Path) {
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
        // Not through a link, which somebody has made.
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
