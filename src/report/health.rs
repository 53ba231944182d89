//! Decides whether the mirror is healthy, and what to do. A pure function of the overview.

mod answers;
pub(crate) mod backup;
mod clock;
mod disk;
pub(crate) mod publish;
mod tokens;
pub(crate) mod wal;

use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::number;
use crate::policy::lanes::Lane;
use crate::report::Overview;
use crate::report::humanize::{self, ago, duration, in_time, lasting};
use crate::store::status::{DaemonStatus, LANES_SPAN, Liveness, Mode};
use serde::Serialize;
use std::time::Duration;

/// Due rows left for this long are reported.
const NEGLECTED: Duration = Duration::from_secs(5 * 60);

/// A daemon stopped for longer than this was not just restarting.
const STOPPED: Duration = Duration::from_secs(15 * 60);

/// If a feeder has had errors for this long and no request succeeded since, the cause is not the feeder.
const SILENT: Duration = Duration::from_secs(2 * 60);

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Complaint {
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    /// What a person can do about it.
    pub action: String,
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
pub(crate) fn obstacles(live: &Live, overview: &Overview, now: UnixSeconds) -> Vec<String> {
    let mut obstacles = Vec::new();
    if let Some(why) = &live.stalled {
        obstacles.push(format!("the daemon makes no progress: {why}"));
    }
    if let Some(why) = &live.write_error {
        obstacles.push(format!("the database cannot be written: {why}"));
    }
    let daemon = live.status.as_ref();
    if let Some(pause) = daemon.and_then(|daemon| daemon.pause.as_ref()) {
        let what = pause.what();
        let next = in_time(pause.until, now);
        obstacles.push(format!("everything pauses: {what} ({}); next probe {next}", pause.detail));
    } else if let Some((unanswered, _)) = daemon.and_then(|daemon| unanswered(daemon, overview, now)) {
        obstacles.push(unanswered);
    }
    obstacles
}

/// The API serves no request, although nothing is paused: what, and what to do.
fn unanswered(
    daemon: &DaemonStatus,
    overview: &Overview,
    now: UnixSeconds,
) -> Option<(String, &'static str)> {
    let lately = |since: &UnixSeconds| {
        now.duration_since(*since) > SILENT && daemon.last_success_at.is_none_or(|at| at < *since)
    };
    let failing_feeders = overview
        .feeders
        .iter()
        .filter(|row| row.enabled)
        .filter_map(|row| Some((row.trouble_since.filter(lately)?, &row.feeder, row.trouble.as_ref()?)));
    let (since, feeder, trouble) = failing_feeders.min()?;
    Some((
        format!("no talk was fetched {}; {feeder}: {trouble}", lasting(since, now)),
        "check the network and api.base_url; if the account offers no lists, use webhooks or begin with \
         `talkmirror backfill --from ID`",
    ))
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
    let mut complain = |what: String, action: &str| {
        complaints.push(Complaint { what, action: action.to_owned() });
    };
    let daemon = overview.daemon.as_ref();
    let running = matches!(alive, Some(Liveness::Running | Liveness::Silent));

    if let Some(daemon) = daemon {
        if let Some(pause) = &daemon.pause {
            let when = if running { "everything pauses" } else { "everything paused when it last ran" };
            let reason = Reason::parse(&pause.reason);
            let what = reason.map_or_else(|| pause.reason.clone(), |reason| reason.to_string());
            complain(
                format!("{when}: {what} ({})", pause.detail),
                match reason {
                    Some(Reason::Unauthorized) => tokens::refused_action(overview),
                    Some(Reason::Unpaid) => {
                        "pay for the account: talkmirror resumes within 15 min by itself, or at once by \
                         `talkmirror resume`"
                    }
                    Some(Reason::Blocked) => {
                        "ask the vendor's support to lift the block; check api.base_url and who else uses this address"
                    }
                    Some(Reason::RateLimited | Reason::Outage | Reason::UnexpectedAnswer) | None
                        if !running =>
                    {
                        "start it again (`talkmirror run` or `talkmirror sync`): it begins with one probe"
                    }
                    Some(Reason::RateLimited) => {
                        "none: talkmirror resumes by itself; if it happens again, lower \
                         api.requests_per_second"
                    }
                    Some(Reason::UnexpectedAnswer) => {
                        "open the address in a browser: is it a maintenance or login page, a firewall, \
                         another domain? Check api.base_url. talkmirror resumes by itself when the API \
                         answers again"
                    }
                    Some(Reason::ManyGone) => {
                        "check in the account whether they were deleted. If so, `talkmirror resume` accepts \
                         that; else check api.base_url and the token's rights"
                    }
                    Some(Reason::Outage) | None => {
                        "none if the vendor has an outage: talkmirror resumes by itself; else check the \
                         network"
                    }
                },
            );
        }
        if alive == Some(Liveness::Silent) {
            complain(
                format!("the daemon has written nothing for {} min", now.seconds_since(daemon.seen_at) / 60),
                "see its journal: is the disk full, or does another program hold the write lock?",
            );
        }
        if let Some(stopped_at) = daemon.stopped_at.filter(|at| {
            alive == Some(Liveness::Stopped) && daemon.mode == Mode::Run && now.duration_since(*at) > STOPPED
        }) {
            complain(
                format!("the daemon was stopped {}, and nothing is kept fresh since", ago(stopped_at, now)),
                "start it again: `systemctl start talkmirror`, or `talkmirror run`",
            );
        }
        if alive == Some(Liveness::Vanished) && daemon.mode == Mode::Run {
            complain(
                "the daemon ended without a clean stop: it was killed, or the machine went down".into(),
                "start it again: nothing is lost",
            );
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
        complain(what, &action);
    }
    if let Some(doubt) = &overview.account.doubt {
        complain(
            format!("the account that answers is not confirmed: {doubt}; 404, 403 and 204 are ignored"),
            "check api.base_url and the token: `talkmirror check` names the account that answers",
        );
    }
    if let Some(stopped) = overview.sweeps.stopped.as_ref().filter(|_| closes) {
        let number = |key: &str| stopped[key].as_i64().unwrap_or_default();
        complain(
            format!(
                "auto-close stopped a sweep {}: {} of {} open talks are stale, more than auto_close.max_share allows",
                ago(UnixSeconds::new(number("at")), now),
                number("stale"),
                number("open"),
            ),
            "see `talkmirror stale`; then change the rules, or run `talkmirror close --yes` to sweep once",
        );
    }
    if let Some(why) = daemon.and_then(|daemon| daemon.not_closing.as_ref()).filter(|_| closes) {
        let dated = daemon.is_some_and(|daemon| daemon.clock_skew.is_some());
        let action = match running {
            _ if !dated => "find out what removes the Date from the API's answers: a proxy?",
            true => "set the clock right (NTP): the daemon notices at the next sweep",
            false => "set the clock right (NTP), and start it again",
        };
        complain(format!("{why}: nothing is closed"), action);
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
        complain(
            format!("{} talks are due and nobody fetches them", queue.due),
            "start the daemon (`talkmirror run`), or `talkmirror sync`",
        );
    }
    if queue.failed > 0 {
        complain(
            format!("{} failed after repeated attempts", humanize::talks(queue.failed)),
            "see `talkmirror queue list --failed`, then `talkmirror queue retry` or `queue drop`",
        );
    }
    complaints
}

/// Each open talk should be fetched again within this time, on average.
const FULL_ROUND: Duration = Duration::from_secs(60 * 60);
/// Due talks that wait longer than this while the daemon runs are reported.
const BACKLOG: Duration = Duration::from_secs(10 * 60);

/// Warns that the last request failed. In a quiet account nothing else may show it for minutes.
fn last_failure(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Complaint> {
    let daemon = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running))?;
    let at = daemon.last_failure_at?;
    let failing = daemon.pause.is_none() && daemon.failing_since.is_some();
    failing.then(|| Complaint {
        what: format!(
            "the last request failed, {}: {}",
            ago(at, now),
            daemon.last_failure.as_deref().unwrap_or("no reason is known")
        ),
        action:
            "none if it was a single one: it is retried; three in a row without an answer pause everything"
                .into(),
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
    found.into_iter().flatten().chain(quota_warnings(overview, alive, now)).collect()
}

/// Warns that the quota is too small, with the `api.requests_per_second` that would do.
fn quota_warnings(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Vec<Complaint> {
    let Some(daemon) = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running)) else {
        return Vec::new();
    };
    if daemon.pause.is_some() || daemon.mode != Mode::Run {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    // Earlier, the lanes' figures show only the first rush.
    let settled = now.duration_since(daemon.started_at) >= LANES_SPAN;
    let rate = |named: &[&str]| {
        let counted = daemon.lanes.iter().filter(|lane| settled && named.contains(&lane.lane.as_str()));
        counted.map(|lane| lane.requests as f64).sum::<f64>() / LANES_SPAN.as_secs_f64()
    };
    let unmirrored = rate(&[Lane::Unmirrored.as_str()]);
    let others = rate(&[Lane::Closing, Lane::Asked, Lane::Hints].map(Lane::as_str)) + unmirrored;
    let used = others + rate(&[Lane::Refresh.as_str()]);
    let allowed = daemon.requests_per_second;
    // Responses take time, so a used-up quota yields no more than it did.
    let (had, cost) = if used > allowed * 0.6 { (used, allowed / used) } else { (allowed, 1.0) };
    let spare = (had - others).max(had * Lane::Refresh.share());
    let quota = |rate: f64| {
        format!(
            "api.requests_per_second = {} (amoCRM allows 7, and sells more in packs)",
            (rate * cost).ceil()
        )
    };
    let refreshes = overview.feeders.iter().any(|row| row.feeder == "refresh" && row.enabled);
    let open = overview.freshness.talks as f64;
    // While talks wait for their first fetch, refreshes get a tenth. Another warning covers that.
    if refreshes && unmirrored == 0.0 && open / spare > FULL_ROUND.as_secs_f64() {
        let round = duration(number::truncated(open / spare));
        warnings.push(Complaint {
            what: format!(
                "the quota cannot keep up: {spare:.1} requests a second are left to refresh {open} open talks, \
                 each every {round} on average"
            ),
            action: format!("{} would refresh them all within an hour", quota(others + open / FULL_ROUND.as_secs_f64())),
        });
    }
    if let Some(oldest) =
        overview.queue.urgent_since.filter(|oldest| settled && now.duration_since(*oldest) > BACKLOG)
    {
        let waiting = overview.queue.urgent;
        let rate = others + waiting as f64 / BACKLOG.as_secs_f64();
        warnings.push(Complaint {
            what: format!(
                "the quota cannot keep up: {} waiting to be fetched that were asked for or hinted at, the first {}",
                talks(waiting),
                lasting(oldest, now)
            ),
            action: format!("none if it happens once; {} would fetch them within 10 min", quota(rate)),
        });
    }
    warnings
}

fn talks(count: i64) -> String {
    match count {
        1 => "1 talk is".into(),
        count => format!("{count} talks are"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
