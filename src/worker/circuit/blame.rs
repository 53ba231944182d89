//! Whose fault a failure is: the talk's own, or everybody's. An outage spends no attempt of anybody's.

use crate::amocrm::{Failure, Kind};
use crate::gate::Source;
use crate::talk::TalkId;
use std::collections::{HashMap, HashSet};

/// What is known of the tries of talks and lists that failed.
#[derive(Debug, Default)]
pub(in crate::worker) struct Tries {
    /// Good answers so far.
    answered: u64,
    /// The good answers before the last failed try of each.
    last: HashMap<Source, u64>,
    /// Talks that failed since the last good answer.
    failing: HashSet<TalkId>,
    /// Those that began a pause which another's good answer ended: they fail by themselves as long as others are
    /// answered in between.
    excused: HashSet<Source>,
    /// Attempts that were spent since the last good answer, of each talk.
    spent: HashMap<TalkId, u32>,
}

/// Beyond so many it is not worth to remember who is excused.
const MOST_EXCUSED: usize = 10_000;

/// Whether a failure counts against its talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::worker) enum Blame {
    /// It does.
    Own,
    /// Nothing else was answered since the talk's last try: it may be everybody's.
    Unclear,
}

impl Tries {
    /// A request got a good answer.
    pub(in crate::worker) fn answered(&mut self, source: Source) {
        if self.is_for_itself(source) {
            return;
        }
        self.answered += 1;
        self.excused.remove(&source);
        self.failing.clear();
        self.spent.clear();
    }

    /// Whether a good response shows nothing of talks: the account answers for itself alone while several of them fail.
    pub(in crate::worker) fn is_for_itself(&self, source: Source) -> bool {
        source == Source::Account && self.are_several()
    }

    /// A good answer to `source` has ended the pause that the requests of `blamed` began.
    pub(in crate::worker) fn pause_ended(&mut self, source: Source, blamed: Vec<Source>) {
        if blamed.contains(&source) || self.is_for_itself(source) {
            return;
        }
        for source in blamed {
            self.last.entry(source).or_insert(self.answered);
            if self.excused.len() < MOST_EXCUSED {
                self.excused.insert(source);
            }
        }
    }

    /// Whether its failure is certainly its own, and shows nothing of the others.
    pub(in crate::worker) fn is_excused(&self, source: Source) -> bool {
        self.excused.contains(&source) && self.has_failed_alone(source)
    }

    /// The talks that began a pause by themselves.
    pub(in crate::worker) fn excused_talks(&self) -> Vec<TalkId> {
        let talk = |source: &Source| match source {
            Source::Talk(talk_id) => Some(*talk_id),
            _ => None,
        };
        self.excused.iter().filter_map(talk).collect()
    }

    /// It was shown, or its row has ended otherwise.
    pub(in crate::worker) fn forget(&mut self, source: Source) {
        self.last.remove(&source);
    }

    /// A request failed: whose fault is it?
    pub(in crate::worker) fn failed(&mut self, source: Source) -> Blame {
        if let Source::Talk(talk_id) = source {
            self.failing.insert(talk_id);
        }
        let before = self.last.insert(source, self.answered).unwrap_or(0);
        if self.answered > before { Blame::Own } else { Blame::Unclear }
    }

    /// Whether it has failed before, and something else was answered since.
    pub(in crate::worker) fn has_failed_alone(&self, source: Source) -> bool {
        self.last.get(&source).is_some_and(|before| self.answered > *before)
    }

    /// The talk has failed for good: it is no longer compared with what else fails.
    pub(in crate::worker) fn given_up(&mut self, talk_id: TalkId) {
        self.failing.remove(&talk_id);
    }

    /// The talk failed since the last good answer.
    pub(in crate::worker) fn is_failing(&self, talk_id: TalkId) -> bool {
        self.failing.contains(&talk_id)
    }

    /// More than one talk failed since the last good answer.
    pub(in crate::worker) fn are_several(&self) -> bool {
        self.failing.len() > 1
    }

    /// An attempt was spent on a failure that may yet turn out to be everybody's.
    pub(in crate::worker) fn spent(&mut self, talk_id: TalkId) {
        *self.spent.entry(talk_id).or_default() += 1;
    }

    /// It has: these attempts are given back.
    pub(in crate::worker) fn take_spent(&mut self) -> HashMap<TalkId, u32> {
        std::mem::take(&mut self.spent)
    }
}

