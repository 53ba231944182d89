//! What the writer does beside its work, and leaves for later where the database cannot be written.

use super::retention::{self, RetentionStep};
use super::{completeness, sizes};
use crate::clock;
use rusqlite::Connection;
use std::time::Duration;

/// Something that can wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaintenanceTask {
    /// Note how large the database is at this Unix second.
    Measure { now: i64 },
    /// Count how much of the account is mirrored, at this Unix second. `pace` is how many requests a second are
    /// allowed, if any are.
    Count { now: i64, pace: Option<f64> },
    /// One step of [`retention`].
    Retain(retention::RetentionRules),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Maintained {
    Measured,
    /// It took so long.
    Counted(Duration),
    Retained(RetentionStep),
    /// The database could not be written, in a way that may pass.
    Deferred(MaintenanceTask),
}

/// Does one, in a transaction of a few milliseconds; a count takes a second with a million rows in the queue.
///
/// # Errors
/// When the database cannot be written.
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
