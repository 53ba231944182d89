//! The N places of a second: which are taken, and when the next one is free.
//!
//! Normally a place is free again a second and J after its request left, or a second after its response if that is
//! sooner. J is 20 to 50 ms. While the transit time varies by less than J, the server counts at most N in any
//! second, however long responses take. A request on a new connection leaves when the connection is established. A
//! late response may mean that its request was delayed in transit. Then J is longer, as far as `times.rs` has saved
//! time for it. Requests leave evenly.
//!
//! After a 429 the strict rule holds for [`STRICT_DURATION`]: a place is free a second after its response came,
//! never sooner. The server then counts at most N whatever the network does, but the response time is lost.

use super::times::Times;
use crate::departure::Departure;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// The second in which at most N may arrive, plus 1 % for clocks that differ.
pub(super) const WINDOW: Duration = Duration::from_millis(1010);
/// How long the strict rule holds after a 429.
pub(super) const STRICT_DURATION: Duration = Duration::from_secs(600);
/// The minimum distance between two requests, as a fraction of an Nth of a second. Less than 1, so that later
/// requests catch up after a late one.
const MIN_SPACING: f64 = 0.7;
/// Requests due within this time leave together, because timers are not finer.
const TIMER_RESOLUTION: Duration = Duration::from_millis(3);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    /// Requests under way, by number.
    out: HashMap<u64, Departure>,
    /// When the places of answered requests are free, earliest on top.
    answered: BinaryHeap<Reverse<Instant>>,
    next_number: u64,
    /// No request leaves earlier, so that requests are evenly spaced.
    next_even: Option<Instant>,
    times: Times,
    strict_until: Option<Instant>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Places {
        Places {
            limit,
            out: HashMap::new(),
            answered: BinaryHeap::new(),
            next_number: 0,
            next_even: None,
            times: Times::default(),
            strict_until: None,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn times(&self) -> &Times {
        &self.times
    }

    /// Keeps the strict rule until then at least.
    pub(super) fn be_strict_until(&mut self, until: Instant) {
        self.strict_until = self.strict_until.max(Some(until));
    }

    /// Takes a place, or returns when to try again. `None` means after the next response.
    pub(super) fn take(&mut self, now: Instant) -> Result<(u64, Departure), Option<Instant>> {
        let strict = self.is_strict(now);
        if let Some(at) = self.next_even.filter(|at| now < *at && !strict) {
            return Err(Some(at));
        }
        while self.answered.peek().is_some_and(|Reverse(free)| *free <= now) {
            self.answered.pop();
        }
        // Places taken by requests under way, and when the first of them is free.
        let (mut taken, mut first) = (0, None::<Instant>);
        for departure in self.out.values() {
            let left = departure.left().filter(|_| !strict);
            match left.map(|left| self.free_unanswered(left, now)) {
                Some(free) if free <= now => {}
                Some(free) => {
                    taken += 1;
                    first = Some(first.map_or(free, |first| first.min(free)));
                }
                None => taken += 1,
            }
        }
        if taken + self.answered.len() >= self.limit {
            let answered = self.answered.peek().map(|Reverse(free)| *free);
            return Err(first.into_iter().chain(answered).min());
        }
        let gap = SECOND.mul_f64(MIN_SPACING / self.limit as f64);
        let begun = now.checked_sub(TIMER_RESOLUTION).unwrap_or(now);
        self.next_even = Some(self.next_even.map_or(begun, |even| even.max(begun)) + gap);
        let (number, departure) = (self.next_number, Departure::at(now));
        self.next_number += 1;
        self.out.insert(number, departure.clone());
        Ok((number, departure))
    }

    /// The request was answered. The strict rule keeps its place for `window`. If `is_measure`, its duration counts
    /// as a sample of response times. A request that failed locally does not.
    pub(super) fn answered(&mut self, number: u64, window: Duration, is_measure: bool, now: Instant) {
        let left = self.out.remove(&number).and_then(|departure| departure.left());
        // A response shows that the request has arrived, whatever its transit time.
        let mut free = now + window;
        if let Some(left) = left.filter(|_| !self.is_strict(now)) {
            free = free.min(self.free_unanswered(left, now));
            self.times.kept(free.saturating_duration_since(left + SECOND));
        }
        self.answered.push(Reverse(free));
        if let Some(left) = left.filter(|_| is_measure) {
            self.times.took(now.saturating_duration_since(left), now);
        }
    }

    /// When the place of a request that left at `left` is free, if no response comes before.
    fn free_unanswered(&self, left: Instant, now: Instant) -> Instant {
        left + SECOND + self.times.kept_beyond(now.saturating_duration_since(left))
    }

    /// How long the strict rule holds, if it does.
    pub(super) fn strict_until(&self, now: Instant) -> Option<Instant> {
        self.strict_until.filter(|until| now < *until)
    }

    fn is_strict(&self, now: Instant) -> bool {
        self.strict_until(now).is_some()
    }
}
