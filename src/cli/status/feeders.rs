//! The lines about feeders, each with its name.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::language::{Language, Message, ago, lasting};
use crate::report::Overview;
use crate::report::humanize::{self, backfill, capitalised, past_events};
use crate::store::feeds::{Feeder, FeederRow};

/// The backfill and the past events come last, and only if they were ever to run.
pub(super) fn rows(overview: &Overview, now: UnixSeconds, language: Language) -> Vec<(String, Text)> {
    let walks = [Feeder::Backfill, Feeder::PastEvents].map(Feeder::as_str);
    let name = |feeder: &str| capitalised(&humanize::feeder(feeder).to(language));
    let steady = overview.feeders.iter().filter(|row| !walks.contains(&row.feeder.as_str()));
    let mut rows: Vec<_> = steady.map(|row| (name(&row.feeder), line(row, now, language))).collect();
    if let Some(walk) = &overview.backfill {
        rows.push((name(Feeder::Backfill.as_str()), backfill(walk, now).to(language).into()));
    }
    if let Some(line) = past_events_line(overview, now, language) {
        rows.push((name(Feeder::PastEvents.as_str()), line));
    }
    rows
}

/// How far the past events are read. `None` if they never were to be.
fn past_events_line(overview: &Overview, now: UnixSeconds, language: Language) -> Option<Text> {
    let feeder = overview.feeders.iter().find(|row| row.feeder == Feeder::PastEvents.as_str());
    let feeder = feeder.filter(|row| row.enabled || overview.past_events.is_some())?;
    let read = match &overview.past_events {
        Some(walk) => past_events(walk, feeder, now),
        None => Message::new("status-feeder-none-read"),
    };
    Some(with_error(&read, feeder, now, language))
}

fn line(feeder: &FeederRow, now: UnixSeconds, language: Language) -> Text {
    if !feeder.enabled {
        return language.text("status-off").into();
    }
    if feeder.feeder == Feeder::Directory.as_str() {
        // It stores names, and queues nothing.
        let read = match feeder.ran_at {
            None => Message::new("status-feeder-nothing-read"),
            Some(at) => Message::new("status-feeder-read").with("time", ago(at, now)),
        };
        return with_error(&read, feeder, now, language);
    }
    let ran = match feeder.ran_at {
        None => Message::new("status-feeder-begins"),
        Some(at) => {
            let found = Message::new("talks").with("number", feeder.found);
            Message::new("status-feeder-ran").with("time", ago(at, now)).with("found", found)
        }
    };
    with_error(&ran.with("all", feeder.found_in_all), feeder, now, language)
}

fn with_error(what: &Message, feeder: &FeederRow, now: UnixSeconds, language: Language) -> Text {
    let what = what.to(language);
    let Some(trouble) = &feeder.trouble else { return what.into() };
    let error = match feeder.trouble_since {
        None => Message::new("status-error"),
        Some(since) => Message::new("status-error-since").with("time", lasting(since, now)),
    };
    let error = error.with("error", trouble.as_str());
    Text::from(format!("{what}; ")).then(Text::alarming(error.to(language)))
}
