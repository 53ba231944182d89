//! `close`: stale talks closed by hand, through the same code as a sweep's.

use super::run::runtime;
use super::sync::Watch;
use super::words;
use crate::clock::unix_now;
use crate::config::Config;
use crate::daemon::{self, SyncEnd, ToClose};
use crate::policy::closing::CloseMode;
use crate::store::{self, StoreError, closures, lock, queue, sweep};
use anyhow::{Result, bail, ensure};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// What was asked on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub ids: &'a [i64],
    pub dry_run: bool,
    pub yes: bool,
}

/// Whether some process works on the database: what is to be closed is its business then.
pub fn has_holder(config: &Config) -> bool {
    lock::is_held(&config.database) == Some(true)
}

/// Queues what is to be closed for the process that works on the database.
pub fn hand_over(mut config: Config, request: &Request<'_>) -> Result<ExitCode> {
    let Some(to_close) = prepare(&mut config, request)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut connection = store::open(&config.database, false)?;
    let queued = daemon::queue_to_close(&mut connection, &config.auto_close.rules, &to_close)?;
    let what =
        if config.auto_close.rules.mode == CloseMode::Live { "closed" } else { "decided on (dry-run)" };
    writeln!(
        io::stdout(),
        "{} queued to be {what} by the daemon that runs; `talkmirror status` and the table closures show what came of it",
        words::talks(queued.len() as i64)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Closes, and prints what became of each talk; 1 where one was not settled.
pub fn close(mut config: Config, request: &Request<'_>) -> Result<ExitCode> {
    let Some(to_close) = prepare(&mut config, request)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let began = unix_now();
    let runtime = runtime()?;
    let mut watch = Watch::new(&config, closures::CLOSE_PRIORITY);
    let ended = runtime.block_on(daemon::close(&config, &to_close, |worker| watch.look(worker)));
    runtime.shutdown_background();
    drop(watch);
    let (queued, end, _) = ended?;

    let connection = store::open_read_only(&config.database)?;
    let mut table = words::table();
    table.set_header(["TALK", "OUTCOME", "WHY"]);
    let mut unsettled = 0;
    for talk_id in &queued {
        let closure = closures::last_of_talk(&connection, *talk_id, began).map_err(StoreError::from)?;
        let waits = queue::row(&connection, *talk_id).map_err(StoreError::from)?;
        let (outcome, why) = match (&closure, &waits) {
            (Some(closure), _) => {
                let error = closure.error.as_ref().map(|error| format!("; {error}")).unwrap_or_default();
                (closure.outcome.clone(), format!("{}{error}", closure.reason))
            }
            (None, Some(row)) => ("waits".into(), row.last_error.clone().unwrap_or_default()),
            (None, None) => ("left".into(), "see the log, and `talkmirror why`".into()),
        };
        let settled = matches!(outcome.as_str(), "closed" | "withdrawn" | "would_close" | "left");
        unsettled += usize::from(!settled);
        table.add_row([talk_id.to_string(), outcome, why]);
    }
    let mut out = io::stdout().lock();
    match queued.is_empty() {
        true => writeln!(out, "No talk is to be closed.")?,
        false => write!(out, "{}", words::rendered(table))?,
    }
    match end {
        SyncEnd::Worked if unsettled == 0 => Ok(ExitCode::SUCCESS),
        SyncEnd::Worked => Ok(ExitCode::FAILURE),
        SyncEnd::Stopped => bail!("stopped by a signal; what is not settled stays queued"),
        SyncEnd::Paused(reason, left) => {
            bail!("everything pauses for {} more: {reason}", words::span(left as i64))
        }
        SyncEnd::Trouble(why) => bail!("cannot write the database: {why}"),
    }
}

/// What is to be closed, once the mode allows it and whoever asks is sure.
fn prepare(config: &mut Config, request: &Request<'_>) -> Result<Option<ToClose>> {
    let rules = &mut config.auto_close.rules;
    if request.dry_run {
        rules.mode = CloseMode::DryRun;
    }
    ensure!(
        rules.mode != CloseMode::Off,
        "auto_close.mode is off: nothing is closed; set it to \"live\", or try `talkmirror close --dry-run`"
    );
    let to_close = match request.ids {
        [] => ToClose::Stale,
        ids => ToClose::Talks(ids.to_vec()),
    };
    if rules.mode == CloseMode::DryRun || request.yes {
        return Ok(Some(to_close));
    }
    ensure!(io::stdin().is_terminal(), "there is no terminal to ask on: --yes closes without asking");
    let ids = match &to_close {
        ToClose::Talks(ids) => ids.clone(),
        ToClose::Stale => {
            let connection = store::open_read_only(&config.database)?;
            sweep::candidates(&connection, rules, rules.max_per_sweep, unix_now())
                .map_err(StoreError::from)?
        }
    };
    if ids.is_empty() {
        writeln!(io::stdout(), "No talk is to be closed.")?;
        return Ok(None);
    }
    let named: Vec<String> = ids.iter().take(20).map(ToString::to_string).collect();
    let more = if ids.len() > named.len() { ", …" } else { "" };
    let mut err = io::stderr().lock();
    write!(
        err,
        "Close {} ({}{more}), where a fetch just before shows that they are stale: talks {}?\n\
         Their clients are cut off; it cannot be undone. [y/N] ",
        words::talks(ids.len() as i64),
        named.join(", "),
        rules.stale
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(Some(to_close));
    }
    writeln!(err, "Nothing was closed.")?;
    Ok(None)
}
