//! Which request leaves next: a renewal of the token, the check of the account, a close request that waits, a probe, or
//! what the lane has whose turn it is.

use super::Worker;
use super::account_check::CheckRequest;
use super::closer::Pending;
use super::pages::PageRequest;
use super::responses::{NotSent, Response};
use crate::amocrm::Client;
use crate::amocrm::oauth::{Issuer, Pair};
use crate::clock::{self, Now};
use crate::gate::{Permit, Reason, Source, Wait};
use crate::policy::closing;
use crate::policy::lanes::Lane;
use crate::store::queue::DueRow;
use crate::store::writer::Writer;
use crate::talk::TalkId;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Talks that are fetched or wait to be recorded at most: bounds memory, and what a kill wastes.
const MAX_BUSY: usize = 2048;
/// When to wake if nothing else is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// A close request whose talk's exemptions cannot be looked up within this time does not leave, and others may.
const MAX_EXEMPTION_WAIT: Duration = Duration::from_secs(5);

/// A request that may leave, if there is any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// A new token, before anything else.
    Renew,
    /// The account, to confirm it, or to see whether the API works.
    Account,
    /// A fetch once more, whose connection was closed on it.
    Repeat(DueRow),
    Close(Pending),
    /// A stored talk, for the same as the account.
    Confirm(DueRow),
    Fetch(DueRow),
    /// The first page that was asked for in this lane.
    Page(Lane),
    /// Nothing before then.
    Wait(Instant),
    Nothing,
}

/// A request that leaves now.
#[derive(Debug)]
pub(super) enum Request {
    Renew { issuer: Box<Issuer>, pair: Pair },
    Account,
    Fetch(DueRow),
    Close { pending: Pending, within: Duration },
    Page(PageRequest),
}

impl Request {
    /// Whether something is looked up for it before it leaves: [`Request::after_last_look`].
    pub(super) fn has_last_look(&self) -> bool {
        matches!(self, Request::Close { .. })
    }

    /// Looks whether somebody has exempted the talk since its close request was written down. It waited for the pace, so
    /// that may be seconds ago.
    ///
    /// # Errors
    /// What is handled in place of a response, if the request is not to leave.
    pub(super) async fn after_last_look(self, writer: &Writer) -> Result<Request, Response> {
        let Request::Close { pending, .. } = self else { return Ok(self) };
        let looked = writer.exempting(pending.talk_id, clock::unix_now());
        let why = match timeout(MAX_EXEMPTION_WAIT, looked).await {
            Ok(Some(None)) => match closing::time_to_close(pending.requested.sent, clock::now()) {
                Some(within) => return Ok(Request::Close { pending, within }),
                None => NotSent::NoLook,
            },
            Ok(Some(Some(exempting))) => NotSent::Exempt(exempting),
            Ok(None) | Err(_) => NotSent::NoLook,
        };
        Err(Response::NotSent { pending, why })
    }

    /// Sends it, and waits for the response.
    pub(super) async fn perform(self, client: &Client, account_id: Option<i64>) -> Response {
        match self {
            Request::Renew { issuer, pair } => Response::Renewed(issuer.renew(pair).await),
            Request::Account => Response::Account(client.account().await),
            Request::Fetch(row) => {
                Response::Fetched { row, result: client.fetch_talk(row.talk_id, account_id).await }
            }
            Request::Close { pending, within } => {
                let Pending { talk_id, requested } = pending;
                let result = client.close_talk(talk_id, requested.force_close, within).await;
                Response::Closed { pending, result }
            }
            Request::Page(request) => {
                let result = client.page(&request.query, account_id).await;
                Response::Page { request, result }
            }
        }
    }
}

/// What leaves now, and when to look again at the latest.
#[derive(Debug)]
pub(super) enum Leaves {
    Request { request: Request, permit: Permit },
    NothingBefore(Instant),
}

