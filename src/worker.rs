//! The worker: takes due ids from the queue, fetches them through the gate and has what came recorded. A thin loop,
//! [`Worker::step`], over owners with state of their own:
//!
//! | owner | its question |
//! | --- | --- |
//! | `dispatch` | Which talks are due, and which of them are busy? |
//! | `circuit` | May a request leave? What does a response show of the API as a whole? |
//! | `account_check` | Is it the mirror's account that answers? |
//! | `token_manager` | Which token is in use, and is it to be renewed? |
//! | `closer` | Which close requests may leave? What became of them? |
//! | `pages` | Which pages do feeders wait for? |
//! | `status_reporter` | What is shown of all that? |
//! | `maintenance` | What does the writer do besides? |
//!
//! `next_request` decides with them which request leaves, and `responses` what a response leads to. Both take the time as
//! an argument and wait for nothing, so a test drives them on given times.
//!
//! It promises that a talk is not fetched twice at once, that a row leaves the queue
//! only with the record of its fetch, and that nothing is fetched while nothing can be
//! recorded. Errors are sorted by [`crate::amocrm`], when to retry is
//! decided by [`crate::policy`], and whether a request may leave by [`crate::gate`].
//!
//! Uses `amocrm`, `clock`, `directory`, `gate`, `number`, `policy`, `report`, `sqlite`, `store`, `talk`, `telemetry`, `text`.

mod account_check;
mod circuit;
mod closer;
mod config;
mod counters;
mod dispatch;
mod maintenance;
mod next_request;
mod odd;
mod pages;
mod progress;
mod reconfigure;
mod reminder;
mod responses;
mod setup;
mod state;
mod status_reporter;
mod stop;
#[cfg(test)]
mod tests;
mod token_manager;

pub(crate) use crate::store::status::Mode;
pub(crate) use config::{Account, WorkError, WorkerConfig};
pub(crate) use counters::{Closures, Counters};
pub(crate) use pages::ApiHandle;

use crate::amocrm::{self, Client};
use crate::clock::{self, Deadline, Now};
use crate::gate::Permit;
use crate::store::queue::Repair;
use crate::store::record::Record;
use crate::store::sweep::ToClose;
use crate::store::writer::{Event, Writer};
use crate::talk::TalkId;
use account_check::AccountCheck;
use circuit::Circuit;
use closer::Closer;
use counters::Unfetched;
use dispatch::{Dispatch, ReadAhead};
use maintenance::Maintenance;
use next_request::{Leaves, Request};
use odd::OddReporter;
use pages::Pages;
use progress::Progress;
use responses::Completed;
use status_reporter::StatusReporter;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};
use token_manager::TokenManager;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

/// How often what has no event of its own is checked: the token, the progress, reminders, maintenance.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Worker {
    config: WorkerConfig,
    client: Arc<Client>,
    writer: Writer,
    events: UnboundedReceiver<Event>,
    /// Those under way.
    requests: JoinSet<Completed>,
    dispatch: Dispatch,
    circuit: Circuit,
    account: AccountCheck,
    tokens: TokenManager,
    closer: Closer,
    pages: Pages,
    maintenance: Maintenance,
    reporter: StatusReporter,
    odd: OddReporter,
    progress: Progress,
    counters: Counters,
    unfetched: Unfetched,
    /// Records that are not committed yet.
    unrecorded: usize,
    to_enqueue: ToEnqueue,
    /// What is done each second is done at whole seconds from then on.
    origin: Instant,
    next_poll: Instant,
    next_tick: Instant,
    stopping: bool,
    /// Another host may be working the account: no request leaves.
    stands_by: bool,
    /// Nor after this.
    may_send_until: Option<Deadline>,
}

/// Ids that a command wants queued.
#[derive(Debug, Default)]
enum ToEnqueue {
    #[default]
    Nothing,
    /// Until it is known whose API answers.
    Held(Vec<RangeInclusive<TalkId>>),
    /// The writer has them.
    Queueing,
}

