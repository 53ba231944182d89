//! Recording what a fetch brought: the talk, the state it supersedes and the end of its queue
//! row, all in the caller's transaction.
//!
//! It promises that an older answer never overwrites a newer one (by `updated_at`;
//! among equals the later fetch wins), and that a row that was queued again while
//! its talk was being fetched stays.

mod state;

pub use state::stored_talk;
pub(super) use state::{COLUMNS, talk_in};

use super::changes::Marker;
use super::closures::{self, Answer, Stepped};
use super::odd;
use super::queue::Ticket;
use super::tombstones::mark_gone;
use crate::clock::UnixSeconds;
use crate::policy::closing::{CloseContext, Step};
use crate::talk::{Talk, TalkId};
use rusqlite::{CachedStatement, OptionalExtension, Transaction};
use std::time::Duration;

/// What one fetch led to, ready to be stored.
#[derive(Debug, Clone)]
pub struct Record {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// Of the queue row that the fetch was begun for; `None` if it ends none.
    pub ticket: Option<Ticket>,
    /// When the answer came.
    pub at: UnixSeconds,
    /// What the response shows.
    pub outcome: Outcome,
    /// What is wanted of the talk, if it was fetched to be closed.
    pub close_context: Option<Box<CloseContext>>,
}

/// A talk as an answer brought it.
#[derive(Debug, Clone)]
pub struct FetchedTalk {
    /// The state that was fetched.
    pub talk: Talk,
    /// The JSON as received.
    pub payload: String,
    /// Optional fields that came in another shape than the API documents.
    pub odd: Vec<&'static str>,
    /// The API's clock at the answer: its `Date`, or else our own. `None` if neither is known.
    pub answered_at: Option<UnixSeconds>,
}

impl FetchedTalk {
    /// A talk without an odd field.
    pub fn new(talk: Talk, payload: impl Into<String>) -> FetchedTalk {
        FetchedTalk { talk, payload: payload.into(), odd: Vec::new(), answered_at: None }
    }

    /// When the API's clock read so, if the `updated_at` is ahead of it.
    fn ahead_of(&self) -> Option<UnixSeconds> {
        self.answered_at.filter(|answered_at| self.talk.updated_at.duration_since(*answered_at) > AHEAD)
    }

    /// When this state was seen: `at` by our clock, unless that is ahead of the API's; not before its `updated_at`.
    fn seen_at(&self, at: UnixSeconds) -> UnixSeconds {
        let by_the_api = self.answered_at.filter(|answered_at| at.duration_since(*answered_at) > AHEAD);
        by_the_api.map_or(at, |answered_at| answered_at.max(self.talk.updated_at.min(at)))
    }
}

/// The servers of one vendor may differ by so much.
const AHEAD: Duration = Duration::from_secs(60);

/// The outcomes that change the database.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The talk.
    Talk(Box<FetchedTalk>),
    /// The API reports that it does not exist.
    Gone,
    /// The API refuses it; retried at `due_at`.
    Denied {
        /// When the next attempt is due.
        due_at: UnixSeconds,
        /// What the row notes as its error.
        error: String,
    },
    /// Retried at `due_at`; `spent` counts an attempt.
    Retry {
        /// When the next attempt is due.
        due_at: UnixSeconds,
        /// What the row notes as its error.
        error: String,
        /// Whether it costs an attempt.
        spent: bool,
    },
    /// Failed with its reason.
    Failed {
        /// What the row notes as its error.
        error: String,
    },
    /// What became of the talk's close request.
    Closing(Box<Answer>),
}

/// What recording did to the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A talk that was not mirrored before.
    New,
    /// A talk in another state than before.
    Changed,
    /// A talk as it was before.
    Same,
    /// An answer older than what is stored; the stored one stays.
    Older,
    /// The API reports that it does not exist.
    Gone {
        /// It was stored, and open.
        was_open: bool,
    },
    /// Denied to this token.
    Denied,
    /// To be retried.
    Retry,
    /// It used up its attempts.
    Failed,
    /// It cannot be recorded, nor its row be changed: the talk is to be left alone.
    Refused,
    /// The answer to a close request.
    Closing,
}

