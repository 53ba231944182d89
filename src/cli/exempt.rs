//! `exempt`: talks that are never closed.

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::policy::exemption::{Exemption, ExemptionTarget};
use crate::report::humanize;
use crate::store::exemptions::{self, KeptTalks};
use crate::store::local_time::{self, LocalDay};
use crate::store::{self, StoreError};
use crate::talk::TalkId;
use anyhow::{Result, ensure};
use chrono::{DateTime, NaiveDate};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A table shows at most this many rows. `--json` prints all.
const MAX_ROWS_SHOWN: usize = 1000;
/// A longer reason is probably a typing error, in characters.
const LONGEST_REASON: usize = 500;
/// A longer `--until` is probably a typing error: a century.
const LONGEST_UNTIL: Duration = Duration::from_secs(36_525 * 86_400);

#[derive(Debug, Subcommand)]
pub(super) enum ExemptCommand {
    /// Keep talks from being closed: one talk, or all of a contact, a chat, a user or a pipeline
    Add {
        #[command(flatten)]
        target: TargetArguments,
        /// From when on it no longer counts: 2027-01-01 (in report.timezone), 2027-01-01T12:00:00Z, or 30d from now [default: never]
        #[arg(long, value_name = "TIME", value_parser = until)]
        until: Option<Until>,
        /// Why: `talkmirror stale` and `talkmirror why` show it
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
    },
    /// Show the rows that count now
    List {
        /// Those too that no longer count
        #[arg(long)]
        all: bool,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove rows: their talks may be closed again
    Remove {
        /// The rows, as `talkmirror exempt list` shows them
        #[arg(value_name = "ID", required = true, allow_negative_numbers = true)]
        ids: Vec<i64>,
    },
}

/// Which talks.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TargetArguments {
    /// This talk
    #[arg(long, value_name = "ID")]
    talk: Option<TalkId>,
    /// All talks of this client
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    contact: Option<i64>,
    /// All talks of this chat
    #[arg(long, value_name = "ID", value_parser = chat_id)]
    chat: Option<String>,
    /// All talks whose lead this user is responsible for
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    user: Option<i64>,
    /// All talks whose lead is in this pipeline
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pipeline: Option<i64>,
}

impl TargetArguments {
    fn target(&self) -> ExemptionTarget {
        let TargetArguments { talk, contact, chat, user, pipeline } = self;
        None.or(talk.map(ExemptionTarget::Talk))
            .or(contact.map(ExemptionTarget::Contact))
            .or(chat.clone().map(ExemptionTarget::Chat))
            .or(user.map(ExemptionTarget::User))
            .or(pipeline.map(ExemptionTarget::Pipeline))
            .unwrap_or_else(|| unreachable!("clap requires one"))
    }
}

/// `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The start of this day.
    Day(NaiveDate),
    /// This second.
    At(UnixSeconds),
    /// So long from now.
    After(Duration),
}

impl Until {
    fn resolved(self, database: &Path, now: UnixSeconds) -> Result<UnixSeconds> {
        Ok(match self {
            // Until the daemon has run, no zone is known.
            Until::Day(day) if !database.exists() => local_day(day).as_utc(),
            Until::Day(day) => {
                let mirror = store::open_read_only(database)?;
                local_time::start(&mirror, local_day(day)).map_err(StoreError::from)?
            }
            Until::At(at) => at,
            Until::After(length) => now + length,
        })
    }
}

fn local_day(day: NaiveDate) -> LocalDay {
    LocalDay(day.signed_duration_since(NaiveDate::default()).num_days())
}

fn until(text: &str) -> Result<Until, String> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Until::Day);
    let time =
        || DateTime::parse_from_rfc3339(text).ok().map(|at| Until::At(UnixSeconds::new(at.timestamp())));
    let length = || {
        let length = humantime::parse_duration(text).ok()?;
        (Duration::from_secs(1)..=LONGEST_UNTIL).contains(&length).then_some(Until::After(length))
    };
    day().or_else(time).or_else(length).ok_or_else(|| {
        "expected a day such as 2027-01-01, a time such as 2027-01-01T12:00:00Z, or a length of time from now such as \
         30d, at most a century"
            .into()
    })
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a text".into()),
        text if text.chars().count() > LONGEST_REASON => {
            Err(format!("expected at most {LONGEST_REASON} characters"))
        }
        text => Ok(text.to_owned()),
    }
}

fn chat_id(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected a chat's id".into()),
        text if text.chars().count() > LONGEST_REASON => Err("expected a chat's id: that is too long".into()),
        text => Ok(text.to_owned()),
    }
}

/// Runs one of the commands.
pub(super) fn exempt(database: &Path, command: &ExemptCommand) -> Result<ExitCode> {
    match command {
        ExemptCommand::Add { target, until, reason } => {
            add(database, &target.target(), *until, reason.as_deref())
        }
        ExemptCommand::List { all, json } => list(database, *all, *json),
        ExemptCommand::Remove { ids } => remove(database, ids),
    }
}

/// Inserts a row, and prints how many open talks it keeps.
fn add(
    database: &Path,
    target: &ExemptionTarget,
    until: Option<Until>,
    reason: Option<&str>,
) -> Result<ExitCode> {
    let now = unix_now();
    let until = until.map(|until| until.resolved(database, now)).transpose()?;
    if let Some(until) = until {
        let at = humanize::timestamp(until);
        ensure!(until > now, "--until {at} UTC is over: nothing was added; give a time in the future");
    }
    let connection = store::open(database, false)?;
    let id = exemptions::add(&connection, target, until, reason, now).map_err(StoreError::from)?;
    let kept = exemptions::kept_by(&connection, id, now).map_err(StoreError::from)?;
    let until = until.map_or(String::new(), |at| format!(" until {} UTC", humanize::timestamp(at)));
    let mut out = Out::new();
    out.line(format!(
        "Row {id} of close_exemptions keeps {} from being closed{until}: {}",
        target.talks(),
        open_now(target, kept)
    ))?;
    if kept.being_closed > 0 {
        let talks = humanize::talks(kept.being_closed);
        out.line(Text::alarming(format!(
            "warning: for {talks} of these a close request has left already: see the table closures"
        )))?;
    }
    out.done()
}

