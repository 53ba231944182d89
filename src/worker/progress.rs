//! Whether work makes progress: the watchdog is fed by it, and `/healthz` shows it.
//!
//! Waiting for somebody is no standstill: an empty queue, a pause, a disk that is full. What counts
//! here is whether this process does what it could do now.

use crate::clock::Now;
use std::time::{Duration, Instant};

/// The writer answers within this, or it is stuck …
const WRITER_LIMIT: Duration = Duration::from_secs(60);
/// … or within this while SQLite runs: a commit that reads a WAL of gigabytes on a slow disk must
/// not be killed, as it would start over.
const SQLITE_LIMIT: Duration = Duration::from_secs(15 * 60);
/// A request that is under way longer than its own deadline and this, or talks that are due and not asked
/// for as long, mean that the worker is stuck.
const WORKER_LIMIT: Duration = Duration::from_secs(60);

/// When work last went on.
#[derive(Debug)]
pub(super) struct Progress {
    /// Requests that left, ended or were recorded.
    steps: u64,
    seen_steps: u64,
    worked: Instant,
    seen_turns: u64,
    turned: Instant,
    in_sqlite: bool,
}

impl Progress {
    pub(super) fn new(now: Now) -> Progress {
        Progress {
            steps: 0,
            seen_steps: 0,
            worked: now.mono,
            seen_turns: 0,
            turned: now.mono,
            in_sqlite: false,
        }
    }

    /// A request has left, ended or was recorded.
    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    /// `turns` are the writer's, with whether SQLite runs for it. `idle`: there is nothing that the worker could do.
    pub(super) fn note(&mut self, (turns, in_sqlite): (u64, bool), idle: bool, now: Instant) {
        self.in_sqlite = in_sqlite;
        if idle || self.steps != self.seen_steps {
            (self.seen_steps, self.worked) = (self.steps, now);
        }
        if turns != self.seen_turns {
            (self.seen_turns, self.turned) = (turns, now);
        }
    }

    /// Why there is no progress; `request_timeout` is a request's own deadline.
    pub(super) fn stalled(&self, request_timeout: Duration, now: Instant) -> Option<String> {
        let stuck = |since: Instant, limit: Duration| {
            let lasted = now.saturating_duration_since(since);
            (lasted > limit).then_some(lasted.as_secs())
        };
        let writer = if self.in_sqlite { SQLITE_LIMIT } else { WRITER_LIMIT };
        if let Some(seconds) = stuck(self.turned, writer) {
            return Some(format!("the thread that writes the database has done nothing for {seconds} s"));
        }
        if self.in_sqlite {
            // What there is to do may wait for it.
            return None;
        }
        let seconds = stuck(self.worked, request_timeout + WORKER_LIMIT)?;
        Some(format!("there is work, and none was done for {seconds} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[test]
    fn a_worker_with_work_that_takes_no_step_is_stalled_after_a_request_s_deadline_and_a_minute() {
        let now = crate::clock::now();
        let mut progress = Progress::new(now);
        let at = |seconds| now.mono + Duration::from_secs(seconds);
        for second in 1..=91 {
            progress.note((second, false), false, at(second));
        }
        assert_eq!(progress.stalled(TIMEOUT, at(90)), None);
        assert!(progress.stalled(TIMEOUT, at(91)).unwrap().contains("none was done for 91 s"));
        progress.step();
        progress.note((92, false), false, at(92));
        assert_eq!(progress.stalled(TIMEOUT, at(93)), None);
        for second in 93..=500 {
            progress.note((second, false), true, at(second));
        }
        assert_eq!(progress.stalled(TIMEOUT, at(500)), None, "there is nothing to do");
    }

    #[test]
    fn a_writer_that_takes_no_turn_is_stalled_after_a_minute() {
        let now = crate::clock::now();
        let mut progress = Progress::new(now);
        let at = |seconds| now.mono + Duration::from_secs(seconds);
        progress.note((1, false), true, at(1));
        for second in 2..=70 {
            progress.note((1, false), true, at(second));
        }
        assert_eq!(progress.stalled(TIMEOUT, at(61)), None);
        assert!(progress.stalled(TIMEOUT, at(62)).unwrap().contains("writes the database"));
        progress.note((2, false), true, at(63));
        assert_eq!(progress.stalled(TIMEOUT, at(63)), None);
    }

    #[test]
    fn a_writer_for_which_sqlite_is_at_work_is_given_a_quarter_of_an_hour() {
        let now = crate::clock::now();
        let mut progress = Progress::new(now);
        let at = |seconds| now.mono + Duration::from_secs(seconds);
        for second in 1..=901 {
            progress.note((1, true), false, at(second));
        }
        assert_eq!(progress.stalled(TIMEOUT, at(901)), None);
        assert!(progress.stalled(TIMEOUT, at(902)).unwrap().contains("writes the database"));
    }
}
