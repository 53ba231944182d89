//! What the daemon does beside its work: it notes how large the database is and how much of the account is
//! mirrored, and removes what `[retention]` no longer keeps.
//!
//! One at a time and one a second at most, so that the writer is there for the rest.

use super::Worker;
use crate::clock::Now;
use crate::report::humanize;
use crate::store::maintenance::{Maintained, MaintenanceTask};
use crate::store::retention::{Pass, RetentionRules, RetentionStep};
use std::time::{Duration, Instant};

/// How often the size is noted.
const MEASURE: Duration = Duration::from_secs(10 * 60);
/// How much is mirrored is counted this often while it changes, and so much more seldom than it takes.
const COUNT: (Duration, u32) = (Duration::from_secs(3), 1000);
/// But this often in any case.
const COUNT_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// Counted this often if nothing seems to have changed: a list that was read to its end changes no talk.
const COUNT_ANYWAY: Duration = Duration::from_secs(20);
/// A maintenance task that could not be done is retried after this.
const DEFERRED_FOR: Duration = Duration::from_secs(60);
/// Between two looks whether a pass is due: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// Between two fetches that are to tell whether the clock is right, where no other does.
const PROBE: Duration = Duration::from_secs(10 * 60);

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

impl Worker {
    /// Hands the writer the next maintenance task, if one is due; done each second.
    pub(super) fn maintain(&mut self, now: Now) {
        if self.maintenance.under_way || self.stopping || self.trouble.is_some() {
            return;
        }
        if now.mono >= self.maintenance.measure_at {
            self.maintenance.measure_at = now.mono + MEASURE;
            self.task(MaintenanceTask::Measure { now: now.secs() });
        } else if self.maintenance.counts(now.mono) {
            self.maintenance.uncounted = false;
            let pace = self.gate.pause().is_none().then(|| self.gate.pace(now.mono));
            self.task(MaintenanceTask::Count { now: now.secs(), pace });
        } else if let Some(versions) = self.config.retention
            && now.mono >= self.maintenance.retain_at
        {
            // A clock that is years ahead would remove everything.
            if self.is_clock_right(now) {
                let versions = versions.as_secs() as i64;
                self.task(MaintenanceTask::Retain(RetentionRules { versions, now: now.secs() }));
            } else if now.mono >= self.maintenance.probe_at && self.gate.pause().is_none() {
                self.maintenance.probe_at = now.mono + PROBE;
                self.probe_clock();
            }
        }
    }

    fn task(&mut self, task: MaintenanceTask) {
        self.maintenance.under_way = true;
        self.writer.maintain(task);
    }

    pub(super) fn on_maintained(&mut self, maintained: Maintained, now: Now) {
        self.maintenance.under_way = false;
        let maintenance = &mut self.maintenance;
        match maintained {
            Maintained::Measured | Maintained::Retained(RetentionStep::Walked) => {}
            Maintained::Retained(RetentionStep::Passed(pass)) => {
                maintenance.retain_at = now.mono + LOOK;
                tell(&pass);
            }
            Maintained::Retained(RetentionStep::Rests { until }) => {
                let left = u64::try_from(until - now.secs()).unwrap_or_default();
                maintenance.retain_at = now.mono + LOOK.min(Duration::from_secs(left));
            }
            Maintained::Counted(took) => {
                let (least, times) = COUNT;
                let next = (took * times).clamp(least, COUNT_AT_MOST);
                (maintenance.count_at, maintenance.count_anyway_at) =
                    (now.mono + next, now.mono + next.max(COUNT_ANYWAY));
            }
            Maintained::Deferred(MaintenanceTask::Count { .. }) => {
                maintenance.uncounted = true;
                (maintenance.count_at, maintenance.count_anyway_at) =
                    (now.mono + DEFERRED_FOR, now.mono + DEFERRED_FOR);
            }
            Maintained::Deferred(MaintenanceTask::Measure { .. }) => {
                maintenance.measure_at = now.mono + DEFERRED_FOR
            }
            Maintained::Deferred(MaintenanceTask::Retain(_)) => {
                maintenance.retain_at = now.mono + DEFERRED_FOR
            }
        }
    }

    /// Looks anew at what `[retention]` says.
    pub(super) fn hurry_retention(&mut self, now: Now) {
        (self.maintenance.retain_at, self.maintenance.probe_at) = (now.mono, now.mono);
    }
}

fn tell(pass: &Pass) {
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
        humanize::duration(ended_at - began_at)
    );
}
