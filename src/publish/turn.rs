//! One turn: the next changes are read from the mirror and committed on the server, with the position, in one
//! transaction.

use super::batch_limit::{BatchLimit, SINGLE_TIMEOUT};
use super::claim::Claim;
use super::connection::Connection;
use super::error::{Class, PublishError};
use super::rows::Rows;
use super::table::SCHEMA;
use super::tables;
use crate::store;
use crate::store::changes::{self, Change, Changes, Wanted};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::types::{ToSql, Type};

/// What one turn did.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Rows that the server took, by table.
    pub rows: [u64; tables::BY_TALK.len()],
    /// Values that were converted to what the server takes.
    pub converted: usize,
    /// Whether more changes wait.
    pub more: bool,
}

/// What a turn needs, beside the claim.
pub(super) struct Source<'a> {
    pub mirror: &'a store::Connection,
    /// Whether the JSON as received is published.
    pub payload: bool,
    pub hold: Duration,
    pub limit: BatchLimit,
}

/// Publishes the next changes. Without any, only the sign of life is renewed. Calls `leave_out` with each talk that the
/// server refuses, and its words: at once, because the position on the server is then past it, whatever fails later.
///
/// # Errors
/// If the claim no longer holds, or the server or the mirror fails. The position is then on the server.
pub(super) async fn turn(
    connection: &Connection,
    claim: &mut Claim,
    source: &Source<'_>,
    mut leave_out: impl FnMut(Change, String),
) -> Result<Turn, PublishError> {
    let BatchLimit { changes, bytes, .. } = source.limit;
    let Changes { list: changes, more } = changes::since(source.mirror, claim.position, changes, bytes)?;
    let mut turn = Turn { more, ..Turn::default() };
    if changes.is_empty() {
        connection.batch_execute(&super::begin(source.limit.timeout())).await?;
        advance(connection, claim, claim.position, source).await?;
        connection.batch_execute("COMMIT").await?;
        return Ok(turn);
    }
    if let Some(first) = changes.first().filter(|first| source.limit.is_too_slow(**first)) {
        set_aside(connection, claim, source, *first).await?;
        leave_out(*first, format!("it took longer than {} s", SINGLE_TIMEOUT.as_secs()));
        turn.more = true;
        return Ok(turn);
    }
    let (mut rest, mut size) = (changes.as_slice(), changes.len());
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        match publish(connection, claim, source, batch, &mut turn).await {
            Ok(()) => {
                rest = after;
                size = (size * 2).min(changes.len());
            }
            Err(error) if error.class() == Class::OfRows => {
                connection.batch_execute("ROLLBACK").await?;
                if let [change] = batch {
                    set_aside(connection, claim, source, *change).await?;
                    leave_out(*change, error.to_string());
                    rest = after;
                }
                // Of the batch: with few left, `size` is more than that, and the same batch would be sent again.
                size = (batch.len() / 2).max(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(turn)
}

/// Commits these changes and the position.
async fn publish(
    connection: &Connection,
    claim: &mut Claim,
    source: &Source<'_>,
    batch: &[Change],
    turn: &mut Turn,
) -> Result<(), PublishError> {
    let Some(last) = batch.last() else { return Ok(()) };
    let wanted = if changes::is_sending_all(source.mirror)? {
        batch
            .iter()
            .map(|Change { talk_id, seq }| Wanted { talk_id: *talk_id, from_version: 0, seq: *seq })
            .collect()
    } else {
        wanted(connection, claim.account_id, batch).await?
    };
    let selects = tables::BY_TALK.map(|table| table.select);
    let mut read = tables::BY_TALK.map(|table| Rows::new(table, source.payload));
    changes::read(source.mirror, &selects, &wanted, |place, row| read[place].push(row))?;
    connection.batch_execute(&super::begin(source.limit.timeout())).await?;
    advance(connection, claim, last.seq, source).await?;
    let mut converted = 0;
    let mut taken = [0; tables::BY_TALK.len()];
    for ((table, rows), taken) in tables::BY_TALK.iter().zip(read).zip(&mut taken) {
        if rows.count == 0 {
            continue;
        }
        converted += rows.converted;
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&claim.account_id, Type::INT8)];
        parameters.extend(rows.parameters());
        *taken = connection.execute_typed(&table.insert(), &parameters).await?;
    }
    connection.batch_execute("COMMIT").await?;
    claim.position = last.seq;
    turn.converted += converted;
    turn.rows.iter_mut().zip(taken).for_each(|(rows, taken)| *rows += taken);
    Ok(())
}

/// From which version on the server needs each talk: the last that it has, whose end may be new. The position cannot
/// show it, because versions have no numbers of changes: some before the talk's last change may never have been sent.
/// If one before it is in the future, a wrong clock set it, and the mirror may have repaired it since.
async fn wanted(
    connection: &Connection,
    account_id: i64,
    batch: &[Change],
) -> Result<Vec<Wanted>, PublishError> {
    let talk_ids: Vec<i64> = batch.iter().map(|change| change.talk_id.get()).collect();
    // A subquery for each talk always uses the key. With a join or `= ANY`, a server that has no statistics yet reads
    // the whole account for each batch.
    let sql = format!(
        "SELECT talk_id, least((SELECT max(version) FROM {SCHEMA}.talk_versions AS v
                                 WHERE v.account_id = $1 AND v.talk_id = wanted.talk_id),
                               (SELECT min(version) FROM {SCHEMA}.talk_versions AS v
                                 WHERE v.account_id = $1 AND v.talk_id = wanted.talk_id
                                   AND (v.valid_from > now() OR v.valid_to > now())))
           FROM unnest($2) AS wanted (talk_id)"
    );
    let rows =
        connection.query_typed(&sql, &[(&account_id, Type::INT8), (&talk_ids, Type::INT8_ARRAY)]).await?;
    let last: HashMap<i64, Option<i64>> = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, tokio_postgres::Error>>()?;
    Ok(batch
        .iter()
        .map(|change| Wanted {
            talk_id: change.talk_id,
            seq: change.seq,
            from_version: last.get(&change.talk_id.get()).copied().flatten().unwrap_or(0),
        })
        .collect())
}

