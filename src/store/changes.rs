//! Which talks changed since a position, for publishing them.
//!
//! It promises that every change of a talk, its versions, its closings, its events or its tombstone gets a number above
//! all others, in the transaction that makes the change. A talk has one row, with the number of its last change, so the
//! table never grows beyond the talks. Statements mark changes, not triggers, which take three times as long.

pub(crate) mod import;
pub(crate) mod new_file;
mod rows;
pub(crate) mod state;

pub(crate) use rows::{Cell, Wanted, read, read_whole};

use super::StoreError;
use super::info::InfoKey;
use crate::number;
use crate::talk::TalkId;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `mirror_info`: changes are marked. Missing while publishing is off.
const CAPTURE: InfoKey<Capture> = InfoKey::json("publish.capture");
/// `mirror_info`: who this mirror is to the server, …
const IDENTITY: InfoKey<Identity> = InfoKey::json("publish.identity");

/// How many talks one step marks, or forgets: some ten milliseconds.
const STEP_TALKS: i64 = 10_000;
/// Below all ids.
const FIRST: TalkId = TalkId::new(i64::MIN);

/// Changes are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Capture {
    /// The numbers begin above this one.
    floor: i64,
    /// The talks up to this one are marked, those that were there before. `None`: all are.
    #[serde(default)]
    marked_to: Option<TalkId>,
    /// Talks are published with all their versions, also those that the server has.
    #[serde(default)]
    sends_all: bool,
}

/// Who this mirror is to the server that it is published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// A UUID of this database. A copy of the file has the same.
    pub mirror: String,
    /// Of the last claim that this file knows of. The server has a higher one if another copy of the file has claimed
    /// the account since.
    pub epoch: i64,
    /// A position that the server has confirmed: what it has up to there, this file has.
    pub seen: i64,
    /// This file may lack what the server has above `seen`: it was restored, or a takeover has not ended.
    #[serde(default)]
    pub importing: bool,
}

/// What the publisher knows of the mirror before it claims the account. By default: of an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// `None`: it was never published.
    pub identity: Option<Identity>,
    /// The number of the last change; 0 if none is marked.
    pub top: i64,
    /// Whether changes are marked.
    pub is_captured: bool,
    /// Whether any talk is mirrored.
    pub has_talks: bool,
}

/// A talk that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The number of its last change.
    pub seq: i64,
    pub talk_id: TalkId,
}

/// Marks changes, in the caller's transaction.
pub(super) struct Marker<'tx> {
    mark: CachedStatement<'tx>,
    next: i64,
    has_marked: bool,
}

impl<'tx> Marker<'tx> {
    /// `None` while publishing is off.
    pub(super) fn new(tx: &'tx Transaction<'tx>) -> rusqlite::Result<Option<Marker<'tx>>> {
        let Some(capture) = CAPTURE.get(tx)? else { return Ok(None) };
        Ok(Some(Marker {
            mark: tx.prepare_cached(
                "INSERT INTO changes (talk_id, seq) VALUES (?1, ?2)
                 ON CONFLICT (talk_id) DO UPDATE SET seq = excluded.seq",
            )?,
            next: top(tx)?.max(capture.floor) + 1,
            has_marked: false,
        }))
    }

    /// A talk, or something of it, changed.
    pub(super) fn mark(&mut self, talk_id: TalkId) -> rusqlite::Result<()> {
        self.mark.execute((talk_id, self.next))?;
        self.next += 1;
        self.has_marked = true;
        Ok(())
    }

    /// Whether it has marked anything.
    pub(super) fn has_marked(&self) -> bool {
        self.has_marked
    }
}

/// A reader for the publisher. It passes over the talks once, so it keeps few pages.
///
/// # Errors
/// If the database cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = super::open_read_only(path)?;
    connection.pragma_update(None, "cache_size", -500)?;
    Ok(connection)
}

/// What the publisher must know to claim the account.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn local(connection: &Connection) -> rusqlite::Result<Local> {
    let published = state::read(connection)?;
    let identity = IDENTITY.get(connection)?.map(|identity| match published {
        Some(published) if !identity.importing => {
            Identity { seen: published.position.max(identity.seen), ..identity }
        }
        _ => identity,
    });
    Ok(Local {
        identity,
        top: top(connection)?,
        is_captured: CAPTURE.get(connection)?.is_some(),
        has_talks: connection.prepare_cached("SELECT 1 FROM talks")?.exists([])?,
    })
}

