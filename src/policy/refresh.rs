//! Which mirrored talks to fetch again: those whose mirrored states are expected to be the most
//! out of date, and now and then the one that was fetched longest ago.
//!
//! The score is the age-based index of Olston and Pandey, "Recrawl scheduling based on information
//! longevity" (WWW 2008): a talk that changed a moment ago is likely to change again soon, one
//! that rested for a month is not. It is computed anew each time, as it grows with time differently
//! for each talk; due times worked out in advance measured worse than round-robin.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

/// How likely a talk is to change: `CHANGES / (age + REST)` a second.
const CHANGES: f64 = 0.5;
/// Seconds: a talk that changed this instant changes again within about twice this.
const REST: f64 = 60.0;
/// Of the refreshes, at least: the one fetched longest ago, so that none is forgotten.
pub const OLDEST_SHARE: f64 = 0.15;

/// `[refresh]` in the configuration, but for `enabled`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRules {
    /// No talk is refreshed sooner after its last fetch.
    pub min_interval: Duration,
    /// A closed talk that has not changed for so long is left alone.
    pub closed_for: Duration,
}

/// How much it matters that a talk is mirrored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// In work, and missed or unread: somebody waits.
    Waiting,
    InWork,
    Closed,
}

impl Class {
    fn weight(self) -> f64 {
        match self {
            Class::Waiting => 2.0,
            Class::InWork => 1.0,
            Class::Closed => 0.1,
        }
    }
}

/// A mirrored talk that may be fetched again. Times are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub talk_id: i64,
    pub updated_at: i64,
    pub fetched_at: i64,
    pub class: Class,
}

impl RefreshRules {
    /// Whether it may be fetched again now.
    pub fn allows(&self, candidate: &Candidate, now: i64) -> bool {
        let since_fetch = now.saturating_sub(candidate.fetched_at);
        let closed_for = i64::try_from(self.closed_for.as_secs()).unwrap_or(i64::MAX);
        // One in the future: see `believed`.
        // Both are whole seconds, cut off: more than the interval, so that it has passed for certain.
        let rested = since_fetch < 0 || since_fetch > self.min_interval.as_secs_f64().ceil() as i64;
        let since_update = now.saturating_sub(changed(candidate, now));
        rested && (candidate.class != Class::Closed || since_update < closed_for)
    }
}

/// The staleness that one fetch now is expected to spare: higher is more urgent.
pub fn score(candidate: &Candidate, now: i64) -> f64 {
    let age = now.saturating_sub(changed(candidate, now)).max(0) as f64;
    let rate = CHANGES / (age + REST);
    let x = rate * (now - candidate.fetched_at).max(0) as f64;
    let expected = if x < 0.01 {
        // The same, where the difference of nearly equal numbers would be noise.
        x * x * x * (1.0 / 3.0 - x / 8.0 + x * x / 30.0)
    } else {
        x * x / 2.0 - 1.0 + (1.0 + x) * (-x).exp()
    };
    candidate.class.weight() / (rate * rate) * expected
}

/// Shares refreshes out between the best and the oldest.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    owed: f64,
}

impl Default for Shares {
    fn default() -> Self {
        // The first is the oldest: no number of them has less than its share.
        Shares { owed: 1.0 - OLDEST_SHARE }
    }
}

impl Shares {
    /// How many of the next `room` refreshes go to those fetched longest ago.
    pub fn oldest_of(&mut self, room: usize) -> usize {
        self.owed += room as f64 * OLDEST_SHARE;
        // What rounding takes away must not cost a whole one.
        let oldest = ((self.owed + 1e-9).floor() as usize).min(room);
        self.owed -= oldest as f64;
        oldest
    }
}

/// Chooses up to `room` candidates: `oldest` of them those fetched longest ago, the others by their
/// score, highest first. Candidates that may not be fetched again now are passed over; those that wait
/// in the queue already are not to be among them.
pub fn choose(
    candidates: impl IntoIterator<Item = Candidate>,
    rules: &RefreshRules,
    (room, oldest): (usize, usize),
    now: i64,
) -> Vec<i64> {
    let mut choice = Choice::new((room, oldest), now);
    candidates.into_iter().for_each(|candidate| choice.offer(candidate, rules));
    choice.chosen()
}

