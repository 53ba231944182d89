//! A renewal of the token.

use crate::amocrm::oauth::Renewal;
use crate::clock::Now;
use crate::gate::{Permit, Reason, Signal, Source};
use crate::worker::Worker;
use crate::worker::token_manager::Renewed;

impl Worker {
    pub(super) fn handle_renewal(&mut self, permit: Permit, renewal: Renewal, now: Now) {
        let for_refusal = self.circuit.pauses_for(Reason::Unauthorized);
        let renewed = self.tokens.renewed(renewal, for_refusal, self.circuit.pause().is_some(), now);
        match renewed {
            Renewed::InUse(signal) => {
                let change = self.circuit.return_permit(permit, signal, now);
                self.reporter.note_pause(&change, None, now);
                self.use_token(now);
            }
            Renewed::Nothing => {
                self.circuit.return_permit(permit, Signal::Inconclusive, now);
            }
            Renewed::Failed { signal, failure } => {
                self.answered(permit, Source::Token, signal, Some(&failure), now);
            }
            Renewed::NeedsLogin { signal, failure } => {
                self.answered(permit, Source::Token, signal, Some(&failure), now);
                self.reporter.explain_pause(self.circuit.gate(), Reason::Unauthorized, &failure.detail);
            }
        }
        self.write_token_status();
    }

    /// Uses the token from now on: the account is confirmed anew with it.
    pub(in crate::worker) fn use_token(&mut self, now: Now) {
        self.tokens.begin_epoch();
        self.client = self.client.with_token(self.tokens.token()).into();
        self.circuit.token_changed(now.mono);
        self.account.restart(now);
    }

    /// While nothing can be committed, it would only pile up.
    pub(in crate::worker) fn write_token_status(&mut self) {
        if self.reporter.write_error().is_none()
            && let Some(status) = self.tokens.changed_status()
        {
            self.writer.token(status);
        }
    }
}
