//! `backup`: makes a copy of the database, or puts one in its place.

use super::print::{self, Out};
use super::progress::{Counted, ProgressDisplay, eprint_line};
use super::run::runtime;
use crate::clock::unix_now;
use crate::daemon::DaemonError;
use crate::report::humanize;
use crate::sqlite;
use crate::store::backup::{self, Copied, CopyProgress};
use crate::store::lock::{self, LockError};
use crate::store::restore::{Carried, Present, Restore, RestoreError, Restored};
use anyhow::{Result, bail, ensure};
use indicatif::HumanBytes;
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

/// Between two updates of the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Copies the database to a new file, or into a folder under a dated name.
pub(super) fn backup(database: &Path, to: &Path, as_json: bool) -> Result<ExitCode> {
    let (from, to, now) = (database.to_owned(), to.to_owned(), unix_now());
    let runtime = runtime()?;
    let copied = runtime.block_on(run_with_progress(move |watch| backup::back_up(&from, &to, now, watch)))?;
    let Copied { path, bytes, contents, seconds } = copied?;
    let mut out = Out::new();
    if as_json {
        let summary = json!({"path": path, "bytes": bytes, "talks": contents.talks, "seconds": seconds,
                          "at": now, "account_id": contents.account_id});
        out.exact(summary)?;
    } else {
        let talks = humanize::talks(contents.talks);
        out.line(format!("{}: {}, {talks}, in {seconds:.1} s", path.display(), HumanBytes(bytes)))?;
    }
    out.done()
}

/// Replaces the database with a backup. `yes` skips the question.
pub(super) fn restore(database: &Path, path: &Path, yes: bool, as_json: bool) -> Result<ExitCode> {
    ensure!(
        yes || io::stdin().is_terminal(),
        "there is no terminal to ask on: --yes restores without asking"
    );
    sqlite::require_file(database)?;
    // Checked first, so that a running daemon is not disturbed.
    let _lock = lock::acquire_to_replace(database).map_err(DaemonError::from).map_err(with_stop_hint)?;
    let runtime = runtime()?;
    let (from, at) = (path.to_owned(), database.to_owned());
    let restore = runtime.block_on(run_with_progress(move |watch| Restore::prepare(&from, &at, watch)))??;
    let contents = restore.contents;
    let what = describe(path, &restore);
    if !yes {
        let question =
            format!("Replace {} with {what}? The old database is kept beside it. [y/N] ", database.display());
        let sure = runtime.block_on(confirm(question));
        // A thread that waits for a line from the terminal must not delay the exit.
        runtime.shutdown_background();
        if !sure? {
            eprint_line("Nothing was replaced.");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let Restored { kept, carried } = restore.put_in_place(unix_now())?;
    let mut out = Out::new();
    if as_json {
        let summary = json!({"database": database, "path": path, "account_id": contents.account_id,
                          "talks": contents.talks, "seen_at": contents.seen_at, "kept": kept,
                          "carried": carried.as_ref().ok()});
        out.exact(summary)?;
    } else {
        out.line(format!("Restored {} from {what}", database.display()))?;
        if let Some(kept) = &kept {
            out.line(format!("The old database is now {}", kept.display()))?;
            out.line(taken_over(&carried))?;
        }
    }
    let done = out.done()?;
    if let Err(why) = carried {
        // Also on stderr if the output is for a program.
        eprint_line(&format!("warning: nothing could be copied from the old database: {why}"));
    }
    Ok(done)
}

fn with_stop_hint(error: DaemonError) -> anyhow::Error {
    match error {
        DaemonError::Lock(LockError::Held { .. }) => anyhow::Error::from(error).context(
            "stop it first (`systemctl stop talkmirror`, or end the program that runs it), then \
                      restore again",
        ),
        error => error.into(),
    }
}

fn describe(path: &Path, restore: &Restore) -> String {
    let contents = &restore.contents;
    let account = match (contents.account_id, &restore.present) {
        (None, _) => "no account yet".to_owned(),
        (Some(id), Present::Mirror(Some(_))) => format!("account {id}"),
        // There is no database to compare it with.
        (Some(id), _) => format!("account {id}, which will then be mirrored"),
    };
    let at = contents
        .seen_at
        .map_or(String::new(), |at| format!(", as of {}", humanize::timestamp_ago(at, unix_now())));
    format!("{}: {} of {account}{at}", path.display(), humanize::talks(contents.talks))
}

fn taken_over(carried: &Result<Carried, String>) -> String {
    match carried {
        Ok(Carried { closures, queued, differing, exemptions }) => format!(
            "Copied from it: {} to close, {} of the queue, {}. {} that differ are queued to be fetched. Only the \
             old database has the states that it saw since",
            plural(*closures, "decision"),
            plural(*queued, "row"),
            plural(*exemptions, "exemption"),
            humanize::talks(*differing),
        ),
        Err(_) => "The restored database does not know what was closed and queued since the backup".into(),
    }
}

fn plural(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", humanize::count(count))
}

/// Runs long work in its own thread, shows the progress, and stops it cleanly on a signal.
async fn run_with_progress<T: Send + 'static>(
    work: impl FnOnce(&Arc<CopyProgress>) -> T + Send + 'static,
) -> Result<T> {
    let mut signals = EndSignals::listen()?;
    let watch = Arc::new(CopyProgress::default());
    let run_with_progress = Arc::clone(&watch);
    let mut work = spawn_blocking(move || work(&run_with_progress));
    let mut progress: Option<ProgressDisplay> = None;
    let mut tick = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            biased;
            () = signals.next() => watch.stop(),
            done = &mut work => return Ok(done?),
            _ = tick.tick() => {
                let (bytes, all) = watch.progress();
                if all > 0 {
                    let note = if bytes >= all { "checking the copy" } else { "" };
                    progress.get_or_insert_with(|| ProgressDisplay::new(all, Counted::Bytes)).set(bytes, all, note);
                }
            }
        }
    }
}

/// Whether a person at the terminal confirms. A signal is an error.
async fn confirm(question: String) -> Result<bool> {
    let mut signals = EndSignals::listen()?;
    let ask = spawn_blocking(move || print::ask(&[question]).map(|answer| print::is_yes(&answer)));
    tokio::select! {
        biased;
        () = signals.next() => bail!(RestoreError::Stopped),
        sure = ask => Ok(sure??),
    }
}

/// The signals that end a command. They are handled so that no partial copy stays behind.
struct EndSignals([Signal; 3]);

impl EndSignals {
    fn listen() -> io::Result<EndSignals> {
        Ok(EndSignals([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
