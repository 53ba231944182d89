//! Chooses the mirrored talks to fetch again: those expected to be most out of date, and now and then the one
//! fetched longest ago.
//!
//! The score is the age-based index of Olston and Pandey, "Recrawl scheduling based on information longevity" (WWW
//! 2008). A talk that changed a moment ago probably changes again soon; one unchanged for a month does not. It is
//! computed each time, because it grows differently for each talk. Precomputed due times measured worse than
//! round-robin.
//!
//! A listing pass that shows a talk unchanged counts as a check of it. While the listing and the events watch a
//! talk, a fetch only adds what neither shows, such as `missed_at`. So a watched talk is fetched once an hour, or
//! sooner if it has probably changed since the last check.

use crate::clock::UnixSeconds;
use crate::number;
use crate::talk::TalkId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

/// A talk changes at the rate `CHANGE_RATE / (age + SETTLE_SECS)` per second.
const CHANGE_RATE: f64 = 0.5;
/// A talk that has just changed changes again within about twice this time.
const SETTLE_SECS: f64 = 60.0;
/// A watched talk is fetched early if it has changed since the last check with this probability. That is after two
/// fifths of its age.
const EARLY_FETCH_LIKELIHOOD: f64 = 0.2;
/// A watched closed talk is fetched again after its age divided by this, at the earliest.
const CLOSED_AGE_DIVISOR: i64 = 4;
/// A change from further ahead than this was not noted by a right clock.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// The minimum share of refreshes that go to the talk fetched longest ago, so that none is forgotten.
pub const OLDEST_SHARE: f64 = 0.15;

/// `[refresh]` in the configuration, without `enabled`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRules {
    /// The minimum time between two fetches of a talk.
    pub min_interval: Duration,
    /// A talk that the listing and the events watch is fetched again this long after its last fetch. It counts as
    /// watched for this long after the listing has shown it.
    pub recheck: Duration,
    /// A closed talk unchanged for this long is not refreshed.
    pub closed_for: Duration,
}

/// How important it is that a talk is up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Open, and missed or unread: a client waits.
    Waiting,
    /// Open.
    InWork,
    /// Closed, and may be open again.
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

/// A mirrored talk that may be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// When it last changed, as the API says.
    pub updated_at: UnixSeconds,
    /// When it was last fetched.
    pub fetched_at: UnixSeconds,
    /// When the listing last showed it unchanged.
    pub checked_at: Option<UnixSeconds>,
    /// How important it is that the mirror shows it as it is.
    pub class: Class,
}

impl Candidate {
    /// The expected changes per second.
    fn rate(&self, now: UnixSeconds) -> f64 {
        let age = now.duration_since(changed(self, now)).as_secs_f64();
        CHANGE_RATE / (age + SETTLE_SECS)
    }

    /// The time since it was last checked, by a fetch or by the listing.
    fn since_look(&self, now: UnixSeconds) -> Duration {
        let checked_at = self.checked_at.filter(|at| *at <= now);
        now.duration_since(checked_at.map_or(self.fetched_at, |at| at.max(self.fetched_at)))
    }
}

impl RefreshRules {
    /// Whether it may be fetched again now. `watching` means that the listing and the events work.
    pub fn allows(&self, candidate: &Candidate, watching: bool, now: UnixSeconds) -> bool {
        let since_fetch = now.seconds_since(candidate.fetched_at);
        let since_update = now.seconds_since(changed(candidate, now));
        if candidate.class == Class::Closed && since_update >= number::seconds(self.closed_for) {
            return false;
        }
        // A fetch in the future: see `believed`.
        if since_fetch < 0 {
            return true;
        }
        // Both are truncated to whole seconds, so more than the interval must have passed.
        if since_fetch <= number::truncated(self.min_interval.as_secs_f64().ceil()) {
            return false;
        }
        let recheck = number::truncated(self.recheck.as_secs_f64().ceil());
        let is_watched =
            watching && candidate.checked_at.is_some_and(|at| (0..=recheck).contains(&now.seconds_since(at)));
        let rest = match candidate.class {
            Class::Waiting | Class::InWork => recheck,
            Class::Closed => recheck.max(since_update / CLOSED_AGE_DIVISOR),
        };
        !is_watched
            || since_fetch > rest
            || candidate.rate(now) * candidate.since_look(now).as_secs_f64() >= EARLY_FETCH_LIKELIHOOD
    }
}

