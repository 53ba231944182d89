//! Waits for other processes that hold the database locked while this process starts. Later the writer's thread
//! waits by itself.

use super::{BUSY_TIMEOUT, lock_holders};
use crate::clock;
use crate::text::shown;
use rusqlite::{Connection, ErrorCode, ffi};
use std::cell::RefCell;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a statement waits.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// After this the holder of the lock is logged.
const REPORT_AFTER: Duration = Duration::from_secs(1);
/// The interval between two attempts, and between two signs of life.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_millis(500);

/// The state of a wait. SQLite's handler is a plain function without state.
struct Waiting {
    path: PathBuf,
    alive: fn(&str),
    began: Instant,
    reported: bool,
    last_sign: Option<Instant>,
}

thread_local! {
    static WAITING: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

/// Makes each statement of this thread's connection wait up to a minute for a lock, and logs who holds it. Calls
/// `alive` several times a second.
///
/// # Errors
/// If SQLite does not accept the handler.
pub(crate) fn begin(connection: &Connection, path: &Path, alive: fn(&str)) -> rusqlite::Result<()> {
    let waiting =
        Waiting { path: path.to_owned(), alive, began: clock::mono(), reported: false, last_sign: None };
    WAITING.set(Some(waiting));
    connection.busy_handler(Some(wait))
}

/// `tries` is 0 when a statement first finds the lock held.
fn wait(tries: i32) -> bool {
    thread::sleep(RETRY_INTERVAL);
    WAITING.with_borrow_mut(|waiting| waiting.as_mut().is_some_and(|waiting| waiting.keep_waiting(tries)))
}

impl Waiting {
    fn keep_waiting(&mut self, tries: i32) -> bool {
        let now = clock::mono();
        if tries == 0 {
            (self.began, self.reported) = (now, false);
        }
        let waited = now - self.began;
        if waited >= REPORT_AFTER && !self.reported {
            self.reported = true;
            tracing::warn!("{}: waiting until its transaction ends", shown(&held(&self.path)));
        }
        if self.last_sign.is_none_or(|last_sign| now - last_sign >= SIGN_OF_LIFE_INTERVAL) {
            self.last_sign = Some(now);
            (self.alive)("waiting for another program to end its transaction in the database");
        }
        waited < MAX_WAIT
    }
}

/// Restores the usual wait, for a connection of the writer's thread.
///
/// # Errors
/// See [`Connection::busy_timeout`].
pub(crate) fn end(connection: &Connection) -> rusqlite::Result<()> {
    WAITING.set(None);
    connection.busy_timeout(BUSY_TIMEOUT)
}

/// SQLite's error code, if SQLite caused the error.
pub(crate) fn code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ffi::Error>() {
            return Some(error.code);
        }
        cause = error.source();
    }
    None
}

/// Whether another connection's lock caused the error.
pub(crate) fn is_locked(error: &(dyn Error + 'static)) -> bool {
    code(error).is_some_and(is_lock)
}

/// Whether the code means another connection's lock. "Locking protocol" does: SQLite tried for ten seconds to begin
/// reading while a process stood still (`SIGSTOP`, a frozen cgroup) with a lock that a reader holds for microseconds.
pub(crate) fn is_lock(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
}

/// Whether a damaged database file caused the error.
pub(crate) fn is_damaged(error: &(dyn Error + 'static)) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether a full disk caused the error.
pub(crate) fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    code(error) == Some(ErrorCode::DiskFull)
}

/// Whether a fault in a statement caused the error: a missing table or column.
pub(crate) fn is_of_sql(error: &(dyn Error + 'static)) -> bool {
    code(error) == Some(ErrorCode::Unknown)
}

/// What to do about a damaged database.
pub(crate) fn of_damage(database: &Path) -> String {
    let path = database.display();
    format!(
        "{path} is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); \
         without one, `sqlite3 {path} .recover` saves what can be read"
    )
}

/// The holder of the write lock, for people: `another program holds the write lock: sqlite3 (process 4711, user
/// ann)`.
pub(crate) fn held(database: &Path) -> String {
    let holder =
        lock_holders::writer(database).map_or(String::new(), |holder| format!(": {}", holder.named()));
    format!("another program holds the write lock{holder}")
}
