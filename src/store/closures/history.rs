//! The decisions about a talk, as people read them.

use crate::clock::UnixSeconds;
use crate::language::Message;
use crate::number;
use crate::policy::closing::{self, CloseMode, ClosingOutcome};
use crate::talk::TalkId;
use rusqlite::{Connection, OptionalExtension, Row};
use std::fmt;

/// A decision as people read it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Closure {
    pub closure_id: i64,
    pub talk_id: TalkId,
    pub mode: CloseMode,
    pub missed_at: Option<UnixSeconds>,
    pub talk_updated_at: UnixSeconds,
    pub reason: String,
    pub force_close: bool,
    pub decided_at: UnixSeconds,
    pub requested_at: Option<UnixSeconds>,
    pub http_status: Option<i64>,
    pub outcome: ClosingOutcome,
    pub verified_at: Option<UnixSeconds>,
    pub attempts: i64,
    pub error: Option<String>,
}

impl Closure {
    /// It has no end yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.outcome.is_under_way()
    }

    /// Until when the talk is not closed again because of it.
    pub(crate) fn barred_until(&self) -> Option<UnixSeconds> {
        self.outcome.bars().then(|| self.requested_at.unwrap_or(self.decided_at) + closing::BARRED)
    }

    pub(in crate::store) fn read(row: &Row<'_>) -> rusqlite::Result<Closure> {
        Ok(Closure {
            closure_id: row.get("closure_id")?,
            talk_id: row.get("talk_id")?,
            mode: row.get("mode")?,
            missed_at: row.get("missed_at")?,
            talk_updated_at: row.get("talk_updated_at")?,
            reason: row.get("reason")?,
            force_close: row.get("force_close")?,
            decided_at: row.get("decided_at")?,
            requested_at: row.get("requested_at")?,
            http_status: row.get("http_status")?,
            outcome: row.get("outcome")?,
            verified_at: row.get("verified_at")?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
        })
    }
}

/// The decisions about one talk, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn of_talk(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<Vec<Closure>> {
    connection
        .prepare_cached("SELECT * FROM closures WHERE talk_id = ?1 ORDER BY closure_id")?
        .query_map([talk_id], Closure::read)?
        .collect()
}

/// The last decision about a talk, if something of it happened since then.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn last_of_talk(
    connection: &Connection,
    talk_id: TalkId,
    since: UnixSeconds,
) -> rusqlite::Result<Option<Closure>> {
    connection
        .prepare_cached(
            "SELECT * FROM closures WHERE talk_id = ?1
                AND max(decided_at, coalesce(requested_at, 0), coalesce(verified_at, 0)) >= ?2
              ORDER BY closure_id DESC LIMIT 1",
        )?
        .query_row((talk_id, since), Closure::read)
        .optional()
}

/// The last decisions about whichever talks, the latest first; so many at most.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn last(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Closure>> {
    connection
        .prepare_cached(
            "SELECT * FROM closures INDEXED BY closures_decided ORDER BY decided_at DESC, closure_id DESC LIMIT ?1",
        )?
        .query_map([number::whole(most)], Closure::read)?
        .collect()
}

/// What of the earlier decisions about a stale talk keeps it from being closed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// A close request was accepted. It is not known yet whether the talk is closed.
    Accepted,
    /// A close request is written down. It is not known yet what became of it.
    Requested,
    /// A closing ended in this way less than a day ago.
    Barred(ClosingOutcome),
    /// A dry run has recorded it.
    Recorded,
}

impl HeldBack {
    /// What it is, for people.
    pub(crate) fn message(self) -> Message {
        match self {
            HeldBack::Accepted => Message::new("held-back-accepted"),
            HeldBack::Requested => Message::new("held-back-requested"),
            HeldBack::Barred(ClosingOutcome::Refused) => Message::new("held-back-refused"),
            HeldBack::Barred(_) => Message::new("held-back-failed"),
            HeldBack::Recorded => Message::new("held-back-recorded"),
        }
    }
}

/// In English.
impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

/// What of the decisions about a stale talk keeps it from being closed now, if anything does. `missed_at` is the talk's.
pub(crate) fn held_back(
    closures: &[Closure],
    mode: CloseMode,
    missed_at: Option<UnixSeconds>,
    now: UnixSeconds,
) -> Option<HeldBack> {
    if let Some(open) = closures.iter().find(|closure| closure.is_under_way()) {
        return Some(match open.outcome {
            ClosingOutcome::Accepted => HeldBack::Accepted,
            _ => HeldBack::Requested,
        });
    }
    let barred = closures.iter().filter_map(|closure| Some((closure.barred_until()?, closure.outcome)));
    // Beyond a day it was noted by a wrong clock.
    let holds = |(until, _): &(UnixSeconds, _)| *until > now && *until <= now + closing::BARRED;
    if let Some((_, outcome)) = barred.filter(holds).max() {
        return Some(HeldBack::Barred(outcome));
    }
    (mode == CloseMode::DryRun && is_recorded(closures, missed_at)).then_some(HeldBack::Recorded)
}

/// Whether a dry run decided to close a talk that was missed then.
pub(crate) fn is_recorded(closures: &[Closure], missed_at: Option<UnixSeconds>) -> bool {
    closures
        .iter()
        .any(|closure| closure.outcome == ClosingOutcome::WouldClose && closure.missed_at == missed_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    #[test]
    fn the_last_decisions_come_latest_first_and_no_more_than_asked_for() {
        let connection = in_memory();
        for (talk_id, decided_at) in [(1, 30), (2, 10), (3, 30), (4, 20)] {
            connection
                .execute(
                    "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at,
                                           outcome, attempts)
                     VALUES (?1, 'live', 1, 'missed', 1, ?2, 'closed', 1)",
                    [talk_id, decided_at],
                )
                .unwrap();
        }
        let ids = |most| {
            last(&connection, most).unwrap().iter().map(|closure| closure.talk_id.get()).collect::<Vec<_>>()
        };
        assert_eq!(ids(3), [3, 1, 4]);
        assert_eq!(ids(10).len(), 4);
    }
}
