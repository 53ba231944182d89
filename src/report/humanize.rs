//! Times, counts and states for people, the same in the commands and on the status page.
//!
//! What the page and `status` show is a [`Message`]. The short functions write English for the journal and for the
//! other commands.

use crate::clock::UnixSeconds;
pub(crate) use crate::clock::{duration, iso};
use crate::language::{self, Language, Message, MessageValue};
use crate::number;
use crate::policy::closing::{CloseMode, ClosingOutcome};
use crate::policy::lanes::Lane;
pub(crate) use crate::sqlite::causes;
use crate::store::completeness::Completeness;
use crate::store::counts::Freshness;
use crate::store::feeds::{Backfill, Feeder, FeederRow, PastEvents};
use crate::store::sweep::ExemptTalks;
pub(crate) use crate::text::brief;

const YEAR_SECS: i64 = 365 * 24 * 60 * 60;

/// [`Language::ago`] in English.
pub(crate) fn ago(at: UnixSeconds, now: UnixSeconds) -> String {
    Language::English.ago(at, now)
}

/// [`Language::in_time`] in English.
pub(crate) fn in_time(at: UnixSeconds, now: UnixSeconds) -> String {
    Language::English.in_time(at, now)
}

/// [`Language::timestamp`] in English.
pub(crate) fn timestamp(at: UnixSeconds) -> String {
    Language::English.timestamp(at)
}

/// A time, and how long ago it was.
pub(crate) fn timestamp_ago(at: UnixSeconds, now: UnixSeconds) -> String {
    format!("{} ({})", timestamp(at), ago(at, now))
}

/// [`Language::count`] in English.
pub(crate) fn count(number: impl TryInto<i64>) -> String {
    Language::English.count(number)
}

/// `1 talk`, `2 talks`.
pub(crate) fn talks(number: impl TryInto<i64>) -> String {
    Message::new("talks").with("number", number::whole(number)).to_string()
}

/// `1 state`, `2 states`.
pub(crate) fn states(number: u64) -> String {
    Message::new("states").with("number", number).to_string()
}

/// A duration in seconds that may span years: `20 d`, `8 years`.
pub(crate) fn years(seconds: i64) -> MessageValue {
    match seconds / YEAR_SECS {
        ..2 => MessageValue::Duration(seconds),
        years => Message::new("years").with("number", years).into(),
    }
}

/// The name of a feeder. One of another version is named as it is.
pub(crate) fn feeder(name: &str) -> Message {
    match Feeder::parse(name) {
        Some(Feeder::Refresh) => Message::new("feeder-refresh"),
        Some(Feeder::Listing) => Message::new("feeder-listing"),
        Some(Feeder::Events) => Message::new("feeder-events"),
        Some(Feeder::PastEvents) => Message::new("feeder-past-events"),
        Some(Feeder::Directory) => Message::new("feeder-directory"),
        Some(Feeder::Webhook) => Message::new("feeder-webhook"),
        Some(Feeder::Backfill) => Message::new("feeder-backfill"),
        None => Message::verbatim(name.replace('_', " ")),
    }
}

/// The name of a lane. One of another version is named as it is.
pub(crate) fn lane(name: &str) -> Message {
    match Lane::parse(name) {
        Some(Lane::Closing) => Message::new("lane-closing"),
        Some(Lane::Asked) => Message::new("lane-asked"),
        Some(Lane::Hints) => Message::new("lane-hints"),
        Some(Lane::Unmirrored) => Message::new("lane-unmirrored"),
        Some(Lane::Refresh) => Message::new("lane-refresh"),
        None => Message::verbatim(name),
    }
}

/// What came of a closing; also after a count: `2 closed`.
pub(crate) fn outcome(outcome: ClosingOutcome) -> Message {
    match outcome {
        ClosingOutcome::WouldClose => Message::new("outcome-would-close"),
        ClosingOutcome::Requested => Message::new("outcome-requested"),
        ClosingOutcome::Accepted => Message::new("outcome-accepted"),
        ClosingOutcome::Closed => Message::new("outcome-closed"),
        ClosingOutcome::Withdrawn => Message::new("outcome-withdrawn"),
        ClosingOutcome::Refused => Message::new("outcome-refused"),
        ClosingOutcome::Failed => Message::new("outcome-failed"),
    }
}

/// `auto_close.mode`.
pub(crate) fn close_mode(mode: CloseMode) -> Message {
    match mode {
        CloseMode::Off => Message::new("close-mode-off"),
        CloseMode::DryRun => Message::new("close-mode-dry-run"),
        CloseMode::Live => Message::new("close-mode-live"),
    }
}

/// The age of the mirrored states of open talks.
pub(crate) fn freshness(freshness: &Freshness) -> Message {
    let Freshness { talks, p50, p95, max } = *freshness;
    if talks == 0 {
        return Message::new("freshness-none");
    }
    Message::new("freshness")
        .with("p50", MessageValue::Duration(p50))
        .with("p95", MessageValue::Duration(p95))
        .with("max", MessageValue::Duration(max))
}

