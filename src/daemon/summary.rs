//! The hourly summary in the journal.

use crate::clock::Now;
use crate::worker::Counters;
use std::time::{Duration, Instant};

const SUMMARY_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The counters at the last summary.
#[derive(Debug)]
pub(super) struct Summary {
    reported: Counters,
    at: Instant,
}

impl Summary {
    pub(super) fn new(now: Now) -> Summary {
        Summary { reported: Counters::default(), at: now.mono }
    }

    /// Logs once an hour what was done since the last summary.
    pub(super) fn tick(&mut self, counters: Counters, now: Now) {
        let Some(done) = self.due(counters, now) else { return };
        tracing::info!(
            requests = done.requests,
            fetched = done.mirrored(),
            closed = done.closures.closed,
            "in the last hour: {} requests, {} talks fetched ({} new, {} changed), {} gone, {} retries, {} failed, {} closed",
            done.requests,
            done.mirrored(),
            done.new,
            done.changed,
            done.gone,
            done.retried,
            done.failed,
            done.closures.closed,
        );
    }

    fn due(&mut self, counters: Counters, now: Now) -> Option<Counters> {
        if now.mono.saturating_duration_since(self.at) < SUMMARY_INTERVAL {
            return None;
        }
        let done = counters.since(&self.reported);
        (self.reported, self.at) = (counters, now.mono);
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_summary_covers_its_own_hour() {
        let start = crate::clock::now();
        let after = |seconds| Now { mono: start.mono + Duration::from_secs(seconds), ..start };
        let counters = |requests, new| Counters { requests, new, ..Counters::default() };
        let mut summary = Summary::new(start);
        assert_eq!(summary.due(counters(5, 3), after(3599)), None);
        assert_eq!(summary.due(counters(10, 4), after(3600)), Some(counters(10, 4)));
        assert_eq!(summary.due(counters(12, 4), after(7199)), None);
        assert_eq!(summary.due(counters(12, 5), after(7200)), Some(counters(2, 1)));
        assert_eq!(
            summary.due(counters(12, 5), after(10_800)),
            Some(counters(0, 0)),
            "also where nothing was done"
        );
    }
}
