//! A page of a list, which a feeder waits for.

use crate::amocrm::{Failure, Kind, Page};
use crate::clock::Now;
use crate::gate::{Permit, Reason, Signal};
use crate::worker::Worker;
use crate::worker::pages::{PageRequest, Quota};

impl Worker {
    pub(super) fn handle_page(
        &mut self,
        request: PageRequest,
        permit: Permit,
        result: Result<Page, Failure>,
        is_current: bool,
        now: Now,
    ) {
        let source = request.source();
        let failure = result.as_ref().err();
        let is_repeat = self.dispatch.was_repeated(source);
        if failure.is_some_and(|failure| failure.repeatable) && !is_repeat {
            // The server closed the connection while the request was on its way: that is nobody's failure.
            self.answered(permit, source, Signal::Inconclusive, None, now);
            self.dispatch.note_repeat(source);
            return self.pages.push_again(request);
        }
        let signal = failure.map_or(Signal::Healthy, |failure| self.signal(failure, is_current, now));
        let is_known_to_fail = self.circuit.tries.has_failed_alone(source);
        self.answered(permit, source, signal, failure, now);
        match failure {
            None => self.circuit.tries.forget(source),
            Some(_) if self.circuit.pause().is_none() => {
                self.circuit.tries.failed(source);
            }
            Some(_) => {}
        }
        let kind = failure.map(|failure| failure.kind);
        if matches!(kind, Some(Kind::Forbidden | Kind::Unexpected)) {
            // Whether it is the list's or everybody's shows at another address.
            self.account.want();
        }
        if request.needs_account() && !(is_current && self.account.is_confirmed()) {
            // It may be another account's.
            return self.pages.push_again(request);
        }
        let is_everybody_s = match kind {
            // Others are answered: it is this list that is refused so.
            Some(Kind::Unauthorized) => !is_known_to_fail || self.circuit.pause().is_some(),
            Some(Kind::Unpaid | Kind::RateLimited) => true,
            Some(Kind::Unexpected) => self.circuit.pauses_for(Reason::UnexpectedAnswer),
            Some(Kind::Forbidden) => self.circuit.pauses_for(Reason::Blocked),
            _ => false,
        };
        match is_everybody_s {
            // What everybody gets shows nothing of this list.
            true => self.pages.push_again(request),
            false => request.reply(result),
        }
    }

    /// Notes for feeders how many requests there are to share.
    pub(in crate::worker) fn publish_quota(&self, now: Now) {
        let may_send = self.circuit.pause().is_none()
            && self.reporter.write_error().is_none()
            && !self.account.is_pending();
        let pace = if may_send { self.circuit.pace(now) } else { 0.0 };
        self.pages.publish(Quota { pace, urgent: self.reporter.urgent_rate(now) });
    }
}
