//! Builds all parts and runs them: `run` until a signal, `sync` until the queue is done, `close` until its talks
//! are settled. It keeps the schedules and starts the feeders.
//!
//! Only one process works a database. A stop ends within ten seconds with every received response recorded. A
//! second signal ends the process at once.
//!
//! Uses every other room but `cli`. Alone knows `tokio_cron_scheduler`.

mod backups;
mod feeders;
mod publishing;
mod reload;
mod running;
mod schedule;
mod service;
mod signals;
mod summary;

pub(crate) use running::{run, run_until};

use crate::amocrm::{Client, Failure, Token};
use crate::clock;
use crate::config::{Config, Mistakes};
use crate::gate::Gate;
use crate::policy::closing::CloseMode;
use crate::sqlite::{self, busy_wait};
use crate::store::Connection;
use crate::store::closures;
use crate::store::lock::{self, InstanceLock, LockError};
use crate::store::queue::Repair;
use crate::store::status::DaemonStatus;
use crate::store::story;
use crate::store::sweep::{self, QueuedToClose, ToClose};
use crate::store::writer::Writer;
use crate::store::{self, StoreError};
use crate::talk::TalkId;
use crate::worker::{Account, Counters, Mode, WorkError, Worker, WorkerConfig};
use signals::{ProcessSignal, Signals};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;

/// After a signal: the time limit for requests under way, and then for recording.
const STOP_REQUESTS_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_RECORDS_TIMEOUT: Duration = Duration::from_secs(9);
/// `sync` waits for rows that are due within this time, and leaves the others.
const SYNC_WAIT: Duration = Duration::from_secs(30);
/// How often the observer of `sync` is called while it waits.
const OBSERVE_INTERVAL: Duration = Duration::from_millis(200);

