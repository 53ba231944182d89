//! The writer: one thread that owns the daemon's one connection.
//!
//! It promises that what arrived together is committed together, that its events
//! come in the order in which things happened in the database, and that a disk that
//! is full or a file that another process holds costs time and no data: the same
//! transaction is tried until it goes through. The events are sent after the commit.

mod apart;
mod message;
mod trouble;

pub use message::{Event, Spent};

use super::account::{self, AccountName};
use super::backup::state::BackupState;
use super::checkpoint::{Checkpointer, WalStatus, WalView};
use super::chores::{self, Chore, Chored};
use super::feeds::{self, Fed, Feeder, Order};
use super::odd;
use super::queue::{self, Repair};
use super::record::{Outcome, Record, Recorded, Recorder};
use super::resume;
use super::status::DaemonStatus;
use super::sweep;
use super::tokens::TokenStatus;
use crate::policy::closing::CloseRules;
use crate::telemetry;
use message::Message;
use rusqlite::{Connection, Transaction};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use trouble::{explain, is_one_row_s, may_pass};

/// Records in one transaction at most: bounds what one commit holds up.
const MAX_BATCH: usize = 2048;
/// From one commit to the next at least: what comes meanwhile is committed together,
/// which spares the disk, and pages that records share are written once.
const GATHER: Duration = Duration::from_millis(50);
/// Between two tries of a transaction that could not be committed.
const RETRY: Duration = Duration::from_secs(1);
/// How often SQLite may look whether its statistics are out of date.
const OPTIMIZE: Duration = Duration::from_secs(60 * 60);

/// A handle to the thread. Its calls never wait for it, but for [`Writer::feed`].
#[derive(Debug, Clone)]
pub struct Writer {
    sender: mpsc::Sender<Message>,
    thread: thread::Thread,
    pulse: Arc<Pulse>,
    wal: WalView,
}

