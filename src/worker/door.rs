//! The door through which feeders ask for pages of lists: their requests pass the gate and count for
//! a lane like all others.

use super::{Ended, Worker};
use crate::amocrm::{Failure, Kind, Page, Query};
use crate::clock::{self, Now};
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::lanes::Lane;
use crate::store::feeds::Feeder;
use crate::store::queue::Due;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A handle for feeders. Clones lead to the same worker.
#[derive(Debug, Clone)]
pub struct Door {
    pub(super) asks: mpsc::UnboundedSender<Ask>,
    pub(super) quota: watch::Receiver<Quota>,
}

/// How many requests there are to share.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quota {
    /// Requests a second that are allowed now; 0 in a pause, while nothing can be recorded, and until it is known whose
    /// API answers.
    pub pace: f64,
    /// Requests a second that what is more urgent than refreshes has lately used.
    pub urgent: f64,
}

/// Somebody waits for a page.
#[derive(Debug)]
pub(super) struct Ask {
    feeder: Feeder,
    pub lane: Lane,
    query: Query,
    reply: oneshot::Sender<Result<Page, Failure>>,
}

impl Ask {
    /// What is asked for, as the metrics name it.
    pub(super) fn endpoint(&self) -> &'static str {
        match self.query {
            Query::Talks { .. } => "list",
            Query::Events { .. } => "events",
        }
    }
}

impl Door {
    /// Asks for a page, and waits for it as long as it takes: a pause is waited for. `None` if the
    /// worker has ended.
    pub async fn page(&self, feeder: Feeder, lane: Lane, query: Query) -> Option<Result<Page, Failure>> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { feeder, lane, query, reply }).ok()?;
        answer.await.ok()
    }

    /// How many requests there are to share, once there are any. `None` if the worker has ended.
    pub async fn quota(&self) -> Option<Quota> {
        self.quota.clone().wait_for(|quota| quota.pace > 0.0).await.ok().map(|quota| *quota)
    }
}

impl Worker {
    /// A door to this worker.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Tells feeders how many requests there are to share.
    pub(super) fn publish_quota(&self, now: Now) {
        let works = self.gate.pause().is_none() && self.trouble.is_none() && !self.identity.is_pending();
        let pace = if works { self.gate.pace(now.mono) } else { 0.0 };
        self.quota.send_replace(Quota { pace, urgent: self.condition.urgent_rate(now) });
    }

    /// Whether somebody waits for a page in this lane that may be asked for: in a pause none, nor while a 401 is to be
    /// confirmed, but where nothing is known that could be asked for instead.
    pub(super) fn is_asked(&self, lane: Lane) -> bool {
        let may = match self.gate.pause() {
            Some(_) => self.known.is_empty(),
            None => !self.gate.is_doubting() || self.known.is_empty() && !self.identity.may_probe(),
        };
        may && self.asked.iter().any(|ask| ask.lane == lane)
    }

    /// Forgets what no feeder waits for any more.
    pub(super) fn forget_unawaited(&mut self) {
        self.asked.retain(|ask| !ask.reply.is_closed());
    }

    /// Sends the first request for a page in this lane.
    pub(super) fn send_ask(&mut self, lane: Lane, permit: Permit, now: Now) {
        let place = self.asked.iter().position(|ask| ask.lane == lane);
        let Some(ask) = place.and_then(|place| self.asked.remove(place)) else { return };
        tracing::debug!("asking for {:?}", ask.query);
        let client = Arc::clone(&self.client);
        let account_id = self.account_id;
        self.request(permit, now, async move {
            let result = client.page(ask.query, account_id).await;
            Ended::Paged { ask, result }
        });
    }

    pub(super) fn settle_page(
        &mut self,
        ask: Ask,
        permit: Permit,
        result: Result<Page, Failure>,
        token_epoch: u64,
    ) {
        let now = clock::now();
        let source = Source::List(ask.feeder.as_str());
        let failure = result.as_ref().err();
        let is_repeat = self.repeated.remove(&source);
        if failure.is_some_and(|failure| failure.repeatable) && !is_repeat {
            // The server closed the connection while the request was on its way: that is nobody's failure.
            self.answered(permit, source, Signal::Inconclusive, None, now);
            self.repeated.insert(source);
            self.asked.push_front(ask);
            return;
        }
        let signal = failure.map_or(Signal::Healthy, |failure| self.signal(failure, token_epoch));
        let is_known_to_fail = self.tries.has_failed_alone(source);
        self.answered(permit, source, signal, failure, now);
        match failure {
            None => self.tries.forget(source),
            Some(_) if self.gate.pause().is_none() => {
                self.tries.failed(source);
            }
            Some(_) => {}
        }
        if matches!(failure.map(|failure| failure.kind), Some(Kind::Forbidden | Kind::Unexpected)) {
            // Whether it is the list's or everybody's shows at another address.
            self.identity.want();
        }
        let is_everybody_s = match failure.map(|failure| failure.kind) {
            // Others are answered: it is this list that is refused so.
            Some(Kind::Unauthorized) => !is_known_to_fail || self.gate.pause().is_some(),
            Some(Kind::Unpaid | Kind::RateLimited) => true,
            Some(Kind::Unexpected) => self.pauses_for(Reason::UnexpectedAnswer),
            Some(Kind::Forbidden) => self.pauses_for(Reason::Blocked),
            _ => false,
        };
        if is_everybody_s {
            // What everybody meets says nothing of this list.
            self.asked.push_front(ask);
        } else {
            // A feeder that no longer waits for it has been stopped.
            let _ = ask.reply.send(result);
        }
    }

    /// In a pause no list is asked for: a stored talk tells better whether the API answers us again.
    pub(super) fn probe_for_lists(&mut self, now: Now) {
        let over = self.gate.pause().is_some_and(|pause| pause.until <= now.mono);
        let nothing_else = self.ready.is_empty() && self.busy.is_empty() && self.confirm_now.is_none();
        if over && nothing_else && !self.asked.is_empty() {
            self.confirm_now = self.known.front().copied().map(Due::without_row);
        }
    }
}
