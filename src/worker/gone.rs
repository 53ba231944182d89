//! What the records show of stored talks: which of them are there to ask about, and whether too many are said to be
//! gone.

use super::{Mode, Worker};
use crate::clock::Now;
use crate::gate::Reason;
use crate::store::queue::Repair;
use crate::store::record::Effect;

/// So many talks are remembered that were shown lately.
const KNOWN: usize = 8;

impl Worker {
    /// Takes up what was recorded of a talk.
    pub(super) fn note_effect(&mut self, talk_id: i64, effect: Effect, now: Now) {
        if self.config.mode == Mode::Sync {
            self.note_unfetched(talk_id, effect);
        }
        match effect {
            Effect::New | Effect::Changed | Effect::Same | Effect::Older => {
                if effect != Effect::New {
                    self.gone.shown();
                }
                if !self.known.contains(&talk_id) {
                    self.known.truncate(KNOWN - 1);
                    self.known.push_front(talk_id);
                }
            }
            Effect::Gone { was_open } => {
                self.known.retain(|known| *known != talk_id);
                if was_open {
                    self.open_talk_gone(talk_id, now);
                }
            }
            Effect::Denied => self.known.retain(|known| *known != talk_id),
            Effect::Retry | Effect::Failed | Effect::Refused | Effect::Closing => {}
        }
    }

    fn note_unfetched(&mut self, talk_id: i64, effect: Effect) {
        match effect {
            Effect::Denied | Effect::Retry | Effect::Failed | Effect::Refused => {
                self.unfetched.insert(talk_id)
            }
            Effect::New
            | Effect::Changed
            | Effect::Same
            | Effect::Older
            | Effect::Gone { .. }
            | Effect::Closing => self.unfetched.remove(&talk_id),
        };
    }

    /// Talks that were tried and not fetched, if this is a `sync`.
    pub fn unfetched(&self) -> Vec<i64> {
        self.unfetched.iter().copied().collect()
    }

    fn open_talk_gone(&mut self, talk_id: i64, now: Now) {
        let believed = self.gone.is_believed(now.secs());
        let too_many = self.gone.gone(talk_id, self.known.is_empty(), now.secs());
        // Those under way when the pause began are no more believed than those before.
        let too_many =
            too_many.or_else(|| (self.pauses_for(Reason::ManyGone) && !believed).then(|| vec![talk_id]));
        let Some(talk_ids) = too_many else { return };
        if !self.pauses_for(Reason::ManyGone) {
            let detail = format!("{} of the last ones that were asked for", talk_ids.len());
            let before = self.gate.pause();
            self.gate.many_gone(now.mono);
            self.condition.note_pause_for(before, &self.gate, &detail, now);
        }
        self.repair(Repair::NotGone { talk_ids, now: now.secs() });
    }

    /// Somebody asks that the pause end now: one probe leaves at once. Who asks has looked at what is gone.
    pub fn resume_now(&mut self, now: Now) {
        if self.pauses_for(Reason::ManyGone) {
            self.gone.believe(now.secs());
        }
        self.resuming = self.gate.pause().is_some();
        if self.resuming {
            tracing::info!("asked to resume: probing now");
            self.gate.probe_now(now.mono);
        } else {
            self.resumed(now);
        }
    }

    /// What came of it is there to be read before the one who asked is told that it is done.
    pub(super) fn resumed(&mut self, now: Now) {
        self.condition.write_now(&self.writer, &self.gate, now);
        self.writer.resumed();
    }
}
