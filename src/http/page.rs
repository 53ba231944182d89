//! The pages for people. The front page answers "is it working?".
//!
//! Text from outside (channels, errors, reasons) stays text and cannot hide or turn parts of the page: templates
//! escape all of it. A page reads nothing: it gets all that it shows.

mod answers;
mod charts;
mod parts;
mod publishing;
mod shell;
mod state;
mod tables;

pub(super) use answers::{answer, icon, script, style};
pub(super) use shell::{Content, Frame, Section};

use crate::clock::UnixSeconds;
use crate::language::{Language, Message};
use crate::number;
use crate::policy::closing::CloseMode;
use crate::report::Overview;
use crate::report::health::Complaint;
use crate::report::humanize::{completeness, count, duration};
use crate::store::closures::Closure;
use crate::store::days::{DAYS, Day};
use axum::http::StatusCode;
use charts::{Chart, ChartKind, figure};
use maud::{Markup, html};
use state::Mood;

/// Everything that the front page shows at one moment.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    pub now: UnixSeconds,
    /// The account's host.
    pub account: String,
    pub overview: Overview,
    /// Why the daemon cannot work. Empty if it can.
    pub obstacles: Vec<Message>,
    pub complaints: Vec<Complaint>,
    pub warnings: Vec<Complaint>,
    /// The last days, earliest first.
    pub days: [Day; DAYS],
    /// The last closings, latest first.
    pub closures: Vec<Closure>,
    /// Requests in each of the last minutes. The current minute is last.
    pub requests_by_minute: Vec<u32>,
    pub close_mode: CloseMode,
    /// Which talks auto-close closes, for people: `missed for over 24h …`.
    pub close_rules: Option<Message>,
    /// When the token expires, if known.
    pub token_expires_at: Option<UnixSeconds>,
}

/// The front page.
pub(super) fn front(screen: &Screen, language: Language) -> Content {
    let (mood, sentence) = state::state(screen);
    let incomplete = screen.overview.completeness.as_ref();
    let incomplete = incomplete.and_then(|counted| completeness(counted, screen.now));
    let main = html! {
        (state::section(screen, mood, &sentence))
        section aria-labelledby="course" {
            h2 id="course" { "At a glance" }
            @if let Some(how) = incomplete {
                p.note { "Until all talks are mirrored, the counts by day are too low: " (how) "." }
            }
            div.columns { (figures(screen)) }
            (tables::days(&screen.days))
        }
        div.columns {
            (tables::queue(screen, language))
            (tables::pauses(screen, language))
            (tables::talks(screen, language))
            (tables::auto_close(screen, language))
            (publishing::table(screen, language))
        }
        (tables::closures(screen, language))
        (tables::feeders(screen, language))
    };
    Content::new(mood.title(), main)
}

/// What every page shows if the database cannot be read.
pub(super) fn unreadable(why: &str) -> Content {
    let sentence = format!("No. The database cannot be read: {why}");
    let main = state::headline(Mood::Down, &sentence, &html! {});
    Content { status: StatusCode::SERVICE_UNAVAILABLE, ..Content::new(Mood::Down.title(), main) }
}

/// The four charts.
fn figures(screen: &Screen) -> Markup {
    let days = &screen.days;
    let values = |figure: fn(&Day) -> i64| days.iter().map(figure).collect::<Vec<i64>>();
    let (open, missed, closed) = (values(|day| day.open), values(|day| day.missed), values(|day| day.closed));
    let times = [days[0].day, days[DAYS / 2].day].map(|day| Language::English.day(day.as_utc()));
    let times = [times[0].clone(), times[1].clone(), "today".to_owned()];
    let requests: Vec<i64> = screen.requests_by_minute.iter().map(|requests| i64::from(*requests)).collect();
    // The current minute is not over and would look like a fall.
    let whole = &requests[..requests.len().saturating_sub(1)];
    let today = |values: &[i64]| values.last().copied().unwrap_or(0);
    html! {
        (figure(&Chart {
            title: "Open talks, by day",
            now: format!("{} now", count(today(&open))),
            text: format!("Open talks at the end of each of the last {DAYS} days: {} now; {}.",
                          count(today(&open)), extremes(days, &open)),
            values: &open, times: times.clone(), kind: ChartKind::Course, class: "open",
        }))
        (figure(&Chart {
            title: "Missed talks, by day",
            now: format!("{} today", count(today(&missed))),
            text: counted("Talks missed", days, &missed),
            values: &missed, times: times.clone(), kind: ChartKind::Bars, class: "missed",
        }))
        (figure(&Chart {
            title: "Closed talks, by day",
            now: format!("{} today", count(today(&closed))),
            text: counted("Talks closed", days, &closed),
            values: &closed, times, kind: ChartKind::Bars, class: "closed",
        }))
        (figure(&Chart {
            title: "Requests, by minute",
            now: format!("{} last minute", count(today(whole))),
            text: request_text(whole),
            values: whole,
            times: minutes(number::whole(whole.len())),
            kind: ChartKind::Course, class: "requests",
        }))
    }
}

/// The minimum and maximum of the days, and when they were.
fn extremes(days: &[Day], values: &[i64]) -> String {
    let of = |place: Option<usize>| {
        let place = place.unwrap_or(0);
        format!("{} on {}", count(values[place]), Language::English.day(days[place].day.as_utc()))
    };
    let least = of((0..values.len()).min_by_key(|place| values[*place]));
    let most = of((0..values.len()).rev().max_by_key(|place| values[*place]));
    format!("at least {least}, at most {most}")
}

fn counted(what: &str, days: &[Day; DAYS], values: &[i64]) -> String {
    let all: i64 = values.iter().sum();
    let (today, yesterday) = (values[DAYS - 1], values[DAYS - 2]);
    format!(
        "{what} on each of the last {DAYS} days: {} today so far, {} yesterday, {} in all; {}.",
        count(today),
        count(yesterday),
        count(all),
        extremes(days, values)
    )
}

/// The time labels of a chart of minutes.
fn minutes(minutes: i64) -> [String; 3] {
    let ago = |minutes: i64| if minutes < 2 { String::new() } else { format!("{minutes} min ago") };
    [
        if minutes < 120 { ago(minutes) } else { format!("{} ago", duration(minutes * 60)) },
        ago(minutes / 2),
        "now".into(),
    ]
}

fn request_text(requests: &[i64]) -> String {
    let Some(last) = requests.last() else { return "No whole minute has been counted yet.".into() };
    let mean = requests.iter().sum::<i64>() as f64 / requests.len() as f64;
    format!(
        "Requests in each of the last {} minutes: {} in the last whole one, {mean:.1} on average, at most {}.",
        requests.len(),
        count(*last),
        count(requests.iter().copied().max().unwrap_or(0))
    )
}

#[cfg(test)]
mod tests;
