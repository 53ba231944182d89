//! Secret files, and the systemd credentials that replace them. One configuration serves the daemon, which cannot
//! read the files, and root's commands, which have no credentials.

use crate::files;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The file of a secret: the configured one, unless there is none or this user may not read it and the credential
/// `name` exists.
pub(super) fn file_or(file: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    match file {
        Some(file) if is_denied(&file) => credential(name).or(Some(file)),
        Some(file) => Some(file),
        None => credential(name),
    }
}

/// A systemd credential. The units pass an empty line by default, which counts as none, so that talkmirror's own
/// message explains what is missing.
fn credential(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    let mut secret = Vec::new();
    let is_there = match files::open(&path).and_then(|mut file| file.read_to_end(&mut secret)) {
        Ok(_) => !secret.trim_ascii().is_empty(),
        // The reader reports why it cannot be read.
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    is_there.then_some(path)
}

fn is_denied(path: &Path) -> bool {
    files::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}
