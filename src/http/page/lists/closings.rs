//! `/closings`: each decision to close a talk, and what came of it.

use super::super::parts::{Choice, address, choices, outside, when};
use super::super::shell::{Content, Frame};
use super::{exact, heads, listed, page_value, remark, talk_link, talk_name};
use crate::language::{Language, Message};
use crate::policy::closing::{CloseMode, ClosingOutcome};
use crate::report::humanize::{self, capitalised};
use crate::report::talk::reason;
use crate::store::closures::Closure;
use crate::store::lists::closings::{ClosingQuery, Closings, OutcomeFilter};
use crate::store::local_time::LocalDay;
use maud::{Markup, html};

/// What was asked for, and what was found.
#[derive(Debug, Clone)]
pub(crate) struct ClosingList {
    pub query: ClosingQuery,
    pub today: LocalDay,
    /// `None` if that took too long.
    pub found: Option<Closings>,
}

/// The page.
pub(crate) fn content(frame: &Frame<'_>, list: &ClosingList) -> Content {
    let language = frame.language;
    let title = language.text("section-closings");
    let main = html! {
        h1 { (title) }
        p { (language.text("closings-what")) }
        (outcomes(language, list))
        (days(language, list))
        (talks(language, &list.query))
        (listed(language, list.found.as_ref().map(|found| &found.page), &remark(&language.text("closings-none")),
                |closures| table(frame, closures), |number| list_address(&list.query, number)))
    };
    Content::new(title, main)
}

fn list_address(query: &ClosingQuery, number: usize) -> String {
    let outcome = query.outcome.map_or("", OutcomeFilter::as_str);
    let day = query.day.map_or(String::new(), |day| day.to_string());
    let talk = query.talk.map_or(String::new(), |talk| talk.to_string());
    let page = page_value(number);
    address("closings", &[("outcome", outcome), ("day", &day), ("talk", &talk), ("page", &page)])
}

fn outcomes(language: Language, list: &ClosingList) -> Markup {
    let query = &list.query;
    let counts = list.found.as_ref().and_then(|found| found.counts.as_ref());
    let choice = |outcome: Option<OutcomeFilter>| {
        let name = match outcome {
            None => language.text("closings-all"),
            Some(OutcomeFilter::UnderWay) => language.text("closings-under-way"),
            Some(OutcomeFilter::One(outcome)) => humanize::outcome(outcome).to(language),
        };
        let fits = |one: &ClosingOutcome| outcome.is_none_or(|filter| filter.has(*one));
        let number =
            counts.map(|counts| counts.iter().filter(|(one, _)| fits(one)).map(|(_, number)| number).sum());
        Choice {
            text: number.map_or(name.clone(), |number: i64| format!("{name} {}", language.count(number))),
            address: list_address(&ClosingQuery { outcome, ..*query }, 1),
            is_current: outcome == query.outcome,
        }
    };
    let each: Vec<Choice> = [None].into_iter().chain(OutcomeFilter::all().map(Some)).map(choice).collect();
    choices(&language.text("list-column-outcome"), &each)
}

/// All days, and the days around the one that is chosen. None comes after today.
fn days(language: Language, list: &ClosingList) -> Markup {
    let query = &list.query;
    let around = query.day.unwrap_or(list.today);
    let mut days =
        vec![around.previous().previous(), around.previous(), around, around.next(), around.next().next()];
    days.retain(|day| *day <= list.today || query.day == Some(*day));
    let of = |day: Option<LocalDay>, text: String| Choice {
        text,
        address: list_address(&ClosingQuery { day, ..*query }, 1),
        is_current: query.day == day,
    };
    let all = of(None, language.text("closings-all-days"));
    let each = days.into_iter().map(|day| match day == list.today {
        true => of(Some(day), language.text("closings-today")),
        false => of(Some(day), language.day(day.as_utc())),
    });
    choices(&language.text("list-column-day"), &[all].into_iter().chain(each).collect::<Vec<_>>())
}

/// The one talk, and the way back to all.
fn talks(language: Language, query: &ClosingQuery) -> Markup {
    let Some(talk_id) = query.talk else { return html! {} };
    let of = |text, talk| Choice {
        text,
        address: list_address(&ClosingQuery { talk, ..*query }, 1),
        is_current: talk.is_some(),
    };
    let talks = [of(language.text("talks-all"), None), of(talk_name(language, talk_id), Some(talk_id))];
    choices(&language.text("list-column-talk"), &talks)
}

fn table(frame: &Frame<'_>, closures: &[Closure]) -> Markup {
    let language = frame.language;
    let names = [
        language.text("list-column-talk"),
        language.text("list-column-outcome"),
        language.text("list-column-why"),
        language.text("list-column-times"),
    ];
    let [_, outcome, why, times] = &names;
    html! {
        table.cards {
            caption { (language.text("closings-caption")) }
            (heads(&names))
            tbody {
                @for closure in closures {
                    tr {
                        th scope="row" {
                            (talk_link(language, closure.talk_id))
                            small { (when(language, closure.decided_at, frame.now)) }
                        }
                        td data-name=(outcome) { (result(language, closure)) }
                        td data-name=(why) {
                            (outside(&reason(&closure.reason).to(language)))
                            @if let Some(error) = &closure.error { small.bad { (outside(error)) } }
                        }
                        td data-name=(times) { (steps(language, closure)) }
                    }
                }
            }
        }
    }
}

fn result(language: Language, closure: &Closure) -> Markup {
    html! {
        (capitalised(&humanize::outcome(closure.outcome).to(language)))
        @if closure.mode == CloseMode::DryRun { small { (language.text("closings-dry-run")) } }
        @if closure.attempts > 0 {
            small {
                (Message::new("closings-requests").with("number", closure.attempts).to(language))
                @if let Some(status) = closure.http_status { ", HTTP " (status) }
            }
        }
    }
}

fn steps(language: Language, closure: &Closure) -> Markup {
    html! {
        (language.text("closings-decided")) " " (exact(language, closure.decided_at))
        @if let Some(at) = closure.requested_at { small { (language.text("closings-request-left")) " " (exact(language, at)) } }
        @if let Some(at) = closure.verified_at { small { (language.text("closings-verified")) " " (exact(language, at)) } }
    }
}
