//! Numbers, durations and times as each language writes them.

use super::{Language, Message};
use crate::clock::{TimeUnit, UnixSeconds, in_largest_unit, written};
use std::time::Duration;

/// Times this little ahead mean now, because two clocks were read.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// A whole number with its thousands separated: `1,234,567`, `1 234 567`, `1.234.567`.
pub(super) fn count(language: Language, number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let separator = match language {
        Language::English => ',',
        // Not broken across lines.
        Language::Russian => '\u{a0}',
        Language::Portuguese => '.',
    };
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

impl Language {
    /// A whole number with its thousands separated.
    pub(crate) fn count(self, number: impl TryInto<i64>) -> String {
        count(self, crate::number::whole(number))
    }

    /// A number with this many decimals: `5.2`, `5,2`.
    pub(crate) fn decimal(self, number: f64, decimals: usize) -> String {
        let text = format!("{number:.decimals$}");
        if self == Language::English { text } else { text.replace('.', ",") }
    }

    /// A duration in its largest unit, rounded down: `59 s`, `47 h`, `2 d`. In seconds, none below 0.
    pub(crate) fn duration(self, seconds: i64) -> String {
        let (number, unit) = in_largest_unit(seconds);
        let message = match unit {
            TimeUnit::Second => Message::new("duration-seconds"),
            TimeUnit::Minute => Message::new("duration-minutes"),
            TimeUnit::Hour => Message::new("duration-hours"),
            TimeUnit::Day => Message::new("duration-days"),
        };
        message.with("number", number).to(self)
    }

    /// A size in binary units: `512 B`, `1.20 GiB`.
    pub(crate) fn bytes(self, bytes: u64) -> String {
        let (mut number, mut unit) = (bytes as f64, 0);
        while number >= 1024.0 && unit < 4 {
            (number, unit) = (number / 1024.0, unit + 1);
        }
        let message = match unit {
            0 => Message::new("size-bytes"),
            1 => Message::new("size-kib"),
            2 => Message::new("size-mib"),
            3 => Message::new("size-gib"),
            _ => Message::new("size-tib"),
        };
        message.with("number", self.decimal(number, if unit == 0 { 0 } else { 2 })).to(self)
    }

    /// How long ago something was: `3 h ago`, or `3 h in the future` if a clock is or was wrong.
    pub(crate) fn ago(self, at: UnixSeconds, now: UnixSeconds) -> String {
        ago(at, now).to(self)
    }

    /// How long something has lasted: `for 3 h`, or `since 3 h in the future`.
    pub(crate) fn lasting(self, since: UnixSeconds, now: UnixSeconds) -> String {
        lasting(since, now).to(self)
    }

    /// When something will be: `in 3 min`, or `now`.
    pub(crate) fn in_time(self, at: UnixSeconds, now: UnixSeconds) -> String {
        in_time(at, now).to(self)
    }

    /// A time to the second, UTC: `2026-11-23 09:34:00`, `23.11.2026 09:34:00`, `23/11/2026 09:34:00`.
    pub(crate) fn timestamp(self, at: UnixSeconds) -> String {
        written(
            at,
            match self {
                Language::English => "%Y-%m-%d %H:%M:%S",
                Language::Russian => "%d.%m.%Y %H:%M:%S",
                Language::Portuguese => "%d/%m/%Y %H:%M:%S",
            },
        )
    }

    /// A day with its year, UTC: `2026-11-23`, `23.11.2026`, `23/11/2026`.
    pub(crate) fn date(self, day: UnixSeconds) -> String {
        written(
            day,
            match self {
                Language::English => "%Y-%m-%d",
                Language::Russian => "%d.%m.%Y",
                Language::Portuguese => "%d/%m/%Y",
            },
        )
    }

    /// A day of this or the last year, of a time in its zone: `23 Nov`, `23 нояб.`, `23 de nov.`.
    pub(crate) fn day(self, day: UnixSeconds) -> String {
        let month = match written(day, "%m").parse() {
            Ok(1_usize) => "month-1",
            Ok(2) => "month-2",
            Ok(3) => "month-3",
            Ok(4) => "month-4",
            Ok(5) => "month-5",
            Ok(6) => "month-6",
            Ok(7) => "month-7",
            Ok(8) => "month-8",
            Ok(9) => "month-9",
            Ok(10) => "month-10",
            Ok(11) => "month-11",
            Ok(12) => "month-12",
            // Of no calendar.
            _ => return day.to_string(),
        };
        let day = written(day, "%-d");
        Message::new("day-of-month").with("day", day).with("month", Message::new(month)).to(self)
    }
}

/// [`Language::ago`], as a part of a message.
pub(crate) fn ago(at: UnixSeconds, now: UnixSeconds) -> Message {
    match at.duration_since(now) > SAME_MOMENT {
        true => Message::new("time-in-the-future").with("span", span(at.seconds_since(now))),
        false => Message::new("time-ago").with("span", span(now.seconds_since(at))),
    }
}

/// [`Language::lasting`], as a part of a message.
pub(crate) fn lasting(since: UnixSeconds, now: UnixSeconds) -> Message {
    match since.duration_since(now) > SAME_MOMENT {
        true => Message::new("time-since").with("time", ago(since, now)),
        false => Message::new("time-for").with("span", span(now.seconds_since(since))),
    }
}

/// [`Language::in_time`], as a part of a message.
pub(crate) fn in_time(at: UnixSeconds, now: UnixSeconds) -> Message {
    match at.seconds_since(now) {
        ..=0 => Message::new("time-now"),
        left => Message::new("time-in").with("span", span(left)),
    }
}

fn span(seconds: i64) -> super::MessageValue {
    super::MessageValue::Duration(seconds)
}