/// What became of a [`Record`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// What became of its row.
    pub effect: Effect,
    /// The id was queued again meanwhile: its row stays, and is due.
    pub requeued: bool,
    /// What the fetch led to in the talk's closing.
    pub stepped: Option<Box<Stepped>>,
}

/// Stores records in one transaction.
pub struct Recorder<'tx> {
    tx: &'tx Transaction<'tx>,
    // What every new talk needs, looked up once for all of a transaction.
    insert_talk: CachedStatement<'tx>,
    /// Whether a talk that turns up may have a tombstone; mostly there are none at all.
    tombstones: bool,
    /// Whether a stored talk's `updated_at` may be ahead of its time; mostly none is.
    ahead: bool,
    /// Whether a talk may have a closing under way; mostly there are none at all.
    closings: bool,
    dequeue: CachedStatement<'tx>,
    /// Marks what changed, if it is published.
    marker: Option<Marker<'tx>>,
}

impl<'tx> Recorder<'tx> {
    /// Records into `tx`; the caller commits it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn new(tx: &'tx Transaction<'tx>) -> rusqlite::Result<Recorder<'tx>> {
        Ok(Recorder {
            tx,
            insert_talk: tx.prepare_cached(
                "INSERT INTO talks (talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, \
                        entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                        lead_id, customer_id, payload, first_fetched_at, fetched_at, changed_at, closed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
                        ?18, ?21, ?19, ?21, ?20)
                 ON CONFLICT (talk_id) DO NOTHING",
            )?,
            tombstones: tx.prepare_cached("SELECT 1 FROM tombstones")?.exists([])?,
            ahead: tx.prepare_cached("SELECT 1 FROM talks_ahead")?.exists([])?,
            closings: closures::any_open(tx)?,
            dequeue: tx.prepare_cached("DELETE FROM talk_queue WHERE talk_id = ?1 AND ticket = ?2")?,
            marker: Marker::new(tx)?,
        })
    }

    /// Stores one record.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn record(&mut self, record: &Record) -> rusqlite::Result<Recorded> {
        let tx = self.tx;
        let Record { talk_id, ticket, at, .. } = *record;
        let mut stepped = None;
        let mut is_news = false;
        let (effect, moved) = match &record.outcome {
            Outcome::Talk(fetched) => {
                let talk = &fetched.talk;
                let before = match &record.close_context {
                    Some(_) => missed_at(tx, talk_id)?,
                    None => None,
                };
                let effect;
                (effect, is_news) = self.upsert_talk(talk, &fetched.payload, at, fetched.seen_at(at))?;
                if effect != Effect::Older {
                    self.note_time(fetched)?;
                    odd::note(tx, talk_id, &fetched.odd, at)?;
                }
                if self.closings || record.close_context.is_some() {
                    if effect == Effect::Older {
                        closures::look_again(tx, talk_id, ticket, at)?;
                        let why = "the answer is older than what is mirrored: nothing is decided on it";
                        stepped = record.close_context.as_ref().map(|_| Box::new(Stepped::left(why)));
                    } else {
                        let close_context = record.close_context.as_deref();
                        let done = closures::step(tx, talk, before, close_context, ticket, at)?;
                        self.closings |= done.step == Step::Request;
                        is_news |= done.step.is_written_down();
                        stepped = Some(Box::new(done));
                    }
                }
                (effect, self.dequeue(talk_id, ticket)?)
            }
            Outcome::Gone => {
                let was_open = is_open(tx, talk_id)?;
                mark_gone(tx, talk_id, at)?;
                if self.closings {
                    closures::end_gone(tx, talk_id)?;
                }
                (self.tombstones, is_news) = (true, true);
                (Effect::Gone { was_open }, self.dequeue(talk_id, ticket)?)
            }
            Outcome::Denied { due_at, error } => {
                let denied = tx
                    .prepare_cached(
                        "UPDATE talks SET denied_at = ?2 WHERE talk_id = ?1 AND denied_at IS NULL",
                    )?
                    .execute((talk_id, at))?;
                is_news = denied > 0;
                (Effect::Denied, reschedule(tx, record, *due_at, error, false)?)
            }
            Outcome::Retry { due_at, error, spent } => {
                (Effect::Retry, reschedule(tx, record, *due_at, error, *spent)?)
            }
            Outcome::Failed { error } => {
                let moved = tx
                    .prepare_cached(
                        "UPDATE talk_queue
                        SET failed_at = ?4, attempts = min(attempts, 1000000) + 1, last_error = ?5
                      WHERE talk_id = ?1 AND ticket BETWEEN ?2 AND ?3 AND failed_at IS NULL",
                    )?
                    .execute((talk_id, ticket, ticket.map(Ticket::last_hint), at, error))?;
                (Effect::Failed, moved == 1)
            }
            Outcome::Closing(answer) => {
                closures::answer(tx, talk_id, ticket, answer, at)?;
                is_news = true;
                (Effect::Closing, false)
            }
        };
        if is_news && let Some(marker) = &mut self.marker {
            marker.mark(talk_id)?;
        }
        let requeued = !moved && waits(tx, talk_id)?;
        Ok(Recorded { talk_id, effect, requeued, stepped })
    }

    /// For what else of the transaction is to be published.
    pub(super) fn marker(&mut self) -> Option<&mut Marker<'tx>> {
        self.marker.as_mut()
    }

    /// Whether anything is to be published that was not before.
    pub(super) fn has_marked(&self) -> bool {
        self.marker.as_ref().is_some_and(Marker::has_marked)
    }

    /// Ends the queue row that the fetch was begun for; false if it is no longer that row.
    fn dequeue(&mut self, talk_id: TalkId, ticket: Option<Ticket>) -> rusqlite::Result<bool> {
        Ok(self.dequeue.execute((talk_id, ticket))? == 1)
    }
}