/// The loop.
impl Worker {
    /// Does what can be done now, then waits for one thing to happen. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// If the work must end: another account answers, or the database cannot be used.
    pub(crate) async fn step(&mut self) -> Result<(), WorkError> {
        let wake = self.act(clock::now());
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => self.handle_event(event, clock::now()),
                None => Err(WorkError::WriterEnded),
            },
            Some(completed) = self.requests.join_next() => {
                let now = clock::now();
                self.handle(joined(completed), now)?;
                // What came together is recorded together.
                while let Some(completed) = self.requests.try_join_next() {
                    self.handle(joined(completed), now)?;
                }
                Ok(())
            }
            Some(request) = self.pages.next() => {
                self.pages.push(request);
                Ok(())
            }
            () = sleep_until(wake.into()) => Ok(()),
        }
    }

    /// Does what can be done now; returns when to act again at the latest.
    fn act(&mut self, now: Now) -> Instant {
        self.tick(now);
        self.begin_what_waited(now);
        if !self.stopping
            && let Some(ReadAhead { limit }) = self.dispatch.read_ahead(self.config.requests_per_second, now)
        {
            self.writer.head(now.secs(), limit, self.closer.only());
        }
        self.hurry_if_needed();
        let wake = loop {
            match self.next_to_leave(now) {
                Leaves::Request { request, permit } => self.send(request, permit, now),
                Leaves::NothingBefore(at) => break at,
            }
        };
        if let Some(status) = self.reporter.due(self.circuit.gate(), now) {
            self.writer.status(status);
        }
        wake.min(self.next_poll).min(self.next_tick)
    }

    /// Begins what waited until it is known whose API answers.
    fn begin_what_waited(&mut self, now: Now) {
        if self.account.is_pending() {
            return;
        }
        self.enqueue_now();
        if let Some(to_close) = self.closer.take_to_close() {
            self.writer.close_manually(self.config.close.clone(), to_close, now.secs());
        }
        if self.closer.take_wanted_sweep() {
            self.sweep(now);
        }
    }

    /// Sends a request; its response comes to [`Worker::step`].
    fn send(&mut self, request: Request, permit: Permit, sent: Now) {
        let (client, account_id) = (Arc::clone(&self.client), self.account.account_id());
        let token_epoch = self.tokens.epoch();
        let (departure, writer) = (permit.departure(), self.writer.clone());
        if request.has_last_look() {
            departure.connecting();
        }
        self.requests.spawn(async move {
            let response = match request.after_last_look(&writer).await {
                Ok(request) => {
                    amocrm::noting_departure(departure, request.perform(&client, account_id)).await
                }
                Err(not_sent) => not_sent,
            };
            Completed { response, permit, sent, token_epoch }
        });
    }

    fn handle(&mut self, completed: Completed, now: Now) -> Result<(), WorkError> {
        let handled = self.handle_response(completed, now);
        if matches!(handled, Err(WorkError::OtherAccount { .. })) {
            self.to_enqueue = ToEnqueue::Nothing;
        }
        handled
    }

    /// What is done now and then.
    fn tick(&mut self, now: Now) {
        let may_write = self.reporter.write_error().is_none();
        if now.mono >= self.next_poll {
            self.next_poll = clock::next_of(self.origin, self.config.poll_interval, now.mono);
            // While nothing can be committed, questions would only pile up.
            if may_write {
                self.writer.poll();
            }
        }
        if now.mono < self.next_tick {
            return;
        }
        self.next_tick = clock::next_of(self.origin, TICK_INTERVAL, now.mono);
        if self.tokens.check(now) {
            self.use_token(now);
        }
        self.write_token_status();
        self.publish_quota(now);
        self.note_progress(now);
        self.reporter.remind(self.circuit.pause(), now);
        self.maintain(now);
    }

    /// Notes whether work went on since the last tick.
    fn note_progress(&mut self, now: Now) {
        let could_send = self.circuit.pause().is_none() && self.dispatch.has_rows();
        let works =
            could_send || !self.requests.is_empty() || self.unrecorded > 0 || self.dispatch.is_reading();
        let may_write = self.reporter.write_error().is_none();
        let idle = !works || !may_write || self.stopping || self.stands_by;
        self.progress.note((self.writer.turns(), self.writer.is_in_sqlite()), idle, now.mono);
        if may_write {
            self.writer.turn();
        }
        self.reporter.note_wal(self.writer.wal());
    }

    fn handle_event(&mut self, event: Event, now: Now) -> Result<(), WorkError> {
        match event {
            Event::Recorded(recorded, _) => {
                if !recorded.is_empty() {
                    self.maintenance.changed();
                }
                recorded.iter().for_each(|recorded| self.handle_recorded(recorded, now));
            }
            Event::Head(batch) => self.dispatch.on_read(batch),
            Event::Swept(swept) => {
                self.dispatch.queue_changed();
                if self.closer.on_swept(&swept, &self.config.close) {
                    self.dispatch.confirm_by_a_known_talk();
                }
            }
            Event::Maintained(maintained) => self.maintenance.done(maintained, now),
            Event::ForeignChange => {
                self.maintenance.changed();
                self.dispatch.queue_changed();
            }
            Event::Resume => self.resume_now(now),
            Event::Enqueued => {
                self.to_enqueue = ToEnqueue::Nothing;
                self.maintenance.changed();
                self.dispatch.queue_changed();
            }
            Event::QueuedToClose(queued) => {
                self.closer.on_queued_to_close(queued);
                self.dispatch.queue_changed();
            }
            Event::Fed { due_at } => {
                self.maintenance.changed();
                // What was read ahead may have a new ticket.
                self.dispatch.queue_changed();
                self.dispatch.due_later(due_at);
            }
            Event::WriteError(why) => self.reporter.note_write_error(why, now),
            Event::Recovered => self.reporter.note_writes(now),
            Event::Fatal(error) => return Err(WorkError::Database(error)),
            Event::Stopped => {}
        }
        Ok(())
    }

    /// Has rows of the queue repaired; what was read of it before is out of date.
    fn repair(&mut self, repair: Repair) {
        self.writer.repair(repair);
        self.dispatch.rows_may_be_due();
    }

    fn record(&mut self, record: Record) {
        self.unrecorded += 1;
        self.writer.record(record);
    }

    fn enqueue_now(&mut self) {
        match std::mem::take(&mut self.to_enqueue) {
            ToEnqueue::Held(ids) => {
                self.to_enqueue = ToEnqueue::Queueing;
                self.writer.enqueue(ids);
            }
            other => self.to_enqueue = other,
        }
    }

    /// What came of it is there to be read before the one who asked is answered.
    fn report_resumed(&mut self, now: Now) {
        self.writer.status(self.reporter.row(self.circuit.gate(), now));
        self.writer.resumed();
    }
}

