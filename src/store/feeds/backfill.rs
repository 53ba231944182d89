//! The backfill: a walk over the account's ids, one range at a time, for an account without the listing.
//!
//! The result of each id is read from the mirror, so the walk continues after a restart where it was.

use super::{Feeder, insert, room_left};
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::lanes::Lane;
use crate::talk::TalkId;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

/// After this many ids in a row that the API does not know, the account's talks have ended.
const MAX_UNKNOWN_IN_A_ROW: i64 = 500;
/// How many mirrored ids one step skips at most. Bounds a transaction.
const MAX_IDS_PER_STEP: usize = 20_000;

/// The state of a walk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// The first id, …
    pub from: TalkId,
    /// … and the last, which may be higher or lower.
    pub to: TalkId,
    /// When it began.
    pub began_at: UnixSeconds,
    /// The next id to queue.
    next: TalkId,
    /// The next id whose result is not known yet.
    settled: TalkId,
    /// How many ids up to there the API did not know, without a break.
    pub unknown_in_a_row: i64,
    /// How many talks it queued.
    pub queued: i64,
    /// When it ended, and why.
    pub ended: Option<(UnixSeconds, String)>,
}

impl Backfill {
    /// The id after this one.
    fn after(&self, talk_id: TalkId) -> TalkId {
        let step = if self.to < self.from { -1 } else { 1 };
        TalkId::new(talk_id.get() + step)
    }

    /// Whether an id lies in the range.
    fn holds(&self, talk_id: TalkId) -> bool {
        (self.from.min(self.to)..=self.from.max(self.to)).contains(&talk_id)
    }

    /// How many ids of the range are settled, and how many there are.
    pub fn progress(&self) -> (i64, i64) {
        (distance(self.from, self.settled), distance(self.from, self.to) + 1)
    }

    /// How many ids of the range are not queued yet. 0 once it has ended.
    pub fn ids_left(&self) -> i64 {
        if self.ended.is_none() && self.holds(self.next) { distance(self.next, self.to) + 1 } else { 0 }
    }

    /// Seconds until it ends at the current pace, if known.
    pub fn seconds_left(&self, now: UnixSeconds) -> Option<i64> {
        let (done, all) = self.progress();
        let rate = done as f64 / now.seconds_since(self.began_at).max(1) as f64;
        (done > 0 && self.ended.is_none()).then(|| number::truncated((all - done) as f64 / rate))
    }
}

fn distance(one: TalkId, other: TalkId) -> i64 {
    (one.get() - other.get()).abs()
}

/// The new walk, or why it cannot begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// The new walk, and the one that it replaces.
    Walk(Backfill, Option<Backfill>),
    /// No talk is mirrored, so it is unknown where the ids end.
    NothingKnown,
}

/// Stores a walk for a daemon. Without `from` it begins at the highest known id (or above it, if `to` is higher).
/// Without `to` it ends at 1.
///
/// # Errors
/// If the database cannot be written.
pub fn begin(
    connection: &mut Connection,
    from: Option<TalkId>,
    to: Option<TalkId>,
    now: UnixSeconds,
) -> rusqlite::Result<Begun> {
    let tx = connection.transaction()?;
    let highest: Option<TalkId> = tx.query_row("SELECT max(talk_id) FROM talks", [], |row| row.get(0))?;
    let to = to.unwrap_or(TalkId::new(1));
    let first = |highest: TalkId| if to > highest { TalkId::new(highest.get() + 1) } else { highest };
    let Some(from) = from.or_else(|| highest.map(first)) else { return Ok(Begun::NothingKnown) };
    let before = state(&tx)?.filter(|before| before.ended.is_none());
    let walk = Backfill {
        from,
        to,
        began_at: now,
        next: from,
        settled: from,
        unknown_in_a_row: 0,
        queued: 0,
        ended: None,
    };
    write(&tx, &walk)?;
    tx.commit()?;
    Ok(Begun::Walk(walk, before))
}

/// Ends the running walk. What it queued stays queued.
///
/// # Errors
/// If the database cannot be written.
pub fn end(connection: &mut Connection, now: UnixSeconds) -> rusqlite::Result<Option<Backfill>> {
    let tx = connection.transaction()?;
    let Some(mut walk) = state(&tx)?.filter(|walk| walk.ended.is_none()) else { return Ok(None) };
    walk.ended = Some((now, "stopped by hand".into()));
    write(&tx, &walk)?;
    tx.commit()?;
    Ok(Some(walk))
}

