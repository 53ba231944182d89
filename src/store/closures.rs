//! `closures`: the decisions to close, each step in the transaction of what led to it.
//!
//! It promises that a talk has at most one closing under way, that a row only goes
//! forward, and that while one has no end a row in the queue leads back to its talk.

mod history;

pub(crate) use history::{Closure, HeldBack, held_back, is_recorded, last, last_of_talk, of_talk};

use super::exemptions;
use super::queue::Ticket;
use crate::clock::{Now, UnixSeconds};
use crate::number;
use crate::policy::closing::{
    self, CloseContext, ClosingOutcome, Decision, FetchReason, Open, OpenOutcome, Step,
};
use crate::policy::lanes::Lane;
use crate::talk::{Talk, TalkId};
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

/// Above all else in the queue.
pub(crate) const CLOSE_PRIORITY: i64 = Lane::Closing.priority();

/// A close request that is written down and may leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requested {
    /// Of the queue row that leads back to the talk; `None` if that was queued anew meanwhile.
    pub ticket: Option<Ticket>,
    /// Requests of this closing, this one too.
    pub attempt: u32,
    pub force_close: bool,
    /// When the fetch left that it was decided on.
    pub sent: Now,
    /// The rules that it was decided by.
    pub rules_epoch: u64,
}

/// What a fetch did to a closing.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    pub step: Step,
    /// If the step is [`Step::Request`].
    pub requested: Option<Requested>,
    /// On what it was decided, if the talk was fetched to be closed.
    pub decision: Option<Decision>,
}

impl Stepped {
    /// A step that writes nothing.
    pub(super) fn left(why: &str) -> Stepped {
        Stepped { step: Step::Leave(Some(why.into())), requested: None, decision: None }
    }
}

/// What became of a close request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Taken.
    Accepted { http_status: u16 },
    /// Not known, or it did not work: the talk is fetched again at `due_at`.
    Unsettled { http_status: Option<u16>, error: String, due_at: UnixSeconds },
    /// It never left: the talk is decided on anew at `due_at`.
    NotSent { error: String, due_at: UnixSeconds },
    /// Refused to this token.
    Refused { http_status: Option<u16>, error: String },
    /// It cannot work.
    Failed { http_status: Option<u16>, error: String },
    /// The API reports that the talk does not exist.
    Gone { http_status: Option<u16>, error: String },
}

