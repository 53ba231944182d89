//! What the daemon does beside its work: it notes how large the database is and how much of the account is
//! mirrored, and removes what `[retention]` no longer keeps.
//!
//! One at a time and one a second at most, so that the writer is there for the rest.

use super::Worker;
use crate::clock::Now;
use crate::number;
use crate::report::humanize;
use crate::store::maintenance::{Maintained, MaintenanceTask};
use crate::store::retention::{Pass, RetentionRules, RetentionStep};
use std::time::{Duration, Instant};

/// Between two notes of the size.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How much is mirrored is counted this often while it changes …
const LEAST_COUNT_INTERVAL: Duration = Duration::from_secs(3);
/// … and so much more seldom than it takes, …
const COUNT_SHARE: u32 = 1000;
/// … but this often in any case.
const MOST_COUNT_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Between two counts if nothing seems to have changed: a list that was read to its end changes no talk.
const COUNT_ANYWAY_INTERVAL: Duration = Duration::from_secs(20);
/// A maintenance task that could not be done is retried after this.
const DEFERRED_FOR: Duration = Duration::from_secs(60);
/// Between two looks whether a pass of the retention is due: the wall clock may be set meanwhile.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Between two fetches that are to show whether the clock is right, if no other does.
const PROBE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// What is to be done now.
enum NextTask {
    Nothing,
    Task(MaintenanceTask),
    /// A stored talk is to show whether the clock is right.
    ProbeClock,
}

/// When what is next.
#[derive(Debug)]
pub(super) struct Maintenance {
    /// The writer has one.
    under_way: bool,
    measure_at: Instant,
    retain_at: Instant,
    count_at: Instant,
    count_anyway_at: Instant,
    /// The queue or the mirror may have changed since the last count.
    uncounted: bool,
    probe_at: Instant,
}

impl Maintenance {
    pub(super) fn new(now: Now) -> Maintenance {
        let mono = now.mono;
        Maintenance {
            under_way: false,
            measure_at: mono,
            retain_at: mono,
            count_at: mono,
            count_anyway_at: mono,
            uncounted: true,
            probe_at: mono,
        }
    }

    fn counts(&self, now: Instant) -> bool {
        now >= self.count_at && self.uncounted || now >= self.count_anyway_at
    }

    /// The queue or the mirror may have changed.
    pub(super) fn changed(&mut self) {
        self.uncounted = true;
    }
}

impl Maintenance {
    /// The next task, if one is due; looked for each second. `may_retain`: the clock is right. A wrong one that is years
    /// ahead would remove everything.
    fn next(
        &mut self,
        pace: Option<f64>,
        retention: Option<Duration>,
        may_retain: bool,
        now: Now,
    ) -> NextTask {
        if self.under_way {
            return NextTask::Nothing;
        }
        if now.mono >= self.measure_at {
            self.measure_at = now.mono + MEASURE_INTERVAL;
            return self.task(MaintenanceTask::Measure { now: now.secs() });
        }
        if self.counts(now.mono) {
            self.uncounted = false;
            return self.task(MaintenanceTask::Count { now: now.secs(), pace });
        }
        let Some(versions) = retention.filter(|_| now.mono >= self.retain_at) else {
            return NextTask::Nothing;
        };
        if may_retain {
            let versions = number::seconds(versions);
            return self.task(MaintenanceTask::Retain(RetentionRules { versions, now: now.secs() }));
        }
        // In a pause nothing is fetched.
        if now.mono >= self.probe_at && pace.is_some() {
            self.probe_at = now.mono + PROBE_INTERVAL;
            return NextTask::ProbeClock;
        }
        NextTask::Nothing
    }

    fn task(&mut self, task: MaintenanceTask) -> NextTask {
        self.under_way = true;
        NextTask::Task(task)
    }

    /// A task has ended, or is to be done later.
    pub(super) fn done(&mut self, maintained: Maintained, now: Now) {
        self.under_way = false;
        match maintained {
            Maintained::Measured | Maintained::Retained(RetentionStep::Walked) => {}
            Maintained::Retained(RetentionStep::Passed(pass)) => {
                self.retain_at = now.mono + RETAIN_INTERVAL;
                report(&pass);
            }
            Maintained::Retained(RetentionStep::Rests { until }) => {
                self.retain_at = now.mono + RETAIN_INTERVAL.min(until.duration_since(now.secs()));
            }
            Maintained::Counted(took) => {
                let next = (took * COUNT_SHARE).clamp(LEAST_COUNT_INTERVAL, MOST_COUNT_INTERVAL);
                (self.count_at, self.count_anyway_at) =
                    (now.mono + next, now.mono + next.max(COUNT_ANYWAY_INTERVAL));
            }
            Maintained::Deferred(MaintenanceTask::Count { .. }) => {
                self.uncounted = true;
                (self.count_at, self.count_anyway_at) = (now.mono + DEFERRED_FOR, now.mono + DEFERRED_FOR);
            }
            Maintained::Deferred(MaintenanceTask::Measure { .. }) => {
                self.measure_at = now.mono + DEFERRED_FOR;
            }
            Maintained::Deferred(MaintenanceTask::Retain(_)) => self.retain_at = now.mono + DEFERRED_FOR,
        }
    }

    /// `[retention]` was changed: its next task is due now.
    pub(super) fn hurry_retention(&mut self, now: Now) {
        (self.retain_at, self.probe_at) = (now.mono, now.mono);
    }
}

impl Worker {
    /// Hands the writer the next maintenance task, if one is due.
    pub(super) fn maintain(&mut self, now: Now) {
        if self.stopping || self.reporter.write_error().is_some() {
            return;
        }
        let pace = self.circuit.pause().is_none().then(|| self.circuit.pace(now));
        let is_right = self.closer.is_clock_right(now);
        match self.maintenance.next(pace, self.config.retention, is_right, now) {
            NextTask::Nothing => {}
            NextTask::Task(task) => self.writer.maintain(task),
            NextTask::ProbeClock => self.dispatch.confirm_by_a_known_talk(),
        }
    }
}

fn report(pass: &Pass) {
    let Pass { began_at, ended_at, versions, removed } = *pass;
    let kept = humanize::duration(versions);
    if removed == 0 {
        tracing::debug!(removed, "retention: no state of a talk ended over {kept} ago");
        return;
    }
    let states = humanize::states(removed);
    tracing::info!(
        removed,
        "retention: removed {states} of talks that ended over {kept} ago, within {}",
        humanize::duration(ended_at.seconds_since(began_at))
    );
}
