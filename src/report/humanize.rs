//! Times, counts and states for people, the same in the commands and on the status page.

use crate::clock::{UnixSeconds, written};
pub(crate) use crate::clock::{duration, iso};
use crate::number;
use crate::policy::closing::CloseMode;
pub(crate) use crate::sqlite::causes;
use crate::store::completeness::Completeness;
use crate::store::counts::Freshness;
use crate::store::feeds::{Backfill, FeederRow, PastEvents};
use crate::store::local_time::LocalDay;
use crate::store::sweep::ExemptTalks;
pub(crate) use crate::text::{brief, shown};
use std::time::Duration;

const YEAR_SECS: i64 = 365 * 24 * 60 * 60;

/// Times this little ahead mean now, because two clocks were read.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// How long ago something was: `3 h ago`, or `3 h in the future` if a clock is or was wrong.
pub(crate) fn ago(at: UnixSeconds, now: UnixSeconds) -> String {
    match at.duration_since(now) > SAME_MOMENT {
        true => format!("{} in the future", duration(at.seconds_since(now))),
        false => format!("{} ago", duration(now.seconds_since(at))),
    }
}

/// How long something has lasted: `for 3 h`, or `since 3 h in the future`.
pub(crate) fn lasting(since: UnixSeconds, now: UnixSeconds) -> String {
    match since.duration_since(now) > SAME_MOMENT {
        true => format!("since {}", ago(since, now)),
        false => format!("for {}", duration(now.seconds_since(since))),
    }
}

/// When something will be: `in 3 min`, or `now`.
pub(crate) fn in_time(at: UnixSeconds, now: UnixSeconds) -> String {
    match at.seconds_since(now) {
        ..=0 => "now".into(),
        left => format!("in {}", duration(left)),
    }
}

/// A time to the second, UTC: `2026-11-23 09:34:00`.
pub(crate) fn timestamp(at: UnixSeconds) -> String {
    written(at, "%Y-%m-%d %H:%M:%S")
}

/// A time, and how long ago it was.
pub(crate) fn timestamp_ago(at: UnixSeconds, now: UnixSeconds) -> String {
    format!("{} ({})", timestamp(at), ago(at, now))
}

/// A day of this or the last year: `23 Nov`.
pub(crate) fn day(day: LocalDay) -> String {
    written(day.as_utc(), "%-d %b")
}

/// A count with thousands separated: `1,234,567`.
pub(crate) fn count(number: impl TryInto<i64>) -> String {
    indicatif::HumanCount(number::positive(number::whole(number))).to_string()
}

/// `1 talk`, `2 talks`.
pub(crate) fn talks(number: impl TryInto<i64>) -> String {
    match number::whole(number) {
        1 => "1 talk".into(),
        number => format!("{} talks", count(number)),
    }
}

/// `1 state`, `2 states`.
pub(crate) fn states(number: u64) -> String {
    match number {
        1 => "1 state".into(),
        number => format!("{} states", indicatif::HumanCount(number)),
    }
}

/// A size in binary units: `1.20 GiB`.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// A duration in seconds that may span years: `20 d`, `8 years`.
pub(crate) fn years(seconds: i64) -> String {
    match seconds / YEAR_SECS {
        ..2 => duration(seconds),
        years => format!("{} years", count(years)),
    }
}

/// The age of the mirrored states of open talks.
pub(crate) fn freshness(freshness: &Freshness) -> String {
    let Freshness { talks, p50, p95, max } = *freshness;
    if talks == 0 {
        return "no open talk is mirrored".into();
    }
    let [p50, p95, max] = [p50, p95, max].map(duration);
    format!(
        "half of the open talks were fetched within {p50} (p50), 95 % within {p95} (p95), all within {max}"
    )
}

/// How much of the account is mirrored. `None` once it is complete.
pub(crate) fn completeness(completeness: &Completeness, now: UnixSeconds) -> Option<String> {
    let Completeness { known, mirrored, complete, .. } = *completeness;
    if complete {
        return None;
    }
    let left = completeness
        .seconds_left(now)
        .map_or(String::new(), |left| format!(", about {} left", duration(left)));
    Some(match known > mirrored {
        true => format!("{} of {} known talks mirrored{left}", count(mirrored), count(known)),
        false => format!("{} talks mirrored, more are being looked for{left}", count(mirrored)),
    })
}

/// How many stale talks how many rows keep: `2 rows of close_exemptions keep 3 stale talks from being closed`.
pub(crate) fn exempt(exempt: &ExemptTalks) -> String {
    let rows = match exempt.rows {
        1 => "1 row of close_exemptions keeps".to_owned(),
        rows => format!("{} rows of close_exemptions keep", count(rows)),
    };
    let stale = match exempt.stale {
        0 => "no stale talk".to_owned(),
        1 => "1 stale talk".to_owned(),
        stale => format!("{} stale talks", count(stale)),
    };
    format!("{rows} {stale} from being closed")
}

