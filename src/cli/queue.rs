//! `queue`: shows and repairs the queue.

use super::print::Out;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::report::humanize;
use crate::store::queue::{self, QueueRow};
use crate::store::{self, SqlError, StoreError};
use crate::talk::TalkId;
use anyhow::Result;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// A table shows at most this many rows. `--json` prints all.
const MAX_ROWS_SHOWN: u64 = 100;

/// Prints the waiting rows.
pub(super) fn list(database: &Path, failed_only: bool, as_json: bool) -> Result<ExitCode> {
    let connection = store::open_read_only(database)?;
    let mut out = Out::new();
    if as_json {
        let mut separator = "[";
        queue::list(&connection, failed_only, None, |row| -> Result<()> {
            writeln!(out.writer(), "{separator}")?;
            serde_json::to_writer(out.writer(), &row)?;
            separator = ",";
            Ok(())
        })?;
        out.exact(if separator == "[" { "[]" } else { "\n]" })?;
        return out.done();
    }

    let now = unix_now();
    let mut table = Table::headed(["TALK", "REASON", "PRIORITY", "QUEUED", "DUE", "ATTEMPTS", "LAST ERROR"]);
    table.leave_out(["PRIORITY", "QUEUED", "ATTEMPTS", "REASON"]);
    let mut shown = 0;
    queue::list(&connection, failed_only, Some(MAX_ROWS_SHOWN), |row| -> Result<()> {
        table.row(cells(&row, now).map(Text::from));
        shown += 1;
        Ok(())
    })?;
    let counts = store::counts::queue(&connection, now).map_err(StoreError::from)?;
    let all = if failed_only { counts.failed } else { counts.due + counts.later + counts.failed };
    if all == 0 {
        out.line(if failed_only { "No talk has failed." } else { "The queue is empty." })?;
    } else {
        out.table(&table)?;
        if all > shown {
            out.line(format!("… and {} more: --json prints them all", humanize::count(all - shown)))?;
        }
        if counts.failed > 0 {
            out.line("")?;
            out.line(
                "Next: `talkmirror queue retry [ID…]` retries what failed, `queue drop ID…` forgets it.",
            )?;
        }
    }
    out.done()
}

fn cells(row: &QueueRow, now: UnixSeconds) -> [String; 7] {
    let due = match row.failed_at {
        Some(failed_at) => format!("failed {}", humanize::ago(failed_at, now)),
        None => humanize::in_time(row.due_at, now),
    };
    [
        row.talk_id.to_string(),
        row.reason.clone(),
        row.priority.to_string(),
        humanize::ago(row.enqueued_at, now),
        due,
        row.attempts.to_string(),
        row.last_error.clone().unwrap_or_default(),
    ]
}

/// Makes rows due now.
pub(super) fn retry(database: &Path, ids: &[TalkId]) -> Result<ExitCode> {
    let connection = store::open(database, false)?;
    let now = unix_now();
    if ids.is_empty() {
        let retried = queue::retry_failed(&connection, now).map_err(StoreError::from)?;
        let mut out = Out::new();
        out.line(format!("{} to be retried now", humanize::talks(retried)))?;
        return out.done();
    }
    each("to be retried now", ids, |talk_id| queue::retry(&connection, talk_id, now))
}

/// Takes ids off the queue.
pub(super) fn drop_ids(database: &Path, ids: &[TalkId]) -> Result<ExitCode> {
    let connection = store::open(database, false)?;
    each("removed from the queue", ids, |talk_id| queue::drop_row(&connection, talk_id))
}

fn each(
    done: &str,
    ids: &[TalkId],
    mut act: impl FnMut(TalkId) -> Result<bool, SqlError>,
) -> Result<ExitCode> {
    let mut missing = Vec::new();
    for &talk_id in ids {
        if !act(talk_id).map_err(StoreError::from)? {
            missing.push(talk_id.to_string());
        }
    }
    let mut out = Out::new();
    out.line(format!("{} {done}", humanize::talks(ids.len() - missing.len())))?;
    let code = out.done()?;
    anyhow::ensure!(missing.is_empty(), "not in the queue: {}", missing.join(", "));
    Ok(code)
}
