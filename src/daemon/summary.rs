//! What the log says on a quiet day: a line an hour.

use crate::clock::Now;
use crate::worker::Tally;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60 * 60);

/// What was done up to the last line.
#[derive(Debug)]
pub(super) struct Summary {
    told: Tally,
    at: Instant,
}

impl Summary {
    pub(super) fn new(now: Now) -> Summary {
        Summary { told: Tally::default(), at: now.mono }
    }

    /// Logs what was done since the last line, once an hour.
    pub(super) fn tick(&mut self, tally: Tally, now: Now) {
        let Some(done) = self.due(tally, now) else { return };
        tracing::info!(
            requests = done.requests,
            fetched = done.mirrored(),
            closed = done.closures.closed,
            "in the last hour: {} requests, {} talks fetched ({} new, {} changed), {} gone, {} retries, {} set aside, {} closed",
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

    fn due(&mut self, tally: Tally, now: Now) -> Option<Tally> {
        if now.mono.saturating_duration_since(self.at) < EVERY {
            return None;
        }
        let done = tally.since(&self.told);
        (self.told, self.at) = (tally, now.mono);
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_tells_of_itself_alone() {
        let start = crate::clock::now();
        let after = |seconds| Now { mono: start.mono + Duration::from_secs(seconds), ..start };
        let tally = |requests, new| Tally { requests, new, ..Tally::default() };
        let mut summary = Summary::new(start);
        assert_eq!(summary.due(tally(5, 3), after(3599)), None);
        assert_eq!(summary.due(tally(10, 4), after(3600)), Some(tally(10, 4)));
        assert_eq!(summary.due(tally(12, 4), after(7199)), None);
        assert_eq!(summary.due(tally(12, 5), after(7200)), Some(tally(2, 1)));
        assert_eq!(
            summary.due(tally(12, 5), after(10_800)),
            Some(tally(0, 0)),
            "also where nothing was done"
        );
    }
}
