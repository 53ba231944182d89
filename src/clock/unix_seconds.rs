//! A point in wall-clock time.

use crate::number;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in wall-clock time, in whole Unix seconds, UTC. A type of its own, so that it is never mixed up with an id,
/// a count or a length of time.
///
/// Any number is one, negative before 1970: times come from other programs and wrong clocks too. Arithmetic stops at
/// the ends and never panics.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// 1970, the time that is 0: long before every real one.
    pub const EPOCH: UnixSeconds = UnixSeconds(0);
    /// Before every other time.
    pub const MIN: UnixSeconds = UnixSeconds(i64::MIN);
    /// After every other time.
    pub const MAX: UnixSeconds = UnixSeconds(i64::MAX);

    /// The time that is this number of seconds after 1970.
    pub const fn new(seconds: i64) -> UnixSeconds {
        UnixSeconds(seconds)
    }

    /// The number of seconds after 1970, as the API, SQL and JSON have it.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The time so many seconds after this one, before it if they are negative.
    pub const fn later_by(self, seconds: i64) -> UnixSeconds {
        UnixSeconds(self.0.saturating_add(seconds))
    }

    /// When the day of this time began, UTC.
    pub const fn start_of_day(self) -> UnixSeconds {
        UnixSeconds(self.0.saturating_sub(self.0.rem_euclid(86_400)))
    }

    /// The seconds from `earlier` to this time. Negative if `earlier` is later.
    pub const fn seconds_since(self, earlier: UnixSeconds) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to this time. Zero if `earlier` is later.
    pub fn duration_since(self, earlier: UnixSeconds) -> Duration {
        Duration::from_secs(number::positive(self.seconds_since(earlier)))
    }
}

/// Adds the whole seconds.
impl Add<Duration> for UnixSeconds {
    type Output = UnixSeconds;

    fn add(self, length: Duration) -> UnixSeconds {
        self.later_by(number::seconds(length))
    }
}

/// Subtracts the whole seconds.
impl Sub<Duration> for UnixSeconds {
    type Output = UnixSeconds;

    fn sub(self, length: Duration) -> UnixSeconds {
        UnixSeconds(self.0.saturating_sub(number::seconds(length)))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Prints the number alone.
impl fmt::Debug for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::UnixSeconds;
    use std::ops::{Add, Sub};
    use std::time::Duration;

    /// Tests write lengths as plain seconds, also negative ones: `NOW - 500`.
    impl Add<i64> for UnixSeconds {
        type Output = UnixSeconds;

        fn add(self, seconds: i64) -> UnixSeconds {
            self.later_by(seconds)
        }
    }

    impl Sub<i64> for UnixSeconds {
        type Output = UnixSeconds;

        fn sub(self, seconds: i64) -> UnixSeconds {
            self.later_by(-seconds)
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let (start, second) = (UnixSeconds::new(1_700_000_000), Duration::from_secs(1));
        assert_eq!([start + second, start - second].map(UnixSeconds::get), [1_700_000_001, 1_699_999_999]);
        assert_eq!(start + Duration::from_millis(1999), start + second, "the whole seconds");
        assert_eq!([UnixSeconds::MAX + second, start + Duration::MAX], [UnixSeconds::MAX; 2]);
        assert_eq!(UnixSeconds::MIN - second, UnixSeconds::MIN);
        assert_eq!(UnixSeconds::new(-2) - Duration::MAX, UnixSeconds::MIN);
        assert_eq!(UnixSeconds::MIN + Duration::MAX, UnixSeconds::new(-1));
    }

    #[test]
    fn a_time_moves_both_ways_and_knows_its_day() {
        let at = UnixSeconds::new(1_700_000_000);
        assert_eq!([at.later_by(5), at.later_by(-5)], [at + 5, at - 5]);
        assert_eq!(UnixSeconds::MAX.later_by(1), UnixSeconds::MAX);
        assert_eq!(UnixSeconds::MIN.later_by(-1), UnixSeconds::MIN);
        let midnight = UnixSeconds::new(19_675 * 86_400);
        assert_eq!([midnight, at, midnight + 86_399].map(UnixSeconds::start_of_day), [midnight; 3]);
        assert_eq!(UnixSeconds::new(-1).start_of_day(), UnixSeconds::new(-86_400));
        assert_eq!(UnixSeconds::MIN.start_of_day(), UnixSeconds::MIN);
    }

    #[test]
    fn the_time_since_another_has_a_sign_as_seconds_and_none_as_a_duration() {
        let at = UnixSeconds::new;
        assert_eq!([at(70).seconds_since(at(10)), at(10).seconds_since(at(70))], [60, -60]);
        assert_eq!(UnixSeconds::MAX.seconds_since(UnixSeconds::MIN), i64::MAX);
        assert_eq!(UnixSeconds::MIN.seconds_since(UnixSeconds::MAX), i64::MIN);
        assert_eq!(at(70).duration_since(at(10)), Duration::from_secs(60));
        assert_eq!([at(10).duration_since(at(70)), at(10).duration_since(at(10))], [Duration::ZERO; 2]);
        let longest = Duration::from_secs(i64::MAX as u64);
        assert_eq!(UnixSeconds::MAX.duration_since(UnixSeconds::MIN), longest);
    }

    #[test]
    fn a_time_is_ordered_printed_stored_and_sent_as_its_number() {
        let (before, at) = (UnixSeconds::new(-5), UnixSeconds::new(191));
        assert!(UnixSeconds::MIN < before && before < at && at < UnixSeconds::MAX);
        assert_eq!(format!("{at} {at:?} {:?} {at:>5}", Some(before)), "191 191 Some(-5)   191");
        assert_eq!(serde_json::to_string(&[before, at]).unwrap(), "[-5,191]");
        assert_eq!(serde_json::from_str::<[UnixSeconds; 1]>("[191]").unwrap(), [at]);
    }
}
