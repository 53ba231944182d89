//! How long answers take, and what that shows: by how much the time of the way to the server varies, and which request is
//! late and may have been delayed on its way.
//!
//! On average a place is kept 50 ms beyond its second, at most. What quick answers leave of this is saved for late ones: the
//! place of a late request is kept until a second after its answer, as long as something is saved.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// By how much the time of the way to the server may vary, …
pub(super) const WAY: Duration = Duration::from_millis(50);
/// … and the least that is assumed if all answers take nearly the same time.
const LEAST_WAY: Duration = Duration::from_millis(20);
/// The last answers that are looked at, …
const SAMPLES: usize = 64;
/// … of which no two came within this time: else they would show a moment alone.
const APART: Duration = Duration::from_millis(100);
/// Fewer answers show nothing.
const FEWEST: usize = 3;
/// The most that is saved, …
const MOST_SAVED: Duration = Duration::from_secs(3);
/// … and what there is at first, when nothing is known of the answers.
const SAVED_AT_FIRST: Duration = Duration::from_millis(500);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Times {
    took: VecDeque<Duration>,
    sampled_at: Option<Instant>,
    way: Duration,
    /// If an answer takes no longer, its request was not delayed on its way.
    quick: Option<Duration>,
    saved: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times { took: VecDeque::new(), sampled_at: None, way: WAY, quick: None, saved: SAVED_AT_FIRST }
    }
}

impl Times {
    /// An answer came now, after this time.
    pub(super) fn took(&mut self, took: Duration, now: Instant) {
        if self.sampled_at.is_some_and(|at| now.saturating_duration_since(at) < APART) {
            return;
        }
        self.sampled_at = Some(now);
        self.took.truncate(SAMPLES - 1);
        self.took.push_front(took);
        let least = self.took.iter().min().map_or(took, |least| *least);
        let most = self.took.iter().max().map_or(took, |most| *most);
        if self.took.len() == SAMPLES {
            // The time of an answer varies by at least as much as that of the way.
            self.way = ((most - least) * 3 / 2 + Duration::from_millis(5)).clamp(LEAST_WAY, WAY);
        }
        self.quick = (self.took.len() >= FEWEST).then_some(least + self.way);
    }

    /// By how much the time of the way to the server varies, at most.
    #[cfg(test)]
    pub(super) fn way(&self) -> Duration {
        self.way
    }

    /// How long a place is kept beyond its second if its answer takes so long, or has taken so long so far.
    pub(super) fn kept_beyond(&self, took: Duration) -> Duration {
        let is_late = self.quick.is_none_or(|quick| took > quick);
        if is_late { self.way.max(self.saved) } else { self.way }
    }

    /// A place was kept so long beyond its second.
    pub(super) fn kept(&mut self, beyond: Duration) {
        self.saved = (self.saved + WAY).saturating_sub(beyond).min(MOST_SAVED);
    }
}
