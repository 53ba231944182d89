//! `why`: the story of one talk, from the database alone.

mod json;

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::report::humanize;
use crate::report::talk::{self, TalkReport, TalkRules, Worker, sentence};
use crate::store::closures::Closure;
use crate::store::lock;
use crate::store::status::{DaemonStatus, Liveness};
use crate::store::story::Version;
use crate::store::{self, StoreError};
use crate::talk::TalkId;
use anyhow::Result;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints everything known about a talk.
pub(super) fn why(config: &Config, talk_id: TalkId, as_json: bool) -> Result<ExitCode> {
    // Checked before this process opens the database.
    let held = lock::is_held(&config.database);
    let connection = store::open_read_only(&config.database)?;
    let now = unix_now();
    let status = DaemonStatus::read(&connection).map_err(StoreError::from)?;
    let alive = status.map(|daemon| daemon.liveness(held, now));
    let runs = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    let worker = if runs { Worker::AsStored } else { Worker::None };
    let rules = TalkRules::new(config);
    let report = store::at_one_moment(&connection, |moment| talk::talk(moment, talk_id, &rules, worker, now));
    let report = report.map_err(StoreError::from)?;
    let mut out = Out::new();
    if as_json {
        out.exact(format!("{:#}", json::json(&report, runs, now)))?;
    } else {
        print_report(&mut out, &report, now)?;
    }
    out.done()
}

/// The maximum width of quoted text.
const MAX_QUOTE_WIDTH: usize = 200;
/// The maximum width of a sentence, which may quote text.
const MAX_SENTENCE_WIDTH: usize = 400;

fn print_report(out: &mut Out<impl Write>, report: &TalkReport, now: UnixSeconds) -> io::Result<()> {
    let TalkReport { talk_id, story, .. } = report;
    let mut table = Table::new();
    let mut row = |name: &str, value: String| table.fact(name, value);
    match &story.mirrored {
        Some(mirrored) => row("Talk", format!("{talk_id} of account {}", mirrored.talk.account_id)),
        None => row("Talk", talk_id.to_string()),
    }
    row("State", sentence(&report.state));
    if let Some(mirrored) = &story.mirrored {
        let talk = &mirrored.talk;
        let or_none = |text: &Option<String>| text.as_deref().map_or("none".into(), brief);
        row("Channel", or_none(&talk.origin));
        row("Chat", or_none(&talk.chat_id));
        row("Contact", talk.contact_id.map_or("none".into(), |id| id.to_string()));
        if let (Some(entity_type), Some(id)) = (&talk.entity_type, talk.entity_id) {
            row("About", format!("{} {id}", brief(entity_type)));
        }
        if let Some(rate) = talk.rate {
            row("Rating", rate.to_string());
        }
        if !report.odd_fields.is_empty() {
            let odd = report.odd_fields.join(", ");
            row("Odd", format!("{odd}: of another shape than the API documents, stored as NULL"));
        }
        row("Began", humanize::timestamp_ago(talk.created_at, now));
        row("Updated", humanize::timestamp_ago(talk.updated_at, now));
        row(
            "Fetched",
            format!(
                "{}, first {}",
                humanize::timestamp_ago(mirrored.fetched_at, now),
                humanize::timestamp(mirrored.first_fetched_at)
            ),
        );
    }
    row("Queue", sentence(&report.queue));
    row("Next", report.next.to_string());
    if let Some(exempting) = &story.exempting {
        row("Exempt", brief(&exempting.to_string()));
    }
    row("Closing", humanize::brief(&report.closing.to_string(), MAX_SENTENCE_WIDTH));
    out.table(&table)?;
    if !story.closures.is_empty() {
        out.line("")?;
        out.line("Decisions to close it (UTC):")?;
        out.table(&closures(&story.closures))?;
    }
    if !story.versions.is_empty() {
        out.line("")?;
        out.line("States it was seen in (UTC):")?;
        out.table(&versions(&story.versions))?;
        for note in report.notes_on_versions() {
            out.line(note.to_string())?;
        }
    }
    Ok(())
}

fn brief(text: &str) -> String {
    humanize::brief(text, MAX_QUOTE_WIDTH)
}

fn closures(closures: &[Closure]) -> Table {
    let mut table =
        Table::headed(["DECIDED", "MODE", "OUTCOME", "WHY", "REQUESTS", "ANSWER", "SEEN CLOSED", "ERROR"]);
    table.leave_out(["REQUESTS", "ANSWER", "MODE", "SEEN CLOSED"]);
    for closure in closures {
        table.row(
            [
                humanize::timestamp(closure.decided_at),
                closure.mode.to_string(),
                closure.outcome.to_string(),
                closure.reason.clone(),
                closure.attempts.to_string(),
                closure.http_status.map_or("-".into(), |status| format!("HTTP {status}")),
                closure.verified_at.map_or("-".into(), humanize::timestamp),
                closure.error.clone().unwrap_or_else(|| "-".into()),
            ]
            .map(Text::from),
        );
    }
    table
}

fn versions(versions: &[Version]) -> Table {
    let mut table = Table::headed(["FROM", "TO", "OPEN", "READ", "MISSED", "UPDATED", "RATING", "STATUS"]);
    table.leave_out(["STATUS", "UPDATED", "RATING", "TO"]);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for version in versions {
        table.row(
            [
                humanize::timestamp(version.valid_from),
                version.valid_to.map_or("now".into(), humanize::timestamp),
                yes(version.is_in_work),
                version.is_read.map_or("-".into(), yes),
                version.missed_at.map_or("no".into(), humanize::timestamp),
                humanize::timestamp(version.updated_at),
                version.rate.map_or("-".into(), |rate| rate.to_string()),
                version.status.clone().unwrap_or_else(|| "-".into()),
            ]
            .map(Text::from),
        );
    }
    table
}
