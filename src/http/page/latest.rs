//! The folded tables of the front page about the last closings and the feeders.

use super::Screen;
use super::parts::{fold, outside, when};
use crate::language::Message;
use crate::report::Overview;
use crate::report::humanize::{self, backfill, capitalised, outcome, past_events};
use crate::report::talk::reason;
use crate::store::closures::Closure;
use crate::store::feeds::{Feeder, FeederRow};
use maud::{Markup, html};

/// The last closings, and their reasons.
pub(super) fn closings(screen: &Screen) -> Markup {
    let language = screen.language;
    let line = match screen.closures.first() {
        None => language.text("front-closings-none"),
        Some(last) => Message::new("front-closings-line")
            .with("outcome", outcome(last.outcome))
            .with("time", crate::language::ago(last.decided_at, screen.now))
            .to(language),
    };
    let content = html! {
        @if !screen.closures.is_empty() {
            div.wide {
                table.cards {
                    caption { (Message::new("front-closings-caption").with("number", screen.closures.len()).to(language)) }
                    thead {
                        tr {
                            th scope="col" { (language.text("front-column-talk")) }
                            th scope="col" { (language.text("front-column-outcome")) }
                            th scope="col" { (language.text("front-column-why")) }
                        }
                    }
                    tbody {
                        @for closure in &screen.closures { (decision(closure, screen)) }
                    }
                }
            }
            p { a href="closings" { (language.text("front-all-closings")) } }
        }
    };
    fold("closings", &language.text("front-last-closings"), &capitalised(&line), &content)
}

fn decision(closure: &Closure, screen: &Screen) -> Markup {
    let language = screen.language;
    html! {
        tr {
            th scope="row" {
                a href={ "talks/" (closure.talk_id) } { (closure.talk_id) }
                small { (when(language, closure.decided_at, screen.now)) }
            }
            td data-name=(language.text("front-column-outcome")) {
                (capitalised(&outcome(closure.outcome).to(language)))
                @if let Some(status) = closure.http_status { small { "HTTP " (status) } }
            }
            td data-name=(language.text("front-column-why")) {
                (outside(&reason(&closure.reason).to(language)))
                @if let Some(error) = &closure.error { small.bad { (outside(error)) } }
            }
        }
    }
}

/// The feeders.
pub(super) fn feeders(screen: &Screen) -> Markup {
    let (language, rows) = (screen.language, &screen.overview.feeders);
    let on = rows.iter().filter(|row| row.enabled).count();
    let line = match rows.iter().filter(|row| row.trouble.is_some()).count() {
        0 if rows.is_empty() => Message::new("front-feeders-none"),
        0 => Message::new("front-feeders-line").with("number", on),
        failing => Message::new("front-feeders-failing").with("number", failing),
    };
    let content = html! {
        @if !rows.is_empty() {
            div.wide {
                table.cards {
                    caption { (language.text("front-feeders-caption")) }
                    thead {
                        tr {
                            th scope="col" { (language.text("front-column-feeder")) }
                            th scope="col" { (language.text("front-column-last")) }
                            th.number scope="col" { (language.text("front-column-queued-then")) }
                            th.number scope="col" { (language.text("front-column-in-all")) }
                        }
                    }
                    tbody {
                        @for row in rows { (feeder(row, screen)) }
                    }
                }
            }
            p { a href="feeders" { (language.text("front-all-feeders")) } }
        }
    };
    fold("feeders", &language.text("section-feeders"), &line.to(language), &content)
}

fn feeder(row: &FeederRow, screen: &Screen) -> Markup {
    let (language, now) = (screen.language, screen.now);
    let Overview { backfill: ids, past_events: events, .. } = &screen.overview;
    let walk = match Feeder::parse(&row.feeder) {
        Some(Feeder::Backfill) => ids.as_ref().map(|walk| backfill(walk, now)),
        Some(Feeder::PastEvents) => events.as_ref().map(|walk| past_events(walk, row, now)),
        _ => None,
    };
    let trouble = row.trouble.as_ref().map(|trouble| match row.trouble_since {
        None => Message::new("front-feeder-error").with("error", outside(trouble)),
        Some(since) => Message::new("front-feeder-error-since")
            .with("time", crate::language::lasting(since, now))
            .with("error", outside(trouble)),
    });
    html! {
        tr {
            th scope="row" {
                (capitalised(&humanize::feeder(&row.feeder).to(language)))
                @match (trouble, walk) {
                    (Some(trouble), _) => small.bad { (trouble.to(language)) },
                    (None, Some(walk)) => small { (walk.to(language)) },
                    (None, None) => small { (language.text(if row.enabled { "front-feeder-on" } else { "front-feeder-off" })) },
                }
            }
            td data-name=(language.text("front-column-last")) { @match row.ran_at { None => (language.text("front-never")), Some(at) => (when(language, at, now)) } }
            td.number data-name=(language.text("front-column-queued-then")) { (language.count(row.found)) }
            td.number data-name=(language.text("front-column-in-all")) { (language.count(row.found_in_all)) }
        }
    }
}
