//! What the worker reports of itself: the row of `daemon_status`, and the journal lines of a pause and of a database that
//! cannot be written.

use super::Mode;
use super::circuit::Change;
use super::closer::ClockReading;
use super::reminder::Reminder;
use crate::amocrm::{Failure, Kind};
use crate::clock::{Now, UnixSeconds};
use crate::gate::{Gate, Pause, Reason};
use crate::number;
use crate::policy::lanes::Lane;
use crate::report::humanize::duration;
use crate::sqlite::checkpoint::WalStatus;
use crate::store::status::{DaemonStatus, LANES_SPAN, LaneRequests, PauseStatus};
use crate::telemetry;
use crate::text::shown;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At least so far apart are two writes of mere figures.
const FIGURES_INTERVAL: Duration = Duration::from_secs(3);
/// Between two writes at most, whether something changed or not: a sign of life.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(60);
/// The rate's mean is over this time, …
const RATE_SPAN: Duration = Duration::from_secs(60);
/// … and what is left for refreshes is computed over this.
const QUOTA_SPAN: Duration = Duration::from_secs(10);

/// Requests are counted by minute for three hours.
const MINUTES: i64 = 180;

/// The status of this process, and what of it is in the database.
#[derive(Debug)]
pub(super) struct StatusReporter {
    status: DaemonStatus,
    written: Option<WrittenStatus>,
    pause_detail: String,
    /// Why nothing can be recorded, and since when.
    write_error: Option<(String, Instant)>,
    pause_reminder: Reminder,
    write_error_reminder: Reminder,
    /// Requests by second, of the last minutes, for each lane.
    requests: VecDeque<(UnixSeconds, [u32; Lane::ALL.len()])>,
    /// Requests by minute since 1970, of the last hours.
    minutes: VecDeque<(i64, u32)>,
}

/// What was last sent to the database.
#[derive(Debug)]
struct WrittenStatus {
    status: DaemonStatus,
    pause: Option<Pause>,
    at: Instant,
}

impl StatusReporter {
    pub(super) fn new(mode: Mode, now: Now) -> StatusReporter {
        StatusReporter {
            status: DaemonStatus {
                mode,
                version: env!("CARGO_PKG_VERSION").into(),
                pid: std::process::id(),
                started_at: now.secs(),
                stopped_at: None,
                seen_at: now.secs(),
                last_success_at: None,
                last_failure_at: None,
                last_failure: None,
                failing_since: None,
                pause: None,
                strict_until: None,
                requests_per_second: 0.0,
                request_rate: 0.0,
                clock_skew: None,
                not_closing: None,
                wal_bytes: None,
                wal_held_since: None,
                wal_held_by: None,
                lanes: Vec::new(),
            },
            written: None,
            pause_detail: String::new(),
            write_error: None,
            pause_reminder: Reminder::default(),
            write_error_reminder: Reminder::default(),
            requests: VecDeque::new(),
            minutes: VecDeque::new(),
        }
    }

    /// Takes over what an earlier process left: its pause and its last answers.
    pub(super) fn resume(&mut self, earlier: &DaemonStatus) {
        self.status.last_success_at = earlier.last_success_at;
        self.status.last_failure_at = earlier.last_failure_at;
        self.status.last_failure.clone_from(&earlier.last_failure);
        self.status.failing_since = earlier.failing_since;
        if let Some(pause) = &earlier.pause {
            self.pause_detail.clone_from(&pause.detail);
        }
    }

    /// The answer that began the pause.
    pub(super) fn pause_detail(&self) -> &str {
        &self.pause_detail
    }

    pub(super) fn count_request(&mut self, lane: Lane, now: Now) {
        if self.requests.back().is_none_or(|(second, _)| *second != now.secs()) {
            self.requests.push_back((now.secs(), [0; Lane::ALL.len()]));
        }
        if let Some((_, counts)) = self.requests.back_mut() {
            counts[lane as usize] += 1;
        }
        let minute = minute_of(now.secs());
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        while self.minutes.front().is_some_and(|(first, _)| *first <= minute - MINUTES) {
            self.minutes.pop_front();
        }
    }

    /// Requests in each of the last minutes, of three hours at most, since the start, the running one last.
    pub(super) fn requests_by_minute(&self, now: Now) -> Vec<u32> {
        let last = minute_of(now.secs());
        let first = (last - MINUTES + 1).max(minute_of(self.status.started_at));
        let of = |minute| self.minutes.iter().find(|(of, _)| *of == minute).map_or(0, |(_, count)| *count);
        (first..=last).map(of).collect()
    }