/// Why the daemon cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Config(#[from] Mistakes),
    #[error("cannot set up the API client")]
    Client(#[source] Failure),
    #[error("cannot run the schedules")]
    Schedule(#[source] JobSchedulerError),
    #[error("cannot listen on {address}: set http.listen to an address that is free here")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot set up the metrics")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    #[error("cannot start a thread: is there a limit (TasksMax= of the unit, ulimit -u, the container's)?")]
    Thread(#[source] std::io::Error),
    #[error("cannot open a socket to notify systemd")]
    Notify(#[source] std::io::Error),
    #[error(
        "with publish.standby_after, only the daemon knows whether another host works the account: start it instead"
    )]
    Standby,
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Work(#[from] WorkError),
}

/// Why `sync` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyncEnd {
    /// Everything that was due, or became due soon, is done.
    Worked,
    /// Requests pause for longer than `sync` waits: the reason and the seconds left.
    Paused(String, u64),
    /// The database cannot be written for longer than `sync` waits.
    WriteBlocked(String),
    /// A signal.
    Stopped,
}

/// The result of [`sync`].
#[derive(Debug)]
pub(crate) struct Synced {
    pub end: SyncEnd,
    pub counters: Counters,
    /// Talks that were tried but not fetched.
    pub unfetched: Vec<TalkId>,
    /// The requested talks are not in the queue, because it could not be written.
    pub unqueued: bool,
}

/// Queues `ids` and works everything that is due, with retries that are due soon. Then it sweeps once and works the
/// queued talks, unless `no_close`. It calls `observe` several times a second.
///
/// # Errors
/// If it cannot start, or cannot continue.
pub(crate) async fn sync(
    config: &Config,
    ids: &[RangeInclusive<TalkId>],
    no_close: bool,
    observe: impl FnMut(&Worker),
) -> Result<Synced, DaemonError> {
    refuse_standby(config)?;
    let (connection, lock) = open(config)?;
    let sweeps = !no_close && config.auto_close.rules.mode != CloseMode::Off;
    let work = Work { no_close, enqueue: ids.to_vec(), ..Work::of(Mode::Sync) };
    let (end, worker) = run_until_done(config, work, sweeps, (connection, lock), observe).await?;
    Ok(Synced {
        end,
        counters: worker.counters(),
        unfetched: worker.unfetched(),
        unqueued: worker.is_enqueueing(),
    })
}

/// The result of [`close`].
#[derive(Debug)]
pub(crate) struct Closed {
    pub end: SyncEnd,
    /// What was queued. `None` if it ended before.
    pub queued_to_close: Option<QueuedToClose>,
    /// Talks that were left as they are, and why.
    pub left: Vec<(TalkId, String)>,
}

/// Queues the talks to close once the account is confirmed, and works only those.
///
/// # Errors
/// If it cannot start, or cannot continue.
pub(crate) async fn close(
    config: &Config,
    to_close: &ToClose,
    observe: impl FnMut(&Worker),
) -> Result<Closed, DaemonError> {
    refuse_standby(config)?;
    let (connection, lock) = open(config)?;
    let work = Work { close: Some(to_close.clone()), ..Work::of(Mode::Close) };
    let (end, worker) = run_until_done(config, work, false, (connection, lock), observe).await?;
    Ok(Closed { end, queued_to_close: worker.queued_to_close().cloned(), left: worker.left().to_vec() })
}

/// Another host may be working the account.
fn refuse_standby(config: &Config) -> Result<(), DaemonError> {
    match config.publish.as_ref().and_then(|rules| rules.standby_after) {
        Some(_) => Err(DaemonError::Standby),
        None => Ok(()),
    }
}

/// Works what is due, sweeps if wanted, and works what the sweep queued.
async fn run_until_done(
    config: &Config,
    work: Work,
    mut sweep: bool,
    (connection, lock): (Connection, InstanceLock),
    mut observe: impl FnMut(&Worker),
) -> Result<(SyncEnd, Worker), DaemonError> {
    let mut signals = Signals::listen()?;
    let mut worker = worker(config, work, connection, &lock)?;
    let mut tick = tokio::time::interval(OBSERVE_INTERVAL);
    let end = loop {
        if let Some(end) = sync_end(&worker) {
            if end == SyncEnd::Worked && std::mem::take(&mut sweep) {
                worker.sweep(clock::now());
                continue;
            }
            break Ok(end);
        }
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                ProcessSignal::Stop(_) => break Ok(SyncEnd::Stopped),
                ProcessSignal::Reload => worker.reload_token(),
            },
            _ = tick.tick() => observe(&worker),
            step = worker.step() => if let Err(error) = step { break Err(error) },
        }
    };
    let end = stop(&mut worker, end).await?;
    observe(&worker);
    Ok((end, worker))
}

fn sync_end(worker: &Worker) -> Option<SyncEnd> {
    let now = clock::now();
    if let Some((why, since)) = worker.write_error()
        && clock::since(since) > SYNC_WAIT
    {
        return Some(SyncEnd::WriteBlocked(why.to_owned()));
    }
    if let Some((pause, detail)) = worker.pause()
        && worker.is_quiet()
    {
        let left = pause.until.saturating_duration_since(now.mono);
        if left > SYNC_WAIT {
            return Some(SyncEnd::Paused(format!("{} ({detail})", pause.reason), left.as_secs()));
        }
    }
    let soon = now.secs() + SYNC_WAIT;
    let nothing_soon = worker.next_due_at().is_none_or(|at| at > soon);
    (worker.is_idle() && nothing_soon).then_some(SyncEnd::Worked)
}

/// Stops cleanly however the work ended, unless the database itself is broken.
async fn stop<T>(worker: &mut Worker, worked: Result<T, WorkError>) -> Result<T, WorkError> {
    let lost =
        matches!(worked, Err(WorkError::Database(_) | WorkError::WriterEnded | WorkError::DatabaseLost(_)));
    if !lost {
        let now = clock::mono();
        let stopped = worker.stop(now + STOP_REQUESTS_TIMEOUT, now + STOP_RECORDS_TIMEOUT).await;
        // The reason for the end matters more than the result of the stop.
        return worked.and_then(|worked| stopped.map(|()| worked));
    }
    worked
}

