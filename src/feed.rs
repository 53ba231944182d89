//! Feeders: what puts talk ids into the queue by itself.
//!
//! A feeder only queues. It stores no talk, decides nothing about one, and asks the API for lists
//! alone, through the worker's door and so through the gate. What it must know after a restart is in
//! the table `feeders`, and how it is, for everybody to read.
//!
//! Uses `amocrm`, `clock`, `config`, `policy`, `store`, `talk`, `text`, `worker`.

pub mod backfill;
pub mod events;
pub mod listing;
pub mod refresh;
pub mod webhook;

use crate::amocrm::{Failure, Kind, Page, Query, Shape};
use crate::clock::unix_now;
use crate::policy::lanes::Lane;
use crate::store::feeds::{Fed, Feeder, FeederRow, Note, Order};
use crate::store::writer::Writer;
use crate::text::shown;
use crate::worker::Door;
use serde_json::Value;
use std::time::Duration;

/// A trouble that lasts is said in the log so often, in seconds.
const WARN_EVERY: i64 = 24 * 60 * 60;
/// What the account does not serve is asked for again after a minute, then ever more seldom, up to this;
/// in seconds. It may have been the account's block, or a gateway's page.
const LONGEST_REST: i64 = 60 * 60;
/// After so many looks in a row that broke off there is a rest as well.
const BEAR: u32 = 3;
/// A page that fails in passing is asked for again after these waits; then the feeder waits for its next turn.
const TRY_AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// The worker or the writer has ended: so does the feeder.
#[derive(Debug)]
pub struct Ended;

/// Why a list could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unread {
    /// The account does not serve it, or not as documented.
    NotServed(String),
    /// The server failed, and again when it was asked anew.
    Failed(String),
}

/// What a feeder works with, and how it is.
#[derive(Debug)]
pub struct Ways {
    feeder: Feeder,
    door: Door,
    writer: Writer,
    trouble: Option<String>,
    warned_at: Option<i64>,
    /// Looks in a row that broke off.
    failures: u32,
    /// Not asked for again before.
    rest_until: i64,
}

impl Ways {
    /// `before` is what an earlier process left of this feeder.
    pub fn new(feeder: Feeder, door: Door, writer: Writer, before: Option<&FeederRow>) -> Ways {
        Ways {
            feeder,
            door,
            writer,
            trouble: before.and_then(|row| row.trouble.clone()),
            warned_at: before.and_then(|row| row.warned_at),
            failures: 0,
            rest_until: 0,
        }
    }

    async fn feed(&self, order: Order) -> Result<Fed, Ended> {
        self.writer.feed(order).await.ok_or(Ended)
    }

    /// Queues ids, or whatever else the order says; returns how many were queued.
    async fn queue(&self, order: Order) -> Result<u64, Ended> {
        match self.feed(order).await? {
            Fed::Queued(queued) => Ok(queued),
            _ => Ok(0),
        }
    }

    fn rests(&self, now: i64) -> bool {
        // A clock that was set back makes no rest longer.
        (self.rest_until - LONGEST_REST..self.rest_until).contains(&now)
    }

    /// Asks for a page; what fails in passing is asked for again.
    async fn page(&self, lane: Lane, query: Query) -> Result<Result<Page, Unread>, Ended> {
        let mut waits = TRY_AGAIN.iter();
        loop {
            let failure = match self.door.page(self.feeder, lane, query).await.ok_or(Ended)? {
                Ok(page) => return Ok(Ok(page)),
                Err(failure) => failure,
            };
            let Failure { kind, shape, detail, .. } = failure;
            let passes = matches!(kind, Kind::Transient | Kind::NoAnswer) || shape == Some(Shape::Empty);
            if !passes {
                return Ok(Err(Unread::NotServed(detail)));
            }
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Ok(Err(Unread::Failed(detail))),
            }
        }
    }

    /// Writes down a run that queued `found` ids, `noted` of which were noted on its way. `trouble` is
    /// what is wrong, and said in the log once a day.
    async fn ran(
        &mut self,
        (found, noted): (u64, u64),
        trouble: Option<String>,
        cursor: Option<Value>,
    ) -> Result<(), Ended> {
        let (now, name) = (unix_now(), self.feeder.as_str());
        let mut warned_at = None;
        match (&self.trouble, &trouble) {
            (_, Some(why)) if self.warned_at.is_none_or(|at| !(at..at + WARN_EVERY).contains(&now)) => {
                tracing::warn!(feeder = name, "{name}: {}", shown(why));
                warned_at = Some(now);
                self.warned_at = warned_at;
            }
            (Some(_), None) => tracing::info!(feeder = name, "{name} works again"),
            _ => {}
        }
        if trouble.is_none() {
            self.failures = 0;
        }
        self.trouble.clone_from(&trouble);
        let (feeder, ran, added) = (self.feeder, Some((now, found)), found - noted);
        let note = Note { feeder, ran, added, trouble, warned_at, cursor, now };
        self.feed(Order::Note(note)).await?;
        Ok(())
    }

    /// Writes down a step of a run that goes on: it queued `added` more.
    async fn went_on(&mut self, added: u64, cursor: Option<Value>) -> Result<(), Ended> {
        let (feeder, now, trouble) = (self.feeder, unix_now(), self.trouble.clone());
        let note = Note { feeder, ran: None, added, trouble, warned_at: None, cursor, now };
        self.feed(Order::Note(note)).await?;
        Ok(())
    }

    /// The trouble in words, and a rest where it does not mend by itself soon.
    fn unread(&mut self, unread: Unread) -> String {
        let bear = match unread {
            Unread::NotServed(_) => 1,
            Unread::Failed(_) => BEAR,
        };
        self.failures = self.failures.saturating_add(1);
        if self.failures >= bear {
            // 1min, 2min, 4min, … 1h
            let rest = 60 << (self.failures - bear).min(10);
            self.rest_until = unix_now() + rest.min(LONGEST_REST);
        }
        match unread {
            Unread::NotServed(why) => {
                format!(
                    "this account does not serve it ({why}); it is asked ever more seldom, up to each hour"
                )
            }
            Unread::Failed(why) => format!("the last look broke off ({why})"),
        }
    }
}
