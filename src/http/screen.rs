//! Gathers what the status page shows from the process and, with its own reader, from the database.

use super::page::{self, Screen};
use super::{MirrorState, Site};
use crate::clock::{self, unix_now};
use crate::policy::closing::CloseMode;
use crate::report::health::{self, Complaint};
use crate::report::humanize::causes;
use crate::store::Connection;
use crate::store::closures::{self, Closure};
use crate::store::days::{self, DAYS, Day};
use crate::store::status::Liveness;
use crate::store::{self, StoreError, sweep};
use axum::extract::State;
use axum::http::HeaderMap;
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
pub(super) type ClosingSummary = (Vec<Closure>, CloseMode, String);

pub(super) fn closing(connection: &Connection) -> Result<ClosingSummary, StoreError> {
    let closures = closures::last(connection, CLOSURES_SHOWN)?;
    let (mode, rules) = sweep::running_rules(connection)?.unzip();
    Ok((closures, mode.unwrap_or_default(), rules.map_or(String::new(), |rules| rules.to_string())))
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
        complaints.push(Complaint {
            what: format!("a newer configuration was refused: {}", mistakes.trim_end().trim_end_matches('.')),
            action: "correct it, then reload (`systemctl reload talkmirror`, or SIGHUP); the old one stays \
                     in force"
                .into(),
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
pub(super) async fn page(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let language = site.language(&headers);
    match screen(&site).await {
        Ok(screen) => page::page(&screen, language),
        Err(error) => page::unreadable(&site.page_cache.account, &causes(&error), language, unix_now()),
    }
}
