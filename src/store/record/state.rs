//! The state that an answer shows of a talk: stored, and the one before kept in `talk_history` if it differs.

use super::{AHEAD, Effect, FetchedTalk, Recorder};
use crate::clock::UnixSeconds;
use crate::talk::{Talk, TalkId};
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use std::fmt::Write;

// SQLite rewrites each index that has a column which is set, whether its value differs or not: so none is set that need
// not be.
/// A fetch without news.
const SAME: &str = "UPDATE talks SET payload = ?2, fetched_at = ?3 WHERE talk_id = ?1";
const IS_THERE: &str = "UPDATE talks SET gone_at = NULL, denied_at = NULL
      WHERE talk_id = ?1 AND (gone_at IS NOT NULL OR denied_at IS NOT NULL)";

/// As in [`talk_params`].
pub(in crate::store) const COLUMNS: [&str; 17] = [
    "talk_id",
    "created_at",
    "updated_at",
    "rate",
    "contact_id",
    "chat_id",
    "entity_id",
    "entity_type",
    "is_in_work",
    "is_read",
    "origin",
    "missed_at",
    "account_id",
    "status",
    "source_id",
    "lead_id",
    "customer_id",
];

impl Recorder<'_> {
    /// Stores the state. Also returns whether there is anything new to publish.
    pub(super) fn upsert_talk(
        &mut self,
        talk: &Talk,
        payload: &str,
        at: UnixSeconds,
        seen_at: UnixSeconds,
    ) -> rusqlite::Result<(Effect, bool)> {
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
            return Ok((Effect::New, true));
        }
        let stored = stored_talk(tx, talk.talk_id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let mut is_news = false;
        let effect = if talk.updated_at < stored.updated_at && !self.is_ahead(talk.talk_id)? {
            // It still shows that the talk exists and may be read, and that it was asked for: else it
            // would seem the one fetched longest ago for good.
            tx.prepare_cached("UPDATE talks SET fetched_at = ?2 WHERE talk_id = ?1")?
                .execute((talk.talk_id, at))?;
            Effect::Older
        } else if stored == *talk {
            is_news = self.marker.is_some() && has_other_payload(tx, talk.talk_id, payload)?;
            tx.prepare_cached(SAME)?.execute(params![talk.talk_id, payload, at])?;
            Effect::Same
        } else {
            let since: UnixSeconds = tx
                .prepare_cached("SELECT changed_at FROM talks WHERE talk_id = ?1")?
                .query_row([talk.talk_id], |row| row.get(0))?;
            // A clock that was set back must not make a state end before it began.
            let mut from = seen_at.max(since);
            if since.duration_since(seen_at.max(at)) > AHEAD {
                // It is ahead of our clock and of the API's: a wrong one set it.
                repair_times(tx, talk.talk_id, seen_at)?;
                from = seen_at;
            }
            supersede(tx, talk.talk_id, from)?;
            values[20] = &from;
            tx.prepare_cached(&changed(&stored, talk)?)?.execute(values.as_slice())?;
            Effect::Changed
        };
        // The API has shown it: it is not gone, nor denied.
        let back = tx.prepare_cached(IS_THERE)?.execute([talk.talk_id])?;
        Ok((effect, is_news || back > 0 || effect == Effect::Changed))
    }

    /// Whether the stored `updated_at` of a talk is no measure of what is older.
    fn is_ahead(&self, talk_id: TalkId) -> rusqlite::Result<bool> {
        Ok(self.ahead
            && self.tx.prepare_cached("SELECT 1 FROM talks_ahead WHERE talk_id = ?1")?.exists([talk_id])?)
    }

    /// Notes whether the `updated_at` that was just stored is ahead of its time.
    pub(super) fn note_time(&mut self, arrived: &FetchedTalk) -> rusqlite::Result<()> {
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

/// Whether the stored JSON differs. It may hold fields that have no column.
fn has_other_payload(tx: &Transaction<'_>, talk_id: TalkId, payload: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM talks WHERE talk_id = ?1 AND payload <> ?2")?.exists((talk_id, payload))
}

/// The statement that sets what differs; its parameters are those of `insert_talk`.
fn changed(stored: &Talk, talk: &Talk) -> rusqlite::Result<String> {
    let mut sql = "UPDATE talks SET ".to_owned();
    let columns = COLUMNS.iter().zip(talk_params(stored)).zip(talk_params(talk)).enumerate();
    for (place, ((column, before), now)) in columns.skip(1) {
        if before.to_sql()? != now.to_sql()? {
            let _ = write!(sql, "{column} = ?{}, ", place + 1);
        }
    }
    sql += "payload = ?18, fetched_at = ?19, version = version + 1, changed_at = ?21,
            closed_at = CASE WHEN ?20 IS NULL THEN NULL ELSE coalesce(closed_at, ?20) END
      WHERE talk_id = ?1";
    Ok(sql)
}

/// Keeps the stored state, which ends at `until`.
fn supersede(tx: &Transaction<'_>, talk_id: TalkId, until: UnixSeconds) -> rusqlite::Result<()> {
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
fn repair_times(tx: &Transaction<'_>, talk_id: TalkId, seen_at: UnixSeconds) -> rusqlite::Result<()> {
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
pub fn stored_talk(connection: &rusqlite::Connection, talk_id: TalkId) -> rusqlite::Result<Option<Talk>> {
    connection
        .prepare_cached(
            "SELECT talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, \
                    entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, \
                    lead_id, customer_id
               FROM talks WHERE talk_id = ?1",
        )?
        .query_row([talk_id], talk_in)
        .optional()
}

/// The talk in the first columns of a row, which are [`COLUMNS`].
pub(in crate::store) fn talk_in(row: &Row<'_>) -> rusqlite::Result<Talk> {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;
    use crate::talk::tests::open_talk;
    use rusqlite::Connection;

    const FIRST: UnixSeconds = UnixSeconds::new(1);

    /// The talk and its indexes that a statement opens for writing.
    fn written(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let none = rusqlite::params_from_iter(vec![0; statement.parameter_count()]);
        let mut program = statement.query(none).unwrap();
        let mut written = Vec::new();
        while let Some(step) = program.next().unwrap() {
            if step.get::<_, String>("opcode").unwrap() == "OpenWrite" {
                let name = "SELECT name FROM sqlite_schema WHERE rootpage = ?1";
                let root: i64 = step.get("p2").unwrap();
                written.push(connection.query_row(name, [root], |row| row.get::<_, String>(0)).unwrap());
            }
        }
        written.sort();
        written
    }

    fn stored() -> Talk {
        Talk {
            chat_id: Some("chat".into()),
            is_read: Some(false),
            origin: Some("viber".into()),
            ..open_talk(1, FIRST)
        }
    }

    #[test]
    fn each_column_that_changed_is_written() {
        let changes: [fn(&mut Talk); 16] = [
            |talk| talk.created_at = talk.created_at + 1,
            |talk| talk.updated_at = talk.updated_at + 1,
            |talk| talk.rate = Some(11),
            |talk| talk.contact_id = None,
            |talk| talk.chat_id = Some("other".into()),
            |talk| talk.entity_id = Some(12),
            |talk| talk.entity_type = Some("lead".into()),
            |talk| talk.is_in_work = false,
            |talk| talk.is_read = None,
            |talk| talk.origin = None,
            |talk| talk.missed_at = Some(FIRST + 13),
            |talk| talk.account_id += 1,
            |talk| talk.status = Some("closed".into()),
            |talk| talk.source_id = Some("14".into()),
            |talk| talk.lead_id = Some(15),
            |talk| talk.customer_id = Some(16),
        ];
        let mut connection = in_memory();
        let tx = connection.transaction().unwrap();
        let mut recorder = Recorder::new(&tx).unwrap();
        let mut talk = stored();
        let mut recorded_at = |talk: &Talk, at| recorder.upsert_talk(talk, "{}", at, at);
        assert_eq!(recorded_at(&talk, FIRST), Ok((Effect::New, true)));
        for (later, change) in (1..).zip(changes) {
            change(&mut talk);
            assert_eq!(recorded_at(&talk, FIRST + later), Ok((Effect::Changed, true)));
            assert_eq!(stored_talk(&tx, TalkId::new(1)).unwrap().as_ref(), Some(&talk));
        }
        let states = "SELECT count(DISTINCT version) + max(version) FROM talk_versions";
        assert_eq!(tx.query_row(states, [], |row| row.get(0)), Ok(17 + 17));
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let connection = in_memory();
        let timed: Vec<String> = connection
            .prepare(
                "SELECT 'talks' UNION SELECT list.name
                   FROM pragma_index_list('talks') AS list, pragma_index_info(list.name) AS part
                  WHERE part.name = 'fetched_at' ORDER BY 1",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(written(&connection, SAME), timed, "without news, what has the time of the fetch");
        let stored = stored();
        let read = Talk { updated_at: FIRST + 1, is_read: Some(true), ..stored.clone() };
        let read = changed(&stored, &read).unwrap();
        assert!(read.starts_with("UPDATE talks SET updated_at = ?3, is_read = ?10, payload = ?18"), "{read}");
        let written = written(&connection, &read);
        assert!(
            !written.iter().any(|index| ["talks_chat", "talks_contact"].contains(&index.as_str())),
            "{written:?}"
        );
    }
}
