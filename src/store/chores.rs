//! What the writer does beside its work, and leaves for later where the database cannot be written.

use super::retention::{self, Step};
use super::sizes;
use rusqlite::Connection;

/// Something that can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Note how large the database is at this Unix second.
    Measure { now: i64 },
    /// One step of [`retention`].
    Retain(retention::Order),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chored {
    Measured,
    Retained(Step),
    /// The database could not be written, in a way that may pass.
    NotNow(Chore),
}

/// Does one, in a transaction of a few milliseconds.
///
/// # Errors
/// When the database cannot be written.
pub(super) fn work(connection: &mut Connection, chore: &Chore) -> rusqlite::Result<Chored> {
    match chore {
        Chore::Measure { now } => {
            let tx = connection.transaction()?;
            sizes::note(&tx, *now)?;
            tx.commit()?;
            Ok(Chored::Measured)
        }
        Chore::Retain(order) => retention::step(connection, order).map(Chored::Retained),
    }
}
