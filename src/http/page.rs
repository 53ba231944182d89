//! The status page, which answers "is it working?".
//!
//! Text from outside (channels, errors, reasons) stays text and cannot hide or turn parts of the page: templates
//! escape all of it. The page reads nothing: [`Screen`] holds all that it shows.

mod answers;
mod charts;
mod publishing;
mod state;
mod tables;

pub(super) use answers::{icon, page, script, style, unreadable};

use crate::clock::UnixSeconds;
use crate::language::Language;
use crate::number;
use crate::policy::closing::CloseMode;
use crate::report::Overview;
use crate::report::health::Complaint;
use crate::report::humanize::{completeness, count, day, duration, shown, timestamp};
use crate::store::closures::Closure;
use crate::store::days::{DAYS, Day};
use charts::{Chart, ChartKind, figure};
use maud::{DOCTYPE, Markup, html};
use state::Mood;

/// Everything that the page shows at one moment.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    pub now: UnixSeconds,
    /// The account's host.
    pub account: String,
    pub overview: Overview,
    /// Why the daemon cannot work. Empty if it can.
    pub obstacles: Vec<String>,
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
    pub close_rules: String,
    /// When the token expires, if known.
    pub token_expires_at: Option<UnixSeconds>,
}

/// How often the page reloads, in seconds. `page.js` has the same value in milliseconds.
const RELOAD_INTERVAL_SECS: u32 = 15;

/// The page as HTML.
pub(super) fn render(screen: &Screen, language: Language) -> String {
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
            (tables::queue(screen))
            (tables::pauses(screen))
            (tables::talks(screen))
            (tables::auto_close(screen))
            (publishing::table(screen))
        }
        (tables::closures(screen))
        (tables::feeders(screen))
    };
    shell(mood, &screen.account, (screen.now, &screen.overview.timezone), language, &main)
}

/// The page if the database cannot be read.
fn render_unreadable(account: &str, why: &str, language: Language, now: UnixSeconds) -> String {
    let sentence = format!("No. The database cannot be read: {why}");
    let main = html! {
        (state::headline(Mood::Down, &sentence, &html! {}))
    };
    shell(Mood::Down, account, (now, "UTC"), language, &main)
}

fn shell(
    mood: Mood,
    account: &str,
    (now, timezone): (UnixSeconds, &str),
    language: Language,
    main: &Markup,
) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) data-version=(version) {
            head {
                meta charset="utf-8";
                title { (mood.title()) " – talkmirror " (account) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                link rel="icon" type="image/svg+xml" href="page.svg";
                link rel="stylesheet" href="page.css";
                script src="page.js" defer {}
                noscript { meta http-equiv="refresh" content=(RELOAD_INTERVAL_SECS); }
            }
            body {
                header {
                    p { strong { "talkmirror" } " mirrors " (account) }
                    p { "Is it working?" }
                }
                p.heard id="heard" role="status" {}
                p id="lost" role="alert" {}
                main { (main) (as_of(now)) }
                footer {
                    p {
                        "This page refreshes itself every " (RELOAD_INTERVAL_SECS) " s. "
                        @if timezone == "UTC" { "Days and times are UTC." }
                        @else { "Days are those of " (timezone) ", times are UTC." }
                    }
                    p { "talkmirror " (version) ". For programs: " a href="metrics" { "metrics" } ", "
                        a href="readyz" { "readiness" } ", " a href="healthz" { "health" } "." }
                }
            }
        }
    };
    // Escapes the whole page at once, so that no text is missed. The templates contain nothing that this changes.
    shown(&page.into_string()).into_owned()
}

fn as_of(now: UnixSeconds) -> Markup {
    html! { p.note { "As of " (timestamp(now)) " UTC." } }
}

/// The four charts.
fn figures(screen: &Screen) -> Markup {
    let days = &screen.days;
    let values = |figure: fn(&Day) -> i64| days.iter().map(figure).collect::<Vec<i64>>();
    let (open, missed, closed) = (values(|day| day.open), values(|day| day.missed), values(|day| day.closed));
    let times = [days[0].day, days[DAYS / 2].day].map(day);
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
        format!("{} on {}", count(values[place]), day(days[place].day))
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