/// The staleness that a fetch now is expected to save. Higher is more urgent.
pub fn score(candidate: &Candidate, now: UnixSeconds) -> f64 {
    let rate = candidate.rate(now);
    let x = rate * candidate.since_look(now).as_secs_f64();
    let expected = if x < 0.01 {
        // The same as a series, because the difference of nearly equal numbers would be noise.
        x * x * x * (1.0 / 3.0 - x / 8.0 + x * x / 30.0)
    } else {
        x * x / 2.0 - 1.0 + (1.0 + x) * (-x).exp()
    };
    candidate.class.weight() / (rate * rate) * expected
}

/// Divides refreshes between the best and the oldest candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    owed: f64,
}

impl Default for Shares {
    fn default() -> Self {
        // The first refresh goes to the oldest, so that any number of them reaches the share.
        Shares { owed: 1.0 - OLDEST_SHARE }
    }
}

impl Shares {
    /// How many of the next `room` refreshes go to the talks fetched longest ago.
    pub fn oldest_of(&mut self, room: usize) -> usize {
        self.owed += room as f64 * OLDEST_SHARE;
        // Rounding must not lose a whole refresh.
        let oldest = number::size(number::truncated((self.owed + 1e-9).floor())).min(room);
        self.owed -= oldest as f64;
        oldest
    }
}

/// Chooses up to `room` candidates: the `oldest` fetched longest ago, the others by score, highest first. Skips
/// candidates that may not be fetched now.
pub fn choose(
    candidates: impl IntoIterator<Item = Candidate>,
    (rules, watching): (&RefreshRules, bool),
    (room, oldest): (usize, usize),
    now: UnixSeconds,
) -> Vec<TalkId> {
    let mut choice = Choice::new((room, oldest), watching, now);
    for candidate in candidates {
        let Ok(()) = choice.offer(candidate, rules, |_| Ok::<_, Infallible>(true));
    }
    choice.chosen()
}

/// [`choose`] for one candidate at a time. Holds no more candidates than it chooses.
#[derive(Debug)]
pub struct Choice {
    room: usize,
    /// How many go to the oldest.
    share: usize,
    watching: bool,
    now: UnixSeconds,
    /// Fetch time and id, latest on top.
    oldest: BinaryHeap<(UnixSeconds, TalkId)>,
    /// The score's bits, which sort like a number above 0, and the id. The worst is on top.
    best: BinaryHeap<Reverse<(u64, Reverse<TalkId>)>>,
}

impl Choice {
    /// `oldest` of `room` go to those fetched longest ago. `watching` as in [`RefreshRules::allows`].
    pub fn new((room, oldest): (usize, usize), watching: bool, now: UnixSeconds) -> Choice {
        let share = oldest.min(room);
        Choice { room, share, watching, now, oldest: BinaryHeap::new(), best: BinaryHeap::new() }
    }

    /// `is_free` is whether this talk is not queued yet. It is only called for a candidate that would be chosen.
    ///
    /// # Errors
    /// If `is_free` fails.
    pub fn offer<E>(
        &mut self,
        candidate: Candidate,
        rules: &RefreshRules,
        is_free: impl FnOnce(TalkId) -> Result<bool, E>,
    ) -> Result<(), E> {
        if !rules.allows(&candidate, self.watching, self.now) {
            return Ok(());
        }
        let candidate = Candidate { fetched_at: believed(candidate.fetched_at, self.now), ..candidate };
        let old = (candidate.fetched_at, candidate.talk_id);
        let good = Reverse((score(&candidate, self.now).to_bits(), Reverse(candidate.talk_id)));
        let is_chosen = is_among(&self.oldest, &old, self.share) || is_among(&self.best, &good, self.room);
        if is_chosen && is_free(candidate.talk_id)? {
            push(&mut self.oldest, old, self.share);
            push(&mut self.best, good, self.room);
        }
        Ok(())
    }

