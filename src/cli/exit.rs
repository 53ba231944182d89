//! How a failed command ends: its exit code, and a hint what to do.

use super::surroundings::Input;
use crate::config::{Config, Mistakes};
use crate::daemon::DaemonError;
use crate::sqlite::{busy_wait, limit};
use crate::store::StoreError;
use crate::store::backup::BackupError;
use crate::store::lock::LockError;
use crate::store::restore::RestoreError;
use crate::store::trial::TrialError;
use crate::worker::WorkError;
use std::error::Error;

/// See [`code`].
const EXIT_LOCKED: u8 = 75;
pub(super) const EXIT_PERMANENT: u8 = 78;

/// 75: another instance holds the database. 78: the configuration, the account or the database is wrong, and a
/// restart cannot help. Otherwise 1. Clap itself exits with 2.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    let is_held = |cause: &(dyn Error + 'static)| matches!(lock_error(cause), Some(LockError::Held { .. }));
    if error.chain().any(is_held) {
        return EXIT_LOCKED;
    }
    if error.chain().any(is_permanent) || is_damaged(error) { EXIT_PERMANENT } else { 1 }
}

/// Whether no restart can fix this error. A transparent wrapper hides the wrapped error from a walk through the
/// causes, so it is checked here.
pub(super) fn is_permanent(error: &(dyn Error + 'static)) -> bool {
    error.is::<Mistakes>()
        || matches!(
            error.downcast_ref(),
            Some(DaemonError::Config(_) | DaemonError::Work(WorkError::OtherAccount { .. }))
        )
        || matches!(lock_error(error), Some(LockError::NotAFile { .. }))
        || store_error(error).is_some_and(is_wrong_database)
}

fn lock_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a LockError> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(DaemonError::Lock(error)), _) | (_, Some(TrialError::Lock(error))) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// The error of the database. An error of a backup to restore does not count.
fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    if let Some(DaemonError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(BackupError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(RestoreError::Store(error)), _) | (_, Some(TrialError::Store(error))) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// Whether the database itself is unusable, even for another attempt.
pub(super) fn is_wrong_database(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotAFile { .. }
            | StoreError::NotAFileBeside { .. }
            | StoreError::NotADatabase(_)
            | StoreError::Foreign(_)
            | StoreError::Newer { .. }
            | StoreError::Development(_)
            | StoreError::Broken { .. }
    ) || busy_wait::is_damaged(error)
}

/// Whether the database is damaged. A backup to restore does not count.
fn is_damaged(error: &anyhow::Error) -> bool {
    busy_wait::is_damaged(error.as_ref()) || matches!(error.downcast_ref(), Some(BackupError::Damaged { .. }))
}

/// What to do about a database error with an outside cause: a limit, a full disk, a lock, or a dropped object.
pub(super) fn hint(error: &anyhow::Error, input: &Input) -> Option<String> {
    if limit::is_reached(error.as_ref()) {
        return Some(limit::REACHED.into());
    }
    if busy_wait::is_disk_full(error.as_ref()) {
        return Some("make room on the disk, then try again".into());
    }
    if busy_wait::is_locked(error.as_ref()) {
        let (config, _) = Config::for_database(input.file().ok()?).ok()?;
        return Some(format!("{}: end its transaction, then try again", busy_wait::held(&config.database)));
    }
    if is_damaged(error) {
        let (config, _) = Config::for_database(input.file().ok()?).ok()?;
        return Some(busy_wait::of_damage(&config.database));
    }
    let of_sql = busy_wait::is_of_sql(error.as_ref());
    (of_sql && format!("{error:#}").contains("no such ")).then(|| {
        "something was dropped from the database, or added to it: `talkmirror check` shows what, and how to \
         repair it"
            .into()
    })
}
