//! The feeders' requests to the database, each in the writer's transaction: queue ids, find news in the listing and
//! the events, and update the table `feeders`.
//!
//! A row that backs off is never made due sooner, nor loses its failures. An event counts once. A running fetch
//! does not hide a hint that came after it began.

mod backfill;
mod candidates;
mod directory;
mod events;
mod past_events;
mod rows;

pub use backfill::{Backfill, Begun, begin as begin_backfill, end as end_backfill, state as backfill};
pub use candidates::Candidates;
pub use directory::{NamesRequest, NeededIds, Round};
pub(super) use events::begin as begin_events;
pub use past_events::{PastEvents, state as past_events};
pub use rows::{FeederRow, Note, note, note_enabled, row, rows};

use super::changes::Marker;
use super::named::bind_by_name;
use crate::clock::UnixSeconds;
use crate::named::named;
use crate::number;
use crate::policy::lanes::Lane;
use crate::policy::refresh::{Choice, RefreshRules, Shares};
use crate::talk::{Listed, TalkEvent, TalkId};
use rows::note_run;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

named! {
    /// What queues ids on its own.
    ///
    /// In `feeders.feeder` and in the queue's `reason`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Feeder {
        Refresh = "refresh",
        Listing = "listing",
        Events = "events",
        PastEvents = "past_events",
        Directory = "directory",
        Webhook = "webhook",
        Backfill = "backfill",
    }
}

bind_by_name!(Feeder);

/// A row of the listing that differs from the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The row.
    pub listed: Listed,
    /// Whether a state of it is mirrored.
    pub mirrored: bool,
    /// When it was last fetched, or found missing.
    pub looked_at: Option<UnixSeconds>,
}

/// A hint that a talk may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// The lane that its row waits in.
    pub lane: Lane,
    /// Whether it has changed since the last hint: then a failed row is worth another try.
    pub changed: bool,
}

/// A request of a feeder.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum FeedRequest {
    /// Queue talks, due at `due_at`.
    Enqueue { feeder: Feeder, hints: Vec<Hint>, due_at: UnixSeconds, now: UnixSeconds },
    /// Queue the talks of a webhook of this account, due at `due_at`.
    Webhook { account_id: Option<i64>, ids: Vec<TalkId>, due_at: UnixSeconds, now: UnixSeconds },
    /// Queue the talks most worth fetching again, so that `room` rows wait in the lane.
    Refresh { rules: RefreshRules, room: usize, shares: Shares, now: UnixSeconds },
    /// Find the rows of the listing, read at `now`, that are news.
    Compare { listed: Vec<Listed>, now: UnixSeconds },
    /// Find the mirror's open talks fetched before `before` that are not among these.
    Unseen { seen: Arc<HashSet<TalkId>>, before: UnixSeconds, now: UnixSeconds },
    /// Keep the events that are new. Queue the talks of those that are not older than `since`.
    Events { events: Vec<TalkEvent>, since: UnixSeconds, now: UnixSeconds },
    /// Continue the backfill, so that `room` rows wait in the lane.
    Backfill { room: usize, now: UnixSeconds },
    /// What the feeder of names wants.
    Names(NamesRequest),
    /// Store the state of the feeder.
    Note(Note),
}

impl FeedRequest {
    /// When the rows that it may have queued or changed are due.
    pub fn changed_queue(&self, fed: &Fed) -> Option<UnixSeconds> {
        match self {
            FeedRequest::Enqueue { due_at, .. } | FeedRequest::Webhook { due_at, .. } => Some(*due_at),
            FeedRequest::Events { now, .. } => Some(*now),
            FeedRequest::Refresh { now, .. } | FeedRequest::Backfill { now, .. } => {
                matches!(fed, Fed::Refreshed { queued: 1.., .. } | Fed::Backfill(_, 1..)).then_some(*now)
            }
            FeedRequest::Compare { .. }
            | FeedRequest::Unseen { .. }
            | FeedRequest::Names(_)
            | FeedRequest::Note(_) => None,
        }
    }
}

