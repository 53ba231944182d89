//! What the worker tells the world about itself: `daemon_status` and the log lines of
//! a pause.

use crate::amocrm::{Failure, Kind};
use crate::clock::Now;
use crate::gate::{Gate, Pause, Reason};
use crate::policy::lanes::Lane;
use crate::sqlite::checkpoint::WalStatus;
use crate::store::status::{DaemonStatus, LANES_SECONDS, LaneRequests, PauseStatus};
use crate::store::writer::Writer;
use crate::telemetry;
use crate::text::shown;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At least so far apart are two writes of mere figures.
const FIGURES: Duration = Duration::from_secs(3);
/// A sign of life, whether something changed or not.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// The rate's mean is over so many seconds, …
const RATE_SECONDS: i64 = 60;
/// … and what is left for refreshes is told by so many.
const QUOTA_SECONDS: i64 = 10;

/// Requests are counted by minute for three hours.
const MINUTES: i64 = 180;

/// Which command works the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Run,
    Sync,
    Close,
}

/// The condition of this process, and what of it is in the database.
#[derive(Debug)]
pub struct Condition {
    now: DaemonStatus,
    written: Option<Written>,
    pause_detail: String,
    /// Requests by second, of the last minutes, for each lane.
    requests: VecDeque<(i64, [u32; Lane::ALL.len()])>,
    /// Requests by minute since 1970, of the last hours.
    minutes: VecDeque<(i64, u32)>,
}

/// What was last sent to the database.
#[derive(Debug)]
struct Written {
    status: DaemonStatus,
    pause: Option<Pause>,
    at: Instant,
}

