//! Is the mirror healthy, and what is there to do? A pure function over what the
//! database says.

use crate::clock::span;
use crate::gate::Reason;
use crate::policy::lanes::LEAST_SHARE;
use crate::store::report::Overview;
use crate::store::status::{LANES_SECONDS, Liveness};
use serde::Serialize;

/// Due rows that nothing works for so long, in seconds, are noticed.
const NEGLECT: i64 = 5 * 60;

/// A feeder's trouble for so long, in seconds, with no answer of use since, is no trouble of the feeder.
const MUTE: i64 = 2 * 60;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// What is wrong, in a sentence without an end.
    pub what: String,
    /// What a person can do about it.
    pub action: String,
}

/// Everything that is wrong, the gravest first; nothing where the mirror is healthy.
///
/// `alive` is that of the process that works the queue, if one ever did; `closes` says whether
/// auto-close is on.
pub fn complaints(overview: &Overview, alive: Option<Liveness>, closes: bool, now: i64) -> Vec<Complaint> {
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
                    Some(Reason::Unauthorized) => {
                        "put a valid token into api.token_file: it is taken up by itself"
                    }
                    Some(Reason::Unpaid) => "pay for the account: work goes on within 15 min by itself",
                    Some(Reason::Blocked) => {
                        "ask the vendor's support to lift the block; check api.base_url and who else uses this address"
                    }
                    Some(Reason::RateLimited | Reason::Outage) | None if !running => {
                        "start it again (`talkmirror run` or `talkmirror sync`): it begins with one probe"
                    }
                    Some(Reason::RateLimited) => {
                        "none: work goes on by itself; lower api.requests_per_second if it comes again"
                    }
                    Some(Reason::Outage) | None => {
                        "none where the vendor has an outage: work goes on by itself; else check the network"
                    }
                },
            );
        }
        if alive == Some(Liveness::Silent) {
            complain(
                format!("the daemon has written nothing for {} min", (now - daemon.seen_at) / 60),
                "see its log: is the disk full, or does another program hold the write lock?",
            );
        }
        if alive == Some(Liveness::Vanished) && daemon.mode == "run" {
            complain(
                "the daemon ended without a word: killed, or the machine went down".into(),
                "start it again: nothing is lost",
            );
        }
    }
    if let Some(stopped) = overview.sweeps.stopped.as_ref().filter(|_| closes) {
        let number = |key: &str| stopped[key].as_i64().unwrap_or_default();
        complain(
            format!(
                "auto-close stopped a sweep {} ago: {} of {} open talks are stale, more than auto_close.max_share allows",
                span(now - number("at")),
                number("stale"),
                number("open"),
            ),
            "look at `talkmirror stale`; then change the rules, or run `talkmirror close --yes` to sweep once",
        );
    }
    if let Some(why) = daemon.and_then(|daemon| daemon.not_closing.as_ref()).filter(|_| closes) {
        let dated = daemon.is_some_and(|daemon| daemon.clock_skew.is_some());
        let action = match running {
            _ if !dated => "find out what takes the Date out of the API's answers: a proxy in between?",
            true => "set the clock right (NTP): it is noticed by itself at the next sweep",
            false => "set the clock right (NTP), and start it again",
        };
        complain(format!("{why}: nothing is closed"), action);
    }
    if let Some(daemon) = daemon.filter(|daemon| running && daemon.pause.is_none()) {
        let unanswered =
            |since: &i64| now - since > MUTE && daemon.last_success_at.is_none_or(|at| at < *since);
        let troubled = overview.feeders.iter().filter(|row| row.enabled).filter_map(|row| {
            Some((row.trouble_since.filter(unanswered)?, &row.feeder, row.trouble.as_ref()?))
        });
        if let Some((since, feeder, trouble)) = troubled.min() {
            complain(
                format!("no talk was fetched for {}; {feeder}: {trouble}", span(now - since)),
                "check the network and api.base_url; where the account serves no lists, take hooks or begin with \
                 `talkmirror backfill --from ID`",
            );
        }
    }
    let queue = &overview.queue;
    if !running
        && let Some(oldest) = queue.oldest_due_at
        && now - oldest > NEGLECT
    {
        complain(
            format!("{} talks are due and nobody fetches them", queue.due),
            "start the daemon (`talkmirror run`), or `talkmirror sync`",
        );
    }
    if queue.failed > 0 {
        complain(
            format!("{} set aside after repeated failures", talks(queue.failed)),
            "look at `talkmirror queue list --failed`, then `talkmirror queue retry` or `queue drop`",
        );
    }
    complaints
}

