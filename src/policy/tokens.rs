//! Token lifetimes: when a person is warned of the end, and when an OAuth pair is renewed.

use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue};
use std::fmt;
use std::time::Duration;

/// A person is warned this long before a token ends.
const NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A person is reminded of it once in this time.
const REMINDER_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// A pair is renewed at least this often. Its refresh token expires after three months without use.
const MAX_IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A pair is renewed this long before its access token expires, …
const RENEW_AHEAD: Duration = Duration::from_secs(60 * 60);
/// … or with this share of its lifetime left, if that is later.
const RENEW_AHEAD_SHARE: f64 = 0.25;
/// A pair from further in the future was obtained under a wrong clock.
const FUTURE_TOLERANCE: Duration = Duration::from_secs(60 * 60);
/// After a refused token a pair is renewed at once, then after 1min, 2min, 4min, … 6h until a new token works. A
/// new token that is refused too does not help.
const REFUSAL_RENEWAL_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(6 * 60 * 60));
/// A refused renewal is retried after this time: a person has to act.
pub(crate) const REFUSED_RETRY: Duration = Duration::from_secs(15 * 60);
/// A renewal with a transient failure is retried after 10s, 20s, 40s, … 10min.
const RENEWAL_BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// The state of a token that a person must replace. Its text follows "the API token".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing to do yet.
    Far(TimeToExpiry),
    /// Within 14 days.
    Soon(TimeToExpiry),
    /// Expired, and no longer accepted.
    Over(TimeToExpiry),
}

/// The time until the token expires, or since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeToExpiry {
    expires_at: UnixSeconds,
    now: UnixSeconds,
}

impl Expiry {
    /// For a token that expires at `expires_at`.
    pub(crate) fn of(expires_at: UnixSeconds, now: UnixSeconds) -> Expiry {
        let span = TimeToExpiry { expires_at, now };
        match expires_at.duration_since(now) {
            left if left.is_zero() => Expiry::Over(span),
            left if left <= NOTICE => Expiry::Soon(span),
            _ => Expiry::Far(span),
        }
    }

    /// When it expires or expired, for people: `expires in 13 days, on 2026-11-27`.
    pub(crate) fn message(self) -> Message {
        let (message, span) = match self {
            Expiry::Far(span) | Expiry::Soon(span) => (Message::new("token-expires"), span),
            Expiry::Over(span) => (Message::new("token-expired"), span),
        };
        let time = days(span.expires_at.seconds_since(span.now).saturating_abs());
        message.with("span", time).with("day", MessageValue::Date(span.expires_at))
    }
}

/// In English.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

fn days(seconds: i64) -> MessageValue {
    match seconds / 86_400 {
        ..2 => MessageValue::Duration(seconds),
        days => Message::new("days").with("number", days).into(),
    }
}

/// Whether to log the reminder: at the start, then once a day.
pub(crate) fn is_reminder_due(reminded_at: Option<UnixSeconds>, now: UnixSeconds) -> bool {
    reminded_at.is_none_or(|at| !(at..at + REMINDER_INTERVAL).contains(&now))
}

/// Whether a regular renewal is due: before the end, and weekly. `now` is in Unix seconds, with the fraction.
pub(crate) fn is_renewal_due(obtained_at: UnixSeconds, expires_at: UnixSeconds, now: f64) -> bool {
    let life = expires_at.duration_since(obtained_at).as_secs_f64();
    let left = expires_at.get() as f64 - now;
    let age = now - obtained_at.get() as f64;
    // A pair obtained this second is used, whatever lifetime it claims.
    let ends = left < RENEW_AHEAD.as_secs_f64().min(life * RENEW_AHEAD_SHARE) && age.abs() >= 1.0;
    ends || age >= MAX_IDLE.as_secs_f64() || age < -FUTURE_TOLERANCE.as_secs_f64()
}

/// Whether to renew a pair because its access token was refused. `since` is the time since the last such renewal.
/// `in_vain` counts renewals whose tokens did not work.
pub(crate) fn may_renew_for_refusal(since: Option<Duration>, in_vain: u32) -> bool {
    let (first, longest) = REFUSAL_RENEWAL_BACKOFF;
    let wait = first.saturating_mul(1 << in_vain.saturating_sub(1).min(20)).min(longest);
    since.is_none_or(|since| since >= wait)
}

