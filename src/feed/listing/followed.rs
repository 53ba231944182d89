//! Which hints of the list were followed. A hint that repeats although its talk was fetched is followed at growing
//! intervals.

use crate::clock::UnixSeconds;
use crate::talk::{Listed, TalkId};
use std::collections::HashMap;
use std::time::Duration;

/// The wait after a hint was followed twice. It doubles each time …
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// … up to this.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// A hint that has not repeated for this long after its wait is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 60 * 60);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Followed {
    hints: HashMap<TalkId, FollowedHint>,
}

#[derive(Debug)]
struct FollowedHint {
    /// What the list showed. `None` if it did not show an open talk.
    listed: Option<Listed>,
    /// When it was last followed.
    at: UnixSeconds,
    times: u32,
}

impl FollowedHint {
    fn wait(&self) -> Duration {
        match self.times {
            // A talk that fell between two pages, and has closed since, is found by the next pass.
            0..=1 => Duration::ZERO,
            times => (FIRST_WAIT * (1 << (times - 2).min(20))).min(MAX_WAIT),
        }
    }
}

impl Followed {
    /// Whether the list shows the talk differently than when it was last followed.
    pub(super) fn has_changed(&self, talk_id: TalkId, listed: Listed) -> bool {
        self.hints.get(&talk_id).is_none_or(|hint| hint.listed != Some(listed))
    }

    /// Whether to follow a hint now. If so, records it.
    pub(super) fn may_follow(&mut self, talk_id: TalkId, listed: Option<Listed>, now: UnixSeconds) -> bool {
        let hint = self.hints.entry(talk_id).or_insert(FollowedHint { listed, at: now, times: 0 });
        if hint.listed != listed {
            *hint = FollowedHint { listed, at: now, times: 0 };
        }
        let may = !(hint.at..hint.at + hint.wait()).contains(&now);
        if may {
            (hint.at, hint.times) = (now, hint.times + 1);
        }
        may
    }

    /// Forgets hints that no longer repeat.
    pub(super) fn forget(&mut self, now: UnixSeconds) {
        self.hints.retain(|_, hint| (hint.at..hint.at + hint.wait() + FORGET_AFTER).contains(&now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    fn listed(updated_at: i64) -> Option<Listed> {
        Some(Listed {
            talk_id: TalkId::new(1),
            updated_at: Some(UnixSeconds::new(updated_at)),
            is_in_work: Some(true),
            is_read: None,
        })
    }

    #[test]
    fn a_hint_that_is_given_each_second_is_followed_ever_more_seldom() {
        let mut followed = Followed::default();
        let times: Vec<i64> = (0..1000)
            .filter(|second| followed.may_follow(TalkId::new(1), listed(5), NOW + *second))
            .collect();
        assert_eq!(times, [0, 1, 61, 181, 421, 901]);
        let mut followed = Followed::default();
        let day =
            (0..144).filter(|pass| followed.may_follow(TalkId::new(1), None, NOW + *pass * 600)).count();
        assert!((5..15).contains(&day), "{day} fetches in a day of passes each 10 min");
    }

    #[test]
    fn another_hint_of_the_same_talk_is_followed_at_once() {
        let mut followed = Followed::default();
        for second in 0..100 {
            assert!(
                followed.may_follow(TalkId::new(1), listed(second), NOW + second),
                "it changes each second"
            );
        }
    }

    #[test]
    fn a_hint_that_no_longer_repeats_is_forgotten() {
        let mut followed = Followed::default();
        followed.may_follow(TalkId::new(1), None, NOW);
        followed.forget(NOW + FORGET_AFTER - 1);
        assert_eq!(followed.hints.len(), 1);
        followed.forget(NOW + FORGET_AFTER);
        assert_eq!(followed.hints.len(), 0);
    }
}