/// Takes the lock, then opens the database.
fn open(config: &Config) -> Result<(Connection, InstanceLock), DaemonError> {
    let folder = config.database.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(StoreError::NoFolder(folder.to_owned()).into());
    }
    // If the path leads to something else, this reports it before the lock is taken.
    sqlite::require_file(&config.database)?;
    let lock = lock::acquire(&config.database)?;
    store::restore::tidy(&config.database);
    Ok((store::open_patiently(&config.database, service::Service::starting)?, lock))
}

/// What the worker is to do.
#[derive(Debug, Clone)]
struct Work {
    mode: Mode,
    no_close: bool,
    /// Talks to close by hand. Nothing else is done then.
    close: Option<ToClose>,
    /// Ids to queue first, unless the account is another.
    enqueue: Vec<RangeInclusive<TalkId>>,
}

impl Work {
    fn of(mode: Mode) -> Work {
        Work { mode, no_close: false, close: None, enqueue: Vec::new() }
    }
}

fn worker(
    config: &Config,
    work: Work,
    connection: Connection,
    lock: &InstanceLock,
) -> Result<Worker, DaemonError> {
    let now = clock::now();
    let token = token(config)?;
    let client = Client::new(&config.api.client(), &token).map_err(DaemonError::Client)?;
    let gate = Gate::new(config.api.requests_per_second, lock.used_before, now.mono);
    let account = Account {
        name: store::account::name(&connection).map_err(StoreError::from)?,
        known: story::known_talks(&connection).map_err(StoreError::from)?,
        odd_reported_at: store::odd::reported_at(&connection).map_err(StoreError::from)?,
    };
    let earlier = DaemonStatus::read(&connection).map_err(StoreError::from)?;
    let resume_asked = store::resume::asked(&connection).map_err(StoreError::from)?.is_some();
    // Requeues closings that a crash left without a row, and stores the current rules.
    closures::requeue_open(&connection).map_err(StoreError::from)?;
    sweep::note_rules(&connection, &config.auto_close.rules).map_err(StoreError::from)?;
    let worker_config = WorkerConfig { no_close: work.no_close, ..worker_config(config, work.mode) };
    busy_wait::end(&connection).map_err(StoreError::from)?;
    let store = Writer::start(connection, &config.database).map_err(DaemonError::Thread)?;
    // The zone and the hours too. On a full disk the writer waits.
    store.0.configure(config.auto_close.rules.clone(), config.report.clone(), Vec::new());
    // A time that an earlier process wrote for the future shows how far the clock was set back.
    let back = earlier.as_ref().map_or(0, |earlier| earlier.seen_at.seconds_since(now.secs()));
    store.0.repair(Repair::Clock { back, retry_max: config.queue.retry.max, now: now.secs() });
    let mut worker = Worker::new(worker_config, token, client, gate, store, account, now);
    worker.enqueue(work.enqueue);
    if let Some(to_close) = work.close {
        worker.close_manually(to_close);
    }
    if let Some(earlier) = earlier {
        worker.resume(&earlier, now);
    }
    if resume_asked {
        worker.resume_now(now);
    }
    Ok(worker)
}

/// The configured token.
fn token(config: &Config) -> Result<Token, Mistakes> {
    let source = config
        .api
        .token
        .clone()
        .ok_or_else(|| Mistakes(vec!["api.token_file: expected a token, found nothing".into()]))?;
    Token::read(source)
        .map_err(|found| Mistakes(vec![format!("the API token: expected a readable one, found {found}")]))
}

fn worker_config(config: &Config, mode: Mode) -> WorkerConfig {
    WorkerConfig {
        mode,
        base_url: config.api.base_url.as_str().trim_end_matches('/').to_owned(),
        requests_per_second: config.api.requests_per_second,
        max_in_flight: config.api.max_in_flight,
        request_timeout: config.api.timeout,
        poll_interval: config.queue.poll_interval,
        retry: config.queue.retry.clone(),
        close: config.auto_close.rules.clone(),
        retention: config.retention.filter(|_| mode == Mode::Run),
        no_close: false,
        seed: fastrand::u64(..),
    }
}