/// The wait after `attempts` transient failures in a row (at least 1).
pub(crate) fn renewal_backoff(attempts: u32) -> Duration {
    let (first, longest) = RENEWAL_BACKOFF;
    first.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: i64 = 86_400;

    #[test]
    fn a_person_is_warned_from_14_days_before_the_end() {
        assert!(matches!(Expiry::of(NOW + 14 * DAY + 1, NOW), Expiry::Far(_)));
        assert!(matches!(Expiry::of(NOW + 14 * DAY, NOW), Expiry::Soon(_)));
        assert!(matches!(Expiry::of(NOW + 1, NOW), Expiry::Soon(_)));
        assert!(matches!(Expiry::of(NOW, NOW), Expiry::Over(_)));
        assert!(matches!(Expiry::of(UnixSeconds::MIN, NOW), Expiry::Over(_)));
    }

    #[test]
    fn the_end_is_shown_in_days_and_as_a_date() {
        let words = |at| Expiry::of(at, NOW).to_string();
        assert_eq!(words(NOW + 9 * DAY + 5), "expires in 9 days, on 2023-11-23");
        assert_eq!(words(NOW + 2 * DAY - 1), "expires in 47 h, on 2023-11-16");
        assert_eq!(words(NOW - 3 * DAY), "expired 3 days ago, on 2023-11-11");
        assert_eq!(words(NOW), "expired 0 s ago, on 2023-11-14");
    }

    #[test]
    fn the_reminder_is_logged_at_the_start_and_once_a_day() {
        assert!(is_reminder_due(None, NOW));
        assert!(!is_reminder_due(Some(NOW), NOW));
        assert!(!is_reminder_due(Some(NOW), NOW + DAY - 1));
        assert!(is_reminder_due(Some(NOW), NOW + DAY));
        assert!(is_reminder_due(Some(NOW), NOW - 1), "the clock was set back");
    }

    #[test]
    fn a_pair_is_renewed_an_hour_ahead_or_in_the_last_quarter_of_its_life() {
        let due = |life: i64, age: f64| is_renewal_due(NOW, NOW + life, NOW.get() as f64 + age);
        assert!(!due(DAY, DAY as f64 - 3600.0));
        assert!(due(DAY, DAY as f64 - 3599.9));
        assert!(!due(600, 450.0));
        assert!(due(600, 450.1));
        assert!(due(600, 10_000.0), "long over");
        assert!(!due(0, 0.5), "not in the second in which it came");
        assert!(due(0, 1.0));
    }

    #[test]
    fn an_idle_pair_is_renewed_weekly_whatever_its_lifetime() {
        let due = |age: i64| is_renewal_due(NOW, NOW + 1000 * DAY, (NOW + age).get() as f64);
        assert!(!due(0));
        assert!(!due(7 * DAY - 1));
        assert!(due(7 * DAY));
        assert!(!due(-3600), "clocks differ");
        assert!(due(-3601), "obtained under a wrong clock");
    }

    #[test]
    fn a_new_token_that_is_refused_is_not_renewed_within_the_minute() {
        assert!(may_renew_for_refusal(None, 0));
        assert!(!may_renew_for_refusal(Some(Duration::from_millis(59_999)), 0));
        assert!(may_renew_for_refusal(Some(Duration::from_secs(60)), 0), "the token before worked");
        for (in_vain, seconds) in [(1, 60), (2, 120), (5, 960), (9, 15_360), (10, 21_600), (u32::MAX, 21_600)]
        {
            let may = |seconds| may_renew_for_refusal(Some(Duration::from_secs(seconds)), in_vain);
            assert!(!may(seconds - 1) && may(seconds), "{in_vain}");
        }
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_ever_more_seldom() {
        let seconds = [1, 2, 3, 6, 7, 1000].map(|attempts| renewal_backoff(attempts).as_secs());
        assert_eq!(seconds, [10, 20, 40, 320, 600, 600]);
    }
}
