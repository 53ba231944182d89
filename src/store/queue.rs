//! The queue: what is due next, and what commands do with it.
//!
//! Taking work writes nothing: what is in flight is the worker's knowledge, and a
//! row leaves in the transaction that records its fetch (see [`super::record`]).

mod repair;

pub(super) use repair::repair;
pub use repair::{Repair, TOO_MANY, UNCONFIRMED};

use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::closing::FetchReason;
use crate::policy::lanes::Lane;
use crate::talk::TalkId;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};
use std::ops::RangeInclusive;

/// Names one state of a queue row: whoever queues the id anew draws another ticket, so a fetch ends only the row that it
/// was begun for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(i64);

impl Ticket {
    #[cfg(test)]
    pub(crate) fn of(number: i64) -> Ticket {
        Ticket(number)
    }

    /// The last ticket that hints (see [`super::feeds`]) give the row: they add 1 each, and hurry nothing.
    pub fn last_hint(self) -> Ticket {
        Ticket(self.0.saturating_add(HINTS))
    }
}

impl ToSql for Ticket {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Ticket {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Ticket)
    }
}

/// A hint about a row that waits adds 1 to its ticket; nobody counts so many.
pub const HINTS: i64 = 1_000_000;

/// A row that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRow {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// `None` if no row waits for the fetch.
    pub ticket: Option<Ticket>,
    /// Failures so far.
    pub attempts: u32,
    /// What it is to be fetched for.
    pub reason: FetchReason,
    /// Whose share of the requests its fetch is of.
    pub lane: Lane,
}

impl DueRow {
    /// A talk to be fetched at once, whether a row waits for it or not.
    pub fn without_ticket(talk_id: TalkId) -> DueRow {
        DueRow { talk_id, ticket: None, attempts: 0, reason: FetchReason::Mirror, lane: Lane::Closing }
    }

    fn read(row: &Row<'_>, priority: i64) -> rusqlite::Result<DueRow> {
        Ok(DueRow {
            talk_id: row.get(0)?,
            ticket: Some(row.get(1)?),
            attempts: number::attempts(row.get(2)?),
            reason: FetchReason::of_row(&text(row, 3)?.unwrap_or_default(), priority),
            lane: Lane::of(priority),
        })
    }
}

/// A text that another program may have written: where it is not UTF-8, as much of it as is.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null()?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// The head of the queue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueBatch {
    /// What is due: lane by lane, in each in the order in which to fetch.
    pub due: Vec<DueRow>,
    /// The lanes (by [`Lane::ALL`]) in which more is due than was asked for.
    pub more: [bool; Lane::ALL.len()],
    /// When the next row is due of those that are not yet; without the lanes in which there is `more`.
    pub next_due_at: Option<UnixSeconds>,
}

/// Reads the first `limit` rows of each lane due at `now`: by priority, then by due time.
///
/// It goes from one priority to the next by index, so that rows which must wait
/// cost nothing, however many they are.
///
/// # Errors
/// When the database cannot be read.
pub fn head(connection: &Connection, now: UnixSeconds, limit: usize) -> rusqlite::Result<DueBatch> {
    let mut highest_priority = connection
        .prepare_cached("SELECT max(priority) FROM talk_queue WHERE failed_at IS NULL AND priority <= ?1")?;
    let mut due = connection.prepare_cached(
        "SELECT talk_id, ticket, attempts, reason FROM talk_queue
          WHERE failed_at IS NULL AND priority = ?1 AND due_at <= ?2
          ORDER BY due_at LIMIT ?3",
    )?;
    let mut next_due = connection.prepare_cached(
        "SELECT min(due_at) FROM talk_queue
          WHERE failed_at IS NULL AND priority = ?1 AND due_at > ?2",
    )?;

    let mut head = DueBatch::default();
    let mut highest = |from: i64| highest_priority.query_row([from], |row| row.get::<_, Option<i64>>(0));
    let mut priority = highest(i64::MAX)?;
    let (mut lane, mut lane_began) = (Lane::Closing, 0);
    while let Some(level) = priority {
        if Lane::of(level) != lane {
            (lane, lane_began) = (Lane::of(level), head.due.len());
        }
        // One more than wanted shows whether there is more.
        let wanted = limit + 1 - (head.due.len() - lane_began);
        let rows = due.query_map((level, now, number::whole(wanted)), |row| DueRow::read(row, level))?;
        for row in rows {
            head.due.push(row?);
        }
        let below = if head.due.len() - lane_began > limit {
            head.due.truncate(lane_began + limit);
            head.more[lane as usize] = true;
            lane.least_priority().checked_sub(1)
        } else {
            let next: Option<UnixSeconds> = next_due.query_row((level, now), |row| row.get(0))?;
            head.next_due_at = match (head.next_due_at, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            level.checked_sub(1)
        };
        priority = match below {
            Some(below) => highest(below)?,
            None => None,
        };
    }
    Ok(head)
}

/// Reads the rows of these talks as [`head`] does, whatever else is due.
///
/// # Errors
/// When the database cannot be read.
pub fn head_of(connection: &Connection, talk_ids: &[TalkId], now: UnixSeconds) -> rusqlite::Result<DueBatch> {
    let mut row = connection.prepare_cached(
        "SELECT talk_id, ticket, attempts, reason, priority, due_at FROM talk_queue
          WHERE failed_at IS NULL AND talk_id = ?1",
    )?;
    let mut head = DueBatch::default();
    for talk_id in talk_ids {
        let found = row
            .query_row([talk_id], |row| Ok((DueRow::read(row, row.get(4)?)?, row.get::<_, UnixSeconds>(5)?)))
            .optional()?;
        match found {
            Some((due, due_at)) if due_at <= now => head.due.push(due),
            Some((_, due_at)) => {
                head.next_due_at = Some(head.next_due_at.map_or(due_at, |next| next.min(due_at)));
            }
            None => {}
        }
    }
    Ok(head)
}

/// How many ids were new to the queue, and how many already waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Enqueued {
    /// How many rows are new.
    pub new: u64,
    /// How many ids waited already.
    pub already_waiting: u64,
}

