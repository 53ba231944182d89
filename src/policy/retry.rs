//! When a failed talk is fetched again.

use crate::clock::UnixSeconds;
use crate::number;
use std::time::Duration;

/// A talk that this token may not read is fetched again after a day: people change rights seldom.
pub(crate) const DENIED_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// How failures of one talk are retried (`[queue]` in the configuration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryRules {
    /// How many failures of its own fail a row.
    pub max_attempts: u32,
    /// The upper bound of the first backoff.
    pub base: Duration,
    /// The upper bound of every backoff.
    pub max: Duration,
}

/// What becomes of a queue row after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextTry {
    /// Retried, not before this time.
    At(UnixSeconds),
    /// Failed, until a person retries it.
    Never,
}

/// Decides about a row after `attempts` failures (at least 1).
pub(crate) fn after_failure(attempts: u32, rules: &RetryRules, now: f64, rng: &mut fastrand::Rng) -> NextTry {
    if attempts >= rules.max_attempts {
        return NextTry::Never;
    }
    NextTry::At(not_before(now, backoff(attempts, rules, rng)))
}

/// Backoff with full jitter: uniform between 0 and a bound that doubles with each failure. Talks that failed
/// together do not come back together.
pub(crate) fn backoff(attempts: u32, rules: &RetryRules, rng: &mut fastrand::Rng) -> Duration {
    // 5s, 10s, 20s, 40s, … 1h with the defaults
    let doublings = attempts.saturating_sub(1).min(31);
    let bound = rules.base.saturating_mul(1 << doublings).min(rules.max);
    bound.mul_f64(rng.f64())
}

/// The first whole second that is not before `now + delay`; `now` is in Unix seconds, with the fraction.
pub(crate) fn not_before(now: f64, delay: Duration) -> UnixSeconds {
    UnixSeconds::new(number::truncated((now + delay.as_secs_f64()).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> RetryRules {
        RetryRules { max_attempts: 8, base: Duration::from_secs(5), max: Duration::from_secs(3600) }
    }

    #[test]
    fn the_last_attempt_fails_the_row_and_the_one_before_does_not() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(matches!(after_failure(7, &rules(), 1000.0, &mut rng), NextTry::At(_)));
        assert_eq!(after_failure(8, &rules(), 1000.0, &mut rng), NextTry::Never);
    }

    #[test]
    fn jitter_is_full_it_reaches_both_ends_of_the_range() {
        let mut rng = fastrand::Rng::with_seed(7);
        let drawn: Vec<f64> = (0..2000).map(|_| backoff(3, &rules(), &mut rng).as_secs_f64()).collect();
        assert!(drawn.iter().any(|d| *d < 0.5), "none near 0 s");
        assert!(drawn.iter().any(|d| *d > 19.5), "none near 20 s");
    }

    proptest! {
        #[test]
        fn a_backoff_never_passes_its_bound(attempts in 1u32..500, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let bound = (5.0 * 2f64.powi(attempts.min(60) as i32 - 1)).min(3600.0);
            prop_assert!(backoff(attempts, &rules(), &mut rng).as_secs_f64() <= bound);
        }

        #[test]
        fn a_row_is_never_due_before_its_backoff_has_passed(now in 1.0e9f64..4.0e9, delay_ms in 0u64..10_000_000) {
            let delay = Duration::from_millis(delay_ms);
            let due = not_before(now, delay).get() as f64;
            prop_assert!(due >= now + delay.as_secs_f64());
            prop_assert!(due < now + delay.as_secs_f64() + 1.0);
        }
    }
}
