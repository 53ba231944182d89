//! What keeps a transaction from being committed.

use crate::store::guests;
use rusqlite::ErrorCode;
use std::path::Path;

/// Whether time may mend it, or a person without stopping us.
pub(super) fn may_pass(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
        )
    )
}

/// In words, with who is in the way and what to do.
pub(super) fn explain(error: &rusqlite::Error, database: &Path) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: make room".into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let holder = match guests::writer(database) {
                Some(guest) => format!(", {}", guest.named()),
                None => format!(" (`fuser -v {}` shows who has it open)", database.display()),
            };
            format!("another program holds the write lock{holder}: end its transaction")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("the file or its folder cannot be written: {error}")
        }
        _ => error.to_string(),
    }
}
