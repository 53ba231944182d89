//! What a response leads to: the circuit breaker gets its share, and the outcome is recorded.

use super::account_check::Found;
use super::circuit::{Blame, spends};
use super::closer::{self, Pending};
use super::pages::{PageRequest, Quota};
use super::token_manager::Renewed;
use super::{Mode, WorkError, Worker};
use crate::amocrm::oauth::Renewal;
use crate::amocrm::{Account, Failure, FetchError, Fetched, Kind, Page, Shape};
use crate::clock::Now;
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::closing::{self, FetchReason};
use crate::policy::{self, NextTry};
use crate::store::account::AccountName;
use crate::store::closures::Answer;
use crate::store::queue::{DueRow, Repair, TOO_MANY, UNCONFIRMED};
use crate::store::record::{Effect, FetchedTalk, Outcome, Record, Recorded};
use crate::telemetry;
use crate::text::shown;
use std::time::Duration;

/// In a `sync` a talk that may not spend its last attempt waits for so long at least: else it would not end.
const LEAST_LAST_WAIT: Duration = Duration::from_secs(60);

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
pub(super) enum Response {
    Fetched { row: DueRow, result: Result<Fetched, FetchError> },
    Closed { pending: Pending, result: Result<u16, Failure> },
    Account(Result<Account, Failure>),
    Page { request: PageRequest, result: Result<Page, Failure> },
    Renewed(Renewal),
}