/// Decides on a talk as just recorded, and writes the step down. What exempts it is looked up in the same transaction. `previous_missed_at` is what the
/// mirror held before. If the talk is to be fetched again, the queue row of `ticket` is for that.
///
/// # Errors
/// When the database cannot be written.
pub(super) fn step(
    tx: &Transaction<'_>,
    talk: &Talk,
    previous_missed_at: Option<UnixSeconds>,
    close_context: Option<&CloseContext>,
    ticket: Option<Ticket>,
    at: UnixSeconds,
) -> rusqlite::Result<Stepped> {
    let mut close_context = close_context.cloned();
    if let Some(CloseContext { decision: Decision { verdict, .. }, .. }) = &mut close_context {
        *verdict = exemptions::applied(tx, talk.talk_id, verdict.clone(), at)?;
    }
    let close_context = close_context.as_ref();
    let open = open(tx, talk.talk_id, at)?;
    let barred = match (&open, close_context) {
        (None, Some(_)) => barred_since(tx, talk.talk_id, at)?,
        _ => None,
    };
    let step = closing::next(open.as_ref(), barred, talk, close_context, at);
    let mut requested = None;
    let verify = |due_at| schedule(tx, talk.talk_id, ticket, FetchReason::Verify, due_at);
    match (&step, &open, close_context) {
        (Step::Request, _, Some(close_context)) => {
            let attempt = match &open {
                None => {
                    insert(tx, talk, talk.missed_at, close_context, ClosingOutcome::Requested, at)?;
                    1
                }
                Some(open) => {
                    request_again(tx, open, talk, close_context, at)?;
                    open.attempts + 1
                }
            };
            let ticket = verify(closing::first_look(at))?;
            let Decision { sent, rules_epoch, .. } = close_context.decision;
            let force_close = close_context.force_close;
            requested = Some(Requested { ticket, attempt, force_close, sent, rules_epoch });
        }
        (Step::WouldClose, _, Some(close_context)) => {
            insert(tx, talk, talk.missed_at, close_context, ClosingOutcome::WouldClose, at)?;
        }
        (Step::Withdraw(_), None, Some(close_context)) => {
            insert(
                tx,
                talk,
                talk.missed_at.or(previous_missed_at),
                close_context,
                ClosingOutcome::Withdrawn,
                at,
            )?;
        }
        (Step::Withdraw(why), Some(open), _) => {
            end(
                tx,
                open,
                ClosingOutcome::Withdrawn,
                named_params! {":id": open.closure_id, ":why": why},
                "reason = :why",
            )?;
        }
        (Step::Accept, Some(open), _) => {
            end(tx, open, ClosingOutcome::Accepted, named_params! {":id": open.closure_id}, "error = NULL")?;
            verify(closing::next_look(open.requested_at, at).unwrap_or(closing::first_look(at)))?;
        }
        (Step::Closed, Some(open), _) => {
            let values = named_params! {":id": open.closure_id, ":at": at};
            end(tx, open, ClosingOutcome::Closed, values, "verified_at = :at, error = NULL")?;
        }
        (Step::LookAgain(due_at), ..) => {
            verify(*due_at)?;
        }
        (Step::Fail(why), Some(open), _) => {
            end(
                tx,
                open,
                ClosingOutcome::Failed,
                named_params! {":id": open.closure_id, ":why": why},
                "error = :why",
            )?;
        }
        (Step::Leave(_), ..) => {}
        (step, open, close_context) => {
            unreachable!("{step:?} follows from no {open:?} and {close_context:?}")
        }
    }
    let decision = close_context.map(|close_context| close_context.decision.clone());
    Ok(Stepped { step, requested, decision })
}

/// An older response decides nothing. If a closing is under way, its talk is fetched again.
pub(super) fn look_again(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    ticket: Option<Ticket>,
    at: UnixSeconds,
) -> rusqlite::Result<()> {
    if let Some(open) = open(tx, talk_id, at)? {
        schedule(tx, talk_id, ticket, FetchReason::Verify, closing::look_again(open.requested_at, at))?;
    }
    Ok(())
}

/// Whether any closing is under way; mostly there is none.
pub(super) fn any_open(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM closures WHERE outcome IN ('requested', 'accepted')")?.exists([])
}

/// Records what became of a close request, and when to look at the talk. The talk names the closing, because one is
/// under way at most. Its number may change meanwhile: see `import_closures`.
///
/// # Errors
/// When the database cannot be written.
pub(super) fn answer(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    ticket: Option<Ticket>,
    answer: &Answer,
    at: UnixSeconds,
) -> rusqlite::Result<()> {
    let set = |outcome: ClosingOutcome, http_status: &Option<u16>, error: Option<&str>| {
        tx.prepare_cached(
            "UPDATE closures SET outcome = ?2, http_status = ?3, error = ?4
              WHERE talk_id = ?1 AND outcome = 'requested'",
        )?
        .execute((talk_id, outcome, http_status, error))
        .and_then(one_moved)
    };
    let due_at = match answer {
        Answer::Accepted { http_status } => {
            set(ClosingOutcome::Accepted, &Some(*http_status), None)?;
            Some(closing::first_look(at))
        }
        Answer::Unsettled { http_status, error, due_at } => {
            set(ClosingOutcome::Requested, http_status, Some(error))?;
            Some(*due_at)
        }
        Answer::NotSent { error, due_at } => {
            tx.prepare_cached(
                "UPDATE closures SET attempts = attempts - 1, error = ?2
                  WHERE talk_id = ?1 AND outcome = 'requested'",
            )?
            .execute((talk_id, error))
            .and_then(one_moved)?;
            Some(*due_at)
        }
        Answer::Refused { http_status, error } => {
            set(ClosingOutcome::Refused, http_status, Some(error))?;
            None
        }
        Answer::Failed { http_status, error } => {
            set(ClosingOutcome::Failed, http_status, Some(error))?;
            None
        }
        Answer::Gone { http_status, error } => {
            set(ClosingOutcome::Failed, http_status, Some(error))?;
            super::tombstones::mark_gone(tx, talk_id, at)?;
            None
        }
    };
    match due_at {
        Some(due_at) => tx
            .prepare_cached("UPDATE talk_queue SET due_at = ?3 WHERE talk_id = ?1 AND ticket = ?2")?
            .execute((talk_id, ticket, due_at))?,
        None => tx
            .prepare_cached("DELETE FROM talk_queue WHERE talk_id = ?1 AND ticket = ?2")?
            .execute((talk_id, ticket))?,
    };
    Ok(())
}

