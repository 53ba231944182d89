//! How fast the database grows, and when its disk is full at that pace.

use crate::clock::UnixSeconds;
use crate::number;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody plans for what is later than in a thousand years: it is never.
const FAR: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// How much of the database was in use at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub at: UnixSeconds,
    /// Bytes that hold something.
    pub used: i64,
}

/// The mean growth between two times in bytes a day, less than 0 if it shrinks. `None` if they are less than a day apart.
pub(crate) fn per_day(then: Sample, now: Sample) -> Option<i64> {
    let elapsed = now.at.duration_since(then.at);
    let growth = now.used.saturating_sub(then.used).saturating_mul(number::seconds(DAY));
    (elapsed >= DAY).then(|| growth / number::seconds(elapsed))
}

/// When `room` bytes are used up; `None` if it does not grow, or takes a thousand years.
pub(crate) fn full_at(room: u64, per_day: i64, now: UnixSeconds) -> Option<UnixSeconds> {
    let per_day = u128::try_from(per_day).ok().filter(|per_day| *per_day > 0)?;
    let seconds = u64::try_from(u128::from(room) * u128::from(DAY.as_secs()) / per_day).ok()?;
    let left = Duration::from_secs(seconds);
    (left < FAR).then(|| now + left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: i64 = 86_400;

    #[test]
    fn growth_is_the_mean_of_a_day_and_more() {
        let growth = |seconds: i64, used: i64| {
            per_day(Sample { at: NOW - seconds, used: 1000 }, Sample { at: NOW, used: 1000 + used })
        };
        assert_eq!(growth(DAY - 1, 10), None);
        assert_eq!(growth(DAY, 10), Some(10));
        assert_eq!(growth(7 * DAY, 70), Some(10));
        assert_eq!(growth(7 * DAY, -70), Some(-10));
        assert_eq!(growth(7 * DAY, 0), Some(0));
        assert_eq!(growth(DAY + DAY / 2, 15 << 40), Some(10 << 40));
    }

    #[test]
    fn the_disk_is_full_when_the_room_is_used_up_and_never_without_growth() {
        assert_eq!(full_at(140, 14, NOW), Some(NOW + 10 * DAY));
        assert_eq!(full_at(0, 14, NOW), Some(NOW));
        assert_eq!(full_at(140, 0, NOW), None);
        assert_eq!(full_at(0, 0, NOW), None);
        assert_eq!(full_at(140, -14, NOW), None);
        assert_eq!(full_at(u64::MAX, 1, NOW), None, "in a thousand years nobody asks");
    }
}
