//! Everything the mirror knows about one talk, and which talks it holds.

mod names;
mod timeline;

pub(crate) use names::{TalkNames, names};
pub(crate) use timeline::{Timeline, TimelineEntry, timeline};

use super::closures::{self, Closure};
use super::exemptions;
use super::queue::QueueRow;
use super::record::stored_talk;
use super::status::DaemonStatus;
use super::sweep::{self, SweepState};
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::exemption::Exempting;
use crate::policy::lanes::Lane;
use crate::policy::stale::Reach;
use crate::talk::{Talk, TalkId};
use rusqlite::{Connection, OptionalExtension};

/// Everything known about one talk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Story {
    pub mirrored: Option<MirroredTalk>,
    /// The latest [`VERSIONS_SHOWN`], oldest first.
    pub versions: Vec<Version>,
    /// How many older ones there are, …
    pub earlier_versions: i64,
    /// … and when the oldest of all began.
    pub kept_from: Option<UnixSeconds>,
    pub queued: Option<QueueRow>,
    /// How many rows come before it in the queue.
    pub ahead: i64,
    /// How many of them are in its own lane, which gets its share whatever the others have to do.
    pub ahead_in_lane: i64,
    /// When the API reported it missing, if it was never mirrored.
    pub tombstone: Option<UnixSeconds>,
    /// Its closings, oldest first.
    pub closures: Vec<Closure>,
    pub daemon: Option<DaemonStatus>,
    pub sweeps: SweepState,
    /// The row that exempts it from being closed now.
    pub exempting: Option<Exempting>,
}

/// A story has at most so many versions.
pub(crate) const VERSIONS_SHOWN: usize = 200;

/// A mirrored talk, and its times.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct MirroredTalk {
    #[serde(flatten)]
    pub talk: Talk,
    /// The API's JSON, as received.
    pub payload: String,
    pub first_fetched_at: UnixSeconds,
    pub fetched_at: UnixSeconds,
    pub changed_at: UnixSeconds,
    pub closed_at: Option<UnixSeconds>,
    pub gone_at: Option<UnixSeconds>,
    pub denied_at: Option<UnixSeconds>,
}

/// A state of a talk, with the columns that people ask about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Version {
    pub version: i64,
    pub valid_from: UnixSeconds,
    pub valid_to: Option<UnixSeconds>,
    pub updated_at: UnixSeconds,
    pub is_in_work: bool,
    pub is_read: Option<bool>,
    pub missed_at: Option<UnixSeconds>,
    pub rate: Option<i64>,
    pub status: Option<String>,
}

/// Reads a talk's story at `now`. The caller's transaction makes it one moment.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn story(connection: &Connection, talk_id: TalkId, now: UnixSeconds) -> rusqlite::Result<Story> {
    let mirrored = match stored_talk(connection, talk_id)? {
        None => None,
        Some(talk) => Some(connection.query_row(
            "SELECT first_fetched_at, fetched_at, changed_at, closed_at, gone_at, denied_at, payload
               FROM talks WHERE talk_id = ?1",
            [talk_id],
            |row| {
                Ok(MirroredTalk {
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
    let (versions, (earlier_versions, kept_from)) = versions(connection, talk_id)?;
    let queued = super::queue::row(connection, talk_id)?;
    let (ahead, ahead_in_lane) = match &queued {
        None => (0, 0),
        Some(row) => connection.query_row(
            "SELECT count(*), count(*) FILTER (WHERE priority <= ?3) FROM talk_queue
              WHERE failed_at IS NULL
                AND (priority > ?1 AND due_at <= unixepoch() OR priority = ?1 AND due_at < ?2)",
            (row.priority, row.due_at, Lane::of(row.priority).most_priority()),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?,
    };
    let tombstone = connection
        .query_row("SELECT gone_at FROM tombstones WHERE talk_id = ?1", [talk_id], |row| row.get(0))
        .optional()?;
    Ok(Story {
        mirrored,
        versions,
        earlier_versions,
        kept_from,
        queued,
        ahead,
        ahead_in_lane,
        tombstone,
        closures: closures::of_talk(connection, talk_id)?,
        daemon: DaemonStatus::read(connection)?,
        sweeps: sweep::state(connection)?,
        exempting: exemptions::of_talk(connection, talk_id, now)?,
    })
}

/// How many older versions there are, and when the oldest of all began.
type Earlier = (i64, Option<UnixSeconds>);

/// The latest versions, oldest first, and what is before them.
fn versions(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<(Vec<Version>, Earlier)> {
    let mut versions = connection
        .prepare(
            "SELECT version, valid_from, valid_to, updated_at, is_in_work, is_read, missed_at, rate, status
               FROM talk_versions WHERE talk_id = ?1 ORDER BY version DESC LIMIT ?2",
        )?
        .query_map((talk_id, number::whole(VERSIONS_SHOWN)), |row| {
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
        .collect::<rusqlite::Result<Vec<_>>>()?;
    versions.reverse();
    let Some(first) = versions.first() else { return Ok((versions, (0, None))) };
    let earlier = connection.query_row(
        "SELECT count(*), coalesce(min(valid_from), ?3) FROM talk_history WHERE talk_id = ?1 AND version < ?2",
        (talk_id, first.version, first.valid_from),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((versions, earlier))
}

/// Calls `each` with every open talk, longest missed first. Those not missed come last.
///
/// # Errors
/// The error of `each`, or if the database cannot be read.
pub(crate) fn open_talks<E: From<rusqlite::Error>>(
    connection: &Connection,
    mut each: impl FnMut(Talk, Reach) -> Result<(), E>,
) -> Result<(), E> {
    let mut ids = connection.prepare(
        "SELECT talk_id, gone_at IS NOT NULL, denied_at IS NOT NULL FROM talks
          WHERE is_in_work = 1 AND gone_at IS NULL ORDER BY missed_at IS NULL, missed_at",
    )?;
    let mut rows = ids.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(talk) = stored_talk(connection, row.get(0)?)? {
            each(talk, Reach { gone: row.get(1)?, denied: row.get(2)? })?;
        }
    }
    Ok(())
}

/// Stored talks that probably still exist: the newest that existed when last fetched.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn known_talks(connection: &Connection) -> rusqlite::Result<Vec<TalkId>> {
    connection
        .prepare(
            "SELECT talk_id FROM talks WHERE gone_at IS NULL AND denied_at IS NULL ORDER BY talk_id DESC LIMIT 5",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}
