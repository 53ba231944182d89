//! `status`: one screen about the mirror, read from the database alone.

mod backup;
mod publish;
mod size;
mod wal;

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::policy::closing::CloseMode;
use crate::policy::tokens::Expiry;
use crate::report::health::{self, Complaint, warnings};
use crate::report::humanize;
use crate::report::humanize::{backfill, capitalised, completeness, exempt, freshness, past_events};
use crate::report::{self, Overview};
use crate::store::account::{AccountName, AccountStatus};
use crate::store::feeds::{Feeder, FeederRow};
use crate::store::lock;
use crate::store::status::{LaneRequests, Liveness};
use crate::store::{self, StoreError};
use anyhow::Result;
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

/// The maximum width of a complaint. Text of the API or of another program in it may be long.
const MAX_COMPLAINT_WIDTH: usize = 400;

/// Prints the screen. Returns 1 if the mirror is not healthy.
pub(super) fn status(config: &Config, as_json: bool) -> Result<ExitCode> {
    let database = config.database.as_path();
    let rules = &config.auto_close.rules;
    // Checked before this process opens the database.
    let held = lock::is_held(database);
    let connection = store::open_read_only(database)?;
    let now = unix_now();
    let mut overview = report::overview(&connection, now).map_err(StoreError::from)?;
    let alive = overview.daemon.as_ref().map(|daemon| daemon.liveness(held, now));
    wal::find_reader(database, &mut overview);
    let mut complaints = health::complaints(&overview, alive, rules.mode != CloseMode::Off, now);
    let mut warnings = warnings(&overview, alive, now);
    let writer = wal::lock_holder(database, &overview);
    if let Some(holder) = &writer {
        let list = if wal::is_held_up(&overview, alive, now) { &mut complaints } else { &mut warnings };
        list.push(wal::locked(holder));
    }
    let mut out = Out::new();
    if as_json {
        let mut status = json!(overview);
        status["healthy"] = json!(complaints.is_empty());
        status["complaints"] = json!(complaints);
        status["warnings"] = json!(warnings);
        status["write_lock_held_by"] = json!(writer);
        status["running"] = json!(matches!(alive, Some(Liveness::Running | Liveness::Silent)));
        status["database"] = json!(database);
        status["auto_close"] = json!(rules.mode.as_str());
        status["now"] = json!(now);
        out.exact(format!("{status:#}"))?;
    } else {
        screen(&mut out, &overview, alive, (&complaints, &warnings), config, now)?;
    }
    let done = out.done()?;
    Ok(if complaints.is_empty() { done } else { ExitCode::FAILURE })
}

