//! Pages of talks, of the queue and of closings, as people leaf through them.
//!
//! Each query reads an index or few rows. A page is found again by its number, so the number is bounded: what is further
//! down is found by a filter. [`within`] ends what takes too long all the same.

pub(crate) mod closings;
pub(crate) mod names;
pub(crate) mod queue;
pub(crate) mod talks;

use crate::clock;
use rusqlite::{Connection, ErrorCode};
use std::ffi::c_int;
use std::time::Duration;

/// The rows of a page.
pub(crate) const PAGE_ROWS: usize = 50;
/// The highest number of a page.
pub(crate) const LAST_PAGE: usize = 200;
/// How many steps of SQLite are between two checks of the clock: some milliseconds.
const DEADLINE_STEPS: c_int = 100_000;

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page<T> {
    pub rows: Vec<T>,
    /// From 1 to [`LAST_PAGE`].
    pub number: usize,
    /// Whether the list goes on.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Of one row more than a page has, if there are so many.
    fn of(mut rows: Vec<T>, number: usize) -> Page<T> {
        let has_more = rows.len() > PAGE_ROWS;
        rows.truncate(PAGE_ROWS);
        Page { rows, number, has_more }
    }
}

/// How many rows come before a page.
fn rows_before(number: usize) -> usize {
    number.clamp(1, LAST_PAGE).saturating_sub(1) * PAGE_ROWS
}

/// One row more than a page has shows whether there is more.
const ROWS_READ: usize = PAGE_ROWS + 1;

/// Runs `read` on a connection that does nothing else. `None` if it takes longer than `longest`.
///
/// # Errors
/// The error of `read`.
pub(crate) fn within<T>(
    connection: &Connection,
    longest: Duration,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let begun = clock::mono();
    connection.progress_handler(DEADLINE_STEPS, Some(move || clock::since(begun) >= longest))?;
    let found = read();
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(found) => Ok(Some(found)),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::OperationInterrupted => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
