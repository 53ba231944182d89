//! What systemd is told: ready, reloading, stopping, a line on how it goes, and that work goes on.
//!
//! Without systemd ($NOTIFY_SOCKET) all of it does nothing.

use super::DaemonError;
use crate::clock;
use crate::report::health::Live;
use crate::text::shown;
use crate::worker::Counters;
use sd_notify::NotifyState;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// While the database is migrated or waited for, systemd waits so long from the last sign of life.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// A status line is sent so often at most.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// systemd takes lines of a few KiB.
const LONGEST_STATUS: usize = 1000;

/// The service manager, as far as it listens.
#[derive(Debug)]
pub(super) struct Service {
    teller: Teller,
    /// How often the watchdog is fed, where there is one.
    feed_every: Option<Duration>,
    fed_at: Option<Instant>,
    status: String,
    status_at: Option<Instant>,
}

impl Service {
    pub(super) fn start() -> Result<Service, DaemonError> {
        // As systemd advises, twice as often as it must be; and once more for good measure.
        let feed_every = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        let teller = Teller::start().map_err(DaemonError::Thread)?;
        Ok(Service { teller, feed_every, fed_at: None, status: String::new(), status_at: None })
    }

    /// What takes long before it is ready is under way, and goes on.
    pub(super) fn starting(what: &str) {
        tell(&[NotifyState::ExtendTimeoutUsec(START_PATIENCE.as_micros() as u32), NotifyState::Status(what)]);
    }

    pub(super) fn ready(&mut self, status: &str) {
        let status = line(status);
        self.teller.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.status = status;
    }

    pub(super) fn reloading(&self) {
        // systemd 253 and later wants the time with it; earlier ones ignore that.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.teller.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.teller.tell(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping(&self) {
        self.teller
            .tell(&[NotifyState::Stopping, NotifyState::Status("stopping: finishing what is under way")]);
    }

    /// Shows a line in `systemctl status`, when it is another one.
    pub(super) fn status(&mut self, now: Instant, status: impl FnOnce() -> String) {
        if self.status_at.is_some_and(|at| now.saturating_duration_since(at) < STATUS_EVERY) {
            return;
        }
        self.status_at = Some(now);
        let status = line(&status());
        if status != self.status {
            self.teller.tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// Feeds the watchdog. Called only where work has gone on.
    pub(super) fn feed_watchdog(&mut self, now: Instant) {
        let Some(every) = self.feed_every else { return };
        if self.fed_at.is_none_or(|at| now.saturating_duration_since(at) >= every) {
            self.fed_at = Some(now);
            self.teller.tell(&[NotifyState::Watchdog]);
        }
    }
}

/// How it goes, in a line for `systemctl status`; `started` is in Unix seconds.
pub(super) fn status(live: &Live, counters: Counters, started: i64) -> String {
    let mut parts = Vec::new();
    if let Some(mistakes) = &live.refused {
        parts.push(format!("NEW CONFIGURATION REFUSED, the old one stays: {mistakes}"));
    }
    if let Some(why) = &live.stalled {
        parts.push(format!("NO PROGRESS: {why}"));
    }
    if let Some(why) = &live.write_error {
        parts.push(format!("CANNOT WRITE THE DATABASE: {why}"));
    }
    if let Some(status) = &live.status {
        if let Some(pause) = &status.pause {
            let what = pause.what();
            let (since, next) = (time(pause.since), time(pause.until));
            parts.push(format!("PAUSED since {since}: {what} ({}); next probe at {next}", pause.detail));
        }
        let failed = status.last_failure_at.filter(|at| status.last_success_at.is_none_or(|good| good < *at));
        if let (None, Some(at), Some(failure)) = (&status.pause, failed, &status.last_failure) {
            parts.push(format!("LAST ANSWER BAD at {}: {failure}", time(at)));
        }
        let last = status.last_success_at.map_or("none yet".into(), time);
        parts.push(format!(
            "{:.1} of {:.1} requests a second, last good answer {last}",
            status.request_rate, status.requests_per_second
        ));
    }
    parts.push(format!(
        "{} talks fetched and {} closed since {}",
        counters.mirrored(),
        counters.closures.closed,
        time(started)
    ));
    parts.join("; ")
}

/// `09:12:05 UTC`, with the day where it is not today.
fn time(at: i64) -> String {
    let today = clock::unix_now() / 86_400 == at / 86_400;
    clock::written(at, if today { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M UTC" })
}

/// A status is one line.
fn line(status: &str) -> String {
    shown(status).chars().take(LONGEST_STATUS).collect()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell systemd how it goes, at $NOTIFY_SOCKET: {error}");
    }
}

/// A thread that tells: a manager that doesn't listen for a while holds its teller up, and must not hold up
/// the daemon.
#[derive(Debug)]
struct Teller {
    messages: Option<mpsc::SyncSender<String>>,
    ended: mpsc::Receiver<()>,
}

/// Messages that wait at most; those beyond are left out, as news that is old.
const WAITING: usize = 64;
/// At the end so long is waited for the last of them.
const PATIENCE: Duration = Duration::from_secs(1);

impl Teller {
    fn start() -> io::Result<Teller> {
        let (end, ended) = mpsc::channel();
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Ok(Teller { messages: None, ended });
        }
        let (messages, inbox) = mpsc::sync_channel::<String>(WAITING);
        let work = move || {
            let mut failed = false;
            for message in inbox {
                match sd_notify::notify(&[NotifyState::Custom(&message)]) {
                    Err(error) if !failed => {
                        failed = true;
                        tracing::warn!("cannot tell systemd how it goes, at $NOTIFY_SOCKET: {error}");
                    }
                    _ => {}
                }
            }
            let _ = end.send(());
        };
        thread::Builder::new().name("notify".into()).spawn(work)?;
        Ok(Teller { messages: Some(messages), ended })
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        if let Some(messages) = &self.messages {
            let _ = messages.try_send(lines.join("\n"));
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.messages = None;
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_no_endless_one() {
        assert_eq!(line("two\nMAINPID=1\u{1b}[2J"), r"two\nMAINPID=1\u{1b}[2J");
        assert_eq!(line(&"ж".repeat(5000)).chars().count(), LONGEST_STATUS);
    }
}
