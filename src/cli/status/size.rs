//! The size of the database, and what it holds.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::language::{Language, Message};
use crate::number;
use crate::report::Overview;
use crate::report::humanize;
use crate::report::humanize::years;
use crate::store::sizes::Size;
use std::time::Duration;

/// Rows of the screen; `retention` is `retention.versions`.
pub(super) fn rows(
    overview: &Overview,
    retention: Option<Duration>,
    now: UnixSeconds,
) -> Vec<(&'static str, Text)> {
    let mut rows = vec![("Size", size(&overview.size, now).into())];
    if let Some(versions) = retention {
        rows.push(("History", history(overview, number::seconds(versions), now)));
    }
    rows
}

fn size(size: &Size, now: UnixSeconds) -> String {
    let bytes = |number| Language::English.bytes(number);
    let positive = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    let Size { database_bytes, free_bytes, .. } = *size;
    let mut text = bytes(positive(database_bytes));
    if free_bytes > 0 {
        text.push_str(&format!(" ({} free inside)", bytes(positive(free_bytes))));
    }
    text.push_str(&match size.growth_bytes_per_day {
        None => "; growth a day not known yet".into(),
        Some(0) => "; does not grow".into(),
        Some(growth @ 1..) => format!("; grows {} a day", bytes(positive(growth))),
        Some(growth) => format!("; shrinks {} a day", bytes(growth.unsigned_abs())),
    });
    if let Some(free) = size.disk_free_bytes {
        text.push_str(&format!("; {} free on the disk", bytes(free)));
    }
    if let Some(at) = size.disk_full_at {
        text.push_str(&format!(
            ": full in about {}",
            Message::new("verbatim").with("text", years(at.seconds_since(now)))
        ));
    }
    text
}

fn history(overview: &Overview, versions: i64, now: UnixSeconds) -> Text {
    let kept = format!("states that ended over {} ago are removed", humanize::duration(versions));
    let retention = &overview.retention;
    let obstacle = overview.daemon.as_ref().and_then(|daemon| daemon.not_closing.as_ref());
    let how = match (obstacle, retention.walk, retention.last) {
        (Some(why), ..) => Text::alarming(format!("not now: {why}")),
        (None, Some(walk), _) => format!(
            "running {}, {} removed so far",
            humanize::lasting(walk.began_at, now),
            humanize::count(walk.removed)
        )
        .into(),
        (None, None, Some(last)) => {
            format!("last {}: {} removed", humanize::ago(last.ended_at, now), humanize::count(last.removed))
                .into()
        }
        (None, None, None) => "not done yet".into(),
    };
    Text::from(format!("{kept}; ")).then(how)
}

#[cfg(test)]
mod tests {
    use super::*;

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