impl Worker {
    /// The next request, if one may leave now.
    pub(super) fn next_to_leave(&mut self, now: Now) -> Leaves {
        let far = now.mono + LONGEST_SLEEP;
        let is_full = self.requests.len() >= self.config.max_in_flight || self.dispatch.busy() >= MAX_BUSY;
        // Asked at each request: whoever sets `stands_by` looks only each second.
        let may_act = !self.stands_by && self.may_send_until.is_none_or(|until| !until.is_over(now));
        let may_send = !self.stopping && may_act && self.reporter.write_error().is_none();
        if !may_send || is_full {
            return Leaves::NothingBefore(self.wake_for_rows(far, now));
        }
        let next = self.next_request(now);
        match next {
            Next::Nothing => {
                // With nothing left to send there is nothing to gather for.
                self.writer.hurry();
                return Leaves::NothingBefore(self.wake_for_rows(far, now));
            }
            Next::Wait(at) => return Leaves::NothingBefore(self.wake_for_rows(at, now)),
            Next::Renew
            | Next::Account
            | Next::Repeat(_)
            | Next::Close(_)
            | Next::Confirm(_)
            | Next::Fetch(_)
            | Next::Page(_) => {}
        }
        let permit = match self.circuit.try_pass(now.mono) {
            Ok(permit) => permit,
            Err(Wait::Until(at)) => return Leaves::NothingBefore(at),
            Err(Wait::ForAnswer) => return Leaves::NothingBefore(far),
        };
        self.counters.requests += 1;
        self.progress.step();
        let has_work = self.has_work();
        let (request, lane) = self.begin(next, now);
        self.dispatch.sent(lane, has_work);
        self.reporter.count_request(lane, now);
        Leaves::Request { request, permit }
    }

    /// When the next row is due, or `at` if that is sooner.
    fn wake_for_rows(&self, at: Instant, now: Now) -> Instant {
        let Some(due_at) = self.dispatch.wakes_at().filter(|_| !self.stopping) else { return at };
        let seconds = (due_at.get() as f64 - now.unix).clamp(0.0, LONGEST_SLEEP.as_secs_f64());
        at.min(now.mono + Duration::from_secs_f64(seconds))
    }

    /// What somebody waits for is committed at once, and so is what bounds memory.
    pub(super) fn hurry_if_needed(&self) {
        if self.stopping || self.dispatch.busy() >= MAX_BUSY / 2 {
            self.writer.hurry();
        }
    }

    /// Which lanes have a request to send.
    fn has_work(&self) -> [bool; Lane::ALL.len()] {
        Lane::ALL.map(|lane| {
            // In a pause close requests wait for its end.
            let may_close = || self.closer.first().is_some() && self.circuit.pause().is_none();
            let close = lane == Lane::Closing && (self.dispatch.confirm().is_some() || may_close());
            close || self.may_page(lane) || self.dispatch.first(lane).is_some()
        })
    }

    /// Whether a feeder waits for a page in this lane that may be asked for: in a pause none, nor while a 401 is to be
    /// confirmed, unless nothing is known that could be asked for instead.
    fn may_page(&self, lane: Lane) -> bool {
        let knows_none = self.dispatch.knows_none();
        let may = match self.circuit.pause() {
            Some(_) => knows_none,
            None => !self.circuit.gate().is_doubting() || knows_none && !self.account.may_probe(),
        };
        may && self.pages.has(lane, self.account.is_confirmed())
    }

