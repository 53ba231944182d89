//! The door through which feeders ask for pages of lists: their requests pass the gate and count for
//! a lane like all others.

use super::{Answered, Ended, Worker};
use crate::amocrm::{Failure, Kind, Page, Query};
use crate::clock::{self, Now};
use crate::gate::{Permit, Signal};
use crate::policy::lanes::Lane;
use crate::store::feeds::Feeder;
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
    /// Requests a second that are allowed now; 0 in a pause, and while nothing can be recorded.
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

impl Door {
    /// Asks for a page, and waits for it as long as it takes: a pause is waited for. `None` if the
    /// worker has ended.
    pub async fn page(&self, feeder: Feeder, lane: Lane, query: Query) -> Option<Result<Page, Failure>> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { feeder, lane, query, reply }).ok()?;
        answer.await.ok()
    }

    pub fn quota(&self) -> Quota {
        *self.quota.borrow()
    }
}

impl Worker {
    /// A door to this worker.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Tells feeders how many requests there are to share.
    pub(super) fn publish_quota(&self, now: Now) {
        let works = self.gate.pause().is_none() && self.trouble.is_none();
        let pace = if works { self.gate.pace(now.mono) } else { 0.0 };
        self.quota.send_replace(Quota { pace, urgent: self.condition.urgent_rate(now) });
    }

    /// Whether somebody waits for a page in this lane.
    pub(super) fn is_asked(&self, lane: Lane) -> bool {
        self.asked.iter().any(|ask| ask.lane == lane)
    }

    /// Sends the first request for a page in this lane.
    pub(super) fn send_ask(&mut self, lane: Lane, permit: Permit, now: Now) {
        let place = self.asked.iter().position(|ask| ask.lane == lane);
        let Some(ask) = place.and_then(|place| self.asked.remove(place)) else { return };
        tracing::debug!("asking for {:?}", ask.query);
        let client = Arc::clone(&self.client);
        let account_id = self.account_id;
        let token_epoch = self.token_epoch;
        self.fetching.spawn(async move {
            let result = client.page(ask.query, account_id).await;
            Answered { ended: Ended::Paged { ask, result }, permit, sent: now, token_epoch }
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
        // No talk's number: what fails there is one more that fails.
        let pseudo_id = -1 - ask.feeder as i64;
        let signal = match result.as_ref().map_err(|failure| failure.kind) {
            Ok(_) | Err(Kind::Talk | Kind::Gone | Kind::Denied | Kind::Closing) => Signal::Healthy,
            Err(Kind::Transient) => Signal::Transient(pseudo_id),
            Err(Kind::Forbidden) => Signal::Forbidden(pseudo_id),
            Err(Kind::Unauthorized) if token_epoch != self.token_epoch => Signal::Outdated,
            Err(Kind::Unauthorized) => Signal::Unauthorized,
            Err(Kind::Unpaid) => Signal::Unpaid,
            Err(Kind::RateLimited) => {
                Signal::RateLimited(result.as_ref().err().and_then(|failure| failure.retry_after))
            }
        };
        self.answered(permit, signal, result.as_ref().err(), now);
        let again = match result.as_ref().map_err(|failure| failure.kind) {
            Err(Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited) => true,
            // What everybody meets says nothing of this list.
            Err(Kind::Forbidden | Kind::Transient) => self.gate.pause().is_some(),
            _ => false,
        };
        if again {
            self.asked.push_front(ask);
        } else {
            // A feeder that no longer waits for it has been stopped.
            let _ = ask.reply.send(result);
        }
    }
}
