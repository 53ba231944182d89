//! Text files from outside, and stamps that show that a file has changed.
//!
//! Uses `clock`.

use crate::clock;
use nix::libc;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A file that changed this shortly before it was read may change again within the same tick of the file system's
/// clock. Then its times do not show the change.
const TIMESTAMP_RESOLUTION_SECS: f64 = 2.0;

/// The kind of what is at a path, if it is not a regular file: to open or read it may block forever. `None` for a
/// file, or if nothing is there.
pub(crate) fn special(path: &Path) -> Option<&'static str> {
    let kind = path.metadata().ok()?.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// Opens a regular file with `options`, and nothing else.
///
/// # Errors
/// If it cannot be opened, or is not a regular file: see [`special`].
pub(crate) fn open_as(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if let Some(kind) = special(path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{kind}, not a file")));
    }
    // If a pipe appears there now, this does not wait for its other end.
    options.custom_flags(libc::O_NONBLOCK).open(path)
}

/// The same, for reading.
///
/// # Errors
/// See [`open_as`].
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_as(OpenOptions::new().read(true), path)
}

/// Removes the byte order mark that editors and spreadsheets write.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    text_of(open(path)?)
}

/// The rest of an open file, like [`read_text`].
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub(crate) fn text_of(mut file: File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(without_bom(&text).to_owned())
}

/// Whether systemd passed this file as a credential. systemd protects it, and it is a copy, so a new token cannot
/// be put there.
pub(crate) fn is_credential(path: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| path.starts_with(folder))
}

/// The text of a file that only its owner may read, and the stamp from before the read.
///
/// # Errors
/// If others may read it. The message names the `chmod` to run.
pub(crate) fn read_secret(path: &Path) -> Result<(String, Stamp), String> {
    let describe = |error: io::Error| error.to_string();
    let file = open(path).map_err(describe)?;
    let metadata = file.metadata().map_err(describe)?;
    if metadata.mode() & 0o077 != 0 && !is_credential(path) {
        return Err(format!("a file that others can read: run `chmod 600 {}`", quoted(path)));
    }
    let stamp = Stamp::of(&metadata);
    Ok((text_of(file).map_err(describe)?, stamp))
}

/// A path quoted for a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+@%,:=".contains(letter);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Which file is at a path, and when it last changed.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds of the last change of any kind, and of the last write.
    changed: (i64, i64),
    written: (i64, i64),
    length: u64,
    /// Unix seconds, by this machine's clock.
    taken_at: f64,
}

impl Stamp {
    /// The stamp of the file at `path` now.
    ///
    /// # Errors
    /// If there is none, or its metadata cannot be read.
    pub fn at(path: &Path) -> io::Result<Stamp> {
        Ok(Stamp::of(&path.metadata()?))
    }

    /// A stamp from metadata that was read just now.
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

    /// Whether content read after this stamp is certainly still there at a later stamp.
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