fn reschedule(
    tx: &Transaction<'_>,
    record: &Record,
    due_at: UnixSeconds,
    error: &str,
    spent: bool,
) -> rusqlite::Result<bool> {
    let moved = tx
        .prepare_cached(
            "UPDATE talk_queue
                SET due_at = ?4, last_error = ?5, attempts = min(attempts, 1000000) + ?6
              WHERE talk_id = ?1 AND ticket BETWEEN ?2 AND ?3 AND failed_at IS NULL",
        )?
        .execute((
            record.talk_id,
            record.ticket,
            record.ticket.map(Ticket::last_hint),
            due_at,
            error,
            spent,
        ))?;
    Ok(moved == 1)
}

fn waits(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM talk_queue WHERE talk_id = ?1 AND failed_at IS NULL")?.exists([talk_id])
}

fn is_open(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM talks WHERE talk_id = ?1 AND is_in_work = 1 AND gone_at IS NULL")?
        .exists([talk_id])
}

/// As the mirror holds it.
fn missed_at(tx: &Transaction<'_>, talk_id: TalkId) -> rusqlite::Result<Option<UnixSeconds>> {
    Ok(tx
        .prepare_cached("SELECT missed_at FROM talks WHERE talk_id = ?1")?
        .query_row([talk_id], |row| row.get(0))
        .optional()?
        .flatten())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{FetchedTalk, Outcome, Record, Recorded, Recorder};
    use crate::clock::UnixSeconds;
    use crate::talk::Talk;
    use rusqlite::Connection;

    /// Records it in a transaction of its own.
    pub(crate) fn record(connection: &Connection, record: &Record) -> Recorded {
        let tx = connection.unchecked_transaction().unwrap();
        let recorded = Recorder::new(&tx).unwrap().record(record).unwrap();
        tx.commit().unwrap();
        recorded
    }

    /// Records that this talk was fetched at that time.
    pub(crate) fn fetched(connection: &Connection, talk: Talk, at: UnixSeconds) -> Recorded {
        let talk_id = talk.talk_id;
        let outcome = Outcome::Talk(Box::new(FetchedTalk::new(talk, "{}")));
        record(connection, &Record { talk_id, ticket: None, at, outcome, close_context: None })
    }
}
