//! What a person has closed: talks by name, or what a sweep finds.

use super::{SweepRequest, Swept, enqueue, sweep};
use crate::policy::closing::{CloseRules, Purpose};
use rusqlite::Connection;

/// What is to be closed.
#[derive(Debug, Clone)]
pub struct ToClose {
    /// These talks; or none named: what a sweep finds, whatever its share of the open talks.
    pub talk_ids: Vec<i64>,
    /// [`Purpose::Close`], or [`Purpose::DryRun`].
    pub purpose: Purpose,
}

/// What of it is in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuedToClose {
    /// The talks that are to be closed.
    pub queued: Vec<i64>,
    /// Those of which a closing was under way already.
    pub under_way: Vec<i64>,
}

/// Queues talks to be closed by hand, due at `now`, in Unix seconds.
///
/// # Errors
/// When the database cannot be written; nothing is queued then.
pub fn queue(
    connection: &mut Connection,
    rules: &CloseRules,
    to_close: &ToClose,
    now: i64,
) -> rusqlite::Result<QueuedToClose> {
    let ToClose { talk_ids, purpose } = to_close;
    if talk_ids.is_empty() {
        let (rules, limit) = (rules.clone(), rules.max_per_sweep);
        let request = SweepRequest { rules, purpose: *purpose, by_hand: true, limit, now };
        return Ok(match sweep(connection, &request)? {
            Swept::Done(sweep) => {
                sweep.announce(&request.rules);
                QueuedToClose { queued: sweep.queued, under_way: Vec::new() }
            }
            Swept::Overlaps(_) | Swept::Stopped { .. } => QueuedToClose::default(),
        });
    }
    let mut found = QueuedToClose::default();
    let tx = connection.transaction()?;
    for &talk_id in talk_ids {
        match enqueue(&tx, talk_id, *purpose, now)? {
            true => found.queued.push(talk_id),
            false => found.under_way.push(talk_id),
        }
    }
    tx.commit()?;
    Ok(found)
}
