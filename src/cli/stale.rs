//! `stale`: what auto-close would close, by the mirror alone, and why it keeps the rest.

use super::words;
use crate::clock::unix_now;
use crate::config::Config;
use crate::policy::closing::CloseMode;
use crate::policy::stale::{Verdict, stale as decide};
use crate::store::closures::{self, Closure};
use crate::store::report;
use crate::store::status::DaemonStatus;
use crate::store::{self, StoreError, sweep};
use anyhow::Result;
use rusqlite::Connection;
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
        let list = if verdict.is_stale() { &mut stale } else { &mut kept };
        list.push((talk.talk_id, talk.origin, talk.missed_at, talk.updated_at, verdict));
        Ok(())
    })?;
    let not_closing =
        DaemonStatus::read(&connection).map_err(StoreError::from)?.and_then(|daemon| daemon.not_closing);
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json {
        let row = |(talk_id, origin, missed_at, updated_at, verdict): &Row| -> Result<Value> {
            let earlier = earlier(&connection, config, *talk_id, verdict, now)?;
            Ok(json!({"talk_id": talk_id, "origin": origin, "missed_at": missed_at,
                      "updated_at": updated_at, "stale": verdict.is_stale(), "why": verdict.to_string(),
                      "next": earlier}))
        };
        let rows = |list: &[Row]| list.iter().map(row).collect::<Result<Vec<_>>>();
        let all = json!({"mode": rules.mode.as_str(), "rules": rules.stale.to_string(), "not_closing": not_closing,
                         "stale": rows(&stale)?, "kept": rows(&kept)?});
        writeln!(out, "{all:#}")?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }

    let open = stale.len() + kept.len();
    writeln!(
        out,
        "{} of {} in work would be closed: {} (auto_close.mode is {}).",
        words::count(stale.len() as i64),
        words::talks(open as i64),
        rules.stale,
        rules.mode
    )?;
    if let Some(why) = &not_closing {
        writeln!(out, "{why}: nothing is closed.")?;
    }
    if sweep::state(&connection).map_err(StoreError::from)?.stopped.is_some() {
        writeln!(
            out,
            "The last sweep was stopped: more are stale than auto_close.max_share = {} allows.",
            rules.max_share
        )?;
    }
    if open > 0 {
        let mut table = words::table();
        table.set_header(["TALK", "CHANNEL", "MISSED", "CHANGED", "VERDICT"]);
        for (talk_id, origin, missed_at, updated_at, verdict) in stale.iter().chain(&kept).take(SHOWN) {
            let mut text = match verdict {
                Verdict::Stale { .. } => verdict.to_string(),
                Verdict::Kept(kept) => format!("kept: {kept}"),
            };
            if let Some(earlier) = earlier(&connection, config, *talk_id, verdict, now)? {
                text.push_str(&format!("; {earlier}"));
            }
            table.add_row([
                talk_id.to_string(),
                origin.clone().unwrap_or_else(|| "-".into()),
                missed_at.map_or("-".into(), |at| words::ago(at, now)),
                words::ago(*updated_at, now),
                text,
            ]);
        }
        write!(out, "\n{}", words::rendered(table))?;
        if open > SHOWN {
            writeln!(out, "… and {} more: --json prints them all", words::count((open - SHOWN) as i64))?;
        }
    }
    if !stale.is_empty() {
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

type Row = (i64, Option<String>, Option<i64>, i64, Verdict);

/// What was decided about a stale talk already, where that holds it back.
fn earlier(
    connection: &Connection,
    config: &Config,
    talk_id: i64,
    verdict: &Verdict,
    now: i64,
) -> Result<Option<String>> {
    if !verdict.is_stale() {
        return Ok(None);
    }
    let last = closures::of_talk(connection, talk_id).map_err(StoreError::from)?.into_iter().next_back();
    Ok(last.and_then(|closure| held_back(&closure, config.auto_close.rules.mode, now)))
}

fn held_back(closure: &Closure, mode: CloseMode, now: i64) -> Option<String> {
    if closure.is_under_way() {
        return Some(format!("{} already", closure.outcome));
    }
    if closure.barred_until().is_some_and(|until| until > now) {
        return Some(format!("{} less than a day ago", closure.outcome));
    }
    (mode == CloseMode::DryRun && closure.outcome == "would_close").then(|| "written down already".into())
}
