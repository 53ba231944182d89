//! The answer to the page's question: one sentence, and what to do.

use super::Screen;
use super::parts::{marked, sentence as quoted};
use crate::language::{Language, Message};
use crate::policy::closing::CloseMode;
use crate::report::humanize::{capitalised, completeness};
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
    pub(super) fn title(self, language: Language) -> String {
        match self {
            Mood::Works => language.text("front-title-works"),
            Mood::Begins => language.text("front-title-begins"),
            Mood::Attention => language.text("front-title-attention"),
            Mood::Down => language.text("front-title-down"),
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
    let language = screen.language;
    let daemon = screen.overview.daemon.as_ref();
    let (mood, sentence) = if let Some(pause) = daemon.and_then(|daemon| daemon.pause.as_ref()) {
        (Mood::Down, Message::new("front-state-paused").with("what", pause.what()))
    } else if let Some(obstacle) = screen.obstacles.first() {
        (Mood::Down, Message::new("front-state-obstacle").with("what", capitalised(&obstacle.to(language))))
    } else if let Some(first) = screen.complaints.iter().chain(&screen.warnings).next() {
        (Mood::Attention, Message::new("front-state-attention").with("what", first.what.clone()))
    } else if daemon.is_none_or(|daemon| daemon.last_success_at.is_none()) {
        (Mood::Begins, Message::new("front-state-begins"))
    } else if screen.overview.talks.total == 0 {
        (Mood::Works, Message::new("front-state-works-empty"))
    } else if screen.overview.completeness.is_some_and(|counted| !counted.complete) {
        (Mood::Works, Message::new("front-state-works-incomplete"))
    } else {
        (Mood::Works, Message::new("front-state-works"))
    };
    (mood, sentence.to(language))
}

/// The sentence, its background, and what to do.
pub(super) fn section(screen: &Screen, mood: Mood, sentence: &str) -> Markup {
    let language = screen.language;
    let todo = screen.complaints.iter().chain(&screen.warnings);
    let todo: Vec<_> = todo.map(|complaint| (&complaint.what, Some(&complaint.action))).collect();
    // Most obstacles are complaints too, which include what to do.
    let bare = screen.obstacles.iter().filter(|obstacle| {
        let obstacle = obstacle.to(language);
        !screen.complaints.iter().any(|complaint| obstacle.starts_with(&complaint.what.to(language)))
    });
    let todo: Vec<_> = bare.map(|obstacle| (obstacle, None)).chain(todo).collect();
    let rest = html! {
        p { (background(screen)) }
        @if !todo.is_empty() {
            ul.todo aria-label=(language.text("front-to-do")) {
                @for (what, action) in todo {
                    li {
                        (marked(&quoted(&capitalised(&what.to(language))))) "."
                        @if let Some(action) = action {
                            span { (language.text("front-what-to-do")) " " (marked(&action.to(language))) "." }
                        }
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

/// How complete the mirror is, when the API answered and whether talks are closed.
fn background(screen: &Screen) -> String {
    let (language, overview, now) = (screen.language, &screen.overview, screen.now);
    let incomplete = overview.completeness.as_ref().and_then(|counted| completeness(counted, now));
    let incomplete = incomplete.map(|how| format!("{}.", capitalised(&how.to(language))));
    let answered = match overview.daemon.as_ref().and_then(|daemon| daemon.last_success_at) {
        None => language.text("front-answered-never"),
        // The time is not broken across lines.
        Some(at) => {
            let ago = language.ago(at, now).replace(' ', "\u{a0}");
            Message::new("front-answered").with("time", ago).to(language)
        }
    };
    let closes = match screen.close_mode {
        CloseMode::Off => language.text("front-closes-off"),
        CloseMode::DryRun => language.text("front-closes-dry-run"),
        CloseMode::Live => language.text("front-closes-live"),
    };
    incomplete.into_iter().chain([answered, closes]).collect::<Vec<_>>().join(" ")
}
