//! How long responses take, and what follows: how much the transit time varies, and which request may have been
//! delayed in transit.
//!
//! On average a place is kept at most 50 ms beyond its second. Time not used by quick responses is saved for late
//! ones. A late request keeps its place until a second after its response, as long as saved time is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The maximum variation of the transit time to the server, …
pub(super) const MAX_TRANSIT_JITTER: Duration = Duration::from_millis(50);
/// … and the minimum that is assumed, even if all responses take nearly the same time.
const MIN_TRANSIT_JITTER: Duration = Duration::from_millis(20);
/// How many recent responses are sampled, …
const SAMPLE_COUNT: usize = 64;
/// … taken at least this far apart, so that they do not show a single moment.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Fewer samples show nothing.
const MIN_SAMPLES: usize = 3;
/// The most time that is saved, …
const MAX_SAVED: Duration = Duration::from_secs(3);
/// … and the initial amount, when no response times are known.
const INITIAL_SAVED: Duration = Duration::from_millis(500);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Times {
    took: VecDeque<Duration>,
    sampled_at: Option<Instant>,
    transit_jitter: Duration,
    /// A request with a response this quick was not delayed in transit.
    quick: Option<Duration>,
    saved: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            took: VecDeque::new(),
            sampled_at: None,
            transit_jitter: MAX_TRANSIT_JITTER,
            quick: None,
            saved: INITIAL_SAVED,
        }
    }
}

impl Times {
    /// Records a response that came now, after this time.
    pub(super) fn took(&mut self, took: Duration, now: Instant) {
        if self.sampled_at.is_some_and(|at| now.saturating_duration_since(at) < SAMPLE_INTERVAL) {
            return;
        }
        self.sampled_at = Some(now);
        self.took.truncate(SAMPLE_COUNT - 1);
        self.took.push_front(took);
        let least = self.took.iter().min().map_or(took, |least| *least);
        let most = self.took.iter().max().map_or(took, |most| *most);
        if self.took.len() == SAMPLE_COUNT {
            // Response times vary at least as much as the transit time.
            self.transit_jitter = ((most - least) * 3 / 2 + Duration::from_millis(5))
                .clamp(MIN_TRANSIT_JITTER, MAX_TRANSIT_JITTER);
        }
        self.quick = (self.took.len() >= MIN_SAMPLES).then_some(least + self.transit_jitter);
    }

    /// The assumed variation of the transit time to the server.
    #[cfg(test)]
    pub(super) fn transit_jitter(&self) -> Duration {
        self.transit_jitter
    }

    /// How long a place is kept beyond its second, given how long its response has taken (so far).
    pub(super) fn kept_beyond(&self, took: Duration) -> Duration {
        let is_late = self.quick.is_none_or(|quick| took > quick);
        if is_late { self.transit_jitter.max(self.saved) } else { self.transit_jitter }
    }

    /// Records how long a place was kept beyond its second.
    pub(super) fn kept(&mut self, beyond: Duration) {
        self.saved = (self.saved + MAX_TRANSIT_JITTER).saturating_sub(beyond).min(MAX_SAVED);
    }
}