/// [`choose`], one candidate after the other: it holds no more of them than it chooses.
#[derive(Debug)]
pub struct Choice {
    room: usize,
    /// How many are to be the oldest.
    share: usize,
    now: i64,
    /// Fetched at, and the id; the latest on top.
    oldest: BinaryHeap<(i64, i64)>,
    /// The bits of the score, which sort as a number above 0 does, and the id; the worst on top.
    best: BinaryHeap<Reverse<(u64, Reverse<i64>)>>,
}

impl Choice {
    /// `oldest` of `room` go to those fetched longest ago.
    pub fn new((room, oldest): (usize, usize), now: i64) -> Choice {
        let share = oldest.min(room);
        Choice { room, share, now, oldest: BinaryHeap::new(), best: BinaryHeap::new() }
    }

    pub fn offer(&mut self, candidate: Candidate, rules: &RefreshRules) {
        if !rules.allows(&candidate, self.now) {
            return;
        }
        let candidate = Candidate { fetched_at: believed(candidate.fetched_at, self.now), ..candidate };
        push(&mut self.oldest, (candidate.fetched_at, candidate.talk_id), self.share);
        let score = score(&candidate, self.now).to_bits();
        push(&mut self.best, Reverse((score, Reverse(candidate.talk_id))), self.room);
    }

    /// What was chosen, in the order in which to fetch it.
    pub fn chosen(self) -> Vec<i64> {
        let oldest: Vec<i64> =
            self.oldest.into_sorted_vec().into_iter().map(|(_, talk_id)| talk_id).collect();
        let is_oldest: HashSet<i64> = oldest.iter().copied().collect();
        let best = self.best.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(talk_id)))| talk_id);
        let rest = best.filter(|talk_id| !is_oldest.contains(talk_id)).take(self.room - oldest.len());
        oldest.iter().copied().chain(rest).collect()
    }
}

/// Keeps the `count` least.
fn push<T: Ord>(heap: &mut BinaryHeap<T>, item: T, count: usize) {
    if heap.len() < count {
        heap.push(item);
    } else if let Some(mut top) = heap.peek_mut()
        && item < *top
    {
        *top = item;
    }
}

/// When it changed. Clocks may differ by hours; a change that is more than a day ahead says nothing.
fn changed(candidate: &Candidate, now: i64) -> i64 {
    if candidate.updated_at.saturating_sub(now) > 86_400 { 0 } else { candidate.updated_at }
}

