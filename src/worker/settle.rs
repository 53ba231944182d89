//! Acting on an answer: the gate is told, and the outcome recorded.

use super::{Answered, Ended, WorkError, Worker};
use crate::amocrm::oauth::Renewal;
use crate::amocrm::{Failure, FetchError, Fetched, Kind};
use crate::clock::{self, Now};
use crate::gate::{Permit, Signal};
use crate::policy::closing::Purpose;
use crate::policy::{self, NextTry};
use crate::store::closures::NO_ROW;
use crate::store::queue::Due;
use crate::store::record::{Outcome, Record};
use crate::telemetry;

/// Whether a stored talk has shown which account answers. Another account's API would say of our talks that
/// they don't exist, or are not ours to see: until then, that is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// This talk can show it.
    Unasked(i64),
    /// It is being asked for.
    Asked(i64),
    /// It was asked for, or there is none.
    Done,
}

impl Ended {
    /// Which endpoint was asked, and the status of its answer, where one came; `None` where no request left.
    fn told(&self) -> Option<(&'static str, Option<u16>)> {
        Some(match self {
            Ended::Renewed { renewal: Renewal::Elsewhere(..) | Renewal::Busy, .. } => return None,
            Ended::Renewed { renewal: Renewal::Renewed(_) | Renewal::NotStored(_), .. } => {
                ("oauth", Some(200))
            }
            Ended::Renewed { renewal: Renewal::Failed(failure), .. } => ("oauth", failure.http_status),
            Ended::Fetched { result: Ok(_), .. } => ("talk", Some(200)),
            Ended::Fetched { result: Err(error), .. } => ("talk", error.failure.http_status),
            Ended::Closed { result: Ok(status), .. } => ("close", Some(*status)),
            Ended::Closed { result: Err(failure), .. } => ("close", failure.http_status),
            Ended::Paged { ask, result } => {
                let status = result.as_ref().map_or_else(|failure| failure.http_status, |_| Some(200));
                (ask.endpoint(), status)
            }
        })
    }
}

impl Worker {
    /// Acts on one answer: tells the gate, and has the outcome recorded.
    pub(super) fn settle(&mut self, answered: Answered) -> Result<(), WorkError> {
        let Answered { ended, permit, sent, token_epoch } = answered;
        self.progress.step();
        if let Some((endpoint, status)) = ended.told() {
            telemetry::request(endpoint, status, clock::now().mono.saturating_duration_since(sent.mono));
        }
        match ended {
            Ended::Fetched { due, result } => self.settle_fetch(due, permit, result, (sent, token_epoch)),
            Ended::Closed { pending, result } => {
                self.settle_close(pending, permit, result, token_epoch);
                Ok(())
            }
            Ended::Renewed { renewal, previous } => {
                self.settle_renewal(permit, renewal, previous);
                Ok(())
            }
            Ended::Paged { ask, result } => {
                self.settle_page(ask, permit, result, token_epoch);
                Ok(())
            }
        }
    }

    fn settle_fetch(
        &mut self,
        due: Due,
        permit: Permit,
        result: Result<Fetched, FetchError>,
        (sent, token_epoch): (Now, u64),
    ) -> Result<(), WorkError> {
        let now = clock::now();
        let (mut wish, mut ticket) = (None, due.ticket);
        let talk_id = due.talk_id;
        let result = result.and_then(|fetched| self.check_account(fetched));
        self.note_confirmation(talk_id, &result);
        let outcome = match result {
            Ok(fetched) => {
                self.answered(permit, Signal::Healthy, None, now);
                if self.stopping && due.purpose != Purpose::Mirror {
                    // Nothing is begun any more: its row stays for the next process.
                    ticket = NO_ROW;
                } else {
                    wish = self.wish(due, &fetched, sent, now);
                }
                let Fetched { talk, payload, .. } = fetched;
                Some(Outcome::Talk(Box::new(talk), payload))
            }
            Err(error) if self.is_doubtful(due, &error) => {
                let failure = error.failure;
                self.answered(permit, Signal::Healthy, Some(&failure), now);
                Some(self.confirm_first(failure, now))
            }
            Err(FetchError { other_account: Some(found), failure }) if !self.account_confirmed => {
                self.answered(permit, Signal::Healthy, Some(&failure), now);
                let expected = self.account_id.unwrap_or_default();
                return Err(WorkError::OtherAccount { expected, found });
            }
            Err(FetchError { failure, .. })
                if failure.kind == Kind::Unauthorized && token_epoch != self.token_epoch =>
            {
                self.answered(permit, Signal::Outdated, Some(&failure), now);
                None
            }
            Err(FetchError { failure, .. }) => self.settle_failure(due, permit, failure, now),
        };
        match outcome {
            Some(outcome) => self.record(Record { talk_id, ticket, at: now.secs(), outcome, wish }),
            None => {
                // The row is as it was, and due.
                self.busy.remove(&talk_id);
                self.may_be_due = true;
            }
        }
        Ok(())
    }