    /// The chosen ids, in the order in which to fetch them.
    pub fn chosen(self) -> Vec<TalkId> {
        let oldest: Vec<TalkId> =
            self.oldest.into_sorted_vec().into_iter().map(|(_, talk_id)| talk_id).collect();
        let is_oldest: HashSet<TalkId> = oldest.iter().copied().collect();
        let best = self.best.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(talk_id)))| talk_id);
        let rest = best.filter(|talk_id| !is_oldest.contains(talk_id)).take(self.room - oldest.len());
        oldest.iter().copied().chain(rest).collect()
    }
}

/// Whether the item is among the `count` smallest.
fn is_among<T: Ord>(heap: &BinaryHeap<T>, item: &T, count: usize) -> bool {
    heap.len() < count || heap.peek().is_some_and(|top| item < top)
}

/// Keeps the `count` smallest.
fn push<T: Ord>(heap: &mut BinaryHeap<T>, item: T, count: usize) {
    if !is_among(heap, &item, count) {
        return;
    }
    heap.push(item);
    if heap.len() > count {
        heap.pop();
    }
}

/// When it changed. Clocks may differ by hours; a change further ahead is ignored.
fn changed(candidate: &Candidate, now: UnixSeconds) -> UnixSeconds {
    let is_believed = candidate.updated_at.duration_since(now) <= MAX_AHEAD;
    if is_believed { candidate.updated_at } else { UnixSeconds::EPOCH }
}

