//! What the worker did, counted.

use crate::policy::closing::Step;
use crate::store::closures::Answer;
use crate::store::record::Effect;
use crate::talk::TalkId;
use crate::telemetry;
use std::collections::BTreeSet;

/// What was done since the start, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub requests: u64,
    pub new: u64,
    pub changed: u64,
    pub same: u64,
    pub older: u64,
    pub gone: u64,
    pub denied: u64,
    pub retried: u64,
    pub failed: u64,
    pub closures: Closures,
}

/// What became of talks that were to be closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Closures {
    pub would_close: u64,
    /// Requests that the API took.
    pub accepted: u64,
    /// Seen closed.
    pub closed: u64,
    pub withdrawn: u64,
    pub refused: u64,
    pub failed: u64,
}

impl Counters {
    /// Queue rows that were brought to an end.
    pub(crate) fn done(&self) -> u64 {
        self.mirrored() + self.gone + self.failed
    }

    /// Talks that are in the mirror as the API has them.
    pub(crate) fn mirrored(&self) -> u64 {
        self.new + self.changed + self.same + self.older
    }

    /// What was done since `before`.
    pub(crate) fn since(&self, before: &Counters) -> Counters {
        let (now, then) = (&self.closures, &before.closures);
        Counters {
            requests: self.requests - before.requests,
            new: self.new - before.new,
            changed: self.changed - before.changed,
            same: self.same - before.same,
            older: self.older - before.older,
            gone: self.gone - before.gone,
            denied: self.denied - before.denied,
            retried: self.retried - before.retried,
            failed: self.failed - before.failed,
            closures: Closures {
                would_close: now.would_close - then.would_close,
                accepted: now.accepted - then.accepted,
                closed: now.closed - then.closed,
                withdrawn: now.withdrawn - then.withdrawn,
                refused: now.refused - then.refused,
                failed: now.failed - then.failed,
            },
        }
    }

    /// Counts a record; returns its outcome, as the metrics name it.
    pub(super) fn count(&mut self, effect: Effect) -> &'static str {
        let (count, outcome) = match effect {
            Effect::New => (&mut self.new, "new"),
            Effect::Changed => (&mut self.changed, "changed"),
            Effect::Same => (&mut self.same, "same"),
            Effect::Older => (&mut self.older, "older"),
            Effect::Gone { .. } => (&mut self.gone, "gone"),
            Effect::Denied => (&mut self.denied, "denied"),
            Effect::Retry => (&mut self.retried, "retry"),
            Effect::Failed | Effect::Refused => (&mut self.failed, "failed"),
            // Counted when it was recorded.
            Effect::Closing => return "closing",
        };
        *count += 1;
        telemetry::recorded(outcome);
        outcome
    }

    pub(super) fn count_step(&mut self, step: &Step) {
        let (count, outcome) = match step {
            Step::WouldClose => (&mut self.closures.would_close, "would_close"),
            Step::Withdraw(_) => (&mut self.closures.withdrawn, "withdrawn"),
            Step::Closed => (&mut self.closures.closed, "closed"),
            Step::Fail(_) => (&mut self.closures.failed, "failed"),
            Step::Leave(_) | Step::Request | Step::Accept | Step::LookAgain(_) => return,
        };
        *count += 1;
        telemetry::closure(outcome);
    }

    pub(super) fn count_answer(&mut self, answer: &Answer) {
        let (count, outcome) = match answer {
            Answer::Accepted { .. } => (&mut self.closures.accepted, "accepted"),
            Answer::Refused { .. } => (&mut self.closures.refused, "refused"),
            Answer::Gone { .. } => (&mut self.closures.failed, "gone"),
            Answer::Failed { .. } => (&mut self.closures.failed, "failed"),
            Answer::Unsettled { .. } | Answer::NotSent { .. } => return,
        };
        *count += 1;
        telemetry::closure(outcome);
    }
}

/// Talks that were tried and not fetched.
#[derive(Debug, Default)]
pub(super) struct Unfetched(BTreeSet<TalkId>);

impl Unfetched {
    pub(super) fn note(&mut self, talk_id: TalkId, effect: Effect) {
        match effect {
            Effect::Denied | Effect::Retry | Effect::Failed | Effect::Refused => self.0.insert(talk_id),
            Effect::New
            | Effect::Changed
            | Effect::Same
            | Effect::Older
            | Effect::Gone { .. }
            | Effect::Closing => self.0.remove(&talk_id),
        };
    }

    /// In ascending order.
    pub(super) fn talks(&self) -> Vec<TalkId> {
        self.0.iter().copied().collect()
    }
}
