//! What a response leads to: the circuit breaker gets its share, and the outcome is recorded.

mod account;
mod close;
mod page;
mod recorded;
mod talk;
mod token;

use super::closer::Pending;
use super::pages::PageRequest;
use super::{WorkError, Worker};
use crate::amocrm::oauth::Renewal;
use crate::amocrm::{AccountInfo, Failure, FetchError, Fetched, Kind, Page};
use crate::clock::Now;
use crate::gate::{Permit, Signal, Source};
use crate::policy::exemption::Exempting;
use crate::store::queue::DueRow;
use crate::telemetry;

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Completed {
    pub response: Response,
    pub permit: Permit,
    /// When it left.
    pub sent: Now,
    /// The epoch of the token that it was sent with.
    pub token_epoch: u64,
}

/// What came back, by what was asked for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are fetched talks, the largest")]
pub(super) enum Response {
    Fetched {
        row: DueRow,
        result: Result<Fetched, FetchError>,
    },
    Closed {
        pending: Pending,
        result: Result<u16, Failure>,
    },
    /// None: the close request did not leave.
    NotSent {
        pending: Pending,
        why: NotSent,
    },
    Account(Result<AccountInfo, Failure>),
    Page {
        request: PageRequest,
        result: Result<Page, Failure>,
    },
    Renewed(Renewal),
}

/// Why a close request did not leave after its last look.
#[derive(Debug)]
pub(super) enum NotSent {
    /// Somebody has exempted its talk.
    Exempt(Exempting),
    /// The look took too long.
    NoLook,
}

impl Response {
    /// Which endpoint was asked, and the status of its response, if one came; `None` if no request left.
    fn endpoint(&self) -> Option<(&'static str, Option<u16>)> {
        fn status<T>(result: &Result<T, Failure>) -> Option<u16> {
            result.as_ref().map_or_else(|failure| failure.http_status, |_| Some(200))
        }
        Some(match self {
            Response::Renewed(Renewal::Elsewhere(..) | Renewal::Busy) | Response::NotSent { .. } => {
                return None;
            }
            Response::Renewed(Renewal::Renewed(_) | Renewal::NotStored(_)) => ("oauth", Some(200)),
            Response::Renewed(Renewal::Failed(failure)) => ("oauth", failure.http_status),
            Response::Fetched { result: Ok(_), .. } => ("talk", Some(200)),
            Response::Fetched { result: Err(error), .. } => ("talk", error.failure.http_status),
            Response::Closed { result: Ok(status), .. } => ("close", Some(*status)),
            Response::Closed { result: Err(failure), .. } => ("close", failure.http_status),
            Response::Account(result) => ("account", status(result)),
            Response::Page { request, result } => (request.endpoint(), status(result)),
        })
    }
}

impl Worker {
    /// Acts on one response.
    pub(super) fn handle_response(&mut self, completed: Completed, now: Now) -> Result<(), WorkError> {
        let Completed { response, permit, sent, token_epoch } = completed;
        self.progress.step();
        if let Some((endpoint, status)) = response.endpoint() {
            telemetry::request(endpoint, status, now.mono.saturating_duration_since(sent.mono));
        }
        let is_current = token_epoch == self.tokens.epoch();
        match response {
            Response::Fetched { row, result } => {
                self.handle_talk(row, permit, result, (sent, is_current), now)?;
            }
            Response::Closed { pending, result } => {
                self.handle_close(pending, permit, result, is_current, now);
            }
            Response::NotSent { pending, why } => self.handle_not_sent(pending, permit, &why, now),
            Response::Renewed(renewal) => self.handle_renewal(permit, renewal, now),
            Response::Page { request, result } => {
                self.handle_page(request, permit, result, is_current, now);
            }
            Response::Account(result) => self.handle_account(permit, result, is_current, now)?,
        }
        Ok(())
    }

    /// Takes the permit of a response back, and acts on a pause that begins or ends by it.
    fn answered(
        &mut self,
        permit: Permit,
        source: Source,
        signal: Signal,
        failure: Option<&Failure>,
        now: Now,
    ) {
        if signal == Signal::Healthy {
            self.tokens.works();
        }
        let mut change = self.circuit.answered(permit, source, signal, now);
        self.reporter.note_answer(failure, now);
        for repair in std::mem::take(&mut change.repairs) {
            self.repair(repair);
        }
        if change.has_ended() {
            self.account.restart_unless_confirmed(now);
        }
        self.reporter.note_pause(&change, failure, now);
        if change.has_resumed {
            self.report_resumed(now);
        }
    }

    /// What a failed request shows about the API as a whole. `is_current`: it was sent with the token in use.
    fn signal(&mut self, failure: &Failure, is_current: bool, now: Now) -> Signal {
        match failure.kind {
            Kind::Gone | Kind::Denied | Kind::Closing | Kind::Rejected | Kind::NotServed => Signal::Healthy,
            Kind::Unexpected => {
                Signal::Unexpected(failure.shape.as_ref().map_or(String::new(), |shape| format!("{shape:?}")))
            }
            Kind::Transient => Signal::Transient,
            Kind::NoAnswer => Signal::NoAnswer,
            Kind::Forbidden => Signal::Forbidden,
            Kind::Unauthorized if !is_current => Signal::Inconclusive,
            Kind::Unauthorized => self.tokens.refusal(now),
            Kind::Unpaid => Signal::Unpaid,
            // A 429: the gate pauses everything, see `Gate::answered`.
            Kind::RateLimited => Signal::RateLimited(failure.retry_after),
        }
    }
}