/// Rows in one transaction of [`enqueue`]: another writer waits at most this long.
const CHUNK: usize = 10_000;

/// Queues ids with the reason `cli`, as a plain `INSERT` would.
///
/// `progress` gets how many ids are done so far.
///
/// # Errors
/// When the database cannot be written; the ids reported to `progress` are queued then.
pub fn enqueue(
    connection: &mut Connection,
    ids: &[RangeInclusive<TalkId>],
    mut progress: impl FnMut(u64),
) -> rusqlite::Result<Enqueued> {
    let mut enqueued = Enqueued::default();
    let ids = ids.iter().flat_map(|range| range.start().get()..=range.end().get());
    let mut ids = ids.map(TalkId::new).peekable();
    while ids.peek().is_some() {
        let transaction = connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO talk_queue (talk_id, reason) VALUES (?1, 'cli')")?;
            for talk_id in ids.by_ref().take(CHUNK) {
                match insert.execute([talk_id])? {
                    // The trigger refreshed the row that was there.
                    0 => enqueued.already_waiting += 1,
                    _ => enqueued.new += 1,
                }
            }
        }
        transaction.commit()?;
        progress(enqueued.new + enqueued.already_waiting);
    }
    Ok(enqueued)
}

/// A row of the queue as shown to people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct QueueRow {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// Who queued it.
    pub reason: String,
    /// The number of its lane: lower leaves first.
    pub priority: i64,
    /// When it was queued.
    pub enqueued_at: UnixSeconds,
    /// When it may be fetched.
    pub due_at: UnixSeconds,
    /// How many attempts failed.
    pub attempts: i64,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    /// When it had used up its attempts.
    pub failed_at: Option<UnixSeconds>,
}

impl QueueRow {
    /// The columns, in the order of [`QueueRow::read`].
    pub(super) const COLUMNS: &str =
        "talk_id, reason, priority, enqueued_at, due_at, attempts, last_error, failed_at";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<QueueRow> {
        Ok(QueueRow {
            talk_id: row.get(0)?,
            reason: text(row, 1)?.unwrap_or_default(),
            priority: row.get(2)?,
            enqueued_at: row.get(3)?,
            due_at: row.get(4)?,
            attempts: row.get(5)?,
            last_error: text(row, 6)?,
            failed_at: row.get(7)?,
        })
    }
}

/// Calls `each` with the rows in the order in which they are fetched, the failed
/// ones last; or with the failed ones alone.
///
/// # Errors
/// What `each` returns, or when the database cannot be read.
pub fn list<E: From<rusqlite::Error>>(
    connection: &Connection,
    failed_only: bool,
    limit: Option<u64>,
    mut each: impl FnMut(QueueRow) -> Result<(), E>,
) -> Result<(), E> {
    let columns = QueueRow::COLUMNS;
    let waiting = format!(
        "SELECT {columns} FROM talk_queue WHERE failed_at IS NULL ORDER BY priority DESC, due_at LIMIT ?1"
    );
    let failed =
        format!("SELECT {columns} FROM talk_queue WHERE failed_at IS NOT NULL ORDER BY failed_at LIMIT ?1");
    let mut left = limit.map_or(i64::MAX, number::whole);
    for sql in [&waiting, &failed].into_iter().skip(usize::from(failed_only)) {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([left])?;
        while let Some(row) = rows.next()? {
            each(QueueRow::read(row)?)?;
            left -= 1;
        }
    }
    Ok(())
}

/// The row of one talk, if it waits.
///
/// # Errors
/// When the database cannot be read.
pub fn row(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<Option<QueueRow>> {
    let columns = QueueRow::COLUMNS;
    connection
        .query_row(&format!("SELECT {columns} FROM talk_queue WHERE talk_id = ?1"), [talk_id], QueueRow::read)
        .optional()
}

/// Makes every failed row due again; returns how many.
///
/// # Errors
/// When the database cannot be written.
pub fn retry_failed(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE talk_queue
            SET failed_at = NULL, attempts = 0, due_at = :now, ticket = random()
          WHERE failed_at IS NOT NULL",
        named_params! {":now": now},
    )
}

/// Makes one row due now, failed or backing off; false if it is not in the queue.
///
/// # Errors
/// When the database cannot be written.
pub fn retry(connection: &Connection, talk_id: TalkId, now: UnixSeconds) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "UPDATE talk_queue
                SET failed_at = NULL, attempts = 0, due_at = min(due_at, ?2), ticket = random()
              WHERE talk_id = ?1",
        )?
        .execute((talk_id, now))?;
    Ok(moved == 1)
}

/// Takes one id off the queue unfetched; false if it is not there.
///
/// # Errors
/// When the database cannot be written.
pub fn drop_row(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<bool> {
    let moved = connection.prepare_cached("DELETE FROM talk_queue WHERE talk_id = ?1")?.execute([talk_id])?;
    Ok(moved == 1)
}