/// Moves the position, and gives a sign of life. If another process has claimed the account since, nothing changes.
pub(super) async fn advance(
    connection: &Connection,
    claim: &Claim,
    to: i64,
    source: &Source<'_>,
) -> Result<(), PublishError> {
    let sql = format!(
        "UPDATE {SCHEMA}.accounts
            SET position = $4, published_at = now(), held_until = now() + $5 * interval '1 second',
                state = $6::text::json
          WHERE account_id = $1 AND epoch = $2 AND position = $3"
    );
    let state = changes::daemon(source.mirror)?;
    let hold = source.hold.as_secs_f64();
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&claim.account_id, Type::INT8),
        (&claim.epoch, Type::INT8),
        (&claim.position, Type::INT8),
        (&to, Type::INT8),
        (&hold, Type::FLOAT8),
        (&state, Type::TEXT),
    ];
    match connection.execute_typed(&sql, &parameters).await? {
        0 => {
            // If this fails, dropping the connection ends the transaction.
            let _ = connection.batch_execute("ROLLBACK").await;
            Err(PublishError::Fenced)
        }
        _ => Ok(()),
    }
}

/// Moves the position past a talk that the server refuses.
async fn set_aside(
    connection: &Connection,
    claim: &mut Claim,
    source: &Source<'_>,
    change: Change,
) -> Result<(), PublishError> {
    connection.batch_execute(&super::begin(source.limit.timeout())).await?;
    advance(connection, claim, change.seq, source).await?;
    connection.batch_execute("COMMIT").await?;
    claim.position = change.seq;
    Ok(())
}