fn screen(
    out: &mut Out<impl Write>,
    overview: &Overview,
    alive: Option<Liveness>,
    (complaints, warnings): (&[Complaint], &[Complaint]),
    config: &Config,
    now: UnixSeconds,
) -> io::Result<()> {
    let mut table = Table::new();
    let mut row = |name: &str, value: Text| table.fact(name, value);
    let incomplete = overview.completeness.as_ref().and_then(|counted| completeness(counted, now));
    let health = match complaints {
        [] => incomplete.map_or("healthy".into(), |how| format!("healthy, but incomplete: {how}")).into(),
        complaints => {
            let count = humanize::count(complaints.len());
            let incomplete = incomplete.map_or(String::new(), |how| format!("; {how}"));
            Text::alarming(format!("not healthy: {count} to check, see below")).then(incomplete)
        }
    };
    row("Mirror", health);
    row("Account", account(overview, now).into());
    row("Database", config.database.display().to_string().into());
    for (name, value) in size::rows(overview, config.retention, now) {
        row(name, value);
    }
    row("WAL", wal::line(overview, &config.database, alive, now));
    row("Daemon", daemon(overview, alive, now));
    let runs = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    if let Some(daemon) = &overview.daemon {
        let last = daemon.last_success_at.map_or("none yet".into(), |at| humanize::ago(at, now));
        row(
            "Requests",
            format!(
                "{:.1} a second of {:.1} allowed; last success {last}",
                if alive == Some(Liveness::Running) { daemon.request_rate } else { 0.0 },
                daemon.requests_per_second,
            )
            .into(),
        );
        if let (Some(at), Some(failure)) = (daemon.last_failure_at, &daemon.last_failure) {
            row("Last failure", format!("{}: {failure}", humanize::ago(at, now)).into());
        }
        // The last pause of a process that has ended is reported below.
        if let Some(pause) = daemon.pause.as_ref().filter(|_| runs) {
            let reason = pause.what();
            row(
                "Paused",
                Text::alarming(format!(
                    "{}: {reason}; next probe {}",
                    humanize::lasting(pause.since, now),
                    humanize::in_time(pause.until, now)
                )),
            );
        }
    }
    if let Some(at) = overview.token_expires_at {
        row("Token", token(overview, at, now));
    }
    let talks = &overview.talks;
    row(
        "Talks",
        format!(
            "{}: {} open ({} missed), {} closed, {} gone; {} denied",
            humanize::count(talks.total),
            humanize::count(talks.in_work),
            humanize::count(talks.missed),
            humanize::count(talks.closed),
            humanize::count(talks.gone),
            humanize::count(talks.denied)
        )
        .into(),
    );
    row("Freshness", freshness(&overview.freshness).to_string().into());
    let queue = &overview.queue;
    let oldest = queue
        .oldest_due_at
        .map_or(String::new(), |at| format!(" (the oldest {})", humanize::lasting(at, now)));
    let next =
        queue.next_due_at.map_or(String::new(), |at| format!(" (the next {})", humanize::in_time(at, now)));
    row(
        "Queue",
        format!(
            "{} due{oldest}, {} later{next}, {} failed",
            humanize::count(queue.due),
            humanize::count(queue.later),
            humanize::count(queue.failed)
        )
        .into(),
    );
    let running = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running));
    if let Some(shares) = running.and_then(|daemon| shares(&daemon.lanes)) {
        row("Shares", shares.into());
    }
    for feeder in &overview.feeders {
        let walks = [Feeder::Backfill, Feeder::PastEvents].map(Feeder::as_str);
        if !walks.contains(&feeder.feeder.as_str()) {
            row(&capitalised(&humanize::feeder(&feeder.feeder).to_string()), feeder_line(feeder, now));
        }
    }
    if let Some(walk) = &overview.backfill {
        row("Backfill", backfill(walk, now).to_string().into());
    }
    if let Some(line) = past_events_line(overview, now) {
        row("Past events", line);
    }
    row("Backup", backup::line(&overview.backup, runs, now));
    if let Some(line) = publish::line(overview, runs, now) {
        row("Publishing", line);
    }
    row("Closing", auto_close(overview, config, now).into());
    if overview.exempt.rows > 0 {
        row("Exempt", format!("{}; see `talkmirror exempt list`", exempt(&overview.exempt)).into());
    }
    row("Closures", closures(overview).into());
    out.table(&table)?;
    for Complaint { what, action } in complaints.iter().chain(warnings) {
        out.line("")?;
        out.line(format!("! {}", humanize::brief(&what.to_string(), MAX_COMPLAINT_WIDTH)))?;
        out.line(format!("  → {action}"))?;
    }
    Ok(())
}

fn auto_close(overview: &Overview, config: &Config, now: UnixSeconds) -> String {
    let rules = &config.auto_close.rules;
    if rules.mode == CloseMode::Off {
        return "off".into();
    }
    let swept = match &overview.sweeps.last {
        None => "no sweep yet".to_owned(),
        Some(last) => {
            let number = |key: &str| last[key].as_i64().unwrap_or_default();
            format!(
                "last sweep {}: {} stale, {} queued",
                humanize::ago(UnixSeconds::new(number("at")), now),
                humanize::count(number("stale")),
                humanize::count(number("queued"))
            )
        }
    };
    format!("{}, talks {}; {swept}", humanize::close_mode(rules.mode), rules.stale)
}

fn closures(overview: &Overview) -> String {
    let today: Vec<String> = overview
        .closures_today
        .iter()
        .map(|(outcome, count)| format!("{} {}", humanize::count(*count), humanize::outcome(*outcome)))
        .collect();
    let today = if today.is_empty() { "none".into() } else { today.join(", ") };
    let today = format!("{today} today ({})", overview.timezone);
    match overview.closures_under_way {
        0 => today,
        under_way => format!("{today}; {} under way", humanize::count(under_way)),
    }
}

