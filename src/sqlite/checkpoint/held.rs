//! Which reader of an old state holds the WAL back.

use crate::clock::{Now, UnixSeconds, duration};
use crate::sqlite::backup;
use crate::sqlite::lock_holders::{self, LockHolder};
use crate::text::shown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A reader may take this long: a query takes time.
const HELD_AFTER: Duration = Duration::from_secs(10);
/// A WAL of this size is not normal: 64 MiB are kept, plus what is written during a checkpoint.
pub(crate) const LARGE_WAL_BYTES: u64 = 96 * 1024 * 1024;
/// A large WAL that is held for this long is reported.
pub(crate) const LONG_HELD: Duration = Duration::from_secs(60);
/// The WAL counts as cut back at this size.
const SMALL_WAL_BYTES: u64 = 64 * 1024 * 1024;
/// The holder if it is no other process. Nothing needs to be done.
pub(crate) const OWN_BACKUP: &str = "a backup that talkmirror makes";
/// Overlapping readers each let the WAL advance a little. At this many frames they count as one reader: 250 MiB.
const RELAYED_READERS_FRAMES: u32 = 32_000;

/// The state of the WAL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalStatus {
    /// The size of its file.
    pub bytes: u64,
    pub held: Option<WalHeld>,
}

/// A reader that holds the WAL back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalHeld {
    /// Since when.
    pub since: UnixSeconds,
    /// Which process that is, if known.
    pub by: Option<String>,
}

/// Tracks what checkpoints could not move.
#[derive(Debug)]
pub(super) struct WalWatch {
    database: PathBuf,
    stuck: Option<Stuck>,
    /// The journal has reported that it is held.
    reported: bool,
}

/// Frames that could not be moved.
#[derive(Debug)]
struct Stuck {
    /// How many frames were moved.
    moved: u32,
    began: Instant,
    since: UnixSeconds,
    /// Which processes were reading all the time. `None` if unknown.
    readers: Option<Vec<LockHolder>>,
}

impl WalWatch {
    pub(super) fn new(database: &Path) -> WalWatch {
        WalWatch { database: database.to_owned(), stuck: None, reported: false }
    }

    /// Whether the last checkpoint could not move everything.
    pub(super) fn is_watching(&self) -> bool {
        self.stuck.is_some()
    }

    /// Records the result of a checkpoint.
    pub(super) fn note(&mut self, frames: u32, moved: u32, now: Now) {
        if moved >= frames {
            self.stuck = None;
            return;
        }
        let readers = lock_holders::readers(&self.database);
        match &mut self.stuck {
            Some(stuck) if stuck.moved == moved => {
                // Later readers do not hold it here.
                if let (Some(since), Some(now)) = (&mut stuck.readers, readers) {
                    since.retain(|reader| now.contains(reader));
                }
            }
            Some(stuck) if frames > RELAYED_READERS_FRAMES => (stuck.moved, stuck.readers) = (moved, readers),
            _ => self.stuck = Some(Stuck { moved, began: now.mono, since: now.secs(), readers }),
        }
    }

    pub(super) fn status(&self, bytes: u64, now: Now) -> WalStatus {
        let stuck = self.stuck.as_ref();
        let long = stuck.filter(|stuck| now.mono.saturating_duration_since(stuck.began) >= HELD_AFTER);
        let held = long
            .map(|stuck| WalHeld {
                since: stuck.since,
                by: stuck.readers.as_deref().and_then(lock_holders::named),
            })
            .map(|held| match held.by {
                None if backup::is_under_way() => WalHeld { by: Some(OWN_BACKUP.into()), ..held },
                _ => held,
            });
        WalStatus { bytes, held }
    }

    /// Logs once that it is held and large, and once that it is cut back.
    pub(super) fn report(&mut self, status: &WalStatus, now: UnixSeconds) {
        let mib = status.bytes >> 20;
        match &status.held {
            Some(held)
                if !self.reported
                    && status.bytes > LARGE_WAL_BYTES
                    && now.duration_since(held.since) >= LONG_HELD
                    && held.by.as_deref() != Some(OWN_BACKUP) =>
            {
                self.reported = true;
                let lasted = duration(now.seconds_since(held.since));
                let by = held.by.as_deref().unwrap_or("a reader that is not visible from here");
                tracing::warn!(
                    "the write-ahead log has grown to {mib} MiB: {} has kept an old state of the database \
                     open for {lasted}; the WAL shrinks when that transaction ends (`fuser -v {}` shows who \
                     has it open)",
                    shown(by),
                    shown(&self.database.display().to_string()),
                );
            }
            None if self.reported && status.bytes <= SMALL_WAL_BYTES => {
                self.reported = false;
                tracing::info!("the write-ahead log has shrunk to {mib} MiB");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_for(watch: &WalWatch, now: Now) -> Option<i64> {
        Some(now.secs().seconds_since(watch.status(0, now).held?.since))
    }

    fn after(start: Now, seconds: u64) -> Now {
        Now { mono: start.mono + Duration::from_secs(seconds), unix: start.unix + seconds as f64 }
    }

    #[test]
    fn a_wal_is_held_if_the_same_frames_are_left_for_ten_seconds() {
        let start = Now { mono: Instant::now(), unix: 1_700_000_000.0 };
        let at = |seconds| after(start, seconds);
        let mut watch = WalWatch::new(Path::new("/nowhere/talks.db"));
        watch.note(500, 500, at(0));
        assert!(!watch.is_watching());
        watch.note(900, 600, at(10));
        watch.note(2000, 900, at(15));
        watch.note(3000, 900, at(24));
        assert_eq!(held_for(&watch, at(24)), None);
        assert_eq!(held_for(&watch, at(25)), Some(10), "since the first look that found it so");
        watch.note(9000, 8000, at(26));
        assert_eq!(held_for(&watch, at(26)), None, "it went on");
        watch.note(9500, 8000, at(40));
        assert_eq!(held_for(&watch, at(40)), Some(14));
        watch.note(9500, 9500, at(41));
        assert_eq!(held_for(&watch, at(60)), None);
    }

    #[test]
    fn overlapping_readers_hold_a_wal_that_has_grown_large() {
        let start = Now { mono: Instant::now(), unix: 1_700_000_000.0 };
        let mut watch = WalWatch::new(Path::new("/nowhere/talks.db"));
        for second in 0..12 {
            let frames = 1000 + second * 6000;
            watch.note(frames, frames - 500, after(start, second.into()));
        }
        // From the frame on that is one too many.
        assert_eq!(held_for(&watch, after(start, 15)), Some(10));
    }

    #[test]
    fn a_large_wal_that_is_held_for_long_is_logged_once() {
        let start = UnixSeconds::new(1_700_000_000);
        let held = |bytes| WalStatus { bytes, held: Some(WalHeld { since: start, by: None }) };
        let mut watch = WalWatch::new(Path::new("/nowhere/talks.db"));
        let mut reported = |status: WalStatus, seconds: i64| {
            watch.report(&status, start + seconds);
            watch.reported
        };
        assert!(!reported(held(LARGE_WAL_BYTES), 60));
        assert!(!reported(held(LARGE_WAL_BYTES + 1), 59));
        assert!(reported(held(LARGE_WAL_BYTES + 1), 60));
        assert!(reported(WalStatus { bytes: LARGE_WAL_BYTES, held: None }, 65), "until it is taken back");
        assert!(!reported(WalStatus { bytes: SMALL_WAL_BYTES, held: None }, 69));
    }
}
