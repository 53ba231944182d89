//! The only place that reads the time, and formats it. Everything that decides takes the time as an argument: a
//! [`UnixSeconds`], or a [`Now`] where it also waits.
//!
//! Uses `number`. Alone knows the time.

mod unix_seconds;

pub use unix_seconds::UnixSeconds;

use crate::number;
use chrono::{DateTime, Datelike};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock was set if it departs this far from the monotonic one.
const MIN_JUMP_SECS: f64 = 5.0;
/// In this time a slewed clock (by a twelfth at most) does not depart so far.
const COMPARE_WINDOW: Duration = Duration::from_secs(55);

/// A reading of both clocks: `mono` for waiting, `unix` for storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Instant,
    /// Seconds since 1970, UTC, with the fraction.
    pub unix: f64,
}

impl Now {
    /// The whole second, as stored.
    pub fn secs(&self) -> UnixSeconds {
        UnixSeconds::new(number::truncated(self.unix))
    }

    /// The wall-clock second of the monotonic time `at`, rounded up so that it is never too early.
    pub fn unix_at(&self, at: Instant) -> UnixSeconds {
        let ahead = at.saturating_duration_since(self.mono).as_secs_f64();
        let behind = self.mono.saturating_duration_since(at).as_secs_f64();
        UnixSeconds::new(number::truncated((self.unix + ahead - behind).ceil()))
    }
}

/// So long after a reading of both clocks. The clock that shows more counts: a sleep of the machine may show only in the
/// wall clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deadline {
    /// The reading.
    pub since: Now,
    /// How long after it.
    pub lasts: Duration,
}

impl Deadline {
    /// Whether it has passed.
    pub fn is_over(&self, now: Now) -> bool {
        let lived = now.mono.saturating_duration_since(self.since.mono).as_secs_f64();
        lived.max(now.unix - self.since.unix) >= self.lasts.as_secs_f64()
    }
}

/// Detects that the wall clock was set, or that the machine slept: the monotonic clock stands still then.
#[derive(Debug)]
pub struct ClockWatch {
    base: Now,
}

impl ClockWatch {
    /// Watches from `now` on.
    pub fn new(now: Now) -> ClockWatch {
        ClockWatch { base: now }
    }

    /// How many seconds the wall clock jumped since the last call. Negative if it was set back.
    pub fn jump(&mut self, now: Now) -> Option<f64> {
        let lived = now.mono.saturating_duration_since(self.base.mono);
        let jump = now.unix - self.base.unix - lived.as_secs_f64();
        let jumped = jump.abs() >= MIN_JUMP_SECS;
        if jumped || lived >= COMPARE_WINDOW {
            self.base = now;
        }
        jumped.then_some(jump)
    }
}

/// Formats a time in UTC by strftime. After the year 9999, the number itself.
pub fn written(at: UnixSeconds, format: &str) -> String {
    let time = DateTime::from_timestamp(at.get(), 0).filter(|time| (0..=9999).contains(&time.year()));
    time.map_or_else(|| at.to_string(), |time| time.format(format).to_string())
}

/// ISO 8601: `2026-11-23T09:34:00Z`.
pub fn iso(at: UnixSeconds) -> String {
    written(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// The next time after `now` that is a multiple of `every` from `origin`. Tasks with the same origin wake the
/// machine together.
pub fn next_of(origin: Instant, every: Duration, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(origin).as_nanos() / every.as_nanos().max(1);
    origin + every.saturating_mul(u32::try_from(passed + 1).unwrap_or(u32::MAX))
}

/// A unit of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Second,
    Minute,
    Hour,
    Day,
}

/// A duration in its largest unit, rounded down. None is below 0.
pub(crate) fn in_largest_unit(seconds: i64) -> (i64, TimeUnit) {
    match seconds.max(0) {
        seconds @ 0..60 => (seconds, TimeUnit::Second),
        seconds @ 60..3600 => (seconds / 60, TimeUnit::Minute),
        // Up to two days in hours: "30 h" is more precise than "1 d".
        seconds @ 3600..172_800 => (seconds / 3600, TimeUnit::Hour),
        seconds => (seconds / 86_400, TimeUnit::Day),
    }
}

/// A duration in its largest unit, in English: `8 s`, `5 min`, `3 h`, `12 d`.
pub fn duration(seconds: i64) -> String {
    let (number, unit) = in_largest_unit(seconds);
    let unit = match unit {
        TimeUnit::Second => "s",
        TimeUnit::Minute => "min",
        TimeUnit::Hour => "h",
        TimeUnit::Day => "d",
    };
    format!("{number} {unit}")
}

/// Reads the monotonic clock alone.
#[expect(clippy::disallowed_methods, reason = "the time is read here")]
pub fn mono() -> Instant {
    Instant::now()
}

/// The time since a monotonic time.
#[expect(clippy::disallowed_methods, reason = "the time is read here")]
pub fn since(moment: Instant) -> Duration {
    moment.elapsed()
}

/// The time since a file changed, by the wall clock. `None` if that is in the future.
#[expect(clippy::disallowed_methods, reason = "the time is read here")]
pub fn age(changed: SystemTime) -> Option<Duration> {
    changed.elapsed().ok()
}

/// Reads both clocks.
#[expect(clippy::disallowed_methods, reason = "the time is read here")]
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Now { mono: Instant::now(), unix }
}

/// The wall clock alone.
pub fn unix_now() -> UnixSeconds {
    now().secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_a_multiple_from_the_origin_on() {
        let origin = Instant::now();
        let at = |millis| origin + Duration::from_millis(millis);
        let next = |now| next_of(origin, Duration::from_secs(1), at(now));
        assert_eq!((next(0), next(999), next(1000), next(3500)), (at(1000), at(1000), at(2000), at(4000)));
        assert_eq!(next_of(at(50), Duration::from_secs(1), origin), at(1050), "not before the first");
    }

    #[test]
    fn a_jump_of_five_seconds_is_noticed_and_a_slewed_clock_makes_none() {
        let start = now();
        let after = |mono: f64, jump: f64| Now {
            mono: start.mono + Duration::from_secs_f64(mono),
            unix: start.unix + mono + jump,
        };
        let mut watch = ClockWatch::new(start);
        assert_eq!(watch.jump(after(0.2, 4.9)), None);
        assert_eq!(watch.jump(after(0.4, -4.9)), None);
        assert!(watch.jump(after(0.6, -10_800.0)).is_some_and(|jump| (jump + 10_800.0).abs() < 0.01));
        assert_eq!(watch.jump(after(0.8, -10_800.0)), None, "once");
        assert!(watch.jump(after(1.0, 0.0)).is_some_and(|jump| (jump - 10_800.0).abs() < 0.01));

        // An hour in which the clock is slewed at chrony's maximum rate.
        let mut watch = ClockWatch::new(start);
        for look in 1..18_000 {
            let mono = f64::from(look) * 0.2;
            assert_eq!(watch.jump(after(mono, mono / 12.0)), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_in_small_steps_is_noticed() {
        let start = now();
        let mut watch = ClockWatch::new(start);
        let jumps = (1..=10).filter(|step| {
            let mono = f64::from(*step) * 10.0;
            let at = Now {
                mono: start.mono + Duration::from_secs_f64(mono),
                unix: start.unix + mono - 2.0 * f64::from(*step),
            };
            watch.jump(at).is_some()
        });
        assert!(jumps.count() > 0);
    }
}
