//! The pages for people. The front page answers "is it working?".
//!
//! Text from outside (channels, errors, reasons) stays text and cannot hide or turn parts of the page: templates
//! escape all of it. A page reads nothing: it gets all that it shows.

mod answers;
mod charts;
mod course;
mod latest;
pub(super) mod lists;
mod mirror;
mod parts;
mod publishing;
mod shell;
mod state;
mod tables;
mod talk;
mod tiles;

pub(super) use answers::{answer, icon, script, style};
pub(super) use shell::{Content, Frame, Section};
pub(super) use talk::{talk, talk_too_long};

use crate::clock::UnixSeconds;
use crate::language::{Language, Message};
use crate::policy::closing::CloseMode;
use crate::report::Overview;
use crate::report::health::Complaint;
use crate::store::closures::Closure;
use crate::store::counts::Waiting;
use crate::store::course::{Period, Range};
use crate::store::local_time::LocalDay;
use axum::http::StatusCode;
use maud::html;
use state::Mood;
use std::sync::Arc;

/// Everything that the front page shows at one moment.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    pub language: Language,
    pub now: UnixSeconds,
    /// The day of `now` by `report.timezone`.
    pub today: LocalDay,
    pub overview: Overview,
    /// The clients who wait for an answer.
    pub waiting: Waiting,
    /// Why the daemon cannot work. Empty if it can.
    pub obstacles: Vec<Message>,
    pub complaints: Vec<Complaint>,
    pub warnings: Vec<Complaint>,
    pub course: Course,
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

/// The talks of a range, of all channels or of one.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub range: Range,
    pub channel: Option<String>,
    /// Earliest first. The last is not over.
    pub periods: Arc<Vec<Period>>,
    /// The channels to choose from.
    pub channels: Arc<Vec<String>>,
}

/// The front page: what matters most comes first, and details are folded.
pub(super) fn front(screen: &Screen) -> Content {
    let (mood, sentence) = state::state(screen);
    let main = html! {
        (state::section(screen, mood, &sentence))
        (tiles::tiles(screen))
        (course::section(screen))
        div.folds {
            (tables::queue(screen))
            (tables::auto_close(screen))
            (latest::closings(screen))
            (tables::talks(screen))
            (tables::requests(screen))
            (latest::feeders(screen))
            (mirror::table(screen))
            (publishing::table(screen))
        }
    };
    Content::new(mood.title(screen.language), main)
}

/// What every page shows if the database cannot be read.
pub(super) fn unreadable(language: Language, why: &str) -> Content {
    let sentence = Message::new("front-state-unreadable").with("why", why).to(language);
    let main = state::headline(Mood::Down, &sentence, &html! {});
    Content { status: StatusCode::SERVICE_UNAVAILABLE, ..Content::new(Mood::Down.title(language), main) }
}

#[cfg(test)]
mod tests;
