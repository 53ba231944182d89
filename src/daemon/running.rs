//! `run`: the daemon, from its start to its stop.

use super::backups::Backups;
use super::feeders::{self, FeederState, Feeders};
use super::publishing::Publishing;
use super::schedule::{Schedule, Ticks};
use super::service::Service;
use super::signals::{ProcessSignal, Signals};
use super::summary::Summary;
use super::{DaemonError, STOP_RECORDS_TIMEOUT, Work, open, stop, worker};
use crate::clock::{self, ClockWatch, Now, UnixSeconds, duration};
use crate::config::Config;
use crate::http::{self, Site, SiteSettings};
use crate::language::Language;
use crate::number;
use crate::policy::closing::CloseMode;
use crate::report::health::Live;
use crate::report::humanize::iso;
use crate::report::talk::TalkRules;
use crate::sqlite::busy_wait;
use crate::store::Connection;
use crate::store::StoreError;
use crate::store::lock::InstanceLock;
use crate::telemetry;
use crate::text::shown;
use crate::worker::{Counters, Mode, WorkError, Worker};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Level;

/// How often systemd and the status page get the current state. Hundreds of daemons may run on one machine.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the collected metrics are summed up.
const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Works the queue until SIGTERM or SIGINT. SIGHUP reads the configuration and the token again. `set_level` sets
/// the log level.
///
/// # Errors
/// If it cannot start, or cannot continue.
pub(crate) async fn run(config: &Config, set_level: &dyn Fn(Level)) -> Result<(), DaemonError> {
    run_until(config, set_level, std::future::pending(), (TICK_INTERVAL, |_| {})).await?;
    Ok(())
}

/// [`run`], but also until `end`. `observe` is called at the interval `every`.
///
/// # Errors
/// If it cannot start, or cannot continue.
pub(crate) async fn run_until(
    config: &Config,
    set_level: &dyn Fn(Level),
    end: impl Future<Output = ()>,
    (every, mut observe): (Duration, impl FnMut(&Worker)),
) -> Result<Counters, DaemonError> {
    let (connection, lock) = open_waiting(config)?;
    // Not earlier: until here a signal just ends the process. A running migration is one transaction, and waiting
    // changes nothing.
    let mut signals = Signals::listen()?;
    let mut running = Running::start(config, set_level, connection, lock).await?;
    tokio::pin!(end);
    // Ticks together with the worker, so that a machine with hundreds of daemons sleeps in between.
    let mut tick = tokio::time::interval_at(running.worker.origin().into(), every);
    let worked = loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                ProcessSignal::Stop(name) => {
                    tracing::info!("stopping on {name}: finishing what is under way");
                    break Ok(());
                }
                ProcessSignal::Reload => running.reload().await?,
            },
            () = &mut end => break Ok(()),
            () = running.sweeps.next() => running.worker.sweep(clock::now()),
            () = running.feeders.watch() => {}
            () = running.backups.step() => {}
            () = running.publishing.changed() => running.check_hold(clock::now()),
            _ = tick.tick() => {
                let now = clock::now();
                if let Some(jump) = running.clock_watch.jump(now) {
                    running.on_clock_jump(now, jump).await?;
                }
                running.tick(now);
                observe(&running.worker);
                if running.has_lost_its_database() {
                    break Err(WorkError::DatabaseLost(running.config.database.clone()));
                }
            }
            step = running.worker.step() => if let Err(error) = step { break Err(error) },
        }
    };
    running.stop(worked).await
}

/// Waits without limit for another process that holds the database locked, as a running daemon does.
fn open_waiting(config: &Config) -> Result<(Connection, InstanceLock), DaemonError> {
    loop {
        match open(config) {
            Err(DaemonError::Store(error)) if busy_wait::is_locked(&error) => {}
            opened => return opened,
        }
    }
}

