//! `close`: closes stale talks by hand, with the code of a sweep.

use super::print::{self, Out};
use super::progress::eprint_line;
use super::run::runtime;
use super::sync::QueueProgress;
use super::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::daemon::{self, Closed, DaemonError, SyncEnd};
use crate::number;
use crate::policy::closing::{CloseMode, ClosingOutcome, FetchReason};
use crate::policy::exemption::Exempting;
use crate::report::humanize;
use crate::store::Connection;
use crate::store::lock::{self, LockError};
use crate::store::status::DaemonStatus;
use crate::store::sweep::{self, QueuedToClose, ToClose};
use crate::store::{self, StoreError, closures, queue};
use crate::talk::TalkId;
use anyhow::{Context, Result, bail, ensure};
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// The arguments of the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloseArguments<'a> {
    pub ids: &'a [TalkId],
    pub dry_run: bool,
    pub yes: bool,
}

/// Queues talks to close for the daemon `holder` that works on the database.
pub(super) fn queue_for_daemon(
    config: &Config,
    holder: String,
    request: &CloseArguments<'_>,
) -> Result<ExitCode> {
    let database = &config.database;
    let daemon = |holder: &str| DaemonStatus::of_daemon(database, holder);
    if daemon(&holder)?.is_none() {
        // The holder is a `sync`, or is still starting. Rows queued now might wait for a daemon that never comes.
        let database = database.clone();
        return Err(DaemonError::Lock(LockError::Held { database, holder }).into());
    }
    let Some(to_close) = prepare(config, request)? else {
        return Ok(ExitCode::SUCCESS);
    };
    // The person who was asked may have taken long to answer.
    let still = lock::lock_holder(database).filter(|now| *now == holder).map(|holder| daemon(&holder));
    let daemon = still
        .transpose()?
        .flatten()
        .context("the daemon has ended meanwhile: nothing was queued; run the command again")?;
    let mut connection = store::open(database, false)?;
    let running = sweep::running_mode(&connection).map_err(StoreError::from)?;
    ensure!(
        to_close.reason == FetchReason::DryRun || running == Some(CloseMode::Live),
        "the running daemon uses auto_close.mode = \"{}\": restart it, then run the command again",
        running.unwrap_or_default()
    );
    let QueuedToClose { queued, under_way, exempt } =
        sweep::queue_to_close(&mut connection, &config.auto_close.rules, &to_close, unix_now())
            .map_err(StoreError::from)?;
    let mut out = Out::new();
    out.line(format!(
        "{} queued to be {} by the running daemon; `talkmirror status` and the table closures show the \
         results",
        humanize::talks(queued.len()),
        humanize::aim(if to_close.reason == FetchReason::Close {
            CloseMode::Live
        } else {
            CloseMode::DryRun
        })
    ))?;
    if let Some(why) = daemon.not_closing {
        out.line(format!("But {why}: nothing is closed until that is corrected"))?;
    }
    if !under_way.is_empty() {
        out.line(format!("{}: a closing is already under way", humanize::talks(under_way.len())))?;
    }
    for (talk_id, exempting) in &exempt {
        out.line(format!("Talk {talk_id} is not queued: {}", kept(exempting)))?;
    }
    let done = out.done()?;
    Ok(if exempt.is_empty() { done } else { ExitCode::FAILURE })
}

/// Why an exempt talk is not closed, and what a person can do.
fn kept(exempting: &Exempting) -> String {
    let id = exempting.exemption.id;
    format!("{exempting}; `talkmirror exempt remove {id}` ends that")
}

/// Closes talks and prints each outcome. Returns 1 if one is not settled.
pub(super) fn close(config: &Config, request: &CloseArguments<'_>) -> Result<ExitCode> {
    let Some(to_close) = prepare(config, request)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let began = unix_now();
    let runtime = runtime()?;
    let mut watch = QueueProgress::new(config, closures::CLOSE_PRIORITY);
    let ended = runtime.block_on(daemon::close(config, &to_close, |worker| watch.update(worker)));
    runtime.shutdown_background();
    drop(watch);
    let closed = ended?;

    let connection = store::open_read_only(&config.database)?;
    let mut table = Table::headed(["TALK", "OUTCOME", "WHY"]);
    let mut unsettled = 0;
    let QueuedToClose { queued, under_way, exempt } = closed.queued_to_close.clone().unwrap_or_default();
    for &talk_id in &queued {
        let (end, why) = end(&connection, &closed, talk_id, began)?;
        unsettled += usize::from(!end.is_settled());
        table.row([talk_id.to_string(), end.as_str().to_owned(), why].map(Text::from));
    }
    for talk_id in &under_way {
        unsettled += 1;
        let why = format!("a closing of it is already under way: see `talkmirror why {talk_id}`");
        table.row([talk_id.to_string(), End::Left.as_str().to_owned(), why].map(Text::from));
    }
    for (talk_id, exempting) in &exempt {
        unsettled += 1;
        table.row([talk_id.to_string(), End::Left.as_str().to_owned(), kept(exempting)].map(Text::from));
    }
    let mut out = Out::new();
    match queued.is_empty() && under_way.is_empty() && exempt.is_empty() {
        true if closed.queued_to_close.is_none() => out.line("Nothing was queued.")?,
        true if to_close.reason == FetchReason::DryRun => {
            out.line("Every stale talk is already recorded: see the table closures.")?;
        }
        true => out.line("No talk is to be closed.")?,
        false => out.table(&table)?,
    }
    let done = out.done()?;
    match closed.end {
        SyncEnd::Worked if unsettled == 0 => Ok(done),
        SyncEnd::Worked => Ok(ExitCode::FAILURE),
        SyncEnd::Stopped => bail!("stopped by a signal; unfinished closings stay queued"),
        SyncEnd::Paused(reason, left) => {
            bail!("everything pauses for {} more: {reason}", humanize::duration(number::whole(left)))
        }
        SyncEnd::WriteBlocked(why) => bail!("cannot write the database: {why}"),
    }
}

