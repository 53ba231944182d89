//! The lock of a database. The database itself also names its holder.

use super::status::DaemonStatus;
use crate::sqlite::lock;
pub use crate::sqlite::lock::{InstanceLock, LockError, file_of, is_held};
use std::path::Path;

/// Takes the lock of a database to work on, or fails at once. Creates the database's file if there is none.
///
/// # Errors
/// [`LockError::Held`] with the holder's process id.
pub fn acquire(database: &Path) -> Result<InstanceLock, LockError> {
    lock::acquire(database, noted)
}

/// The same for a database to be replaced. Creates no file.
///
/// # Errors
/// See [`acquire`].
pub fn acquire_to_replace(database: &Path) -> Result<InstanceLock, LockError> {
    lock::acquire_to_replace(database, noted)
}

/// The process that works on a database, for people. `None` if there is none.
///
/// Must not be called while this process has the database open.
pub fn lock_holder(database: &Path) -> Option<String> {
    lock::lock_holder(database, noted)
}

fn noted(database: &Path) -> Option<u32> {
    let status = super::open_read_only(database).ok().and_then(|open| DaemonStatus::read(&open).ok()?);
    status.filter(|status| status.stopped_at.is_none()).map(|status| status.pid)
}
