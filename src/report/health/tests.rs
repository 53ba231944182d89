use super::*;
use crate::clock::UnixSeconds;
use crate::policy::closing;
use crate::store::counts::{Freshness, QueueCounts, TalkCounts};
use crate::store::feeds::FeederRow;
use crate::store::status::{LaneRequests, Mode, PauseStatus};
use crate::store::sweep::SweepState;
use std::collections::BTreeMap;

/// 2023-11-14 22:13:20 UTC.
pub(crate) const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

/// The mirror of a running daemon with one open talk and an empty queue.
pub(crate) fn overview() -> Overview {
    Overview {
        timezone: "UTC".into(),
        account_id: Some(1),
        account: Default::default(),
        odd_fields: Vec::new(),
        without_missed_at: (0, 0),
        talks: TalkCounts { total: 1, in_work: 1, missed: 0, closed: 0, gone: 0, denied: 0 },
        queue: QueueCounts::default(),
        daemon: Some(DaemonStatus {
            mode: Mode::Run,
            version: "0".into(),
            pid: 1,
            started_at: NOW - 100,
            stopped_at: None,
            seen_at: NOW - 10,
            last_success_at: None,
            last_failure_at: None,
            last_failure: None,
            failing_since: None,
            pause: None,
            strict_until: None,
            requests_per_second: 6.0,
            request_rate: 0.0,
            clock_skew: Some(0),
            not_closing: None,
            wal_bytes: None,
            wal_held_since: None,
            wal_held_by: None,
            lanes: Vec::new(),
        }),
        closures_today: BTreeMap::new(),
        closures_under_way: 0,
        sweeps: SweepState::default(),
        exempt: Default::default(),
        feeders: Vec::new(),
        backfill: None,
        past_events: None,
        freshness: Freshness::default(),
        completeness: None,
        fetched_at: None,
        token_expires_at: None,
        oauth: None,
        size: crate::store::sizes::Size::default(),
        retention: crate::store::retention::Retention::default(),
        backup: crate::store::backup::state::BackupState::default(),
        publish: None,
    }
}

fn what(overview: &Overview) -> Vec<String> {
    whats(overview, Some(Liveness::Running))
}

fn whats(overview: &Overview, alive: Option<Liveness>) -> Vec<String> {
    complaints(overview, alive, true, NOW).into_iter().map(|complaint| complaint.what.to_string()).collect()
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
    overview.queue.oldest_due_at = Some(NOW - NEGLECTED);
    assert_eq!(whats(&overview, None), [""; 0]);
}

#[test]
fn a_daemon_that_vanished_or_fell_silent_is_noticed_and_one_that_stopped_is_not() {
    let mut overview = overview();
    assert_eq!(whats(&overview, Some(Liveness::Stopped)), [""; 0]);
    let vanished = whats(&overview, Some(Liveness::Vanished));
    assert_eq!(vanished, ["the daemon ended without a clean stop: it was killed, or the machine went down"]);
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
    overview.daemon.as_mut().unwrap().stopped_at = Some(NOW - STOPPED);
    assert_eq!(whats(&overview, Some(Liveness::Stopped)), [""; 0]);
    overview.daemon.as_mut().unwrap().stopped_at = Some(NOW - STOPPED - 1);
    let stopped = whats(&overview, Some(Liveness::Stopped));
    assert_eq!(stopped, ["the daemon was stopped 15 min ago, and nothing is kept fresh since"]);
    overview.daemon.as_mut().unwrap().mode = Mode::Sync;
    assert_eq!(whats(&overview, Some(Liveness::Stopped)), [""; 0], "it comes by cron");
}

#[test]
fn a_stopped_sweep_and_a_wrong_clock_are_named() {
    let mut overview = overview();
    overview.daemon.as_mut().unwrap().clock_skew = Some(61);
    overview.daemon.as_mut().unwrap().not_closing =
        closing::clock_obstacle(Some(61)).map(|why| why.to_string());
    let stopped = serde_json::json!({"at": NOW - 60, "stale": 30, "open": 40, "max_share": 0.5});
    overview.sweeps.stopped = Some(stopped);
    let found = what(&overview);
    assert!(found[0].starts_with("auto-close stopped a sweep 1 min ago: 30 of 40 open talks"), "{found:?}");
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
    assert!(complaints[0].what.to_string().contains("does not accept the token (HTTP 401)"));
    assert!(complaints[0].action.to_string().contains("api.token_file"));

    overview.daemon.as_mut().unwrap().pause.as_mut().unwrap().reason = "outage".into();
    let action = |alive| super::complaints(&overview, Some(alive), true, NOW)[0].action.to_string();
    assert!(action(Liveness::Running).contains("by itself"));
    assert!(action(Liveness::Stopped).starts_with("start it again"), "nothing resumes by itself then");
    assert_eq!(complaints[1].what.to_string(), "2 talks failed after repeated attempts");
}

#[test]
fn an_api_that_serves_no_request_is_reported_and_a_feeder_s_own_error_is_not_the_mirror_s() {
    let mut overview = overview();
    overview.feeders = vec![FeederRow {
        feeder: "events".into(),
        enabled: true,
        trouble: Some("the last run failed (cannot connect)".into()),
        trouble_since: Some(NOW - 121),
        ..FeederRow::default()
    }];
    let found = what(&overview);
    assert_eq!(found, ["no talk was fetched for 2 min; events: the last run failed (cannot connect)"]);
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
    let (what, action) = (warning.what.to_string(), warning.action.to_string());
    assert!(what.contains("5.0 requests a second are left to refresh 36,000 open talks"), "{warning:?}");
    assert!(what.ends_with("each every 2 h on average"), "{warning:?}");
    assert!(action.starts_with("api.requests_per_second = 11 "), "{warning:?}");
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
    assert!(warning.what.to_string().contains("6,000 talks are waiting"), "{warning:?}");
    assert!(warning.action.to_string().contains("api.requests_per_second = 16 "), "{warning:?}");
}
