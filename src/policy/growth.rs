//! How fast the database grows, and when its disk is full at that pace.

/// The growth is that of so many last days.
pub const DAYS: i64 = 30;

const DAY: i64 = 24 * 60 * 60;
/// Later than in so many years is never: nobody plans for it.
const FAR: f64 = 1000.0 * 365.0 * DAY as f64;

/// How much of the database was in use at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In Unix seconds.
    pub at: i64,
    /// Bytes that hold something.
    pub used: i64,
}

/// Bytes a day, less than 0 where it shrinks: the straight line that is nearest to all samples (least squares).
/// `None` while they lie within less than a day.
pub fn per_day(samples: &[Sample]) -> Option<f64> {
    let first = samples.iter().map(|sample| sample.at).min()?;
    let last = samples.iter().map(|sample| sample.at).max()?;
    if last - first < DAY {
        return None;
    }
    let base = samples[0].used;
    let points = samples.iter().map(|sample| {
        // Differences are exact, where the figures themselves would be rounded.
        ((sample.at - first) as f64 / DAY as f64, (sample.used - base) as f64)
    });
    let mean = points.clone().map(|(day, _)| day).sum::<f64>() / samples.len() as f64;
    let (across, along) = points.fold((0.0, 0.0), |(across, along), (day, used)| {
        (across + (day - mean) * used, along + (day - mean) * (day - mean))
    });
    Some(across / along)
}

/// The Unix second at which `room` bytes are used up; `None` where it does not grow, or takes a thousand years.
pub fn full_at(room: u64, per_day: f64, now: i64) -> Option<i64> {
    let seconds = room as f64 / per_day * DAY as f64;
    (per_day > 0.0 && seconds < FAR).then(|| now + seconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000;
    const MIB: i64 = 1024 * 1024;

    fn samples(daily: &[i64]) -> Vec<Sample> {
        (0i64..).zip(daily).map(|(day, used)| Sample { at: NOW + day * DAY, used: used * MIB }).collect()
    }

    fn mebibytes(daily: &[i64]) -> Option<f64> {
        per_day(&samples(daily)).map(|bytes| (bytes / MIB as f64 * 100.0).round() / 100.0)
    }

    #[test]
    fn growth_is_known_after_a_day() {
        assert_eq!(mebibytes(&[]), None);
        assert_eq!(mebibytes(&[100]), None);
        assert_eq!(mebibytes(&[100, 114]), Some(14.0));
        let within =
            |seconds| per_day(&[Sample { at: NOW, used: 0 }, Sample { at: NOW + seconds, used: 10 }]);
        assert_eq!(within(DAY - 1), None);
        assert_eq!(within(DAY), Some(10.0));
    }

    #[test]
    fn growth_is_that_of_all_days_and_not_of_the_last() {
        assert_eq!(mebibytes(&[0, 14, 28, 42, 56]), Some(14.0));
        assert_eq!(mebibytes(&[0, 0, 0, 0, 50]), Some(10.0));
        assert_eq!(mebibytes(&[50, 50, 50]), Some(0.0));
        assert_eq!(mebibytes(&[56, 42, 28]), Some(-14.0));
    }

    #[test]
    fn the_disk_is_full_when_the_room_is_used_up_and_never_without_growth() {
        assert_eq!(full_at(140, 14.0, NOW), Some(NOW + 10 * DAY));
        assert_eq!(full_at(0, 14.0, NOW), Some(NOW));
        assert_eq!(full_at(140, 0.0, NOW), None);
        assert_eq!(full_at(0, 0.0, NOW), None);
        assert_eq!(full_at(140, -14.0, NOW), None);
        assert_eq!(full_at(u64::MAX, 1.0, NOW), None, "in a thousand years nobody asks");
    }

    proptest! {
        #[test]
        fn a_steady_growth_is_found_whatever_the_days(
            pace in -1_000_000_000i64..1_000_000_000,
            base in 0i64..1_000_000_000_000,
            mut days in prop::collection::btree_set(0i64..30, 2..30),
        ) {
            days.insert(31);
            let samples: Vec<Sample> =
                days.iter().map(|day| Sample { at: NOW + day * DAY, used: base + day * pace }).collect();
            let found = per_day(&samples).unwrap();
            prop_assert!((found - pace as f64).abs() <= 1.0, "{found} of {pace}");
        }
    }
}
