//! Tests whether a database could be worked on. Changes nothing.

use super::{StoreError, connect, identify, require_file};
use crate::sqlite::beside;
use crate::sqlite::lock::{self, LockError};
use nix::unistd::{AccessFlags, eaccess};
use rusqlite::config::DbConfig;
use rusqlite::{ErrorCode, OpenFlags, TransactionBehavior};
use std::path::Path;

/// Why it could not be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Tries to write the database, or to create it if there is none, and to take its lock.
///
/// # Errors
/// If this user may not, or another process holds the write lock for longer than a command waits.
pub(crate) fn write(path: &Path) -> Result<(), TrialError> {
    require_file(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_writable = eaccess(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    if path.exists() {
        write_and_roll_back(path)?;
    } else if !is_writable {
        return Err(StoreError::ReadOnly(path.to_owned()).into());
    }
    let lock = lock::note_path(path);
    lock::require_note(&lock)?;
    let tried = match lock.exists() {
        true => eaccess(&lock, AccessFlags::R_OK | AccessFlags::W_OK),
        false => eaccess(lock.parent().unwrap_or(folder), AccessFlags::W_OK | AccessFlags::X_OK),
    };
    tried.map_err(|errno| LockError::Io { path: lock, source: errno.into() }.into())
}

fn write_and_roll_back(path: &Path) -> Result<(), StoreError> {
    let had_wal = beside(path, "-wal").exists();
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Otherwise the last connection to close makes a checkpoint, and removes the files that readers need.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_wal)?;
    let version = identify(&connection, path)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    let mut write = || {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Writes the existing value, but still writes a page.
        tx.pragma_update(None, "user_version", version)?;
        tx.rollback()
    };
    write().map_err(|source| match source {
        rusqlite::Error::SqliteFailure(error, _)
            if matches!(
                error.code,
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen
            ) =>
        {
            StoreError::ReadOnly(path.to_owned())
        }
        source => StoreError::Open { step: "write", path: path.to_owned(), source },
    })
}
