//! Decides whether the mirror is healthy, and what to do. A pure function of the overview.

mod answers;
pub(crate) mod backup;
mod clock;
mod disk;
pub(crate) mod publish;
mod quota;
mod tokens;
pub(crate) mod wal;

use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::language::{Message, ago, in_time, lasting};
use crate::policy::closing;
use crate::report::{Overview, humanize};
use crate::store::status::{DaemonStatus, Liveness, Mode, PauseStatus};
use serde::Serialize;
use std::time::Duration;

/// Due rows left for this long are reported.
const NEGLECTED: Duration = Duration::from_secs(5 * 60);

/// A daemon stopped for longer than this was not just restarting.
const STOPPED: Duration = Duration::from_secs(15 * 60);

/// If a feeder has had errors for this long and no request succeeded since, the cause is not the feeder.
const SILENT: Duration = Duration::from_secs(2 * 60);

/// A problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Complaint {
    /// What is wrong, as a sentence without a full stop.
    pub what: Message,
    /// What a person can do about it.
    pub action: Message,
}

/// The current state of the process, which the database does not have or not as fresh.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Live {
    /// The current `daemon_status`.
    pub status: Option<DaemonStatus>,
    /// Why the process makes no progress.
    pub stalled: Option<String>,
    /// Why the database cannot be written.
    pub write_error: Option<String>,
    /// Auto-close is on.
    pub closes: bool,
    /// When the token expires, if known.
    pub token_expires_at: Option<UnixSeconds>,
    /// Requests in each of the last minutes. The current minute is last.
    pub requests_by_minute: Vec<u32>,
    /// When a configuration was last applied.
    pub configured_at: UnixSeconds,
    /// Why a newer configuration was refused: all its mistakes.
    pub refused: Option<String>,
}

/// Why the daemon cannot work. Empty if it can.
pub(crate) fn obstacles(live: &Live, overview: &Overview, now: UnixSeconds) -> Vec<Message> {
    let mut obstacles = Vec::new();
    if let Some(why) = &live.stalled {
        obstacles.push(Message::new("what-stalled").with("why", why.as_str()));
    }
    if let Some(why) = &live.write_error {
        obstacles.push(Message::new("what-write-error").with("why", why.as_str()));
    }
    let daemon = live.status.as_ref();
    if let Some(pause) = daemon.and_then(|daemon| daemon.pause.as_ref()) {
        let next = in_time(pause.until, now);
        obstacles.push(Message::new("what-probes").with("pause", paused(pause, true)).with("time", next));
    } else if let Some((unanswered, _)) = daemon.and_then(|daemon| unanswered(daemon, overview, now)) {
        obstacles.push(unanswered);
    }
    obstacles
}

fn paused(pause: &PauseStatus, running: bool) -> Message {
    let message = if running { Message::new("what-pauses") } else { Message::new("what-paused") };
    message.with("why", pause.what()).with("detail", pause.detail.as_str())
}

/// Why nothing is closed: the clock, as the daemon found it.
pub(crate) fn not_closing(daemon: &DaemonStatus) -> Option<Message> {
    let stored = daemon.not_closing.as_ref()?;
    Some(closing::clock_obstacle(daemon.clock_skew).unwrap_or_else(|| Message::verbatim(stored)))
}

/// The API serves no request, although nothing is paused: what, and what to do.
fn unanswered(daemon: &DaemonStatus, overview: &Overview, now: UnixSeconds) -> Option<(Message, Message)> {
    let lately = |since: &UnixSeconds| {
        now.duration_since(*since) > SILENT && daemon.last_success_at.is_none_or(|at| at < *since)
    };
    let failing_feeders = overview
        .feeders
        .iter()
        .filter(|row| row.enabled)
        .filter_map(|row| Some((row.trouble_since.filter(lately)?, &row.feeder, row.trouble.as_ref()?)));
    let (since, feeder, trouble) = failing_feeders.min()?;
    let what = Message::new("what-unanswered")
        .with("time", lasting(since, now))
        .with("feeder", humanize::feeder(feeder))
        .with("error", trouble.as_str());
    Some((what, Message::new("do-unanswered")))
}

