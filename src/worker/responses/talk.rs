//! A talk's fetch: what it showed, whose fault its failure is, and when it is retried.

use crate::amocrm::{Failure, FetchError, Fetched, Kind, Shape};
use crate::clock::{Now, UnixSeconds};
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::closing::FetchReason;
use crate::policy::{self, NextTry};
use crate::store::account::AccountName;
use crate::store::queue::{DueRow, TOO_MANY, UNCONFIRMED};
use crate::store::record::{FetchedTalk, Outcome, Record};
use crate::text::shown;
use crate::worker::circuit::{Blame, spends};
use crate::worker::{Mode, WorkError, Worker};
use std::time::Duration;

/// In a `sync` a talk that may not spend its last attempt waits for so long at least: else it would not end.
const LEAST_LAST_WAIT: Duration = Duration::from_secs(60);

impl Worker {
    pub(super) fn handle_talk(
        &mut self,
        row: DueRow,
        permit: Permit,
        result: Result<Fetched, FetchError>,
        (sent, is_current): (Now, bool),
        now: Now,
    ) -> Result<(), WorkError> {
        let (mut close_context, mut ticket) = (None, row.ticket);
        let talk_id = row.talk_id;
        let source = Source::Talk(talk_id);
        let is_repeat = self.dispatch.was_repeated(source);
        let outcome = match result.and_then(|fetched| self.of_this_account(fetched)) {
            Ok(fetched) => {
                if is_current
                    && let Some(found) =
                        self.account.talk_shown(fetched.talk.account_id, &self.config.base_url)
                {
                    self.note_account(found, now);
                }
                self.answered(permit, source, Signal::Healthy, None, now);
                self.circuit.tries.forget(source);
                if (self.stopping || !is_current) && row.reason != FetchReason::Mirror {
                    // Nothing is begun any more, or not on what an earlier token was shown: its row stays.
                    ticket = None;
                } else {
                    let (context, reading) = self.closer.decide(row, &fetched, (sent, now), &self.config);
                    close_context = context;
                    if let Some(reading) = reading {
                        self.reporter.note_clock(reading);
                    }
                }
                let answered_at = Some(fetched.date.unix().unwrap_or(now.secs()));
                let Fetched { talk, payload, odd, .. } = fetched;
                for field in self.odd.report(talk_id, &odd, now) {
                    self.writer.odd_reported(field, now.secs());
                }
                Some(Outcome::Talk(Box::new(FetchedTalk { talk, payload, odd, answered_at })))
            }
            Err(FetchError { other_account: Some(account_id), failure }) if !self.account.is_confirmed() => {
                self.answered(permit, source, Signal::Inconclusive, Some(&failure), now);
                let base_url = Some(self.config.base_url.clone());
                return Err(self.account.other(AccountName { account_id, name: None, base_url }));
            }
            Err(FetchError { failure, .. }) if failure.repeatable && !is_repeat && !self.stopping => {
                // The server closed the connection while the request was on its way: that is nobody's failure.
                self.answered(permit, source, Signal::Inconclusive, None, now);
                self.dispatch.repeat(row);
                return Ok(());
            }
            Err(FetchError { failure, .. }) => {
                self.account.talk_not_shown(talk_id, &failure, &self.dispatch, now);
                // While stored talks are gone through one by one, each keeps its place.
                if !self.account.is_pending() {
                    self.dispatch.ask_another(talk_id);
                }
                self.handle_talk_failure(row, permit, failure, is_current, now)
            }
        };
        match outcome {
            Some(outcome) => self.record(Record { talk_id, ticket, at: now.secs(), outcome, close_context }),
            None => {
                // The row is as it was, and due.
                self.dispatch.done(talk_id);
                self.dispatch.rows_may_be_due();
            }
        }
        Ok(())
    }

    /// The first talk shows which account this is; every further one must be of it.
    fn of_this_account(&mut self, fetched: Fetched) -> Result<Fetched, FetchError> {
        let found = fetched.talk.account_id;
        match self.account.expects(found) {
            Ok(()) => Ok(fetched),
            // Begun before the account was known.
            Err(expected) => {
                let detail =
                    format!("the answer holds no valid talk: account_id: expected {expected}, found {found}");
                let failure = Failure::unexpected(Shape::WrongAt("account_id".into()), detail);
                Err(FetchError { failure, other_account: Some(found) })
            }
        }
    }

