//! Maintenance tasks of the writer. They wait if the database cannot be written.

use super::retention::{self, RetentionStep};
use super::{completeness, sizes};
use crate::clock::{self, UnixSeconds};
use rusqlite::Connection;
use std::time::Duration;

/// A task that can wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaintenanceTask {
    /// Record the size of the database at this time.
    Measure { now: UnixSeconds },
    /// Count how much of the account is mirrored, at this time. `pace` is the allowed requests per second,
    /// if any.
    Count { now: UnixSeconds, pace: Option<f64> },
    /// One step of [`retention`].
    Retain(retention::RetentionRules),
}

/// The result of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Maintained {
    Measured,
    /// Counted in this time.
    Counted(Duration),
    Retained(RetentionStep),
    /// The database cannot be written for now.
    Deferred(MaintenanceTask),
}

/// Runs a task in a transaction of a few milliseconds. A count takes a second with a million rows in the queue.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn work(connection: &mut Connection, task: &MaintenanceTask) -> rusqlite::Result<Maintained> {
    match task {
        MaintenanceTask::Measure { now } => {
            let tx = connection.transaction()?;
            sizes::note(&tx, *now)?;
            tx.commit()?;
            Ok(Maintained::Measured)
        }
        MaintenanceTask::Count { now, pace } => {
            let began = clock::mono();
            completeness::note(connection, *pace, *now)?;
            Ok(Maintained::Counted(clock::since(began)))
        }
        MaintenanceTask::Retain(order) => retention::step(connection, order).map(Maintained::Retained),
    }
}
