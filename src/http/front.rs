//! The front page: gathers what it shows from the process and from the database.

use super::courses::Choice;
use super::page::{self, Content, Course, Frame, Screen, Section};
use super::{MirrorState, Site};
use crate::clock::UnixSeconds;
use crate::language::{Language, Message};
use crate::policy::closing::CloseMode;
use crate::report::health::{self, Complaint};
use crate::report::humanize::causes;
use crate::store::closures::{self, Closure};
use crate::store::counts::{self, Waiting};
use crate::store::local_time::{self, LocalDay};
use crate::store::status::Liveness;
use crate::store::{Connection, StoreError, sweep};
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::sync::Arc;

/// How many closings are shown.
const CLOSURES_SHOWN: usize = 10;

/// What of the database only the front page shows.
#[derive(Debug, Clone)]
pub(super) struct FrontState {
    today: LocalDay,
    waiting: Waiting,
    /// The last closings, latest first.
    closures: Vec<Closure>,
    /// `auto_close.mode`, …
    close_mode: CloseMode,
    /// … and which talks it closes.
    close_rules: Option<Message>,
}

/// Reads it.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn read(connection: &Connection, now: UnixSeconds) -> Result<FrontState, StoreError> {
    let (mode, rules) = sweep::running_rules(connection)?.unzip();
    Ok(FrontState {
        today: local_time::day(connection, now)?,
        waiting: counts::waiting_talks(connection)?,
        closures: closures::last(connection, CLOSURES_SHOWN)?,
        close_mode: mode.unwrap_or_default(),
        close_rules: rules.map(|rules| rules.message()),
    })
}

/// `/`
pub(super) async fn page(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let frame = site.frame(&request, Some(Section::Overview));
    let language = frame.language;
    let unreadable = |error: &StoreError| page::answer(&frame, &page::unreadable(language, &causes(error)));
    let choice = match Choice::parse(&request.uri) {
        Ok(choice) => choice,
        Err(refusal) => return page::answer(&frame, &Content::bad_request(language, &refusal)),
    };
    let channel = choice.channel.clone();
    let course = match site.courses.course(site.database.clone(), choice).await {
        Ok(Some(course)) => course,
        Ok(None) => {
            let refusal = Message::new("front-no-such-channel").with("channel", channel.unwrap_or_default());
            return page::answer(&frame, &Content::bad_request(language, &refusal));
        }
        Err(error) => return unreadable(&error),
    };
    match site.mirror_state().await {
        Ok(state) => {
            let screen = screen(state, course, language);
            let frame = Frame { timezone: Some(&screen.overview.timezone), now: screen.now, ..frame };
            page::answer(&frame, &page::front(&screen))
        }
        Err(error) => unreadable(&error),
    }
}

fn screen(state: MirrorState, mut course: Course, language: Language) -> Screen {
    let MirrorState { live, overview, front, mut complaints, obstacles, now, .. } = state;
    // The count may be a moment old. The open talks of now must match the rest of the page.
    if course.channel.is_none()
        && let Some(last) = Arc::make_mut(&mut course.periods).last_mut()
    {
        last.open = overview.talks.in_work;
    }
    if let Some(mistakes) = live.refused {
        let mistakes = mistakes.trim_end().trim_end_matches('.');
        complaints.push(Complaint {
            what: Message::new("what-config-refused").with("mistakes", mistakes),
            action: Message::new("do-config-refused"),
        });
    }
    let alive = overview.daemon.is_some().then_some(Liveness::Running);
    let warnings = health::warnings(&overview, alive, now);
    let FrontState { today, waiting, closures, close_mode, close_rules } = front;
    Screen {
        language,
        now,
        today,
        overview,
        waiting,
        obstacles,
        complaints,
        warnings,
        course,
        closures,
        requests_by_minute: live.requests_by_minute,
        close_mode,
        close_rules,
        token_expires_at: live.token_expires_at,
    }
}
