//! `/feeders`: what finds talks by itself, how far it is, and what fails.

use super::super::parts::{empty, facts, outside, when};
use super::super::shell::{Content, Frame};
use super::heads;
use crate::language::Language;
use crate::report::humanize::{backfill, past_events};
use crate::store::feeds::{Backfill, Feeder, FeederRow, PastEvents};
use crate::store::lists::names::NameCounts;
use maud::{Markup, html};

/// What is stored of the feeders.
#[derive(Debug, Clone)]
pub(crate) struct FeederList {
    pub feeders: Vec<FeederRow>,
    pub backfill: Option<Backfill>,
    pub past_events: Option<PastEvents>,
    /// `None` if counting took too long.
    pub names: Option<NameCounts>,
}

/// The page.
pub(crate) fn content(frame: &Frame<'_>, list: &FeederList) -> Content {
    let language = frame.language;
    let title = language.text("section-feeders");
    let main = html! {
        h1 { (title) }
        p { (language.text("feeders-what")) }
        @if list.feeders.is_empty() { (empty(&language.text("feeders-none"))) } @else { (table(frame, list)) }
        @if let Some(names) = &list.names { (stored_names(language, names)) }
    };
    Content::new(title, main)
}

fn table(frame: &Frame<'_>, list: &FeederList) -> Markup {
    let Frame { language, now, .. } = *frame;
    let names = [
        language.text("list-column-feeder"),
        language.text("list-column-state"),
        language.text("list-column-last-run"),
        language.text("list-column-queued"),
        language.text("list-column-queued-in-all"),
    ];
    let [_, state, last_run, queued, in_all] = &names;
    html! {
        div.wide {
            table.cards {
                caption { (language.text("feeders-caption")) }
                (heads(&names))
                tbody {
                    @for row in &list.feeders {
                        tr {
                            th scope="row" { code { (row.feeder) } small { (purpose(language, row)) } }
                            td data-name=(state) { (state_of(frame, list, row)) }
                            td data-name=(last_run) {
                                @match row.ran_at {
                                    None => (language.text("feeders-never")),
                                    Some(at) => (when(language, at, now)),
                                }
                            }
                            td data-name=(queued) { (language.count(row.found)) }
                            td data-name=(in_all) { (language.count(row.found_in_all)) }
                        }
                    }
                }
            }
        }
    }
}

/// What a feeder does.
fn purpose(language: Language, row: &FeederRow) -> String {
    match Feeder::parse(&row.feeder) {
        Some(Feeder::Refresh) => language.text("feeders-purpose-refresh"),
        Some(Feeder::Listing) => language.text("feeders-purpose-listing"),
        Some(Feeder::Events) => language.text("feeders-purpose-events"),
        Some(Feeder::PastEvents) => language.text("feeders-purpose-past-events"),
        Some(Feeder::Directory) => language.text("feeders-purpose-directory"),
        Some(Feeder::Webhook) => language.text("feeders-purpose-webhook"),
        Some(Feeder::Backfill) => language.text("feeders-purpose-backfill"),
        None => String::new(),
    }
}

fn state_of(frame: &Frame<'_>, list: &FeederList, row: &FeederRow) -> Markup {
    let Frame { language, now, .. } = *frame;
    let progress = match Feeder::parse(&row.feeder) {
        Some(Feeder::Backfill) => list.backfill.as_ref().map(|walk| backfill(walk, now)),
        Some(Feeder::PastEvents) => list.past_events.as_ref().map(|walk| past_events(walk, row, now)),
        _ => None,
    };
    html! {
        @if row.enabled { (language.text("feeders-on")) } @else { (language.text("feeders-off")) }
        @if let Some(trouble) = &row.trouble {
            small.bad {
                (language.text("feeders-error"))
                @if let Some(since) = row.trouble_since { " " (language.lasting(since, now)) }
                ": " (outside(trouble))
            }
        }
        @if let Some(progress) = progress { small { (outside(&progress.to(language))) } }
    }
}

fn stored_names(language: Language, names: &NameCounts) -> Markup {
    let rows = [
        (language.text("feeders-names-users"), names.users),
        (language.text("feeders-names-pipelines"), names.pipelines),
        (language.text("feeders-names-leads"), names.leads),
        (language.text("feeders-names-contacts"), names.contacts),
    ];
    let rows = rows.map(|(name, number)| (name, html! { (language.count(number)) }));
    facts(&language.text("feeders-names"), "names", &language.text("feeders-names-caption"), &rows)
}