/// Signs that the thread goes on.
#[derive(Debug, Default)]
struct Pulse {
    turns: AtomicU64,
    /// SQLite is at work.
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
        let teller = Teller { events, database: database.to_owned(), pulse: Arc::clone(&pulse) };
        let wal = WalView::default();
        let view = wal.clone();
        let started = thread::Builder::new()
            .name("writer".into())
            .spawn(move || work(connection, &view, &inbox, &teller))?;
        Ok((Writer { sender, thread: started.thread().clone(), pulse, wal }, receiver))
    }

    /// Records a fetch; answered by [`Event::Recorded`].
    pub fn record(&self, record: Record) {
        self.send(Message::Record(record));
    }

    /// Writes the condition of this process.
    pub fn status(&self, status: DaemonStatus) {
        self.send(Message::Status(Box::new(status)));
    }

    /// Notes that odd fields were in the journal, at this Unix second.
    pub fn odd_reported(&self, at: i64) {
        self.send(Message::OddReported(at));
    }

    /// Tells whoever has asked for it that the pause was probed.
    pub fn resumed(&self) {
        self.send(Message::Resumed);
    }

    /// Writes what is told of the API token.
    pub fn token(&self, status: TokenStatus) {
        self.send(Message::Token(status));
    }

    /// Writes how the scheduled backups do.
    pub fn backup(&self, state: BackupState) {
        self.send(Message::Backup(state));
    }

    /// Puts rows of the queue right; answered by [`Event::Fed`].
    pub fn repair(&self, repair: Repair) {
        self.send(Message::Repair(repair));
    }

    /// Queues ids as `talkmirror enqueue` does; answered by [`Event::Enqueued`].
    pub fn enqueue(&self, ids: Vec<RangeInclusive<i64>>) {
        self.send(Message::Enqueue(ids));
    }

    /// Writes down whose API it is that answers, at this Unix second, or why that is not known.
    pub fn account(&self, known: Result<AccountName, String>, now: i64) {
        self.send(Message::Account(known, now));
    }

    /// Reads the head of the queue, or the rows of these talks alone; answered by [`Event::Head`].
    pub fn head(&self, now: i64, limit: usize, only: Option<Arc<[i64]>>) {
        self.send(Message::Head { now, limit, only });
    }

    /// Sweeps once; answered by [`Event::Swept`].
    pub fn sweep(&self, order: sweep::Order) {
        self.send(Message::Sweep(order));
    }

    /// Does what a feeder wants, and waits until it is committed; `None` if the thread has ended.
    pub async fn feed(&self, order: Order) -> Option<Fed> {
        let (sender, reply) = oneshot::channel();
        self.send(Message::Feed { order, reply: Some(sender) });
        reply.await.ok()
    }

    /// Notes what the configuration says from now on, for those who read the database.
    pub fn configure(&self, rules: CloseRules, feeders: Vec<(Feeder, bool)>) {
        self.send(Message::Configure(rules, feeders));
    }

    /// Does what can wait, once; answered by [`Event::Chored`].
    pub fn chore(&self, chore: Chore) {
        self.send(Message::Chore(chore));
    }

    /// How often the thread has taken something up, or tried anew what it could not commit: as long as
    /// that grows, it is not stuck. It grows with [`Writer::turn`] at the latest.
    pub fn turns(&self) -> u64 {
        self.pulse.turns.load(Ordering::Relaxed)
    }

    /// SQLite is at work for the thread: a large checkpoint on a slow disk takes its time.
    pub fn is_in_sqlite(&self) -> bool {
        self.pulse.in_sqlite.load(Ordering::Relaxed)
    }

    /// How the write-ahead log is.
    pub fn wal(&self) -> WalStatus {
        self.wal.status()
    }

    /// Has the thread take a turn.
    pub fn turn(&self) {
        self.send(Message::Turn);
    }

    /// Asks whether another process has written; answered by [`Event::ForeignChange`] if so.
    pub fn poll(&self) {
        self.send(Message::Poll);
    }

    /// Commits what was asked before and ends; answered by [`Event::Stopped`].
    pub fn stop(&self) {
        self.send(Message::Stop);
    }

    fn send(&self, message: Message) {
        let awaited = message.is_awaited();
        // A thread that has ended has said so in an event.
        let _ = self.sender.send(message);
        if awaited {
            self.thread.unpark();
        }
    }
}

/// To whom the thread tells what happened, and that it goes on.
struct Teller {
    events: UnboundedSender<Event>,
    database: PathBuf,
    pulse: Arc<Pulse>,
}

impl Teller {
    fn tell(&self, event: Event) {
        // A receiver that is gone wants no events.
        let _ = self.events.send(event);
    }

    /// One more turn was taken: see [`Writer::turns`].
    fn turn(&self) {
        self.pulse.turns.fetch_add(1, Ordering::Relaxed);
    }
}

fn work(mut connection: Connection, view: &WalView, inbox: &mpsc::Receiver<Message>, teller: &Teller) {
    let started =
        insist(teller, &mut connection, |connection| Checkpointer::start(connection, &teller.database, view));
    let served = match started {
        Ok(checkpointer) => {
            let served = serve(&mut connection, &checkpointer, inbox, teller);
            checkpointer.stop();
            served
        }
        Err(error) => Err(error),
    };
    match served {
        Ok(()) => {
            drop(connection);
            teller.tell(Event::Stopped);
        }
        Err(error) => teller.tell(Event::Fatal(error)),
    }
}