    /// See [`Confirmation`].
    fn is_doubtful(&self, due: Due, error: &FetchError) -> bool {
        let asks_another = match self.confirmation {
            Confirmation::Unasked(stored) | Confirmation::Asked(stored) => stored != due.talk_id,
            Confirmation::Done => false,
        };
        let doubtful =
            error.other_account.is_some() || matches!(error.failure.kind, Kind::Gone | Kind::Denied);
        asks_another && !self.account_confirmed && doubtful
    }

    /// Has a stored talk fetched first, and the doubtful one after it.
    fn confirm_first(&mut self, failure: Failure, now: Now) -> Outcome {
        if let Confirmation::Unasked(talk_id) = self.confirmation {
            self.confirmation = Confirmation::Asked(talk_id);
            if !self.busy.contains(&talk_id) {
                self.ready.retain(|due| due.talk_id != talk_id);
                self.confirm_now = Some(Due::without_row(talk_id));
            }
        }
        let due_at = now.secs() + 1;
        self.due_later(due_at);
        Outcome::Retry { due_at, error: failure.detail, spent: false }
    }

    /// What the talk that was to confirm the account said, if this is it.
    fn note_confirmation(&mut self, talk_id: i64, result: &Result<Fetched, FetchError>) {
        if self.confirmation != Confirmation::Asked(talk_id)
            && self.confirmation != Confirmation::Unasked(talk_id)
        {
            return;
        }
        self.confirmation = match result.as_ref().map_err(|error| error.failure.kind) {
            // Refused: what else comes is not believed either.
            Err(_) if result.as_ref().is_err_and(|error| error.other_account.is_some()) => return,
            Ok(_) | Err(Kind::Talk | Kind::Gone | Kind::Denied) => Confirmation::Done,
            // Asked again when there is need.
            Err(_) => Confirmation::Unasked(talk_id),
        };
    }

    fn settle_failure(&mut self, due: Due, permit: Permit, failure: Failure, now: Now) -> Option<Outcome> {
        let talk_id = due.talk_id;
        let signal = self.signal(&failure, talk_id, self.token_epoch);
        self.answered(permit, signal, Some(&failure), now);
        let error = failure.detail;
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        match failure.kind {
            Kind::Gone => {
                tracing::info!(talk_id, outcome = "gone", request_id, "talk {talk_id} is gone: {error}");
                Some(Outcome::Gone)
            }
            Kind::Denied => {
                tracing::warn!(
                    talk_id,
                    outcome = "denied",
                    request_id,
                    "talk {talk_id} is denied, to be tried again in a day: {error}"
                );
                let due_at = policy::not_before(now.unix, policy::DENIED_RETRY);
                self.due_later(due_at);
                Some(Outcome::Denied { due_at, error })
            }
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => None,
            Kind::Transient | Kind::Forbidden if self.gate.pause().is_some() => {
                // Not this talk's fault. Another one may lead the next probe.
                let wait = policy::backoff(due.attempts.max(1), &self.config.retry, &mut self.rng);
                let due_at = policy::not_before(now.unix, wait);
                tracing::debug!(talk_id, request_id, "talk {talk_id} failed in a pause: {error}");
                self.due_later(due_at);
                Some(Outcome::Retry { due_at, error, spent: false })
            }
            Kind::Talk | Kind::Transient | Kind::Forbidden | Kind::Closing => {
                let attempts = due.attempts.saturating_add(1);
                Some(match policy::after_failure(attempts, &self.config.retry, now.unix, &mut self.rng) {
                    NextTry::At(due_at) => {
                        let wait = due_at - now.secs();
                        tracing::info!(
                            talk_id,
                            outcome = "retry",
                            request_id,
                            attempts,
                            "talk {talk_id} failed ({attempts}), to be tried again in {wait} s: {error}"
                        );
                        self.due_later(due_at);
                        Outcome::Retry { due_at, error, spent: true }
                    }
                    NextTry::Never => {
                        tracing::warn!(
                            talk_id,
                            outcome = "failed",
                            request_id,
                            attempts,
                            "talk {talk_id} is set aside after {attempts} attempts: {error}"
                        );
                        Outcome::Failed { error }
                    }
                })
            }
        }
    }

    /// Gives the permit back, and says so when a pause begins or ends.
    pub(super) fn answered(&mut self, permit: Permit, signal: Signal, failure: Option<&Failure>, now: Now) {
        let before = self.gate.pause();
        self.gate.answered(permit, signal, now.mono, &mut self.rng);
        self.condition.note_answer(failure, now);
        if matches!(signal, Signal::Healthy) {
            self.token_works();
        }
        self.condition.note_pause(before, &self.gate, failure, now);
    }

    /// The first talk says which account this is; every further one must be of it.
    fn check_account(&mut self, fetched: Fetched) -> Result<Fetched, FetchError> {
        let found = fetched.talk.account_id;
        let expected = *self.account_id.get_or_insert(found);
        if expected == found {
            self.account_confirmed = true;
            return Ok(fetched);
        }
        // Begun before the account was known.
        let detail = format!("no such talk in the answer: account_id: expected {expected}, found {found}");
        Err(FetchError { failure: Failure::new(Kind::Talk, detail), other_account: Some(found) })
    }
}
