//! What commands read of the mirror: its state as a whole, and one talk's story.

mod days;
mod figures;

pub use days::{DAYS, Day, days};
pub use figures::{Figures, ReasonCounts, figures};

use super::account::{self, AccountStatus};
use super::backup::state::BackupState;
use super::closures::{self, Closure};
use super::completeness::{self, Completeness};
use super::feeds::{self, Backfill, FeederRow};
use super::odd::{self, OddField};
use super::queue::QueueRow;
use super::retention::{self, Retention};
use super::sizes::{self, Size};
use super::status::DaemonStatus;
use super::sweep::{self, SweepState};
use super::tokens::{OAuthStatus, TokenStatus};
use crate::policy::lanes::Lane;
use crate::policy::stale::Reach;
use crate::talk::Talk;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::collections::BTreeMap;

/// The mirror as a whole, at one moment. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// Unknown until the account or a first talk says it.
    pub account_id: Option<i64>,
    pub account: AccountStatus,
    /// Optional fields of talks that came in another shape than the API documents.
    pub odd_fields: Vec<OddField>,
    /// Of the newest stored talks: how many were looked at, and how many came without the key `missed_at`.
    pub without_missed_at: (i64, i64),
    pub talks: TalkCounts,
    pub queue: QueueCounts,
    /// The process that works the queue, or the last that did.
    pub daemon: Option<DaemonStatus>,
    /// Decisions to close since midnight, UTC, by outcome.
    pub closures_today: BTreeMap<String, i64>,
    /// Closings that have no end yet, of whatever day.
    pub closures_under_way: i64,
    pub sweeps: SweepState,
    pub feeders: Vec<FeederRow>,
    pub backfill: Option<Backfill>,
    pub freshness: Freshness,
    /// How much of the account is mirrored, once a process has counted it.
    pub completeness: Option<Completeness>,
    /// When an open talk was last fetched; in the future if the clock was wrong then.
    pub fetched_at: Option<i64>,
    /// When the API token ends, where it says so.
    pub token_expires_at: Option<i64>,
    /// Where the token renews itself.
    pub oauth: Option<OAuthStatus>,
    pub size: Size,
    pub retention: Retention,
    pub backup: BackupState,
}

/// How old the mirrored states of the open talks are, in seconds since their fetch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Open talks; without any the others are 0.
    pub talks: i64,
    pub p50: i64,
    pub p95: i64,
    pub max: i64,
}

/// Talks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TalkCounts {
    pub total: i64,
    pub in_work: i64,
    /// Open, and missed.
    pub missed: i64,
    pub closed: i64,
    pub gone: i64,
    pub denied: i64,
}

/// The queue by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Due now.
    pub due: i64,
    /// Due later: backing off, or put there for later.
    pub later: i64,
    /// Failed.
    pub failed: i64,
    /// Since when the longest overdue row is due.
    pub oldest_due_at: Option<i64>,
    /// When the next row becomes due of those that are not.
    pub next_due_at: Option<i64>,
    /// Due now and more urgent than refreshes, …
    pub urgent: i64,
    /// … and since when the longest overdue of them is due.
    pub urgent_since: Option<i64>,
}

/// Reads the overview in one transaction.
///
/// # Errors
/// When the database cannot be read.
pub fn overview(connection: &Connection, now: i64) -> rusqlite::Result<Overview> {
    let tx = connection.unchecked_transaction()?;
    // Each count by its index: no scan of talks, whose rows are wide.
    let count = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let total = count("SELECT count(*) FROM talks")?;
    let in_work = count("SELECT count(*) FROM talks WHERE is_in_work = 1 AND gone_at IS NULL")?;
    let gone = count("SELECT count(*) FROM talks WHERE gone_at IS NOT NULL")?;
    let talks = TalkCounts {
        total,
        in_work,
        missed: count(
            "SELECT count(*) FROM talks INDEXED BY talks_open_missed
              WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL",
        )?,
        closed: total - in_work - gone,
        gone,
        denied: count("SELECT count(*) FROM talks WHERE denied_at IS NOT NULL")?,
    };
    let token = TokenStatus::read(&tx)?;
    Ok(Overview {
        account_id: super::account_id(&tx)?,
        account: account::status(&tx)?,
        odd_fields: odd::fields(&tx)?,
        without_missed_at: odd::without_missed_at(&tx)?,
        talks,
        queue: queue(&tx, now)?,
        daemon: DaemonStatus::read(&tx)?,
        closures_today: closures_since(&tx, now - now.rem_euclid(86_400))?,
        closures_under_way: count(
            "SELECT count(*) FROM closures WHERE outcome IN ('requested', 'accepted')",
        )?,
        sweeps: sweep::state(&tx)?,
        feeders: feeds::rows(&tx)?,
        backfill: feeds::backfill(&tx)?,
        freshness: freshness(&tx, in_work, now)?,
        completeness: completeness::read(&tx)?,
        fetched_at: tx.query_row(
            "SELECT max(fetched_at) FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL",
            [],
            |row| row.get(0),
        )?,
        token_expires_at: token.expires_at,
        oauth: token.oauth,
        size: sizes::read(&tx, now)?,
        retention: retention::read(&tx)?,
        backup: BackupState::read(&tx)?,
    })
}

