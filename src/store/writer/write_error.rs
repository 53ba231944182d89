//! What keeps a transaction from being committed.

use crate::sqlite::busy_wait::is_lock;
use crate::sqlite::{limit, lock_holders};
use rusqlite::{Connection, ErrorCode, ffi};
use std::io;
use std::path::Path;

/// Whether it may pass, or a person can correct it while the daemon runs.
pub(super) fn may_pass(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| {
        is_lock(code)
            || matches!(
                code,
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::CannotOpen
                    | ErrorCode::OutOfMemory
            )
    })
}

/// Whether it is of what was to be written, and not of the database: another write may go through.
pub(super) fn is_one_row_s(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::StatementChangedRows(_)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::ToSqlConversionFailure(_) => true,
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        ),
    }
}

/// The system's error of the connection's last failed call.
fn system_error(connection: &Connection) -> Option<io::Error> {
    // SAFETY: the handle is open, and this thread alone uses it.
    #[expect(unsafe_code, reason = "rusqlite has no call for it")]
    let code = unsafe { ffi::sqlite3_system_errno(connection.handle()) };
    (code != 0).then(|| io::Error::from_raw_os_error(code))
}

/// In words, with who is in the way and what to do.
pub(super) fn explain(error: &rusqlite::Error, connection: &Connection, database: &Path) -> String {
    let system = system_error(connection);
    if system.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::FileTooLarge) {
        return limit::REACHED.into();
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: make room".into(),
        Some(code) if is_lock(code) => {
            let holder = match lock_holders::writer(database) {
                Some(holder) => format!(", {}", holder.named()),
                None => format!(" (`fuser -v {}` shows who has it open)", database.display()),
            };
            format!("another program holds the write lock{holder}: end its transaction")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("the file or its folder cannot be written: {error}")
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => match system {
            Some(system) => format!("{error}: {system}"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}
