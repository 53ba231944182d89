//! `[events]`: what happened to talks, as the account's events tell.
//!
//! Events come late and out of order, and some accounts never emit some of them: they are read from
//! a while before the last one on, each counts once, and a talk that none tells of is found by the
//! listing and the refreshes.

use super::{FeederContext, FeederEnded, ListError};
use crate::amocrm::{Query, Rows};
use crate::clock::unix_now;
use crate::policy::lanes::Lane;
use crate::store::feeds::{FeedRequest, FeederRow};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Events are read from so long before the last one, in seconds.
const OVERLAP_SECS: i64 = 10 * 60;
/// Pages of one look at most: what happened longer ago than they hold is left to the listing.
const MAX_PAGES: u32 = 1000;

/// See the module's text.
#[derive(Debug)]
pub struct Events {
    context: FeederContext,
    /// When the last event happened that was read, in Unix seconds.
    cursor: Option<i64>,
}

impl Events {
    /// `before` is what an earlier process left.
    pub fn new(context: FeederContext, before: Option<&FeederRow>) -> Events {
        let cursor = before.and_then(|row| row.cursor.as_ref()?.get("until")?.as_i64());
        Events { context, cursor }
    }

    /// Looks at each tick, until the worker ends.
    pub async fn run(mut self, tick: Arc<Notify>) -> FeederEnded {
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
                self.cursor = Some(until);
                // What lies before can't come again.
                self.context.feed(FeedRequest::ForgetEvents { before: until - OVERLAP_SECS }).await?;
                None
            }
            Err(list_error) => Some(self.context.describe_list_error(list_error)),
        };
        let cursor = self.cursor.map(|until| json!({"until": until}));
        self.context.record_run((queued, 0), error, cursor).await
    }

    /// Reads all pages since the cursor; returns when the last event happened.
    async fn read(&self, queued: &mut u64) -> Result<Result<i64, ListError>, FeederEnded> {
        // A cursor in the future was noted by a wrong clock.
        let mut last = self.cursor.map(|until| until.min(unix_now()));
        let since = last.unwrap_or_else(unix_now) - OVERLAP_SECS;
        let mut seen = HashSet::new();
        for page in 1..=MAX_PAGES {
            let page = match self.context.page(Lane::Hints, Query::Events { page, since }).await? {
                Ok(page) => page,
                Err(list_error) => return Ok(Err(list_error)),
            };
            let now = unix_now();
            let Rows::Events(events) = page.rows else { break };
            if events.iter().any(|event| event.created_at < since) {
                // All that ever happened, at each look.
                let why = "the events ignore filter[created_at][from]".to_owned();
                return Ok(Err(ListError::NotServed(why)));
            }
            // A clock that is wrong, here or there, must not carry the cursor past what is to come.
            let latest = page.date.unix().unwrap_or(now).min(now);
            last = last.max(events.iter().map(|event| event.created_at.min(latest)).max());
            // Where there never was one, the next look begins here.
            last = last.or(Some(latest));
            let before = seen.len();
            seen.extend(events.iter().map(|event| event.event_id.clone()));
            let repeats = !events.is_empty() && seen.len() == before;
            *queued += self.context.queue(FeedRequest::Events { events, now }).await?;
            if !page.more || repeats {
                break;
            }
        }
        Ok(Ok(last.unwrap_or_else(unix_now)))
    }
}
