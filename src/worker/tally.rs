//! What the worker did, counted.

use crate::store::record::Effect;

/// What was done since the start, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    pub new: u64,
    pub changed: u64,
    pub same: u64,
    pub older: u64,
    pub gone: u64,
    pub denied: u64,
    pub retried: u64,
    pub failed: u64,
}

impl Tally {
    /// Queue rows that were brought to an end.
    pub fn done(&self) -> u64 {
        self.mirrored() + self.gone + self.failed
    }

    /// Talks that are in the mirror as the API has them.
    pub fn mirrored(&self) -> u64 {
        self.new + self.changed + self.same + self.older
    }

    /// Counts a record.
    pub(super) fn count(&mut self, effect: Effect) {
        let count = match effect {
            Effect::New => &mut self.new,
            Effect::Changed => &mut self.changed,
            Effect::Same => &mut self.same,
            Effect::Older => &mut self.older,
            Effect::Gone => &mut self.gone,
            Effect::Denied => &mut self.denied,
            Effect::Retry => &mut self.retried,
            Effect::Failed => &mut self.failed,
        };
        *count += 1;
    }
}
