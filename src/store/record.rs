//! Recording what a fetch brought: the talk, its version and the end of its queue
//! row, all in the caller's transaction.
//!
//! It promises that an older answer never overwrites a newer one (by `updated_at`;
//! among equals the later fetch wins), and that a row that was queued again while
//! its talk was being fetched stays.

use super::closures::{self, Answer, Stepped};
use super::odd;
use crate::policy::closing::{Step, Wish};
use crate::talk::Talk;
use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

/// What one fetch led to, ready to be stored.
#[derive(Debug, Clone)]
pub struct Record {
    pub talk_id: i64,
    /// The ticket of the queue row that the fetch was begun for.
    pub ticket: i64,
    /// When the answer came, in Unix seconds.
    pub at: i64,
    pub outcome: Outcome,
    /// What is wanted of the talk, where it was fetched to be closed.
    pub wish: Option<Box<Wish>>,
}

/// A talk as an answer brought it.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub talk: Talk,
    /// The JSON as received.
    pub payload: String,
    /// Optional fields that came in another shape than the API documents.
    pub odd: Vec<&'static str>,
    /// The API's clock at the answer, in Unix seconds: its `Date`, or else our own. `None` if neither is known.
    pub answered_at: Option<i64>,
}

impl Arrived {
    /// A talk whose answer says nothing odd.
    pub fn new(talk: Talk, payload: impl Into<String>) -> Arrived {
        Arrived { talk, payload: payload.into(), odd: Vec::new(), answered_at: None }
    }

    /// When the API's clock read so, if the `updated_at` is ahead of it.
    fn ahead_of(&self) -> Option<i64> {
        self.answered_at.filter(|answered_at| self.talk.updated_at.saturating_sub(*answered_at) > AHEAD)
    }

    /// When this state was seen: `at` by our clock, unless that is ahead of the API's; not before its `updated_at`.
    fn seen_at(&self, at: i64) -> i64 {
        let by_the_api = self.answered_at.filter(|answered_at| at.saturating_sub(*answered_at) > AHEAD);
        by_the_api.map_or(at, |answered_at| answered_at.max(self.talk.updated_at.min(at)))
    }
}

/// In seconds: the servers of one vendor may differ by so much.
const AHEAD: i64 = 60;

/// The outcomes that change the database.
#[derive(Debug, Clone)]
pub enum Outcome {
    Talk(Box<Arrived>),
    /// The API says that it does not exist.
    Gone,
    /// The API refuses it; tried again at `due_at`.
    Denied {
        due_at: i64,
        error: String,
    },
    /// Tried again at `due_at`; `spent` counts an attempt.
    Retry {
        due_at: i64,
        error: String,
        spent: bool,
    },
    /// Set aside with its reason.
    Failed {
        error: String,
    },
    /// What became of the close request of this closing.
    Closing {
        closure_id: i64,
        answer: Box<Answer>,
    },
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
    /// The API says that it does not exist.
    Gone {
        /// It was stored, and open.
        was_open: bool,
    },
    Denied,
    Retry,
    Failed,
    /// It cannot be recorded, nor its row be changed: the talk is to be left alone.
    Refused,
    /// The answer to a close request.
    Closing,
}

