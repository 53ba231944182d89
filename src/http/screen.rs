//! Answers with pages: gathers what they show from the process and, with its own reader, from the database.

use super::page::{self, Content, Frame, Screen, Section};
use super::query::Query;
use super::{MirrorState, Site};
use crate::clock::{self, UnixSeconds, unix_now};
use crate::language::Message;
use crate::policy::closing::CloseMode;
use crate::report::health::{self, Complaint};
use crate::report::humanize::causes;
use crate::store::Connection;
use crate::store::closures::{self, Closure};
use crate::store::days::{self, DAYS, Day};
use crate::store::status::Liveness;
use crate::store::{self, SqlError, StoreError, local_time, sweep};
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The days are counted again if the last count is older than this. With a million talks a count takes some tenths
/// of a second.
const MAX_DAYS_AGE: Duration = Duration::from_secs(60);
/// How many closings are shown.
const CLOSURES_SHOWN: usize = 10;

/// Data that only the page shows, with a cache of the last read.
#[derive(Debug)]
pub(super) struct PageCache {
    /// The account's host.
    account: String,
    days: Mutex<Option<(Instant, [Day; DAYS])>>,
}

impl PageCache {
    pub(super) fn new(account: String) -> PageCache {
        PageCache { account, days: Mutex::new(None) }
    }

    async fn days(&self, database: PathBuf) -> Result<[Day; DAYS], StoreError> {
        // Locked during the count, so that concurrent requests share its result.
        let mut last = self.days.lock().await;
        if let Some((at, days)) = *last
            && clock::since(at) < MAX_DAYS_AGE
        {
            return Ok(days);
        }
        let days = run_blocking(move || {
            let connection = store::open_read_only(&database)?;
            Ok(days::days(&connection, unix_now())?)
        })
        .await?;
        *last = Some((clock::mono(), days));
        Ok(days)
    }
}

/// The last closings, `auto_close.mode`, and which talks it closes.
pub(super) type ClosingSummary = (Vec<Closure>, CloseMode, Option<Message>);

pub(super) fn closing(connection: &Connection) -> Result<ClosingSummary, StoreError> {
    let closures = closures::last(connection, CLOSURES_SHOWN)?;
    let (mode, rules) = sweep::running_rules(connection)?.unzip();
    Ok((closures, mode.unwrap_or_default(), rules.map(|rules| rules.message())))
}

/// Runs what reads the database in a thread that may block.
pub(super) async fn run_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(read).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn screen(site: &Site) -> Result<Screen, Arc<StoreError>> {
    let MirrorState { live, overview, closing, mut complaints, obstacles, now, .. } =
        site.mirror_state().await?;
    let mut days = site.page_cache.days(site.database.clone()).await.map_err(Arc::new)?;
    // The days may be a moment old. Today's open talks must match the rest of the page.
    days[DAYS - 1].open = overview.talks.in_work;
    let (closures, close_mode, close_rules) = closing;
    if let Some(mistakes) = live.refused {
        let mistakes = mistakes.trim_end().trim_end_matches('.');
        complaints.push(Complaint {
            what: Message::new("what-config-refused").with("mistakes", mistakes),
            action: Message::new("do-config-refused"),
        });
    }
    let alive = overview.daemon.is_some().then_some(Liveness::Running);
    let warnings = health::warnings(&overview, alive, now);
    Ok(Screen {
        now,
        account: site.page_cache.account.clone(),
        overview,
        obstacles,
        complaints,
        warnings,
        days,
        closures,
        requests_by_minute: live.requests_by_minute,
        close_mode,
        close_rules,
        token_expires_at: live.token_expires_at,
    })
}

/// `/`
pub(super) async fn page(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let frame = site.frame(&request, Some(Section::Overview));
    if let Err(refusal) = Query::parse(&request.uri, &[]) {
        return page::answer(&frame, &Content::bad_request(frame.language, &refusal));
    }
    match screen(&site).await {
        Ok(screen) => {
            let frame = Frame { timezone: Some(&screen.overview.timezone), now: screen.now, ..frame };
            page::answer(&frame, &page::front(&screen, frame.language))
        }
        Err(error) => page::answer(&frame, &page::unreadable(&causes(&error))),
    }
}

/// Any address without a page.
pub(super) async fn not_found(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let content = Content::not_found(site.language(&request.headers), &Message::new("not-found-page"));
    page::answer(&site.frame(&request, None), &content)
}

/// Answers with a page of what `read` finds in the database at one moment. `content` gets the frame for its language,
/// the time of the read and the way to the other pages.
pub(super) async fn answer<T: Send + 'static>(
    site: &Site,
    request: &Parts,
    section: Section,
    read: impl FnOnce(&Connection, UnixSeconds) -> Result<T, SqlError> + Send + 'static,
    content: impl FnOnce(&Frame<'_>, T) -> Content,
) -> Response {
    let (database, frame) = (site.database.clone(), site.frame(request, Some(section)));
    let now = frame.now;
    let found = run_blocking(move || {
        let connection = store::open_read_only(&database)?;
        Ok(store::at_one_moment(&connection, |moment| {
            Ok((read(moment, now)?, local_time::zone_name(moment)?))
        })?)
    });
    match found.await {
        Ok((found, zone)) => {
            let frame = Frame { timezone: Some(&zone), ..frame };
            page::answer(&frame, &content(&frame, found))
        }
        Err(error) => page::answer(&frame, &page::unreadable(&causes(&error))),
    }
}

impl Site {
    /// The frame of a response to a request.
    pub(super) fn frame(&self, request: &Parts, section: Option<Section>) -> Frame<'_> {
        let folders = request.uri.path().matches('/').count().saturating_sub(1);
        Frame {
            language: self.language(&request.headers),
            account: &self.page_cache.account,
            now: unix_now(),
            timezone: None,
            section,
            root: &ROOT[..folders.min(MAX_FOLDERS) * "../".len()],
        }
    }
}

/// The way up from the deepest folder that is told from the others.
const ROOT: &str = "../../../../../../../../";
const MAX_FOLDERS: usize = ROOT.len() / "../".len();
