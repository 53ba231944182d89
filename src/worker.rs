//! The worker: takes due ids from the queue, fetches them through the gate and has
//! what came recorded. One loop over [`Worker::step`].
//!
//! It promises that a talk is not fetched twice at once, that a row leaves the queue
//! only with the record of its fetch, and that nothing is fetched while nothing can be
//! recorded. What an answer means is sorted by [`crate::amocrm`], when to ask again is
//! decided by [`crate::policy`], and whether a request may leave by [`crate::gate`].
//!
//! Uses `amocrm`, `clock`, `gate`, `policy`, `report`, `sqlite`, `store`, `talk`, `telemetry`, `text`.

mod ahead;
mod blame;
mod closing;
mod condition;
mod counters;
mod door;
mod gone;
mod identity;
mod launch;
mod maintenance;
mod odd;
mod progress;
mod reconfigure;
mod reminder;
mod settle;
mod setup;
mod stop;
mod tokens;

pub use condition::Mode;
pub use counters::{Closures, Counters};
pub use door::{Door, Quota};
pub use setup::{Account, WorkError, WorkerConfig};

use crate::amocrm::oauth::Renewal;
use crate::amocrm::{self, Client, Failure, FetchError, Fetched, Page};
use crate::clock::{self, Now};
use crate::gate::{Gate, Pause, Permit, Source};
use crate::policy::gone::GoneGuard;
use crate::policy::lanes::Lanes;
use crate::store::account::AccountName;
use crate::store::queue::{Due, Repair};
use crate::store::record::{Effect, Record, Recorded};
use crate::store::status::DaemonStatus;
use crate::store::writer::{Event, Writer};
use crate::text::shown;
use ahead::Ahead;
use blame::Tries;
use closing::{Closing, Pending};
use condition::Condition;
use door::Ask;
use identity::Identity;
use maintenance::Maintenance;
use odd::OddReporter;
use progress::Progress;
use reminder::Reminder;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;
use tokens::Tokens;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// A request that has ended.
#[derive(Debug)]
struct Answered {
    ended: Ended,
    permit: Permit,
    /// When it left.
    sent: Now,
    /// How many tokens there were before the one it was sent with.
    token_epoch: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is what nearly all of them are")]
enum Ended {
    Fetched { due: Due, result: Result<Fetched, FetchError> },
    Closed { pending: Pending, result: Result<u16, Failure> },
    Described { result: Result<amocrm::Account, Failure> },
    Paged { ask: Ask, result: Result<Page, Failure> },
    Renewed { renewal: Renewal, previous: bool },
}

/// See the module's text.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    tokens: Tokens,
    client: Arc<Client>,
    gate: Gate,
    writer: Writer,
    events: UnboundedReceiver<Event>,
    rng: fastrand::Rng,
    account_id: Option<i64>,
    /// The same as the database names it, at the start.
    mirrored: Option<AccountName>,
    /// Talks that were shown lately, the latest first.
    known: VecDeque<i64>,
    identity: Identity,
    /// A stored talk to fetch before anything else.
    confirm_now: Option<Due>,
    /// Fetches to repeat, as their connections were closed on them.
    repeats: VecDeque<Due>,
    /// Whose requests were repeated just now.
    repeated: HashSet<Source>,
    tries: Tries,
    gone: GoneGuard,
    odd: OddReporter,
    /// Talks that can neither be recorded nor fail.
    refused: HashSet<i64>,
    /// Ids to queue once it is known whose API it is.
    to_enqueue: Option<Vec<RangeInclusive<i64>>>,
    enqueueing: bool,
    ready: Ahead,
    lanes: Lanes,
    /// For feeders.
    door: Door,
    asks: UnboundedReceiver<Ask>,
    /// Pages that somebody waits for.
    asked: VecDeque<Ask>,
    quota: watch::Sender<Quota>,
    /// Being fetched, or fetched and not recorded yet.
    busy: HashSet<i64>,
    /// Records that are not committed yet.
    unrecorded: usize,
    fetching: JoinSet<Answered>,
    head_asked: bool,
    /// The queue may hold due rows that are not in `ready`.
    may_be_due: bool,
    /// Somebody changed the queue: what was read ahead may be out of date.
    reread: bool,
    next_due_at: Option<i64>,
    /// What is done each second is done at whole seconds from then on.
    origin: Instant,
    next_poll: Instant,
    token_epoch: u64,
    /// Why nothing can be recorded, and since when.
    trouble: Option<(String, Instant)>,
    stopping: bool,
    /// See [`Worker::unfetched`].
    unfetched: BTreeSet<i64>,
    /// Somebody has asked that the pause end, and the probe is not answered yet.
    resuming: bool,
    closing: Closing,
    maintenance: Maintenance,
    counters: Counters,
    condition: Condition,
    progress: Progress,
    pause_reminder: Reminder,
    trouble_reminder: Reminder,
}

