//! Why a database cannot be used, with what to do.

use super::SCHEMA_VERSION;
use rusqlite::{ErrorCode, ffi};
use std::error::Error;
use std::path::PathBuf;

/// The errors of a database.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum StoreError {
    #[error("there is no database at {0} yet: `talkmirror run` or `talkmirror sync` creates it")]
    Missing(PathBuf),
    #[error(
        "{0} was removed while a talkmirror process uses it: restart that process, which creates a new file, \
         or restore a backup first"
    )]
    Lost(PathBuf),
    #[error("{path} is {kind}, not a file: set database.path to a file")]
    NotAFile { path: PathBuf, kind: &'static str },
    #[error("{path} is {kind}, not a file: remove it, as SQLite keeps a file of the database there")]
    NotAFileBeside { path: PathBuf, kind: &'static str },
    #[error("there is no folder {0} for the database: create it, or set database.path")]
    NoFolder(PathBuf),
    #[error(
        "{0} is not a SQLite database: set database.path to another file, or move this one away and restore a backup"
    )]
    NotADatabase(PathBuf),
    #[error("{0} is a SQLite database of something else: set database.path to another file")]
    Foreign(PathBuf),
    #[error(
        "{path} was written by a newer talkmirror (schema {found}; this one knows {SCHEMA_VERSION}): upgrade \
         talkmirror"
    )]
    Newer { path: PathBuf, found: i64 },
    #[error(
        "{0} was made by a development version of talkmirror, from before its first release, and is not migrated: move it \
         away or remove it, then start talkmirror, which mirrors the account anew"
    )]
    Development(PathBuf),
    #[error(
        "{path} has schema {found}, and this version has {SCHEMA_VERSION}: stop any older talkmirror, then \
         start this one (`talkmirror run` or `talkmirror sync`), which migrates it"
    )]
    Older { path: PathBuf, found: i64 },
    #[error("{0} cannot be written: give this user the right to write the file and its folder")]
    ReadOnly(PathBuf),
    #[error(
        "{0} is another name (a hard link) of a database that a talkmirror process uses: use the same name, \
         as SQLite keeps a WAL for each name"
    )]
    OtherName(PathBuf),
    #[error("cannot {step} {path}")]
    Open { step: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("{path} is not as talkmirror created it: {broken}")]
    Broken { path: PathBuf, broken: String },
    #[error("cannot repair {name}, which is missing or was changed, in {path}")]
    Repair { path: PathBuf, name: String, source: rusqlite::Error },
    #[error("cannot migrate {path}")]
    Migrate { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// An error and what caused it, in one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !is_repeated(error, &line, &message) {
            line = format!("{line}: {message}");
        }
        cause = error.source();
    }
    line
}

/// SQLite's code often repeats its message. For an I/O error the code adds details.
fn is_repeated(error: &(dyn Error + 'static), line: &str, message: &str) -> bool {
    let code = error.downcast_ref::<ffi::Error>().map(|error| error.code);
    let text = message.split_once(": ").map_or(message, |(_, text)| text);
    code.is_some_and(|code| code != ErrorCode::SystemIoFailure) && line.ends_with(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_repeats_the_message_is_left_out() {
        let sqlite = |code: i32, message: &str| {
            anyhow::Error::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message.into())))
        };
        let full = sqlite(ffi::SQLITE_FULL, "database or disk is full").context("cannot queue them");
        assert_eq!(causes(full.as_ref()), "cannot queue them: database or disk is full");
        let other = sqlite(ffi::SQLITE_CONSTRAINT, "not this one");
        assert_eq!(causes(other.as_ref()), "not this one: Error code 19: constraint failed");
        let failed = sqlite(ffi::SQLITE_IOERR_WRITE, "disk I/O error");
        assert_eq!(causes(failed.as_ref()), "disk I/O error: Error code 778: disk I/O error");
    }
}
