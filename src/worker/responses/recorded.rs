//! What was recorded: the talk is free again, or its close request is to leave.

use crate::clock::Now;
use crate::store::record::{Effect, Recorded};
use crate::talk::TalkId;
use crate::worker::closer::AfterStep;
use crate::worker::{Mode, Worker};

impl Worker {
    pub(in crate::worker) fn handle_recorded(&mut self, recorded: &Recorded, now: Now) {
        self.unrecorded -= 1;
        self.progress.step();
        let outcome = self.counters.count(recorded.effect);
        let talk_id = recorded.talk_id;
        tracing::debug!(talk_id = talk_id.get(), outcome, "recorded talk {talk_id}: {outcome}");
        self.note_effect(talk_id, recorded.effect, now);
        if let Some(stepped) = &recorded.stepped {
            self.counters.count_step(&stepped.step);
            match self.closer.on_stepped(talk_id, stepped, now) {
                AfterStep::Nothing => {}
                AfterStep::LookAt(due_at) => self.dispatch.due_later(due_at),
                // The talk stays busy.
                AfterStep::Request => return,
            }
        }
        self.dispatch.done(talk_id);
        if recorded.effect == Effect::Refused {
            self.dispatch.refuse(talk_id);
        }
        if recorded.requeued {
            self.dispatch.rows_may_be_due();
        }
    }

    fn note_effect(&mut self, talk_id: TalkId, effect: Effect, now: Now) {
        if self.config.mode == Mode::Sync {
            self.unfetched.note(talk_id, effect);
        }
        match effect {
            Effect::New | Effect::Changed | Effect::Same | Effect::Older => {
                if effect != Effect::New {
                    self.circuit.talk_shown();
                }
                self.dispatch.shown(talk_id);
            }
            Effect::Gone { was_open } => {
                self.dispatch.not_shown(talk_id);
                if was_open
                    && let Some(gone) = self.circuit.open_talk_gone(talk_id, self.dispatch.knows_none(), now)
                {
                    if let Some(detail) = &gone.detail {
                        self.reporter.note_pause_for(&gone.change, detail, now);
                    }
                    self.repair(gone.repair);
                }
            }
            Effect::Denied => self.dispatch.not_shown(talk_id),
            Effect::Retry | Effect::Failed | Effect::Refused | Effect::Closing => {}
        }
    }
}
