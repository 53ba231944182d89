//! What `status` reports on other programs that use the database: who holds the WAL back, and who holds the write
//! lock.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::language::{Language, Message, lasting};
use crate::report::Overview;
use crate::report::health::Complaint;
use crate::report::health::wal::reader;
use crate::sqlite::lock_holders::{self, LockHolder};
use crate::store::status::Liveness;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A write lock is reported if the same process holds it in this many samples …
const LOCK_SAMPLES: usize = 6;
/// … taken this far apart. An ordinary transaction is over by then.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// A daemon that is this late with a sign of life is blocked.
const OVERDUE: Duration = Duration::from_secs(75);

/// The holder of the write lock, for people, unless it is the process that works the queue.
pub(super) fn lock_holder(database: &Path, overview: &Overview) -> Option<String> {
    let worker = overview.daemon.as_ref().map(|daemon| daemon.pid);
    let look = || lock_holders::writer(database).filter(|holder| Some(holder.pid) != worker);
    let holder = look()?;
    let held = (1..LOCK_SAMPLES).all(|_| {
        thread::sleep(SAMPLE_INTERVAL);
        look().as_ref() == Some(&holder)
    });
    held.then(|| holder.named())
}

/// Finds who reads while the WAL is held. The daemon's service may hide other processes from it, so the command
/// looks itself.
pub(super) fn find_reader(database: &Path, overview: &mut Overview) {
    let Some(daemon) = overview.daemon.as_mut().filter(|daemon| daemon.wal_held_since.is_some()) else {
        return;
    };
    if daemon.wal_held_by.is_none() {
        let readers = lock_holders::readers(database).unwrap_or_default();
        let others: Vec<LockHolder> = readers.into_iter().filter(|holder| holder.pid != daemon.pid).collect();
        daemon.wal_held_by = lock_holders::named(&others);
    }
}

/// The line about the WAL.
pub(super) fn line(
    overview: &Overview,
    database: &Path,
    alive: Option<Liveness>,
    now: UnixSeconds,
    language: Language,
) -> Text {
    let size = language.bytes(overview.size.wal_bytes);
    let daemon = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running));
    let Some((daemon, since)) = daemon.and_then(|daemon| Some((daemon, daemon.wal_held_since?))) else {
        return size.into();
    };
    let by = match &daemon.wal_held_by {
        Some(by) => reader(by),
        None => Message::new("status-wal-invisible").with("path", database.display().to_string()),
    };
    let held = Message::new("status-wal-held").with("time", lasting(since, now)).with("by", by);
    Text::from(format!("{size}, ")).then(Text::alarming(held.to(language)))
}

/// The complaint that another program holds the write lock.
pub(super) fn locked(holder: &str) -> Complaint {
    Complaint {
        what: Message::new("what-write-lock").with("program", holder),
        action: Message::new("do-write-lock"),
    }
}

/// Whether the daemon has been blocked by it for long.
pub(super) fn is_held_up(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> bool {
    let running = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    running && overview.daemon.as_ref().is_some_and(|daemon| now.duration_since(daemon.seen_at) > OVERDUE)
}
