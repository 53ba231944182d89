//! The writer: one thread that owns the daemon's one connection.
//!
//! It promises that what arrived together is committed together, that its events
//! come in the order in which things happened in the database, and that a disk that
//! is full or a file that another process holds costs time and no data: the same
//! transaction is tried until it goes through. The events are sent after the commit.

mod commit;
mod message;
mod serve;
mod write_error;

pub use message::{Event, Spent};
#[cfg(test)]
pub(crate) use message::{Message as Sent, Query as Asked, Write as Written};

use super::account::AccountName;
use super::backup::state::BackupState;
use super::changes::state::PublishState;
use super::changes::{CaptureStep, ChangesRequest};
use super::feeds::{Fed, FeedRequest, Feeder};
use super::maintenance::MaintenanceTask;
use super::queue::Repair;
use super::record::Record;
use super::status::DaemonStatus;
use super::sweep::{self, ToClose};
use super::tokens::TokenStatus;
use crate::clock::UnixSeconds;
use crate::policy::closing::CloseRules;
use crate::policy::exemption::Exempting;
use crate::policy::hours::ReportRules;
use crate::sqlite::checkpoint::{WalStatus, WalView};
use crate::talk::TalkId;
use message::{Message, Query, Write};
use rusqlite::Connection;
use serve::{EventSender, work};
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, oneshot};

/// A handle to the thread. Its calls never wait for it, but for [`Writer::feed`].
#[derive(Debug, Clone)]
pub struct Writer {
    sender: mpsc::Sender<Message>,
    thread: thread::Thread,
    pulse: Arc<Pulse>,
    wal: WalView,
    changed: Arc<Notify>,
}

/// Signs that the thread is not stuck.
#[derive(Debug, Default)]
struct Pulse {
    turns: AtomicU64,
    /// SQLite runs.
    in_sqlite: AtomicBool,
}

impl Writer {
    /// Starts the thread; it ends with [`Writer::stop`] or when every handle is dropped.
    /// `database` is where the connection's file is.
    ///
    /// # Errors
    /// When the system can start no thread.
    pub fn start(connection: Connection, database: &Path) -> io::Result<(Writer, UnboundedReceiver<Event>)> {
        let (sender, inbox) = mpsc::channel();
        let (events, receiver) = unbounded_channel();
        let pulse = Arc::new(Pulse::default());
        let changed = Arc::new(Notify::new());
        let events = EventSender {
            events,
            database: database.to_owned(),
            pulse: Arc::clone(&pulse),
            changed: Arc::clone(&changed),
        };
        let wal = WalView::default();
        let view = wal.clone();
        let started = thread::Builder::new()
            .name("writer".into())
            .spawn(move || work(connection, &view, &inbox, &events))?;
        Ok((Writer { sender, thread: started.thread().clone(), pulse, wal, changed }, receiver))
    }

    /// One without a thread, and what it is asked to do.
    #[cfg(test)]
    pub(crate) fn detached() -> (Writer, mpsc::Receiver<Message>) {
        let (sender, inbox) = mpsc::channel();
        let (pulse, wal, changed) = (Arc::default(), WalView::default(), Arc::default());
        (Writer { sender, thread: thread::current(), pulse, wal, changed }, inbox)
    }

    /// Records a fetch; answered by [`Event::Recorded`].
    pub fn record(&self, record: Record) {
        self.write(Write::Record(record));
    }

    /// Writes the condition of this process.
    pub fn status(&self, status: DaemonStatus) {
        self.write(Write::Status(Box::new(status)));
    }

    /// Notes that an odd field was in the journal, at this time.
    pub fn odd_reported(&self, field: &'static str, at: UnixSeconds) {
        self.write(Write::OddReported(field, at));
    }

    /// Notes for whoever has asked for it that the pause was probed.
    pub fn resumed(&self) {
        self.write(Write::Resumed);
    }

    /// Writes what is shown of the API token.
    pub fn token(&self, status: TokenStatus) {
        self.write(Write::Token(status));
    }

    /// Writes how the scheduled backups do.
    pub fn backup(&self, state: BackupState) {
        self.write(Write::Backup(state));
    }

    /// Writes how publishing goes, or that it is off.
    pub(crate) fn publishing(&self, state: Option<PublishState>) {
        self.write(Write::Publish(state.map(Box::new)));
    }

