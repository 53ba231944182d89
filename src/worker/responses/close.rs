//! A close request's response, and those that never leave.

use crate::amocrm::Failure;
use crate::clock::Now;
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::closing;
use crate::store::closures::Answer;
use crate::store::record::{Outcome, Record};
use crate::text::shown;
use crate::worker::Worker;
use crate::worker::closer::Pending;
use crate::worker::responses::NotSent;

impl Worker {
    pub(super) fn handle_close(
        &mut self,
        pending: Pending,
        permit: Permit,
        result: Result<u16, Failure>,
        is_current: bool,
        now: Now,
    ) {
        let talk_id = pending.talk_id;
        let source = Source::Talk(talk_id);
        let answer = match result {
            Ok(http_status) => {
                self.answered(permit, source, Signal::Healthy, None, now);
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "accepted",
                    "the API accepted the close request of talk {talk_id}"
                );
                self.dispatch.due_later(closing::first_look(now.secs()));
                Answer::Accepted { http_status }
            }
            Err(failure) => {
                let signal = self.signal(&failure, is_current, now);
                self.answered(permit, source, signal, Some(&failure), now);
                let believed = (self.account.is_confirmed(), self.circuit.pauses_for(Reason::ManyGone));
                let rng = &mut self.circuit.rng;
                let answer = self.closer.failed(pending, &failure, believed, &self.config, rng, now);
                if let Answer::Unsettled { due_at, .. } = answer {
                    self.dispatch.due_later(due_at);
                }
                answer
            }
        };
        self.record_answer(pending, answer, now);
    }

    /// The talk is fetched again, and its closing decided on anew.
    pub(super) fn handle_not_sent(&mut self, pending: Pending, permit: Permit, why: &NotSent, now: Now) {
        self.circuit.return_permit(permit, Signal::Inconclusive, now);
        let talk_id = pending.talk_id;
        let (error, due_at) = match why {
            NotSent::Exempt(exempting) => (format!("not sent: {exempting}"), now.secs()),
            NotSent::NoLook => {
                let error = "not sent: the database did not show in time whether the talk is exempt";
                (error.to_owned(), closing::not_sent_look(now.secs()))
            }
        };
        tracing::info!(talk_id = talk_id.get(), "close request of talk {talk_id} {}", shown(&error));
        self.record_answer(pending, Answer::NotSent { error, due_at }, now);
    }

    /// Writes down that no close request that waits is sent, and why. The talks are decided on anew.
    pub(in crate::worker) fn drop_pending(&mut self, why: &str, now: Now) {
        for (pending, answer) in self.closer.take_all(why, now) {
            self.record_answer(pending, answer, now);
        }
    }

    /// Has it recorded what became of a close request.
    pub(in crate::worker) fn record_answer(&mut self, pending: Pending, answer: Answer, now: Now) {
        let Pending { talk_id, requested } = pending;
        self.counters.count_answer(&answer);
        if let Answer::NotSent { due_at, .. } = answer {
            self.dispatch.due_later(due_at);
        }
        let outcome = Outcome::Closing(Box::new(answer));
        let (ticket, at) = (requested.ticket, now.secs());
        self.record(Record { talk_id, ticket, at, outcome, close_context: None });
    }
}