/// By the index alone: the view `mirror_freshness` reads every talk.
fn freshness(connection: &Connection, talks: i64, now: i64) -> rusqlite::Result<Freshness> {
    let mut nth = connection.prepare_cached(
        "SELECT fetched_at FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL
          ORDER BY fetched_at DESC LIMIT 1 OFFSET ?1",
    )?;
    let mut age = |share: f64| -> rusqlite::Result<i64> {
        let rank = ((talks as f64 * share).ceil() as i64).max(1);
        let fetched_at: Option<i64> = nth.query_row([rank - 1], |row| row.get(0)).optional()?;
        Ok(fetched_at.map_or(0, |at| now.saturating_sub(at).max(0)))
    };
    Ok(Freshness { talks, p50: age(0.5)?, p95: age(0.95)?, max: age(1.0)? })
}

fn closures_since(connection: &Connection, since: i64) -> rusqlite::Result<BTreeMap<String, i64>> {
    connection
        .prepare("SELECT outcome, count(*) FROM closures WHERE decided_at >= ?1 GROUP BY outcome")?
        .query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Counts the queue.
///
/// # Errors
/// When the database cannot be read.
pub fn queue(connection: &Connection, now: i64) -> rusqlite::Result<QueueCounts> {
    let failed =
        connection
            .query_row("SELECT count(*) FROM talk_queue WHERE failed_at IS NOT NULL", [], |row| row.get(0))?;
    connection.query_row(
        "SELECT count(*) FILTER (WHERE due_at <= ?1),
                count(*) FILTER (WHERE due_at > ?1),
                min(due_at) FILTER (WHERE due_at <= ?1),
                min(due_at) FILTER (WHERE due_at > ?1),
                count(*) FILTER (WHERE due_at <= ?1 AND priority >= ?2),
                min(due_at) FILTER (WHERE due_at <= ?1 AND priority >= ?2)
           FROM talk_queue WHERE failed_at IS NULL",
        [now, Lane::Hints.least_priority()],
        |row| {
            Ok(QueueCounts {
                due: row.get(0)?,
                later: row.get(1)?,
                failed,
                oldest_due_at: row.get(2)?,
                next_due_at: row.get(3)?,
                urgent: row.get(4)?,
                urgent_since: row.get(5)?,
            })
        },
    )
}

/// Rows of this priority and above that wait, whenever they are due.
///
/// # Errors
/// When the database cannot be read.
pub fn waiting(connection: &Connection, least_priority: i64) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM talk_queue WHERE failed_at IS NULL AND priority >= ?1",
        [least_priority],
        |row| Ok(row.get::<_, i64>(0)? as u64),
    )
}

/// How many of these talks are in the queue, failed or not.
///
/// # Errors
/// When the database cannot be read.
pub fn still_queued(connection: &Connection, talk_ids: &[i64]) -> rusqlite::Result<u64> {
    let mut row = connection.prepare("SELECT 1 FROM talk_queue WHERE talk_id = ?1")?;
    talk_ids.iter().try_fold(0, |count, talk_id| Ok(count + u64::from(row.exists([talk_id])?)))
}

/// All that is known of one talk. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub mirrored: Option<Mirrored>,
    /// Oldest first.
    pub versions: Vec<Version>,
    pub queued: Option<QueueRow>,
    /// Rows that come before it in the queue.
    pub ahead: i64,
    /// Of them in its own lane, which has its share of the requests whatever the others have to do.
    pub ahead_in_lane: i64,
    /// Never mirrored, and the API said then that it does not exist.
    pub tombstone: Option<i64>,
    /// Decisions to close it, oldest first.
    pub closures: Vec<Closure>,
    pub daemon: Option<DaemonStatus>,
    pub sweeps: SweepState,
}

