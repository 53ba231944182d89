//! `[events] since`: keeps the account's past events. They are read once, in the lane of talks never fetched.
//!
//! How far it is stands in the database ([`crate::store::feeds::PastEvents`]). This task drives it.

use super::events::OVERLAP;
use super::{FIRST_REST, FeederContext, FeederEnded, ListError};
use crate::amocrm::{PageQuery, Rows};
use crate::clock::{UnixSeconds, unix_now, written};
use crate::policy::lanes::Lane;
use crate::store::feeds::{FeedRequest, PastEvents};
use serde_json::json;
use std::time::Duration;

/// Between two pages: a sixth of the usual quota, so that talks stay as fresh as they are.
const PAGE_INTERVAL: Duration = Duration::from_secs(1);
/// More pages than these make a window shorter: an account may not serve them, or repeat one for ever.
const MAX_PAGES: u32 = 1000;
/// A first answer that is dated further from this machine's clock begins the walk anew, by the answer's time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct PastEventsFeeder {
    context: FeederContext,
    walk: PastEvents,
    /// `events.since`.
    length: Duration,
    /// The first event of the page before, of the same window.
    first: Option<String>,
}

impl PastEventsFeeder {
    /// Continues `before`, or begins. `cursor` is the time of the last event that the events feeder has read.
    pub(crate) fn new(
        context: FeederContext,
        before: Option<PastEvents>,
        length: Duration,
        cursor: Option<UnixSeconds>,
    ) -> PastEventsFeeder {
        let now = unix_now();
        let queue_since = cursor.map_or(now, |cursor| cursor.min(now)) - OVERLAP;
        let walk = before
            .and_then(|before| before.of_length(length, now))
            .unwrap_or_else(|| PastEvents::new(length, queue_since, now));
        PastEventsFeeder { context, walk, length, first: None }
    }

    /// Reads until the end, and then waits for the worker's.
    pub(crate) async fn run(mut self) -> FeederEnded {
        if self.walk.ended_at.is_none() {
            tracing::info!("reading the past events since {}", day(self.walk.since));
        }
        while self.walk.ended_at.is_none() {
            match self.step().await {
                Ok(None) => tokio::time::sleep(PAGE_INTERVAL).await,
                Ok(Some(rest)) => tokio::time::sleep(rest).await,
                Err(ended) => return ended,
            }
        }
        std::future::pending().await
    }

    /// Reads and keeps the next page. Returns how long to wait before the next try if it could not be read.
    async fn step(&mut self) -> Result<Option<Duration>, FeederEnded> {
        let queued = match self.read().await? {
            Ok(queued) => queued,
            Err(list_error) => {
                let error = Some(self.context.describe_list_error(list_error));
                self.context.record_run((0, 0), error, None).await?;
                let rest = self.context.rest_until.seconds_since(unix_now());
                let rest = Duration::from_secs(u64::try_from(rest).unwrap_or_default());
                return Ok(Some(rest.max(FIRST_REST)));
            }
        };
        self.context.record_run((queued, 0), None, Some(json!(self.walk))).await?;
        if self.walk.ended_at.is_some() {
            let (since, events) = (day(self.walk.since), self.walk.events);
            tracing::info!("all past events since {since} are read: {events}");
        }
        Ok(None)
    }

    /// Reads a page. Returns how many ids it queued.
    async fn read(&mut self) -> Result<Result<u64, ListError>, FeederEnded> {
        let ((since, until), page) = (self.walk.window(), self.walk.page);
        let query = PageQuery::Events { page, since, until: Some(until) };
        let found = match self.context.page(Lane::Unmirrored, query).await? {
            Ok(found) => found,
            Err(ListError::Refused(_) | ListError::NotServed(_)) if self.shorten() => return Ok(Ok(0)),
            Err(list_error) => return Ok(Err(list_error)),
        };
        let now = unix_now();
        if self.walk.is_new()
            && let Some(at) = found.date.unix()
            && !(at - CLOCK_TOLERANCE..=at + CLOCK_TOLERANCE).contains(&until)
        {
            let queue_since = self.walk.queue_since.min(at - OVERLAP);
            self.walk = PastEvents::new(self.length, queue_since, at);
            return Ok(Ok(0));
        }
        let Rows::Events(events) = found.rows else { return Ok(Ok(0)) };
        // Otherwise each window would read the whole history.
        if events.iter().any(|event| !(since..=until).contains(&event.created_at)) {
            let why = "the list of events ignores filter[created_at][from] or [to]".to_owned();
            return Ok(Err(ListError::NotServed(why)));
        }
        let first = events.first().map(|event| event.event_id.clone());
        let repeats = first.is_some() && first == self.first;
        if found.more && (repeats || page >= MAX_PAGES) {
            return Ok(match self.shorten() {
                true => Ok(0),
                false => Err(ListError::NotServed("the list of events does not end".to_owned())),
            });
        }
        // The last second was the first of the window before.
        let is_new = |at: UnixSeconds| at < until || until == self.walk.until;
        let count = events.iter().filter(|event| is_new(event.created_at)).count() as u64;
        let order = FeedRequest::Events { events, since: self.walk.queue_since, now };
        let queued = self.context.queue(order).await?;
        self.first = first.filter(|_| found.more);
        self.walk.has_read(count, found.more, now);
        Ok(Ok(queued))
    }
}

impl PastEventsFeeder {
    /// The next try has a shorter window, if there is one. It begins with the same event.
    fn shorten(&mut self) -> bool {
        self.first = None;
        self.walk.shorten()
    }
}

/// A day, UTC: `2026-09-01`.
fn day(at: UnixSeconds) -> String {
    written(at, "%Y-%m-%d")
}