/// What became of a talk that was to be closed.
enum End {
    Closing(ClosingOutcome),
    /// It was not decided on.
    Left,
    /// Its row failed, or still waits.
    Failed,
    Waits,
    Gone,
}

impl End {
    fn as_str(&self) -> &'static str {
        match self {
            End::Closing(outcome) => outcome.as_str(),
            End::Left => "left",
            End::Failed => "failed",
            End::Waits => "waits",
            End::Gone => "gone",
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            End::Closing(outcome) => matches!(
                outcome,
                ClosingOutcome::Closed | ClosingOutcome::Withdrawn | ClosingOutcome::WouldClose
            ),
            End::Gone => true,
            End::Left | End::Failed | End::Waits => false,
        }
    }
}

/// The end of one talk, and the reason.
fn end(
    connection: &Connection,
    closed: &Closed,
    talk_id: TalkId,
    began: UnixSeconds,
) -> Result<(End, String), StoreError> {
    if let Some((_, why)) = closed.left.iter().find(|(left, _)| *left == talk_id) {
        return Ok((End::Left, why.clone()));
    }
    if let Some(closure) = closures::last_of_talk(connection, talk_id, began)? {
        let error = closure.error.map(|error| format!("; {error}")).unwrap_or_default();
        return Ok((End::Closing(closure.outcome), format!("{}{error}", closure.reason)));
    }
    if let Some(row) = queue::row(connection, talk_id)? {
        let end = if row.failed_at.is_some() { End::Failed } else { End::Waits };
        return Ok((end, row.last_error.unwrap_or_default()));
    }
    match closures::last_of_talk(connection, talk_id, UnixSeconds::MIN)? {
        // A dry run records it once.
        Some(closure) if closure.outcome == ClosingOutcome::WouldClose => {
            Ok((End::Closing(closure.outcome), closure.reason))
        }
        _ => Ok((End::Gone, "the API reports that it does not exist".into())),
    }
}

/// What to close, if the mode allows it and the person confirms.
fn prepare(config: &Config, request: &CloseArguments<'_>) -> Result<Option<ToClose>> {
    let rules = &config.auto_close.rules;
    let reason = match rules.mode {
        _ if request.dry_run => FetchReason::DryRun,
        CloseMode::DryRun => FetchReason::DryRun,
        CloseMode::Live => FetchReason::Close,
        CloseMode::Off => bail!(
            "auto_close.mode is off: nothing is closed; set it to \"live\", or try `talkmirror close --dry-run`"
        ),
    };
    let to_close = ToClose { talk_ids: request.ids.to_vec(), reason };
    if reason == FetchReason::DryRun || request.yes {
        return Ok(Some(to_close));
    }
    ensure!(io::stdin().is_terminal(), "there is no terminal to ask on: --yes closes without asking");
    let ids = match request.ids {
        [] => {
            let connection = store::open_read_only(&config.database)?;
            sweep::candidates(&connection, &rules.stale, reason, rules.max_per_sweep, unix_now())
                .map_err(StoreError::from)?
        }
        ids => ids.to_vec(),
    };
    if ids.is_empty() {
        let mut out = Out::new();
        out.line("No talk is to be closed.")?;
        out.done()?;
        return Ok(None);
    }
    let named: Vec<String> = ids.iter().take(20).map(ToString::to_string).collect();
    let more = if ids.len() > named.len() { ", …" } else { "" };
    let question = format!(
        "Close {} ({}{more}), if a fetch just before shows that they are stale: talks {}?",
        humanize::talks(ids.len()),
        named.join(", "),
        rules.stale
    );
    let answer = print::ask(&[question, "This cuts their clients off and cannot be undone. [y/N] ".into()])?;
    if print::is_yes(&answer) {
        return Ok(Some(to_close));
    }
    eprint_line("Nothing was closed.");
    Ok(None)
}
