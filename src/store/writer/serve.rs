//! The thread itself: does what it is asked, in turn, and retries until it is done.

use super::Pulse;
use super::commit::{Done, commit};
use super::message::{Event, Message, Query, Spent, Write};
use super::write_error::{explain, is_one_row_s, may_pass};
use crate::clock::{self, UnixSeconds, unix_now};
use crate::policy::closing::CloseRules;
use crate::policy::hours::ReportRules;
use crate::sqlite::checkpoint::{self, Checkpoints, WalView};
use crate::store::feeds::{self, Candidates, Fed, Feeder};
use crate::store::maintenance::{self, Maintained};
use crate::store::{changes, completeness, exemptions, local_time, queue, resume, sweep};
use crate::text::shown;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

/// Records in one transaction at most: bounds what one commit holds up.
const MAX_BATCH: usize = 2048;
/// Between two commits while nobody waits for one. What comes meanwhile is committed together: fewer writes to the
/// disk. After a kill these talks are fetched again.
const GATHER_FOR: Duration = Duration::from_secs(1);
/// Between two attempts at a transaction that could not be committed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often SQLite looks whether its statistics are out of date.
const OPTIMIZE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Where the thread reports what happened, and that it is not stuck.
pub(super) struct EventSender {
    pub events: UnboundedSender<Event>,
    pub database: PathBuf,
    pub pulse: Arc<Pulse>,
    /// For the publisher: something that it is to publish was committed.
    pub changed: Arc<Notify>,
}

impl EventSender {
    pub(super) fn notify(&self, event: Event) {
        // A receiver that is gone wants no events.
        let _ = self.events.send(event);
    }

