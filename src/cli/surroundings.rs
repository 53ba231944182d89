//! What a command finds around it: the environment, signals, and the configuration.

use super::progress::eprint_line;
use crate::config::{Config, ConfigFile, Mistakes, Needs};
use crate::sqlite::limit;
use anyhow::{Context, Result};
use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

/// Settles what must be so before anything begins. For the start of `main` alone.
pub fn settle() {
    // A variable that is set but empty counts as unset, for us and for every library that reads one.
    for (name, value) in std::env::vars_os() {
        // The system's functions cannot remove a name that begins with =.
        if value.is_empty() && !name.as_encoded_bytes().contains(&b'=') {
            // SAFETY: the process has one thread yet, and nobody else reads the environment.
            unsafe { std::env::remove_var(name) };
        }
    }
    limit::settle();
}

/// Files that a look at the database opens, …
pub const FILES_OF_A_LOOK: usize = 6;
/// … and those that work does, without its requests.
pub const FILES_OF_WORK: usize = 16;

/// Whether the system lets this process open so many more files: without them libraries fail in words that hide why,
/// and tokio panics.
///
/// # Errors
/// If it does not, as the system says it.
pub fn require_files(count: usize) -> Result<()> {
    let pairs: io::Result<Vec<_>> = (0..count.div_ceil(2)).map(|_| io::pipe()).collect();
    pairs
        .map(drop)
        .context("cannot open enough files: is there a limit (LimitNOFILE= of the unit, ulimit -n)?")
}

/// The configuration, read once: it may be a pipe, and a command may need it twice.
pub struct Input {
    path: PathBuf,
    read: OnceCell<ConfigFile>,
}

impl Input {
    pub fn new(path: PathBuf) -> Input {
        Input { path, read: OnceCell::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> Result<&ConfigFile, Mistakes> {
        if let Some(file) = self.read.get() {
            return Ok(file);
        }
        let file = ConfigFile::read(&self.path)?;
        Ok(self.read.get_or_init(|| file))
    }

    pub fn config(&self, needs: Needs) -> Result<Config, Mistakes> {
        Config::of(self.file()?, needs)
    }

    /// For a command that needs the database alone: mistakes elsewhere are warnings.
    pub fn for_database(&self) -> Result<Config, Mistakes> {
        let (config, mistakes) = Config::for_database(self.file()?)?;
        if !mistakes.is_empty() {
            let mistakes = mistakes.join("\n");
            eprint_line(&format!(
                "warning: the configuration is wrong, and defaults stand in for this: {mistakes}"
            ));
        }
        Ok(config)
    }
}