/// All problems, the most serious first. Empty if the mirror is healthy.
///
/// `alive` is the state of the process that works the queue, if there ever was one. `closes` means that auto-close
/// is on.
pub(crate) fn complaints(
    overview: &Overview,
    alive: Option<Liveness>,
    closes: bool,
    now: UnixSeconds,
) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |what: Message, action: Message| complaints.push(Complaint { what, action });
    let daemon = overview.daemon.as_ref();
    let running = matches!(alive, Some(Liveness::Running | Liveness::Silent));

    if let Some(daemon) = daemon {
        if let Some(pause) = &daemon.pause {
            complain(paused(pause, running), pause_action(pause, overview, running));
        }
        if alive == Some(Liveness::Silent) {
            let minutes = now.seconds_since(daemon.seen_at) / 60;
            complain(Message::new("what-silent").with("minutes", minutes), Message::new("do-silent"));
        }
        if let Some(stopped_at) = daemon.stopped_at.filter(|at| {
            alive == Some(Liveness::Stopped) && daemon.mode == Mode::Run && now.duration_since(*at) > STOPPED
        }) {
            let what = Message::new("what-stopped").with("time", ago(stopped_at, now));
            complain(what, Message::new("do-start"));
        }
        if alive == Some(Liveness::Vanished) && daemon.mode == Mode::Run {
            complain(Message::new("what-vanished"), Message::new("do-start-again"));
        }
    }
    let found = [
        tokens::complaint(overview, now),
        disk::complaint(overview, now),
        wal::complaint(overview, alive, now),
        backup::complaint(&overview.backup, now),
        publish::complaint(overview, alive, now),
    ];
    for Complaint { what, action } in found.into_iter().flatten() {
        complain(what, action);
    }
    if let Some(doubt) = &overview.account.doubt {
        let what = Message::new("what-account").with("why", doubt.as_str());
        complain(what, Message::new("do-account"));
    }
    if let Some(stopped) = overview.sweeps.stopped.as_ref().filter(|_| closes) {
        let number = |key: &str| stopped[key].as_i64().unwrap_or_default();
        let what = Message::new("what-max-share")
            .with("time", ago(UnixSeconds::new(number("at")), now))
            .with("stale", number("stale"))
            .with("open", number("open"));
        complain(what, Message::new("do-max-share"));
    }
    if let Some((daemon, why)) =
        daemon.and_then(|daemon| Some((daemon, not_closing(daemon)?))).filter(|_| closes)
    {
        let action = match running {
            _ if daemon.clock_skew.is_none() => Message::new("do-clock-unknown"),
            true => Message::new("do-clock"),
            false => Message::new("do-clock-start"),
        };
        complain(Message::new("what-not-closing").with("why", why), action);
    }
    let unpaused = daemon.filter(|daemon| running && daemon.pause.is_none());
    if let Some((what, action)) = unpaused.and_then(|daemon| unanswered(daemon, overview, now)) {
        complain(what, action);
    }
    let queue = &overview.queue;
    if !running
        && let Some(oldest) = queue.oldest_due_at
        && now.duration_since(oldest) > NEGLECTED
    {
        complain(Message::new("what-neglected").with("number", queue.due), Message::new("do-neglected"));
    }
    if queue.failed > 0 {
        complain(Message::new("what-failed").with("number", queue.failed), Message::new("do-failed"));
    }
    complaints
}

/// What to do about a pause.
fn pause_action(pause: &PauseStatus, overview: &Overview, running: bool) -> Message {
    match Reason::parse(&pause.reason) {
        Some(Reason::Unauthorized) => tokens::refused_action(overview),
        Some(Reason::Unpaid) => Message::new("do-unpaid"),
        Some(Reason::Blocked) => Message::new("do-blocked"),
        Some(Reason::RateLimited | Reason::Outage | Reason::UnexpectedAnswer) | None if !running => {
            Message::new("do-start-with-probe")
        }
        Some(Reason::RateLimited) => Message::new("do-rate-limited"),
        Some(Reason::UnexpectedAnswer) => Message::new("do-unexpected-answer"),
        Some(Reason::ManyGone) => Message::new("do-many-gone"),
        Some(Reason::Outage) | None => Message::new("do-outage"),
    }
}

/// Warns that the last request failed. In a quiet account nothing else may show it for minutes.
fn last_failure(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Complaint> {
    let daemon = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running))?;
    let at = daemon.last_failure_at?;
    let failing = daemon.pause.is_none() && daemon.failing_since.is_some();
    failing.then(|| {
        let why = daemon.last_failure.as_ref().map_or_else(|| Message::new("no-reason"), Message::verbatim);
        let what = Message::new("what-last-failure").with("time", ago(at, now)).with("why", why);
        Complaint { what, action: Message::new("do-last-failure") }
    })
}

/// Warnings about a healthy mirror: the clock was wrong, the token expires soon, the disk fills, a reader holds the
/// WAL back, talks are not published, or the quota is too small.
pub(crate) fn warnings(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Vec<Complaint> {
    let found = [
        last_failure(overview, alive, now),
        answers::without_missed_at(overview),
        answers::odd_fields(overview),
        clock::warning(overview, now),
        tokens::warning(overview, now),
        disk::warning(overview, now),
        wal::warning(overview, alive, now),
        publish::warning(overview, alive),
    ];
    found.into_iter().flatten().chain(quota::warnings(overview, alive, now)).collect()
}

#[cfg(test)]
pub(crate) mod tests;
