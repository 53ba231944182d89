//! Sending what may leave, as the gate allows: a close request that waits, else what the lane has
//! whose turn it is.

use super::closing::Pending;
use super::{Ended, Worker};
use crate::clock::Now;
use crate::gate::{Permit, Reason, Source, Wait};
use crate::policy::lanes::Lane;
use crate::store::queue::Due;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that wait to be recorded at most: bounds memory, and what a kill wastes.
const MAX_UNRECORDED: usize = 2048;

/// A request that may leave, if there is any.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// A new token, before anything else.
    Renew,
    /// The account, to find out whose API it is, or whether anybody is answered.
    Account,
    /// A fetch once more, whose connection was closed on it.
    Repeat(Due),
    Close(Pending),
    /// A stored talk, to find out the same.
    Confirm(Due),
    Fetch(Due),
    /// The first page that was asked for in this lane.
    Page(Lane),
    /// Nothing before then.
    Wait(Instant),
    Nothing,
}

impl Worker {
    /// Sends what may leave; returns when to look again at the latest.
    pub(super) fn launch(&mut self, now: Now) -> Instant {
        let far = now.mono + Duration::from_secs(3600);
        let mut look_again = far;
        if self.stopping || self.busy.len() >= MAX_UNRECORDED / 2 {
            self.writer.hurry();
        }
        self.forget_unawaited();
        self.probe_for_lists(now);
        while !self.stopping
            && self.trouble.is_none()
            && self.fetching.len() < self.config.max_in_flight
            && self.busy.len() < MAX_UNRECORDED
        {
            let next = self.next_request(now);
            match next {
                Next::Nothing => {
                    // With nothing left to send there is nothing to gather for.
                    self.writer.hurry();
                    break;
                }
                Next::Wait(at) => {
                    look_again = at;
                    break;
                }
                Next::Renew
                | Next::Account
                | Next::Repeat(_)
                | Next::Close(_)
                | Next::Confirm(_)
                | Next::Fetch(_)
                | Next::Page(_) => {}
            }
            let permit = match self.gate.try_pass(now.mono) {
                Ok(permit) => permit,
                Err(Wait::Until(at)) => return at,
                Err(Wait::ForAnswer) => return far,
            };
            self.counters.requests += 1;
            self.progress.step();
            let has_work = self.has_work();
            let lane = self.send(next, permit, now);
            self.lanes.sent(lane, has_work);
            self.condition.count_request(lane, now);
        }
        match self.next_due_at {
            // What is asked for already will wake us itself.
            Some(at) if self.ready.is_empty() && !self.head_asked && !self.stopping => {
                look_again.min(now.mono + Duration::from_secs_f64((at as f64 - now.unix).clamp(0.0, 3600.0)))
            }
            _ => look_again,
        }
    }

    /// Which lanes have a request to send.
    fn has_work(&self) -> [bool; Lane::ALL.len()] {
        Lane::ALL.map(|lane| {
            let close = lane == Lane::Closing && (self.confirm_now.is_some() || self.may_close());
            close || self.is_asked(lane) || self.ready.first(lane).is_some()
        })
    }

    /// In a pause close requests wait for its end.
    fn may_close(&self) -> bool {
        !self.closing.pending.is_empty() && self.gate.pause().is_none()
    }

    fn next_request(&mut self, now: Now) -> Next {
        if !self.identity.is_confirmed() {
            // Another account may have a talk of that id.
            self.drop_pending("not sent: the account that answers is not confirmed", now);
        }
        if self.may_renew(now) {
            return Next::Renew;
        }
        if self.awaits_token(now) {
            return Next::Nothing;
        }
        if let Some(next) = self.next_identification(now) {
            return next;
        }
        if let Some(due) = self.repeats.front() {
            return Next::Repeat(*due);
        }
        // They wait for nobody's share.
        if let Some(pending) = self.next_pending(now) {
            return Next::Close(pending);
        }
        if let Some(next) = self.next_probe(now) {
            return next;
        }
        if self.identity.is_wanted(now) {
            return Next::Account;
        }
        if let Some(due) = self.confirm_now {
            return Next::Confirm(due);
        }
        let Some(lane) = self.lanes.turn(self.has_work()) else { return Next::Nothing };
        if self.is_asked(lane) {
            return Next::Page(lane);
        }
        self.ready.first(lane).map_or(Next::Nothing, Next::Fetch)
    }

    /// Which request tells best whether everybody is answered again: not one that failed itself.
    fn next_probe(&self, now: Now) -> Option<Next> {
        let pause = self.gate.pause().filter(|pause| pause.until <= now.mono);
        let reason = match pause {
            Some(pause) => pause.reason,
            // A 401 is to be confirmed.
            None if self.gate.is_doubting() => Reason::Unauthorized,
            None => return None,
        };
        let blamed = self.gate.blamed();
        let fit = |id: &&i64| {
            let tells = pause.is_some() || !self.tries.is_failing(**id);
            tells && !self.busy.contains(id) && !blamed.contains(&Source::Talk(**id))
        };
        let stored = || self.known.iter().find(fit).map(|id| Next::Confirm(Due::without_row(*id)));
        // It answers for itself alone: a talk tells more.
        let account = || {
            let may = self.identity.may_probe() && !self.is_any_ready();
            (may && (pause.is_some() || !self.tries.are_several())).then_some(Next::Account)
        };
        match reason {
            Reason::Unauthorized | Reason::Outage => stored().or_else(account),
            Reason::UnexpectedAnswer | Reason::Blocked | Reason::ManyGone => stored(),
            Reason::RateLimited | Reason::Unpaid => None,
        }
    }

    fn is_any_ready(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.ready.first(lane).is_some())
    }

    /// Sends a request; returns the lane it counts for.
    fn send(&mut self, next: Next, permit: Permit, now: Now) -> Lane {
        match next {
            Next::Renew => {
                self.send_renewal(permit, now);
                Lane::Closing
            }
            Next::Account => {
                self.send_account(permit, now);
                Lane::Closing
            }
            Next::Repeat(due) => {
                self.repeats.pop_front();
                self.send_fetch(due, permit, now);
                due.lane
            }
            Next::Close(pending) => {
                self.closing.pending.pop_front();
                self.send_close(pending, permit, now);
                Lane::Closing
            }
            Next::Confirm(due) => {
                self.confirm_now = self.confirm_now.filter(|wanted| wanted.talk_id != due.talk_id);
                self.ready.retain(|ready| ready.talk_id != due.talk_id);
                self.send_fetch(due, permit, now);
                Lane::Closing
            }
            Next::Fetch(due) => {
                self.ready.take_first(due.lane);
                self.send_fetch(due, permit, now);
                due.lane
            }
            Next::Page(lane) => {
                self.send_ask(lane, permit, now);
                lane
            }
            Next::Wait(_) | Next::Nothing => unreachable!("nothing is sent then"),
        }
    }

    fn send_fetch(&mut self, due: Due, permit: Permit, now: Now) {
        self.busy.insert(due.talk_id);
        let client = Arc::clone(&self.client);
        let account_id = self.account_id;
        self.request(permit, now, async move {
            let result = client.fetch_talk(due.talk_id, account_id).await;
            Ended::Fetched { due, result }
        });
    }
}
