//! `queue`: looks at the queue and mends it.

use super::words;
use crate::clock::unix_now;
use crate::store::queue::{self, QueueRow};
use crate::store::{self, StoreError};
use anyhow::Result;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

/// A table for people ends here; `--json` prints all.
const SHOWN: u64 = 100;
/// As much of an error as a table shows.
const ERROR_WIDTH: usize = 80;

/// Prints what waits.
pub fn list(database: &Path, failed_only: bool, as_json: bool) -> Result<ExitCode> {
    let connection = store::open_read_only(database)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json {
        let mut separator = "[";
        queue::list(&connection, failed_only, None, |row| -> Result<()> {
            writeln!(out, "{separator}")?;
            serde_json::to_writer(&mut out, &row)?;
            separator = ",";
            Ok(())
        })?;
        writeln!(out, "{}", if separator == "[" { "[]" } else { "\n]" })?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }

    let now = unix_now();
    let mut table = words::table();
    table.set_header(["TALK", "REASON", "PRIORITY", "WAITS FOR", "DUE", "ATTEMPTS", "LAST ERROR"]);
    let mut shown = 0;
    queue::list(&connection, failed_only, Some(SHOWN), |row| -> Result<()> {
        table.add_row(cells(&row, now));
        shown += 1;
        Ok(())
    })?;
    let counts = store::report::queue(&connection, now).map_err(StoreError::from)?;
    let all = if failed_only { counts.failed } else { counts.due + counts.later + counts.failed };
    if all == 0 {
        writeln!(out, "{}", if failed_only { "No talk is set aside." } else { "The queue is empty." })?;
    } else {
        write!(out, "{}", words::rendered(table))?;
        if all > shown {
            writeln!(out, "… and {} more: --json prints them all", words::count(all - shown))?;
        }
        if counts.failed > 0 {
            writeln!(
                out,
                "\nNext: `talkmirror queue retry [ID…]` tries again what is set aside, `queue drop ID…` forgets it."
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &QueueRow, now: i64) -> [String; 7] {
    let due = match row.failed_at {
        Some(failed_at) => format!("set aside {}", words::ago(failed_at, now)),
        None => words::in_time(row.due_at, now),
    };
    let mut error = row.last_error.clone().unwrap_or_default();
    if error.chars().count() > ERROR_WIDTH {
        error = error.chars().take(ERROR_WIDTH - 1).chain(['…']).collect();
    }
    [
        row.talk_id.to_string(),
        row.reason.clone(),
        row.priority.to_string(),
        words::span(now - row.enqueued_at),
        due,
        row.attempts.to_string(),
        error,
    ]
}

/// Makes rows due now.
pub fn retry(database: &Path, ids: &[i64]) -> Result<ExitCode> {
    let connection = store::open(database, false)?;
    let now = unix_now();
    if ids.is_empty() {
        let retried = queue::retry_failed(&connection, now).map_err(StoreError::from)?;
        writeln!(io::stdout(), "{} to be tried again now", words::talks(retried as i64))?;
        return Ok(ExitCode::SUCCESS);
    }
    each("to be tried again now", ids, |talk_id| queue::retry(&connection, talk_id, now))
}

/// Takes ids off the queue.
pub fn drop_ids(database: &Path, ids: &[i64]) -> Result<ExitCode> {
    let connection = store::open(database, false)?;
    each("taken off the queue", ids, |talk_id| queue::drop_row(&connection, talk_id))
}

fn each(done: &str, ids: &[i64], mut act: impl FnMut(i64) -> rusqlite::Result<bool>) -> Result<ExitCode> {
    let mut missing = Vec::new();
    for &talk_id in ids {
        if !act(talk_id).map_err(StoreError::from)? {
            missing.push(talk_id.to_string());
        }
    }
    writeln!(io::stdout(), "{} {done}", words::talks((ids.len() - missing.len()) as i64))?;
    anyhow::ensure!(missing.is_empty(), "not in the queue: {}", missing.join(", "));
    Ok(ExitCode::SUCCESS)
}
