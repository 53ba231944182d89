//! The state that an answer shows of a talk: stored, and the one before kept in `talk_history` if it differs.

use super::{AHEAD, Arrived, Effect, Recorder};
use crate::talk::Talk;
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Transaction, params};

impl Recorder<'_> {
    pub(super) fn upsert_talk(
        &mut self,
        talk: &Talk,
        payload: &str,
        at: i64,
        seen_at: i64,
    ) -> rusqlite::Result<Effect> {
        let tx = self.tx;
        let closed_at = (!talk.is_in_work).then_some(seen_at);
        // Most often either nothing is stored yet or nothing differs.
        let mut values = talk_params(talk).to_vec();
        values.extend([&payload as &dyn ToSql, &at, &closed_at, &seen_at]);
        let inserted = self.insert_talk.execute(values.as_slice())?;
        if inserted == 1 {
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
                let since: i64 = tx
                    .prepare_cached("SELECT changed_at FROM talks WHERE talk_id = ?1")?
                    .query_row([talk.talk_id], |row| row.get(0))?;
                // A clock that was set back must not make a state end before it began.
                let mut from = seen_at.max(since);
                if since.saturating_sub(seen_at.max(at)) > AHEAD {
                    // It is ahead of our clock and of the API's: a wrong one set it.
                    mend_times(tx, talk.talk_id, seen_at)?;
                    from = seen_at;
                }
                supersede(tx, talk.talk_id, from)?;
                values[20] = &from;
                tx.prepare_cached(
                    "UPDATE talks
                    SET created_at = ?2, updated_at = ?3, rate = ?4, contact_id = ?5, chat_id = ?6,
                        entity_id = ?7, entity_type = ?8, is_in_work = ?9, is_read = ?10, origin = ?11,
                        missed_at = ?12, account_id = ?13, status = ?14, source_id = ?15, lead_id = ?16,
                        customer_id = ?17, payload = ?18, fetched_at = ?19, version = version + 1, changed_at = ?21,
                        closed_at = CASE WHEN ?20 IS NULL THEN NULL ELSE coalesce(closed_at, ?20) END,
                        gone_at = NULL, denied_at = NULL
                  WHERE talk_id = ?1",
                )?
                .execute(values.as_slice())?;
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
    pub(super) fn note_time(&mut self, arrived: &Arrived) -> rusqlite::Result<()> {
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
}

/// Keeps the stored state, which ends at `until`.
fn supersede(tx: &Transaction<'_>, talk_id: i64, until: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at, rate, contact_id, \
                chat_id, entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                lead_id, customer_id)
         SELECT talk_id, version, min(changed_at, ?2), ?2, created_at, updated_at, rate, contact_id, \
                chat_id, entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                lead_id, customer_id
           FROM talks WHERE talk_id = ?1",
    )?
    .execute((talk_id, until))?;
    Ok(())
}

/// States that a wrong clock has put into the future began and ended at `seen_at` at the latest.
fn mend_times(tx: &Transaction<'_>, talk_id: i64, seen_at: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE talk_history SET valid_from = min(valid_from, ?2), valid_to = min(valid_to, ?2)
          WHERE talk_id = ?1 AND (valid_from > ?2 OR valid_to > ?2)",
    )?
    .execute((talk_id, seen_at))?;
    tx.prepare_cached("UPDATE talks SET first_fetched_at = min(first_fetched_at, ?2) WHERE talk_id = ?1")?
        .execute((talk_id, seen_at))?;
    Ok(())
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