/// A fetch time in the future comes from a clock that was set back since. Its age is unknown.
fn believed(fetched_at: UnixSeconds, now: UnixSeconds) -> UnixSeconds {
    if fetched_at > now { UnixSeconds::EPOCH } else { fetched_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    fn rules() -> RefreshRules {
        let seconds = Duration::from_secs;
        RefreshRules { min_interval: seconds(120), recheck: seconds(3600), closed_for: seconds(7 * 86_400) }
    }

    fn talk(talk_id: i64, changed_ago: i64, fetched_ago: i64, class: Class) -> Candidate {
        let (updated_at, fetched_at) = (NOW - changed_ago, NOW - fetched_ago);
        Candidate { talk_id: TalkId::new(talk_id), updated_at, fetched_at, checked_at: None, class }
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
        let allows = |candidate: &Candidate| rules().allows(candidate, false, NOW);
        assert!(!allows(&talk(1, 500, 120, Class::InWork)));
        assert!(allows(&talk(1, 500, 121, Class::InWork)));
        assert!(allows(&talk(1, 7 * 86_400 - 1, 500, Class::Closed)));
        assert!(!allows(&talk(1, 7 * 86_400, 500, Class::Closed)));
        assert!(allows(&talk(1, 7 * 86_400, 500, Class::InWork)));
        assert!(allows(&talk(1, 500, -3600, Class::InWork)), "the clock was set back an hour");
        assert!(allows(&talk(1, -3600, 500, Class::Closed)), "the API's clock is an hour ahead");
        assert!(!allows(&talk(1, -86_401, 500, Class::Closed)), "no clock is so far ahead");
        let ahead = score(&talk(1, -86_401, 500, Class::InWork), NOW);
        assert!(
            ahead < score(&talk(1, 86_400, 500, Class::InWork), NOW),
            "nor is it the first to be refreshed for good"
        );
    }

    /// As [`talk`], open, and listed this long ago.
    fn listed(changed_ago: i64, fetched_ago: i64, listed_ago: i64) -> Candidate {
        Candidate { checked_at: Some(NOW - listed_ago), ..talk(1, changed_ago, fetched_ago, Class::InWork) }
    }

    #[test]
    fn a_watched_talk_is_fetched_again_once_an_hour() {
        let allows = |candidate: &Candidate| rules().allows(candidate, true, NOW);
        assert!(!allows(&listed(86_400, 3600, 300)));
        assert!(allows(&listed(86_400, 3601, 300)));
        assert!(allows(&listed(86_400, 3600, 3601)), "the listing has not shown it for an hour");
        assert!(allows(&listed(86_400, 3600, -1)), "nor does a look in the future watch it");
        assert!(allows(&talk(1, 86_400, 3600, Class::InWork)), "nor is it watched if it was never shown");
        assert!(rules().allows(&listed(86_400, 121, 1), false, NOW), "nor while the listing does not work");
        assert!(!rules().allows(&listed(86_400, 120, 1), false, NOW));
    }

    #[test]
    fn a_watched_talk_that_changed_lately_is_fetched_between_two_passes_of_the_listing() {
        let allows = |candidate: &Candidate| rules().allows(candidate, true, NOW);
        // 0.2 = 0.5 / (440 + 60) * 200.
        assert!(!allows(&listed(440, 400, 199)));
        assert!(allows(&listed(440, 400, 200)));
        assert!(!allows(&listed(440, 199, 400)), "the last look is the fetch");
        assert!(!allows(&listed(100, 120, 110)), "never within min_interval");
    }

    #[test]
    fn a_watched_talk_that_is_closed_is_fetched_ever_more_seldom() {
        let closed = |changed_ago, fetched_ago| Candidate {
            class: Class::Closed,
            ..listed(changed_ago, fetched_ago, 300)
        };
        let allows = |candidate: Candidate| rules().allows(&candidate, true, NOW);
        assert!(!allows(closed(7200, 3600)) && allows(closed(7200, 3601)));
        assert!(!allows(closed(40_000, 10_000)) && allows(closed(40_000, 10_001)));
    }

    #[test]
    fn a_look_by_the_listing_counts_as_one() {
        let score = |candidate: Candidate| score(&candidate, NOW);
        assert_eq!(score(listed(940, 5000, 2000)), score(talk(1, 940, 2000, Class::InWork)));
        assert_eq!(score(listed(940, 2000, 5000)), score(talk(1, 940, 2000, Class::InWork)));
        assert_eq!(score(listed(940, 2000, -5)), score(talk(1, 940, 2000, Class::InWork)));
    }

    #[test]
    fn what_waits_already_is_not_chosen_and_takes_nobody_s_place() {
        let mut choice = Choice::new((4, 2), false, NOW);
        for id in 1..=20 {
            let is_free = |id: TalkId| Ok::<_, Infallible>(id.get() % 2 == 1);
            let Ok(()) = choice.offer(talk(id, 1000, 1000 + 100 * id, Class::InWork), &rules(), is_free);
        }
        assert_eq!(choice.chosen(), [19, 17, 15, 13].map(TalkId::new));
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
        let chosen = choose(candidates, (&rules(), false), (10, 2), NOW);
        assert_eq!(chosen[..2], [50, 49].map(TalkId::new));
        let mut ids = chosen.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10);
    }

    #[test]
    fn a_talk_fetched_in_the_future_comes_first() {
        let talks = [talk(1, 500, 5000, Class::InWork), talk(2, 500, -3600, Class::InWork)];
        assert_eq!(choose(talks, (&rules(), false), (1, 1), NOW), [TalkId::new(2)]);
        assert_eq!(choose(talks, (&rules(), false), (1, 0), NOW), [TalkId::new(2)]);
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
            let chosen = choose(talks.clone(), (&rules(), false), (room, oldest), NOW);
            let allowed: Vec<&Candidate> = talks.iter().filter(|talk| rules().allows(talk, false, NOW)).collect();
            prop_assert_eq!(chosen.len(), room.min(allowed.len()));
            let is_chosen = |talk: &&&Candidate| chosen.contains(&talk.talk_id);
            let by_score = &chosen[oldest.min(chosen.len())..];
            let least = by_score.iter().map(|id| score(&talks[id.get() as usize], NOW)).fold(f64::INFINITY, f64::min);
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
