//! Pages of lists, which feeders ask for: their requests pass the gate and count for a lane like all others.

use crate::amocrm::{Failure, Page, PageQuery};
use crate::directory::NameList;
use crate::gate::Source;
use crate::policy::lanes::Lane;
use crate::store::feeds::Feeder;
use std::collections::VecDeque;
use tokio::sync::{mpsc, oneshot, watch};

/// What feeders ask the API through. Clones lead to the same worker.
#[derive(Debug, Clone)]
pub(crate) struct ApiHandle {
    requests: mpsc::UnboundedSender<PageRequest>,
    quota: watch::Receiver<Quota>,
}

/// How many requests there are to share.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Quota {
    /// Requests a second that are allowed now; 0 in a pause, while nothing can be recorded, and until it is known whose
    /// API answers.
    pub pace: f64,
    /// Requests a second that what is more urgent than refreshes has lately used.
    pub urgent: f64,
}

/// A page that a feeder waits for.
#[derive(Debug)]
pub(super) struct PageRequest {
    pub feeder: Feeder,
    pub lane: Lane,
    pub query: PageQuery,
    reply: oneshot::Sender<Result<Page, Failure>>,
}

impl PageRequest {
    /// What is asked for, as the metrics name it.
    pub(super) fn endpoint(&self) -> &'static str {
        match self.query {
            PageQuery::Talks { .. } => "list",
            PageQuery::Events { .. } => "events",
            PageQuery::Users { .. } => NameList::Users.as_str(),
            PageQuery::Pipelines => NameList::Pipelines.as_str(),
            PageQuery::Leads { .. } => NameList::Leads.as_str(),
            PageQuery::Contacts { .. } => NameList::Contacts.as_str(),
        }
    }

    /// Whose failure it is: each list of names may be refused by itself.
    pub(super) fn source(&self) -> Source {
        Source::List(match self.feeder {
            Feeder::Directory => self.endpoint(),
            feeder => feeder.as_str(),
        })
    }

    /// What it brings is stored as it comes, or that there is nothing. So it leaves only while the account is confirmed.
    pub(super) fn needs_account(&self) -> bool {
        self.feeder == Feeder::Directory
    }

    /// A feeder that no longer waits for it has been stopped.
    pub(super) fn reply(self, result: Result<Page, Failure>) {
        let _ = self.reply.send(result);
    }
}

impl ApiHandle {
    /// Asks for a page, and waits for it as long as it takes: a pause is waited for. `None` if the
    /// worker has ended.
    pub(crate) async fn page(
        &self,
        feeder: Feeder,
        lane: Lane,
        query: PageQuery,
    ) -> Option<Result<Page, Failure>> {
        let (reply, response) = oneshot::channel();
        self.requests.send(PageRequest { feeder, lane, query, reply }).ok()?;
        response.await.ok()
    }

    /// How many requests there are to share, once there are any. `None` if the worker has ended.
    pub(crate) async fn quota(&self) -> Option<Quota> {
        self.quota.clone().wait_for(|quota| quota.pace > 0.0).await.ok().map(|quota| *quota)
    }
}

/// The worker's side of it.
#[derive(Debug)]
pub(super) struct Pages {
    handle: ApiHandle,
    requests: mpsc::UnboundedReceiver<PageRequest>,
    quota: watch::Sender<Quota>,
    pending: VecDeque<PageRequest>,
}

impl Pages {
    pub(super) fn new() -> Pages {
        let (sender, requests) = mpsc::unbounded_channel();
        let (quota, receiver) = watch::channel(Quota::default());
        let handle = ApiHandle { requests: sender, quota: receiver };
        Pages { handle, requests, quota, pending: VecDeque::new() }
    }

    pub(super) fn handle(&self) -> ApiHandle {
        self.handle.clone()
    }

    /// The next request of a feeder's.
    pub(super) async fn next(&mut self) -> Option<PageRequest> {
        self.requests.recv().await
    }

    pub(super) fn push(&mut self, request: PageRequest) {
        self.pending.push_back(request);
    }

    /// It is asked for again, before the others.
    pub(super) fn push_again(&mut self, request: PageRequest) {
        self.pending.push_front(request);
    }

    /// Forgets what no feeder waits for any more.
    pub(super) fn forget_unawaited(&mut self) {
        self.pending.retain(|request| !request.reply.is_closed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether one waits in a lane that may leave, now that the account `is_confirmed` or not.
    pub(super) fn has(&self, lane: Lane, is_confirmed: bool) -> bool {
        self.place(lane, is_confirmed).is_some()
    }

    /// Takes the first request of a lane that may leave.
    pub(super) fn take(&mut self, lane: Lane, is_confirmed: bool) -> Option<PageRequest> {
        let place = self.place(lane, is_confirmed)?;
        self.pending.remove(place)
    }

    fn place(&self, lane: Lane, is_confirmed: bool) -> Option<usize> {
        let may_leave = |request: &PageRequest| is_confirmed || !request.needs_account();
        self.pending.iter().position(|request| request.lane == lane && may_leave(request))
    }

    /// Notes how many requests there are to share.
    pub(super) fn publish(&self, quota: Quota) {
        self.quota.send_replace(quota);
    }
}
