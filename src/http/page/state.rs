//! The answer to the page's question: one sentence, and what to do.

use super::Screen;
use super::parts::{marked, sentence as quoted};
use crate::policy::closing::{CloseMode, ClosingOutcome};
use crate::report::humanize::{ago, capitalised, completeness, count, duration, talks};
use maud::{Markup, html};

/// The state of the mirror at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Works,
    /// The daemon has just started.
    Begins,
    /// It works, but a person has something to do or to know.
    Attention,
    Down,
}

impl Mood {
    /// The title of the browser tab.
    pub(super) fn title(self) -> &'static str {
        match self {
            Mood::Works => "Works",
            Mood::Begins => "Begins",
            Mood::Attention => "Needs attention",
            Mood::Down => "Not working",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Mood::Works => "state works",
            Mood::Begins => "state begins",
            Mood::Attention => "state attention",
            Mood::Down => "state down",
        }
    }

    /// A tick, a clock, an exclamation mark in a triangle, a cross. All differ in shape.
    fn sign(self) -> &'static str {
        match self {
            Mood::Works => "M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20M7.500 12.500l3 3 6-7",
            Mood::Begins => "M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20M12 6.500V12l3.500 2",
            Mood::Attention => "M12 3 2 21h20zM12 10v5M12 18v.01",
            Mood::Down => "M8 2h8l6 6v8l-6 6H8l-6-6V8zM8.500 8.500l7 7M15.500 8.500l-7 7",
        }
    }
}

/// The state in one sentence. It has no figure that changes while all is well, because a screen reader reads it out
/// on change.
pub(super) fn state(screen: &Screen) -> (Mood, String) {
    let daemon = screen.overview.daemon.as_ref();
    if let Some(pause) = daemon.and_then(|daemon| daemon.pause.as_ref()) {
        let what = pause.what();
        return (Mood::Down, format!("No. Everything pauses: {what}."));
    }
    if let Some(obstacle) = screen.obstacles.first() {
        return (Mood::Down, format!("No. {}.", capitalised(&obstacle.to_string())));
    }
    if let Some(first) = screen.complaints.iter().chain(&screen.warnings).next() {
        return (Mood::Attention, format!("Yes, but {}.", first.what));
    }
    if daemon.is_none_or(|daemon| daemon.last_success_at.is_none()) {
        return (Mood::Begins, "It has started, and waits for the API's first answer.".into());
    }
    let sentence = match screen.overview.talks.total {
        0 => "Yes, it works. No talk is mirrored yet.",
        _ if screen.overview.completeness.is_some_and(|counted| !counted.complete) => {
            "Yes, it works. Not all talks are mirrored yet."
        }
        _ => "Yes, it works.",
    };
    (Mood::Works, sentence.into())
}

/// The sentence, its background, and what to do.
pub(super) fn section(screen: &Screen, mood: Mood, sentence: &str) -> Markup {
    let todo = screen.complaints.iter().chain(&screen.warnings);
    let todo: Vec<_> = todo.map(|complaint| (&complaint.what, Some(&complaint.action))).collect();
    // Most obstacles are complaints too, which include what to do.
    let bare = screen.obstacles.iter().filter(|obstacle| {
        let obstacle = obstacle.to_string();
        !screen.complaints.iter().any(|complaint| obstacle.starts_with(&complaint.what.to_string()))
    });
    let todo: Vec<_> = bare.map(|obstacle| (obstacle, None)).chain(todo).collect();
    let rest = html! {
        p { (background(screen)) }
        @if !todo.is_empty() {
            ul.todo aria-label="What there is to do" {
                @for (what, action) in todo {
                    li {
                        (marked(&quoted(&capitalised(&what.to_string())))) "."
                        @if let Some(action) = action { span { "What to do: " (marked(&action.to_string())) "." } }
                    }
                }
            }
        }
    };
    headline(mood, sentence, &rest)
}

/// The sentence with its sign.
pub(super) fn headline(mood: Mood, sentence: &str, rest: &Markup) -> Markup {
    html! {
        section class=(mood.class()) aria-labelledby="state" {
            svg viewBox="0 0 24 24" aria-hidden="true" { path d=(mood.sign()) {} }
            h1 id="state" { (quoted(sentence)) }
            (rest)
        }
    }
}

/// A duration that is not broken across lines.
fn whole(span: &str) -> String {
    span.replace(' ', "\u{a0}")
}

fn background(screen: &Screen) -> String {
    let (overview, now) = (&screen.overview, screen.now);
    let fresh = match overview.freshness.talks {
        0 => "No open talk is mirrored.".to_owned(),
        _ => format!(
            "{} open, of which {} missed; 95 % of them were fetched within {}.",
            talks(overview.talks.in_work),
            count(overview.talks.missed),
            whole(&duration(overview.freshness.p95))
        ),
    };
    let answered = match overview.daemon.as_ref().and_then(|daemon| daemon.last_success_at) {
        None => "The API has not answered yet.".to_owned(),
        Some(at) => format!("The API last answered {}.", whole(&ago(at, now))),
    };
    let of_today =
        |outcome: ClosingOutcome| talks(overview.closures_today.get(&outcome).copied().unwrap_or(0));
    let closed = match screen.close_mode {
        CloseMode::Off => "Auto-close is off.".to_owned(),
        CloseMode::DryRun => {
            format!("Auto-close would have closed {} today.", of_today(ClosingOutcome::WouldClose))
        }
        CloseMode::Live => format!("Auto-close closed {} today.", of_today(ClosingOutcome::Closed)),
    };
    let counted = overview.completeness.as_ref().and_then(|counted| completeness(counted, now));
    let incomplete = counted.map_or(String::new(), |how| format!("{}. ", capitalised(&how.to_string())));
    format!("{incomplete}{fresh} {answered} {closed}")
}
