//! Checkpoints: what is in the write-ahead log (the WAL) is moved into the database, by a thread and a connection
//! of its own, so that the writer is never held up by it.
//!
//! All of them are passive: they wait for nobody and nobody waits for them. It promises that the log begins anew
//! as soon as nobody reads an old state, also where the writer is never idle; and it finds out who keeps it from
//! that (`held`).
//!
//! The last few frames are the writer's: while a checkpoint runs the writer appends more, and the log begins anew
//! only after a moment in which none is left. The thread leaves so few that moving them costs a commit's time.

mod held;

pub use held::{Held, LARGE, LONG, OURSELVES, WalStatus};

use super::{BUSY_TIMEOUT, persist_wal};
use crate::clock;
use held::Watch;
use rusqlite::{Connection, InterruptHandle, OpenFlags, ffi};
use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Frames that have gathered when they are moved: 16 MiB. Pages that changed often meanwhile are moved once; a disk that
/// is given much more at once keeps the writer waiting for its commits all the same. The
/// log stays below the 64 MiB to which one that grew is cut back.
const GATHERED: u32 = 2000;
/// Frames that are moved all the same, once the last checkpoint is [`SOON`] past: a reader that is in the way is
/// noticed by that, …
const SOME: u32 = 1000;
const SOON: Duration = Duration::from_secs(5);
/// … and however few there are, after this: then they are not there to be read at the next start.
const LATE: Duration = Duration::from_secs(60);
/// Frames that the writer may move between two commits at most: 8 MiB, as pages that are in several of them are moved
/// once; what was moved before is on the disk by then.
const REST: u32 = 1024;
/// On a disk that takes longer than [`QUICK`] for it, as few as this; …
const LEAST_REST: u32 = 64;
const QUICK: Duration = Duration::from_millis(25);
/// … and so many more each time that it was quick, or had more to move: else the log would never begin anew there.
const MORE_REST: u32 = 16;
/// So often the thread tries to leave nothing, before it leaves the rest to the writer.
const TRIES: usize = 3;
/// Between two looks, while nobody asks for one; …
const LOOK: Duration = Duration::from_secs(2);
/// … and while there is more to move than the writer may.
const AGAIN: Duration = Duration::from_millis(100);
/// It calls nothing deep.
const STACK: usize = 256 * 1024;

thread_local! {
    /// Frames in the log after this thread's last commit.
    static FRAMES: Cell<u32> = const { Cell::new(0) };
}

/// A handle to the thread, for the writer.
pub struct Checkpointer {
    shared: Arc<Shared>,
    interrupt: InterruptHandle,
    thread: JoinHandle<()>,
    /// Frames that the writer may move at once.
    rest: Cell<u32>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Frames in the log that are in the database.
    moved: AtomicU32,
    /// The writer is to move the rest.
    finish: AtomicBool,
    stop: AtomicBool,
    status: Mutex<WalStatus>,
}

/// How the log is, for everybody in this process.
#[derive(Debug, Clone, Default)]
pub struct WalView(Arc<Shared>);

impl WalView {
    /// As of the last look, a few seconds ago.
    pub fn status(&self) -> WalStatus {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Checkpointer {
    /// Starts the thread for a database that `writer`, a connection of the calling thread's, writes; from then on
    /// that connection makes no checkpoint by itself.
    ///
    /// # Errors
    /// When no further connection can be had.
    pub fn start(writer: &Connection, database: &Path, view: &WalView) -> rusqlite::Result<Checkpointer> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(
            "PRAGMA cache_size = -64; -- KiB: it reads next to nothing
             PRAGMA synchronous = FULL;",
        )?;
        persist_wal(&connection);
        // The log is there for this connection only from its first look at the database on.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let shared = Arc::clone(&view.0);
        let interrupt = connection.get_interrupt_handle();
        let mut wal = OsString::from(database);
        wal.push("-wal");
        let work = Work {
            connection,
            wal: wal.into(),
            shared: Arc::clone(&shared),
            watch: Watch::new(database),
            last: Instant::now(),
            troubled: false,
        };
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .stack_size(STACK)
            .spawn(move || work.run())
            .map_err(|error| no_thread(&error))?;
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.wal_hook(Some(|_, frames| {
            FRAMES.set(u32::try_from(frames).unwrap_or_default());
            Ok(())
        }));
        Ok(Checkpointer { shared, interrupt, thread, rest: Cell::new(REST) })
    }

    /// The calling thread's connection has committed: has the thread look where much has gathered, and moves what
    /// it left.
    pub fn committed(&self, writer: &Connection) {
        let frames = FRAMES.get();
        let gathered = frames.saturating_sub(self.shared.moved.load(Ordering::Relaxed));
        let finish = self.shared.finish.load(Ordering::Relaxed);
        let rest = self.rest.get();
        if finish && gathered <= rest {
            let began = Instant::now();
            let left = pass(writer, "PRAGMA wal_checkpoint(PASSIVE)").map(|pass| {
                self.shared.moved.store(pass.moved, Ordering::Relaxed);
                pass.left()
            });
            self.rest.set(next_rest(rest, began.elapsed()));
            // What fails here is the thread's to try and to tell of.
            self.shared.finish.store(left.is_ok_and(|left| left > 0), Ordering::Relaxed);
        } else if finish || gathered >= GATHERED {
            if finish {
                self.rest.set(next_rest(rest, Duration::ZERO));
            }
            self.thread.thread().unpark();
        }
    }

    /// Ends the thread, in the middle of a checkpoint if need be: the next one goes on there.
    pub fn stop(self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        while !self.thread.is_finished() {
            self.thread.thread().unpark();
            // One that comes between two statements is forgotten.
            self.interrupt.interrupt();
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.thread.join();
    }
}

/// How many frames the writer may move at once, after it `took` so long with at most `rest` of them.
fn next_rest(rest: u32, took: Duration) -> u32 {
    if took > QUICK { (rest / 2).max(LEAST_REST) } else { (rest + MORE_REST).min(REST) }
}

/// Memory or threads have run out: that may pass.
fn no_thread(error: &io::Error) -> rusqlite::Error {
    let said = format!(
        "cannot start a thread for checkpoints: {error}; is there a limit (TasksMax= of the unit, ulimit -u, the container's)?"
    );
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), Some(said))
}