    /// Decides which request leaves next.
    pub(super) fn next_request(&mut self, now: Now) -> Next {
        self.pages.forget_unawaited();
        if self.circuit.probe_is_due(now) && !self.pages.is_empty() {
            // In a pause no list is asked for: a stored talk shows better whether the API works again.
            self.dispatch.confirm_if_idle();
        }
        if !self.account.is_confirmed() {
            // Another account may have a talk of that id.
            self.drop_pending("not sent: the account that answers is not confirmed", now);
        }
        if self.tokens.is_due(now) {
            // One that may replace a refused token is the probe of its pause.
            self.circuit.token_changed(now.mono);
            return Next::Renew;
        }
        if self.tokens.is_awaited(now) {
            return Next::Nothing;
        }
        let (next, found) = self.account.next(&mut self.dispatch, now);
        if let Some(found) = found {
            self.note_account(found, now);
        }
        match next {
            None => {}
            Some(CheckRequest::Account) => return Next::Account,
            Some(CheckRequest::Talk(row)) => return Next::Confirm(row),
            Some(CheckRequest::Repeat(row)) => return Next::Repeat(row),
            Some(CheckRequest::Wait(at)) => return Next::Wait(at),
            Some(CheckRequest::Nothing) => return Next::Nothing,
        }
        if let Some(row) = self.dispatch.next_repeat() {
            return Next::Repeat(row);
        }
        // They wait for nobody's share.
        if let Some(pending) = self.next_pending(now) {
            return Next::Close(pending);
        }
        if let Some(next) = self.next_probe(now) {
            return next;
        }
        if self.account.is_wanted(now) {
            return Next::Account;
        }
        if let Some(row) = self.dispatch.confirm() {
            return Next::Confirm(row);
        }
        let has_work = self.has_work();
        let Some(lane) = self.dispatch.turn(has_work) else { return Next::Nothing };
        if self.may_page(lane) {
            return Next::Page(lane);
        }
        self.dispatch.first(lane).map_or(Next::Nothing, Next::Fetch)
    }

    /// The next close request that is still fresh. It is no request to try a paused API with.
    fn next_pending(&mut self, now: Now) -> Option<Pending> {
        for (pending, answer) in self.closer.take_stale(now) {
            self.record_answer(pending, answer, now);
        }
        self.closer.first().filter(|_| self.circuit.pause().is_none())
    }

    /// Which request shows best whether the API works again: not one that failed itself.
    fn next_probe(&self, now: Now) -> Option<Next> {
        let pause = self.circuit.pause().filter(|pause| pause.until <= now.mono);
        let reason = match pause {
            Some(pause) => pause.reason,
            // A 401 is to be confirmed.
            None if self.circuit.gate().is_doubting() => Reason::Unauthorized,
            None => return None,
        };
        let blamed = self.circuit.gate().blamed();
        let tries = &self.circuit.tries;
        let fit = |id: &TalkId| {
            let shows = pause.is_some() || !tries.is_failing(*id);
            shows && !self.dispatch.is_busy(*id) && !blamed.contains(&Source::Talk(*id))
        };
        let stored = || self.dispatch.known().find(fit).map(|id| Next::Confirm(DueRow::without_ticket(id)));
        // It answers for itself alone: a talk shows more.
        let account = || {
            let may = self.account.may_probe() && !self.dispatch.has_rows();
            (may && (pause.is_some() || !tries.are_several())).then_some(Next::Account)
        };
        match reason {
            Reason::Unauthorized | Reason::Outage => stored().or_else(account),
            Reason::UnexpectedAnswer | Reason::Blocked | Reason::ManyGone => stored(),
            Reason::RateLimited | Reason::Unpaid => None,
        }
    }

    /// Notes that it leaves; returns the request, and the lane that it counts for.
    fn begin(&mut self, next: Next, now: Now) -> (Request, Lane) {
        match next {
            Next::Renew => {
                let Some((issuer, pair)) = self.tokens.begin_renewal() else {
                    unreachable!("it is due only with a pair and its issuer")
                };
                (Request::Renew { issuer: Box::new(issuer), pair }, Lane::Closing)
            }
            Next::Account => {
                self.account.begin(now);
                (Request::Account, Lane::Closing)
            }
            Next::Close(pending) => {
                let within = self.closer.begin(pending, now);
                (Request::Close { pending, within }, Lane::Closing)
            }
            Next::Repeat(row) | Next::Fetch(row) => {
                self.dispatch.begin(row);
                (Request::Fetch(row), row.lane)
            }
            Next::Confirm(row) => {
                self.dispatch.begin(row);
                (Request::Fetch(row), Lane::Closing)
            }
            Next::Page(lane) => match self.pages.take(lane, self.account.is_confirmed()) {
                Some(request) => {
                    tracing::debug!("asking for {:?}", request.query);
                    (Request::Page(request), lane)
                }
                None => unreachable!("the lane has a page"),
            },
            Next::Wait(_) | Next::Nothing => unreachable!("nothing leaves then"),
        }
    }
}
