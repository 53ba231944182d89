//! `daemon_status`: the state of the process that works the queue, for all readers of the database.

use super::StoreError;
use super::named::bind_by_name;
use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::language::Message;
use crate::named::named;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};
use std::fmt;
use std::path::Path;
use std::time::Duration;

named! {
    /// Which command works the queue.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Mode {
        Run = "run",
        Sync = "sync",
        Close = "close",
    }
}

bind_by_name!(Mode);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one row of `daemon_status`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DaemonStatus {
    pub mode: Mode,
    pub version: String,
    pub pid: u32,
    pub started_at: UnixSeconds,
    pub stopped_at: Option<UnixSeconds>,
    pub seen_at: UnixSeconds,
    pub last_success_at: Option<UnixSeconds>,
    pub last_failure_at: Option<UnixSeconds>,
    pub last_failure: Option<String>,
    /// Since when no request succeeded. `None` if the last one did.
    pub failing_since: Option<UnixSeconds>,
    pub pause: Option<PauseStatus>,
    /// Until when requests leave by the strict rule that follows a 429; see [`crate::gate`].
    pub strict_until: Option<UnixSeconds>,
    /// The allowed requests per second.
    pub requests_per_second: f64,
    /// Requests per second, mean of the last minute.
    pub request_rate: f64,
    /// Seconds that this machine's clock is ahead of the API's, if known.
    pub clock_skew: Option<i64>,
    /// Why nothing may be closed, if the clock is wrong.
    pub not_closing: Option<String>,
    /// The size of the WAL.
    pub wal_bytes: Option<i64>,
    /// Since when a reader holds it back, …
    pub wal_held_since: Option<UnixSeconds>,
    /// … and who that is, if known.
    pub wal_held_by: Option<String>,
    /// How the requests of the last five minutes were shared, most urgent lane first.
    pub lanes: Vec<LaneRequests>,
}

/// The lanes' requests are counted over this time.
pub(crate) const LANES_SPAN: Duration = Duration::from_secs(5 * 60);

/// A row of `lanes`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LaneRequests {
    pub lane: String,
    /// Requests in the five minutes before [`DaemonStatus::seen_at`].
    pub requests: i64,
}

/// A stored pause.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PauseStatus {
    /// The name by [`crate::gate::Reason::as_str`].
    pub reason: String,
    /// The response that began it.
    pub detail: String,
    pub since: UnixSeconds,
    /// When the next probe may leave.
    pub until: UnixSeconds,
}

impl PauseStatus {
    /// Why everything pauses, for people. Another version may know other reasons: those are shown as they are.
    pub(crate) fn what(&self) -> Message {
        Reason::parse(&self.reason).map_or_else(|| Message::verbatim(&self.reason), Reason::message)
    }
}

/// A process without a sign of life for this long is silent. It writes one each minute.
const SILENT: Duration = Duration::from_secs(150);

/// Whether the process that wrote the status is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It runs.
    Running,
    /// It is alive, but has written nothing for long.
    Silent,
    /// It stopped cleanly.
    Stopped,
    /// It ended without writing so.
    Vanished,
}

impl DaemonStatus {
    /// Judges by the row and the lock beside the database. `held` is [`super::lock::is_held`].
    pub fn liveness(&self, held: Option<bool>, now: UnixSeconds) -> Liveness {
        // A sign of life in the future is from before the clock was set back.
        let silent = now.seconds_since(self.seen_at).unsigned_abs() >= SILENT.as_secs();
        match (held, self.stopped_at) {
            (Some(true), _) if silent => Liveness::Silent,
            (Some(true), _) => Liveness::Running,
            (_, Some(_)) => Liveness::Stopped,
            (None, None) if !silent => Liveness::Running,
            (_, None) => Liveness::Vanished,
        }
    }

