//! `why`: one talk's story, from the database alone.

use super::words;
use crate::clock::unix_now;
use crate::config::Config;
use crate::store::lock;
use crate::store::report::{self, Story, Version};
use crate::store::status::Liveness;
use crate::store::{self, StoreError};
use anyhow::Result;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints all that is known of a talk.
pub fn why(config: &Config, talk_id: i64) -> Result<ExitCode> {
    let connection = store::open_read_only(&config.database)?;
    let story = report::story(&connection, talk_id).map_err(StoreError::from)?;
    let now = unix_now();
    let held = lock::is_held(&config.database);
    let alive = story.daemon.as_ref().map(|daemon| daemon.liveness(held, now));
    let runs = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    io::stdout().write_all(tell(&story, talk_id, config, runs, now).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn tell(story: &Story, talk_id: i64, config: &Config, runs: bool, now: i64) -> String {
    let mut table = words::table();
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    match (&story.mirrored, story.tombstone) {
        (Some(mirrored), _) => {
            let talk = &mirrored.talk;
            row("Talk", format!("{talk_id} of account {}", talk.account_id));
            row("State", state(mirrored, now));
            row("Channel", talk.origin.clone().unwrap_or_else(|| "none".into()));
            row("Chat", talk.chat_id.clone().unwrap_or_else(|| "none".into()));
            row("Contact", talk.contact_id.to_string());
            if let (Some(entity_type), Some(id)) = (&talk.entity_type, talk.entity_id) {
                row("About", format!("{entity_type} {id}"));
            }
            if let Some(rate) = talk.rate {
                row("Rating", rate.to_string());
            }
            row("Began", words::moment_ago(talk.created_at, now));
            row("Updated", words::moment_ago(talk.updated_at, now));
            row(
                "Fetched",
                format!(
                    "{}, first {}",
                    words::moment_ago(mirrored.fetched_at, now),
                    words::moment(mirrored.first_fetched_at)
                ),
            );
        }
        (None, Some(gone_at)) => {
            row("Talk", talk_id.to_string());
            row("State", format!("does not exist: so the API said {}", words::moment_ago(gone_at, now)));
        }
        (None, None) => {
            row("Talk", talk_id.to_string());
            row("State", "not mirrored".into());
        }
    }
    row("Queue", queue(story, config, now));
    row("Next", next(story, talk_id, config, runs, now));
    let mut text = words::rendered(table);
    if !story.versions.is_empty() {
        text.push_str(&format!("\nStates it was seen in (UTC):\n{}", versions(&story.versions)));
    }
    text
}

fn state(mirrored: &report::Mirrored, now: i64) -> String {
    let talk = &mirrored.talk;
    let mut state = vec![if talk.is_in_work { "in work" } else { "closed" }.to_owned()];
    if let Some(closed_at) = mirrored.closed_at {
        state.push(format!("seen closed {}", words::ago(closed_at, now)));
    }
    if let Some(missed_at) = talk.missed_at {
        state.push(format!("missed {}", words::ago(missed_at, now)));
    }
    state.push(if talk.is_read { "read" } else { "not read" }.into());
    if let Some(status) = &talk.status {
        state.push(format!("status {status}"));
    }
    if let Some(gone_at) = mirrored.gone_at {
        state.push(format!("gone: the API says since {} that it does not exist", words::ago(gone_at, now)));
    }
    if let Some(denied_at) = mirrored.denied_at {
        state.push(format!("denied: the API refuses it to this token since {}", words::ago(denied_at, now)));
    }
    state.join(", ")
}

fn queue(story: &Story, config: &Config, now: i64) -> String {
    let Some(row) = &story.queued else {
        return "not queued".into();
    };
    let mut text = format!(
        "waits for {} (reason {}, priority {})",
        words::span(now - row.enqueued_at),
        row.reason,
        row.priority
    );
    if row.attempts > 0 {
        text.push_str(&format!(", {} of {} attempts failed", row.attempts, config.queue.retry.max_attempts));
    }
    if let Some(error) = &row.last_error {
        text.push_str(&format!(", the last: {error}"));
    }
    text
}

/// What happens to it next, and when.
fn next(story: &Story, talk_id: i64, config: &Config, runs: bool, now: i64) -> String {
    let Some(row) = &story.queued else {
        return format!("nothing is planned; `talkmirror enqueue {talk_id}` has it fetched");
    };
    if let Some(failed_at) = row.failed_at {
        return format!(
            "nothing: set aside {}; `talkmirror queue retry {talk_id}` tries it again",
            words::ago(failed_at, now)
        );
    }
    let Some(daemon) = story.daemon.as_ref().filter(|_| runs) else {
        let when = match row.due_at > now {
            true => {
                format!(", not before {} ({})", words::moment(row.due_at), words::in_time(row.due_at, now))
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
            pause.detail,
            words::in_time(pause.until, now)
        );
    }
    if row.due_at > now {
        return format!("fetched {} ({})", words::in_time(row.due_at, now), words::moment(row.due_at));
    }
    let seconds = story.ahead / i64::from(config.api.requests_per_second);
    match story.ahead {
        0 => "fetched next".into(),
        ahead => {
            format!("fetched in about {}: {} come before it", words::span(seconds + 1), words::count(ahead))
        }
    }
}

fn versions(versions: &[Version]) -> String {
    let mut table = words::table();
    table.set_header(["FROM", "TO", "IN WORK", "READ", "MISSED", "UPDATED", "RATING", "STATUS"]);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for version in versions {
        table.add_row([
            words::moment(version.valid_from),
            version.valid_to.map_or("now".into(), words::moment),
            yes(version.is_in_work),
            yes(version.is_read),
            version.missed_at.map_or("no".into(), words::moment),
            words::moment(version.updated_at),
            version.rate.map_or("-".into(), |rate| rate.to_string()),
            version.status.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    words::rendered(table)
}
