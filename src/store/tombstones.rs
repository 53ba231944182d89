//! Talks that the API reports as missing.

use crate::clock::UnixSeconds;
use crate::talk::TalkId;
use rusqlite::Transaction;

/// Marks a stored talk as gone. Adds a tombstone for one that is not stored.
pub(super) fn mark_gone(tx: &Transaction<'_>, talk_id: TalkId, at: UnixSeconds) -> rusqlite::Result<()> {
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