    /// The wall clock was set by `seconds`: what was noted by it moves along.
    pub(super) fn move_clock(&mut self, seconds: i64) {
        self.requests.iter_mut().for_each(|(second, _)| *second = second.later_by(seconds));
        self.minutes.iter_mut().for_each(|(minute, _)| *minute += seconds.div_euclid(60));
        self.status.started_at = self.status.started_at.later_by(seconds);
        let DaemonStatus { last_success_at, last_failure_at, failing_since, .. } = &mut self.status;
        for at in [last_success_at, last_failure_at, failing_since].into_iter().flatten() {
            *at = at.later_by(seconds);
        }
    }

    /// The status as of now.
    pub(super) fn status(&mut self, gate: &Gate, now: Now) -> DaemonStatus {
        self.refresh(gate, now);
        self.status.clone()
    }

    /// Requests of the last `span`, for each lane.
    fn requests_of(&self, span: Duration, now: Now) -> [u32; Lane::ALL.len()] {
        let lately = self.requests.iter().rev().take_while(|(second, _)| *second > now.secs() - span);
        lately.fold([0; Lane::ALL.len()], |sum, (_, counts)| {
            std::array::from_fn(|lane| sum[lane] + counts[lane])
        })
    }

    /// Requests a second that what is more urgent than refreshes has lately used.
    pub(super) fn urgent_rate(&self, now: Now) -> f64 {
        let [closing, asked, hints, unmirrored, _] = self.requests_of(QUOTA_SPAN, now);
        f64::from(closing + asked + hints + unmirrored) / QUOTA_SPAN.as_secs_f64()
    }

    pub(super) fn note_answer(&mut self, failure: Option<&Failure>, now: Now) {
        match failure.filter(|failure| !matches!(failure.kind, Kind::Gone | Kind::Denied)) {
            None => {
                self.status.last_success_at = Some(now.secs());
                self.status.failing_since = None;
            }
            Some(failure) => {
                self.status.last_failure_at = Some(now.secs());
                self.status.last_failure = Some(failure.detail.clone());
                self.status.failing_since.get_or_insert(now.secs());
            }
        }
    }

    /// `skew` is how many seconds the wall clock is ahead of the API's, `obstacle` why nothing is closed by it.
    pub(super) fn note_clock(&mut self, ClockReading { skew, obstacle }: ClockReading) {
        self.status.clock_skew = skew;
        self.status.not_closing = obstacle;
    }

    /// Nothing compares the clocks any more.
    pub(super) fn forget_clock(&mut self) {
        self.note_clock(ClockReading { skew: None, obstacle: None });
    }

    /// How the WAL is.
    pub(super) fn note_wal(&mut self, wal: WalStatus) {
        let held = wal.held.map(|held| (held.since, held.by)).unzip();
        self.status.wal_bytes = i64::try_from(wal.bytes).ok();
        (self.status.wal_held_since, self.status.wal_held_by) = (held.0, held.1.flatten());
    }

    /// Reports a pause once, at its start and its end.
    pub(super) fn note_pause(&mut self, change: &Change, failure: Option<&Failure>, now: Now) {
        match (change.before, change.after) {
            (before, Some(pause)) if before.map(|before| before.reason) != Some(pause.reason) => {
                let detail = failure.map(ToString::to_string).unwrap_or_default();
                let request_id = failure.and_then(|failure| failure.request_id.as_deref());
                self.begin_pause(pause, detail, request_id, now);
            }
            (Some(pause), None) => {
                let lasted = now.mono.saturating_duration_since(pause.since).as_secs();
                tracing::info!(
                    reason = pause.reason.as_str(),
                    "resumed after a pause of {lasted} s ({})",
                    pause.reason
                );
            }
            _ => {}
        }
    }

    /// Reports a pause that no single response has begun.
    pub(super) fn note_pause_for(&mut self, change: &Change, detail: &str, now: Now) {
        let began = |pause: &Pause| change.before.map(|before| before.reason) != Some(pause.reason);
        if let Some(pause) = change.after.filter(began) {
            self.begin_pause(pause, detail.to_owned(), None, now);
        }
    }

    fn begin_pause(&mut self, pause: Pause, detail: String, request_id: Option<&str>, now: Now) {
        self.pause_detail = detail;
        telemetry::pause(pause.reason.as_str());
        let wait = pause.until.saturating_duration_since(now.mono).as_secs_f64();
        tracing::error!(
            reason = pause.reason.as_str(),
            request_id,
            "paused: {} ({}); next probe in {wait:.0} s",
            pause.reason,
            shown(&self.pause_detail),
        );
    }

    /// Has more to report of a pause for this reason than the response that began it.
    pub(super) fn explain_pause(&mut self, gate: &Gate, reason: Reason, detail: &str) {
        if gate.pause().is_some_and(|pause| pause.reason == reason) {
            detail.clone_into(&mut self.pause_detail);
        }
    }

    /// Nothing can be committed, and why.
    pub(super) fn note_write_error(&mut self, why: String, now: Now) {
        tracing::error!(
            "cannot write the database: {}; no talk is fetched until it can be written",
            shown(&why)
        );
        self.write_error = Some((why, now.mono));
    }