/// A talk as mirrored, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirrored {
    pub talk: Talk,
    /// The API's JSON of it, as received.
    pub payload: String,
    pub first_fetched_at: i64,
    pub fetched_at: i64,
    pub changed_at: i64,
    pub closed_at: Option<i64>,
    pub gone_at: Option<i64>,
    pub denied_at: Option<i64>,
}

/// A state that a talk was seen in: what of it people ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub version: i64,
    pub valid_from: i64,
    pub valid_to: Option<i64>,
    pub updated_at: i64,
    pub is_in_work: bool,
    pub is_read: Option<bool>,
    pub missed_at: Option<i64>,
    pub rate: Option<i64>,
    pub status: Option<String>,
}

/// Reads a talk's story in one transaction.
///
/// # Errors
/// When the database cannot be read.
pub fn story(connection: &Connection, talk_id: i64) -> rusqlite::Result<Story> {
    let tx = connection.unchecked_transaction()?;
    let mirrored = match super::record::stored_talk(&tx, talk_id)? {
        None => None,
        Some(talk) => Some(tx.query_row(
            "SELECT first_fetched_at, fetched_at, changed_at, closed_at, gone_at, denied_at, payload
               FROM talks WHERE talk_id = ?1",
            [talk_id],
            |row| {
                Ok(Mirrored {
                    talk,
                    first_fetched_at: row.get(0)?,
                    fetched_at: row.get(1)?,
                    changed_at: row.get(2)?,
                    closed_at: row.get(3)?,
                    gone_at: row.get(4)?,
                    denied_at: row.get(5)?,
                    payload: row.get(6)?,
                })
            },
        )?),
    };
    let versions = tx
        .prepare(
            "SELECT version, valid_from, valid_to, updated_at, is_in_work, is_read, missed_at, rate, status
               FROM talk_versions WHERE talk_id = ?1 ORDER BY version",
        )?
        .query_map([talk_id], |row| {
            Ok(Version {
                version: row.get(0)?,
                valid_from: row.get(1)?,
                valid_to: row.get(2)?,
                updated_at: row.get(3)?,
                is_in_work: row.get(4)?,
                is_read: row.get(5)?,
                missed_at: row.get(6)?,
                rate: row.get(7)?,
                status: row.get(8)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let queued = super::queue::row(&tx, talk_id)?;
    let (ahead, ahead_in_lane) = match &queued {
        None => (0, 0),
        Some(row) => tx.query_row(
            "SELECT count(*), count(*) FILTER (WHERE priority <= ?3) FROM talk_queue
              WHERE failed_at IS NULL
                AND (priority > ?1 AND due_at <= unixepoch() OR priority = ?1 AND due_at < ?2)",
            (row.priority, row.due_at, Lane::of(row.priority).most_priority()),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?,
    };
    let tombstone = tx
        .query_row("SELECT gone_at FROM tombstones WHERE talk_id = ?1", [talk_id], |row| row.get(0))
        .optional()?;
    Ok(Story {
        mirrored,
        versions,
        queued,
        ahead,
        ahead_in_lane,
        tombstone,
        closures: closures::of_talk(&tx, talk_id)?,
        daemon: DaemonStatus::read(&tx)?,
        sweeps: sweep::state(&tx)?,
    })
}

/// Calls `each` with every open talk, longest missed first and those that are not missed last.
///
/// # Errors
/// What `each` returns, or when the database cannot be read.
pub fn in_work<E: From<rusqlite::Error>>(
    connection: &Connection,
    mut each: impl FnMut(Talk, Reach) -> Result<(), E>,
) -> Result<(), E> {
    let mut ids = connection.prepare(
        "SELECT talk_id, gone_at IS NOT NULL, denied_at IS NOT NULL FROM talks
          WHERE is_in_work = 1 AND gone_at IS NULL ORDER BY missed_at IS NULL, missed_at",
    )?;
    let mut rows = ids.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(talk) = super::record::stored_talk(connection, row.get(0)?)? {
            each(talk, Reach { gone: row.get(1)?, denied: row.get(2)? })?;
        }
    }
    Ok(())
}

/// Stored talks that probably still exist: the newest that did when last fetched.
///
/// # Errors
/// When the database cannot be read.
pub fn known_talks(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare(
            "SELECT talk_id FROM talks WHERE gone_at IS NULL AND denied_at IS NULL ORDER BY talk_id DESC LIMIT 5",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}