/// The daemon and its parts.
pub(super) struct Running<'a> {
    pub config: Config,
    pub set_level: &'a dyn Fn(Level),
    pub worker: Worker,
    pub schedule: Schedule,
    pub sweeps: Ticks,
    pub feeders: Feeders,
    pub backups: Backups,
    pub publishing: Publishing,
    pub service: Service,
    /// When a configuration was last applied.
    pub configured_at: UnixSeconds,
    /// Why a newer one was refused.
    pub refused: Option<String>,
    live: watch::Sender<Live>,
    /// `http.hosts`.
    pub hosts: watch::Sender<Vec<String>>,
    /// `http.language`.
    pub language: watch::Sender<Option<Language>>,
    /// What decides about a talk, for its page.
    pub talk_rules: watch::Sender<Arc<TalkRules>>,
    /// Set if `http.listen` is set.
    metrics: Option<PrometheusHandle>,
    upkeep_at: Instant,
    /// The server at `http.listen`.
    server: JoinSet<()>,
    started: Now,
    clock_watch: ClockWatch,
    summary: Summary,
    lock: InstanceLock,
}

impl<'a> Running<'a> {
    async fn start(
        config: &Config,
        set_level: &'a dyn Fn(Level),
        connection: Connection,
        lock: InstanceLock,
    ) -> Result<Running<'a>, DaemonError> {
        let feeder_state = FeederState::read(&connection)?;
        let backups = Backups::read(&connection)?;
        let found = Publishing::read(&connection)?;
        for (feeder, on) in feeders::enabled(config) {
            crate::store::feeds::note_enabled(&connection, feeder, on).map_err(StoreError::from)?;
        }
        let started = clock::now();
        let worker = worker(config, Work::of(Mode::Run), connection, &lock)?;
        let mut running = Running {
            config: config.clone(),
            set_level,
            backups: Backups::new(config, backups, worker.writer()),
            publishing: Publishing::new(config, worker.writer(), &found),
            worker,
            schedule: Schedule::start().await?,
            sweeps: Ticks::default(),
            feeders: Feeders::default(),
            service: Service::start()?,
            configured_at: started.secs(),
            refused: None,
            live: watch::Sender::new(Live::default()),
            hosts: watch::Sender::new(config.http_hosts.clone()),
            language: watch::Sender::new(config.http_language),
            talk_rules: watch::Sender::new(Arc::new(TalkRules::new(config))),
            metrics: None,
            upkeep_at: started.mono,
            server: JoinSet::new(),
            started,
            clock_watch: ClockWatch::new(started),
            summary: Summary::new(started),
            lock,
        };
        running.set_sweeps().await?;
        running.serve().await?;
        running.feeders.apply(config, &feeder_state, &running.worker, &running.schedule).await?;
        running.backups.apply(config, &running.schedule).await?;
        running.publishing.apply(config).await?;
        tracing::info!(
            "started: mirroring {} into {}, at most {} requests a second",
            config.api.base_url.as_str().trim_end_matches('/'),
            shown(&config.database.display().to_string()),
            config.api.requests_per_second,
        );
        running.log_auto_close();
        running.tick(started);
        let status = running.status();
        running.service.ready(&status);
        Ok(running)
    }

    async fn serve(&mut self) -> Result<(), DaemonError> {
        let Some(address) = self.config.http else { return Ok(()) };
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| DaemonError::Listen { address, source })?;
        let metrics = telemetry::start().map_err(DaemonError::Metrics)?;
        self.metrics = Some(metrics.clone());
        let settings = SiteSettings {
            database: self.config.database.clone(),
            account: self.config.api.base_url.host_str().unwrap_or_default().to_owned(),
            live: self.live.subscribe(),
            webhooks: self.feeders.webhooks(),
            hosts: self.hosts.subscribe(),
            language: self.language.subscribe(),
            talk_rules: self.talk_rules.subscribe(),
            metrics,
        };
        let site = Site::new(settings);
        self.server.spawn(http::serve(listener, Arc::new(site)));
        tracing::info!("the status page is at http://{address}/");
        Ok(())
    }

    pub(super) fn log_auto_close(&self) {
        let auto_close = &self.config.auto_close;
        match auto_close.rules.mode {
            CloseMode::Off => {}
            mode => tracing::info!(
                "auto-close is {mode}: talks {}, at {}",
                shown(&auto_close.rules.stale.to_string()),
                auto_close.schedule
            ),
        }
    }

    /// Requests wait while another host may be working the account.
    fn check_hold(&mut self, now: Now) {
        let may_request = self.publishing.may_request(now);
        self.worker.stand_by(may_request, now);
    }

    /// Runs each second: updates the state for systemd and the status page.
    pub(super) fn tick(&mut self, now: Now) {
        self.check_hold(now);
        let stalled = self.worker.stalled(now);
        if stalled.is_none() {
            self.service.feed_watchdog(now.mono);
        }
        let live = Live {
            status: Some(self.worker.status(now)),
            stalled,
            write_error: self.worker.write_error().map(|(why, _)| why.to_owned()),
            closes: self.config.auto_close.rules.mode != CloseMode::Off,
            token_expires_at: self.worker.token_expires_at(),
            requests_by_minute: self.worker.requests_by_minute(now),
            configured_at: self.configured_at,
            refused: self.refused.clone(),
        };
        self.live.send_replace(live);
        let (counters, started) = (self.worker.counters(), self.started.secs());
        self.service.status(now.mono, || super::service::status(&self.live.borrow(), counters, started));
        self.summary.tick(counters, now);
        if now.mono.saturating_duration_since(self.upkeep_at) >= METRICS_UPKEEP_INTERVAL {
            self.upkeep_at = now.mono;
            // Otherwise the measurements would pile up while nothing reads the metrics.
            if let Some(metrics) = &self.metrics {
                metrics.run_upkeep();
            }
        }
    }

    /// The wall clock jumped by `jump` seconds to `now`. Wall-clock waits start again.
    async fn on_clock_jump(&mut self, now: Now, jump: f64) -> Result<(), DaemonError> {
        let by = duration(number::truncated(jump.abs().round()));
        let to = iso(now.secs());
        match jump < 0.0 {
            true => {
                tracing::info!(
                    "the clock was set back by {by}: it is now {to}, and the schedules use that time"
                );
            }
            false => tracing::info!("the clock was set ahead by {by}, or the machine slept: it is now {to}"),
        }
        // A clock that was set ahead needs none of this: the scheduler ticks once for missed times.
        if jump < 0.0 {
            self.schedule.renew(&mut self.sweeps).await?;
            self.feeders.renew_schedules(&self.schedule).await?;
            self.backups.renew_schedule(&self.schedule).await?;
        }
        let seconds = number::truncated(jump.round());
        self.started.unix += jump;
        self.configured_at = self.configured_at.later_by(seconds);
        self.worker.clock_was_set(seconds, now);
        Ok(())
    }

    /// A removed file cannot be opened again, so writes to it are lost, closings too.
    fn has_lost_its_database(&mut self) -> bool {
        !self.lock.holds(&self.config.database)
    }

    /// The line in `systemctl status`.
    pub(super) fn status(&self) -> String {
        super::service::status(&self.live.borrow(), self.worker.counters(), self.started.secs())
    }

    async fn stop(mut self, worked: Result<(), WorkError>) -> Result<Counters, DaemonError> {
        self.service.stopping();
        let end = clock::mono() + STOP_RECORDS_TIMEOUT;
        self.server.shutdown().await;
        self.schedule.stop().await;
        self.backups.stop().await;
        self.feeders.stop().await;
        let stopped = stop(&mut self.worker, worked).await;
        self.publishing.stop().await;
        self.backups.wait_for_stopped(end).await;
        stopped?;
        let counters = self.worker.counters();
        tracing::info!(
            requests = counters.requests,
            "stopped: {} talks fetched, {} gone, {} failed, {} closed since the start",
            counters.mirrored(),
            counters.gone,
            counters.failed,
            counters.closures.closed,
        );
        Ok(counters)
    }
}
