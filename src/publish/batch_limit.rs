//! How much a turn takes, and how long it may take. A slow server gets as much as it commits in time.

use crate::store::changes::Change;
use std::time::Duration;

/// A turn may take so long, …
pub(super) const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// … and one with a single change that took longer before, so long.
pub(super) const SINGLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much a turn takes: so many changes, and so many bytes of JSON and versions, unless one talk has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchLimit {
    pub changes: usize,
    pub bytes: u64,
    /// A change that took too long alone, …
    slow: Option<Change>,
    /// … also with the longer timeout.
    is_too_slow: bool,
}

impl BatchLimit {
    /// More is hardly faster, and the daemon holds several copies of it: 2000 changes with 2 MiB took 17 MiB at the peak.
    pub(super) const MOST: BatchLimit =
        BatchLimit { changes: 500, bytes: 256 << 10, slow: None, is_too_slow: false };

    /// After a turn that took too long. So many changes waited, and this was the first.
    pub(super) fn fewer(self, waiting: u64, first: Option<Change>) -> BatchLimit {
        let taken = usize::try_from(waiting).unwrap_or(usize::MAX).min(self.changes);
        let slow = first.filter(|_| taken == 1);
        BatchLimit {
            changes: (taken / 4).max(1),
            bytes: self.bytes / 4,
            slow,
            is_too_slow: slow.is_some() && slow == self.slow,
        }
    }

    /// After one that did not.
    pub(super) fn more(self) -> BatchLimit {
        let most = BatchLimit::MOST;
        BatchLimit {
            changes: (self.changes * 2).min(most.changes),
            bytes: (self.bytes * 2).clamp(1, most.bytes),
            ..most
        }
    }

    /// How long the next turn may take.
    pub(super) fn timeout(self) -> Duration {
        if self.slow.is_some() { SINGLE_TIMEOUT } else { TURN_TIMEOUT }
    }

    /// Whether the server does not take a change in any time that it is given.
    pub(super) fn is_too_slow(self, change: Change) -> bool {
        self.is_too_slow && self.slow == Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talk::TalkId;

    fn change(seq: i64) -> Option<Change> {
        Some(Change { seq, talk_id: TalkId::new(seq) })
    }

    #[test]
    fn a_turn_takes_less_after_one_that_took_too_long_and_more_after_one_that_did_not() {
        let limit = BatchLimit::MOST.fewer(1000, change(1));
        assert_eq!((limit.changes, limit.timeout()), (125, TURN_TIMEOUT));
        assert_eq!(limit.fewer(20, change(1)).changes, 5, "a quarter of what was taken");
        assert_eq!(limit.more().changes, 250);
        assert_eq!(limit.more().more().more(), BatchLimit::MOST);
    }

    #[test]
    fn a_change_that_takes_too_long_alone_gets_more_time_and_is_given_up_then() {
        let once = BatchLimit::MOST.fewer(1, change(7));
        assert_eq!((once.changes, once.timeout()), (1, SINGLE_TIMEOUT));
        assert!(!once.is_too_slow(change(7).unwrap()));
        let twice = once.fewer(3, change(7));
        assert!(twice.is_too_slow(change(7).unwrap()) && !twice.is_too_slow(change(8).unwrap()));
        assert!(!once.fewer(3, change(8)).is_too_slow(change(8).unwrap()), "another one, for the first time");
        assert_eq!((twice.more().timeout(), twice.more().slow), (TURN_TIMEOUT, None));
    }
}
