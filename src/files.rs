//! Text files from outside, and what tells that one has changed.
//!
//! Uses `clock`.

use crate::clock;
use nix::libc;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A file that changed less than so many seconds before it was read may change again within the same tick of the
/// file system's clock: its times then show nothing.
const TIMESTAMP_RESOLUTION_SECS: f64 = 2.0;

/// What lies at a path, if that is no regular file: opening such a thing, or reading it, may wait without end.
/// `None` for a file, and if nothing is there.
pub fn special(path: &Path) -> Option<&'static str> {
    let kind = path.metadata().ok()?.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// Opens a regular file as `options` say, and nothing else.
///
/// # Errors
/// If it cannot be opened, or is no regular file: see [`special`].
pub fn open_as(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if let Some(kind) = special(path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{kind}, not a file")));
    }
    // Should a pipe be put there at this moment, nobody waits for its other end.
    options.custom_flags(libc::O_NONBLOCK).open(path)
}

/// The same for reading.
///
/// # Errors
/// See [`open_as`].
pub fn open(path: &Path) -> io::Result<File> {
    open_as(OpenOptions::new().read(true), path)
}

/// A text without the byte order mark that editors and spreadsheets put before it.
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text_of(open(path)?)
}

/// The rest of an open file, as [`read_text`].
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub fn text_of(mut file: File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(without_bom(&text).to_owned())
}

/// Whether systemd handed this file over: it guards it, and it is a copy, which is no place for a new one.
pub fn is_credential(path: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| path.starts_with(folder))
}

/// The text of a file that its owner alone may read, with the stamp from before it was read.
///
/// # Errors
/// In words that name the `chmod` to run if others may read it.
pub fn read_secret(path: &Path) -> Result<(String, Stamp), String> {
    let describe = |error: io::Error| error.to_string();
    let file = open(path).map_err(describe)?;
    let metadata = file.metadata().map_err(describe)?;
    if metadata.mode() & 0o077 != 0 && !is_credential(path) {
        return Err(format!("a file that others can read: run `chmod 600 {}`", quoted(path)));
    }
    let stamp = Stamp::of(&metadata);
    Ok((text_of(file).map_err(describe)?, stamp))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+@%,:=".contains(letter);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Which file lies at a path, and when it was last changed.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds of the last change of any kind, and of the last write.
    changed: (i64, i64),
    written: (i64, i64),
    length: u64,
    /// In Unix seconds, by this machine's clock.
    taken_at: f64,
}

impl Stamp {
    /// Of the file at `path` as it is now.
    ///
    /// # Errors
    /// If there is none, or it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Stamp> {
        Ok(Stamp::of(&path.metadata()?))
    }

    /// Of a file that was looked at just now.
    pub fn of(file: &Metadata) -> Stamp {
        Stamp {
            device: file.dev(),
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
            written: (file.mtime(), file.mtime_nsec()),
            length: file.len(),
            taken_at: clock::now().unix,
        }
    }

    /// Whether what was read after this stamp was taken is surely what lies there at a later one.
    pub fn is_unchanged(&self, later: &Stamp) -> bool {
        let of = |stamp: &Stamp| (stamp.device, stamp.inode, stamp.changed, stamp.written, stamp.length);
        let settled = (self.taken_at - self.changed.0 as f64).abs() >= TIMESTAMP_RESOLUTION_SECS;
        settled && of(self) == of(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn one_byte_order_mark_is_skipped_at_the_start_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        for (bytes, text) in [
            ("\u{feff}a\r\n", "a\r\n"),
            ("a\u{feff}", "a\u{feff}"),
            ("\u{feff}\u{feff}", "\u{feff}"),
            ("\u{feff}", ""),
            ("", ""),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read_text(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a 'secret'");
        fs::write(&path, "hush").unwrap();
        for open in [0o640, 0o604, 0o644, 0o620, 0o601] {
            mode(&path, open);
            let why = read_secret(&path).unwrap_err();
            let shown = folder.path().display();
            assert_eq!(
                why,
                format!(r"a file that others can read: run `chmod 600 '{shown}/a '\''secret'\'''`")
            );
        }
        for closed in [0o600, 0o400, 0o700] {
            mode(&path, closed);
            assert_eq!(read_secret(&path).unwrap().0, "hush");
        }
    }

    #[test]
    fn a_stamp_holds_only_if_the_file_was_read_well_after_its_last_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let stamp = Stamp::at(&path).unwrap();
        assert!(!stamp.is_unchanged(&stamp), "it was written a moment ago");
        let changed = stamp.changed.0 as f64;
        let taken = |after: f64| Stamp { taken_at: changed + after, ..stamp };
        assert!(taken(2.0).is_unchanged(&stamp));
        assert!(!taken(1.9).is_unchanged(&stamp));
        assert!(taken(-3600.0).is_unchanged(&stamp), "a change from now on bears another time");
        let earlier = taken(60.0);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert!(!earlier.is_unchanged(&Stamp::at(&path).unwrap()), "of the same length and time of writing");
    }
}
