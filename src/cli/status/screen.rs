//! The screen: a table of facts, then what is wrong and what to do.

use super::{State, backup, feeders, publish, size, wal};
use crate::cli::print::Out;
use crate::cli::table::{Table, Text};
use crate::clock::UnixSeconds;
use crate::config::Config;
use crate::language::{Language, Message, MessageValue, ago, in_time, lasting};
use crate::policy::closing::CloseMode;
use crate::policy::tokens::Expiry;
use crate::report::Overview;
use crate::report::health::Complaint;
use crate::report::humanize;
use crate::store::account::{AccountName, AccountStatus};
use crate::store::status::{DaemonStatus, LaneRequests, Liveness};
use std::io::{self, Write};

/// The maximum width of a complaint. Text of the API or of another program in it may be long.
const MAX_COMPLAINT_WIDTH: usize = 400;

/// Prints the facts, then what is wrong.
pub(super) fn print(
    out: &mut Out<impl Write>,
    state: &State,
    config: &Config,
    language: Language,
) -> io::Result<()> {
    out.table(&facts(state, config, language, &Message::new("status-see-below")))?;
    for complaint in complaints(state) {
        out.line("")?;
        print_complaint(out, complaint, language)?;
    }
    Ok(())
}

/// Prints what is wrong, then the facts: a low terminal may hold only the first lines.
pub(super) fn print_complaints_first(
    out: &mut Out<impl Write>,
    state: &State,
    config: &Config,
    language: Language,
) -> io::Result<()> {
    for complaint in complaints(state) {
        print_complaint(out, complaint, language)?;
        out.line("")?;
    }
    out.table(&facts(state, config, language, &Message::new("status-see-above")))
}

fn complaints(state: &State) -> impl Iterator<Item = &Complaint> {
    state.complaints.iter().chain(&state.warnings)
}

fn print_complaint(out: &mut Out<impl Write>, complaint: &Complaint, language: Language) -> io::Result<()> {
    let what = complaint.what.to(language);
    out.line_at(2, &"!".into(), humanize::brief(&what, MAX_COMPLAINT_WIDTH))?;
    out.line_at(4, &"  →".into(), complaint.action.to(language))
}

/// `see` is where the complaints are.
fn facts(state: &State, config: &Config, language: Language, see: &Message) -> Table {
    let State { overview, alive, now, .. } = state;
    let (alive, now, runs) = (*alive, *now, state.runs());
    let mut table = Table::new();
    let mut row = |name: Message, value: Text| table.fact(&name.to(language), value);
    let plain = |message: Message| Text::from(message.to(language));
    row(Message::new("status-mirror"), health(state, language, see));
    row(Message::new("status-account"), plain(account(overview, now, see)));
    row(Message::new("status-database"), config.database.display().to_string().into());
    row(Message::new("status-size"), plain(size::size(&overview.size, now)));
    if let Some(versions) = config.retention {
        row(Message::new("status-history"), size::history(overview, versions, now, language));
    }
    row(Message::new("status-wal"), wal::line(overview, &config.database, alive, now, language));
    row(Message::new("status-daemon"), plain(daemon(overview, alive, now)));
    if let Some(daemon) = &overview.daemon {
        row(Message::new("status-requests"), plain(requests(daemon, alive, now)));
        if let (Some(at), Some(failure)) = (daemon.last_failure_at, &daemon.last_failure) {
            let failed =
                Message::new("status-failed").with("time", ago(at, now)).with("why", failure.as_str());
            row(Message::new("status-last-failure"), plain(failed));
        }
        // The last pause of a process that has ended is reported below.
        if let Some(pause) = daemon.pause.as_ref().filter(|_| runs) {
            let paused = Message::new("status-pause")
                .with("time", lasting(pause.since, now))
                .with("why", pause.what())
                .with("next", in_time(pause.until, now));
            row(Message::new("status-paused"), Text::alarming(paused.to(language)));
        }
    }
    if let Some(at) = overview.token_expires_at {
        row(Message::new("status-token"), token(overview, at, now, language));
    }
    row(Message::new("status-talks"), plain(talks(overview)));
    row(Message::new("status-freshness"), plain(humanize::freshness(&overview.freshness)));
    row(Message::new("status-queue"), plain(queue(overview, now)));
    let running = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running));
    if let Some(shares) = running.and_then(|daemon| shares(&daemon.lanes)) {
        row(Message::new("status-shares"), plain(shares));
    }
    for (name, line) in feeders::rows(overview, now, language) {
        row(Message::verbatim(name), line);
    }
    row(Message::new("status-backup"), backup::line(&overview.backup, runs, now, language));
    if let Some(line) = publish::line(overview, runs, now, language) {
        row(Message::new("status-publishing"), line);
    }
    row(Message::new("status-closing"), plain(auto_close(overview, config, now)));
    if overview.exempt.rows > 0 {
        let exempt = Message::new("status-exempt-see").with("exempt", humanize::exempt(&overview.exempt));
        row(Message::new("status-exempt"), plain(exempt));
    }
    row(Message::new("status-closures"), plain(closures(overview)));
    table
}