/// What a checkpoint found and left, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    /// Another connection's checkpoint is under way.
    busy: bool,
    /// In the log.
    frames: u32,
    /// Of these, in the database.
    moved: u32,
}

impl Pass {
    fn left(self) -> u32 {
        self.frames.saturating_sub(self.moved)
    }
}

/// `sql` is a `PRAGMA wal_checkpoint`.
fn pass(connection: &Connection, sql: &str) -> rusqlite::Result<Pass> {
    connection.prepare_cached(sql)?.query_row([], |row| {
        // -1 where there is no log.
        let count = |column| Ok::<_, rusqlite::Error>(u32::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
        Ok(Pass { busy: row.get(0)?, frames: count(1)?, moved: count(2)? })
    })
}

/// The thread.
struct Work {
    connection: Connection,
    wal: PathBuf,
    shared: Arc<Shared>,
    watch: Watch,
    /// The last checkpoint that left nothing, or the last time that there was nothing.
    last: Instant,
    /// The last one failed.
    troubled: bool,
}

impl Work {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let wait = match self.look() {
                Ok(wait) => {
                    self.troubled = false;
                    wait
                }
                Err(_) if self.shared.stop.load(Ordering::Relaxed) => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.troubled, true) {
                        tracing::warn!(
                            "cannot move the write-ahead log into the database: {error}; it grows until that can be done"
                        );
                    }
                    LOOK
                }
            };
            thread::park_timeout(wait);
        }
    }

    /// Moves what is to be moved; returns when to look again.
    fn look(&mut self) -> rusqlite::Result<Duration> {
        let found = pass(&self.connection, "PRAGMA wal_checkpoint(NOOP)")?;
        let age = self.last.elapsed();
        let held = self.watch.is_watching();
        let wanted = held
            || self.shared.finish.load(Ordering::Relaxed)
            || found.left() >= GATHERED
            || (found.left() >= SOME && age >= SOON)
            || (found.left() > 0 && age >= LATE);
        let left = if wanted && found.left() > 0 { self.move_all(found)? } else { found };
        if left.left() == 0 {
            self.last = Instant::now();
        }
        self.shared.moved.store(left.moved, Ordering::Relaxed);
        if wanted || left.left() == 0 {
            self.watch.note(left.frames, left.moved, clock::now());
        }
        self.tell();
        Ok(if self.shared.finish.load(Ordering::Relaxed) { AGAIN } else { LOOK })
    }

    /// Moves what it can, and leaves the writer the rest where it appends all the time.
    fn move_all(&mut self, mut before: Pass) -> rusqlite::Result<Pass> {
        // The writer waits for fewer.
        let tries = if self.shared.finish.load(Ordering::Relaxed) { 1 } else { TRIES };
        for _ in 0..tries {
            let Pass { moved, busy, .. } = pass(&self.connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
            if moved.saturating_sub(before.moved) > REST {
                // SQLite does it where nobody wrote meanwhile; the writer would have to wait for it.
                sync(&self.connection)?;
            }
            let now = pass(&self.connection, "PRAGMA wal_checkpoint(NOOP)")?;
            let stuck = busy || now.moved <= before.moved;
            before = now;
            if now.left() == 0 || stuck {
                self.shared.finish.store(false, Ordering::Relaxed);
                return Ok(now);
            }
        }
        self.shared.finish.store(true, Ordering::Relaxed);
        Ok(before)
    }

    /// Says how the log is.
    fn tell(&mut self) {
        let bytes = self.wal.metadata().map_or(0, |metadata| metadata.len());
        let now = clock::now();
        let status = self.watch.status(bytes, now);
        self.watch.say(&status, now.secs());
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Has the disk write what checkpoints gave it for the database's file. SQLite's own handle is asked: the locks of a
/// whole process are lost when it closes any other one of that file.
fn sync(connection: &Connection) -> rusqlite::Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is open, the name is a C string, and the opcode takes a pointer to a file's. That file
    // lives as long as the connection, which this thread alone uses.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()).and_then(|methods| methods.xSync) {
            Some(sync) => sync(file, ffi::SQLITE_SYNC_NORMAL),
            None => ffi::SQLITE_OK,
        }
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

#[cfg(test)]
mod tests;