impl Condition {
    pub fn new(mode: Mode, now: Now) -> Condition {
        Condition {
            now: DaemonStatus {
                mode: match mode {
                    Mode::Run => "run".into(),
                    Mode::Sync => "sync".into(),
                    Mode::Close => "close".into(),
                },
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
            requests: VecDeque::new(),
            minutes: VecDeque::new(),
        }
    }

    /// Takes over what an earlier process left: its pause and its last answers.
    pub fn resume(&mut self, earlier: &DaemonStatus) {
        self.now.last_success_at = earlier.last_success_at;
        self.now.last_failure_at = earlier.last_failure_at;
        self.now.last_failure.clone_from(&earlier.last_failure);
        self.now.failing_since = earlier.failing_since;
        if let Some(pause) = &earlier.pause {
            self.pause_detail.clone_from(&pause.detail);
        }
    }

    /// The answer that began the pause.
    pub fn pause_detail(&self) -> &str {
        &self.pause_detail
    }

    pub fn count_request(&mut self, lane: Lane, now: Now) {
        if self.requests.back().is_none_or(|(second, _)| *second != now.secs()) {
            self.requests.push_back((now.secs(), [0; Lane::ALL.len()]));
        }
        if let Some((_, counts)) = self.requests.back_mut() {
            counts[lane as usize] += 1;
        }
        let minute = now.secs() / 60;
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        while self.minutes.front().is_some_and(|(first, _)| *first <= minute - MINUTES) {
            self.minutes.pop_front();
        }
    }

    /// Requests in each of the last minutes, of three hours at most, since the start, the running one last.
    pub fn requests_by_minute(&self, now: Now) -> Vec<u32> {
        let last = now.secs() / 60;
        let first = (last - MINUTES + 1).max(self.now.started_at / 60);
        let of = |minute| self.minutes.iter().find(|(of, _)| *of == minute).map_or(0, |(_, count)| *count);
        (first..=last).map(of).collect()
    }

    /// The wall clock was set by `seconds`: what was noted by it moves along.
    pub fn move_clock(&mut self, seconds: i64) {
        self.requests.iter_mut().for_each(|(second, _)| *second += seconds);
        self.minutes.iter_mut().for_each(|(minute, _)| *minute += seconds.div_euclid(60));
        self.now.started_at += seconds;
        let DaemonStatus { last_success_at, last_failure_at, failing_since, .. } = &mut self.now;
        for at in [last_success_at, last_failure_at, failing_since].into_iter().flatten() {
            *at += seconds;
        }
    }

    /// The condition as of now.
    pub fn look(&mut self, gate: &Gate, now: Now) -> DaemonStatus {
        self.refresh(gate, now);
        self.now.clone()
    }

    /// Requests of the last `seconds`, for each lane.
    fn requests_of(&self, seconds: i64, now: Now) -> [u32; Lane::ALL.len()] {
        let lately = self.requests.iter().rev().take_while(|(second, _)| *second > now.secs() - seconds);
        lately.fold([0; Lane::ALL.len()], |sum, (_, counts)| {
            std::array::from_fn(|lane| sum[lane] + counts[lane])
        })
    }

    /// Requests a second that what is more urgent than refreshes has lately used.
    pub fn urgent_rate(&self, now: Now) -> f64 {
        let [closing, asked, hints, unmirrored, _] = self.requests_of(QUOTA_SECONDS, now);
        f64::from(closing + asked + hints + unmirrored) / QUOTA_SECONDS as f64
    }

    pub fn note_answer(&mut self, failure: Option<&Failure>, now: Now) {
        match failure.filter(|failure| !matches!(failure.kind, Kind::Gone | Kind::Denied)) {
            None => {
                self.now.last_success_at = Some(now.secs());
                self.now.failing_since = None;
            }
            Some(failure) => {
                self.now.last_failure_at = Some(now.secs());
                self.now.last_failure = Some(failure.detail.clone());
                self.now.failing_since.get_or_insert(now.secs());
            }
        }
    }

    /// `skew` is how many seconds the wall clock is ahead of the API's, `obstacle` why nothing is closed by it.
    pub fn note_clock(&mut self, skew: Option<i64>, obstacle: Option<String>) {
        self.now.clock_skew = skew;
        self.now.not_closing = obstacle;
    }

    /// How the write-ahead log is.
    pub fn note_wal(&mut self, wal: WalStatus) {
        let held = wal.held.map(|held| (held.since, held.by)).unzip();
        self.now.wal_bytes = i64::try_from(wal.bytes).ok();
        (self.now.wal_held_since, self.now.wal_held_by) = (held.0, held.1.flatten());
    }

    /// Logs a pause once, at its start and its end.
    pub fn note_pause(&mut self, before: Option<Pause>, gate: &Gate, failure: Option<&Failure>, now: Now) {
        let after = gate.pause();
        match (before, after) {
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

    /// Logs a pause that no single answer has begun.
    pub fn note_pause_for(&mut self, before: Option<Pause>, gate: &Gate, detail: &str, now: Now) {
        let changed = |pause: &Pause| before.map(|before| before.reason) != Some(pause.reason);
        if let Some(pause) = gate.pause().filter(changed) {
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

    /// Says more of a pause for this reason than the answer that began it did.
    pub fn tell_pause(&mut self, gate: &Gate, reason: Reason, detail: &str) {
        if gate.pause().is_some_and(|pause| pause.reason == reason) {
            detail.clone_into(&mut self.pause_detail);
        }
    }

    /// Writes the row when the pause changed, now and then when figures did, and as a sign of life.
    pub fn write(&mut self, writer: &Writer, gate: &Gate, now: Now) {
        let (age, same_pause) = match &self.written {
            None => (SIGN_OF_LIFE, false),
            Some(written) => (now.mono.saturating_duration_since(written.at), written.pause == gate.pause()),
        };
        // The first failure is shown at once: of a quiet account nothing else may come for minutes.
        let failing = |written: &Written| written.status.failing_since.is_some();
        let fails = self.now.failing_since.is_some() && !self.written.as_ref().is_some_and(failing);
        if same_pause && !fails && age < FIGURES {
            return;
        }
        self.refresh(gate, now);
        if !same_pause || fails || age >= SIGN_OF_LIFE || self.figures_moved() {
            self.send(writer, gate, now);
        }
    }

    /// Writes the row at once.
    pub fn write_now(&mut self, writer: &Writer, gate: &Gate, now: Now) {
        self.send(writer, gate, now);
    }

    /// Writes the row for the last time: stopped in good order.
    pub fn write_last(&mut self, writer: &Writer, gate: &Gate, now: Now) {
        self.now.stopped_at = Some(now.secs());
        self.send(writer, gate, now);
    }

    fn figures_moved(&self) -> bool {
        self.written.as_ref().is_none_or(|written| {
            // Each write makes the log longer.
            let DaemonStatus { seen_at, wal_bytes, .. } = self.now;
            self.now != DaemonStatus { seen_at, wal_bytes, ..written.status.clone() }
        })
    }

    fn refresh(&mut self, gate: &Gate, now: Now) {
        let oldest = now.secs() - LANES_SECONDS;
        while self.requests.front().is_some_and(|(second, _)| *second <= oldest) {
            self.requests.pop_front();
        }
        let requests: u32 = self.requests_of(RATE_SECONDS, now).iter().sum();
        self.now.request_rate = f64::from(requests) / RATE_SECONDS as f64;
        let by_lane = Lane::ALL.into_iter().zip(self.requests_of(LANES_SECONDS, now));
        self.now.lanes = by_lane
            .map(|(lane, requests)| LaneRequests { lane: lane.as_str().into(), requests: requests.into() })
            .collect();
        self.now.requests_per_second = gate.pace(now.mono);
        self.now.strict_until = gate.strict_until(now.mono).map(|until| now.unix_at(until));
        self.now.seen_at = now.secs();
        self.now.pause = gate.pause().map(|pause| PauseStatus {
            reason: pause.reason.as_str().into(),
            detail: self.pause_detail.clone(),
            since: now.unix_at(pause.since),
            until: now.unix_at(pause.until),
        });
    }

    fn send(&mut self, writer: &Writer, gate: &Gate, now: Now) {
        self.refresh(gate, now);
        writer.status(self.now.clone());
        self.written = Some(Written { status: self.now.clone(), pause: gate.pause(), at: now.mono });
    }
}
