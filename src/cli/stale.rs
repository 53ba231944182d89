//! `stale`: shows what auto-close would close, judged from the mirror alone, and why it keeps the rest. First a summary,
//! with `--all` every open talk.

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::policy::closing::CloseMode;
use crate::policy::stale::{KeptReason, Verdict, stale as decide};
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
use std::cmp::Reverse;
use std::process::ExitCode;

/// The summary shows so many talks of each kind.
const FEW: usize = 5;

/// Prints how many talks would be closed, and why the others are kept. `all` prints every open talk with its verdict,
/// the stale ones first.
pub(super) fn stale(config: &Config, all: bool, as_json: bool) -> Result<ExitCode> {
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
        let held_back =
            held_back(&earlier, CloseMode::Live, talk.missed_at, now).map(|held| held.to_string());
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
    let rows: Vec<&Row> = stale.iter().chain(&kept).collect();
    if all {
        table(&mut out, rows.iter().copied(), rules.mode, now)?;
    } else {
        summary(&mut out, &rows, rules.mode, now)?;
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

/// Prints the first talks of those that would be closed, and the others by the reason that keeps them.
fn summary(out: &mut Out, rows: &[&Row], mode: CloseMode, now: UnixSeconds) -> Result<()> {
    let (closed, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.reason().is_none());
    table(out, closed.iter().copied().take(FEW), mode, now)?;
    if closed.len() > FEW {
        out.line(format!("… and {} more", humanize::count(closed.len() - FEW)))?;
    }
    let mut by_reason = Vec::<(&str, Vec<TalkId>)>::new();
    for row in &others {
        let reason = row.reason().unwrap_or_default();
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, talks)) => talks.push(row.talk_id),
            None => by_reason.push((reason, vec![row.talk_id])),
        }
    }
    by_reason.sort_by_key(|(_, talks)| Reverse(talks.len()));
    if !by_reason.is_empty() {
        out.line("")?;
        let mut table = Table::headed(["KEPT", "WHY", "TALKS"]);
        table.leave_out(["TALKS"]);
        for (reason, talks) in &by_reason {
            let few: Vec<String> = talks.iter().take(FEW).map(ToString::to_string).collect();
            let more = if talks.len() > FEW { ", …" } else { "" };
            let few = format!("{}{more}", few.join(", "));
            table.row([humanize::count(talks.len()), (*reason).to_owned(), few].map(Text::from));
        }
        out.table(&table)?;
    }
    if !others.is_empty() || closed.len() > FEW {
        out.line("")?;
        out.line("Every talk: `talkmirror stale --all`. One talk: `talkmirror why ID`.")?;
    }
    Ok(())
}

/// Prints these talks, each with its verdict.
fn table<'a>(
    out: &mut Out,
    rows: impl Iterator<Item = &'a Row>,
    mode: CloseMode,
    now: UnixSeconds,
) -> Result<()> {
    let mut table = Table::headed(["TALK", "CHANNEL", "MISSED", "CHANGED", "VERDICT"]);
    table.leave_out(["CHANGED", "CHANNEL"]);
    let mut is_empty = true;
    for row in rows {
        is_empty = false;
        let mut text = match &row.verdict {
            verdict @ Verdict::Stale { .. } => verdict.to_string(),
            Verdict::Kept(kept) => format!("kept: {kept}"),
        };
        if let Some(held_back) = &row.held_back {
            text.push_str(&format!("; {held_back}"));
        } else if row.recorded && mode == CloseMode::DryRun {
            text.push_str("; recorded in closures");
        }
        table.row(
            [
                row.talk_id.to_string(),
                row.origin.clone().unwrap_or_else(|| "-".into()),
                row.missed_at.map_or("-".into(), |at| humanize::ago(at, now)),
                humanize::ago(row.updated_at, now),
                text,
            ]
            .map(Text::from),
        );
    }
    if !is_empty {
        out.line("")?;
        out.table(&table)?;
    }
    Ok(())
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

impl Row {
    /// The kind of what keeps it. `None` if it would be closed.
    fn reason(&self) -> Option<&'static str> {
        match &self.verdict {
            Verdict::Stale { .. } => {
                self.held_back.as_ref().map(|_| "stale, but an earlier closing holds it back")
            }
            Verdict::Kept(kept) => Some(match kept {
                KeptReason::Gone => "the API reports that it does not exist",
                KeptReason::Denied => "the API refuses it to this token",
                KeptReason::Closed => "already closed",
                KeptReason::Status(_) => "its status is not that of an open talk",
                KeptReason::NotMissed => "not missed",
                KeptReason::MissedLately { .. } => "not missed for long enough yet",
                KeptReason::ChangedLately { .. } => "changed not long enough ago",
                KeptReason::Origin(_) => "its origin is excluded",
                KeptReason::Exempt(_) => "exempt by a row of close_exemptions",
            }),
        }
    }
}