/// The file is a copy of an earlier moment, and will take over what the server has since, even if its own numbers of
/// changes have passed the server's by then. Does nothing if it was never published.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn note_restored(connection: &Connection) -> rusqlite::Result<()> {
    match local(connection)?.identity {
        Some(identity) => IDENTITY.set(connection, &Identity { importing: true, ..identity }),
        None => Ok(()),
    }
}

/// The number of the last change; 0 if none is marked.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn top(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM changes")?.query_row([], |row| row.get(0))
}

/// How many of a batch's bytes a version or an event counts as: most talks have few, and some have thousands.
const ROW_BYTES: i64 = 40;

/// The next talks after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// In the order of their last change.
    pub list: Vec<Change>,
    /// There are others after them.
    pub more: bool,
}

/// The next talks after a position: at most `limit`, and no more than with `bytes` of JSON, versions and events, but at least
/// one.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn since(
    connection: &Connection,
    position: i64,
    limit: usize,
    bytes: u64,
) -> rusqlite::Result<Changes> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, talk_id,
                coalesce(octet_length(payload), 0) + ?2 * (coalesce(version, 0)
                    + (SELECT count(*) FROM talk_events WHERE talk_events.talk_id = changes.talk_id))
           FROM changes LEFT JOIN talks USING (talk_id) WHERE seq > ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([position, ROW_BYTES])?;
    let (mut list, mut left) = (Vec::new(), bytes);
    while let Some(row) = rows.next()? {
        let size = number::positive(row.get(2)?);
        if list.len() == limit || size > left && !list.is_empty() {
            return Ok(Changes { list, more: true });
        }
        left = left.saturating_sub(size);
        list.push(Change { seq: row.get(0)?, talk_id: row.get(1)? });
    }
    Ok(Changes { list, more: false })
}

/// Whether talks are to be marked that were there before the capture was switched on.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn is_marking(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(CAPTURE.get(connection)?.is_some_and(|capture| capture.marked_to.is_some()))
}

/// Whether talks are published with all their versions: since [`mark_all`], until nothing is left.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn is_sending_all(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(CAPTURE.get(connection)?.is_some_and(|capture| capture.sends_all))
}

/// How the daemon is: its row of `daemon_status`, as JSON. `None` before its first start.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn daemon(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT json_object('mode', mode, 'version', version, 'started_at', started_at, 'seen_at', seen_at,
                                'last_success_at', last_success_at, 'last_failure', last_failure,
                                'failing_since', failing_since, 'pause_reason', pause_reason, 'paused_at', paused_at,
                                'pause_until', pause_until, 'clock_skew', clock_skew, 'not_closing', not_closing,
                                'known_talks', known_talks, 'mirrored_talks', mirrored_talks, 'complete', complete)
               FROM daemon_status",
        )?
        .query_row([], |row| row.get(0))
        .optional()
}

/// How many talks changed after a position.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn backlog(connection: &Connection, position: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM changes WHERE seq > ?1")?
        .query_row([position], |row| row.get(0).map(number::positive))
}

/// What the publisher wants of the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangesRequest {
    /// Mark changes, and the next of the talks that were there before. The numbers begin above `floor`.
    SwitchOn { floor: i64 },
    /// Nothing is left to publish of what [`mark_all`] marked.
    AllSent,
    /// Mark no changes, and forget the next that are marked.
    SwitchOff,
    /// Store who this mirror is to the server.
    Identity(Identity),
    /// Take over what the server has.
    Import(Box<import::ImportStep>),
}

/// Does what the publisher wants.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn work(connection: &mut Connection, wanted: &ChangesRequest) -> rusqlite::Result<CaptureStep> {
    match wanted {
        ChangesRequest::SwitchOn { floor } => switch_on(connection, *floor),
        ChangesRequest::AllSent => all_sent(connection),
        ChangesRequest::SwitchOff => switch_off(connection),
        ChangesRequest::Identity(identity) => {
            IDENTITY.set(connection, identity)?;
            Ok(CaptureStep::Done)
        }
        ChangesRequest::Import(step) => import::import(connection, step).map(|()| CaptureStep::Done),
    }
}