    /// What a talk's failed fetch leads to; `None` if its row stays as it was, and due.
    fn handle_talk_failure(
        &mut self,
        row: DueRow,
        permit: Permit,
        failure: Failure,
        is_current: bool,
        now: Now,
    ) -> Option<Outcome> {
        let talk_id = row.talk_id;
        let source = Source::Talk(talk_id);
        let is_doubtful = matches!(failure.kind, Kind::Gone | Kind::Denied);
        if is_doubtful && !self.account.is_confirmed() {
            // Another account's API would say the same.
            self.answered(permit, source, Signal::Healthy, Some(&failure), now);
            let due_at = policy::not_before(now.unix, self.account.retry_in(now));
            let detail = format!("{}{UNCONFIRMED}", failure.detail);
            return Some(self.unspent(due_at, Failure { detail, ..failure }));
        }
        if failure.kind == Kind::Gone
            && self.circuit.pauses_for(Reason::ManyGone)
            && !self.circuit.is_believed(now)
        {
            self.answered(permit, source, Signal::ManyGone, Some(&failure), now);
            let due_at = policy::not_before(now.unix, policy::DENIED_RETRY);
            let detail = format!("{}{TOO_MANY}", failure.detail);
            return Some(self.unspent(due_at, Failure { detail, ..failure }));
        }
        let signal = self.signal(&failure, is_current, now);
        let is_refused = signal == Signal::Unauthorized;
        self.answered(permit, source, signal, Some(&failure), now);
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        let error = shown(&failure.detail);
        match failure.kind {
            Kind::Gone => {
                self.circuit.tries.forget(source);
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "gone",
                    request_id,
                    "talk {talk_id} is gone: {error}"
                );
                Some(Outcome::Gone)
            }
            Kind::Denied => {
                self.circuit.tries.forget(source);
                tracing::warn!(
                    talk_id = talk_id.get(),
                    outcome = "denied",
                    request_id,
                    "talk {talk_id} is denied, retry in a day: {error}"
                );
                let due_at = policy::not_before(now.unix, policy::DENIED_RETRY);
                self.dispatch.due_later(due_at);
                Some(Outcome::Denied { due_at, error: failure.detail })
            }
            // Others are answered: it is this talk that is refused so.
            Kind::Unauthorized if is_refused && self.circuit.tries.has_failed_alone(source) => {
                Some(self.failed(row, failure, now))
            }
            Kind::Unauthorized if is_refused && self.circuit.pause().is_none() => {
                self.circuit.tries.failed(source);
                // Another request may show sooner whether the token is refused.
                Some(self.unspent(now.secs().later_by(1), failure))
            }
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => None,
            _ if self.circuit.pause().is_some() => {
                // Not this talk's fault. Another one may lead the next probe.
                let wait = policy::backoff(row.attempts.max(1), &self.config.retry, &mut self.circuit.rng);
                tracing::debug!(
                    talk_id = talk_id.get(),
                    request_id,
                    "talk {talk_id} failed in a pause: {error}"
                );
                Some(self.unspent(policy::not_before(now.unix, wait), failure))
            }
            _ => Some(self.failed(row, failure, now)),
        }
    }

    /// A failure of this talk, as far as that can be seen.
    fn failed(&mut self, row: DueRow, failure: Failure, now: Now) -> Outcome {
        let talk_id = row.talk_id;
        let source = Source::Talk(talk_id);
        if row.ticket.is_none() {
            // It was asked for to see whether the API works: there is no row that could fail.
            self.circuit.tries.failed(source);
            return Outcome::Retry { due_at: now.secs(), error: failure.detail, spent: false };
        }
        let is_excused = self.circuit.tries.is_excused(source);
        let blame = self.circuit.tries.failed(source);
        let most = self.config.retry.max_attempts;
        let attempts = row.attempts.saturating_add(1);
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        let error = shown(&failure.detail);
        let next_is_last = attempts.saturating_add(1) >= most;
        if blame == Blame::Unclear && (next_is_last || failure.kind == Kind::NoAnswer) {
            self.account.want();
        }
        if !spends(&failure, blame, attempts, most) {
            let mut wait = policy::backoff(attempts, &self.config.retry, &mut self.circuit.rng);
            if attempts >= most && self.config.mode == Mode::Sync && failure.kind != Kind::NoAnswer {
                wait = wait.max(LEAST_LAST_WAIT);
            }
            tracing::debug!(
                talk_id = talk_id.get(),
                request_id,
                "talk {talk_id} failed, and nothing else was answered: {error}"
            );
            return self.unspent(policy::not_before(now.unix, wait), failure);
        }
        if failure.kind != Kind::Unauthorized && !is_excused {
            self.circuit.tries.spent(talk_id);
        }
        match policy::after_failure(attempts, &self.config.retry, now.unix, &mut self.circuit.rng) {
            NextTry::At(due_at) => {
                let wait = due_at.seconds_since(now.secs());
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "retry",
                    request_id,
                    attempts,
                    "talk {talk_id} failed ({attempts} of {most} attempts), retry in {wait} s: {error}"
                );
                self.dispatch.due_later(due_at);
                Outcome::Retry { due_at, error: failure.detail, spent: true }
            }
            NextTry::Never => {
                self.circuit.tries.given_up(talk_id);
                tracing::warn!(
                    talk_id = talk_id.get(),
                    outcome = "failed",
                    request_id,
                    attempts,
                    "talk {talk_id} failed after {attempts} attempts: {error}"
                );
                Outcome::Failed { error: failure.detail }
            }
        }
    }

    fn unspent(&mut self, due_at: UnixSeconds, failure: Failure) -> Outcome {
        self.dispatch.due_later(due_at);
        Outcome::Retry { due_at, error: failure.detail, spent: false }
    }
}
