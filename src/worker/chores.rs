//! What the daemon does beside its work: it notes how large the database is, and removes what
//! `[retention]` no longer keeps.
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
    probe_at: Instant,
}

impl Chores {
    pub(super) fn new(now: Now) -> Chores {
        Chores { under_way: false, measure_at: now.mono, retain_at: now.mono, probe_at: now.mono }
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