fn serve(
    connection: &mut Connection,
    checkpointer: &Checkpointer,
    inbox: &mpsc::Receiver<Message>,
    teller: &Teller,
) -> rusqlite::Result<()> {
    let mut seen_version = data_version(connection)?;
    let mut asked_to_resume = None;
    // As SQLite advises for connections that live long.
    optimize(connection, "PRAGMA optimize = 0x10002");
    let mut optimized = Instant::now();
    let mut taken = Instant::now();
    while let Ok(first) = inbox.recv() {
        if matches!(first, Message::Record(_)) {
            // Cut short where somebody waits. What waits for the disk gathers by itself.
            thread::park_timeout(GATHER.saturating_sub(taken.elapsed()));
        }
        taken = Instant::now();
        teller.turn();
        let (mut writes, others): (Vec<Message>, Vec<Message>) =
            std::iter::once(first).chain(inbox.try_iter().take(MAX_BATCH)).partition(Message::writes);
        if !writes.is_empty() {
            let done = insist(teller, connection, |connection| commit(connection, checkpointer, &writes))?;
            let Done { recorded, fed, refused } = done;
            for why in refused {
                tracing::error!("{why}");
            }
            answer(&mut writes, fed, teller);
            teller.tell(Event::Recorded(recorded, Spent(writes)));
        }
        for message in others {
            match message {
                Message::Record(_)
                | Message::Status(_)
                | Message::Resumed
                | Message::OddReported(_)
                | Message::Token(_)
                | Message::Backup(_)
                | Message::Feed { .. }
                | Message::Repair(_)
                | Message::Account(..)
                | Message::Turn => {}
                Message::Enqueue(ids) => {
                    insist(teller, connection, |connection| queue::enqueue(connection, &ids, |_| {}))?;
                    teller.tell(Event::Enqueued);
                }
                // After the sweeps that were asked for before it: they write down the rules they go by.
                Message::Configure(rules, feeders) => {
                    insist(teller, connection, |connection| configure(connection, &rules, &feeders))?;
                }
                Message::Head { now, limit, only } => {
                    let head = insist(teller, connection, |connection| match &only {
                        Some(talk_ids) => queue::head_of(connection, talk_ids, now),
                        None => queue::head(connection, now, limit),
                    })?;
                    teller.tell(Event::Head(head));
                }
                Message::Sweep(order) => {
                    let swept = insist(teller, connection, |connection| sweep::sweep(connection, &order))?;
                    teller.tell(Event::Swept(swept));
                }
                Message::Chore(chore) => {
                    let worked = attempt(teller, connection, |connection| chores::work(connection, &chore));
                    let chored = match worked {
                        Err(error) if may_pass(&error) => Chored::NotNow(chore),
                        chored => chored?,
                    };
                    teller.tell(Event::Chored(chored));
                }
                Message::Poll => {
                    // Changes when another connection commits, not with our own commits.
                    let version = insist(teller, connection, |connection| data_version(connection))?;
                    if version != seen_version {
                        seen_version = version;
                        teller.tell(Event::ForeignChange);
                        let asked = insist(teller, connection, |connection| resume::asked(connection))?;
                        if asked.is_some() && asked != asked_to_resume {
                            teller.tell(Event::Resume);
                        }
                        asked_to_resume = asked;
                    }
                    if optimized.elapsed() > OPTIMIZE {
                        optimize(connection, "PRAGMA optimize");
                        optimized = Instant::now();
                    }
                }
                Message::Stop => {
                    optimize(connection, "PRAGMA optimize");
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Does it, however long it takes: what may pass is tried again.
fn insist<T>(
    teller: &Teller,
    connection: &mut Connection,
    mut step: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let mut in_trouble = false;
    loop {
        match attempt(teller, connection, &mut step) {
            Ok(done) => {
                if in_trouble {
                    teller.tell(Event::Recovered);
                }
                return Ok(done);
            }
            Err(error) if may_pass(&error) => {
                if !in_trouble {
                    teller.tell(Event::Trouble(explain(&error, connection, &teller.database)));
                    in_trouble = true;
                }
                thread::sleep(RETRY);
                teller.turn();
            }
            Err(error) => return Err(error),
        }
    }
}

/// Does it once.
fn attempt<T>(
    teller: &Teller,
    connection: &mut Connection,
    step: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    teller.pulse.in_sqlite.store(true, Ordering::Relaxed);
    let done = step(connection);
    teller.pulse.in_sqlite.store(false, Ordering::Relaxed);
    done
}

/// What a commit did.
#[derive(Debug, Default)]
struct Done {
    recorded: Vec<Recorded>,
    /// What came of the feeders' orders, one for each.
    fed: Vec<Fed>,
    /// What could not be written though the rest could, in words.
    refused: Vec<String>,
}

/// Commits what of a batch is to be written, in one transaction. If one of the writes cannot be done, the others are.
fn commit(
    connection: &mut Connection,
    checkpointer: &Checkpointer,
    batch: &[Message],
) -> rusqlite::Result<Done> {
    let began = Instant::now();
    let done = match together(connection, batch) {
        Err(error) if is_one_row_s(&error) => apart::commit(connection, batch)?,
        done => done?,
    };
    checkpointer.committed(connection);
    telemetry::commit(done.recorded.len(), began.elapsed());
    Ok(done)
}

fn together(connection: &mut Connection, batch: &[Message]) -> rusqlite::Result<Done> {
    let tx = connection.transaction()?;
    let mut done = Done { recorded: Vec::with_capacity(batch.len()), ..Done::default() };
    let mut recorder = Recorder::new(&tx)?;
    for message in batch {
        match message {
            Message::Record(record) => done.recorded.push(recorder.record(record)?),
            other => done.fed.extend(write(&tx, other)?),
        }
    }
    drop(recorder);
    note_account(&tx, batch)?;
    tx.commit()?;
    Ok(done)
}

/// Writes what is no record; returns what came of a feeder's order.
fn write(tx: &Transaction<'_>, message: &Message) -> rusqlite::Result<Option<Fed>> {
    match message {
        Message::Status(status) => status.write(tx)?,
        Message::Resumed => resume::done(tx)?,
        Message::OddReported(at) => odd::note_reported(tx, *at)?,
        Message::Token(status) => status.write(tx)?,
        Message::Backup(state) => state.write(tx)?,
        Message::Repair(repair) => {
            queue::repair(tx, repair)?;
        }
        Message::Account(Ok(name), now) => account::confirm(tx, name, *now)?,
        Message::Account(Err(why), _) => account::doubt(tx, Some(why))?,
        Message::Feed { order, .. } => return feeds::work(tx, order).map(Some),
        _ => {}
    }
    Ok(None)
}

/// The first talk that is stored says whose mirror this is.
fn note_account(tx: &Transaction<'_>, batch: &[Message]) -> rusqlite::Result<()> {
    let arrived = batch.iter().find_map(|message| match message {
        Message::Record(Record { outcome: Outcome::Talk(arrived), .. }) => Some(arrived),
        _ => None,
    });
    arrived.map_or(Ok(()), |arrived| account::note_id(tx, arrived.talk.account_id))
}

fn configure(
    connection: &mut Connection,
    rules: &CloseRules,
    feeders: &[(Feeder, bool)],
) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    sweep::note_rules(&tx, rules)?;
    for (feeder, on) in feeders {
        feeds::note_enabled(&tx, *feeder, *on)?;
    }
    tx.commit()
}

/// Tells the feeders what came of their orders, and the worker that there may be work.
fn answer(batch: &mut [Message], fed: Vec<Fed>, teller: &Teller) {
    let mut due_at: Option<i64> = batch
        .iter()
        .filter_map(|message| match message {
            Message::Repair(repair) => Some(repair.due_at()),
            _ => None,
        })
        .min();
    let orders = batch.iter_mut().filter_map(|message| match message {
        Message::Feed { order, reply } => Some((order, reply)),
        _ => None,
    });
    for ((order, reply), fed) in orders.zip(fed) {
        if let Some(at) = order.changed_queue(&fed) {
            due_at = Some(due_at.map_or(at, |earlier| earlier.min(at)));
        }
        if let Some(reply) = reply.take() {
            // A feeder that no longer waits for it has been stopped.
            let _ = reply.send(fed);
        }
    }
    if let Some(due_at) = due_at {
        teller.tell(Event::Fed { due_at });
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Keeps the query planner's statistics; when it fails (a full disk), queries are merely slower.
fn optimize(connection: &Connection, pragma: &str) {
    if let Err(error) = connection.execute_batch(pragma) {
        tracing::debug!("{pragma}: {error}");
    }
}
