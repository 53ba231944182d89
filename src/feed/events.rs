//! `[events]`: finds changed talks in the account's events.
//!
//! Events arrive late and out of order, and some accounts never emit some kinds. So reading starts a while before
//! the last event, and each event counts once. The listing and the refreshes find talks without an event.

use super::{FeederContext, FeederEnded, ListError};
use crate::amocrm::{PageQuery, Rows};
use crate::clock::{UnixSeconds, unix_now};
use crate::policy::lanes::Lane;
use crate::store::feeds::{FeedRequest, FeederRow};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Reading starts this long before the last event.
pub(crate) const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// At most this many pages per run. The listing finds the changes of older ones.
const MAX_PAGES: u32 = 1000;

/// The time of the last event that this feeder has read, by its stored row.
pub(crate) fn cursor(row: Option<&FeederRow>) -> Option<UnixSeconds> {
    row.and_then(|row| row.cursor.as_ref()?.get("until")?.as_i64()).map(UnixSeconds::new)
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Events {
    context: FeederContext,
    /// The time of the last event read.
    cursor: UnixSeconds,
}

impl Events {
    /// `before` is the stored row of this feeder.
    pub(crate) fn new(context: FeederContext, before: Option<&FeederRow>) -> Events {
        // An account that never had an event is read from here on, also if the API fails at first.
        Events { context, cursor: cursor(before).unwrap_or_else(unix_now) }
    }

    /// Polls at each tick, until the worker ends.
    pub(crate) async fn run(mut self, tick: Arc<Notify>) -> FeederEnded {
        loop {
            tick.notified().await;
            if !self.context.is_resting(unix_now())
                && let Err(ended) = self.poll().await
            {
                return ended;
            }
        }
    }

    async fn poll(&mut self) -> Result<(), FeederEnded> {
        let mut queued = 0;
        let error = match self.read(&mut queued).await? {
            Ok(until) => {
                self.cursor = until;
                None
            }
            Err(list_error) => Some(self.context.describe_list_error(list_error)),
        };
        let cursor = json!({"until": self.cursor});
        self.context.record_run((queued, 0), error, Some(cursor)).await
    }

    /// Reads all pages since the cursor. Returns the time of the last event.
    async fn read(&self, queued: &mut u64) -> Result<Result<UnixSeconds, ListError>, FeederEnded> {
        // A cursor in the future comes from a wrong clock.
        let mut last = self.cursor.min(unix_now());
        let since = last - OVERLAP;
        let mut seen = HashSet::new();
        for page in 1..=MAX_PAGES {
            let query = PageQuery::Events { page, since, until: None };
            let page = match self.context.page(Lane::Hints, query).await? {
                Ok(page) => page,
                Err(list_error) => return Ok(Err(list_error)),
            };
            let now = unix_now();
            let Rows::Events(events) = page.rows else { return Ok(Ok(last)) };
            if events.iter().any(|event| event.created_at < since) {
                // Otherwise each run would read the whole history.
                let why = "the list of events ignores filter[created_at][from]".to_owned();
                return Ok(Err(ListError::NotServed(why)));
            }
            // A wrong clock, here or there, must not move the cursor past future events.
            let latest = page.date.unix().unwrap_or(now).min(now);
            last = events.iter().map(|event| event.created_at.min(latest)).fold(last, UnixSeconds::max);
            let before = seen.len();
            seen.extend(events.iter().map(|event| event.event_id.clone()));
            let repeats = !events.is_empty() && seen.len() == before;
            *queued += self.context.queue(FeedRequest::Events { events, since, now }).await?;
            if !page.more || repeats {
                return Ok(Ok(last));
            }
        }
        tracing::warn!(
            "too many events since the last run: {MAX_PAGES} pages are read, and the oldest are not kept"
        );
        Ok(Ok(last))
    }
}