impl Response {
    /// Which endpoint was asked, and the status of its response, if one came; `None` if no request left.
    fn endpoint(&self) -> Option<(&'static str, Option<u16>)> {
        fn status<T>(result: &Result<T, Failure>) -> Option<u16> {
            result.as_ref().map_or_else(|failure| failure.http_status, |_| Some(200))
        }
        Some(match self {
            Response::Renewed(Renewal::Elsewhere(..) | Renewal::Busy) => return None,
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

/// Talks.
impl Worker {
    fn handle_talk(
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
                    format!("no such talk in the answer: account_id: expected {expected}, found {found}");
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
                tracing::info!(talk_id, outcome = "gone", request_id, "talk {talk_id} is gone: {error}");
                Some(Outcome::Gone)
            }
            Kind::Denied => {
                self.circuit.tries.forget(source);
                tracing::warn!(
                    talk_id,
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
                Some(self.unspent(now.secs() + 1, failure))
            }
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => None,
            _ if self.circuit.pause().is_some() => {
                // Not this talk's fault. Another one may lead the next probe.
                let wait = policy::backoff(row.attempts.max(1), &self.config.retry, &mut self.circuit.rng);
                tracing::debug!(talk_id, request_id, "talk {talk_id} failed in a pause: {error}");
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
                talk_id,
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
                let wait = due_at - now.secs();
                tracing::info!(
                    talk_id,
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
        self.dispatch.due_later(due_at);
        Outcome::Retry { due_at, error: failure.detail, spent: false }
    }
}

/// Close requests.
impl Worker {
    fn handle_close(
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
                    talk_id,
                    outcome = "accepted",
                    "the API took the close request of talk {talk_id}"
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

    /// Writes down that no close request that waits is sent, and why. The talks are decided on anew.
    pub(super) fn drop_pending(&mut self, why: &str, now: Now) {
        for (pending, answer) in self.closer.take_all(why, now) {
            self.record_answer(pending, answer, now);
        }
    }

    /// Has it recorded what became of a close request.
    pub(super) fn record_answer(&mut self, pending: Pending, answer: Answer, now: Now) {
        let Pending { talk_id, requested } = pending;
        self.counters.count_answer(&answer);
        if let Answer::NotSent { due_at, .. } = answer {
            self.dispatch.due_later(due_at);
        }
        let outcome = Outcome::Closing { closure_id: requested.closure_id, answer: Box::new(answer) };
        let (ticket, at) = (requested.ticket, now.secs());
        self.record(Record { talk_id, ticket, at, outcome, close_context: None });
    }
}

/// The account.
impl Worker {
    fn handle_account(
        &mut self,
        permit: Permit,
        result: Result<Account, Failure>,
        is_current: bool,
        now: Now,
    ) -> Result<(), WorkError> {
        self.account.answered(result.is_ok());
        let found = match result {
            Ok(account) => {
                self.answered(permit, Source::Account, Signal::Healthy, None, now);
                match is_current {
                    true => Some(self.account.described(account, &self.config.base_url)?),
                    false => None,
                }
            }
            Err(failure) => {
                let signal = self.signal(&failure, is_current, now);
                self.answered(permit, Source::Account, signal, Some(&failure), now);
                let by_token = self.tokens.token().account_id();
                match is_current {
                    true => self.account.failed(&failure, by_token, &self.config.base_url, now)?,
                    false => None,
                }
            }
        };
        if let Some(found) = found {
            self.note_account(found, now);
        }
        Ok(())
    }

    /// Writes down which account answers, or why that is not known.
    pub(super) fn note_account(&mut self, found: Found, now: Now) {
        match found {
            Found::Confirmed { account, newly } => {
                if newly {
                    self.repair(Repair::Ignored { now: now.secs() });
                }
                self.writer.account(Ok(account), now.secs());
                self.publish_quota(now);
            }
            Found::Unknown(why) => {
                tracing::error!(
                    "the account that answers is not confirmed: {why}; 404, 403 and 204 are ignored"
                );
                self.writer.account(Err(why.into()), now.secs());
            }
        }
    }
}

/// Pages of lists, and tokens.
impl Worker {
    fn handle_page(
        &mut self,
        request: PageRequest,
        permit: Permit,
        result: Result<Page, Failure>,
        is_current: bool,
        now: Now,
    ) {
        let source = Source::List(request.feeder.as_str());
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
        let is_everybody_s = match kind {
            // Others are answered: it is this list that is refused so.
            Some(Kind::Unauthorized) => !is_known_to_fail || self.circuit.pause().is_some(),
            Some(Kind::Unpaid | Kind::RateLimited) => true,
            Some(Kind::Unexpected) => self.circuit.pauses_for(Reason::UnexpectedAnswer),
            Some(Kind::Forbidden) => self.circuit.pauses_for(Reason::Blocked),
            _ => false,
        };
        match is_everybody_s {
            // What everybody gets says nothing of this list.
            true => self.pages.push_again(request),
            false => request.reply(result),
        }
    }

    fn handle_renewal(&mut self, permit: Permit, renewal: Renewal, now: Now) {
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
    pub(super) fn use_token(&mut self, now: Now) {
        self.tokens.begin_epoch();
        self.client = self.client.with_token(self.tokens.token()).into();
        self.circuit.token_changed(now.mono);
        self.account.restart(now);
    }

    /// While nothing can be committed, it would only pile up.
    pub(super) fn write_token_status(&mut self) {
        if self.reporter.write_error().is_none()
            && let Some(status) = self.tokens.changed_status()
        {
            self.writer.token(status);
        }
    }

    /// Notes for feeders how many requests there are to share.
    pub(super) fn publish_quota(&self, now: Now) {
        let may_send = self.circuit.pause().is_none()
            && self.reporter.write_error().is_none()
            && !self.account.is_pending();
        let pace = if may_send { self.circuit.pace(now) } else { 0.0 };
        self.pages.publish(Quota { pace, urgent: self.reporter.urgent_rate(now) });
    }
}

/// What was recorded.
impl Worker {
    pub(super) fn handle_recorded(&mut self, recorded: &Recorded, now: Now) {
        self.unrecorded -= 1;
        self.progress.step();
        let outcome = self.counters.count(recorded.effect);
        let talk_id = recorded.talk_id;
        tracing::debug!(talk_id, outcome, "recorded talk {talk_id}: {outcome}");
        self.note_effect(talk_id, recorded.effect, now);
        if let Some(stepped) = &recorded.stepped {
            self.counters.count_step(&stepped.step);
            match self.closer.on_stepped(talk_id, stepped, now) {
                closer::Next::Nothing => {}
                closer::Next::LookAt(due_at) => self.dispatch.due_later(due_at),
                // The talk stays busy.
                closer::Next::Request => return,
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

    fn note_effect(&mut self, talk_id: i64, effect: Effect, now: Now) {
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