/// The result of a [`FeedRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fed {
    /// This many ids were queued.
    Queued(u64),
    /// Refreshes were chosen.
    Refreshed {
        /// How many ids were queued.
        queued: u64,
        /// The shares, with what is owed now.
        shares: Shares,
    },
    /// The rows of the listing that are news.
    Compared(Vec<News>),
    /// The open talks that the listing did not have.
    Unseen(Vec<TalkId>),
    /// The webhook is another account's.
    OtherAccount,
    /// The progress of the backfill, if there is one, and how many ids were queued.
    Backfill(Option<Backfill>, u64),
    /// The ids of leads and contacts to ask for.
    NewNames {
        /// Which.
        ids: NeededIds,
        /// There were too many talks to look at: others may name more.
        overflowed: bool,
    },
    /// The talks whose names are asked for each day, the newest first.
    Talks(Vec<TalkId>),
    /// Ids without a row.
    Unknown {
        /// Which.
        ids: Vec<i64>,
        /// Where the walk goes on. `None` at its end.
        after: Option<i64>,
    },
    /// Leads were stored. Whether they name users or pipelines that the lists did not show.
    UnknownNames {
        /// Users.
        users: bool,
        /// Pipelines, or statuses of them.
        pipelines: bool,
    },
    /// Nothing to report.
    Done,
}

/// Runs a feeder's request that is alone in its transaction. The caller commits.
///
/// # Errors
/// If the database cannot be written.
pub fn work_alone(
    tx: &Transaction<'_>,
    request: &FeedRequest,
    candidates: &Candidates,
) -> rusqlite::Result<Fed> {
    work(tx, request, candidates, Marker::new(tx)?.as_mut())
}

/// Runs a feeder's request. The caller commits. The candidates are already prepared for it. What is to be published is
/// marked by `marker`, if there is one.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn work(
    tx: &Transaction<'_>,
    request: &FeedRequest,
    candidates: &Candidates,
    marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<Fed> {
    Ok(match request {
        FeedRequest::Enqueue { feeder, hints, due_at, now } => {
            let mut queued = 0;
            for hinted in hints {
                queued += u64::from(hint(tx, *feeder, *hinted, *due_at, *now)?);
            }
            Fed::Queued(queued)
        }
        FeedRequest::Webhook { account_id, ids, due_at, now } => {
            let ours = super::account_id(tx)?;
            if matches!((account_id, ours), (Some(theirs), Some(ours)) if *theirs != ours) {
                return Ok(Fed::OtherAccount);
            }
            let mut queued = 0;
            for &talk_id in ids {
                let hinted = Hint { talk_id, lane: Lane::Asked, changed: true };
                queued += u64::from(hint(tx, Feeder::Webhook, hinted, *due_at, *now)?);
            }
            note_run(tx, Feeder::Webhook, queued, *now)?;
            Fed::Queued(queued)
        }
        FeedRequest::Refresh { rules, room, shares, now } => {
            refresh(tx, candidates, rules, (*room, shares), *now)?
        }
        FeedRequest::Compare { listed, .. } => Fed::Compared(compare(tx, listed)?),
        FeedRequest::Unseen { seen, before, now } => Fed::Unseen(candidates.unseen(seen, *before, *now)),
        FeedRequest::Events { events, since, now } => events::keep(tx, events, (*since, *now), marker)?,
        FeedRequest::Backfill { room, now } => {
            let (state, queued) = backfill::go_on(tx, *room, *now)?;
            Fed::Backfill(state, queued)
        }
        FeedRequest::Names(request) => directory::work(tx, request, candidates.new_talks(), marker)?,
        FeedRequest::Note(note) => {
            self::note(tx, note)?;
            Fed::Done
        }
    })
}

/// Queues a talk after a hint. False if it waited already.
///
/// A waiting row takes the more urgent lane and the next ticket, because a running fetch may have been too early. A
/// scheduled row becomes due now. A row that backs off or belongs to a closing keeps its time. A failed row starts
/// again if its talk has changed.
fn hint(
    tx: &Transaction<'_>,
    feeder: Feeder,
    hint: Hint,
    due_at: UnixSeconds,
    now: UnixSeconds,
) -> rusqlite::Result<bool> {
    let Hint { talk_id, lane, changed } = hint;
    let values = named_params! {
        ":talk_id": talk_id, ":reason": feeder.as_str(), ":priority": lane.priority(), ":due_at": due_at,
        ":now": now, ":closing": Lane::Closing.priority(),
    };
    tx.prepare_cached(
        "UPDATE talk_queue
            SET reason = CASE WHEN :priority > priority THEN :reason ELSE reason END,
                priority = max(priority, :priority), due_at = min(due_at, :due_at),
                ticket = iif(ticket < 9223372036854775807, ticket + 1, random())
          WHERE talk_id = :talk_id AND failed_at IS NULL AND priority < :closing
            AND (due_at <= :now OR attempts = 0 AND last_error IS NULL)",
    )?
    .execute(values)?;
    if changed {
        let revived = tx
            .prepare_cached(
                "UPDATE talk_queue
                    SET failed_at = NULL, attempts = 0, last_error = NULL, reason = ?2,
                        priority = max(priority, ?3), enqueued_at = ?5, due_at = ?4, ticket = random()
                  WHERE talk_id = ?1 AND failed_at IS NOT NULL",
            )?
            .execute((talk_id, feeder.as_str(), lane.priority(), due_at, now))?;
        if revived == 1 {
            return Ok(true);
        }
    }
    insert(tx, talk_id, (feeder, lane), due_at, now)
}