/// The purpose of a sweep's talks: to be `closed`, or `decided on`.
pub(crate) fn aim(mode: CloseMode) -> &'static str {
    match mode {
        CloseMode::Live => "closed",
        CloseMode::DryRun | CloseMode::Off => "decided on (dry run)",
    }
}

/// How many ids a backfill has checked.
pub(crate) fn looked_at(walk: &Backfill) -> String {
    let (done, all) = walk.progress();
    format!("{} of {} ids are checked", count(done), count(all))
}

/// The progress of a backfill, and when it ends.
pub(crate) fn backfill(walk: &Backfill, now: UnixSeconds) -> String {
    let what = format!("from {} to {}: {}", walk.from, walk.to, looked_at(walk));
    match (&walk.ended, walk.seconds_left(now)) {
        (Some((at, why)), _) => format!("{what}; ended {}: {why}", ago(*at, now)),
        (None, Some(left)) => format!("{what}; done in about {}", duration(left)),
        (None, None) => format!("{what}; started {}", ago(walk.began_at, now)),
    }
}

/// How far the past events are read, and when they will be: at the pace until the feeder's last run.
pub(crate) fn past_events(walk: &PastEvents, feeder: &FeederRow, now: UnixSeconds) -> String {
    let (since, events) = (written(walk.since, "%Y-%m-%d"), count(walk.events));
    match (walk.ended_at, walk.seconds_left(feeder.ran_at.unwrap_or(now))) {
        (None, _) if !feeder.enabled => {
            format!("off; read since {}: {events} events", written(walk.window().1, "%Y-%m-%d"))
        }
        (Some(at), _) => format!("read since {since}, {}: {events} events", ago(at, now)),
        (None, Some(left)) => {
            let percent = (walk.share() * 100.0).floor();
            format!(
                "{percent} % of the time since {since} is read: {events} events; done in about {}",
                duration(left)
            )
        }
        (None, None) => format!("to be read since {since}; started {}", ago(walk.resumed_at, now)),
    }
}

/// With a capital first letter, and blanks between words.
pub(crate) fn capitalised(name: &str) -> String {
    let name = name.replace('_', " ");
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_their_largest_unit() {
        let spans = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(duration);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]);
        let now = UnixSeconds::new(100);
        assert_eq!(ago(now, now + 3 * 3600), "3 h ago");
        assert_eq!(
            [2, 3, 3600].map(|ahead| ago(now + ahead, now)),
            ["0 s ago", "3 s in the future", "1 h in the future"]
        );
        assert_eq!(
            [-60, 2, 7200].map(|ahead| lasting(now + ahead, now)),
            ["for 1 min", "for 0 s", "since 2 h in the future"]
        );
        for at in [UnixSeconds::MIN, UnixSeconds::MAX] {
            assert!(!ago(at, now).is_empty() && !lasting(at, now).is_empty() && !in_time(at, now).is_empty());
            let is_later = at == UnixSeconds::MAX;
            assert!(timestamp_ago(at, UnixSeconds::MIN).contains("future") == is_later, "{at}");
        }
        assert_eq!(in_time(now, now), "now");
        assert_eq!(in_time(now + 60, now), "in 1 min");
        let epoch = UnixSeconds::EPOCH;
        assert_eq!(timestamp(epoch), "1970-01-01 00:00:00");
        assert_eq!((day(LocalDay(0)), iso(epoch)), ("1 Jan".into(), "1970-01-01T00:00:00Z".into()));
        assert_eq!(
            [2 * YEAR_SECS - 1, 2 * YEAR_SECS, 3000 * YEAR_SECS].map(years),
            ["729 d", "2 years", "3,000 years"]
        );
    }

    #[test]
    fn past_events_are_described_until_they_are_read_and_when_they_are_off() {
        let (now, day) = (UnixSeconds::new(1_700_000_000), Duration::from_secs(86_400));
        let feeder = |enabled| FeederRow {
            enabled,
            ran_at: Some(now + Duration::from_secs(20)),
            ..FeederRow::default()
        };
        let mut walk = PastEvents::new(day * 10, now, now);
        let text =
            |walk: &PastEvents, enabled| past_events(walk, &feeder(enabled), now + Duration::from_secs(3600));
        assert_eq!(text(&walk, true), "to be read since 2023-11-04; started 1 h ago");
        walk.has_read(1234, false, now);
        let under_way = "10 % of the time since 2023-11-04 is read: 1,234 events; done in about 3 min";
        assert_eq!(text(&walk, true), under_way, "at the pace of its runs, not of the time since");
        assert_eq!(text(&walk, false), "off; read since 2023-11-13: 1,234 events");
        while walk.ended_at.is_none() {
            walk.has_read(0, false, now);
        }
        assert_eq!(text(&walk, false), "read since 2023-11-04, 1 h ago: 1,234 events");
    }
}
