//! The one place where time is read, and how long it is in words. Everything that decides takes it as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks: `mono` for waiting, `unix` for what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub mono: Instant,
    /// Seconds since 1970, UTC, with their fraction.
    pub unix: f64,
}

impl Now {
    /// Whole Unix seconds, as stored.
    pub fn secs(&self) -> i64 {
        self.unix as i64
    }

    /// The wall-clock second in which the monotonic `at` falls, rounded up: never too early.
    pub fn unix_at(&self, at: Instant) -> i64 {
        let ahead = at.saturating_duration_since(self.mono).as_secs_f64();
        let behind = self.mono.saturating_duration_since(at).as_secs_f64();
        (self.unix + ahead - behind).ceil() as i64
    }
}

/// A span in its largest unit: `8 s`, `5 min`, `3 h`, `12 d`.
pub fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        // Up to two days in hours: "30 h" says more than "1 d".
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Reads both clocks.
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Now { mono: Instant::now(), unix }
}

/// The wall clock alone, in whole Unix seconds.
pub fn unix_now() -> i64 {
    now().secs()
}