fn open_now(target: &ExemptionTarget, kept: KeptTalks) -> String {
    let KeptTalks { certain, possible, .. } = kept;
    let is = |number| if number == 1 { "is" } else { "are" };
    let open = match certain {
        0 => "none is open now".to_owned(),
        certain => format!("{} {} open now", humanize::talks(certain), is(certain)),
    };
    let unknown = match target {
        ExemptionTarget::User(_) | ExemptionTarget::Pipeline(_) => "lead is not known",
        _ => "contact is not known",
    };
    match possible {
        0 => open,
        possible => {
            format!("{open}; {} whose {unknown} {} kept too", humanize::talks(possible), is(possible))
        }
    }
}

/// Prints the rows.
fn list(database: &Path, all: bool, as_json: bool) -> Result<ExitCode> {
    let connection = store::open_read_only(database)?;
    let now = unix_now();
    let (mut rows, mut over) = (Vec::new(), 0);
    exemptions::list(&connection, |exemption, created_at| -> Result<(), StoreError> {
        match all || exemption.counts(now) {
            true => rows.push((exemption, created_at)),
            false => over += 1,
        }
        Ok(())
    })?;
    let mut out = Out::new();
    if as_json {
        let row = |(exemption, created_at): &(Exemption, UnixSeconds)| -> Value {
            let mut row = json!(exemption);
            row["counts"] = json!(exemption.counts(now));
            row["created_at"] = json!(created_at);
            row
        };
        out.exact(format!("{:#}", Value::from(rows.iter().map(row).collect::<Vec<_>>())))?;
        return out.done();
    }
    if rows.is_empty() {
        out.line(if all { "There is no exemption." } else { "No exemption counts now." })?;
    } else {
        let mut table = Table::headed(["ROW", "EXEMPT", "UNTIL (UTC)", "ADDED", "REASON"]);
        table.leave_out(["ADDED"]);
        for (exemption, created_at) in rows.iter().take(MAX_ROWS_SHOWN) {
            table.row(cells(exemption, *created_at, now).map(Text::from));
        }
        out.table(&table)?;
        if rows.len() > MAX_ROWS_SHOWN {
            let more = humanize::count(rows.len() - MAX_ROWS_SHOWN);
            out.line(format!("… and {more} more: --json prints them all"))?;
        }
    }
    if over > 0 {
        out.line(format!("{} more no longer count: --all shows them", humanize::count(over)))?;
    }
    out.done()
}

fn cells(exemption: &Exemption, created_at: UnixSeconds, now: UnixSeconds) -> [String; 5] {
    let over = if exemption.counts(now) { "" } else { ", over" };
    [
        exemption.id.to_string(),
        exemption.target.to_string(),
        exemption.until.map_or("-".into(), |until| format!("{}{over}", humanize::timestamp(until))),
        humanize::ago(created_at, now),
        exemption.reason.clone().unwrap_or_default(),
    ]
}

/// Removes rows.
fn remove(database: &Path, ids: &[i64]) -> Result<ExitCode> {
    let connection = store::open(database, false)?;
    let mut missing = Vec::new();
    for id in ids {
        if !exemptions::remove(&connection, *id).map_err(StoreError::from)? {
            missing.push(id.to_string());
        }
    }
    let mut out = Out::new();
    let removed = ids.len() - missing.len();
    if removed > 0 {
        let rows =
            if removed == 1 { "1 row".to_owned() } else { format!("{} rows", humanize::count(removed)) };
        out.line(format!("{rows} removed: these talks may be closed again, unless another row keeps them"))?;
    }
    let done = out.done()?;
    ensure!(missing.is_empty(), "not in close_exemptions: {}", missing.join(", "));
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::ReportRules;

    #[test]
    fn until_is_a_day_a_time_or_a_length_of_time() {
        let now = UnixSeconds::new(1_700_000_000);
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("talks.db");
        let at = |text: &str| until(text).map(|until| until.resolved(&database, now).unwrap().get());
        assert_eq!(at("2027-01-01"), Ok(1_798_761_600));
        assert_eq!(at("2027-01-01T12:00:00Z"), Ok(1_798_761_600 + 12 * 3600));
        assert_eq!(at("2027-01-01T12:00:00+03:00"), Ok(1_798_761_600 + 9 * 3600));
        assert_eq!(at("30d"), Ok(1_700_000_000 + 30 * 86_400));
        assert_eq!(at("100y"), Ok(1_700_000_000 + 100 * 31_557_600));
        for wrong in
            ["", "tomorrow", "2027-13-01", "2027-02-30", "30", "0s", "101y", "-1d", "2027-01-01T12:00:00"]
        {
            assert!(at(wrong).is_err(), "{wrong}");
        }
        let zone = ReportRules::zone("Europe/Moscow").unwrap();
        let connection = store::open(&database, true).unwrap();
        local_time::store(&connection, &ReportRules { zone, work_hours: None }).unwrap();
        assert_eq!(at("2027-01-01"), Ok(1_798_761_600 - 3 * 3600), "the local midnight");
    }
}
