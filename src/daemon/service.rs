//! Notifications to systemd: ready, reloading, stopping, a status line, and the watchdog while work makes progress.
//!
//! Without systemd ($NOTIFY_SOCKET) all of it does nothing. A manager that does not listen never holds up the daemon.

use super::DaemonError;
use crate::clock::{self, UnixSeconds};
use crate::report::health::Live;
use crate::text::shown;
use crate::worker::Counters;
use sd_notify::NotifyState;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// While the database is migrated or waited for, systemd waits so long from the last sign of life.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Before it is ready, a message waits so long for room in the manager's queue.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// A status line is sent so often at most.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// systemd takes lines of a few KiB.
const LONGEST_STATUS: usize = 1000;

/// The service manager, as far as it listens.
#[derive(Debug)]
pub(super) struct Service {
    notifier: ServiceNotifier,
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
        let notifier = ServiceNotifier::to(std::env::var_os("NOTIFY_SOCKET")).map_err(DaemonError::Notify)?;
        Ok(Service { notifier, feed_every, fed_at: None, status: String::new(), status_at: None })
    }

    /// A long step before the daemon is ready still runs. This waits a while for a manager that does not listen:
    /// without the message it may end the start.
    pub(super) fn starting(what: &str) {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
        let patience =
            NotifyState::ExtendTimeoutUsec(u32::try_from(START_PATIENCE.as_micros()).unwrap_or(u32::MAX));
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_write_timeout(Some(ROOM_PATIENCE))?;
            socket.send_to(message(&[patience, NotifyState::Status(what)]).as_bytes(), path)
        });
        if let Err(error) = sent {
            warn(&error);
        }
    }

    pub(super) fn ready(&mut self, status: &str) {
        let status = line(status);
        self.notifier.notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.status = status;
    }

    pub(super) fn reloading(&mut self) {
        // systemd 253 and later wants the time with it; earlier ones ignore that.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notifier.notify(&[NotifyState::Reloading, now]),
            Err(_) => self.notifier.notify(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping(&mut self) {
        let status = NotifyState::Status("stopping: finishing what is under way");
        self.notifier.notify(&[NotifyState::Stopping, status]);
    }

    /// Shows a line in `systemctl status`, if it is another one; and sends what the manager had no room for.
    pub(super) fn status(&mut self, now: Instant, status: impl FnOnce() -> String) {
        self.notifier.flush();
        if self.status_at.is_some_and(|at| now.saturating_duration_since(at) < STATUS_EVERY) {
            return;
        }
        self.status_at = Some(now);
        let status = line(&status());
        if status != self.status && self.notifier.try_notify(&[NotifyState::Status(&status)]) {
            self.status = status;
        }
    }

    /// Feeds the watchdog. Called only where work has gone on.
    pub(super) fn feed_watchdog(&mut self, now: Instant) {
        let Some(every) = self.feed_every else { return };
        let is_due = self.fed_at.is_none_or(|at| now.saturating_duration_since(at) >= every);
        if is_due && self.notifier.try_notify(&[NotifyState::Watchdog]) {
            self.fed_at = Some(now);
        }
    }
}

/// How it goes, in a line for `systemctl status`.
pub(super) fn status(live: &Live, counters: Counters, started: UnixSeconds) -> String {
    let mut parts = Vec::new();
    if let Some(mistakes) = &live.refused {
        parts.push(format!("NEW CONFIGURATION REFUSED, the old one stays in force: {mistakes}"));
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
            parts.push(format!("LAST REQUEST FAILED at {}: {failure}", time(at)));
        }
        let last = status.last_success_at.map_or("none yet".into(), time);
        parts.push(format!(
            "{:.1} of {:.1} requests a second, last success {last}",
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
fn time(at: UnixSeconds) -> String {
    let today = clock::unix_now().start_of_day() == at.start_of_day();
    clock::written(at, if today { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M UTC" })
}

/// A status is one line.
fn line(status: &str) -> String {
    shown(status).chars().take(LONGEST_STATUS).collect()
}

fn warn(error: &io::Error) {
    tracing::warn!("cannot notify systemd at $NOTIFY_SOCKET: {error}");
}

/// Sends datagrams and never waits. The manager's queue is full if it does not listen for a while; what may not be
/// lost is kept until there is room.
#[derive(Debug)]
struct ServiceNotifier {
    /// `None` if there is no manager to notify.
    socket: Option<(UnixDatagram, OsString)>,
    /// What there was no room for, oldest first: no more than what a start, a reload each and a stop send.
    unsent: VecDeque<String>,
    has_failed: bool,
}

impl ServiceNotifier {
    fn to(path: Option<OsString>) -> io::Result<ServiceNotifier> {
        let socket = match path {
            Some(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Some((socket, path))
            }
            None => None,
        };
        Ok(ServiceNotifier { socket, unsent: VecDeque::new(), has_failed: false })
    }

    /// Sends a change of state, if need be later.
    fn notify(&mut self, states: &[NotifyState<'_>]) {
        self.unsent.push_back(message(states));
        self.flush();
    }

    /// Sends what is repeated anyway. False if there was no room.
    fn try_notify(&mut self, states: &[NotifyState<'_>]) -> bool {
        self.flush() && self.send(&message(states))
    }

    /// Sends what there was no room for. False if there still is none.
    fn flush(&mut self) -> bool {
        while let Some(message) = self.unsent.pop_front() {
            if !self.send(&message) {
                self.unsent.push_front(message);
                return false;
            }
        }
        true
    }

    /// False if there is no room. A manager that is not there will not be there later: that is logged once.
    fn send(&mut self, message: &str) -> bool {
        let Some((socket, path)) = &self.socket else { return true };
        match socket.send_to(message.as_bytes(), path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                warn(&error);
            }
            Ok(_) | Err(_) => {}
        }
        true
    }
}

fn message(states: &[NotifyState<'_>]) -> String {
    states.iter().map(|state| format!("{state}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_state_is_sent_once_there_is_room_and_a_sign_of_life_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let received = || {
            let mut message = [0; 100];
            let length = manager.recv(&mut message).ok()?;
            Some(String::from_utf8_lossy(&message[..length]).into_owned())
        };
        let mut service = Service {
            notifier: ServiceNotifier::to(Some(path.into())).unwrap(),
            feed_every: Some(Duration::ZERO),
            fed_at: None,
            status: String::new(),
            status_at: None,
        };
        while service.notifier.try_notify(&[NotifyState::Custom("OTHER=1")]) {}
        let now = clock::mono();
        service.ready("well");
        service.feed_watchdog(now);
        service.status(now, || "better".into());
        while let Some(message) = received() {
            assert_eq!(message, "OTHER=1\n", "there was no room");
        }
        // A line that was shown a moment ago is not sent again.
        service.status(now, || unreachable!());
        assert_eq!(received().unwrap(), "READY=1\nSTATUS=well\n");
        assert_eq!(received(), None);
        service.feed_watchdog(now);
        service.status(now + STATUS_EVERY, || "better".into());
        assert_eq!([received(), received()].map(Option::unwrap), ["WATCHDOG=1\n", "STATUS=better\n"]);
    }

    #[test]
    fn a_status_is_one_line_and_no_endless_one() {
        assert_eq!(line("two\nMAINPID=1\u{1b}[2J"), r"two\nMAINPID=1\u{1b}[2J");
        assert_eq!(line(&"ж".repeat(5000)).chars().count(), LONGEST_STATUS);
    }
}
