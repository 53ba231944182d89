//! Mirrors in each mood, and the page of each.

use super::super::*;
use crate::policy::closing::ClosingOutcome;
use crate::report::health::tests::{NOW, overview};
use crate::store::counts::{Freshness, QueueCounts, TalkCounts};
use crate::store::feeds::FeederRow;
use crate::store::local_time::LocalDay;
use crate::store::status::{DaemonStatus, PauseStatus};
use crate::store::sweep::SweepState;
use crate::talk::TalkId;
use std::collections::BTreeMap;

pub(super) fn complaint(what: &str, action: &str) -> Complaint {
    Complaint { what: Message::verbatim(what), action: Message::verbatim(action) }
}

pub(super) const DAYS: usize = Range::Month.periods();
pub(super) const ACCOUNT: &str = "example.amocrm.ru";

/// A mirror that works.
pub(super) fn screen() -> Screen {
    let mut days = vec![Period::default(); DAYS];
    for (place, day) in days.iter_mut().enumerate() {
        let ago = (DAYS - 1 - place) as i64;
        let place = place as i64;
        let open = 1180 + place * place * 7 % 300;
        *day = Period {
            begins: LocalDay(NOW.get().div_euclid(86_400) - ago).as_utc(),
            open,
            missed: 20 + place * 17 % 61,
            closed: 30 + place * 29 % 83,
        };
    }
    days[DAYS - 1].missed = 9;
    days[DAYS - 1].closed = 14;
    let feeder = |name: &str, enabled, ran: i64, found, found_in_all| FeederRow {
        feeder: name.into(),
        enabled,
        ran_at: enabled.then_some(NOW - ran),
        found,
        found_in_all,
        ..FeederRow::default()
    };
    let closure = |talk_id: i64, ago: i64, outcome: ClosingOutcome, error: Option<&str>| Closure {
        closure_id: talk_id,
        talk_id: TalkId::new(talk_id),
        mode: CloseMode::Live,
        missed_at: Some(NOW - 100_000),
        talk_updated_at: NOW - 100_000,
        reason: "stale: missed 27 h ago, unchanged for 26 h".into(),
        force_close: true,
        decided_at: NOW - ago,
        requested_at: Some(NOW - ago),
        http_status: Some(if outcome == ClosingOutcome::Refused { 403 } else { 202 }),
        outcome,
        verified_at: None,
        attempts: 1,
        error: error.map(Into::into),
    };
    let running = overview();
    Screen {
        language: Language::English,
        now: NOW,
        today: LocalDay(NOW.get().div_euclid(86_400)),
        waiting: Waiting { talks: 97, since: Some(NOW - 100_000), missed_since: Some(NOW - 100_000) },
        overview: Overview {
            account_id: Some(17_029_541),
            talks: TalkCounts {
                total: 48_212,
                in_work: 1207,
                missed: 86,
                closed: 46_993,
                gone: 12,
                denied: 0,
            },
            queue: QueueCounts {
                due: 3,
                later: 14,
                oldest_due_at: Some(NOW - 2),
                next_due_at: Some(NOW + 40),
                urgent: 1,
                urgent_since: Some(NOW - 1),
                ..QueueCounts::default()
            },
            daemon: running.daemon.map(|daemon| DaemonStatus {
                version: "0.1.0".into(),
                started_at: NOW - 86_400 * 9,
                seen_at: NOW,
                last_success_at: Some(NOW - 1),
                last_failure_at: Some(NOW - 7 * 3600),
                last_failure: Some("cannot connect: timed out".into()),
                request_rate: 2.4,
                ..daemon
            }),
            closures_today: BTreeMap::from([(ClosingOutcome::Closed, 14), (ClosingOutcome::Withdrawn, 2)]),
            closures_under_way: 1,
            sweeps: SweepState {
                last: Some(serde_json::json!({"at": NOW - 140, "stale": 3, "queued": 3})),
                ..SweepState::default()
            },
            feeders: vec![
                feeder("refresh", true, 3, 11, 904_211),
                feeder("listing", true, 420, 4, 52_001),
                feeder("events", true, 21, 0, 7311),
                feeder("webhook", false, 0, 0, 0),
            ],
            freshness: Freshness { talks: 1207, p50: 190, p95: 540, max: 820 },
            fetched_at: Some(NOW - 1),
            ..running
        },
        obstacles: Vec::new(),
        complaints: Vec::new(),
        warnings: Vec::new(),
        course: Course {
            range: Range::Month,
            channel: None,
            periods: Arc::new(days),
            channels: Arc::new(vec!["telegram".into(), "viber".into()]),
        },
        closures: vec![
            closure(48_120, 140, ClosingOutcome::Accepted, None),
            closure(48_007, 500, ClosingOutcome::Closed, None),
            closure(47_990, 3700, ClosingOutcome::Withdrawn, None),
            closure(
                47_512,
                90_000,
                ClosingOutcome::Refused,
                Some("close talk 47512: HTTP 403: no right to the contact"),
            ),
        ],
        requests_by_minute: (0..181).map(|minute: u32| 110 + minute * minute * 13 % 71).collect(),
        close_mode: CloseMode::Live,
        close_rules: Some(Message::verbatim("missed for over 24h and unchanged for over 15m")),
        token_expires_at: Some(NOW + 86_400 * 400),
    }
}

/// A mirror whose token the API does not take.
pub(super) fn paused() -> Screen {
    let mut screen = screen();
    screen.overview.daemon.as_mut().unwrap().pause = Some(PauseStatus {
        reason: "unauthorized".into(),
        detail: "HTTP 401 (Unauthorized)".into(),
        since: NOW - 300,
        until: NOW + 31,
    });
    let what = "everything pauses: the API does not accept the token (HTTP 401 (Unauthorized))";
    screen.obstacles = vec![Message::verbatim(format!("{what}; next probe in 31 s"))];
    screen.complaints = vec![Complaint {
        what: Message::verbatim(what),
        action: Message::verbatim(
            "put a valid token into api.token_file: the daemon uses it without a restart",
        ),
    }];
    screen
}

/// A mirror of nothing.
pub(super) fn empty() -> Screen {
    let mut screen = screen();
    let overview = &mut screen.overview;
    overview.talks = TalkCounts { total: 0, in_work: 0, missed: 0, closed: 0, gone: 0, denied: 0 };
    overview.freshness = Freshness::default();
    overview.queue = QueueCounts::default();
    overview.sweeps = SweepState::default();
    overview.closures_today.clear();
    overview.closures_under_way = 0;
    overview.feeders.clear();
    let daemon = overview.daemon.as_mut().unwrap();
    (daemon.last_success_at, daemon.last_failure_at, daemon.last_failure) = (None, None, None);
    screen.waiting = Waiting::default();
    for day in Arc::make_mut(&mut screen.course.periods) {
        *day = Period { begins: day.begins, ..Period::default() };
    }
    screen.closures.clear();
    screen.requests_by_minute = vec![0];
    screen.close_mode = CloseMode::Off;
    screen
}

pub(super) fn frame<'a>(language: Language, account: &'a str) -> Frame<'a> {
    let section = Some(Section::Overview);
    Frame { language, account, now: NOW, timezone: Some("UTC"), section, root: "" }
}

/// The whole page.
pub(super) fn render(screen: &Screen) -> String {
    shell::shell(&frame(screen.language, ACCOUNT), &front(screen))
}

/// The state sentence and its class.
pub(super) fn mood_of(screen: &Screen) -> (Mood, String) {
    state::state(screen)
}