impl Worker {
    /// Does what can be done now, then waits for one thing to happen. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// When the work cannot go on.
    pub async fn step(&mut self) -> Result<(), WorkError> {
        let now = clock::now();
        self.tick(now);
        if !self.identity.is_pending() {
            self.enqueue_now();
            self.queue_to_close(now);
            self.sweep_if_wanted(now);
        }
        self.read_ahead(now);
        let wake = self.launch(now).min(self.next_poll).min(self.tokens.next_check);
        if self.trouble.is_none() {
            self.condition.write(&self.writer, &self.gate, now);
        }
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => self.on_event(event),
                None => Err(WorkError::WriterEnded),
            },
            Some(answered) = self.fetching.join_next() => {
                self.settle(joined(answered))?;
                // What came together is recorded together.
                while let Some(answered) = self.fetching.try_join_next() {
                    self.settle(joined(answered))?;
                }
                Ok(())
            }
            Some(ask) = self.asks.recv() => {
                self.asked.push_back(ask);
                Ok(())
            }
            () = sleep_until(wake.into()) => Ok(()),
        }
    }

    /// Queues ids once it is known whose API it is: not if it is another account's.
    pub fn enqueue(&mut self, ids: Vec<RangeInclusive<i64>>) {
        self.to_enqueue = Some(ids).filter(|ids| !ids.is_empty());
    }

    /// Queues them now.
    fn enqueue_now(&mut self) {
        if let Some(ids) = self.to_enqueue.take() {
            self.enqueueing = true;
            self.writer.enqueue(ids);
        }
    }

    /// Ids that [`Worker::enqueue`] was given are not all in the queue yet.
    pub fn is_enqueueing(&self) -> bool {
        self.to_enqueue.is_some() || self.enqueueing
    }

    /// A handle to the thread that writes the database.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// Talks that were to be closed by hand and were left as they are, and why.
    pub fn left(&self) -> &[(i64, String)] {
        &self.closing.left
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Nothing is due, under way or waiting to be recorded, and it is known whose API answers, as far as that can be.
    pub fn is_idle(&self) -> bool {
        let due = self.may_be_due || self.reread || self.head_asked || !self.ready.is_exhausted();
        let asks = self.confirm_now.is_some() || self.is_enqueueing() || self.is_queueing_to_close();
        !due && !asks && !self.identity.is_pending() && !self.is_sweeping() && self.is_quiet()
    }

    /// Nothing is under way or waiting to be recorded.
    pub fn is_quiet(&self) -> bool {
        self.busy.is_empty() && !self.is_renewing()
    }

    /// When the next row is due; known while [`Worker::is_idle`].
    pub fn next_due_at(&self) -> Option<i64> {
        self.next_due_at
    }

    /// The pause, if everything pauses, and the answer that began it.
    pub fn pause(&self) -> Option<(Pause, &str)> {
        Some((self.gate.pause()?, self.condition.pause_detail()))
    }

    /// How it is now, as `daemon_status` tells.
    pub fn condition(&mut self, now: Now) -> DaemonStatus {
        self.condition.look(&self.gate, now)
    }

    /// Requests in each of the last minutes, of three hours at most, the running one last.
    pub fn requests_by_minute(&self, now: Now) -> Vec<u32> {
        self.condition.requests_by_minute(now)
    }

    /// Since when the seconds are counted at which it does what it does each second.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Why nothing can be recorded, and since when.
    pub fn trouble(&self) -> Option<(&str, Instant)> {
        let (why, since) = self.trouble.as_ref()?;
        Some((why, *since))
    }

    /// What is done now and then: looking for others' rows and for a new token.
    fn tick(&mut self, now: Now) {
        if now.mono >= self.next_poll {
            self.next_poll = clock::next_of(self.origin, self.config.poll_interval, now.mono);
            // While nothing can be committed, questions would only pile up.
            if self.trouble.is_none() {
                self.writer.poll();
            }
        }
        if self.check_token(now) {
            self.publish_quota(now);
            self.note_progress(now);
            self.remind(now);
            self.maintain(now);
        }
    }

    fn on_event(&mut self, event: Event) -> Result<(), WorkError> {
        match event {
            Event::Recorded(recorded, _) => {
                if !recorded.is_empty() {
                    self.maintenance.changed();
                }
                recorded.iter().for_each(|recorded| self.on_recorded(recorded));
            }
            Event::Head(head) => self.on_head(head),
            Event::Swept(swept) => self.on_swept(&swept),
            Event::Maintained(maintained) => self.on_maintained(maintained, clock::now()),
            Event::ForeignChange => {
                self.maintenance.changed();
                self.reread = true;
            }
            Event::Resume => self.resume_now(clock::now()),
            Event::Enqueued => {
                self.enqueueing = false;
                self.maintenance.changed();
                self.reread = true;
            }
            Event::QueuedToClose(queued) => self.on_queued_to_close(queued),
            Event::Fed { due_at } => {
                self.maintenance.changed();
                // What was read ahead may have a new ticket.
                self.reread = true;
                self.due_later(due_at);
            }
            Event::Trouble(why) => {
                tracing::error!(
                    "cannot write the database: {}; no talk is fetched until it can be written",
                    shown(&why)
                );
                self.trouble = Some((why, clock::mono()));
            }
            Event::Recovered => {
                if let Some((_, since)) = self.trouble.take() {
                    tracing::info!("the database can be written again, after {:.0?}", clock::since(since));
                }
            }
            Event::Fatal(error) => return Err(WorkError::Database(error)),
            Event::Stopped => {}
        }
        Ok(())
    }

    /// Has rows of the queue put right; what was read of it before is out of date.
    fn repair(&mut self, repair: Repair) {
        self.writer.repair(repair);
        self.may_be_due = true;
    }

    /// Sends one request; `ended` says what came of it.
    fn request(&mut self, permit: Permit, sent: Now, ended: impl Future<Output = Ended> + Send + 'static) {
        let token_epoch = self.token_epoch;
        let request = amocrm::noting_departure(permit.departure(), ended);
        self.fetching.spawn(async move { Answered { ended: request.await, permit, sent, token_epoch } });
    }

    fn record(&mut self, record: Record) {
        self.unrecorded += 1;
        self.writer.record(record);
    }

    fn on_recorded(&mut self, recorded: &Recorded) {
        self.unrecorded -= 1;
        self.progress.step();
        let outcome = self.counters.count(recorded.effect);
        let talk_id = recorded.talk_id;
        tracing::debug!(talk_id, outcome, "recorded talk {talk_id}: {outcome}");
        self.note_effect(recorded.talk_id, recorded.effect, clock::now());
        if self.on_stepped(recorded.talk_id, recorded.stepped.as_deref()) {
            return;
        }
        self.busy.remove(&recorded.talk_id);
        if recorded.effect == Effect::Refused {
            self.refused.insert(recorded.talk_id);
        }
        self.may_be_due |= recorded.requeued;
    }

    fn due_later(&mut self, due_at: i64) {
        self.next_due_at = earlier(self.next_due_at, Some(due_at));
    }
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A request's task is never aborted while its answer is awaited; if it panicked, so do we.
fn joined(answered: Result<Answered, tokio::task::JoinError>) -> Answered {
    answered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
