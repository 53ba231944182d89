//! How a command that failed ends: the exit code, and what to do.

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
const IS_HELD: u8 = 75;
pub const CANNOT_HELP: u8 = 78;

/// 75: another instance holds the database. 78: the configuration, the account or the database is wrong, and a
/// restart cannot help. Else 1; clap itself ends with 2.
pub fn code(error: &anyhow::Error) -> u8 {
    let is_held = |cause: &(dyn Error + 'static)| matches!(lock_error(cause), Some(LockError::Held { .. }));
    if error.chain().any(is_held) {
        return IS_HELD;
    }
    if error.chain().any(is_for_good) || is_damaged(error) { CANNOT_HELP } else { 1 }
}

/// Whether an error says that something is wrong which no restart can help. One that wraps another without words of its
/// own hides it from whoever walks through the causes: each of those is looked into here.
pub fn is_for_good(error: &(dyn Error + 'static)) -> bool {
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

/// What is wrong with the database; of a backup that is to be restored it is another matter.
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

/// Whether the database itself is not one to work with, whoever tries again.
pub fn is_wrong_database(error: &StoreError) -> bool {
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

/// Whether the database is damaged; a backup that is to be restored is another matter.
fn is_damaged(error: &anyhow::Error) -> bool {
    busy_wait::is_damaged(error.as_ref()) || matches!(error.downcast_ref(), Some(BackupError::Damaged { .. }))
}

/// What to do about an error of the database that is another's doing: a limit, a full disk, a lock, or something dropped.
pub fn hint(error: &anyhow::Error, input: &Input) -> Option<String> {
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
        "something was dropped from the database, or added to it: `talkmirror check` says what, and how to repair it".into()
    })
}