/// Whether a closing of the talk has no end yet. One whose request never left may be begun anew.
pub(super) fn is_under_way(
    connection: &Connection,
    talk_id: TalkId,
    reason: FetchReason,
) -> rusqlite::Result<bool> {
    Ok(open(connection, talk_id, UnixSeconds::MAX)?
        .is_some_and(|open| open.attempts > 0 || reason != FetchReason::Close))
}

/// Why a closing ends whose talk is gone.
const IS_GONE: &str = "the API reports that the talk does not exist";

/// Ends a closing whose talk the API reports as missing.
pub(super) fn end_gone(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE closures SET outcome = 'failed', error = ?2
          WHERE talk_id = ?1 AND outcome IN ('requested', 'accepted')",
    )?
    .execute((talk_id, IS_GONE))?;
    Ok(())
}

/// Takes that back, for the talk's last closing: the API is not believed.
pub(super) fn not_gone(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE closures SET outcome = iif(http_status = 202, 'accepted', 'requested'), error = NULL
          WHERE closure_id = (SELECT max(closure_id) FROM closures WHERE talk_id = ?1)
            AND outcome = 'failed' AND error = ?2",
    )?
    .execute((talk_id, IS_GONE))?;
    Ok(())
}

/// Queues the talk of every closing without an end, if no queue row leads to it; returns how many.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn requeue_open(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO talk_queue (talk_id, reason, priority)
             SELECT talk_id, 'verify', ?1 FROM closures
              WHERE outcome IN ('requested', 'accepted')
                AND talk_id NOT IN (SELECT talk_id FROM talk_queue)",
        )?
        .execute([CLOSE_PRIORITY])
}

/// A request in the future was noted by a wrong clock: it left now at the latest.
fn open(connection: &Connection, talk_id: TalkId, now: UnixSeconds) -> rusqlite::Result<Option<Open>> {
    connection
        .prepare_cached(
            "SELECT closure_id, outcome = 'accepted', requested_at, attempts, http_status, force_close,
                    talk_updated_at
               FROM closures WHERE talk_id = ?1 AND outcome IN ('requested', 'accepted')",
        )?
        .query_row([talk_id], |row| {
            Ok(Open {
                closure_id: row.get(0)?,
                outcome: if row.get(1)? { OpenOutcome::Accepted } else { OpenOutcome::Requested },
                requested_at: row.get::<_, UnixSeconds>(2)?.min(now),
                attempts: number::attempts(row.get(3)?),
                http_status: row.get(4)?,
                force_close: row.get(5)?,
                talk_updated_at: row.get(6)?,
            })
        })
        .optional()
}

/// Since when the last closing of a talk is refused or failed, if one is. One in the future was written by a wrong clock.
fn barred_since(
    connection: &Connection,
    talk_id: TalkId,
    now: UnixSeconds,
) -> rusqlite::Result<Option<UnixSeconds>> {
    connection
        .prepare_cached(
            "SELECT max(coalesce(requested_at, decided_at)) FROM closures
              WHERE talk_id = ?1 AND outcome IN ('refused', 'failed')
                AND coalesce(requested_at, decided_at) <= ?2",
        )?
        .query_row((talk_id, now), |row| row.get(0))
}