/// Whether a failure spends an attempt of the row that has failed `attempts` times by now, of at most `most`.
///
/// No answer at all is the talk's own only if others are answered. Any other failure is taken for its own, but for the
/// last attempt: nothing fails for good that everybody may meet.
pub(in crate::worker) fn spends(failure: &Failure, blame: Blame, attempts: u32, most: u32) -> bool {
    match (failure.kind, blame) {
        (_, Blame::Own) => true,
        (Kind::NoAnswer, Blame::Unclear) => false,
        (_, Blame::Unclear) => attempts < most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Source = talk(1);

    const fn talk(number: i64) -> Source {
        Source::Talk(TalkId::new(number))
    }

    #[test]
    fn a_failure_is_the_talk_s_own_if_others_were_answered_since_its_last_try() {
        let mut tries = Tries::default();
        assert_eq!(tries.failed(ONE), Blame::Unclear, "nothing was ever answered");
        tries.answered(talk(9));
        assert_eq!(tries.failed(ONE), Blame::Own);
        assert_eq!(tries.failed(ONE), Blame::Unclear, "nothing since");
        assert_eq!(tries.failed(talk(2)), Blame::Own, "it was never tried before");
        tries.answered(Source::List("events"));
        assert!(tries.has_failed_alone(ONE));
        tries.forget(ONE);
        assert!(!tries.has_failed_alone(ONE));
    }

    #[test]
    fn an_account_that_answers_tells_of_one_talk_that_fails_and_not_of_several() {
        let mut tries = Tries::default();
        tries.failed(ONE);
        tries.answered(Source::Account);
        assert_eq!(tries.failed(ONE), Blame::Own);
        tries.failed(talk(2));
        tries.answered(Source::Account);
        assert_eq!(tries.failed(ONE), Blame::Unclear);
        tries.answered(talk(3));
        assert_eq!(tries.failed(ONE), Blame::Own);
    }

    #[test]
    fn those_that_began_a_pause_which_another_ended_fail_by_themselves_while_others_are_answered() {
        let blamed = || (1..=3).map(talk).collect::<Vec<_>>();
        let mut tries = Tries::default();
        tries.failed(ONE);
        tries.pause_ended(talk(9), blamed());
        tries.answered(talk(9));
        for talk_id in 1..=3 {
            assert!(tries.is_excused(talk(talk_id)), "{talk_id}");
            tries.failed(talk(talk_id));
            assert!(!tries.is_excused(talk(talk_id)), "nothing was answered since");
        }
        tries.answered(Source::List("events"));
        assert!(tries.is_excused(ONE));
        tries.answered(ONE);
        assert!(!tries.is_excused(ONE) && tries.is_excused(talk(2)), "it answers now");
        let mut talks = tries.excused_talks();
        talks.sort_unstable();
        assert_eq!(talks, [2, 3].map(TalkId::new));
    }

    #[test]
    fn a_pause_that_one_of_its_own_ended_was_everybody_s() {
        for by in [talk(2), Source::Account] {
            let mut tries = Tries::default();
            tries.failed(ONE);
            tries.failed(talk(2));
            tries.pause_ended(by, vec![ONE, talk(2)]);
            tries.answered(by);
            assert!(!tries.is_excused(ONE), "{by:?}");
        }
    }

    #[test]
    fn attempts_since_the_last_good_answer_can_be_given_back() {
        let mut tries = Tries::default();
        tries.spent(TalkId::new(1));
        tries.answered(talk(9));
        tries.spent(TalkId::new(2));
        tries.spent(TalkId::new(2));
        assert_eq!(tries.take_spent(), HashMap::from([(TalkId::new(2), 2)]));
        assert_eq!(tries.take_spent(), HashMap::new());
    }

    #[test]
    fn an_outage_spends_nothing_and_no_trouble_of_everybody_s_the_last_attempt() {
        let (none, page) = (Failure::new(Kind::NoAnswer, ""), Failure::new(Kind::Transient, ""));
        assert!(!spends(&none, Blame::Unclear, 1, 8));
        assert!(spends(&none, Blame::Own, 8, 8));
        assert!(spends(&page, Blame::Unclear, 7, 8));
        assert!(!spends(&page, Blame::Unclear, 8, 8));
        assert!(spends(&page, Blame::Own, 8, 8));
    }
}
