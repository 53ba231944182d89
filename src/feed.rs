//! Feeders put talk ids into the queue on their own.
//!
//! A feeder only queues, and keeps events and names. It stores no talk and decides nothing about one. It fetches only
//! lists, through the worker and the gate. Its state after a restart is in the table `feeders`, which anyone can read.
//!
//! Uses `amocrm`, `clock`, `config`, `directory`, `number`, `policy`, `store`, `talk`, `text`, `worker`.

pub(crate) mod backfill;
pub(crate) mod directory;
pub(crate) mod events;
pub(crate) mod listing;
pub(crate) mod past_events;
pub(crate) mod refresh;
pub(crate) mod webhook;

use crate::amocrm::{Failure, Kind, Page, PageQuery, Shape};
use crate::clock::{UnixSeconds, unix_now};
use crate::policy::lanes::Lane;
use crate::store::feeds::{Fed, FeedRequest, Feeder, FeederRow, Note};
use crate::store::writer::Writer;
use crate::text::shown;
use crate::worker::ApiHandle;
use serde_json::Value;
use std::time::Duration;

/// A lasting error is logged this often.
const WARN_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// A list that the account does not serve is requested again after a minute, then at growing intervals …
const FIRST_REST: Duration = Duration::from_secs(60);
/// … up to this one. The cause may have been a block, or a gateway's page.
const MAX_REST: Duration = Duration::from_secs(60 * 60);
/// After this many failed runs in a row the feeder rests too.
const FAILURES_BEFORE_REST: u32 = 3;
/// A page with a transient failure is requested again after these delays. Then the feeder waits for its next turn.
const PAGE_RETRY_DELAYS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// The worker or the writer has ended, so the feeder ends too.
#[derive(Debug)]
pub(crate) struct FeederEnded;

/// Why a list could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ListError {
    /// The API does not show the list to this token.
    Refused(String),
    /// The account does not serve the list, or not as documented.
    NotServed(String),
    /// The server failed, and every retry failed too.
    Failed(String),
}

/// What a feeder works with, and its state.
#[derive(Debug)]
pub(crate) struct FeederContext {
    feeder: Feeder,
    api: ApiHandle,
    writer: Writer,
    error: Option<String>,
    warned_at: Option<UnixSeconds>,
    /// Failed runs in a row.
    failures: u32,
    /// No request before this time.
    rest_until: UnixSeconds,
}

impl FeederContext {
    /// `before` is the stored row of this feeder.
    pub(crate) fn new(
        feeder: Feeder,
        api: ApiHandle,
        writer: Writer,
        before: Option<&FeederRow>,
    ) -> FeederContext {
        FeederContext {
            feeder,
            api,
            writer,
            error: before.and_then(|row| row.trouble.clone()),
            warned_at: before.and_then(|row| row.warned_at),
            failures: 0,
            rest_until: UnixSeconds::EPOCH,
        }
    }

    async fn feed(&self, request: FeedRequest) -> Result<Fed, FeederEnded> {
        self.writer.feed(request).await.ok_or(FeederEnded)
    }

    /// Runs a request and returns how many ids it queued.
    async fn queue(&self, request: FeedRequest) -> Result<u64, FeederEnded> {
        match self.feed(request).await? {
            Fed::Queued(queued) => Ok(queued),
            _ => Ok(0),
        }
    }

    fn is_resting(&self, now: UnixSeconds) -> bool {
        // A clock that was set back does not lengthen a rest.
        (self.rest_until - MAX_REST..self.rest_until).contains(&now)
    }

    /// Fetches a page. Retries transient failures.
    async fn page(&self, lane: Lane, query: PageQuery) -> Result<Result<Page, ListError>, FeederEnded> {
        let mut waits = PAGE_RETRY_DELAYS.iter();
        loop {
            let failure = match self.api.page(self.feeder, lane, query.clone()).await.ok_or(FeederEnded)? {
                Ok(page) => return Ok(Ok(page)),
                Err(failure) => failure,
            };
            let Failure { kind, shape, detail, .. } = failure;
            let passes = matches!(kind, Kind::Transient | Kind::NoAnswer) || shape == Some(Shape::Empty);
            if matches!(kind, Kind::NotServed | Kind::Unauthorized) {
                return Ok(Err(ListError::Refused(detail)));
            }
            if !passes {
                return Ok(Err(ListError::NotServed(detail)));
            }
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Ok(Err(ListError::Failed(detail))),
            }
        }
    }

    /// Records a run that queued `found` ids, `noted` of which are already recorded. `error` is logged once a day.
    async fn record_run(
        &mut self,
        (found, noted): (u64, u64),
        error: Option<String>,
        cursor: Option<Value>,
    ) -> Result<(), FeederEnded> {
        let (now, name) = (unix_now(), self.feeder.as_str());
        let mut warned_at = None;
        match (&self.error, &error) {
            (_, Some(why)) if self.warned_at.is_none_or(|at| !(at..at + WARN_INTERVAL).contains(&now)) => {
                tracing::warn!(feeder = name, "{name}: {}", shown(why));
                warned_at = Some(now);
                self.warned_at = warned_at;
            }
            (Some(_), None) => tracing::info!(feeder = name, "{name} works again"),
            _ => {}
        }
        if error.is_none() {
            self.failures = 0;
        }
        self.error.clone_from(&error);
        let (feeder, ran, added) = (self.feeder, Some((now, found)), found - noted);
        let note = Note { feeder, ran, added, error, warned_at, cursor, now };
        self.feed(FeedRequest::Note(note)).await?;
        Ok(())
    }

    /// Records a step of a running pass that queued `added` more ids.
    async fn record_step(&mut self, added: u64, cursor: Option<Value>) -> Result<(), FeederEnded> {
        let (feeder, now, error) = (self.feeder, unix_now(), self.error.clone());
        let note = Note { feeder, ran: None, added, error, warned_at: None, cursor, now };
        self.feed(FeedRequest::Note(note)).await?;
        Ok(())
    }

    /// Describes the error, and starts a rest if it will not pass soon.
    fn describe_list_error(&mut self, list_error: ListError) -> String {
        let allowed_failures = match list_error {
            ListError::Refused(_) | ListError::NotServed(_) => 1,
            ListError::Failed(_) => FAILURES_BEFORE_REST,
        };
        self.failures = self.failures.saturating_add(1);
        if self.failures >= allowed_failures {
            // 1min, 2min, 4min, … 1h
            let rest = FIRST_REST * (1 << (self.failures - allowed_failures).min(10));
            self.rest_until = unix_now() + rest.min(MAX_REST);
        }
        match list_error {
            ListError::Refused(why) | ListError::NotServed(why) => {
                format!(
                    "this account does not offer it ({why}); talkmirror retries at growing intervals, at \
                     most once an hour"
                )
            }
            ListError::Failed(why) => format!("the last run failed ({why})"),
        }
    }
}
