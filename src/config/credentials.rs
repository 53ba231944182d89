//! Files with secrets, and the credentials of systemd that stand in for them: so that one configuration
//! serves the daemon, which cannot read the files, and root's commands, which have no credentials.

use crate::files;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The file that holds a secret: the one that is named, unless there is none or this user may not read it
/// while there is the credential `name`.
pub fn file_or(file: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    match file {
        Some(file) if is_denied(&file) => credential(name).or(Some(file)),
        Some(file) => Some(file),
        None => credential(name),
    }
}

/// A credential of systemd. An empty line is none: the units' default, so that what is missing is told in our words.
fn credential(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    let mut secret = Vec::new();
    let is_there = match files::open(&path).and_then(|mut file| file.read_to_end(&mut secret)) {
        Ok(_) => !secret.trim_ascii().is_empty(),
        // Whoever reads it says why it cannot be read.
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    is_there.then_some(path)
}

fn is_denied(path: &Path) -> bool {
    files::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}
