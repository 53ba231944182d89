//! How fast the database grows, and when its disk is full at that pace.

/// In seconds.
const DAY: i64 = 24 * 60 * 60;
/// In seconds. Nobody plans for what is later than in a thousand years: it is never.
const FAR: i64 = 1000 * 365 * DAY;

/// How much of the database was in use at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// In Unix seconds.
    pub at: i64,
    /// Bytes that hold something.
    pub used: i64,
}

/// The mean growth between two times in bytes a day, less than 0 if it shrinks. `None` if they are less than a day apart.
pub(crate) fn per_day(then: Sample, now: Sample) -> Option<i64> {
    let elapsed = now.at - then.at;
    (elapsed >= DAY).then(|| (now.used - then.used).saturating_mul(DAY) / elapsed)
}

/// The Unix second at which `room` bytes are used up; `None` if it does not grow, or takes a thousand years.
pub(crate) fn full_at(room: u64, per_day: i64, now: i64) -> Option<i64> {
    let per_day = u128::try_from(per_day).ok().filter(|per_day| *per_day > 0)?;
    let seconds = i64::try_from(u128::from(room) * u128::from(DAY.unsigned_abs()) / per_day).ok()?;
    (seconds < FAR).then(|| now + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

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
