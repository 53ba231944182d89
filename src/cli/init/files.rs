//! Writes the files of `init`, each whole or not at all, and over none that exists.

use super::place::Place;
use super::questions::{Answers, Secret};
use super::text;
use crate::config::{Config, ConfigFile, Needs, schema};
use crate::sqlite::owner::hand_over;
use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use secrecy::{ExposeSecret, SecretString};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file to write.
struct NewFile {
    path: PathBuf,
    text: SecretString,
    mode: u32,
    /// Only the package's own configuration is replaced.
    replace: bool,
}

/// Writes the secret, the schema and the configuration. Returns their paths. If one cannot be written, none stays.
pub(super) fn write(place: &Place, answers: &Answers) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if let Secret::New(secret) = answers.access.secret() {
        let text = SecretString::from(format!("{}\n", secret.expose_secret().trim()));
        files.push(NewFile { path: place.secret(answers), text, mode: 0o600, replace: false });
    }
    let schema_path = place.folder().join("config.schema.json");
    if place.schema().1 && !schema_path.exists() {
        let text = SecretString::from(format!("{:#}\n", schema()));
        files.push(NewFile { path: schema_path, text, mode: 0o644, replace: false });
    }
    let text = text::config(place, answers);
    // What is wrong is told before anything is written.
    Config::of(&ConfigFile::of_text(&place.config, text.clone()), Needs::DatabaseAlone)?;
    let text = SecretString::from(text);
    files.push(NewFile { path: place.config.clone(), text, mode: 0o644, replace: place.is_shipped() });

    // A signal waits until all files are there or none is.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    let written = write_all(place, &files);
    signals.thread_unblock()?;
    written.map(|()| files.into_iter().map(|file| file.path).collect())
}

fn write_all(place: &Place, files: &[NewFile]) -> Result<()> {
    for (folder, mode) in place.folders() {
        make_folder(&folder, mode)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    for (place, file) in files.iter().enumerate() {
        if let Err(error) = write_one(file) {
            for written in &files[..place] {
                let _ = fs::remove_file(&written.path);
            }
            return Err(error.context(format!("cannot write {}", file.path.display())));
        }
    }
    Ok(())
}

fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    hand_over(&File::open(folder)?, folder.parent().unwrap_or(Path::new("/")))?;
    Ok(())
}

fn write_one(new: &NewFile) -> Result<()> {
    let folder = new.path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".talkmirror-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(new.text.expose_secret().as_bytes())?;
    hand_over(file.as_file(), folder)?;
    file.as_file().set_permissions(Permissions::from_mode(new.mode))?;
    file.as_file().sync_all()?;
    match new.replace {
        true => file.persist(&new.path).map_err(|error| error.error)?,
        false => file.persist_noclobber(&new.path).map_err(|error| error.error)?,
    };
    File::open(folder)?.sync_all()?;
    Ok(())
}