/// Queues a talk unless it waits already. False if it does.
fn insert(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    (feeder, lane): (Feeder, Lane),
    due_at: UnixSeconds,
    now: UnixSeconds,
) -> rusqlite::Result<bool> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO talk_queue (talk_id, reason, priority, enqueued_at, due_at)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = ?1)",
        )?
        .execute((talk_id, feeder.as_str(), lane.priority(), now, due_at))?;
    Ok(inserted == 1)
}

/// How much of `room` is left by the due rows of a lane.
fn room_left(tx: &Transaction<'_>, lane: Lane, room: usize, now: UnixSeconds) -> rusqlite::Result<usize> {
    let waiting: i64 = tx
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM talk_queue
                  WHERE failed_at IS NULL AND priority BETWEEN ?1 AND ?2 AND due_at <= ?3 LIMIT ?4)",
        )?
        .query_row((lane.least_priority(), lane.priority(), now, number::whole(room)), |row| row.get(0))?;
    Ok(room.saturating_sub(number::size(waiting)))
}

/// A run that found nothing is recorded at most this often.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);

fn refresh(
    tx: &Transaction<'_>,
    candidates: &Candidates,
    rules: &RefreshRules,
    (room, shares): (usize, &Shares),
    now: UnixSeconds,
) -> rusqlite::Result<Fed> {
    let mut shares = shares.clone();
    let room = room_left(tx, Lane::Refresh, room, now)?;
    let mut queued = 0;
    if room > 0 {
        let mut choice = Choice::new((room, shares.oldest_of(room)), candidates.watched(), now);
        // Queued talks are fetched anyway.
        let mut waits = tx.prepare_cached("SELECT 1 FROM talk_queue WHERE talk_id = ?1")?;
        candidates.offer(&mut choice, rules, |talk_id| Ok(!waits.exists([talk_id])?))?;
        for talk_id in choice.chosen() {
            queued += u64::from(insert(tx, talk_id, (Feeder::Refresh, Lane::Refresh), now, now)?);
        }
    }
    let noted = row(tx, Feeder::Refresh)?.and_then(|row| row.ran_at);
    if queued > 0 || noted.is_none_or(|at| now.duration_since(at) >= NOTE_INTERVAL) {
        note_run(tx, Feeder::Refresh, queued, now)?;
    }
    Ok(Fed::Refreshed { queued, shares })
}

fn compare(connection: &Connection, listed: &[Listed]) -> rusqlite::Result<Vec<News>> {
    let mut stored = connection.prepare_cached(
        "SELECT updated_at, is_in_work, is_read, fetched_at, gone_at IS NOT NULL FROM talks WHERE talk_id = ?1",
    )?;
    let mut tombstone = connection.prepare_cached("SELECT gone_at FROM tombstones WHERE talk_id = ?1")?;
    let mut news = Vec::new();
    for &listed in listed {
        let mirrored = stored
            .query_row([listed.talk_id], |row| {
                let differs = row.get(4)?
                    || listed.updated_at.is_some_and(|listed| Ok(listed) != row.get(0))
                    || listed.is_in_work.is_some_and(|listed| Ok(listed) != row.get(1))
                    || listed.is_read.is_some_and(|listed| Ok(listed) != row.get(2));
                Ok((differs, row.get(3)?))
            })
            .optional()?;
        match mirrored {
            None => {
                let looked_at = tombstone.query_row([listed.talk_id], |row| row.get(0)).optional()?;
                news.push(News { listed, mirrored: false, looked_at });
            }
            Some((true, at)) => news.push(News { listed, mirrored: true, looked_at: Some(at) }),
            Some((false, _)) => {}
        }
    }
    Ok(news)
}

#[cfg(test)]
mod tests;
