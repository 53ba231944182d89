//! `[retention]`: removes states that ended long ago, step by step.
//!
//! The current state of a talk, in `talks`, always stays. Questions about a time within the limit get the same
//! result as before. Only `talk_history` is touched. A pass walks the table's key, because an index would cost each
//! fetch. A step is one transaction of a few milliseconds, and its end is stored, so a pass continues after a
//! restart.

use super::info::InfoKey;
use crate::clock::UnixSeconds;
use crate::talk::TalkId;
use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `mirror_info`: the running pass, …
const WALK: InfoKey<Walk> = InfoKey::json("retention.walk");
/// … and the last that ended.
const LAST: InfoKey<Pass> = InfoKey::json("retention.last");

/// How often a pass over all talks begins.
const PASS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How many rows one step reads at most, …
const ROWS_READ_PER_STEP: usize = 5000;
/// … and how many it removes at most: some milliseconds.
const ROWS_REMOVED_PER_STEP: usize = 1000;

/// What to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRules {
    /// `retention.versions`, in seconds.
    pub versions: i64,
    /// The current time, by a correct clock.
    pub now: UnixSeconds,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionStep {
    /// There is more to do.
    Walked,
    /// It was the last step of a pass.
    Passed(Pass),
    /// There is nothing to do before this time.
    Rests { until: UnixSeconds },
}

/// A finished pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub began_at: UnixSeconds,
    pub ended_at: UnixSeconds,
    /// The value of `retention.versions` then, in seconds.
    pub versions: i64,
    /// How many states were removed.
    pub removed: u64,
}

/// A running pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    pub began_at: UnixSeconds,
    /// `retention.versions`, in seconds.
    pub versions: i64,
    /// The last talk and version read.
    pub after: (TalkId, i64),
    /// How many states were removed so far.
    pub removed: u64,
}

/// The state of retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Retention {
    pub walk: Option<Walk>,
    pub last: Option<Pass>,
}

/// Runs one step in one transaction, if a pass is running or due.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn step(connection: &mut Connection, rules: &RetentionRules) -> rusqlite::Result<RetentionStep> {
    bounded(connection, rules, (ROWS_READ_PER_STEP, ROWS_REMOVED_PER_STEP))
}

fn bounded(
    connection: &mut Connection,
    rules: &RetentionRules,
    bounds: (usize, usize),
) -> rusqlite::Result<RetentionStep> {
    let tx = connection.transaction()?;
    let Retention { walk, last } = read(&tx)?;
    let walk = match (walk, last) {
        (Some(walk), _) if walk.versions == rules.versions => walk,
        // With another limit the pass starts again.
        (Some(walk), _) => Walk { after: BEGIN, versions: rules.versions, ..walk },
        (None, Some(last))
            if last.versions == rules.versions
                // A clock that was set back does not lengthen the rest.
                && (last.began_at..last.began_at + PASS_INTERVAL).contains(&rules.now) =>
        {
            return Ok(RetentionStep::Rests { until: last.began_at + PASS_INTERVAL });
        }
        (None, _) => Walk { began_at: rules.now, versions: rules.versions, after: BEGIN, removed: 0 },
    };
    let step = walk_on(&tx, walk, rules, bounds)?;
    tx.commit()?;
    Ok(step)
}

/// Reads the state.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Retention> {
    Ok(Retention { walk: WALK.get(connection)?, last: LAST.get(connection)? })
}

/// A key before all others.
const BEGIN: (TalkId, i64) = (TalkId::new(i64::MIN), i64::MIN);

const SLICE: &str = "SELECT talk_id, version, valid_to < ?3 FROM talk_history
      WHERE (talk_id, version) > (?1, ?2) ORDER BY talk_id, version";
const REMOVED: &str = "DELETE FROM talk_history
      WHERE (talk_id, version) > (?1, ?2) AND (talk_id, version) <= (?3, ?4) AND valid_to < ?5";

fn walk_on(
    tx: &Transaction<'_>,
    walk: Walk,
    rules: &RetentionRules,
    bounds: (usize, usize),
) -> rusqlite::Result<RetentionStep> {
    let limit = rules.now.later_by(-rules.versions);
    let slice = slice(tx, walk.after, limit, bounds)?;
    let removed = match slice.old {
        0 => 0,
        _ => {
            let (after, end) = (walk.after, slice.end);
            tx.prepare_cached(REMOVED)?.execute((after.0, after.1, end.0, end.1, limit))?
        }
    };
    let removed = walk.removed + removed as u64;
    if slice.is_last {
        WALK.remove(tx)?;
        let Walk { began_at, versions, .. } = walk;
        let pass = Pass { began_at, ended_at: rules.now, versions, removed };
        LAST.set(tx, &pass)?;
        return Ok(RetentionStep::Passed(pass));
    }
    WALK.set(tx, &Walk { after: slice.end, removed, ..walk })?;
    Ok(RetentionStep::Walked)
}

/// The part of the table that one step reads.
struct Slice {
    /// Its last key.
    end: (TalkId, i64),
    /// How many rows of it to remove.
    old: usize,
    /// Whether it is the last part.
    is_last: bool,
}

/// The next part, with at most these many rows, and these many to remove.
fn slice(
    tx: &Transaction<'_>,
    after: (TalkId, i64),
    limit: UnixSeconds,
    (read, remove): (usize, usize),
) -> rusqlite::Result<Slice> {
    let mut statement = tx.prepare_cached(SLICE)?;
    let mut rows = statement.query((after.0, after.1, limit))?;
    let mut slice = Slice { end: after, old: 0, is_last: false };
    for _ in 0..read {
        let Some(row) = rows.next()? else {
            slice.is_last = true;
            break;
        };
        slice.end = (row.get(0)?, row.get(1)?);
        slice.old += usize::from(row.get::<_, bool>(2)?);
        if slice.old == remove {
            break;
        }
    }
    Ok(slice)
}

#[cfg(test)]
mod tests;
