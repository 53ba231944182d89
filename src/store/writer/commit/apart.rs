//! A batch of which one write cannot be done: each is tried by itself, so that a row with absurd values, or a trigger of
//! somebody else's, costs its own talk and no other.

use super::{Done, note_account, write};
use crate::store::changes::Marker;
use crate::store::feeds::{Candidates, Fed};
use crate::store::record::{Effect, Record, Recorded, Recorder};
use crate::store::writer::message::Write;
use crate::store::writer::write_error::is_one_row_s;
use rusqlite::{Connection, Transaction};

/// Commits all of a batch that can be written, in one transaction.
///
/// # Errors
/// When the database cannot be written at all.
pub(super) fn commit(
    connection: &mut Connection,
    batch: &[Write],
    candidates: &Candidates,
) -> rusqlite::Result<Done> {
    let tx = connection.transaction()?;
    let mut done = Done { is_news: true, ..Done::default() };
    for wanted in batch {
        match wanted {
            Write::Record(record) => {
                let recorded = match alone(&tx, || Recorder::new(&tx)?.record(record))? {
                    Ok(recorded) => recorded,
                    Err(error) => {
                        let talk_id = record.talk_id;
                        let why =
                            format!("the result of talk {talk_id} cannot be recorded: {}", in_words(&error));
                        let effect = refuse(&tx, record, &why)?;
                        done.refused.push(why);
                        Recorded { talk_id, effect, requeued: false, stepped: None }
                    }
                };
                done.recorded.push(recorded);
            }
            other => match alone(&tx, || write(&tx, other, candidates, Marker::new(&tx)?.as_mut()))? {
                Ok(fed) => done.fed.extend(fed),
                Err(error) => {
                    done.refused
                        .push(format!("a state of the daemon cannot be written: {}", in_words(&error)));
                    if matches!(other, Write::Feed { .. }) {
                        done.fed.push(Fed::Done);
                    }
                }
            },
        }
    }
    alone(&tx, || note_account(&tx, batch))?.unwrap_or_default();
    tx.commit()?;
    Ok(done)
}

/// The row fails with the reason. If even that cannot be written, the talk is left alone by this process.
fn refuse(tx: &Transaction<'_>, record: &Record, why: &str) -> rusqlite::Result<Effect> {
    let failed = alone(tx, || {
        tx.prepare_cached(
            "UPDATE talk_queue SET failed_at = ?2, attempts = 1, last_error = ?3 WHERE talk_id = ?1",
        )?
        .execute((record.talk_id, record.at, why))
    })?;
    Ok(if failed.is_ok() { Effect::Failed } else { Effect::Refused })
}

/// Does it, or leaves the transaction as it was.
fn alone<T>(
    tx: &Transaction<'_>,
    step: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, rusqlite::Error>> {
    tx.execute_batch("SAVEPOINT alone")?;
    match step() {
        Ok(done) => {
            tx.execute_batch("RELEASE alone")?;
            Ok(Ok(done))
        }
        Err(error) if is_one_row_s(&error) => {
            tx.execute_batch("ROLLBACK TO alone; RELEASE alone")?;
            Ok(Err(error))
        }
        Err(error) => Err(error),
    }
}

fn in_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::StatementChangedRows(_) => {
            "the row that it changes is gone, or another program has changed it".into()
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixSeconds;
    use crate::policy::stale::tests::just_stale;
    use crate::store::migrations::tests::in_memory;
    use crate::store::record::{FetchedTalk, Outcome};
    use crate::talk::{Talk, TalkId};

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    fn record(talk_id: i64) -> Write {
        let talk_id = TalkId::new(talk_id);
        let talk = Talk { talk_id, ..just_stale(NOW) };
        let outcome = Outcome::Talk(Box::new(FetchedTalk::new(talk, "{}")));
        Write::Record(Record { talk_id, ticket: None, at: NOW, outcome, close_context: None })
    }

    fn effects(connection: &mut Connection) -> Vec<Effect> {
        let batch = [record(1), record(2), record(3)];
        let done = commit(connection, &batch, &Candidates::default()).unwrap();
        done.recorded.iter().map(|recorded| recorded.effect).collect()
    }

    #[test]
    fn one_talk_that_cannot_be_recorded_fails_alone() {
        let mut connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id) VALUES (1), (2), (3);
                 CREATE TRIGGER other BEFORE INSERT ON talks WHEN NEW.talk_id = 2
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END;",
            )
            .unwrap();
        assert_eq!(effects(&mut connection), [Effect::New, Effect::Failed, Effect::New]);
        let failed: String = connection
            .query_row("SELECT last_error FROM talk_queue WHERE failed_at IS NOT NULL", [], |row| row.get(0))
            .unwrap();
        assert!(failed.starts_with("the result of talk 2 cannot be recorded: not this one"), "{failed}");
    }

    #[test]
    fn one_talk_whose_failure_cannot_be_written_either_is_refused_alone() {
        let mut connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id) VALUES (2);
                 CREATE TRIGGER other BEFORE INSERT ON talks WHEN NEW.talk_id = 2
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END;
                 CREATE TRIGGER queued BEFORE UPDATE ON talk_queue BEGIN SELECT RAISE(ABORT, 'nor this'); END;",
            )
            .unwrap();
        assert_eq!(effects(&mut connection), [Effect::New, Effect::Refused, Effect::New]);
    }
}