/// In seconds: every open talk is to be fetched again within this, on average.
const ROUND: f64 = 60.0 * 60.0;
/// Due talks that wait for longer, in seconds, while the daemon is at work.
const BACKLOG: i64 = 10 * 60;

/// What a person should know, where the mirror is healthy all the same: the quota cannot keep up.
/// Each with the `api.requests_per_second` that would.
pub fn warnings(overview: &Overview, alive: Option<Liveness>, now: i64) -> Vec<Complaint> {
    let Some(daemon) = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running)) else {
        return Vec::new();
    };
    if daemon.pause.is_some() || daemon.mode != "run" {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    // Before, the lanes' figures would be of the first rush.
    let settled = now - daemon.started_at >= LANES_SECONDS;
    let rate = |named: &[&str]| {
        let counted = daemon.lanes.iter().filter(|lane| settled && named.contains(&lane.lane.as_str()));
        counted.map(|lane| lane.requests as f64).sum::<f64>() / LANES_SECONDS as f64
    };
    let others = rate(&["closing", "asked", "hints"]);
    let used = others + rate(&["refresh", "backfill"]);
    let allowed = daemon.requests_per_second;
    // Answers take their time: of a quota that is used up no more can be had than was.
    let (had, cost) = if used > allowed * 0.6 { (used, allowed / used) } else { (allowed, 1.0) };
    let spare = (had - others).max(had * LEAST_SHARE);
    let quota = |rate: f64| {
        format!(
            "api.requests_per_second = {} (amoCRM allows 7, and sells more in packs)",
            (rate * cost).ceil()
        )
    };
    let refreshes = overview.feeders.iter().any(|row| row.feeder == "refresh" && row.enabled);
    let open = overview.freshness.talks as f64;
    if refreshes && open / spare > ROUND {
        let round = span((open / spare) as i64);
        warnings.push(Complaint {
            what: format!(
                "the quota cannot keep up: {spare:.1} requests a second are left to fetch {open} talks in work again, \
                 each every {round} on average"
            ),
            action: format!("{} would do it within the hour", quota(others + open / ROUND)),
        });
    }
    if let Some(oldest) = overview.queue.urgent_since.filter(|oldest| settled && now - oldest > BACKLOG) {
        let waiting = overview.queue.urgent;
        let rate = others + waiting as f64 / BACKLOG as f64;
        warnings.push(Complaint {
            what: format!(
                "the quota cannot keep up: {} waiting to be fetched that were asked for or hinted at, the first \
                 since {}",
                talks(waiting),
                span(now - oldest)
            ),
            action: format!("none if it is so but once; {} would work them off within 10 min", quota(rate)),
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
mod tests {
    use super::*;
    use crate::policy::closing;
    use crate::store::feeds::FeederRow;
    use crate::store::report::{Freshness, QueueCounts, TalkCounts};
    use crate::store::status::{DaemonStatus, LaneRequests, PauseStatus};
    use crate::store::sweep::SweepState;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_700_000_000;

    fn overview() -> Overview {
        Overview {
            account_id: Some(1),
            talks: TalkCounts { total: 1, in_work: 1, missed: 0, closed: 0, gone: 0, denied: 0 },
            queue: QueueCounts::default(),
            daemon: Some(DaemonStatus {
                mode: "run".into(),
                version: "0".into(),
                pid: 1,
                started_at: NOW - 100,
                stopped_at: None,
                seen_at: NOW - 10,
                last_success_at: None,
                last_failure_at: None,
                last_failure: None,
                pause: None,
                requests_per_second: 6.0,
                request_rate: 0.0,
                clock_skew: Some(0),
                not_closing: None,
                lanes: Vec::new(),
            }),
            closures_today: BTreeMap::new(),
            closures_under_way: 0,
            sweeps: SweepState::default(),
            feeders: Vec::new(),
            backfill: None,
            freshness: Freshness::default(),
        }
    }

    fn what(overview: &Overview) -> Vec<String> {
        whats(overview, Some(Liveness::Running))
    }

    fn whats(overview: &Overview, alive: Option<Liveness>) -> Vec<String> {
        complaints(overview, alive, true, NOW).into_iter().map(|complaint| complaint.what).collect()
    }

    #[test]
    fn a_running_daemon_with_an_empty_queue_is_healthy() {
        assert_eq!(what(&overview()), [""; 0]);
    }

    #[test]
    fn due_rows_are_neglected_when_nobody_runs_for_over_five_minutes() {
        let mut overview = overview();
        overview.queue.due = 3;
        overview.queue.oldest_due_at = Some(NOW - 3600);
        assert_eq!(what(&overview), [""; 0], "the daemon is at it");
        overview.daemon = None;
        assert_eq!(whats(&overview, None), ["3 talks are due and nobody fetches them"]);
        overview.queue.oldest_due_at = Some(NOW - NEGLECT);
        assert_eq!(whats(&overview, None), [""; 0]);
    }

    #[test]
    fn a_daemon_that_vanished_or_fell_silent_is_noticed_and_one_that_stopped_is_not() {
        let mut overview = overview();
        assert_eq!(whats(&overview, Some(Liveness::Stopped)), [""; 0]);
        let vanished = whats(&overview, Some(Liveness::Vanished));
        assert_eq!(vanished, ["the daemon ended without a word: killed, or the machine went down"]);
        let daemon = overview.daemon.as_mut().unwrap();
        daemon.seen_at = NOW - 600;
        assert_eq!(daemon.liveness(Some(true), NOW), Liveness::Silent);
        assert_eq!(daemon.liveness(Some(false), NOW), Liveness::Vanished);
        assert_eq!(daemon.liveness(None, NOW), Liveness::Vanished);
        assert_eq!(whats(&overview, Some(Liveness::Silent)), ["the daemon has written nothing for 10 min"]);
        let daemon = overview.daemon.as_mut().unwrap();
        daemon.seen_at = NOW - 10;
        assert_eq!(daemon.liveness(Some(true), NOW), Liveness::Running);
        assert_eq!(daemon.liveness(None, NOW), Liveness::Running);
        daemon.stopped_at = Some(NOW);
        assert_eq!(daemon.liveness(Some(false), NOW), Liveness::Stopped);
    }

    #[test]
    fn a_stopped_sweep_and_a_wrong_clock_are_named() {
        let mut overview = overview();
        overview.daemon.as_mut().unwrap().clock_skew = Some(61);
        overview.daemon.as_mut().unwrap().not_closing = closing::clock_obstacle(Some(61));
        let stopped = serde_json::json!({"at": NOW - 60, "stale": 30, "open": 40, "max_share": 0.5});
        overview.sweeps.stopped = Some(stopped);
        let found = what(&overview);
        assert!(
            found[0].starts_with("auto-close stopped a sweep 1 min ago: 30 of 40 open talks"),
            "{found:?}"
        );
        assert_eq!(found[1], "this machine's clock is 1 min ahead of the API's: nothing is closed");
        overview.sweeps.stopped = None;
        assert_eq!(complaints(&overview, Some(Liveness::Running), false, NOW), [], "nothing is to be closed");
    }

    #[test]
    fn a_pause_and_failed_rows_are_named() {
        let mut overview = overview();
        overview.queue.failed = 2;
        overview.daemon.as_mut().unwrap().pause = Some(PauseStatus {
            reason: "unauthorized".into(),
            detail: "HTTP 401".into(),
            since: NOW - 5,
            until: NOW + 55,
        });
        let complaints = complaints(&overview, Some(Liveness::Running), true, NOW);
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0].what.contains("does not accept the token (HTTP 401)"));
        assert!(complaints[0].action.contains("api.token_file"));

        overview.daemon.as_mut().unwrap().pause.as_mut().unwrap().reason = "outage".into();
        let action = |alive| super::complaints(&overview, Some(alive), true, NOW)[0].action.clone();
        assert!(action(Liveness::Running).contains("by itself"));
        assert!(action(Liveness::Stopped).starts_with("start it again"), "nothing goes on by itself then");
        assert_eq!(complaints[1].what, "2 talks are set aside after repeated failures");
    }

    #[test]
    fn an_api_that_answers_nobody_is_noticed_and_a_feeder_s_own_trouble_is_not_the_mirror_s() {
        let mut overview = overview();
        overview.feeders = vec![FeederRow {
            feeder: "events".into(),
            enabled: true,
            trouble: Some("the last look broke off (cannot connect)".into()),
            trouble_since: Some(NOW - 121),
            ..FeederRow::default()
        }];
        let found = what(&overview);
        assert_eq!(
            found,
            ["no talk was fetched for 2 min; events: the last look broke off (cannot connect)"]
        );
        assert_eq!(whats(&overview, Some(Liveness::Stopped)), [""; 0]);
        overview.daemon.as_mut().unwrap().last_success_at = Some(NOW - 60);
        assert_eq!(what(&overview), [""; 0], "others are answered");
        overview.daemon.as_mut().unwrap().last_success_at = Some(NOW - 3600);
        overview.feeders[0].trouble_since = Some(NOW - 120);
        assert_eq!(what(&overview), [""; 0], "it may pass");
    }

    fn with_lanes(refresh: i64, hints: i64) -> Overview {
        let mut overview = overview();
        let daemon = overview.daemon.as_mut().unwrap();
        daemon.started_at = NOW - 1000;
        let lane = |lane: &str, requests| LaneRequests { lane: lane.into(), requests };
        daemon.lanes = vec![lane("hints", hints), lane("refresh", refresh)];
        let feeder = FeederRow { feeder: "refresh".into(), enabled: true, ..FeederRow::default() };
        overview.feeders = vec![feeder];
        overview
    }

    #[test]
    fn a_quota_that_cannot_keep_up_is_named_with_the_one_that_could() {
        let warned = |overview: &Overview| warnings(overview, Some(Liveness::Running), NOW);
        // 6 a second, 1 of them for hints: 5 are left.
        let mut overview = with_lanes(1500, 300);
        overview.freshness.talks = 18_000;
        assert_eq!(warned(&overview), [], "all of them in an hour");
        overview.freshness.talks = 36_000;
        let warning = &warned(&overview)[0];
        assert!(warning.what.contains("5.0 requests a second are left to fetch 36000 talks"), "{warning:?}");
        assert!(warning.what.ends_with("each every 2 h on average"), "{warning:?}");
        assert!(warning.action.starts_with("api.requests_per_second = 11 "), "{warning:?}");
        assert_eq!(warnings(&overview, Some(Liveness::Stopped), NOW), [], "nothing keeps it up then");
        overview.feeders.clear();
        assert_eq!(warned(&overview), [], "nobody wants it");
    }

    #[test]
    fn a_backlog_of_ten_minutes_is_named() {
        let mut overview = with_lanes(0, 1800);
        (overview.queue.urgent, overview.queue.urgent_since) = (6000, Some(NOW - 600));
        assert_eq!(warnings(&overview, Some(Liveness::Running), NOW), []);
        overview.queue.urgent_since = Some(NOW - 601);
        let warning = &warnings(&overview, Some(Liveness::Running), NOW)[0];
        assert!(warning.what.contains("6000 talks are waiting"), "{warning:?}");
        assert!(warning.action.contains("api.requests_per_second = 16 "), "{warning:?}");
    }
}
