//! A sweep queues stale talks, judged by the mirror, to be fetched and closed.
//!
//! It closes nothing and makes no request. It queues nothing if more talks are stale than `max_share` allows,
//! unless a person asked for it. It only reads the index of missed open talks.

mod candidates;
mod manual;

pub(crate) use candidates::{ExemptTalk, ExemptTalks, exempt};
pub use candidates::{candidates, counts};
pub use manual::{QueuedToClose, ToClose, queue as queue_to_close};

use super::closures::{self, CLOSE_PRIORITY};
use super::info::InfoKey;
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::closing::{CloseMode, CloseRules, FetchReason};
use crate::policy::hours::ReportRules;
use crate::policy::stale::StaleRules;
use crate::talk::TalkId;
use crate::text::shown;
use candidates::spelt;
use rusqlite::{Connection, Transaction};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// This few talks may always be closed at once, whatever their share of the open ones.
const ALWAYS_ALLOWED: i64 = 20;

/// `mirror_info`: the rules of the running configuration, …
const RUNNING_RULES_KEY: InfoKey<Value> = InfoKey::json("auto_close.rules");
/// … those of the last sweep that queued something, …
const SWEPT_RULES_KEY: InfoKey<Value> = InfoKey::json("auto_close.swept_rules");
/// … what the last sweep did, …
const LAST_SWEEP_KEY: InfoKey<Value> = InfoKey::json("auto_close.last_sweep");
/// … and the stopped sweep, until one passes.
const STOPPED_SWEEP_KEY: InfoKey<Value> = InfoKey::json("auto_close.stopped");

/// The request for a sweep.
#[derive(Debug, Clone)]
pub struct SweepRequest {
    /// Which talks are stale, and what is done with them.
    pub rules: CloseRules,
    /// [`FetchReason::Close`], or [`FetchReason::DryRun`].
    pub reason: FetchReason,
    /// Whether a person asked for it: skips the `max_share` guard.
    pub by_hand: bool,
    /// How many talks to queue at most: [`CloseRules::max_per_sweep`] or fewer.
    pub limit: usize,
    /// The time.
    pub now: UnixSeconds,
}

/// The result of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    /// This many talks of the last sweep still wait.
    Overlaps(i64),
    /// More talks are stale than `max_share` allows, so none was queued.
    Stopped {
        /// How many talks are stale.
        stale: i64,
        /// How many talks are open.
        open: i64,
    },
    /// The sweep queued what it found.
    Done(Sweep),
}

/// A sweep that was not stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Stale talks in the mirror that are not exempt.
    pub stale: i64,
    /// How many talks are open.
    pub open: i64,
    /// Queued to be closed.
    pub queued: Vec<TalkId>,
    /// Whether it is the first to queue talks under these rules, or rules as wide.
    pub wider: bool,
}

impl Sweep {
    /// Logs how many talks are stale, before the first are closed under such rules.
    pub fn announce(&self, rules: &CloseRules) {
        let Sweep { stale, open, .. } = *self;
        if self.wider && rules.mode == CloseMode::Live {
            tracing::warn!(
                stale,
                open,
                "the first live sweep under these rules ({}): {stale} of {open} open talks are stale, \
                 at most {} are closed at a time",
                shown(&rules.stale.to_string()),
                rules.max_per_sweep
            );
        }
    }
}

/// Sweeps once, in one transaction.
///
/// # Errors
/// If the database cannot be written.
pub fn sweep(connection: &mut Connection, request: &SweepRequest) -> rusqlite::Result<Swept> {
    let tx = connection.transaction()?;
    let swept = sweep_in(&tx, request)?;
    tx.commit()?;
    Ok(swept)
}

fn sweep_in(tx: &Transaction<'_>, request: &SweepRequest) -> rusqlite::Result<Swept> {
    let SweepRequest { rules, reason, by_hand, limit, now } = request;
    closures::requeue_open(tx)?;
    // There may be new spellings of origins.
    if !by_hand {
        note_rules(tx, rules)?;
    }
    let waiting = waiting(tx, *now)?;
    if waiting > 0 && !by_hand {
        return Ok(Swept::Overlaps(waiting));
    }
    let (stale, open) = counts(tx, &rules.stale, *now)?;
    if !by_hand && too_many(stale, open, rules.max_share) {
        STOPPED_SWEEP_KEY
            .set(tx, &json!({"at": now, "stale": stale, "open": open, "max_share": rules.max_share}))?;
        return Ok(Swept::Stopped { stale, open });
    }
    let found = candidates(tx, &rules.stale, *reason, *limit, *now)?;
    let mut queued = Vec::with_capacity(found.len());
    for (place, talk_id) in (0i64..).zip(&found) {
        // Rows due for longer are fetched first.
        if enqueue(tx, *talk_id, *reason, now.later_by(place - number::whole(found.len())))? {
            queued.push(*talk_id);
        }
    }
    let wider = match SWEPT_RULES_KEY.get(tx)?.and_then(|rules| parse(&rules)) {
        None => true,
        Some((mode, before)) => {
            rules.stale.wider_than(&before) || (rules.mode == CloseMode::Live && mode != CloseMode::Live)
        }
    };
    let tried_out = *reason == FetchReason::DryRun && rules.mode != CloseMode::DryRun;
    if *limit >= rules.max_per_sweep && !tried_out {
        STOPPED_SWEEP_KEY.remove(tx)?;
    }
    // A sweep that closes nothing does not count as the first that closes something.
    let acts = !queued.is_empty() && !tried_out;
    if acts {
        SWEPT_RULES_KEY.set(tx, &described(rules, &rules.stale))?;
    }
    let mode = if *reason == FetchReason::DryRun { CloseMode::DryRun } else { rules.mode };
    let wider = wider && acts && *reason == FetchReason::Close;
    let last = json!({"at": now, "mode": mode.as_str(), "stale": stale, "open": open,
                      "queued": queued.len(), "by_hand": by_hand});
    LAST_SWEEP_KEY.set(tx, &last)?;
    Ok(Swept::Done(Sweep { stale, open, queued, wider }))
}

