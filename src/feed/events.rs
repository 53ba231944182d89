//! `[events]`: what happened to talks, as the account's events tell.
//!
//! Events come late and out of order, and some accounts never emit some of them: they are read from
//! a while before the last one on, each counts once, and a talk that none tells of is found by the
//! listing and the refreshes.

use super::{Ended, Unread, Ways};
use crate::amocrm::{Query, Rows};
use crate::clock::unix_now;
use crate::policy::lanes::Lane;
use crate::store::feeds::{FeederRow, Order};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Events are read from so long before the last one, in seconds.
const OVERLAP: i64 = 10 * 60;
/// Pages of one look at most: what happened longer ago than they hold is left to the listing.
const MOST_PAGES: u32 = 1000;

/// See the module's text.
#[derive(Debug)]
pub struct Events {
    ways: Ways,
    /// When the last event happened that was read, in Unix seconds.
    cursor: Option<i64>,
}

impl Events {
    /// `before` is what an earlier process left.
    pub fn new(ways: Ways, before: Option<&FeederRow>) -> Events {
        let cursor = before.and_then(|row| row.cursor.as_ref()?.get("until")?.as_i64());
        Events { ways, cursor }
    }

    /// Looks at each tick, until the worker ends.
    pub async fn run(mut self, tick: Arc<Notify>) -> Ended {
        loop {
            tick.notified().await;
            if !self.ways.rests(unix_now())
                && let Err(ended) = self.look().await
            {
                return ended;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Ended> {
        let mut queued = 0;
        let trouble = match self.read(&mut queued).await? {
            Ok(until) => {
                self.cursor = Some(until);
                // What lies before can't come again.
                self.ways.feed(Order::ForgetEvents { before: until - OVERLAP }).await?;
                None
            }
            Err(unread) => Some(self.ways.unread(unread)),
        };
        let cursor = self.cursor.map(|until| json!({"until": until}));
        self.ways.ran(queued, trouble, cursor).await
    }

    /// Reads all pages since the cursor; returns when the last event happened.
    async fn read(&self, queued: &mut u64) -> Result<Result<i64, Unread>, Ended> {
        let now = unix_now();
        let since = self.cursor.unwrap_or(now) - OVERLAP;
        let mut last: Option<i64> = None;
        let mut seen = HashSet::new();
        for page in 1..=MOST_PAGES {
            let page = match self.ways.page(Lane::Hints, Query::Events { page, since }).await? {
                Ok(page) => page,
                Err(unread) => return Ok(Err(unread)),
            };
            let Rows::Events(events) = page.rows else { break };
            // A clock that is wrong, here or there, must not carry the cursor past what is to come.
            let latest = page.date.unix().unwrap_or(now).min(now);
            let before = seen.len();
            seen.extend(events.iter().map(|event| event.event_id.clone()));
            // A page that only repeats is no further page.
            let more = page.more && seen.len() > before;
            last = events.iter().map(|event| event.created_at.min(latest)).chain(last).max();
            if self.cursor.is_none() {
                last = last.max(Some(latest));
            }
            *queued += self.ways.queue(Order::Events { events, now }).await?;
            if !more {
                break;
            }
        }
        Ok(Ok(self.cursor.max(last).unwrap_or(now)))
    }
}
