//! `stale`: shows what auto-close would close, judged from the mirror alone, and why it keeps the rest.

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::policy::closing::CloseMode;
use crate::policy::stale::{Verdict, stale as decide};
use crate::policy::unknown_origin::{UnknownOrigin, unknown_origins};
use crate::report::humanize;
use crate::store::Connection;
use crate::store::closures::{self, held_back, is_recorded};
use crate::store::exemptions;
use crate::store::status::DaemonStatus;
use crate::store::story;
use crate::store::{self, StoreError, sweep};
use crate::talk::{Talk, TalkId};
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// A table shows at most this many rows. `--json` prints all.
const MAX_ROWS_SHOWN: usize = 1000;
/// The maximum width of an origin in a table.
const ORIGIN_WIDTH: usize = 40;
/// The maximum width of why a talk is kept: a status or the reason of an exemption in it may be long.
const KEPT_WIDTH: usize = 200;

/// Prints every open talk with its verdict, the stale ones first.
pub(super) fn stale(config: &Config, as_json: bool) -> Result<ExitCode> {
    let connection = store::open_read_only(&config.database)?;
    let now = unix_now();
    let rules = &config.auto_close.rules;
    let (mut stale, mut kept) = (Vec::new(), Vec::new());
    story::open_talks(&connection, |talk, reach| -> Result<()> {
        let verdict = decide(&talk, reach, now, &rules.stale);
        let verdict =
            exemptions::applied(&connection, talk.talk_id, verdict, now).map_err(StoreError::from)?;
        let earlier = match verdict.is_stale() {
            true => closures::of_talk(&connection, talk.talk_id).map_err(StoreError::from)?,
            false => Vec::new(),
        };
        // Also in a dry run: an earlier dry-run decision would not hold live closing back.
        let held_back = held_back(&earlier, CloseMode::Live, talk.missed_at, now);
        let recorded = is_recorded(&earlier, talk.missed_at);
        let list = if verdict.is_stale() { &mut stale } else { &mut kept };
        let Talk { talk_id, origin, missed_at, updated_at, .. } = talk;
        list.push(Row { talk_id, origin, missed_at, updated_at, verdict, held_back, recorded });
        Ok(())
    })?;
    let not_closing =
        DaemonStatus::read(&connection).map_err(StoreError::from)?.and_then(|daemon| daemon.not_closing);
    let unknown = unknown(&connection, config)?;
    let mut out = Out::new();
    if as_json {
        let row = |row: &Row| -> Value {
            json!({"talk_id": row.talk_id, "origin": row.origin, "missed_at": row.missed_at,
                   "updated_at": row.updated_at, "stale": row.verdict.is_stale(),
                   "why": row.verdict.to_string(), "held_back": row.held_back, "recorded": row.recorded,
                   "exemption": row.verdict.exempting()})
        };
        let rows = |list: &[Row]| list.iter().map(row).collect::<Vec<_>>();
        let all = json!({"mode": rules.mode.as_str(), "rules": rules.stale.to_string(), "not_closing": not_closing,
                         "unknown_origins": unknown, "stale": rows(&stale), "kept": rows(&kept)});
        out.exact(format!("{all:#}"))?;
        return out.done();
    }

    let open = stale.len() + kept.len();
    let now_closed = stale.iter().filter(|row| row.held_back.is_none()).count();
    out.line(format!(
        "{} of {} open talks would be closed: {} (auto_close.mode is {}).",
        humanize::count(now_closed),
        humanize::count(open),
        rules.stale,
        rules.mode
    ))?;
    for unknown in &unknown {
        out.line(Text::alarming(format!("warning: {unknown}")))?;
    }
    if let Some(why) = &not_closing {
        out.line(format!("{why}: nothing is closed."))?;
    }
    let stopped = sweep::state(&connection).map_err(StoreError::from)?.stopped.is_some();
    if stopped {
        out.line(format!(
            "The last sweep was stopped: more talks are stale than auto_close.max_share = {} allows.",
            rules.max_share
        ))?;
    }
    if open > 0 {
        let mut table = Table::headed(["TALK", "CHANNEL", "MISSED", "CHANGED", "VERDICT"]);
        for row in stale.iter().chain(&kept).take(MAX_ROWS_SHOWN) {
            let mut text = match &row.verdict {
                verdict @ Verdict::Stale { .. } => verdict.to_string(),
                Verdict::Kept(kept) => {
                    format!("kept: {}", humanize::brief(&kept.to_string(), KEPT_WIDTH))
                }
            };
            if let Some(held_back) = &row.held_back {
                text.push_str(&format!("; {held_back}"));
            } else if row.recorded && rules.mode == CloseMode::DryRun {
                text.push_str("; recorded in closures");
            }
            table.row(
                [
                    row.talk_id.to_string(),
                    row.origin.as_deref().map_or("-".into(), |origin| humanize::brief(origin, ORIGIN_WIDTH)),
                    row.missed_at.map_or("-".into(), |at| humanize::ago(at, now)),
                    humanize::ago(row.updated_at, now),
                    text,
                ]
                .map(Text::from),
            );
        }
        out.line("")?;
        out.table(&table)?;
        if open > MAX_ROWS_SHOWN {
            out.line(format!(
                "… and {} more: --json prints them all",
                humanize::count(open - MAX_ROWS_SHOWN)
            ))?;
        }
    }
    if now_closed > 0 && not_closing.is_none() && !stopped {
        let next = match rules.mode {
            CloseMode::Off => {
                "set auto_close.mode to \"dry-run\" to record this, and to \"live\" to close them"
            }
            CloseMode::DryRun => "read the table closures, then set auto_close.mode to \"live\"",
            CloseMode::Live => "the next sweeps close them, if a fetch just before shows the same",
        };
        out.line("")?;
        out.line(format!("Next: {next}."))?;
    }
    out.done()
}

/// Configured origins that no stored talk has.
pub(super) fn unknown(connection: &Connection, config: &Config) -> Result<Vec<UnknownOrigin>, StoreError> {
    let rules = &config.auto_close.rules.stale;
    if rules.only_origins.is_empty() && rules.except_origins.is_empty() {
        return Ok(Vec::new());
    }
    Ok(unknown_origins(rules, &sweep::origins(connection)?))
}

/// An open talk, and the verdict on it.
struct Row {
    talk_id: TalkId,
    origin: Option<String>,
    missed_at: Option<UnixSeconds>,
    updated_at: UnixSeconds,
    verdict: Verdict,
    /// What would keep live closing from closing it, if it is stale.
    held_back: Option<String>,
    /// A dry run has recorded a decision on its current state.
    recorded: bool,
}
