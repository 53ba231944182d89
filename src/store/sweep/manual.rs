//! Closing by hand: named talks, or what a sweep finds.

use super::{SweepRequest, Swept, enqueue, sweep};
use crate::clock::UnixSeconds;
use crate::policy::closing::{CloseRules, FetchReason};
use crate::policy::exemption::Exempting;
use crate::store::exemptions;
use crate::talk::TalkId;
use rusqlite::Connection;

/// What to close.
#[derive(Debug, Clone)]
pub struct ToClose {
    /// These talks. If none are named, what a sweep finds, whatever its share of the open talks.
    pub talk_ids: Vec<TalkId>,
    /// [`FetchReason::Close`], or [`FetchReason::DryRun`].
    pub reason: FetchReason,
}

/// What of it was queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuedToClose {
    /// The talks to close.
    pub queued: Vec<TalkId>,
    /// Talks whose closing was already under way.
    pub under_way: Vec<TalkId>,
    /// Exempt talks, and what exempts them. They are not queued.
    pub exempt: Vec<(TalkId, Exempting)>,
}

/// Queues talks to close by hand, due at `now`.
///
/// # Errors
/// If the database cannot be written. Nothing is queued then.
pub fn queue(
    connection: &mut Connection,
    rules: &CloseRules,
    to_close: &ToClose,
    now: UnixSeconds,
) -> rusqlite::Result<QueuedToClose> {
    let ToClose { talk_ids, reason } = to_close;
    if talk_ids.is_empty() {
        let (rules, limit) = (rules.clone(), rules.max_per_sweep);
        let request = SweepRequest { rules, reason: *reason, by_hand: true, limit, now };
        return Ok(match sweep(connection, &request)? {
            Swept::Done(sweep) => {
                sweep.announce(&request.rules);
                QueuedToClose { queued: sweep.queued, ..QueuedToClose::default() }
            }
            Swept::Overlaps(_) | Swept::Stopped { .. } => QueuedToClose::default(),
        });
    }
    let mut found = QueuedToClose::default();
    let tx = connection.transaction()?;
    for &talk_id in talk_ids {
        if let Some(exempting) = exemptions::of_talk(&tx, talk_id, now)? {
            found.exempt.push((talk_id, exempting));
            continue;
        }
        match enqueue(&tx, talk_id, *reason, now)? {
            true => found.queued.push(talk_id),
            false => found.under_way.push(talk_id),
        }
    }
    tx.commit()?;
    Ok(found)
}