fn health(state: &State, language: Language, see: &Message) -> Text {
    let counted = state.overview.completeness.as_ref();
    let incomplete = counted.and_then(|counted| humanize::completeness(counted, state.now));
    match (state.complaints.len(), incomplete) {
        (0, None) => language.text("status-healthy").into(),
        (0, Some(how)) => Message::new("status-incomplete").with("how", how).to(language).into(),
        (number, incomplete) => {
            let unhealthy = Message::new("status-not-healthy")
                .with("number", number)
                .with("see", see.clone())
                .to(language);
            let more = incomplete.map_or(String::new(), |how| format!("; {}", how.to(language)));
            Text::alarming(unhealthy).then(more)
        }
    }
}

/// The mirrored account, and whether the API was found to be that account's.
fn account(overview: &Overview, now: UnixSeconds, see: &Message) -> Message {
    let Some(account_id) = overview.account_id else { return Message::new("status-account-unknown") };
    let AccountStatus { name, base_url, confirmed_at, doubt } = overview.account.clone();
    let name = AccountName { account_id, name, base_url }.to_string();
    match (doubt, confirmed_at) {
        (Some(_), _) => Message::new("status-account-doubted").with("account", name).with("see", see.clone()),
        (None, Some(at)) => {
            Message::new("status-account-confirmed").with("account", name).with("time", ago(at, now))
        }
        (None, None) => Message::verbatim(name),
    }
}

