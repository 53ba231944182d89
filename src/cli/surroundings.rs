//! The environment of a command: variables, signals, limits and the configuration.

use super::progress::eprint_line;
use crate::config::{Config, ConfigFile, Mistakes, Needs};
use crate::sqlite::limit;
use anyhow::{Context, Result};
use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

/// Sets up the process. Only called at the start of `main`.
pub(super) fn prepare_process() {
    // A variable that is set but empty counts as unset, for talkmirror and for every library.
    for (name, value) in std::env::vars_os() {
        // The system cannot remove a name that begins with =.
        if value.is_empty() && !name.as_encoded_bytes().contains(&b'=') {
            // SAFETY: the process has only one thread, and nothing else reads the environment.
            #[expect(unsafe_code, reason = "the environment is changed")]
            unsafe {
                std::env::remove_var(name);
            }
        }
    }
    limit::handle_signal();
}

/// The configuration of the service.
pub(super) const SYSTEM_CONFIG: &str = "/etc/talkmirror/config.toml";

/// The configuration that the environment names.
pub(super) fn named_config() -> Option<PathBuf> {
    std::env::var_os("TALKMIRROR_CONFIG").map(PathBuf::from)
}

/// How many files a read of the database opens, …
pub(super) const FILES_TO_READ: usize = 6;
/// … and how many a worker opens, without its requests.
pub(super) const FILES_TO_WORK: usize = 16;

/// Checks that the process may open this many more files. Without them libraries fail with misleading errors, and
/// tokio panics.
///
/// # Errors
/// The system's error if it may not.
pub(super) fn require_files(count: usize) -> Result<()> {
    let pairs: io::Result<Vec<_>> = (0..count.div_ceil(2)).map(|_| io::pipe()).collect();
    pairs
        .map(drop)
        .context("cannot open enough files: is there a limit (LimitNOFILE= of the unit, ulimit -n)?")
}

/// The configuration, read once: it may be a pipe, and a command may need it twice.
pub(super) struct Input {
    path: PathBuf,
    read: OnceCell<ConfigFile>,
}

impl Input {
    pub(super) fn new(path: PathBuf) -> Input {
        Input { path, read: OnceCell::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> Result<&ConfigFile, Mistakes> {
        if let Some(file) = self.read.get() {
            return Ok(file);
        }
        let file = ConfigFile::read(&self.path)?;
        Ok(self.read.get_or_init(|| file))
    }

    /// The place of a syntax error, if the file was read and has one.
    pub(super) fn snippet(&self) -> Vec<String> {
        self.read.get().map(ConfigFile::snippet).unwrap_or_default()
    }

    pub(super) fn config(&self, needs: Needs) -> Result<Config, Mistakes> {
        Config::of(self.file()?, needs)
    }

    /// For a command that needs only the database: other mistakes are warnings.
    pub(super) fn for_database(&self) -> Result<Config, Mistakes> {
        let (config, mistakes) = Config::for_database(self.file()?)?;
        if !mistakes.is_empty() {
            let mistakes = mistakes.join("\n");
            eprint_line(&format!(
                "warning: the configuration is wrong, so defaults are used for this: {mistakes}"
            ));
        }
        Ok(config)
    }
}
