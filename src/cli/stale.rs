//! `stale`: what auto-close would close, by the mirror alone, and why it keeps the rest.

use super::words;
use crate::clock::unix_now;
use crate::config::Config;
use crate::policy::closing::CloseMode;
use crate::policy::stale::{Verdict, stale as decide};
use crate::store::closures::{self, held_back};
use crate::store::report;
use crate::store::status::DaemonStatus;
use crate::store::{self, StoreError, sweep};
use crate::talk::Talk;
use anyhow::Result;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// A table for people ends here; `--json` prints all.
const SHOWN: usize = 1000;

/// Prints every talk in work with the verdict on it, the stale ones first.
pub fn stale(config: &Config, as_json: bool) -> Result<ExitCode> {
    let connection = store::open_read_only(&config.database)?;
    let now = unix_now();
    let rules = &config.auto_close.rules;
    let (mut stale, mut kept) = (Vec::new(), Vec::new());
    report::in_work(&connection, |talk, reach| -> Result<()> {
        let verdict = decide(&talk, reach, now, &rules.stale);
        let earlier = match verdict.is_stale() {
            true => closures::of_talk(&connection, talk.talk_id).map_err(StoreError::from)?,
            false => Vec::new(),
        };
        let earlier = held_back(&earlier, rules.mode, talk.missed_at, now);
        let list = if verdict.is_stale() { &mut stale } else { &mut kept };
        let Talk { talk_id, origin, missed_at, updated_at, .. } = talk;
        list.push(Row { talk_id, origin, missed_at, updated_at, verdict, earlier });
        Ok(())
    })?;
    let not_closing =
        DaemonStatus::read(&connection).map_err(StoreError::from)?.and_then(|daemon| daemon.not_closing);
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json {
        let row = |row: &Row| -> Value {
            json!({"talk_id": row.talk_id, "origin": row.origin, "missed_at": row.missed_at,
                   "updated_at": row.updated_at, "stale": row.verdict.is_stale(),
                   "why": row.verdict.to_string(), "held_back": row.earlier})
        };
        let rows = |list: &[Row]| list.iter().map(row).collect::<Vec<_>>();
        let all = json!({"mode": rules.mode.as_str(), "rules": rules.stale.to_string(), "not_closing": not_closing,
                         "stale": rows(&stale), "kept": rows(&kept)});
        writeln!(out, "{all:#}")?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }

    let open = stale.len() + kept.len();
    let now_closed = stale.iter().filter(|row| row.earlier.is_none()).count();
    writeln!(
        out,
        "{} of {} in work would be closed: {} (auto_close.mode is {}).",
        words::count(now_closed as i64),
        words::talks(open as i64),
        rules.stale,
        rules.mode
    )?;
    if let Some(why) = &not_closing {
        writeln!(out, "{why}: nothing is closed.")?;
    }
    let stopped = sweep::state(&connection).map_err(StoreError::from)?.stopped.is_some();
    if stopped {
        writeln!(
            out,
            "The last sweep was stopped: more are stale than auto_close.max_share = {} allows.",
            rules.max_share
        )?;
    }
    if open > 0 {
        let mut table = words::table();
        table.set_header(["TALK", "CHANNEL", "MISSED", "CHANGED", "VERDICT"]);
        for row in stale.iter().chain(&kept).take(SHOWN) {
            let mut text = match &row.verdict {
                verdict @ Verdict::Stale { .. } => verdict.to_string(),
                Verdict::Kept(kept) => format!("kept: {kept}"),
            };
            if let Some(earlier) = &row.earlier {
                text.push_str(&format!("; {earlier}"));
            }
            table.add_row([
                row.talk_id.to_string(),
                row.origin.clone().unwrap_or_else(|| "-".into()),
                row.missed_at.map_or("-".into(), |at| words::ago(at, now)),
                words::ago(row.updated_at, now),
                text,
            ]);
        }
        write!(out, "\n{}", words::rendered(table))?;
        if open > SHOWN {
            writeln!(out, "… and {} more: --json prints them all", words::count((open - SHOWN) as i64))?;
        }
    }
    if now_closed > 0 && not_closing.is_none() && !stopped {
        let next = match rules.mode {
            CloseMode::Off => {
                "set auto_close.mode to \"dry-run\" to have this written down, and to \"live\" to have them closed"
            }
            CloseMode::DryRun => "read the table closures, then set auto_close.mode to \"live\"",
            CloseMode::Live => "they are closed at the next sweeps, if a fetch just before shows the same",
        };
        writeln!(out, "\nNext: {next}.")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A talk in work, and what is thought of it.
struct Row {
    talk_id: i64,
    origin: Option<String>,
    missed_at: Option<i64>,
    updated_at: i64,
    verdict: Verdict,
    /// What holds a stale one back.
    earlier: Option<String>,
}
