//! How the talks went: charts of a range of time, of all channels or of one, and their figures.

use super::charts::{Chart, ChartKind, figure};
use super::parts::{Choice, address, choices, outside};
use super::{Course, Screen};
use crate::clock::{UnixSeconds, written};
use crate::language::{Language, Message, MessageValue};
use crate::number;
use crate::report::humanize::completeness;
use crate::store::course::{Period, Range};
use maud::{Markup, html};

/// The charts, what they show, and their figures.
pub(super) fn section(screen: &Screen) -> Markup {
    let language = screen.language;
    let incomplete = screen.overview.completeness.as_ref();
    let incomplete = incomplete.and_then(|counted| completeness(counted, screen.now));
    html! {
        section aria-labelledby="course" {
            h2.heard id="course" { (language.text("front-course")) }
            div.which { (ranges(screen)) (channels(screen)) }
            @if let Some(how) = incomplete {
                p.note { (Message::new("front-course-incomplete").with("how", how).to(language)) }
            }
            div.charts { (charts(screen)) }
            (periods(&screen.course, language))
        }
    }
}

fn address_of(range: Range, channel: Option<&str>) -> String {
    let range = if range == Range::Month { "" } else { range.as_str() };
    address("./", &[("range", range), ("channel", channel.unwrap_or_default())])
}

fn ranges(screen: &Screen) -> Markup {
    let (language, course) = (screen.language, &screen.course);
    let choice = |range: Range| Choice {
        text: range_name(range).to(language),
        address: address_of(range, course.channel.as_deref()),
        is_current: range == course.range,
    };
    choices(&language.text("front-range"), &Range::ALL.map(choice))
}

fn range_name(range: Range) -> Message {
    match range {
        Range::Hours => Message::new("front-range-hours"),
        Range::Week => Message::new("front-range-week"),
        Range::Month => Message::new("front-range-month"),
        Range::Quarter => Message::new("front-range-quarter"),
    }
}

/// The channels, folded: an account may have many.
fn channels(screen: &Screen) -> Markup {
    let (language, course) = (screen.language, &screen.course);
    let all = Choice {
        text: language.text("front-channel-all"),
        address: address_of(course.range, None),
        is_current: course.channel.is_none(),
    };
    let of_each = course.channels.iter().map(|channel| Choice {
        text: outside(channel),
        address: address_of(course.range, Some(channel)),
        is_current: course.channel.as_ref() == Some(channel),
    });
    let name = course.channel.as_deref().map_or_else(|| language.text("front-channel-all"), outside);
    html! {
        details id="channels" {
            summary { (language.text("front-channel")) ": " b { (name) } }
            (choices(&language.text("front-channel"), &std::iter::once(all).chain(of_each).collect::<Vec<_>>()))
        }
    }
}

/// The hour or day of a period.
fn time_of(language: Language, range: Range, begins: UnixSeconds) -> String {
    match range {
        Range::Hours => written(begins, "%H:%M"),
        Range::Week | Range::Month | Range::Quarter => language.day(begins),
    }
}

/// The four charts.
fn charts(screen: &Screen) -> Markup {
    let (language, course) = (screen.language, &screen.course);
    let Course { range, periods, .. } = course;
    let times: Vec<String> = periods.iter().map(|one| time_of(language, *range, one.begins)).collect();
    let now = language.text(if *range == Range::Hours { "front-this-hour" } else { "front-today" });
    let labels = [times[0].clone(), times[times.len() / 2].clone(), now.clone()];
    let values = |figure: fn(&Period) -> i64| periods.iter().map(figure).collect::<Vec<i64>>();
    let (open, missed, closed) = (values(|one| one.open), values(|one| one.missed), values(|one| one.closed));
    let last = |values: &[i64]| values.last().copied().unwrap_or(0);
    let sum = |values: &[i64]| values.iter().sum::<i64>();
    let text = |id, values: &[i64]| {
        Message::new(id)
            .with("range", range_name(*range))
            .with("now", last(values))
            .with("sum", sum(values))
            .with("extremes", extremes(&times, values))
            .to(language)
    };
    let so_far =
        |values: &[i64]| Message::new("front-chart-so-far").with("number", last(values)).with("when", &*now);
    let open_list =
        address("talks", &[("state", "open"), ("channel", course.channel.as_deref().unwrap_or_default())]);
    let open_now = Message::new("front-chart-now").with("number", last(&open));
    html! {
        (figure(language, &Chart {
            title: language.text("front-chart-open"), now: open_now.to(language), address: Some(open_list), text: text("front-chart-open-text", &open),
            values: &open, times: &times, labels: labels.clone(), kind: ChartKind::Course, class: "open",
        }))
        (figure(language, &Chart {
            title: language.text("front-chart-missed"), now: so_far(&missed).to(language), address: None, text: text("front-chart-missed-text", &missed),
            values: &missed, times: &times, labels: labels.clone(), kind: ChartKind::Bars, class: "missed",
        }))
        (figure(language, &Chart {
            title: language.text("front-chart-closed"), now: so_far(&closed).to(language), address: None, text: text("front-chart-closed-text", &closed),
            values: &closed, times: &times, labels, kind: ChartKind::Bars, class: "closed",
        }))
        (requests(screen))
    }
}