/// What the daemon and the commands want of it.
impl Worker {
    /// Queues ids once it is known whose API it is: not if it is another account's.
    pub(crate) fn enqueue(&mut self, ids: Vec<RangeInclusive<TalkId>>) {
        if !ids.is_empty() {
            self.to_enqueue = ToEnqueue::Held(ids);
        }
    }

    /// Works nothing but what a person wants closed. It is queued once it is known whose API answers.
    pub(crate) fn close_manually(&mut self, to_close: ToClose) {
        self.closer.close_manually(to_close);
    }

    /// Looks for stale talks once, unless there is no need or the last look is not over.
    pub(crate) fn sweep(&mut self, now: Now) {
        if self.account.is_pending() {
            // If it is another account's API, no row may change.
            return self.closer.want_sweep();
        }
        // In a pause they would only pile up.
        let paused = self.circuit.pause().is_some();
        if paused || self.stopping || self.stands_by || self.reporter.write_error().is_some() {
            return;
        }
        if let Some(order) = self.closer.sweep(&self.config.close, now) {
            self.writer.sweep(order);
        }
    }

    /// Somebody asks that the pause end now: one probe leaves at once. Who asks has checked what is gone.
    pub(crate) fn resume_now(&mut self, now: Now) {
        match self.circuit.resume_now(now) {
            true => tracing::info!("asked to resume: probing now"),
            false => self.report_resumed(now),
        }
    }

    /// While another host may be working the account (the error says why), sends nothing. Otherwise nothing is sent after
    /// the deadline, if there is one, until another is given. Requests under way continue.
    pub(crate) fn stand_by(&mut self, may_request: Result<Option<Deadline>, &str>, now: Now) {
        self.may_send_until = may_request.unwrap_or(None);
        if self.stands_by == may_request.is_err() {
            return;
        }
        self.stands_by = may_request.is_err();
        match may_request {
            Err(why) => {
                tracing::info!("standing by, nothing is requested or closed: {why}");
                self.drop_pending("not sent: another host may be working the account", now);
            }
            Ok(_) => tracing::info!("working the account"),
        }
    }

    /// Reads the token again, and probes at once if it was refused.
    pub(crate) fn reload_token(&mut self) {
        self.tokens.reread();
        self.use_token(clock::now());
    }

    /// For feeders.
    pub(crate) fn api(&self) -> ApiHandle {
        self.pages.handle()
    }

    /// A handle to the thread that writes the database.
    pub(crate) fn writer(&self) -> Writer {
        self.writer.clone()
    }
}

/// A request's task is never aborted while its response is awaited; if it panicked, so do we.
fn joined(completed: Result<Completed, JoinError>) -> Completed {
    completed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