/// How much of the account is mirrored. `None` once it is complete.
pub(crate) fn completeness(completeness: &Completeness, now: UnixSeconds) -> Option<Message> {
    let Completeness { known, mirrored, complete, .. } = *completeness;
    if complete {
        return None;
    }
    let how = match known > mirrored {
        true => Message::new("completeness-of").with("mirrored", mirrored).with("known", known),
        false => Message::new("completeness-more").with("mirrored", mirrored),
    };
    Some(match completeness.seconds_left(now) {
        None => how,
        Some(left) => {
            Message::new("completeness-left").with("how", how).with("left", MessageValue::Duration(left))
        }
    })
}

/// How many stale talks how many rows keep: `2 rows of close_exemptions keep 3 stale talks from being closed`.
pub(crate) fn exempt(exempt: &ExemptTalks) -> Message {
    let stale = match exempt.stale {
        0 => Message::new("no-stale-talk"),
        stale => Message::new("stale-talks").with("number", stale),
    };
    Message::new("exempt").with("rows", exempt.rows).with("stale", stale)
}

/// The purpose of a sweep's talks: to be `closed`, or `decided on`.
pub(crate) fn aim(mode: CloseMode) -> Message {
    match mode {
        CloseMode::Live => Message::new("aim-closed"),
        CloseMode::DryRun | CloseMode::Off => Message::new("aim-decided"),
    }
}

/// How many ids a backfill has checked.
pub(crate) fn looked_at(walk: &Backfill) -> Message {
    let (done, all) = walk.progress();
    Message::new("backfill-checked").with("done", done).with("all", all)
}

/// The progress of a backfill, and when it ends.
pub(crate) fn backfill(walk: &Backfill, now: UnixSeconds) -> Message {
    // Ids are no counts: nothing separates their thousands.
    let message = match (&walk.ended, walk.seconds_left(now)) {
        (Some((at, why)), _) => {
            Message::new("backfill-ended").with("time", language::ago(*at, now)).with("why", why.as_str())
        }
        (None, Some(left)) => Message::new("backfill-left").with("left", MessageValue::Duration(left)),
        (None, None) => Message::new("backfill-began").with("time", language::ago(walk.began_at, now)),
    };
    message
        .with("from", walk.from.to_string())
        .with("to", walk.to.to_string())
        .with("checked", looked_at(walk))
}

/// How far the past events are read, and when they will be: at the pace until the feeder's last run.
pub(crate) fn past_events(walk: &PastEvents, feeder: &FeederRow, now: UnixSeconds) -> Message {
    let (since, events) =
        (MessageValue::Date(walk.since), Message::new("events").with("number", walk.events));
    match (walk.ended_at, walk.seconds_left(feeder.ran_at.unwrap_or(now))) {
        (None, _) if !feeder.enabled => Message::new("past-events-off")
            .with("since", MessageValue::Date(walk.window().1))
            .with("events", events),
        (Some(at), _) => Message::new("past-events-read")
            .with("since", since)
            .with("time", language::ago(at, now))
            .with("events", events),
        (None, Some(left)) => Message::new("past-events-left")
            .with("percent", number::truncated(walk.share() * 100.0))
            .with("since", since)
            .with("events", events)
            .with("left", MessageValue::Duration(left)),
        (None, None) => Message::new("past-events-begin")
            .with("since", since)
            .with("time", language::ago(walk.resumed_at, now)),
    }
}

/// With a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
            [-60, 2, 7200].map(|ahead| Language::English.lasting(now + ahead, now)),
            ["for 1 min", "for 0 s", "since 2 h in the future"]
        );
        for at in [UnixSeconds::MIN, UnixSeconds::MAX] {
            assert!(
                !ago(at, now).is_empty()
                    && !Language::English.lasting(at, now).is_empty()
                    && !in_time(at, now).is_empty()
            );
            let is_later = at == UnixSeconds::MAX;
            assert!(timestamp_ago(at, UnixSeconds::MIN).contains("future") == is_later, "{at}");
        }
        assert_eq!(in_time(now, now), "now");
        assert_eq!(in_time(now + 60, now), "in 1 min");
        let epoch = UnixSeconds::EPOCH;
        assert_eq!(timestamp(epoch), "1970-01-01 00:00:00");
        assert_eq!(iso(epoch), "1970-01-01T00:00:00Z");
        assert_eq!(
            [2 * YEAR_SECS - 1, 2 * YEAR_SECS, 3000 * YEAR_SECS]
                .map(|seconds| Message::verbatim(years(seconds)).to_string()),
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
        let text = |walk: &PastEvents, enabled| {
            past_events(walk, &feeder(enabled), now + Duration::from_secs(3600)).to_string()
        };
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