/// Writes a decision down; a second `would_close` for the same `missed_at` is none.
fn insert(
    tx: &Transaction<'_>,
    talk: &Talk,
    missed_at: Option<UnixSeconds>,
    close_context: &CloseContext,
    outcome: ClosingOutcome,
    at: UnixSeconds,
) -> rusqlite::Result<()> {
    let requested = outcome == ClosingOutcome::Requested;
    tx.prepare_cached(
        "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                               requested_at, outcome, attempts)
         VALUES (:talk_id, :mode, :missed_at, :talk_updated_at, :reason, :force_close, :at,
                 CASE WHEN :requested THEN :at END, :outcome, :requested)
         ON CONFLICT (talk_id, missed_at) WHERE outcome = 'would_close' DO NOTHING",
    )?
    .execute(named_params! {
        ":talk_id": talk.talk_id, ":mode": close_context.mode, ":missed_at": missed_at,
        ":talk_updated_at": talk.updated_at, ":reason": close_context.decision.verdict.to_string(),
        ":force_close": close_context.force_close, ":at": at, ":requested": requested, ":outcome": outcome,
    })?;
    Ok(())
}

fn request_again(
    tx: &Transaction<'_>,
    open: &Open,
    talk: &Talk,
    close_context: &CloseContext,
    at: UnixSeconds,
) -> rusqlite::Result<()> {
    let moved = tx
        .prepare_cached(
            "UPDATE closures
                SET attempts = attempts + 1, requested_at = :at, http_status = NULL, reason = :reason,
                    force_close = :force_close, missed_at = :missed_at, talk_updated_at = :talk_updated_at
              WHERE closure_id = :id AND outcome = 'requested'",
        )?
        .execute(named_params! {
            ":id": open.closure_id, ":at": at, ":reason": close_context.decision.verdict.to_string(),
            ":force_close": close_context.force_close, ":missed_at": talk.missed_at,
            ":talk_updated_at": talk.updated_at,
        })?;
    one_moved(moved)
}

/// Moves a row that is under way on to `outcome`.
fn end(
    tx: &Transaction<'_>,
    open: &Open,
    outcome: ClosingOutcome,
    values: &[(&str, &dyn rusqlite::ToSql)],
    set: &'static str,
) -> rusqlite::Result<()> {
    let from = match open.outcome {
        OpenOutcome::Requested => ClosingOutcome::Requested,
        OpenOutcome::Accepted => ClosingOutcome::Accepted,
    };
    let sql = format!(
        "UPDATE closures SET outcome = '{outcome}', {set} WHERE closure_id = :id AND outcome = '{from}'"
    );
    let moved = tx.prepare_cached(&sql)?.execute(values)?;
    one_moved(moved)
}

/// A step that moves no row, or several, is none: what was to be written down is not.
fn one_moved(moved: usize) -> rusqlite::Result<()> {
    if moved == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(moved)) }
}

/// Turns the row of `ticket` into one for `reason`, or makes one; returns its ticket. A row that was
/// queued anew meanwhile is somebody else's: it stays as it is, and `None` is returned.
fn schedule(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    ticket: Option<Ticket>,
    reason: FetchReason,
    due_at: UnixSeconds,
) -> rusqlite::Result<Option<Ticket>> {
    let moved = tx
        .prepare_cached(
            "UPDATE talk_queue
                SET reason = ?3, priority = ?4, due_at = ?5, attempts = 0, last_error = NULL,
                    ticket = random()
              WHERE talk_id = ?1 AND ticket = ?2 RETURNING ticket",
        )?
        .query_row((talk_id, ticket, reason.as_str(), CLOSE_PRIORITY, due_at), |row| row.get(0))
        .optional()?;
    let made = || {
        tx.prepare_cached(
            "INSERT INTO talk_queue (talk_id, reason, priority, due_at)
             SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = ?1)
             RETURNING ticket",
        )?
        .query_row((talk_id, reason.as_str(), CLOSE_PRIORITY, due_at), |row| row.get(0))
        .optional()
    };
    match moved {
        Some(ticket) => Ok(Some(ticket)),
        None => made(),
    }
}

#[cfg(test)]
mod tests;