/// Whether to stop a sweep that finds `stale` of `open` talks stale.
fn too_many(stale: i64, open: i64, max_share: f64) -> bool {
    stale > ALWAYS_ALLOWED && stale as f64 > open as f64 * max_share
}

/// Queued talks of a sweep that are due and not fetched yet.
fn waiting(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM talk_queue
              WHERE failed_at IS NULL AND priority >= ?1 AND due_at <= ?2 AND attempts = 0
                AND reason IN ('close', 'close-dry-run')",
        )?
        .query_row((CLOSE_PRIORITY, now), |row| row.get(0))
}

/// Queues a talk to close, due at `due_at` or sooner. Takes over a waiting row: its new ticket causes a fetch for
/// this reason even if one is in flight. False if a closing of the talk is under way, which stays as it is.
///
/// # Errors
/// If the database cannot be written.
pub fn enqueue(
    connection: &Connection,
    talk_id: TalkId,
    reason: FetchReason,
    due_at: UnixSeconds,
) -> rusqlite::Result<bool> {
    if closures::is_under_way(connection, talk_id, reason)? {
        return Ok(false);
    }
    // Another reason in the row is less important. The fetch serves it too.
    connection.prepare_cached("INSERT INTO talk_queue (talk_id) VALUES (?1)")?.execute([talk_id])?;
    connection
        .prepare_cached(
            "UPDATE talk_queue SET reason = ?2, priority = ?3, due_at = min(due_at, ?4) WHERE talk_id = ?1",
        )?
        .execute((talk_id, reason.as_str(), CLOSE_PRIORITY, due_at))?;
    Ok(true)
}

/// Stores the rules of the running configuration, which the view `stale_talks` uses.
///
/// # Errors
/// If the database cannot be written.
pub fn note_rules(connection: &Connection, rules: &CloseRules) -> rusqlite::Result<()> {
    RUNNING_RULES_KEY.set(connection, &described(rules, &spelt(connection, &rules.stale)?))
}

/// Each origin of a stored talk, whatever its state.
///
/// # Errors
/// If the database cannot be read.
pub fn origins(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.prepare_cached(ORIGINS)?.query_map([], |row| row.get(0))?.collect()
}

/// Skips from origin to origin in the index `talks_origin`. DISTINCT would read all of it.
const ORIGINS: &str = "WITH RECURSIVE origins (origin) AS (
    SELECT min(origin) FROM talks
    UNION ALL
    SELECT (SELECT min(talks.origin) FROM talks WHERE talks.origin > origins.origin)
      FROM origins WHERE origin IS NOT NULL
) SELECT origin FROM origins WHERE origin IS NOT NULL";

/// `auto_close.mode` of the running or last configuration.
///
/// # Errors
/// If the database cannot be read.
pub fn running_mode(connection: &Connection) -> rusqlite::Result<Option<CloseMode>> {
    Ok(running_rules(connection)?.map(|(mode, _)| mode))
}

/// The same, with the rules for stale talks.
///
/// # Errors
/// If the database cannot be read.
pub fn running_rules(connection: &Connection) -> rusqlite::Result<Option<(CloseMode, StaleRules)>> {
    Ok(RUNNING_RULES_KEY.get(connection)?.and_then(|rules| parse(&rules)))
}

/// The last sweep and the stopped one, for people.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct SweepState {
    /// `{at, mode, stale, open, queued, by_hand}`
    pub last: Option<Value>,
    /// `{at, stale, open, max_share}`, until a sweep passes.
    pub stopped: Option<Value>,
}

/// Reads the results of the last sweeps.
///
/// # Errors
/// If the database cannot be read.
pub fn state(connection: &Connection) -> rusqlite::Result<SweepState> {
    Ok(SweepState { last: LAST_SWEEP_KEY.get(connection)?, stopped: STOPPED_SWEEP_KEY.get(connection)? })
}

fn described(rules: &CloseRules, stale: &StaleRules) -> Value {
    json!({
        "mode": rules.mode.as_str(),
        "stale_after": stale.stale_after_seconds(),
        "quiet_for": stale.quiet_for_seconds(),
        "only_origins": stale.only_origins,
        "except_origins": stale.except_origins,
        "work_time": stale.work_time.as_deref(),
        "force_close": rules.force_close,
        "max_per_sweep": rules.max_per_sweep,
        "max_share": rules.max_share,
    })
}

/// Parses the mode and the rules that [`described`] wrote.
fn parse(value: &Value) -> Option<(CloseMode, StaleRules)> {
    let seconds = |key: &str| Some(Duration::from_secs(value[key].as_u64()?));
    let list = |key: &str| serde_json::from_value(value[key].clone()).ok();
    let rules = StaleRules {
        stale_after: seconds("stale_after")?,
        quiet_for: seconds("quiet_for")?,
        only_origins: list("only_origins")?,
        except_origins: list("except_origins")?,
        work_time: serde_json::from_value::<Option<ReportRules>>(value["work_time"].clone())
            .ok()?
            .map(Arc::new),
    };
    Some((CloseMode::parse(value["mode"].as_str()?)?, rules))
}

#[cfg(test)]
mod tests;