    /// The daemon (`run`) that holds the lock, if it wrote the row. `holder` is [`super::lock::lock_holder`]. A
    /// process that is starting still finds its predecessor's row.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of_daemon(database: &Path, holder: &str) -> Result<Option<DaemonStatus>, StoreError> {
        let connection = match super::open_read_only(database) {
            // It is being created or migrated.
            Err(StoreError::Missing(_) | StoreError::Older { .. }) => return Ok(None),
            opened => opened?,
        };
        let status = DaemonStatus::read(&connection)?;
        Ok(status.filter(|status| {
            status.mode == Mode::Run && status.stopped_at.is_none() && status.pid.to_string() == holder
        }))
    }

    /// Replaces the row.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let pause = self.pause.as_ref();
        tx.prepare_cached(
            "INSERT OR REPLACE INTO daemon_status (
                 id, mode, version, pid, started_at, stopped_at, seen_at, last_success_at,
                 last_failure_at, last_failure, failing_since, pause_reason, pause_detail, paused_at, pause_until,
                 strict_until, requests_per_second, request_rate, clock_skew, not_closing,
                 wal_bytes, wal_held_since, wal_held_by, known_talks, mirrored_talks, complete, complete_at)
             VALUES (1, :mode, :version, :pid, :started_at, :stopped_at, :seen_at, :last_success_at,
                 :last_failure_at, :last_failure, :failing_since, :pause_reason, :pause_detail, :paused_at, :pause_until,
                 :strict_until, :requests_per_second, :request_rate, :clock_skew, :not_closing,
                 :wal_bytes, :wal_held_since, :wal_held_by,
                 (SELECT known_talks FROM daemon_status), (SELECT mirrored_talks FROM daemon_status),
                 (SELECT complete FROM daemon_status), (SELECT complete_at FROM daemon_status))",
        )?
        .execute(named_params! {
            ":mode": self.mode,
            ":version": self.version,
            ":pid": self.pid,
            ":started_at": self.started_at,
            ":stopped_at": self.stopped_at,
            ":seen_at": self.seen_at,
            ":last_success_at": self.last_success_at,
            ":last_failure_at": self.last_failure_at,
            ":last_failure": self.last_failure,
            ":failing_since": self.failing_since,
            ":pause_reason": pause.map(|pause| &pause.reason),
            ":pause_detail": pause.map(|pause| &pause.detail),
            ":paused_at": pause.map(|pause| pause.since),
            ":pause_until": pause.map(|pause| pause.until),
            ":strict_until": self.strict_until,
            ":requests_per_second": self.requests_per_second,
            ":request_rate": self.request_rate,
            ":clock_skew": self.clock_skew,
            ":not_closing": self.not_closing,
            ":wal_bytes": self.wal_bytes,
            ":wal_held_since": self.wal_held_since,
            ":wal_held_by": self.wal_held_by,
        })?;
        let mut share =
            tx.prepare_cached("INSERT OR REPLACE INTO lanes (place, lane, requests) VALUES (?1, ?2, ?3)")?;
        for (place, LaneRequests { lane, requests }) in (0i64..).zip(&self.lanes) {
            share.execute((place, lane, requests))?;
        }
        Ok(())
    }

    /// Reads the row, if a process has written it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<Option<DaemonStatus>> {
        let lanes = connection
            .prepare_cached("SELECT lane, requests FROM lanes ORDER BY place")?
            .query_map([], |row| Ok(LaneRequests { lane: row.get(0)?, requests: row.get(1)? }))?
            .collect::<rusqlite::Result<_>>()?;
        let status = connection
            .prepare_cached("SELECT * FROM daemon_status WHERE id = 1")?
            .query_row([], |row| {
                let reason: Option<String> = row.get("pause_reason")?;
                let pause = match reason {
                    None => None,
                    Some(reason) => Some(PauseStatus {
                        reason,
                        detail: row.get::<_, Option<_>>("pause_detail")?.unwrap_or_default(),
                        since: row.get::<_, Option<_>>("paused_at")?.unwrap_or_default(),
                        until: row.get::<_, Option<_>>("pause_until")?.unwrap_or_default(),
                    }),
                };
                Ok(DaemonStatus {
                    // Of a version that knows others it is the one that works the queue.
                    mode: Mode::parse(&row.get::<_, String>("mode")?).unwrap_or(Mode::Run),
                    version: row.get("version")?,
                    pid: row.get("pid")?,
                    started_at: row.get("started_at")?,
                    stopped_at: row.get("stopped_at")?,
                    seen_at: row.get("seen_at")?,
                    last_success_at: row.get("last_success_at")?,
                    last_failure_at: row.get("last_failure_at")?,
                    last_failure: row.get("last_failure")?,
                    failing_since: row.get("failing_since")?,
                    pause,
                    strict_until: row.get("strict_until")?,
                    requests_per_second: row.get("requests_per_second")?,
                    request_rate: row.get("request_rate")?,
                    clock_skew: row.get("clock_skew")?,
                    not_closing: row.get("not_closing")?,
                    wal_bytes: row.get("wal_bytes")?,
                    wal_held_since: row.get("wal_held_since")?,
                    wal_held_by: row.get("wal_held_by")?,
                    lanes: Vec::new(),
                })
            })
            .optional()?;
        Ok(status.map(|status| DaemonStatus { lanes, ..status }))
    }
}
