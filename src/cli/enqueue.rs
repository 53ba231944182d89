//! `enqueue`: puts ids in the queue.

use super::print::Out;
use super::progress::{Counted, ProgressDisplay};
use super::talk_ids::{IdsOrStdin, talk_ids};
use crate::files::without_bom;
use crate::report::humanize;
use crate::store;
use crate::store::queue;
use crate::talk::TalkId;
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::io::{self, BufRead};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;

/// Queues the ids. Queues nothing if one of them is not an id.
pub(super) fn enqueue(database: &Path, ids: &[IdsOrStdin], as_json: bool) -> Result<ExitCode> {
    let mut ranges = Vec::new();
    for ids in ids {
        match ids {
            IdsOrStdin::Ids(range) => ranges.push(range.clone()),
            IdsOrStdin::Stdin => read_stdin(&mut ranges)?,
        }
    }
    let total = ranges.iter().map(|range| range.end().get().abs_diff(range.start().get()) + 1).sum();
    let mut connection = store::open(database, false)?;
    let mut progress = ProgressDisplay::new(total, Counted::Talks);
    let enqueued = queue::enqueue(&mut connection, &ranges, |done| progress.set(done, total, ""))
        .context("cannot queue them all; what was queued stays queued")?;
    drop(progress);
    let mut out = Out::new();
    if as_json {
        out.exact(json!(enqueued))?;
    } else {
        let queued = humanize::talks(enqueued.new);
        out.line(format!("{queued} queued, {} already waited", humanize::count(enqueued.already_waiting)))?;
    }
    out.done()
}

/// Adds the ids in the lines of stdin. Consecutive ids become one range.
fn read_stdin(ranges: &mut Vec<RangeInclusive<TalkId>>) -> Result<()> {
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line.context("cannot read stdin")?;
        let text = if number == 0 { without_bom(&line) } else { &line }.trim();
        if text.is_empty() {
            continue;
        }
        let range = talk_ids(text).map_err(|expected| {
            anyhow!("stdin, line {}: {expected}, found {text:?}; nothing was queued", number + 1)
        })?;
        match ranges.last_mut() {
            Some(last) if last.end().get().checked_add(1) == Some(range.start().get()) => {
                *last = *last.start()..=*range.end();
            }
            _ => ranges.push(range),
        }
    }
    Ok(())
}
