//! Patience with other programs that hold the database locked while a process starts: before there is a writer's
//! thread, which waits by itself.

use super::{BUSY_TIMEOUT, lock_holders};
use crate::clock;
use crate::text::shown;
use rusqlite::{Connection, ErrorCode, ffi};
use std::cell::RefCell;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// So long a statement waits.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// After this it is said who holds the lock.
const REPORT_AFTER: Duration = Duration::from_secs(1);
/// Between two tries, and between two signs of life.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_millis(500);

/// What the one who waits knows; SQLite's handler is a function without anything of its own.
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

/// Has each statement that this thread asks of the connection wait up to a minute for a lock, and say in the log who
/// holds it. `alive` is called several times a second meanwhile.
///
/// # Errors
/// When SQLite does not take the handler.
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

/// Has the connection wait as long as any other, once a writer's thread has it.
///
/// # Errors
/// See [`Connection::busy_timeout`].
pub fn end(connection: &Connection) -> rusqlite::Result<()> {
    WAITING.set(None);
    connection.busy_timeout(BUSY_TIMEOUT)
}

/// SQLite's code of what went wrong, where that is what caused the error.
pub fn code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ffi::Error>() {
            return Some(error.code);
        }
        cause = error.source();
    }
    None
}

/// Whether the error, or what caused it, is that another connection holds a lock.
pub fn is_locked(error: &(dyn Error + 'static)) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether the error, or what caused it, is that a database's file is damaged.
pub fn is_damaged(error: &(dyn Error + 'static)) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the error, or what caused it, is that the disk is full.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    code(error) == Some(ErrorCode::DiskFull)
}

/// Whether the error, or what caused it, is one in a statement: a table or a column that is not there.
pub fn is_of_sql(error: &(dyn Error + 'static)) -> bool {
    code(error) == Some(ErrorCode::Unknown)
}

/// What to do about a damaged database.
pub fn of_damage(database: &Path) -> String {
    let path = database.display();
    format!(
        "{path} is damaged: stop talkmirror and put the newest backup in its place (`talkmirror backup --restore FILE`); \
         without one, `sqlite3 {path} .recover` saves what can be read"
    )
}

/// Who holds the write lock, in words: `another program holds the write lock: sqlite3 (process 4711, user ann)`.
pub fn held(database: &Path) -> String {
    let holder =
        lock_holders::writer(database).map_or(String::new(), |holder| format!(": {}", holder.named()));
    format!("another program holds the write lock{holder}")
}