/// A fetch in the future was noted by a clock that has been set back since: nobody knows how long ago it was.
fn believed(fetched_at: i64, now: i64) -> i64 {
    if fetched_at > now { 0 } else { fetched_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000;

    fn rules() -> RefreshRules {
        RefreshRules { min_interval: Duration::from_secs(120), closed_for: Duration::from_secs(7 * 86_400) }
    }

    fn talk(talk_id: i64, changed_ago: i64, fetched_ago: i64, class: Class) -> Candidate {
        Candidate { talk_id, updated_at: NOW - changed_ago, fetched_at: NOW - fetched_ago, class }
    }

    #[test]
    fn the_score_is_the_published_one() {
        // age 940 s: rate 0.5 / 1000; 2000 s since the fetch: x = 1.
        let at_one = score(&talk(1, 940, 2000, Class::InWork), NOW);
        let by_hand = 2000.0 * 2000.0 * (0.5 - 1.0 + 2.0 * (-1.0f64).exp());
        assert!((at_one - by_hand).abs() < 1e-6 * by_hand, "{at_one} {by_hand}");
        assert_eq!(score(&talk(1, 940, 0, Class::InWork), NOW), 0.0, "fetched this instant");
    }

    #[test]
    fn the_two_ways_to_compute_it_meet() {
        // x just below 0.01 and just above: 940 s of age, 0.0005 a second.
        let (below, above) =
            (score(&talk(1, 940, 19, Class::InWork), NOW), score(&talk(1, 940, 21, Class::InWork), NOW));
        let ratio = above / below;
        assert!(
            (ratio - (21.0f64 / 19.0).powi(3)).abs() < 0.01,
            "{ratio}: it grows with the third power there"
        );
    }

    #[test]
    fn a_talk_that_changed_lately_goes_before_one_at_rest_and_who_waits_before_who_does_not() {
        let lately = score(&talk(1, 120, 600, Class::InWork), NOW);
        let at_rest = score(&talk(2, 30 * 86_400, 600, Class::InWork), NOW);
        let waiting = score(&talk(3, 120, 600, Class::Waiting), NOW);
        let closed = score(&talk(4, 120, 600, Class::Closed), NOW);
        assert!(waiting > lately && lately > at_rest && lately > closed && closed > 0.0);
    }

    #[test]
    fn the_edges_of_min_interval_and_closed_for() {
        let rules = rules();
        assert!(!rules.allows(&talk(1, 500, 120, Class::InWork), NOW));
        assert!(rules.allows(&talk(1, 500, 121, Class::InWork), NOW));
        assert!(rules.allows(&talk(1, 7 * 86_400 - 1, 500, Class::Closed), NOW));
        assert!(!rules.allows(&talk(1, 7 * 86_400, 500, Class::Closed), NOW));
        assert!(rules.allows(&talk(1, 7 * 86_400, 500, Class::InWork), NOW));
        assert!(rules.allows(&talk(1, 500, -3600, Class::InWork), NOW), "the clock was set back an hour");
        assert!(rules.allows(&talk(1, -3600, 500, Class::Closed), NOW), "the API's clock is an hour ahead");
        assert!(!rules.allows(&talk(1, -86_401, 500, Class::Closed), NOW), "no clock is so far ahead");
        let ahead = score(&talk(1, -86_401, 500, Class::InWork), NOW);
        assert!(
            ahead < score(&talk(1, 86_400, 500, Class::InWork), NOW),
            "nor is it the first to be refreshed for good"
        );
    }

    #[test]
    fn one_refresh_at_a_time_still_remembers_the_oldest_at_its_share() {
        let mut shares = Shares::default();
        let oldest: usize = (0..100).map(|_| shares.oldest_of(1)).sum();
        assert!((15..=16).contains(&oldest), "{oldest}");
        let mut shares = Shares::default();
        assert!((3..=4).contains(&shares.oldest_of(20)));
    }

    #[test]
    fn the_oldest_come_first_and_none_twice() {
        let candidates = (1..=50).map(|id| talk(id, 10 * id, 1000 + 100 * id, Class::InWork));
        let chosen = choose(candidates, &rules(), (10, 2), NOW);
        assert_eq!(chosen[..2], [50, 49]);
        let mut ids = chosen.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10);
    }

    #[test]
    fn a_talk_fetched_in_the_future_comes_first() {
        let talks = [talk(1, 500, 5000, Class::InWork), talk(2, 500, -3600, Class::InWork)];
        assert_eq!(choose(talks, &rules(), (1, 1), NOW), [2]);
        assert_eq!(choose(talks, &rules(), (1, 0), NOW), [2]);
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_allowed_and_the_best_there_is(
            talks in proptest::collection::vec((0i64..900_000, 0i64..90_000, 0u8..3), 0..200),
            room in 0usize..40,
            oldest in 0usize..40,
        ) {
            let class = |number| [Class::Waiting, Class::InWork, Class::Closed][usize::from(number)];
            let talks: Vec<Candidate> = talks
                .into_iter()
                .enumerate()
                .map(|(id, (changed, fetched, number))| talk(id as i64, changed, fetched, class(number)))
                .collect();
            let chosen = choose(talks.clone(), &rules(), (room, oldest), NOW);
            let allowed: Vec<&Candidate> = talks.iter().filter(|talk| rules().allows(talk, NOW)).collect();
            prop_assert_eq!(chosen.len(), room.min(allowed.len()));
            let is_chosen = |talk: &&&Candidate| chosen.contains(&talk.talk_id);
            let by_score = &chosen[oldest.min(chosen.len())..];
            let least = by_score.iter().map(|id| score(&talks[*id as usize], NOW)).fold(f64::INFINITY, f64::min);
            if !by_score.is_empty() {
                for left in allowed.iter().filter(|talk| !is_chosen(talk)) {
                    prop_assert!(score(left, NOW) <= least);
                }
            }
        }

        #[test]
        fn a_score_never_falls_with_time_since_the_fetch(age in 0i64..10_000_000, fetched in 0i64..1_000_000) {
            let earlier = score(&talk(1, age, fetched, Class::InWork), NOW);
            let later = score(&talk(1, age, fetched + 1, Class::InWork), NOW);
            prop_assert!(later >= earlier && earlier >= 0.0, "{} {}", earlier, later);
        }
    }
}
