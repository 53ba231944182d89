//! Dated copies in a folder: their names, and how many to keep.

use crate::clock::{UnixSeconds, written};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The time in a name. No colons, which some file systems refuse, and sorted by time.
const NAME_TIME_FORMAT: &str = "%Y-%m-%dT%H%M%SZ";

/// The start of the names of a database's dated copies.
pub(crate) fn stem(database: &Path) -> String {
    database.file_stem().map_or_else(|| "talks".into(), |stem| stem.to_string_lossy().into_owned())
}

/// The name of a copy made at this time: `talks-2026-11-23T220000Z.db`.
pub(crate) fn name(stem: &str, at: UnixSeconds) -> String {
    format!("{stem}-{}.db", written(at, NAME_TIME_FORMAT))
}

fn is_dated(name: &str, stem: &str) -> bool {
    let time = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".db"));
    time.is_some_and(|time| {
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        shape == "0000-00-00T000000Z"
    })
}

/// Removes the oldest dated copies beside a new one and keeps `keep`. Returns how many it removed.
///
/// Only our files with such a name count, because several mirrors may share a folder. A file named for the future
/// comes from a wrong clock: it is neither removed nor counted.
///
/// # Errors
/// If the folder cannot be read, or a file cannot be removed.
pub(crate) fn prune(
    new: &Path,
    stem: &str,
    keep: usize,
    is_ours: impl Fn(&Path) -> bool,
) -> io::Result<usize> {
    let folder = new.parent().unwrap_or(Path::new("."));
    let mut copies: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| is_dated(name, stem)))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    // The names sort by time.
    copies.sort_unstable_by(|a, b| b.cmp(a));
    let mut removed = 0;
    let is_past = |path: &&PathBuf| path.file_name() <= new.file_name();
    for old in copies.iter().filter(is_past).filter(|path| **path == new || is_ours(path)).skip(keep) {
        // The new copy stays, whatever the clock says.
        if old != new {
            fs::remove_file(old)?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_time_and_only_such_names_are_ours() {
        assert_eq!(name("talks", UnixSeconds::new(1_795_471_200)), "talks-2026-11-23T220000Z.db");
        assert!(is_dated("talks-2026-11-23T220000Z.db", "talks"));
        assert!(is_dated(&name("a-b", UnixSeconds::EPOCH), "a-b"));
        for other in [
            "talks.db",
            "talks-2026-11-23.db",
            "talks-2026-11-23T220000Z.db-wal",
            "talks-before-2026-11-23T220000Z.db",
            "talks2026-11-23T220000Z.db",
            "other-2026-11-23T220000Z.db",
            "talks-2026-11-23T22000OZ.db",
        ] {
            assert!(!is_dated(other, "talks"), "{other}");
        }
    }
}
