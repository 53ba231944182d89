//! Conversions between kinds of numbers. What does not fit becomes the nearest number that does: nothing wraps around.
//!
//! Uses no other room.

use std::time::Duration;

/// A count as SQLite stores it.
pub(crate) fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The whole seconds of a duration, rounded down.
pub(crate) fn seconds(duration: Duration) -> i64 {
    whole(duration.as_secs())
}

/// The whole part of a number. 0 if it is not a number.
#[expect(clippy::cast_possible_truncation, reason = "`as` gives the nearest, and 0 for NaN")]
pub(crate) const fn truncated(number: f64) -> i64 {
    number as i64
}

/// A stored number that is never negative.
pub(crate) fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A stored number of things in memory.
pub(crate) fn size(number: i64) -> usize {
    usize::try_from(positive(number)).unwrap_or(usize::MAX)
}

/// A stored number of attempts.
pub(crate) fn attempts(number: i64) -> u32 {
    u32::try_from(positive(number)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_becomes_the_nearest() {
        assert_eq!([whole(7_usize), whole(u64::MAX), seconds(Duration::MAX)], [7, i64::MAX, i64::MAX]);
        assert_eq!(
            [1.9, -1.9, 1e300, f64::NEG_INFINITY, f64::NAN].map(truncated),
            [1, -1, i64::MAX, i64::MIN, 0]
        );
        assert_eq!([positive(-1), positive(i64::MAX)], [0, i64::MAX as u64]);
        assert_eq!([size(-1), size(7)], [0, 7]);
        assert_eq!([attempts(-1), attempts(i64::MAX)], [0, u32::MAX]);
    }
}