/// What a step of switching the capture on or off did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureStep {
    /// There is more to do.
    More,
    /// It is on and all talks are marked, or it is off and no row is left.
    Done,
}

/// Marks the next talks that were there before the capture was switched on, in one transaction. Switches it on if it is
/// off: the numbers begin above `floor`.
///
/// # Errors
/// If the database cannot be written.
fn switch_on(connection: &mut Connection, floor: i64) -> rusqlite::Result<CaptureStep> {
    let tx = connection.transaction()?;
    let capture = match CAPTURE.get(&tx)? {
        Some(Capture { marked_to: None, .. }) => return Ok(CaptureStep::Done),
        Some(capture) => capture,
        None => Capture { floor: floor.max(top(&tx)?), marked_to: Some(FIRST), sends_all: false },
    };
    let marked_to: Option<TalkId> = tx
        .prepare_cached(
            "SELECT max(talk_id) FROM (
                SELECT talk_id FROM talks WHERE talk_id > ?1
                UNION SELECT talk_id FROM tombstones WHERE talk_id > ?1
                UNION SELECT talk_id FROM closures WHERE talk_id > ?1
                UNION SELECT talk_id FROM talk_events WHERE talk_id > ?1
                ORDER BY talk_id LIMIT ?2)",
        )?
        .query_row((capture.marked_to, STEP_TALKS), |row| row.get(0))?;
    if let Some(to) = marked_to {
        tx.prepare_cached(
            "INSERT INTO changes (talk_id, seq)
             SELECT talk_id, ?3 + row_number() OVER (ORDER BY talk_id) FROM (
                SELECT talk_id FROM talks WHERE talk_id > ?1 AND talk_id <= ?2
                UNION SELECT talk_id FROM tombstones WHERE talk_id > ?1 AND talk_id <= ?2
                UNION SELECT talk_id FROM closures WHERE talk_id > ?1 AND talk_id <= ?2
                UNION SELECT talk_id FROM talk_events WHERE talk_id > ?1 AND talk_id <= ?2)
              WHERE true
             -- One that has changed since is marked already.
             ON CONFLICT (talk_id) DO UPDATE SET seq = excluded.seq WHERE changes.seq <= ?4",
        )?
        .execute((capture.marked_to, to, top(&tx)?.max(capture.floor), capture.floor))?;
    }
    CAPTURE.set(&tx, &Capture { marked_to, ..capture })?;
    tx.commit()?;
    Ok(if marked_to.is_some() { CaptureStep::More } else { CaptureStep::Done })
}

/// Switches the capture off, and forgets the next talks that are marked, in one transaction.
///
/// # Errors
/// If the database cannot be written.
fn switch_off(connection: &mut Connection) -> rusqlite::Result<CaptureStep> {
    let tx = connection.transaction()?;
    if let Some(identity) = local(&tx)?.identity {
        // `local` took `seen` from the state, which is removed too.
        IDENTITY.set(&tx, &identity)?;
    }
    CAPTURE.remove(&tx)?;
    let forgotten = tx
        .prepare_cached(
            "DELETE FROM changes WHERE talk_id IN (SELECT talk_id FROM changes ORDER BY talk_id LIMIT ?1)",
        )?
        .execute([STEP_TALKS])?;
    tx.commit()?;
    Ok(if forgotten > 0 { CaptureStep::More } else { CaptureStep::Done })
}

/// From now on, the server is asked which versions it has.
///
/// # Errors
/// If the database cannot be written.
fn all_sent(connection: &mut Connection) -> rusqlite::Result<CaptureStep> {
    let tx = connection.transaction()?;
    if let Some(capture @ Capture { marked_to: None, .. }) = CAPTURE.get(&tx)? {
        CAPTURE.set(&tx, &Capture { sends_all: false, ..capture })?;
    }
    tx.commit()?;
    Ok(CaptureStep::Done)
}

/// Marks all talks again: everything is published once more, with all versions.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn mark_all(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    if let Some(capture) = CAPTURE.get(&tx)? {
        let floor = top(&tx)?.max(capture.floor);
        CAPTURE.set(&tx, &Capture { floor, marked_to: Some(FIRST), sends_all: true })?;
    }
    tx.commit()
}

#[cfg(test)]
mod tests;