    /// Commits go through again.
    pub(super) fn note_writes(&mut self, now: Now) {
        if let Some((_, since)) = self.write_error.take() {
            let lasted = now.mono.saturating_duration_since(since);
            tracing::info!("the database can be written again, after {lasted:.0?}");
        }
    }

    /// Why nothing can be recorded, and since when.
    pub(super) fn write_error(&self) -> Option<(&str, Instant)> {
        let (why, since) = self.write_error.as_ref()?;
        Some((why, *since))
    }

    /// Reports each hour what lasts.
    pub(super) fn remind(&mut self, pause: Option<Pause>, now: Now) {
        if let Some(pause) = pause.filter(|pause| self.pause_reminder.due(Some(pause.since), now.mono)) {
            let lasted = duration(number::seconds(now.mono.saturating_duration_since(pause.since)));
            let next = duration(number::seconds(pause.until.saturating_duration_since(now.mono)));
            tracing::error!(
                reason = pause.reason.as_str(),
                "still paused, for {lasted}: {} ({}); next probe in {next}",
                pause.reason,
                shown(&self.pause_detail),
            );
        }
        if pause.is_none() {
            self.pause_reminder.due(None, now.mono);
        }
        let since = self.write_error.as_ref().map(|(_, since)| *since);
        if self.write_error_reminder.due(since, now.mono)
            && let Some((why, since)) = &self.write_error
        {
            let lasted = duration(number::seconds(now.mono.saturating_duration_since(*since)));
            tracing::error!("still cannot write the database, for {lasted}: {}", shown(why));
        }
    }

    /// The row, when the pause changed, now and then when figures did, and as a sign of life; `None` if nothing is to be
    /// written now.
    pub(super) fn due(&mut self, gate: &Gate, now: Now) -> Option<DaemonStatus> {
        if self.write_error.is_some() {
            return None;
        }
        let (age, same_pause) = match &self.written {
            None => (SIGN_OF_LIFE_INTERVAL, false),
            Some(written) => (now.mono.saturating_duration_since(written.at), written.pause == gate.pause()),
        };
        // The first failure is shown at once: of a quiet account nothing else may come for minutes.
        let failing = |written: &WrittenStatus| written.status.failing_since.is_some();
        let fails = self.status.failing_since.is_some() && !self.written.as_ref().is_some_and(failing);
        if same_pause && !fails && age < FIGURES_INTERVAL {
            return None;
        }
        self.refresh(gate, now);
        let is_due = !same_pause || fails || age >= SIGN_OF_LIFE_INTERVAL || self.figures_moved();
        is_due.then(|| self.row(gate, now))
    }

    /// The row for the last time: stopped in good order.
    pub(super) fn last(&mut self, gate: &Gate, now: Now) -> DaemonStatus {
        self.status.stopped_at = Some(now.secs());
        self.row(gate, now)
    }

    /// The row as of now, which is written.
    pub(super) fn row(&mut self, gate: &Gate, now: Now) -> DaemonStatus {
        self.refresh(gate, now);
        self.written = Some(WrittenStatus { status: self.status.clone(), pause: gate.pause(), at: now.mono });
        self.status.clone()
    }

    fn figures_moved(&self) -> bool {
        self.written.as_ref().is_none_or(|written| {
            // Each write makes the WAL longer.
            let DaemonStatus { seen_at, wal_bytes, .. } = self.status;
            self.status != DaemonStatus { seen_at, wal_bytes, ..written.status.clone() }
        })
    }

    fn refresh(&mut self, gate: &Gate, now: Now) {
        let oldest = now.secs() - LANES_SPAN;
        while self.requests.front().is_some_and(|(second, _)| *second <= oldest) {
            self.requests.pop_front();
        }
        let requests: u32 = self.requests_of(RATE_SPAN, now).iter().sum();
        self.status.request_rate = f64::from(requests) / RATE_SPAN.as_secs_f64();
        let by_lane = Lane::ALL.into_iter().zip(self.requests_of(LANES_SPAN, now));
        self.status.lanes = by_lane
            .map(|(lane, requests)| LaneRequests { lane: lane.as_str().into(), requests: requests.into() })
            .collect();
        self.status.requests_per_second = gate.pace(now.mono);
        self.status.strict_until = gate.strict_until(now.mono).map(|until| now.unix_at(until));
        self.status.seen_at = now.secs();
        self.status.pause = gate.pause().map(|pause| PauseStatus {
            reason: pause.reason.as_str().into(),
            detail: self.pause_detail.clone(),
            since: now.unix_at(pause.since),
            until: now.unix_at(pause.until),
        });
    }
}

/// The minutes since 1970.
fn minute_of(at: UnixSeconds) -> i64 {
    at.get() / 60
}
