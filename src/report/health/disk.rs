//! Complaints about the database's disk.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue};
use crate::report::Overview;
use crate::store::sizes::Size;
use std::time::Duration;

/// Less free space is too little at any growth: the WAL alone may need it while a reader is long.
pub(super) const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// A disk that will be full within this time needs action today, …
const COMPLAIN_WITHIN: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// … and one that will be full within this time needs a plan.
const WARN_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reports a nearly full disk.
pub(super) fn complaint(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    let size = &overview.size;
    let what = match size.disk_free_bytes {
        Some(free) if free < MIN_FREE_BYTES => {
            Message::new("what-disk-nearly-full").with("free", MessageValue::Bytes(free))
        }
        _ => filling(size, now, COMPLAIN_WITHIN)?,
    };
    Some(Complaint { what, action: Message::new("do-make-room") })
}

/// Warns about a disk that will be full.
pub(super) fn warning(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    if complaint(overview, now).is_some() {
        return None;
    }
    Some(Complaint { what: filling(&overview.size, now, WARN_WITHIN)?, action: Message::new("do-make-room") })
}

fn filling(size: &Size, now: UnixSeconds, within: Duration) -> Option<Message> {
    let (full_at, free) = (size.disk_full_at?, size.disk_free_bytes?);
    let growth = u64::try_from(size.growth_bytes_per_day?).ok()?;
    (full_at.duration_since(now) < within).then(|| {
        Message::new("what-disk-fills")
            .with("span", MessageValue::Duration(full_at.seconds_since(now)))
            .with("free", MessageValue::Bytes(free))
            .with("growth", MessageValue::Bytes(growth))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;

    const DAY: i64 = 86_400;
    const GIB: u64 = 1 << 30;

    fn found(free: u64, full_in: Option<i64>) -> (Option<String>, Option<String>) {
        let mut overview = overview();
        overview.size = Size {
            disk_free_bytes: Some(free),
            growth_bytes_per_day: Some(14 << 20),
            disk_full_at: full_in.map(|seconds| NOW + seconds),
            ..Size::default()
        };
        let what = |complaint: Complaint| complaint.what.to_string();
        (complaint(&overview, NOW).map(what), warning(&overview, NOW).map(what))
    }

    #[test]
    fn a_disk_that_fills_is_warned_of_for_30_days_and_complained_of_for_3() {
        assert_eq!(found(GIB, None), (None, None));
        assert_eq!(found(GIB, Some(30 * DAY)), (None, None));
        let full = |span| {
            format!(
                "the database's disk is full in about {span}: 1.00 GiB are free, and the database grows 14.00 MiB a day"
            )
        };
        assert_eq!(found(GIB, Some(30 * DAY - 1)), (None, Some(full("29 d"))));
        assert_eq!(found(GIB, Some(3 * DAY)), (None, Some(full("3 d"))));
        assert_eq!(found(GIB, Some(3 * DAY - 1)), (Some(full("2 d")), None));
    }

    #[test]
    fn a_disk_with_less_than_256_mib_is_complained_of_whatever_the_pace() {
        assert_eq!(found(MIN_FREE_BYTES, None), (None, None));
        let nearly = "the database's disk is nearly full: 256.00 MiB are free";
        assert_eq!(found(MIN_FREE_BYTES - 1, None), (Some(nearly.into()), None));
        assert_eq!(found(MIN_FREE_BYTES - 1, Some(20 * DAY)), (Some(nearly.into()), None), "once");
    }

    #[test]
    fn nothing_is_reported_about_an_unknown_disk() {
        assert_eq!((complaint(&overview(), NOW), warning(&overview(), NOW)), (None, None));
    }
}
