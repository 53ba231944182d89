//! Acting on an answer: the gate is told, and the outcome recorded.

use super::blame::{Blame, spends};
use super::{Answered, Ended, Mode, WorkError, Worker};
use crate::amocrm::oauth::Renewal;
use crate::amocrm::{Failure, FetchError, Fetched, Kind, Shape};
use crate::clock::{self, Now};
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::closing::Purpose;
use crate::policy::{self, NextTry};
use crate::store::account::AccountName;
use crate::store::closures::NO_ROW;
use crate::store::queue::{Due, Repair, TOO_MANY, UNCONFIRMED};
use crate::store::record::{Arrived, Outcome, Record};
use crate::telemetry;
use crate::text::shown;
use std::time::Duration;

/// In a `sync` a talk that may not spend its last attempt waits for so long at least: else it would not end.
const LAST_WAIT: Duration = Duration::from_secs(60);

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
            Ended::Described { result } => {
                ("account", result.as_ref().map_or_else(|failure| failure.http_status, |_| Some(200)))
            }
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
            Ended::Fetched { due, result } => self.settle_fetch(due, permit, result, (sent, token_epoch))?,
            Ended::Closed { pending, result } => self.settle_close(pending, permit, result, token_epoch),
            Ended::Renewed { renewal, previous } => self.settle_renewal(permit, renewal, previous),
            Ended::Paged { ask, result } => self.settle_page(ask, permit, result, token_epoch),
            Ended::Described { result } => self.settle_account(permit, result, token_epoch)?,
        }
        Ok(())
    }

    fn settle_fetch(
        &mut self,
        due: Due,
        permit: Permit,
        result: Result<Fetched, FetchError>,
        (sent, token_epoch): (Now, u64),
    ) -> Result<(), WorkError> {
        let now = clock::now();
        let (mut close_context, mut ticket) = (None, due.ticket);
        let talk_id = due.talk_id;
        let source = Source::Talk(talk_id);
        let is_repeat = self.repeated.remove(&source);
        let outcome = match result.and_then(|fetched| self.check_account(fetched)) {
            Ok(fetched) => {
                if token_epoch == self.token_epoch {
                    self.talk_confirms(fetched.talk.account_id, now);
                }
                self.answered(permit, source, Signal::Healthy, None, now);
                self.tries.forget(source);
                let is_past = self.stopping || token_epoch != self.token_epoch;
                if is_past && due.purpose != Purpose::Mirror {
                    // Nothing is begun any more, or not on what an earlier token was shown: its row stays.
                    ticket = NO_ROW;
                } else {
                    close_context = self.close_context(due, &fetched, sent, now);
                }
                let answered_at = Some(fetched.date.unix().unwrap_or(now.secs()));
                let Fetched { talk, payload, odd, .. } = fetched;
                self.note_odd(talk_id, &odd, now);
                Some(Outcome::Talk(Box::new(Arrived { talk, payload, odd, answered_at })))
            }
            Err(FetchError { other_account: Some(account_id), failure }) if !self.identity.is_confirmed() => {
                self.answered(permit, source, Signal::Inconclusive, Some(&failure), now);
                let base_url = Some(self.config.base_url.clone());
                return Err(self.other_account(AccountName { account_id, name: None, base_url }));
            }
            Err(FetchError { failure, .. }) if failure.repeatable && !is_repeat && !self.stopping => {
                // The server closed the connection while the request was on its way: that is nobody's failure.
                self.answered(permit, source, Signal::Inconclusive, None, now);
                self.repeated.insert(source);
                self.repeats.push_back(due);
                return Ok(());
            }
            Err(FetchError { failure, .. }) => {
                self.talk_tells_nothing(talk_id, &failure, now);
                self.ask_another(talk_id);
                self.settle_failure(due, permit, failure, token_epoch, now)
            }
        };
        match outcome {
            Some(outcome) => self.record(Record { talk_id, ticket, at: now.secs(), outcome, close_context }),
            None => {
                // The row is as it was, and due.
                self.busy.remove(&talk_id);
                self.may_be_due = true;
            }
        }
        Ok(())
    }

    fn settle_failure(
        &mut self,
        due: Due,
        permit: Permit,
        failure: Failure,
        token_epoch: u64,
        now: Now,
    ) -> Option<Outcome> {
        let talk_id = due.talk_id;
        let source = Source::Talk(talk_id);
        let is_doubtful = matches!(failure.kind, Kind::Gone | Kind::Denied);
        if is_doubtful && !self.identity.is_confirmed() {
            // Another account's API would say the same.
            self.answered(permit, source, Signal::Healthy, Some(&failure), now);
            let due_at = policy::not_before(now.unix, self.identity.look_again(now));
            let detail = format!("{}{UNCONFIRMED}", failure.detail);
            return Some(self.unspent(due_at, Failure { detail, ..failure }));
        }
        if failure.kind == Kind::Gone
            && self.pauses_for(Reason::ManyGone)
            && !self.gone.is_believed(now.secs())
        {
            self.answered(permit, source, Signal::ManyGone, Some(&failure), now);
            let due_at = policy::not_before(now.unix, policy::DENIED_RETRY);
            let detail = format!("{}{TOO_MANY}", failure.detail);
            return Some(self.unspent(due_at, Failure { detail, ..failure }));
        }
        let signal = self.signal(&failure, token_epoch);
        let is_refused = signal == Signal::Unauthorized;
        self.answered(permit, source, signal, Some(&failure), now);
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        let error = shown(&failure.detail);
        match failure.kind {
            Kind::Gone => {
                self.tries.forget(source);
                tracing::info!(talk_id, outcome = "gone", request_id, "talk {talk_id} is gone: {error}");
                Some(Outcome::Gone)
            }
            Kind::Denied => {
                self.tries.forget(source);
                tracing::warn!(
                    talk_id,
                    outcome = "denied",
                    request_id,
                    "talk {talk_id} is denied, retry in a day: {error}"
                );
                let due_at = policy::not_before(now.unix, policy::DENIED_RETRY);
                self.due_later(due_at);
                Some(Outcome::Denied { due_at, error: failure.detail })
            }
            // Others are answered: it is this talk that is refused so.
            Kind::Unauthorized if is_refused && self.tries.has_failed_alone(source) => {
                Some(self.failed(due, failure, now))
            }
            Kind::Unauthorized if is_refused && self.gate.pause().is_none() => {
                self.tries.failed(source);
                // Another request may tell sooner whether the token is refused.
                Some(self.unspent(now.secs() + 1, failure))
            }
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => None,
            _ if self.gate.pause().is_some() => {
                // Not this talk's fault. Another one may lead the next probe.
                let wait = policy::backoff(due.attempts.max(1), &self.config.retry, &mut self.rng);
                tracing::debug!(talk_id, request_id, "talk {talk_id} failed in a pause: {error}");
                Some(self.unspent(policy::not_before(now.unix, wait), failure))
            }
            _ => Some(self.failed(due, failure, now)),
        }
    }

    /// A failure of this talk, as far as that can be told.
    fn failed(&mut self, due: Due, failure: Failure, now: Now) -> Outcome {
        let talk_id = due.talk_id;
        if due.ticket == NO_ROW {
            // It was asked for to see whether anybody is answered: there is no row that could fail.
            self.tries.failed(Source::Talk(talk_id));
            return Outcome::Retry { due_at: now.secs(), error: failure.detail, spent: false };
        }
        let source = Source::Talk(talk_id);
        let is_excused = self.tries.is_excused(source);
        let blame = self.tries.failed(source);
        let most = self.config.retry.max_attempts;
        let attempts = due.attempts.saturating_add(1);
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        let error = shown(&failure.detail);
        let next_is_last = attempts.saturating_add(1) >= most;
        if blame == Blame::Unclear && (next_is_last || failure.kind == Kind::NoAnswer) {
            // Is anybody answered?
            self.identity.want();
        }
        if !spends(&failure, blame, attempts, most) {
            let mut wait = policy::backoff(attempts, &self.config.retry, &mut self.rng);
            if attempts >= most && self.config.mode == Mode::Sync && failure.kind != Kind::NoAnswer {
                wait = wait.max(LAST_WAIT);
            }
            tracing::debug!(
                talk_id,
                request_id,
                "talk {talk_id} failed, and nothing else was answered: {error}"
            );
            return self.unspent(policy::not_before(now.unix, wait), failure);
        }
        if failure.kind != Kind::Unauthorized && !is_excused {
            self.tries.spent(talk_id);
        }
        match policy::after_failure(attempts, &self.config.retry, now.unix, &mut self.rng) {
            NextTry::At(due_at) => {
                let wait = due_at - now.secs();
                tracing::info!(
                    talk_id,
                    outcome = "retry",
                    request_id,
                    attempts,
                    "talk {talk_id} failed ({attempts} of {most} attempts), retry in {wait} s: {error}"
                );
                self.due_later(due_at);
                Outcome::Retry { due_at, error: failure.detail, spent: true }
            }
            NextTry::Never => {
                self.tries.given_up(talk_id);
                tracing::warn!(
                    talk_id,
                    outcome = "failed",
                    request_id,
                    attempts,
                    "talk {talk_id} failed after {attempts} attempts: {error}"
                );
                Outcome::Failed { error: failure.detail }
            }
        }
    }

    fn unspent(&mut self, due_at: i64, failure: Failure) -> Outcome {
        self.due_later(due_at);
        Outcome::Retry { due_at, error: failure.detail, spent: false }
    }

    pub(super) fn pauses_for(&self, reason: Reason) -> bool {
        self.gate.pause().is_some_and(|pause| pause.reason == reason)
    }

    /// Gives the permit back, and acts on a pause that begins or ends by it.
    pub(super) fn answered(
        &mut self,
        permit: Permit,
        source: Source,
        signal: Signal,
        failure: Option<&Failure>,
        now: Now,
    ) {
        let before = self.gate.pause();
        let is_healthy = signal == Signal::Healthy;
        let is_probe = permit.is_probe();
        let signal = match before {
            None => self.for_all(source, signal),
            Some(_) => signal,
        };
        self.gate.answered(permit, source, signal, now.mono, &mut self.rng);
        self.condition.note_answer(failure, now);
        if before.is_some() && self.gate.pause().is_none() {
            self.tries.pause_ended(source, self.gate.take_blamed());
        }
        if is_healthy {
            self.token_works();
            self.tries.answered(source);
        }
        match (before, self.gate.pause()) {
            (None, Some(_)) => self.refund(now),
            (Some(pause), None) => {
                let since = now.unix_at(pause.since);
                let except = self.tries.excused_talks();
                self.repair(Repair::PauseEnded { since, except, now: now.secs() });
                if pause.reason == Reason::ManyGone {
                    self.repair(Repair::Ignored { now: now.secs() });
                }
                self.identify_soon(now);
            }
            _ => {}
        }
        self.condition.note_pause(before, &self.gate, failure, now);
        if is_probe && std::mem::take(&mut self.resuming) {
            self.resumed(now);
        }
    }

    /// What an answer shows of the others: nothing if it is the talk's or the list's own.
    fn for_all(&self, source: Source, signal: Signal) -> Signal {
        let says_nothing = match signal {
            Signal::Healthy => self.tries.is_for_itself(source),
            Signal::Transient | Signal::NoAnswer | Signal::Unexpected(_) | Signal::Forbidden => {
                self.tries.is_excused(source)
            }
            _ => false,
        };
        if says_nothing { Signal::Inconclusive } else { signal }
    }

    /// What failed just before a pause failed for everybody's reason.
    fn refund(&mut self, now: Now) {
        let attempts = self.tries.take_spent();
        if !attempts.is_empty() {
            self.repair(Repair::Refund { attempts, now: now.secs() });
        }
    }

    /// The first talk says which account this is; every further one must be of it.
    fn check_account(&mut self, fetched: Fetched) -> Result<Fetched, FetchError> {
        let found = fetched.talk.account_id;
        let expected = *self.account_id.get_or_insert(found);
        if expected == found {
            return Ok(fetched);
        }
        // Begun before the account was known.
        let detail = format!("no such talk in the answer: account_id: expected {expected}, found {found}");
        let failure = Failure::unexpected(Shape::WrongAt("account_id".into()), detail);
        Err(FetchError { failure, other_account: Some(found) })
    }

    /// What a failed request shows about the API as a whole.
    pub(super) fn signal(&mut self, failure: &Failure, token_epoch: u64) -> Signal {
        match failure.kind {
            Kind::Gone | Kind::Denied | Kind::Closing | Kind::Rejected | Kind::NotServed => Signal::Healthy,
            Kind::Unexpected => {
                Signal::Unexpected(failure.shape.as_ref().map_or(String::new(), |shape| format!("{shape:?}")))
            }
            Kind::Transient => Signal::Transient,
            Kind::NoAnswer => Signal::NoAnswer,
            Kind::Forbidden => Signal::Forbidden,
            Kind::Unauthorized if token_epoch != self.token_epoch => Signal::Inconclusive,
            Kind::Unauthorized => self.refusal(),
            Kind::Unpaid => Signal::Unpaid,
            Kind::RateLimited => Signal::RateLimited(failure.retry_after),
        }
    }
}