    /// Does what the publisher wants, and waits until it is committed; `None` if the thread has ended. An error is of
    /// what was to be written, and the thread goes on.
    pub(crate) async fn changes(&self, wanted: ChangesRequest) -> Option<rusqlite::Result<CaptureStep>> {
        let (sender, reply) = oneshot::channel();
        self.query(Query::Changes(wanted, sender));
        reply.await.ok()
    }

    /// Returns when something that is to be published was committed since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Repairs rows of the queue; answered by [`Event::Fed`].
    pub fn repair(&self, repair: Repair) {
        self.write(Write::Repair(repair));
    }

    /// Queues ids as `talkmirror enqueue` does; answered by [`Event::Enqueued`].
    pub fn enqueue(&self, ids: Vec<RangeInclusive<TalkId>>) {
        self.query(Query::Enqueue(ids));
    }

    /// Queues talks to be closed by hand, at this time; answered by [`Event::QueuedToClose`].
    pub fn close_manually(&self, rules: CloseRules, to_close: ToClose, now: UnixSeconds) {
        self.query(Query::CloseManually { rules: Box::new(rules), to_close, now });
    }

    /// Writes down whose API it is that answers, at this time, or why that is not known.
    pub fn account(&self, known: Result<AccountName, String>, now: UnixSeconds) {
        self.write(Write::Account(known, now));
    }

    /// Reads the head of the queue, or the rows of these talks alone; answered by [`Event::Head`].
    pub fn head(&self, now: UnixSeconds, limit: usize, only: Option<Arc<[TalkId]>>) {
        self.query(Query::Head { now, limit, only });
    }

    /// Sweeps once; answered by [`Event::Swept`].
    pub fn sweep(&self, order: sweep::SweepRequest) {
        self.query(Query::Sweep(Box::new(order)));
    }

    /// What exempts a talk from being closed at `now`, as committed by anybody; the outer `None` if the thread has ended.
    pub(crate) async fn exempting(&self, talk_id: TalkId, now: UnixSeconds) -> Option<Option<Exempting>> {
        let (sender, reply) = oneshot::channel();
        self.query(Query::Exempting(talk_id, now, sender));
        reply.await.ok()
    }

    /// Does what a feeder wants, and waits until it is committed; `None` if the thread has ended.
    pub async fn feed(&self, order: FeedRequest) -> Option<Fed> {
        let (sender, reply) = oneshot::channel();
        self.write(Write::Feed { order, reply: Some(sender) });
        reply.await.ok()
    }

    /// Stores the rules of the configuration, for those who read the database.
    pub fn configure(&self, rules: CloseRules, report: ReportRules, feeders: Vec<(Feeder, bool)>) {
        self.query(Query::Configure { rules: Box::new(rules), report: Box::new(report), feeders });
    }

    /// Runs a maintenance task once; answered by [`Event::Maintained`].
    pub fn maintain(&self, task: MaintenanceTask) {
        self.query(Query::Maintain(task));
    }

    /// How often the thread has counted a turn ([`Writer::turn`]), or retried what it could not commit: as long as
    /// that grows, it is not stuck.
    pub fn turns(&self) -> u64 {
        self.pulse.turns.load(Ordering::Relaxed)
    }

    /// SQLite runs for the thread: a large checkpoint on a slow disk takes its time.
    pub fn is_in_sqlite(&self) -> bool {
        self.pulse.in_sqlite.load(Ordering::Relaxed)
    }

    /// How the write-ahead log is.
    pub fn wal(&self) -> WalStatus {
        self.wal.status()
    }

    /// Ends the gathering: the thread commits now what it has.
    pub fn hurry(&self) {
        self.thread.unpark();
    }

    /// Has the thread count a turn.
    pub fn turn(&self) {
        self.query(Query::Turn);
    }

    /// Asks whether another process has written; answered by [`Event::ForeignChange`] if so.
    pub fn poll(&self) {
        self.query(Query::Poll);
    }

    /// Commits what was asked before and ends; answered by [`Event::Stopped`].
    pub fn stop(&self) {
        self.query(Query::Stop);
    }

    fn query(&self, query: Query) {
        self.send(Message::Query(query));
    }

    fn write(&self, write: Write) {
        self.send(Message::Write(write));
    }

    fn send(&self, message: Message) {
        let can_wait = message.can_wait();
        // A thread that has ended has sent an event.
        let _ = self.sender.send(message);
        if !can_wait {
            self.hurry();
        }
    }
}