fn daemon(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Message {
    let (Some(daemon), Some(alive)) = (&overview.daemon, alive) else {
        return Message::new("status-daemon-never");
    };
    let seen = ago(daemon.seen_at, now);
    let message = match alive {
        Liveness::Running => Message::new("status-daemon-runs")
            .with("process", daemon.pid.to_string())
            .with("since", lasting(daemon.started_at, now))
            .with("seen", seen),
        Liveness::Silent => Message::new("status-daemon-silent").with("seen", seen),
        Liveness::Stopped => {
            Message::new("status-daemon-stopped").with("time", ago(daemon.stopped_at.unwrap_or(now), now))
        }
        Liveness::Vanished => Message::new("status-daemon-vanished").with("seen", seen),
    };
    message.with("command", format!("{} {}", daemon.mode, daemon.version))
}

fn requests(daemon: &DaemonStatus, alive: Option<Liveness>, now: UnixSeconds) -> Message {
    let rate = if alive == Some(Liveness::Running) { daemon.request_rate } else { 0.0 };
    let last = daemon.last_success_at.map_or_else(|| Message::new("status-none-yet"), |at| ago(at, now));
    Message::new("status-request-rate")
        .with("rate", MessageValue::Decimal(rate, 1))
        .with("allowed", MessageValue::Decimal(daemon.requests_per_second, 1))
        .with("last", last)
}

fn token(overview: &Overview, expires_at: UnixSeconds, now: UnixSeconds, language: Language) -> Text {
    let expiry = Expiry::of(expires_at, now);
    let text = expiry.message();
    match (&overview.oauth, expiry) {
        (Some(oauth), _) => Message::new("status-token-renewed")
            .with("expiry", text)
            .with("time", ago(oauth.refreshed_at, now))
            .to(language)
            .into(),
        (None, Expiry::Over(_)) => Text::alarming(text.to(language)),
        (None, _) => text.to(language).into(),
    }
}

fn talks(overview: &Overview) -> Message {
    let talks = &overview.talks;
    Message::new("status-talk-counts")
        .with("total", talks.total)
        .with("open", talks.in_work)
        .with("missed", talks.missed)
        .with("closed", talks.closed)
        .with("gone", talks.gone)
        .with("denied", talks.denied)
}

fn queue(overview: &Overview, now: UnixSeconds) -> Message {
    let queue = &overview.queue;
    let due = Message::new("status-queue-due").with("number", queue.due);
    let later = Message::new("status-queue-later").with("number", queue.later);
    let with = |count: Message, remark: Option<Message>| match remark {
        None => count,
        Some(remark) => Message::new("status-queue-with").with("count", count).with("remark", remark),
    };
    let oldest =
        queue.oldest_due_at.map(|at| Message::new("status-queue-oldest").with("time", lasting(at, now)));
    let next = queue.next_due_at.map(|at| Message::new("status-queue-next").with("time", in_time(at, now)));
    let failed = Message::new("status-queue-failed").with("number", queue.failed);
    Message::verbatim(vec![with(due, oldest), with(later, next), failed])
}

/// How the requests of the last minutes were shared. `None` if there were none.
fn shares(lanes: &[LaneRequests]) -> Option<Message> {
    let all: i64 = lanes.iter().map(|lane| lane.requests).sum();
    let share = |lane: &LaneRequests| {
        let percent = (lane.requests as f64 * 100.0 / all as f64).round();
        Message::new("status-share")
            .with("lane", humanize::lane(&lane.lane))
            .with("percent", MessageValue::Decimal(percent, 0))
    };
    let shares: Vec<Message> = lanes.iter().map(share).collect();
    (all > 0).then(|| Message::new("status-shared").with("shares", shares).with("number", all))
}

fn auto_close(overview: &Overview, config: &Config, now: UnixSeconds) -> Message {
    let rules = &config.auto_close.rules;
    if rules.mode == CloseMode::Off {
        return humanize::close_mode(rules.mode);
    }
    let swept = match &overview.sweeps.last {
        None => Message::new("status-no-sweep"),
        Some(last) => {
            let number = |key: &str| last[key].as_i64().unwrap_or_default();
            Message::new("status-sweep")
                .with("time", ago(UnixSeconds::new(number("at")), now))
                .with("stale", number("stale"))
                .with("queued", number("queued"))
        }
    };
    Message::new("status-auto-close")
        .with("mode", humanize::close_mode(rules.mode))
        .with("rules", rules.stale.message())
        .with("swept", swept)
}

fn closures(overview: &Overview) -> Message {
    let outcome = |(outcome, count): (&_, &i64)| {
        Message::new("status-outcome").with("number", *count).with("outcome", humanize::outcome(*outcome))
    };
    let today: Vec<Message> = overview.closures_today.iter().map(outcome).collect();
    let today = match today.is_empty() {
        true => Message::new("status-none-today"),
        false => Message::new("status-today").with("outcomes", today),
    };
    let today = today.with("zone", overview.timezone.as_str());
    match overview.closures_under_way {
        0 => today,
        number => Message::new("status-under-way").with("today", today).with("number", number),
    }
}
