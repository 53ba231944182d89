//! Complaints about the WAL: who holds it back, and when it is a danger.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue, lasting};
use crate::report::Overview;
use crate::sqlite::checkpoint::{LARGE_WAL_BYTES, LONG_HELD, OWN_BACKUP};
use crate::store::sizes::Size;
use crate::store::status::Liveness;

/// A WAL of this size is a danger, however large the disk is.
const THREATENING_BYTES: u64 = 1024 * 1024 * 1024;

/// How serious a grown WAL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grown {
    /// It has been held for long, and is large.
    Held,
    /// It is so large that the disk may soon be full.
    Threatens,
}

/// Reports a WAL that may fill the disk.
pub(crate) fn complaint(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Complaint> {
    (grown(overview, alive, now)? == Grown::Threatens).then(|| describe(overview, now))
}

/// Warns about a WAL that has been held for long.
pub(crate) fn warning(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Complaint> {
    (grown(overview, alive, now)? == Grown::Held).then(|| describe(overview, now))
}

fn grown(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Grown> {
    // Only a running daemon checks who holds it.
    let daemon = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running))?;
    let Size { wal_bytes: bytes, disk_free_bytes, .. } = overview.size;
    // Our own backup ends soon, so there is nothing to do.
    let is_ours = daemon.wal_held_by.as_deref() == Some(OWN_BACKUP);
    let held = daemon.wal_held_since.is_some_and(|since| now.duration_since(since) >= LONG_HELD) && !is_ours;
    if bytes > THREATENING_BYTES
        || bytes > LARGE_WAL_BYTES && disk_free_bytes.is_some_and(|free| bytes > free / 2)
    {
        return Some(Grown::Threatens);
    }
    (held && bytes > LARGE_WAL_BYTES).then_some(Grown::Held)
}

fn describe(overview: &Overview, now: UnixSeconds) -> Complaint {
    let Size { wal_bytes: bytes, disk_free_bytes, .. } = overview.size;
    let grown = match disk_free_bytes {
        Some(free) => Message::new("what-wal-grown-on").with("free", MessageValue::Bytes(free)),
        None => Message::new("what-wal-grown"),
    };
    let grown = grown.with("size", MessageValue::Bytes(bytes));
    let daemon = overview.daemon.as_ref();
    let Some(since) = daemon.and_then(|daemon| daemon.wal_held_since) else {
        return Complaint { what: grown, action: Message::new("do-wal-grown") };
    };
    let by = daemon.and_then(|daemon| daemon.wal_held_by.as_deref());
    let what = match by {
        Some(by) => Message::new("what-wal-held-by").with("reader", reader(by)),
        None => Message::new("what-wal-held"),
    };
    let action = match by {
        Some(OWN_BACKUP) => Message::new("do-wal-backup"),
        Some(_) => Message::new("do-wal-reader"),
        None => Message::new("do-wal-find"),
    };
    Complaint { what: what.with("grown", grown).with("time", lasting(since, now)), action }
}

/// Who holds the WAL back, for people.
pub(crate) fn reader(by: &str) -> Message {
    if by == OWN_BACKUP { Message::new("own-backup") } else { Message::verbatim(by) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const RUNS: Option<Liveness> = Some(Liveness::Running);

    #[test]
    fn our_own_backup_is_nothing_to_be_warned_of() {
        let mut overview = held(LARGE_WAL_BYTES + 1, u64::MAX, 60);
        assert!(warning(&overview, RUNS, NOW).is_some());
        overview.daemon.as_mut().unwrap().wal_held_by = Some(OWN_BACKUP.into());
        assert_eq!(warning(&overview, RUNS, NOW), None);
    }

    fn held(bytes: u64, free: u64, seconds: i64) -> Overview {
        let mut overview = overview();
        overview.size = Size { wal_bytes: bytes, disk_free_bytes: Some(free), ..Size::default() };
        let daemon = overview.daemon.as_mut().unwrap();
        daemon.wal_held_since = Some(NOW - seconds);
        daemon.wal_held_by = Some("sqlite3 (process 7, user ann)".into());
        overview
    }

    fn found(overview: &Overview, alive: Option<Liveness>) -> [Option<String>; 2] {
        [complaint(overview, alive, NOW), warning(overview, alive, NOW)]
            .map(|found| found.map(|complaint| complaint.what.to_string()))
    }

    #[test]
    fn a_large_wal_that_is_held_for_long_is_warned_of_with_its_holder() {
        let free = 9000 * MIB;
        let quiet = [None, None];
        assert_eq!(found(&held(LARGE_WAL_BYTES + 1, free, 59), RUNS), quiet);
        assert_eq!(found(&held(LARGE_WAL_BYTES, free, 60), RUNS), quiet);
        let what = "the write-ahead log has grown to 96.00 MiB, with 8.79 GiB free on its disk: sqlite3 (process 7, user \
                    ann) has kept an old state of the database open for 1 min";
        assert_eq!(found(&held(LARGE_WAL_BYTES + 1, free, 60), RUNS), [None, Some(what.into())]);
        assert_eq!(
            found(&held(LARGE_WAL_BYTES + 1, free, 60), Some(Liveness::Vanished)),
            quiet,
            "nobody checks any more"
        );
        let mut unseen = held(LARGE_WAL_BYTES + 1, free, 60);
        unseen.daemon.as_mut().unwrap().wal_held_by = None;
        assert!(warning(&unseen, RUNS, NOW).unwrap().action.to_string().contains("`fuser -v`"));
    }

    #[test]
    fn a_wal_that_threatens_the_disk_is_complained_of() {
        let is_complaint = |overview: &Overview| {
            let [complaint, warning] = found(overview, RUNS);
            assert!(complaint.is_none() || warning.is_none(), "said once");
            complaint.is_some()
        };
        assert!(!is_complaint(&held(1024 * MIB, 9000 * MIB, 20)));
        assert!(is_complaint(&held(1024 * MIB + 1, 9000 * MIB, 20)));
        assert!(!is_complaint(&held(200 * MIB, 400 * MIB, 20)));
        assert!(is_complaint(&held(200 * MIB, 399 * MIB, 20)));
        assert!(!is_complaint(&held(64 * MIB, MIB, 20)), "so large it always is");
        let mut released = held(1025 * MIB, 9000 * MIB, 20);
        released.daemon.as_mut().unwrap().wal_held_since = None;
        assert!(complaint(&released, RUNS, NOW).unwrap().action.to_string().starts_with("none if it passes"));
    }
}