/// The mirrored account, and whether the API was found to be that account's.
fn account(overview: &Overview, now: UnixSeconds) -> String {
    let Some(account_id) = overview.account_id else { return "not known yet".into() };
    let AccountStatus { name, base_url, confirmed_at, doubt } = overview.account.clone();
    let name = AccountName { account_id, name, base_url };
    match (doubt, confirmed_at) {
        (Some(_), _) => format!("{name}; not confirmed, see below"),
        (None, Some(at)) => format!("{name}; confirmed {}", humanize::ago(at, now)),
        (None, None) => name.to_string(),
    }
}

fn daemon(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Text {
    let (Some(daemon), Some(alive)) = (&overview.daemon, alive) else {
        return "has never run here".into();
    };
    let command = format!("{} {}", daemon.mode, daemon.version);
    let seen = humanize::ago(daemon.seen_at, now);
    let since = humanize::lasting(daemon.started_at, now);
    let pid = daemon.pid;
    match alive {
        Liveness::Running => format!("runs ({command}, process {pid}) {since}; last sign of life {seen}"),
        Liveness::Silent => format!("runs ({command}) and is silent; last sign of life {seen}"),
        Liveness::Stopped => {
            format!(
                "does not run; stopped {} ({command})",
                humanize::ago(daemon.stopped_at.unwrap_or(now), now)
            )
        }
        Liveness::Vanished => format!("does not run; last sign of life {seen} ({command})"),
    }
    .into()
}

fn token(overview: &Overview, expires_at: UnixSeconds, now: UnixSeconds) -> Text {
    let expiry = Expiry::of(expires_at, now);
    match (&overview.oauth, expiry) {
        (Some(oauth), _) => {
            format!("{expiry}; renewed by itself, last {}", humanize::ago(oauth.refreshed_at, now)).into()
        }
        (None, Expiry::Over(_)) => Text::alarming(expiry.to_string()),
        (None, _) => expiry.to_string().into(),
    }
}

/// How the requests of the last minutes were shared. `None` if there were none.
fn shares(lanes: &[LaneRequests]) -> Option<String> {
    let all: i64 = lanes.iter().map(|lane| lane.requests).sum();
    let share = |lane: &LaneRequests| {
        let percent = (lane.requests as f64 * 100.0 / all as f64).round();
        format!("{} {percent} %", humanize::lane(&lane.lane))
    };
    let shares: Vec<String> = lanes.iter().map(share).collect();
    (all > 0).then(|| format!("{} of {} requests in 5 min", shares.join(", "), humanize::count(all)))
}

/// How far the past events are read. `None` if they never were to be.
fn past_events_line(overview: &Overview, now: UnixSeconds) -> Option<Text> {
    let feeder = overview.feeders.iter().find(|row| row.feeder == Feeder::PastEvents.as_str());
    let feeder = feeder.filter(|row| row.enabled || overview.past_events.is_some())?;
    let read = match &overview.past_events {
        Some(walk) => past_events(walk, feeder, now).to_string(),
        None => "none is read yet".into(),
    };
    Some(with_error(read, feeder, now))
}

fn feeder_line(feeder: &FeederRow, now: UnixSeconds) -> Text {
    if !feeder.enabled {
        return "off".into();
    }
    if feeder.feeder == Feeder::Directory.as_str() {
        // It stores names, and queues nothing.
        let read = feeder.ran_at.map(|at| format!("last read {}", humanize::ago(at, now)));
        return with_error(read.unwrap_or_else(|| "on, nothing read yet".into()), feeder, now);
    }
    let found = humanize::talks(feeder.found);
    let in_all = humanize::count(feeder.found_in_all);
    let ran = match feeder.ran_at {
        None => format!("on, first run not finished; {in_all} queued so far"),
        Some(at) => format!("last {}: {found} queued ({in_all} in all)", humanize::ago(at, now)),
    };
    with_error(ran, feeder, now)
}

fn with_error(what: String, feeder: &FeederRow, now: UnixSeconds) -> Text {
    match (&feeder.trouble, feeder.trouble_since) {
        (Some(trouble), since) => {
            let since = since.map_or(String::new(), |since| format!(" {}", humanize::lasting(since, now)));
            Text::from(format!("{what}; ")).then(Text::alarming(format!("error{since}: {trouble}")))
        }
        (None, _) => what.into(),
    }
}
