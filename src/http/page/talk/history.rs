//! What happened to a talk: its timeline, the decisions to close it, and the states it was seen in.

use crate::clock::{UnixSeconds, iso};
use crate::http::page::parts::{marked, outside, sentence};
use crate::http::page::shell::Frame;
use crate::language::Language;
use crate::report::humanize;
use crate::report::talk::{TalkReport, reason, what};
use crate::store::closures::Closure;
use crate::store::story::{TimelineEntry, Version};
use maud::{Markup, html};

/// A time to the second.
fn exact(language: Language, at: UnixSeconds) -> Markup {
    html! { time datetime=(iso(at)) { (language.timestamp(at)) } }
}

/// Who did what, and when.
pub(super) fn timeline(frame: &Frame<'_>, report: &TalkReport) -> Markup {
    let language = frame.language;
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { (language.text("talk-timeline")) }
            @if report.timeline.entries.is_empty() {
                p.note { (language.text("talk-timeline-empty")) }
            } @else {
                p.note { (language.text("talk-timeline-note")) }
                @if let Some(note) = report.note_on_timeline() { p.note { (marked(&note.to(language))) } }
                ol.timeline { @for entry in &report.timeline.entries { (timeline_entry(frame, entry)) } }
            }
        }
    }
}

fn timeline_entry(frame: &Frame<'_>, entry: &TimelineEntry) -> Markup {
    let language = frame.language;
    html! {
        li {
            (sentence(&super::capitalised(&what(entry).to(language))))
            small {
                (exact(language, entry.at)) ", " (language.ago(entry.at, frame.now))
                @if !entry.is_exact() { " · " (language.text("talk-seen-by-fetch")) }
            }
        }
    }
}

/// The decisions to close it.
pub(super) fn closings(frame: &Frame<'_>, report: &TalkReport) -> Markup {
    let (language, closures) = (frame.language, &report.story.closures);
    if closures.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="closings" {
            h2 id="closings" { (language.text("talk-closings")) }
            div.wide {
                table.cards {
                    caption { (language.text("talk-closings-caption")) }
                    thead {
                        tr {
                            @for column in CLOSING_COLUMNS { th scope="col" { (language.text(column)) } }
                        }
                    }
                    tbody { @for closure in closures { (closing(language, closure)) } }
                }
            }
        }
    }
}

const CLOSING_COLUMNS: [&str; 4] =
    ["talk-closing-decided", "talk-closing-outcome", "talk-closing-why", "talk-closing-request"];

fn closing(language: Language, closure: &Closure) -> Markup {
    let [_, outcome, why, request] = CLOSING_COLUMNS.map(|column| language.text(column));
    html! {
        tr {
            th scope="row" { (exact(language, closure.decided_at)) }
            td data-name=(outcome) {
                (super::capitalised(&humanize::outcome(closure.outcome).to(language)))
                @if let Some(at) = closure.verified_at {
                    small { (language.text("talk-closing-verified")) " " (exact(language, at)) }
                }
            }
            td data-name=(why) {
                (outside(&reason(&closure.reason).to(language)))
                @if let Some(error) = &closure.error { small.bad { (outside(error)) } }
            }
            td data-name=(request) {
                @match closure.requested_at {
                    Some(at) => (exact(language, at)),
                    None => (language.text("talk-none")),
                }
                @if let Some(status) = closure.http_status { small { "HTTP " (status) } }
            }
        }
    }
}

const VERSION_COLUMNS: [&str; 7] = [
    "talk-version-from",
    "talk-version-to",
    "talk-version-state",
    "talk-version-missed",
    "talk-updated",
    "talk-rating",
    "talk-version-status",
];

/// The states it was seen in, folded.
pub(super) fn versions(frame: &Frame<'_>, report: &TalkReport) -> Markup {
    let (language, versions) = (frame.language, &report.story.versions);
    if versions.is_empty() {
        return html! {};
    }
    html! {
        details id="versions" {
            summary id="versions-open" { (language.text("talk-versions")) " (" (language.count(versions.len())) ")" }
            div.wide {
                table.cards {
                    caption {
                        (language.text("talk-versions-caption"))
                        @for note in report.notes_on_versions() { " " (marked(&note.to(language))) "." }
                    }
                    thead {
                        tr {
                            @for column in VERSION_COLUMNS { th scope="col" { (language.text(column)) } }
                        }
                    }
                    tbody { @for one in versions { (version(language, one)) } }
                }
            }
        }
    }
}

fn version(language: Language, version: &Version) -> Markup {
    let names = VERSION_COLUMNS.map(|column| language.text(column));
    let none = || language.text("talk-none");
    let mut state = vec![language.text(if version.is_in_work { "talk-open" } else { "talk-closed" })];
    if let Some(is_read) = version.is_read {
        state.push(language.text(if is_read { "talk-read" } else { "talk-not-read" }));
    }
    let cells = [
        version.valid_to.map_or_else(|| language.text("time-now"), |at| language.timestamp(at)),
        state.join(", "),
        version.missed_at.map_or_else(none, |at| language.timestamp(at)),
        language.timestamp(version.updated_at),
        version.rate.map_or_else(none, |rate| rate.to_string()),
        version.status.as_deref().map_or_else(none, outside),
    ];
    html! {
        tr {
            th scope="row" { (exact(language, version.valid_from)) }
            @for (name, cell) in names[1..].iter().zip(cells) { td data-name=(name) { (cell) } }
        }
    }
}