/// The minimum and maximum, and when they were.
fn extremes(times: &[String], values: &[i64]) -> Message {
    let of = |place: Option<usize>| {
        let place = place.unwrap_or(0);
        Message::new("front-extreme").with("number", values[place]).with("time", times[place].as_str())
    };
    let least = of((0..values.len()).min_by_key(|place| values[*place]));
    let most = of((0..values.len()).rev().max_by_key(|place| values[*place]));
    Message::new("front-extremes").with("least", least).with("most", most)
}

/// The chart of requests by minute. It is always of the last hours and of the whole account.
fn requests(screen: &Screen) -> Markup {
    let language = screen.language;
    let requests: Vec<i64> = screen.requests_by_minute.iter().map(|requests| i64::from(*requests)).collect();
    // The current minute is not over and would look like a fall.
    let whole = &requests[..requests.len().saturating_sub(1)];
    let minutes = number::whole(whole.len());
    let ago = |minutes: i64| match minutes {
        ..2 => language.text("front-last-minute"),
        minutes => language.ago(screen.now, screen.now.later_by(60 * minutes)),
    };
    let times: Vec<String> = (0..minutes).map(|place| ago(minutes - place)).collect();
    let label = |minutes: i64| if minutes < 2 { String::new() } else { ago(minutes) };
    let last = whole.last().copied();
    let text = match last {
        None => Message::new("front-chart-requests-none"),
        Some(last) => Message::new("front-chart-requests-text")
            .with("minutes", minutes)
            .with("last", last)
            .with("mean", MessageValue::Decimal(whole.iter().sum::<i64>() as f64 / whole.len() as f64, 1))
            .with("most", whole.iter().copied().max().unwrap_or(0)),
    };
    figure(
        language,
        &Chart {
            title: language.text("front-chart-requests"),
            now: Message::new("front-chart-requests-now").with("number", last.unwrap_or(0)).to(language),
            address: None,
            text: text.to(language),
            values: whole,
            times: &times,
            labels: [label(minutes), label(minutes / 2), language.text("time-now")],
            kind: ChartKind::Course,
            class: "requests",
        },
    )
}

/// The figures behind the charts.
fn periods(course: &Course, language: Language) -> Markup {
    let Course { range, periods, .. } = course;
    let (by, caption) = match range {
        Range::Hours => ("front-column-hour", "front-figures-by-hour"),
        Range::Week | Range::Month | Range::Quarter => ("front-column-day", "front-figures-by-day"),
    };
    html! {
        details id="figures" {
            summary id="figures-open" { (Message::new("front-figures").with("range", range_name(*range)).to(language)) }
            div.wide {
                table {
                    caption { (language.text(caption)) " " (language.text("front-figures-how")) }
                    thead {
                        tr {
                            th scope="col" { (language.text(by)) }
                            th.number scope="col" { (language.text("front-column-open-at-end")) }
                            th.number scope="col" { (language.text("front-column-missed")) }
                            th.number scope="col" { (language.text("front-column-closed")) }
                        }
                    }
                    tbody {
                        @for (place, one) in periods.iter().enumerate().rev() {
                            tr {
                                th scope="row" {
                                    (time_of(language, *range, one.begins))
                                    @if place + 1 == periods.len() { " " (language.text("front-so-far")) }
                                }
                                td.number { (language.count(one.open)) }
                                td.number { (language.count(one.missed)) }
                                td.number { (language.count(one.closed)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