    /// One more turn was taken: see [`super::Writer::turns`].
    pub(super) fn turn(&self) {
        self.pulse.turns.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn work(
    mut connection: Connection,
    view: &WalView,
    inbox: &mpsc::Receiver<Message>,
    sender: &EventSender,
) {
    let started = retry_until_ok(sender, &mut connection, |connection| {
        Checkpoints::new(connection, &sender.database, view)
    });
    let served = match started {
        Ok(checkpoints) => serve(&mut connection, checkpoints, inbox, sender),
        Err(error) => Err(error),
    };
    match served {
        Ok(()) => {
            drop(connection);
            sender.notify(Event::Stopped);
        }
        Err(error) => sender.notify(Event::Fatal(error)),
    }
}

fn serve(
    connection: &mut Connection,
    mut checkpoints: Checkpoints,
    inbox: &mpsc::Receiver<Message>,
    sender: &EventSender,
) -> rusqlite::Result<()> {
    // Read before the slow steps, so that what others commit meanwhile is noticed.
    let seen_version = data_version(connection)?;
    // As SQLite advises for connections that live long.
    optimize(connection, "PRAGMA optimize = 0x10002");
    let mut state = WriterState {
        seen_version,
        asked_to_resume: None,
        candidates: Candidates::default(),
        optimized: clock::mono(),
    };
    let mut taken = clock::mono();
    while let Ok(first) = inbox.recv() {
        if matches!(first, Message::Write(Write::Record(_))) {
            // Ends early if somebody waits ([`super::Writer::hurry`]).
            thread::park_timeout(GATHER_FOR.saturating_sub(clock::since(taken)));
        }
        taken = clock::mono();
        let (mut writes, mut queries) = (Vec::new(), Vec::new());
        for message in std::iter::once(first).chain(inbox.try_iter().take(MAX_BATCH)) {
            match message {
                Message::Write(write) => writes.push(write),
                Message::Query(query) => queries.push(query),
            }
        }
        if !writes.is_empty() {
            let done = retry_until_ok(sender, connection, |connection| {
                commit(connection, &writes, &mut state.candidates)
            })?;
            let Done { recorded, fed, refused, is_news } = done;
            if is_news {
                sender.changed.notify_one();
            }
            for why in refused {
                tracing::error!("{}", shown(&why));
            }
            answer(&mut writes, fed, sender);
            sender.notify(Event::Recorded(recorded, Spent(writes)));
        }
        for query in queries {
            if matches!(query, Query::Stop) {
                return stop(connection);
            }
            answer_query(query, connection, sender, &mut state)?;
        }
        run_once(sender, connection, |connection| checkpoints.look(connection));
    }
    Ok(())
}

/// What the thread keeps from one query to the next.
struct WriterState {
    /// `PRAGMA data_version`: it changes when another connection commits, not with our own commits.
    seen_version: i64,
    asked_to_resume: Option<String>,
    candidates: Candidates,
    optimized: Instant,
}

fn answer_query(
    query: Query,
    connection: &mut Connection,
    sender: &EventSender,
    state: &mut WriterState,
) -> rusqlite::Result<()> {
    match query {
        Query::Enqueue(ids) => {
            retry_until_ok(sender, connection, |connection| queue::enqueue(connection, &ids, |_| {}))?;
            sender.notify(Event::Enqueued);
        }
        Query::CloseManually { rules, to_close, now } => {
            let queued = retry_until_ok(sender, connection, |connection| {
                sweep::queue_to_close(connection, &rules, &to_close, now)
            })?;
            sender.notify(Event::QueuedToClose(queued));
        }
        // After the sweeps that were asked for before it: they write down the rules they go by.
        Query::Configure { rules, report, feeders } => {
            retry_until_ok(sender, connection, |connection| {
                configure(connection, &rules, &report, &feeders)
            })?;
            for (feeder, _) in feeders.iter().filter(|(_, on)| !on) {
                state.candidates.switched_off(*feeder);
            }
        }
        Query::Head { now, limit, only } => {
            let batch = retry_until_ok(sender, connection, |connection| match &only {
                Some(talk_ids) => queue::head_of(connection, talk_ids, now),
                None => queue::head(connection, now, limit),
            })?;
            sender.notify(Event::Head(batch));
        }
        Query::Sweep(request) => {
            let swept = retry_until_ok(sender, connection, |connection| sweep::sweep(connection, &request))?;
            sender.notify(Event::Swept(swept));
        }
        Query::Exempting(talk_id, now, reply) => {
            let exempting = retry_until_ok(sender, connection, |connection| {
                exemptions::of_talk(connection, talk_id, now)
            })?;
            // Who no longer waits for it does not close the talk.
            let _ = reply.send(exempting);
        }
        Query::Maintain(task) => {
            let worked = run_once(sender, connection, |connection| maintenance::work(connection, &task));
            let maintained = match worked {
                Err(error) if may_pass(&error) => Maintained::Deferred(task),
                maintained => maintained?,
            };
            sender.notify(Event::Maintained(maintained));
        }
        Query::Changes(wanted, reply) => {
            let step = retry_until_ok(sender, connection, |connection| {
                match changes::work(connection, &wanted) {
                    // Of rows of the server: what the mirror itself records may go through.
                    Err(error) if is_one_row_s(&error) => Ok(Err(error)),
                    step => step.map(Ok),
                }
            })?;
            // A publisher that no longer waits for it has been stopped.
            let _ = reply.send(step);
        }
        Query::Poll => poll(connection, sender, state)?,
        Query::Turn => sender.turn(),
        Query::Stop => unreachable!("the thread has stopped"),
    }
    Ok(())
}

fn poll(connection: &mut Connection, sender: &EventSender, state: &mut WriterState) -> rusqlite::Result<()> {
    let version = retry_until_ok(sender, connection, |connection| data_version(connection))?;
    if version != state.seen_version {
        state.seen_version = version;
        sender.notify(Event::ForeignChange);
        sender.changed.notify_one();
        let asked = retry_until_ok(sender, connection, |connection| resume::asked(connection))?;
        if asked.is_some() && asked != state.asked_to_resume {
            sender.notify(Event::Resume);
        }
        state.asked_to_resume = asked;
    }
    if clock::since(state.optimized) > OPTIMIZE_INTERVAL {
        optimize(connection, "PRAGMA optimize");
        state.optimized = clock::mono();
    }
    Ok(())
}

fn stop(connection: &mut Connection) -> rusqlite::Result<()> {
    // For those who read it meanwhile. If it cannot be written, it is as it was.
    if let Err(error) = completeness::note(connection, None, unix_now()) {
        tracing::debug!("cannot record how much is mirrored: {error}");
    }
    optimize(connection, "PRAGMA optimize");
    Ok(())
}

/// Does it, however long it takes: what may pass is retried.
fn retry_until_ok<T>(
    sender: &EventSender,
    connection: &mut Connection,
    mut step: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let mut is_blocked = false;
    loop {
        match run_once(sender, connection, &mut step) {
            Ok(done) => {
                if is_blocked {
                    sender.notify(Event::Recovered);
                }
                return Ok(done);
            }
            Err(error) if may_pass(&error) => {
                if !is_blocked {
                    sender.notify(Event::WriteError(explain(&error, connection, &sender.database)));
                    is_blocked = true;
                }
                thread::sleep(RETRY_INTERVAL);
                run_once(sender, connection, |connection| checkpoint::relieve(connection));
                sender.turn();
            }
            Err(error) => return Err(error),
        }
    }
}

/// Does it once.
fn run_once<T>(
    sender: &EventSender,
    connection: &mut Connection,
    step: impl FnOnce(&mut Connection) -> T,
) -> T {
    sender.pulse.in_sqlite.store(true, Ordering::Relaxed);
    let done = step(connection);
    sender.pulse.in_sqlite.store(false, Ordering::Relaxed);
    done
}

/// Replies to the feeders, and notifies the worker if rows may be due.
fn answer(batch: &mut [Write], fed: Vec<Fed>, sender: &EventSender) {
    let mut due_at: Option<UnixSeconds> = batch
        .iter()
        .filter_map(|message| match message {
            Write::Repair(repair) => Some(repair.due_at()),
            _ => None,
        })
        .min();
    let orders = batch.iter_mut().filter_map(|message| match message {
        Write::Feed { order, reply } => Some((order, reply)),
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
        sender.notify(Event::Fed { due_at });
    }
}

fn configure(
    connection: &mut Connection,
    rules: &CloseRules,
    report: &ReportRules,
    feeders: &[(Feeder, bool)],
) -> rusqlite::Result<()> {
    local_time::store(connection, report)?;
    let tx = connection.transaction()?;
    sweep::note_rules(&tx, rules)?;
    for (feeder, on) in feeders {
        feeds::note_enabled(&tx, *feeder, *on)?;
    }
    tx.commit()
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

#[cfg(test)]
mod tests {
    use crate::store::changes::import::{ImportStep, ImportedRows, ImportedTalks};
    use crate::store::changes::{Cell, ChangesRequest};
    use crate::store::open;
    use crate::store::writer::{Event, Writer};

    #[tokio::test]
    async fn a_row_of_the_server_that_the_mirror_does_not_take_is_refused_and_the_thread_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("talks.db");
        let (writer, mut events) = Writer::start(open(&database, true).unwrap(), &database).unwrap();
        let columns = vec!["talk_id", "seq", "gone_at", "denied_at", "version", "changed_at"];
        // Without what a talk always has.
        let talks = ImportedRows {
            columns,
            rows: vec![vec![
                Cell::Integer(5),
                Cell::Integer(1),
                Cell::Null,
                Cell::Null,
                Cell::Integer(1),
                Cell::Integer(1),
            ]],
        };
        let versions =
            ImportedRows { columns: vec!["talk_id", "version", "valid_from", "valid_to"], rows: vec![] };
        let step = ImportStep::Talks(ImportedTalks { talks, versions });
        let refused = writer.changes(ChangesRequest::Import(Box::new(step))).await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("NOT NULL constraint failed"), "{refused}");
        assert!(writer.changes(ChangesRequest::SwitchOn { floor: 0 }).await.unwrap().is_ok());
        writer.stop();
        assert!(matches!(events.recv().await, Some(Event::Stopped)));
    }
}
