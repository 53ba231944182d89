//! The size of the database, and what it holds.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::language::{Language, Message, MessageValue, ago, lasting};
use crate::number;
use crate::report::humanize::years;
use crate::report::{Overview, health};
use crate::store::sizes::Size;
use std::time::Duration;

pub(super) fn size(size: &Size, now: UnixSeconds) -> Message {
    let bytes = |bytes: i64| MessageValue::Bytes(number::positive(bytes));
    let stored = match size.free_bytes {
        free @ 1.. => Message::new("status-size-free-inside").with("free", bytes(free)),
        _ => Message::new("status-size-whole"),
    };
    let growth = match size.growth_bytes_per_day {
        None => Message::new("status-growth-unknown"),
        Some(0) => Message::new("status-no-growth"),
        Some(growth @ 1..) => Message::new("status-grows").with("size", bytes(growth)),
        Some(growth) => {
            Message::new("status-shrinks").with("size", MessageValue::Bytes(growth.unsigned_abs()))
        }
    };
    let line = Message::new("status-size-line")
        .with("stored", stored.with("size", bytes(size.database_bytes)))
        .with("growth", growth);
    let Some(free) = size.disk_free_bytes else { return line };
    let disk = Message::new("status-disk-free").with("line", line).with("free", MessageValue::Bytes(free));
    match size.disk_full_at {
        None => disk,
        Some(at) => {
            Message::new("status-disk-full").with("line", disk).with("span", years(at.seconds_since(now)))
        }
    }
}

/// What retention does. `versions` is `retention.versions`.
pub(super) fn history(overview: &Overview, versions: Duration, now: UnixSeconds, language: Language) -> Text {
    let kept =
        Message::new("status-removed-after").with("span", MessageValue::Duration(number::seconds(versions)));
    let retention = &overview.retention;
    let obstacle = overview.daemon.as_ref().and_then(health::not_closing);
    let how = match (obstacle, retention.walk, retention.last) {
        (Some(why), ..) => {
            let not_now = Message::new("status-retention-not-now").with("why", why);
            Text::alarming(not_now.to(language))
        }
        (None, Some(walk), _) => Message::new("status-retention-runs")
            .with("time", lasting(walk.began_at, now))
            .with("number", walk.removed)
            .to(language)
            .into(),
        (None, None, Some(last)) => Message::new("status-retention-last")
            .with("time", ago(last.ended_at, now))
            .with("number", last.removed)
            .to(language)
            .into(),
        (None, None, None) => language.text("status-retention-none").into(),
    };
    Text::from(format!("{}; ", kept.to(language))).then(how)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(size_row: &Size, now: UnixSeconds) -> String {
        super::size(size_row, now).to_string()
    }

    const EPOCH: UnixSeconds = UnixSeconds::EPOCH;
    const DAY: i64 = 86_400;
    const MIB: i64 = 1 << 20;

    #[test]
    fn the_size_is_shown_with_its_growth_and_the_end_of_the_disk() {
        let mut size_row = Size {
            database_bytes: 1229 * MIB,
            free_bytes: 120 * MIB,
            wal_bytes: 0,
            growth_bytes_per_day: Some(14 * MIB),
            disk_free_bytes: Some(41 << 30),
            disk_full_at: Some(EPOCH + 3000 * DAY),
        };
        assert_eq!(
            size(&size_row, EPOCH),
            "1.20 GiB (120.00 MiB free inside); grows 14.00 MiB a day; \
             41.00 GiB free on the disk: full in about 8 years"
        );
        size_row.disk_full_at = Some(EPOCH + 20 * DAY);
        assert!(size(&size_row, EPOCH).ends_with(": full in about 20 d"));
        (size_row.growth_bytes_per_day, size_row.disk_full_at, size_row.free_bytes) = (Some(-MIB), None, 0);
        assert_eq!(size(&size_row, EPOCH), "1.20 GiB; shrinks 1.00 MiB a day; 41.00 GiB free on the disk");
        size_row.growth_bytes_per_day = None;
        assert!(size(&size_row, EPOCH).contains("; growth a day not known yet; "));
    }
}
