//! What the daemon does beside its work: it notes how large the database is and how much of the account is
//! mirrored, and removes what `[retention]` no longer keeps.
//!
//! One at a time and one a second at most, so that the writer is there for the rest.

use super::Worker;
use crate::clock::Now;
use crate::store::chores::{Chore, Chored};
use crate::store::retention::{Order, Pass, Step};
use crate::words;
use std::time::{Duration, Instant};

/// How often the size is noted.
const MEASURE: Duration = Duration::from_secs(10 * 60);
/// How much is mirrored is counted this often while it changes, and so much more seldom than it takes.
const COUNT: (Duration, u32) = (Duration::from_secs(3), 1000);
/// But this often in any case.
const COUNT_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// Counted this often if nothing seems to have changed: a list that was read to its end changes no talk.
const COUNT_ANYWAY: Duration = Duration::from_secs(20);
/// A chore that could not be done is tried again after this.
const NOT_NOW: Duration = Duration::from_secs(60);
/// Between two looks whether a pass is due: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// Between two fetches that are to tell whether the clock is right, where no other does.
const PROBE: Duration = Duration::from_secs(10 * 60);

/// When what is next.
#[derive(Debug)]
pub(super) struct Chores {
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

impl Chores {
    pub(super) fn new(now: Now) -> Chores {
        let mono = now.mono;
        Chores {
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
    /// Hands the writer the next chore, if one is due; done each second.
    pub(super) fn see_to_chores(&mut self, now: Now) {
        if self.chores.under_way || self.stopping || self.trouble.is_some() {
            return;
        }
        if now.mono >= self.chores.measure_at {
            self.chores.measure_at = now.mono + MEASURE;
            self.chore(Chore::Measure { now: now.secs() });
        } else if self.chores.counts(now.mono) {
            self.chores.uncounted = false;
            let pace = self.gate.pause().is_none().then(|| self.gate.pace(now.mono));
            self.chore(Chore::Count { now: now.secs(), pace });
        } else if let Some(versions) = self.config.retention
            && now.mono >= self.chores.retain_at
        {
            // A clock that is years ahead would remove everything.
            if self.is_clock_right(now) {
                let versions = versions.as_secs() as i64;
                self.chore(Chore::Retain(Order { versions, now: now.secs() }));
            } else if now.mono >= self.chores.probe_at && self.gate.pause().is_none() {
                self.chores.probe_at = now.mono + PROBE;
                self.probe_clock();
            }
        }
    }

    fn chore(&mut self, chore: Chore) {
        self.chores.under_way = true;
        self.writer.chore(chore);
    }

    pub(super) fn on_chored(&mut self, chored: Chored, now: Now) {
        self.chores.under_way = false;
        let chores = &mut self.chores;
        match chored {
            Chored::Measured | Chored::Retained(Step::Walked) => {}
            Chored::Retained(Step::Passed(pass)) => {
                chores.retain_at = now.mono + LOOK;
                tell(&pass);
            }
            Chored::Retained(Step::Rests { until }) => {
                let left = u64::try_from(until - now.secs()).unwrap_or_default();
                chores.retain_at = now.mono + LOOK.min(Duration::from_secs(left));
            }
            Chored::Counted(took) => {
                let (least, times) = COUNT;
                let next = (took * times).clamp(least, COUNT_AT_MOST);
                (chores.count_at, chores.count_anyway_at) =
                    (now.mono + next, now.mono + next.max(COUNT_ANYWAY));
            }
            Chored::NotNow(Chore::Count { .. }) => {
                chores.uncounted = true;
                (chores.count_at, chores.count_anyway_at) = (now.mono + NOT_NOW, now.mono + NOT_NOW);
            }
            Chored::NotNow(Chore::Measure { .. }) => chores.measure_at = now.mono + NOT_NOW,
            Chored::NotNow(Chore::Retain(_)) => chores.retain_at = now.mono + NOT_NOW,
        }
    }

    /// Looks anew at what `[retention]` says.
    pub(super) fn hurry_retention(&mut self, now: Now) {
        (self.chores.retain_at, self.chores.probe_at) = (now.mono, now.mono);
    }
}

fn tell(pass: &Pass) {
    let Pass { began_at, ended_at, versions, removed } = *pass;
    let kept = words::span(versions);
    if removed == 0 {
        tracing::debug!(removed, "retention: no state of a talk ended over {kept} ago");
        return;
    }
    let states = words::states(removed);
    tracing::info!(
        removed,
        "retention: removed {states} of talks that ended over {kept} ago, within {}",
        words::span(ended_at - began_at)
    );
}
