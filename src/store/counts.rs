//! Counts of talks, queue rows and closings. Each uses an index and never scans talks, whose rows are wide.

use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::closing::ClosingOutcome;
use crate::policy::lanes::Lane;
use crate::talk::TalkId;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::collections::BTreeMap;

/// Talks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct TalkCounts {
    pub total: i64,
    pub in_work: i64,
    /// Open, and missed.
    pub missed: i64,
    pub closed: i64,
    pub gone: i64,
    pub denied: i64,
}

/// Counts the talks.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn talks(connection: &Connection) -> rusqlite::Result<TalkCounts> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let total = count("SELECT count(*) FROM talks")?;
    let in_work = count("SELECT count(*) FROM talks WHERE is_in_work = 1 AND gone_at IS NULL")?;
    let gone = count("SELECT count(*) FROM talks WHERE gone_at IS NOT NULL")?;
    Ok(TalkCounts {
        total,
        in_work,
        missed: count(
            "SELECT count(*) FROM talks INDEXED BY talks_open_missed
              WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL",
        )?,
        closed: total - in_work - gone,
        gone,
        denied: count("SELECT count(*) FROM talks WHERE denied_at IS NOT NULL")?,
    })
}

/// The open talks whose client waits for an answer, as in the view `open_talks`: missed, or not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub talks: i64,
    /// Since when the longest waits: since it was missed, or changed last.
    pub since: Option<UnixSeconds>,
    /// Since when the longest missed is missed.
    pub missed_since: Option<UnixSeconds>,
}

/// Counts the talks whose client waits.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn waiting_talks(connection: &Connection) -> rusqlite::Result<Waiting> {
    connection.query_row(
        "SELECT count(*), min(coalesce(missed_at, updated_at)), min(missed_at)
           FROM talks INDEXED BY talks_open
          WHERE is_in_work = 1 AND gone_at IS NULL AND (missed_at IS NOT NULL OR is_read = 0)",
        [],
        |row| Ok(Waiting { talks: row.get(0)?, since: row.get(1)?, missed_since: row.get(2)? }),
    )
}

/// The queue by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct QueueCounts {
    /// Due now.
    pub due: i64,
    /// Due later: backing off, or scheduled.
    pub later: i64,
    /// Failed.
    pub failed: i64,
    /// Since when the most overdue row is due.
    pub oldest_due_at: Option<UnixSeconds>,
    /// When the next of the other rows becomes due.
    pub next_due_at: Option<UnixSeconds>,
    /// Due now and more urgent than refreshes, …
    pub urgent: i64,
    /// … and since when the most overdue of them is due.
    pub urgent_since: Option<UnixSeconds>,
}

/// Counts the queue.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn queue(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<QueueCounts> {
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
        (now, Lane::Hints.least_priority()),
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

/// Waiting rows of this priority and above, whenever they are due.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn waiting(connection: &Connection, least_priority: i64) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM talk_queue WHERE failed_at IS NULL AND priority >= ?1",
        [least_priority],
        |row| row.get(0).map(number::positive),
    )
}

/// How many of these talks are in the queue, failed or not.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn still_queued(connection: &Connection, talk_ids: &[TalkId]) -> rusqlite::Result<u64> {
    let mut row = connection.prepare("SELECT 1 FROM talk_queue WHERE talk_id = ?1")?;
    talk_ids.iter().try_fold(0, |count, talk_id| Ok(count + u64::from(row.exists([talk_id])?)))
}

/// How old the mirrored states of the open talks are, in seconds since their fetch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Freshness {
    /// Open talks. If there are none, the others are 0.
    pub talks: i64,
    pub p50: i64,
    pub p95: i64,
    pub max: i64,
}

/// How old the states of the `talks` open talks are.
///
/// Reads only the index. The view `mirror_freshness` reads every talk.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn freshness(
    connection: &Connection,
    talks: i64,
    now: UnixSeconds,
) -> rusqlite::Result<Freshness> {
    let mut nth = connection.prepare_cached(
        "SELECT fetched_at FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL
          ORDER BY fetched_at DESC LIMIT 1 OFFSET ?1",
    )?;
    let mut age = |share: f64| -> rusqlite::Result<i64> {
        let rank = number::truncated((talks as f64 * share).ceil()).max(1);
        let fetched_at: Option<UnixSeconds> = nth.query_row([rank - 1], |row| row.get(0)).optional()?;
        Ok(fetched_at.map_or(0, |at| now.seconds_since(at).max(0)))
    };
    Ok(Freshness { talks, p50: age(0.5)?, p95: age(0.95)?, max: age(1.0)? })
}

/// When an open talk was last fetched.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn last_fetch(connection: &Connection) -> rusqlite::Result<Option<UnixSeconds>> {
    connection.query_row(
        "SELECT max(fetched_at) FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL",
        [],
        |row| row.get(0),
    )
}

/// Closings since a time, by outcome.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn closures_since(
    connection: &Connection,
    since: UnixSeconds,
) -> rusqlite::Result<BTreeMap<ClosingOutcome, i64>> {
    connection
        .prepare("SELECT outcome, count(*) FROM closures WHERE decided_at >= ?1 GROUP BY outcome")?
        .query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Unfinished closings.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn closures_under_way(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT count(*) FROM closures WHERE outcome IN ('requested', 'accepted')",
        [],
        |row| row.get(0),
    )
}