/// What became of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub talk_id: i64,
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
    insert_version: CachedStatement<'tx>,
    /// Whether a talk that turns up may have a tombstone; mostly there are none at all.
    tombstones: bool,
    /// Whether a stored talk's `updated_at` may be ahead of its time; mostly none is.
    ahead: bool,
    /// Whether a talk may have a closing under way; mostly there are none at all.
    closings: bool,
    dequeue: CachedStatement<'tx>,
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
            insert_version: tx.prepare_cached(
                "INSERT INTO talk_versions (talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, \
                        entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                        lead_id, customer_id, version, valid_from)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
            )?,
            tombstones: tx.prepare_cached("SELECT 1 FROM tombstones")?.exists([])?,
            ahead: tx.prepare_cached("SELECT 1 FROM talks_ahead")?.exists([])?,
            closings: closures::any_open(tx)?,
            dequeue: tx.prepare_cached("DELETE FROM talk_queue WHERE talk_id = ?1 AND ticket = ?2")?,
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
        let (effect, moved) = match &record.outcome {
            Outcome::Talk(arrived) => {
                let talk = &arrived.talk;
                let before = match &record.wish {
                    Some(_) => missed_at(tx, talk_id)?,
                    None => None,
                };
                let effect = self.upsert_talk(talk, &arrived.payload, at, arrived.seen_at(at))?;
                if effect != Effect::Older {
                    self.note_time(arrived)?;
                    odd::note(tx, talk_id, &arrived.odd, at)?;
                }
                if self.closings || record.wish.is_some() {
                    if effect == Effect::Older {
                        closures::look_again(tx, talk_id, ticket, at)?;
                        let why = "the answer is older than what is mirrored: nothing is decided on it";
                        stepped = record.wish.as_ref().map(|_| {
                            Box::new(Stepped { step: Step::Leave(Some(why.into())), requested: None })
                        });
                    } else {
                        let wish = record.wish.as_deref();
                        let done = closures::step(tx, talk, before, wish, (ticket, at))?;
                        self.closings |= done.step == Step::Request;
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
                self.tombstones = true;
                (Effect::Gone { was_open }, self.dequeue(talk_id, ticket)?)
            }
            Outcome::Denied { due_at, error } => {
                tx.prepare_cached("UPDATE talks SET denied_at = coalesce(denied_at, ?2) WHERE talk_id = ?1")?
                    .execute((talk_id, at))?;
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
                    .execute((talk_id, ticket, last_hint(ticket), at, error))?;
                (Effect::Failed, moved == 1)
            }
            Outcome::Closing { closure_id, answer } => {
                closures::answer(tx, (talk_id, ticket, at), *closure_id, answer)?;
                (Effect::Closing, false)
            }
        };
        let requeued = !moved && waits(tx, talk_id)?;
        Ok(Recorded { talk_id, effect, requeued, stepped })
    }

    /// Ends the queue row that the fetch was begun for; false if it is no longer that row.
    fn dequeue(&mut self, talk_id: i64, ticket: i64) -> rusqlite::Result<bool> {
        Ok(self.dequeue.execute((talk_id, ticket))? == 1)
    }

    fn upsert_talk(&mut self, talk: &Talk, payload: &str, at: i64, seen_at: i64) -> rusqlite::Result<Effect> {
        let tx = self.tx;
        let closed_at = (!talk.is_in_work).then_some(seen_at);
        // Most often either nothing is stored yet or nothing differs.
        let mut values = talk_params(talk).to_vec();
        values.extend([&payload as &dyn ToSql, &at, &closed_at, &seen_at]);
        let inserted = self.insert_talk.execute(values.as_slice())?;
        if inserted == 1 {
            self.insert_version(talk, 1, seen_at)?;
            if self.tombstones {
                tx.prepare_cached("DELETE FROM tombstones WHERE talk_id = ?1")?.execute([talk.talk_id])?;
            }
            return Ok(Effect::New);
        }
        match stored_talk(tx, talk.talk_id)? {
            Some(stored) if talk.updated_at < stored.updated_at && !self.is_ahead(talk.talk_id)? => {
                // It still shows that the talk exists and may be read, and that it was asked for: else it
                // would seem the one fetched longest ago for good.
                tx.prepare_cached(
                    "UPDATE talks SET fetched_at = ?2, gone_at = NULL, denied_at = NULL
                  WHERE talk_id = ?1",
                )?
                .execute((talk.talk_id, at))?;
                Ok(Effect::Older)
            }
            Some(stored) if stored == *talk => {
                tx.prepare_cached(
                    "UPDATE talks SET payload = ?2, fetched_at = ?3, gone_at = NULL, denied_at = NULL
                  WHERE talk_id = ?1",
                )?
                .execute(params![talk.talk_id, payload, at])?;
                Ok(Effect::Same)
            }
            _ => {
                tx.prepare_cached(
                    "UPDATE talks
                    SET created_at = ?2, updated_at = ?3, rate = ?4, contact_id = ?5, chat_id = ?6,
                        entity_id = ?7, entity_type = ?8, is_in_work = ?9, is_read = ?10, origin = ?11,
                        missed_at = ?12, account_id = ?13, status = ?14, source_id = ?15, lead_id = ?16,
                        customer_id = ?17, payload = ?18, fetched_at = ?19, changed_at = ?21,
                        closed_at = CASE WHEN ?20 IS NULL THEN NULL ELSE coalesce(closed_at, ?20) END,
                        gone_at = NULL, denied_at = NULL
                  WHERE talk_id = ?1",
                )?
                .execute(values.as_slice())?;
                // A clock that was set back must not make a version end before it began.
                let (version, valid_from): (i64, i64) = tx
                    .prepare_cached(
                        "SELECT version, valid_from FROM talk_versions
                      WHERE talk_id = ?1 ORDER BY version DESC LIMIT 1",
                    )?
                    .query_row([talk.talk_id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?
                    .unwrap_or((0, seen_at));
                // It is ahead of our clock and of the API's: a wrong one set it.
                let from = if valid_from.saturating_sub(seen_at.max(at)) > AHEAD {
                    mend_versions(tx, talk.talk_id, seen_at)?;
                    seen_at
                } else {
                    seen_at.max(valid_from)
                };
                tx.prepare_cached(
                    "UPDATE talk_versions SET valid_to = ?3
                  WHERE talk_id = ?1 AND version = ?2 AND valid_to IS NULL",
                )?
                .execute((talk.talk_id, version, from))?;
                self.insert_version(talk, version + 1, from)?;
                Ok(Effect::Changed)
            }
        }
    }

    /// Whether the stored `updated_at` of a talk is no measure of what is older.
    fn is_ahead(&self, talk_id: i64) -> rusqlite::Result<bool> {
        Ok(self.ahead
            && self.tx.prepare_cached("SELECT 1 FROM talks_ahead WHERE talk_id = ?1")?.exists([talk_id])?)
    }

    /// Notes whether the `updated_at` that was just stored is ahead of its time.
    fn note_time(&mut self, arrived: &Arrived) -> rusqlite::Result<()> {
        let talk_id = arrived.talk.talk_id;
        if let Some(answered_at) = arrived.ahead_of() {
            self.ahead = true;
            self.tx
                .prepare_cached("INSERT OR REPLACE INTO talks_ahead (talk_id, answered_at) VALUES (?1, ?2)")?
                .execute((talk_id, answered_at))?;
        } else if self.ahead {
            self.tx.prepare_cached("DELETE FROM talks_ahead WHERE talk_id = ?1")?.execute([talk_id])?;
        }
        Ok(())
    }

    fn insert_version(&mut self, talk: &Talk, version: i64, from: i64) -> rusqlite::Result<()> {
        let mut values = talk_params(talk).to_vec();
        values.extend([&version as &dyn ToSql, &from]);
        self.insert_version.execute(values.as_slice())?;
        Ok(())
    }
}

/// Versions that a wrong clock has put into the future began and ended at `seen_at` at the latest.
fn mend_versions(tx: &Transaction<'_>, talk_id: i64, seen_at: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE talk_versions SET valid_from = min(valid_from, ?2), valid_to = min(valid_to, ?2)
          WHERE talk_id = ?1 AND (valid_from > ?2 OR valid_to > ?2)",
    )?
    .execute((talk_id, seen_at))?;
    tx.prepare_cached("UPDATE talks SET first_fetched_at = min(first_fetched_at, ?2) WHERE talk_id = ?1")?
        .execute((talk_id, seen_at))?;
    Ok(())
}

fn reschedule(
    tx: &Transaction<'_>,
    record: &Record,
    due_at: i64,
    error: &str,
    spent: bool,
) -> rusqlite::Result<bool> {
    let moved = tx
        .prepare_cached(
            "UPDATE talk_queue
                SET due_at = ?4, last_error = ?5, attempts = min(attempts, 1000000) + ?6
              WHERE talk_id = ?1 AND ticket BETWEEN ?2 AND ?3 AND failed_at IS NULL",
        )?
        .execute((record.talk_id, record.ticket, last_hint(record.ticket), due_at, error, spent))?;
    Ok(moved == 1)
}

/// The last ticket that hints (see [`super::feeds`]) give a row: a fetch that failed counts for them too,
/// as they hurry nothing. Whoever queues the id anew draws another one.
fn last_hint(ticket: i64) -> i64 {
    ticket.saturating_add(closures::HINTS)
}

fn waits(tx: &Transaction<'_>, talk_id: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM talk_queue WHERE talk_id = ?1 AND failed_at IS NULL")?.exists([talk_id])
}

fn is_open(tx: &Transaction<'_>, talk_id: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM talks WHERE talk_id = ?1 AND is_in_work = 1 AND gone_at IS NULL")?
        .exists([talk_id])
}

pub(super) fn mark_gone(tx: &Transaction<'_>, talk_id: i64, at: i64) -> rusqlite::Result<()> {
    let known = tx
        .prepare_cached(
            "UPDATE talks SET gone_at = coalesce(gone_at, ?2), denied_at = NULL WHERE talk_id = ?1",
        )?
        .execute((talk_id, at))?;
    if known == 0 {
        tx.prepare_cached("INSERT OR REPLACE INTO tombstones (talk_id, gone_at) VALUES (?1, ?2)")?
            .execute((talk_id, at))?;
    }
    Ok(())
}

/// As the mirror holds it.
fn missed_at(tx: &Transaction<'_>, talk_id: i64) -> rusqlite::Result<Option<i64>> {
    Ok(tx
        .prepare_cached("SELECT missed_at FROM talks WHERE talk_id = ?1")?
        .query_row([talk_id], |row| row.get(0))
        .optional()?
        .flatten())
}

fn talk_params(talk: &Talk) -> [&dyn ToSql; 17] {
    [
        &talk.talk_id,
        &talk.created_at,
        &talk.updated_at,
        &talk.rate,
        &talk.contact_id,
        &talk.chat_id,
        &talk.entity_id,
        &talk.entity_type,
        &talk.is_in_work,
        &talk.is_read,
        &talk.origin,
        &talk.missed_at,
        &talk.account_id,
        &talk.status,
        &talk.source_id,
        &talk.lead_id,
        &talk.customer_id,
    ]
}

/// The talk as stored, if it is.
///
/// # Errors
/// When the database cannot be read.
pub fn stored_talk(connection: &rusqlite::Connection, talk_id: i64) -> rusqlite::Result<Option<Talk>> {
    connection
        .prepare_cached(
            "SELECT talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, \
                    entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                    lead_id, customer_id
               FROM talks WHERE talk_id = ?1",
        )?
        .query_row([talk_id], |row| {
            Ok(Talk {
                talk_id: row.get(0)?,
                created_at: row.get(1)?,
                updated_at: row.get(2)?,
                rate: row.get(3)?,
                contact_id: row.get(4)?,
                chat_id: row.get(5)?,
                entity_id: row.get(6)?,
                entity_type: row.get(7)?,
                is_in_work: row.get(8)?,
                is_read: row.get(9)?,
                origin: row.get(10)?,
                missed_at: row.get(11)?,
                account_id: row.get(12)?,
                status: row.get(13)?,
                source_id: row.get(14)?,
                lead_id: row.get(15)?,
                customer_id: row.get(16)?,
            })
        })
        .optional()
}