/// The running walk, or the last one.
///
/// # Errors
/// If the database cannot be read.
pub fn state(connection: &Connection) -> rusqlite::Result<Option<Backfill>> {
    let row = super::row(connection, Feeder::Backfill)?;
    Ok(row.and_then(|row| serde_json::from_value(row.cursor?).ok()))
}

fn write(connection: &Connection, walk: &Backfill) -> rusqlite::Result<()> {
    let cursor = serde_json::to_string(walk).expect("plain data");
    connection
        .prepare_cached(
            "INSERT INTO feeders (feeder, enabled, found, found_in_all, cursor) VALUES (?1, 1, 0, 0, ?2)
             ON CONFLICT (feeder) DO UPDATE SET enabled = 1, cursor = ?2",
        )?
        .execute((Feeder::Backfill.as_str(), cursor))?;
    Ok(())
}

/// Checks the results of the queued ids, and queues more. Returns the walk, if one is running or ends with this
/// step, and how many ids were queued.
pub(super) fn go_on(
    tx: &Transaction<'_>,
    room: usize,
    now: UnixSeconds,
) -> rusqlite::Result<(Option<Backfill>, u64)> {
    let Some(before) = state(tx)?.filter(|walk| walk.ended.is_none()) else { return Ok((None, 0)) };
    let mut walk = before.clone();
    settle(tx, &mut walk)?;
    let mut queued = 0;
    if walk.unknown_in_a_row >= MAX_UNKNOWN_IN_A_ROW {
        walk.ended = Some((now, format!("the API knows none of the last {MAX_UNKNOWN_IN_A_ROW} ids")));
    } else {
        queued = queue_more(tx, &mut walk, room, now)?;
        if !walk.holds(walk.settled) {
            walk.ended = Some((now, "every id of the range was checked".into()));
        }
    }
    walk.queued += number::whole(queued);
    if walk != before {
        write(tx, &walk)?;
        super::note_run(tx, Feeder::Backfill, queued, now)?;
    }
    Ok((Some(walk), queued))
}

/// What is known of an id.
enum IdState {
    /// It is mirrored.
    Talk,
    /// The API reports that there is no such talk.
    Unknown,
    /// It waits for its fetch.
    Waits,
    /// Its fetch fails, it is denied, or its row was dropped: it may exist.
    Unclear,
}

fn id_state(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<IdState> {
    if tx.prepare_cached("SELECT 1 FROM talks WHERE talk_id = ?1")?.exists([talk_id])? {
        return Ok(IdState::Talk);
    }
    if tx.prepare_cached("SELECT 1 FROM tombstones WHERE talk_id = ?1")?.exists([talk_id])? {
        return Ok(IdState::Unknown);
    }
    let waits = tx
        .prepare_cached(
            "SELECT failed_at IS NULL AND attempts = 0 AND last_error IS NULL
               FROM talk_queue WHERE talk_id = ?1",
        )?
        .query_row([talk_id], |row| row.get(0))
        .optional()?;
    Ok(if waits == Some(true) { IdState::Waits } else { IdState::Unclear })
}

fn settle(tx: &Transaction<'_>, walk: &mut Backfill) -> rusqlite::Result<()> {
    while walk.settled != walk.next && walk.unknown_in_a_row < MAX_UNKNOWN_IN_A_ROW {
        match id_state(tx, walk.settled)? {
            IdState::Waits => break,
            IdState::Unknown => walk.unknown_in_a_row += 1,
            IdState::Talk | IdState::Unclear => walk.unknown_in_a_row = 0,
        }
        walk.settled = walk.after(walk.settled);
    }
    Ok(())
}

fn queue_more(
    tx: &Transaction<'_>,
    walk: &mut Backfill,
    room: usize,
    now: UnixSeconds,
) -> rusqlite::Result<u64> {
    let mut room = room_left(tx, Lane::Unmirrored, room, now)?;
    let mut queued = 0;
    for _ in 0..MAX_IDS_PER_STEP {
        if room == 0 || !walk.holds(walk.next) {
            break;
        }
        // In the order of the walk: rows due for longer are fetched first.
        let due_at = now.later_by(-number::whole(room));
        // Known ids cost no request.
        if matches!(id_state(tx, walk.next)?, IdState::Unclear)
            && insert(tx, walk.next, (Feeder::Backfill, Lane::Unmirrored), due_at, now)?
        {
            room -= 1;
            queued += 1;
        }
        walk.next = walk.after(walk.next);
    }
    settle(tx, walk)?;
    Ok(queued)
}
