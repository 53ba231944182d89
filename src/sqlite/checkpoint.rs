//! Checkpoints: the writer moves the WAL (the write-ahead log) into the database, between two transactions.
//!
//! All checkpoints are passive: they wait for no other process. Nothing writes meanwhile, so a checkpoint moves
//! everything and the WAL restarts at its beginning. Only a reader of an old state prevents that; `held` finds out
//! which.

mod held;

pub(crate) use held::{LARGE_WAL_BYTES, LONG_HELD, OWN_BACKUP, WalStatus};

use crate::clock;
use held::WalWatch;
use rusqlite::Connection;
use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A checkpoint starts at this many frames: 16 MiB. A page that changed often is moved once. The WAL stays below
/// the 64 MiB to which a grown one is cut back.
const CHECKPOINT_FRAMES: u32 = 2000;
/// The interval between two attempts while a reader holds the WAL back or the disk is full, and between two checks
/// of the WAL's size.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// After this a checkpoint starts however few frames there are, so that the next start need not read them.
const MAX_DELAY: Duration = Duration::from_secs(60);

thread_local! {
    /// Frames in the WAL after this thread's last commit.
    static FRAMES: Cell<u32> = const { Cell::new(0) };
}

/// The state of the WAL, for all threads of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct WalView(Arc<Mutex<WalStatus>>);

impl WalView {
    /// The state at the last check, a few seconds ago.
    pub(crate) fn status(&self) -> WalStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The writer's checkpoints.
pub(crate) struct Checkpoints {
    view: WalView,
    wal: PathBuf,
    wal_watch: WalWatch,
    /// Frames of the WAL that are already in the database.
    moved: u32,
    tried: Instant,
    /// When the state of the WAL was last published.
    published: Option<Instant>,
    /// The last checkpoint failed.
    failing: bool,
}

impl Checkpoints {
    /// For a database that `writer`, a connection of the calling thread, writes. From now on that connection makes
    /// no checkpoint by itself.
    ///
    /// # Errors
    /// If the connection cannot be set up.
    pub(crate) fn new(writer: &Connection, database: &Path, view: &WalView) -> rusqlite::Result<Checkpoints> {
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.wal_hook(Some(|_, frames| {
            FRAMES.set(u32::try_from(frames).unwrap_or_default());
            Ok(())
        }));
        let mut wal = OsString::from(database);
        wal.push("-wal");
        Ok(Checkpoints {
            view: view.clone(),
            wal: wal.into(),
            wal_watch: WalWatch::new(database),
            moved: 0,
            tried: clock::mono(),
            published: None,
            failing: false,
        })
    }

    /// Makes a checkpoint if one is due, and publishes the state of the WAL. Call it between two transactions.
    pub(crate) fn look(&mut self, writer: &Connection) {
        let frames = FRAMES.get();
        if frames < self.moved {
            // The WAL has restarted.
            self.moved = 0;
        }
        let rest = if self.failing || self.wal_watch.is_watching() {
            RETRY_INTERVAL
        } else if frames - self.moved >= CHECKPOINT_FRAMES {
            Duration::ZERO
        } else {
            MAX_DELAY
        };
        if clock::since(self.tried) >= rest {
            self.checkpoint(writer);
            self.tried = clock::mono();
        }
        if self.published.is_none_or(|at| clock::since(at) >= RETRY_INTERVAL) {
            self.publish();
            self.published = Some(clock::mono());
        }
    }

    fn checkpoint(&mut self, writer: &Connection) {
        match passive(writer) {
            Ok((frames, moved)) => {
                FRAMES.set(frames);
                self.moved = moved;
                self.wal_watch.note(frames, moved, clock::now());
                self.failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        "cannot move the write-ahead log into the database: {error}; it grows until that \
                         succeeds"
                    );
                }
            }
        }
    }

    /// Publishes the state of the WAL.
    fn publish(&mut self) {
        let bytes = self.wal.metadata().map_or(0, |metadata| metadata.len());
        let now = clock::now();
        let status = self.wal_watch.status(bytes, now);
        self.wal_watch.report(&status, now.secs());
        *self.view.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// For a writer that cannot commit: on a full disk a restarted WAL needs no more space.
pub(crate) fn relieve(writer: &Connection) {
    if let Err(error) = passive(writer) {
        tracing::debug!("cannot move the write-ahead log into the database: {error}");
    }
}

/// Moves what no reader holds back. Returns the frames in the WAL, and how many of them are in the database.
fn passive(writer: &Connection) -> rusqlite::Result<(u32, u32)> {
    writer.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| {
        // -1 if there is no WAL.
        let count = |column| Ok::<_, rusqlite::Error>(u32::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
        Ok((count(1)?, count(2)?))
    })
}

#[cfg(test)]
mod tests;
