//! `why`: the story of one talk, from the database alone.

mod json;

use super::print::Out;
use super::table::{Table, Text};
use crate::amocrm;
use crate::clock::{UnixSeconds, unix_now};
use crate::config::{Config, next_tick};
use crate::number;
use crate::policy::closing::CloseMode;
use crate::policy::lanes::Lane;
use crate::policy::refresh::{Candidate, Class};
use crate::policy::stale::{Reach, Verdict, stale};
use crate::report::humanize;
use crate::store::closures::{Closure, held_back};
use crate::store::lock;
use crate::store::status::Liveness;
use crate::store::story::{self, MirroredTalk, Story, Version};
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
    let story = story::story(&connection, talk_id, now).map_err(StoreError::from)?;
    let alive = story.daemon.as_ref().map(|daemon| daemon.liveness(held, now));
    let runs = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    let mut out = Out::new();
    if as_json {
        out.exact(format!("{:#}", json::json(&story, talk_id, config, runs, now)))?;
    } else {
        print_story(&mut out, &story, talk_id, config, runs, now)?;
    }
    out.done()
}

/// The maximum width of quoted text in a sentence.
const MAX_QUOTE_WIDTH: usize = 200;

fn print_story(
    out: &mut Out<impl Write>,
    story: &Story,
    talk_id: TalkId,
    config: &Config,
    runs: bool,
    now: UnixSeconds,
) -> io::Result<()> {
    let mut table = Table::new();
    let mut row = |name: &str, value: String| table.fact(name, value);
    match (&story.mirrored, story.tombstone) {
        (Some(mirrored), _) => {
            let talk = &mirrored.talk;
            row("Talk", format!("{talk_id} of account {}", talk.account_id));
            row("State", state(mirrored, now));
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
            let odd = amocrm::odd_fields(&mirrored.payload);
            if !odd.is_empty() {
                row(
                    "Odd",
                    format!("{}: of another shape than the API documents, stored as NULL", odd.join(", ")),
                );
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
        (None, Some(gone_at)) => {
            row("Talk", talk_id.to_string());
            row(
                "State",
                format!("does not exist, as the API reported {}", humanize::timestamp_ago(gone_at, now)),
            );
        }
        (None, None) => {
            row("Talk", talk_id.to_string());
            row("State", "not mirrored".into());
        }
    }
    row("Queue", queue(story, config, now));
    row("Next", next(story, talk_id, config, runs, now));
    if let Some(exempting) = &story.exempting {
        row("Exempt", brief(&exempting.to_string()));
    }
    row("Closing", auto_close(story, talk_id, config, runs, now));
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
        if let Some(removed) = removed(&story.versions) {
            out.line(removed)?;
        }
    }
    Ok(())
}

fn brief(text: &str) -> String {
    humanize::brief(text, MAX_QUOTE_WIDTH)
}

fn state(mirrored: &MirroredTalk, now: UnixSeconds) -> String {
    let talk = &mirrored.talk;
    let mut state = vec![if talk.is_in_work { "open" } else { "closed" }.to_owned()];
    if let Some(closed_at) = mirrored.closed_at {
        state.push(format!("seen closed {}", humanize::ago(closed_at, now)));
    }
    if let Some(missed_at) = talk.missed_at {
        state.push(format!("missed {}", humanize::ago(missed_at, now)));
    }
    if let Some(is_read) = talk.is_read {
        state.push(if is_read { "read" } else { "not read" }.into());
    }
    if let Some(status) = &talk.status {
        state.push(format!("status {}", brief(status)));
    }
    if let Some(gone_at) = mirrored.gone_at {
        state.push(format!(
            "gone: the API has reported since {} that it does not exist",
            humanize::ago(gone_at, now)
        ));
    }
    if let Some(denied_at) = mirrored.denied_at {
        state.push(format!(
            "denied: the API refuses it to this token since {}",
            humanize::ago(denied_at, now)
        ));
    }
    state.join(", ")
}

fn queue(story: &Story, config: &Config, now: UnixSeconds) -> String {
    let Some(row) = &story.queued else {
        return "not queued".into();
    };
    let mut text = format!(
        "waits {} (reason {}, priority {})",
        humanize::lasting(row.enqueued_at, now),
        brief(&row.reason),
        row.priority
    );
    if row.attempts > 0 {
        text.push_str(&format!(", {} of {} attempts failed", row.attempts, config.queue.retry.max_attempts));
    }
    if let Some(error) = &row.last_error {
        text.push_str(&format!(", the last: {}", brief(error)));
    }
    text
}

/// When it may be refreshed, if ever, for people.
fn refresh(story: &Story, config: &Config, now: UnixSeconds) -> Option<String> {
    let (rules, mirrored) = (config.refresh.as_ref()?, story.mirrored.as_ref()?);
    let (talk, fetched_at) = (&mirrored.talk, mirrored.fetched_at);
    let class = if talk.is_in_work { Class::InWork } else { Class::Closed };
    let (talk_id, updated_at) = (talk.talk_id, talk.updated_at);
    let candidate = Candidate { talk_id, updated_at, fetched_at, checked_at: None, class };
    // Only the daemon knows what the listing has shown since.
    let is_watched = config.listing.is_some() && config.events.is_some();
    let rest = if is_watched { rules.recheck.max(rules.min_interval) } else { rules.min_interval };
    let rested = now.max((fetched_at + rest).later_by(1));
    let is_there = mirrored.gone_at.is_none() && mirrored.denied_at.is_none();
    let sooner = if is_watched { ", or sooner if it has probably changed" } else { "" };
    (is_there && rules.allows(&candidate, false, rested))
        .then(|| format!("{}{sooner}", humanize::in_time(rested, now)))
}

/// What happens to the talk next, and when.
fn next(story: &Story, talk_id: TalkId, config: &Config, runs: bool, now: UnixSeconds) -> String {
    let Some(row) = &story.queued else {
        return match refresh(story, config, now) {
            Some(from) if runs => {
                format!("a refresh, {from}")
            }
            Some(_) => "a refresh, once a daemon runs".into(),
            None => format!("nothing is planned; `talkmirror enqueue {talk_id}` queues it"),
        };
    };
    if let Some(failed_at) = row.failed_at {
        return format!(
            "nothing: it failed {}; `talkmirror queue retry {talk_id}` retries it",
            humanize::ago(failed_at, now)
        );
    }
    let Some(daemon) = story.daemon.as_ref().filter(|_| runs) else {
        let when = match row.due_at > now {
            true => {
                format!(
                    ", not before {} ({})",
                    humanize::timestamp(row.due_at),
                    humanize::in_time(row.due_at, now)
                )
            }
            false => String::new(),
        };
        return format!(
            "it waits for a daemon: none runs; `talkmirror run` or `talkmirror sync` fetches it{when}"
        );
    };
    if let Some(pause) = &daemon.pause {
        return format!(
            "everything pauses: {}; the next probe is {}",
            brief(&pause.detail),
            humanize::in_time(pause.until, now)
        );
    }
    if row.due_at > now {
        return format!(
            "fetched {} ({})",
            humanize::in_time(row.due_at, now),
            humanize::timestamp(row.due_at)
        );
    }
    let pace = f64::from(config.api.requests_per_second);
    let by_its_lane = story.ahead_in_lane as f64 / (pace * Lane::of(row.priority).share());
    let seconds = number::truncated((story.ahead as f64 / pace).min(by_its_lane));
    match story.ahead {
        0 => "fetched next".into(),
        ahead => {
            format!(
                "fetched in about {}: {} come before it",
                humanize::duration(seconds + 1),
                humanize::count(ahead)
            )
        }
    }
}

/// The verdict on the mirrored state. `None` if the talk is not mirrored.
fn verdict(story: &Story, config: &Config, now: UnixSeconds) -> Option<Verdict> {
    let mirrored = story.mirrored.as_ref()?;
    let reach = Reach { gone: mirrored.gone_at.is_some(), denied: mirrored.denied_at.is_some() };
    let verdict = stale(&mirrored.talk, reach, now, &config.auto_close.rules.stale);
    Some(verdict.with_exemption(story.exempting.clone()))
}

/// Whether and when auto-close would close it.
fn auto_close(story: &Story, talk_id: TalkId, config: &Config, runs: bool, now: UnixSeconds) -> String {
    let rules = &config.auto_close.rules;
    let (Some(mirrored), Some(verdict)) = (&story.mirrored, verdict(story, config, now)) else {
        return "only mirrored talks are considered".into();
    };
    let held = held_back(&story.closures, rules.mode, mirrored.talk.missed_at, now);
    // A started closing continues whatever the mirror shows now.
    if let Some(held) = held.as_ref().filter(|_| story.closures.iter().any(Closure::is_under_way)) {
        return held.clone();
    }
    if !verdict.is_stale() {
        return format!("kept: {}", brief(&verdict.to_string()));
    }
    let when = match rules.mode {
        CloseMode::Off => return format!("{verdict}; auto_close.mode is off: it is not closed"),
        _ if story.sweeps.stopped.is_some() => {
            return format!(
                "{verdict}; the last sweep was stopped by auto_close.max_share: see `talkmirror status`"
            );
        }
        CloseMode::DryRun => "is recorded, not closed,",
        CloseMode::Live => "is closed",
    };
    if let Some(obstacle) = story.daemon.as_ref().and_then(|daemon| daemon.not_closing.as_ref()) {
        return format!("{verdict}; {obstacle}: nothing is closed");
    }
    if let Some(held) = held {
        return format!("{verdict}; {held}");
    }
    match next_tick(&config.auto_close.schedule, now).filter(|_| runs) {
        Some(at) => format!(
            "{verdict}; it {when} at a sweep, the next {}, if a fetch just before shows the same",
            humanize::in_time(at, now)
        ),
        None => format!("{verdict}; it {when} once a daemon runs, or by `talkmirror close {talk_id}`"),
    }
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

/// A note that older states were removed, if they were.
fn removed(versions: &[Version]) -> Option<String> {
    let first = versions.first().filter(|first| first.version > 1)?;
    let (states, verb) = match first.version - 1 {
        1 => ("1 earlier state".to_owned(), "was"),
        number => (format!("{} earlier states", humanize::count(number)), "were"),
    };
    Some(format!("{states}, up to {}, {verb} removed ([retention])", humanize::timestamp(first.valid_from)))
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
