//! `sync`: works the due rows, shows progress, and prints a summary.

use super::print::Out;
use super::progress::{Counted, ProgressDisplay};
use super::run::runtime;
use super::table::Table;
use crate::clock::{self, UnixSeconds, unix_now};
use crate::config::Config;
use crate::daemon::{self, SyncEnd, Synced};
use crate::number;
use crate::report;
use crate::report::humanize;
use crate::store::counts::{self, QueueCounts};
use crate::store::{self, StoreError};
use crate::talk::TalkId;
use crate::worker::{Closures, Counters, Worker};
use anyhow::Result;
use serde_json::json;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two counts of the queue.
const RECOUNT_INTERVAL: Duration = Duration::from_secs(2);

/// Queues `ids`, works what is due, and prints a summary. Returns 1 if a requested or tried talk could not be
/// fetched.
pub(super) fn sync(
    config: &Config,
    ids: &[RangeInclusive<TalkId>],
    no_close: bool,
    as_json: bool,
) -> Result<ExitCode> {
    let began = clock::mono();
    let runtime = runtime()?;
    let mut watch = QueueProgress::new(config, i64::MIN);
    let ended = runtime.block_on(daemon::sync(config, ids, no_close, |worker| watch.update(worker)));
    runtime.shutdown_background();
    drop(watch);
    let Synced { end, counters, unfetched, unqueued } = ended?;

    let now = unix_now();
    let connection = store::open_read_only(&config.database)?;
    let queue = report::overview(&connection, now).map_err(StoreError::from)?.queue;
    // A probe's talk may have no row that could fail.
    let unfetched = counts::still_queued(&connection, &unfetched).map_err(StoreError::from)?;
    let waiting = queue.due + queue.later;
    let mut out = Out::new();
    if as_json {
        let summary = json!({
            "mirrored": counters.mirrored(), "new": counters.new, "changed": counters.changed,
            "unchanged": counters.same, "older": counters.older, "gone": counters.gone, "denied": counters.denied,
            "failed": counters.failed, "retries": counters.retried, "requests": counters.requests,
            "closures": counters.closures, "unfetched": unfetched, "waiting": waiting, "set_aside": queue.failed, "seconds": clock::since(began).as_secs_f64(),
            "database": config.database,
        });
        out.exact(summary)?;
    } else {
        out.table(&summary(&counters, &queue, clock::since(began), now))?;
    }
    let done = out.done()?;
    let is_write_blocked = matches!(end, SyncEnd::WriteBlocked(_));
    let reason = match end {
        SyncEnd::Worked => None,
        SyncEnd::Stopped => Some("stopped by a signal".to_owned()),
        SyncEnd::Paused(reason, left) => {
            Some(format!("everything pauses for {} more: {reason}", humanize::duration(number::whole(left))))
        }
        SyncEnd::WriteBlocked(why) => Some(format!("cannot write the database: {why}")),
    };
    // A row that failed earlier and is not due yet does not fail this run.
    match reason {
        Some(reason) if unqueued => {
            anyhow::bail!("{reason}; not all requested talks are queued: run the command again")
        }
        Some(reason) if queue.due > 0 || unfetched > 0 || is_write_blocked => {
            anyhow::bail!("{reason}; {} stay queued", humanize::talks(waiting))
        }
        _ if unfetched > 0 || counters.closures.failed + counters.closures.refused > 0 => {
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(done),
    }
}

fn summary(counters: &Counters, queue: &QueueCounts, took: Duration, now: UnixSeconds) -> Table {
    let count = |number: u64| humanize::count(number);
    let mut table = Table::new();
    let mut row = |name: &str, value: String| table.fact(name, value);
    row(
        "Mirrored",
        format!(
            "{} in {:.1} s: {} new, {} changed, {} unchanged",
            humanize::talks(counters.mirrored()),
            took.as_secs_f64(),
            count(counters.new),
            count(counters.changed),
            count(counters.same),
        ),
    );
    if counters.older > 0 {
        let older = count(counters.older);
        row("Older", format!("{older}: the answer was older than the stored state, which stays"));
    }
    if counters.gone > 0 {
        row("Gone", format!("{}: the account has no such talk", count(counters.gone)));
    }
    if counters.denied > 0 {
        row(
            "Denied",
            format!("{}: the token has no right to them; retried in a day", count(counters.denied)),
        );
    }
    if let Some(closures) = closures(&counters.closures) {
        row("Auto-close", closures);
    }
    if counters.failed > 0 {
        row("Failed", format!("{}: see `talkmirror queue list --failed`", count(counters.failed)));
    }
    let waiting = queue.due + queue.later;
    if waiting > 0 {
        let next = if queue.due > 0 { Some(now) } else { queue.next_due_at };
        let next = next.map_or(String::new(), |at| format!(", the next {}", humanize::in_time(at, now)));
        row("Waiting", format!("{}{next}: see `talkmirror queue list`", humanize::talks(waiting)));
    }
    table
}

/// The outcomes of closings, if there were any.
fn closures(closures: &Closures) -> Option<String> {
    let Closures { would_close, accepted, closed, withdrawn, refused, failed } = *closures;
    let pending = accepted.saturating_sub(closed);
    let counts = [
        (would_close, "would be closed (dry-run)"),
        (closed, "closed"),
        (pending, "accepted and not seen closed yet"),
        (withdrawn, "kept: no longer stale"),
        (refused, "refused"),
        (failed, "failed"),
    ];
    let counted_outcomes: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", humanize::count(count)))
        .collect();
    (!counted_outcomes.is_empty()).then(|| counted_outcomes.join(", "))
}

/// Shows a worker's progress through the queue.
pub(super) struct QueueProgress {
    database: std::path::PathBuf,
    least_priority: i64,
    progress: Option<ProgressDisplay>,
    /// The waiting rows at the last count, and how many were done by then.
    counted: Option<(u64, u64)>,
    count_at: Instant,
}

impl QueueProgress {
    /// Counts rows of this priority and above.
    pub(super) fn new(config: &Config, least_priority: i64) -> QueueProgress {
        let database = config.database.clone();
        QueueProgress { database, least_priority, progress: None, counted: None, count_at: clock::mono() }
    }

    pub(super) fn update(&mut self, worker: &Worker) {
        let counters = worker.counters();
        // Before the account is confirmed, nothing is queued yet.
        let is_empty = self.counted.is_none_or(|(waiting, _)| waiting == 0);
        if is_empty || clock::mono() >= self.count_at {
            self.count_at = clock::mono() + RECOUNT_INTERVAL;
            self.counted = self.waiting().map(|waiting| (waiting, counters.done()));
        }
        let (waiting, done_then) = self.counted.unwrap_or((0, 0));
        let mut notes = Vec::new();
        if counters.failed > 0 {
            notes.push(format!("{} failed", counters.failed));
        }
        if counters.retried > 0 {
            notes.push(format!("{} retries", counters.retried));
        }
        if let Some((pause, _)) = worker.pause() {
            let left = pause.until.saturating_duration_since(clock::mono()).as_secs();
            notes.push(format!("paused for {left} s: {}", pause.reason));
        }
        if let Some((why, _)) = worker.write_error() {
            notes.push(format!("cannot write the database: {why}"));
        }
        if waiting + done_then == 0 && notes.is_empty() {
            return;
        }
        self.progress.get_or_insert_with(|| ProgressDisplay::new(waiting, Counted::Talks)).set(
            counters.done(),
            waiting + done_then,
            &notes.join(", "),
        );
    }

    fn waiting(&self) -> Option<u64> {
        let connection = store::open_read_only(&self.database).ok()?;
        counts::waiting(&connection, self.least_priority).ok()
    }
}
