//! Detects that too many stored open talks are reported missing. One talk may be deleted, but a mirror does not
//! empty itself.

use crate::clock::UnixSeconds;
use crate::talk::TalkId;
use std::collections::VecDeque;
use std::time::Duration;

/// How many recent responses about stored talks are considered.
const RECENT_RESPONSES: usize = 40;
/// This many missing talks in a row are too many, …
const MAX_IN_A_ROW: usize = 20;
/// … and so is more than half of the recent responses, if at least this many are missing.
const MIN_RECENT_GONE: usize = 5;
/// This many are too many if no other stored talk was found lately: a small mirror does not empty itself either.
const MAX_IF_NONE_SHOWN: usize = 2;
/// After a person has confirmed, the API is believed for this long.
const BELIEVED: Duration = Duration::from_secs(60 * 60);

/// Tracks which stored talks the API reports as missing.
#[derive(Debug, Default)]
pub(crate) struct GoneGuard {
    /// The talk of each response that reported an open one as missing. The latest is last.
    recent: VecDeque<Option<TalkId>>,
    in_a_row: usize,
    believed_until: Option<UnixSeconds>,
}

impl GoneGuard {
    /// Records that a stored talk was found.
    pub(crate) fn shown(&mut self) {
        self.note(None);
        self.in_a_row = 0;
    }

    /// Records that a stored open talk is reported missing. `none_left` means that no stored talk is known that was
    /// found lately. If there are too many, returns all of them, this one too: they are not believed to be gone.
    pub(crate) fn gone(&mut self, talk_id: TalkId, none_left: bool, now: UnixSeconds) -> Option<Vec<TalkId>> {
        self.note(Some(talk_id));
        self.in_a_row += 1;
        let gone = self.recent.iter().flatten().count();
        let many = self.in_a_row >= MAX_IN_A_ROW
            || self.recent.len() >= MIN_RECENT_GONE && gone * 2 > self.recent.len()
            || none_left && self.in_a_row >= MAX_IF_NONE_SHOWN;
        if !many || self.is_believed(now) {
            return None;
        }
        self.in_a_row = 0;
        Some(self.recent.drain(..).flatten().collect())
    }

    /// A person has confirmed at this time: the API is believed for an hour.
    pub(crate) fn believe(&mut self, now: UnixSeconds) {
        self.believed_until = Some(now + BELIEVED);
    }

    /// Whether a person has confirmed within the hour.
    pub(crate) fn is_believed(&self, now: UnixSeconds) -> bool {
        // A clock that was set back does not lengthen the hour.
        self.believed_until.is_some_and(|until| (until - BELIEVED..until).contains(&now))
    }

    fn note(&mut self, answer: Option<TalkId>) {
        if self.recent.len() == RECENT_RESPONSES {
            self.recent.pop_front();
        }
        self.recent.push_back(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    #[test]
    fn twenty_in_a_row_are_too_many_and_nineteen_are_not() {
        let mut guard = GoneGuard::default();
        (0..40).for_each(|_| guard.shown());
        for talk_id in 1..20 {
            assert_eq!(guard.gone(TalkId::new(talk_id), false, NOW), None, "{talk_id}");
        }
        assert_eq!(guard.gone(TalkId::new(20), false, NOW), Some((1..=20).map(TalkId::new).collect()));
        assert_eq!(guard.gone(TalkId::new(21), false, NOW), None, "they are counted anew");
    }

    #[test]
    fn more_than_half_of_five_are_too_many_and_half_is_not() {
        let mut guard = GoneGuard::default();
        for talk_id in 1..=5 {
            guard.shown();
            assert_eq!(guard.gone(TalkId::new(talk_id), false, NOW), None);
        }
        assert_eq!(guard.gone(TalkId::new(6), false, NOW), Some((1..=6).map(TalkId::new).collect()));
        let mut small = GoneGuard::default();
        for talk_id in 1..=4 {
            assert_eq!(small.gone(TalkId::new(talk_id), false, NOW), None);
        }
        assert!(small.gone(TalkId::new(5), false, NOW).is_some());
    }

    #[test]
    fn a_small_mirror_is_not_emptied() {
        let mut guard = GoneGuard::default();
        assert_eq!(guard.gone(TalkId::new(1), true, NOW), None, "its one talk");
        let mut guard = GoneGuard::default();
        assert_eq!(guard.gone(TalkId::new(1), false, NOW), None);
        assert_eq!(guard.gone(TalkId::new(2), true, NOW), Some([1, 2].map(TalkId::new).to_vec()));
    }

    #[test]
    fn now_and_then_one_is_never_too_many() {
        let mut guard = GoneGuard::default();
        for talk_id in 0..1000 {
            guard.shown();
            guard.shown();
            assert_eq!(guard.gone(TalkId::new(talk_id), false, NOW), None);
        }
    }

    #[test]
    fn what_a_person_has_looked_at_is_believed_for_an_hour() {
        let mut guard = GoneGuard::default();
        guard.believe(NOW);
        for talk_id in 0..100 {
            assert_eq!(guard.gone(TalkId::new(talk_id), false, NOW + 3599), None);
        }
        assert!(guard.gone(TalkId::new(100), false, NOW + 3600).is_some());
        assert!(!guard.is_believed(NOW - 1), "the clock was set back");
    }
}
