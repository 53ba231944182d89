//! A configuration's text, read once.

use super::{Mistakes, syntax};
use crate::files::text_of;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A configuration's text and its path. A pipe can be read only once, and a command may need it twice.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    is_regular: bool,
}

impl ConfigFile {
    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<ConfigFile, Mistakes> {
        let read = || {
            let file = File::open(path)?;
            let is_regular = file.metadata()?.is_file() && !is_descriptor(path);
            Ok::<_, std::io::Error>(ConfigFile { path: path.to_owned(), text: text_of(file)?, is_regular })
        };
        read().map_err(|error| {
            let file = path.display();
            Mistakes(vec![format!(
                "{file}: expected a configuration file (`talkmirror init` writes one), found: {error}"
            )])
        })
    }

    /// A configuration with this text.
    pub(crate) fn of_text(path: &Path, text: String) -> ConfigFile {
        ConfigFile { path: path.to_owned(), text, is_regular: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// If the text is not TOML: the line in question, with a caret below it. What may be a secret is hidden.
    pub(crate) fn snippet(&self) -> Vec<String> {
        syntax::lines(&self.text).err().map(|error| error.snippet()).unwrap_or_default()
    }

    /// Whether it can be read again.
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// The base of relative paths: the file's folder, or the working directory if it is not a regular file.
    pub(super) fn folder(&self) -> PathBuf {
        let parent = self.path.parent().filter(|_| self.is_regular).unwrap_or(Path::new(""));
        // An absolute path has a parent folder, whatever the name.
        std::path::absolute(parent.join("."))
            .map_or_else(|_| parent.to_owned(), |folder| folder.components().collect())
    }
}

/// An open file descriptor has no folder.
fn is_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc")
}
