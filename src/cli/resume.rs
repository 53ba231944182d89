//! `resume`: ends a pause now, with one probe.

use super::print::Out;
use crate::clock::{self, unix_now};
use crate::report::humanize;
use crate::store::status::{DaemonStatus, PauseStatus};
use crate::store::{self, StoreError, lock, resume};
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// How long to wait for the response to the probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(45);
/// Between two checks for the response.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Asks the process that works the queue to probe now, and prints the result. Returns 1 if the pause continues.
pub(super) fn resume(database: &Path) -> Result<ExitCode> {
    // Checked before this process opens the database.
    let is_held = lock::is_held(database) == Some(true);
    let connection = store::open(database, false)?;
    let mut out = Out::new();
    let status = || DaemonStatus::read(&connection).map_err(StoreError::from);
    let Some(before) = status()?.and_then(|status| status.pause) else {
        out.line("not paused")?;
        return out.done();
    };
    resume::ask(&connection, unix_now()).map_err(StoreError::from)?;
    if !is_held {
        let what = named(&before);
        out.line(format!(
            "no daemon runs: the next start probes at once, whatever paused the last one ({what})"
        ))?;
        return out.done();
    }
    let began = clock::mono();
    while clock::since(began) < PROBE_TIMEOUT {
        thread::sleep(POLL_INTERVAL);
        if resume::asked(&connection).map_err(StoreError::from)?.is_some() {
            continue;
        }
        let Some(pause) = status()?.and_then(|status| status.pause) else {
            out.line("resumed: the API answers again")?;
            return out.done();
        };
        let next = humanize::in_time(pause.until, unix_now());
        out.line(format!("still paused: {}; next probe {next}", named(&pause)))?;
        out.done()?;
        return Ok(ExitCode::FAILURE);
    }
    out.line("the probe is not answered yet: `talkmirror status` shows its result")?;
    out.done()?;
    Ok(ExitCode::FAILURE)
}

/// The reason of the pause, and the response that began it.
pub(super) fn named(pause: &PauseStatus) -> String {
    let reason = pause.what();
    format!("{reason} ({})", pause.detail)
}
