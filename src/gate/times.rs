//! How long answers take, and what that shows: by how much the time of the way to the server varies, and which request is
//! late and may have been delayed on its way.
//!
//! On average a place is kept 50 ms beyond its second, at most. What quick answers leave of this is saved for late ones: the
//! place of a late request is kept until a second after its answer, as long as something is saved.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// By how much the time of the way to the server may vary, …
pub(super) const MAX_TRANSIT_JITTER: Duration = Duration::from_millis(50);
/// … and the least that is assumed if all answers take nearly the same time.
const MIN_TRANSIT_JITTER: Duration = Duration::from_millis(20);
/// The last answers that are looked at, …
const SAMPLE_COUNT: usize = 64;
/// … of which no two came within this time: else they would show a moment alone.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Fewer answers show nothing.
const MIN_SAMPLES: usize = 3;
/// The most that is saved, …
const MAX_SAVED: Duration = Duration::from_secs(3);
/// … and what there is at first, when nothing is known of the answers.
const INITIAL_SAVED: Duration = Duration::from_millis(500);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Times {
    took: VecDeque<Duration>,
    sampled_at: Option<Instant>,
    transit_jitter: Duration,
    /// If an answer takes no longer, its request was not delayed on its way.
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
    /// An answer came now, after this time.
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
            // The time of an answer varies by at least as much as that of the way.
            self.transit_jitter = ((most - least) * 3 / 2 + Duration::from_millis(5))
                .clamp(MIN_TRANSIT_JITTER, MAX_TRANSIT_JITTER);
        }
        self.quick = (self.took.len() >= MIN_SAMPLES).then_some(least + self.transit_jitter);
    }

    /// By how much the time of the way to the server varies, at most.
    #[cfg(test)]
    pub(super) fn transit_jitter(&self) -> Duration {
        self.transit_jitter
    }

    /// How long a place is kept beyond its second if its answer takes so long, or has taken so long so far.
    pub(super) fn kept_beyond(&self, took: Duration) -> Duration {
        let is_late = self.quick.is_none_or(|quick| took > quick);
        if is_late { self.transit_jitter.max(self.saved) } else { self.transit_jitter }
    }

    /// A place was kept so long beyond its second.
    pub(super) fn kept(&mut self, beyond: Duration) {
        self.saved = (self.saved + MAX_TRANSIT_JITTER).saturating_sub(beyond).min(MAX_SAVED);
    }
}
