//! `backup`: a copy of the database, and putting one in its place.

use super::print::{self, Out};
use super::progress::{Progress, eprint_line};
use super::run::runtime;
use crate::clock::unix_now;
use crate::daemon::DaemonError;
use crate::report::humanize;
use crate::sqlite;
use crate::store::backup::{self, Copied, Watch};
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

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// Copies the database to a new file, or under a dated name into a folder.
pub fn backup(database: &Path, to: &Path, as_json: bool) -> Result<ExitCode> {
    let (from, to, now) = (database.to_owned(), to.to_owned(), unix_now());
    let runtime = runtime()?;
    let copied = runtime.block_on(watched(move |watch| backup::back_up(&from, &to, now, watch)))?;
    let Copied { path, bytes, contents, seconds } = copied?;
    let mut out = Out::new();
    if as_json {
        let told = json!({"path": path, "bytes": bytes, "talks": contents.talks, "seconds": seconds,
                          "at": now, "account_id": contents.account_id});
        out.exact(told)?;
    } else {
        let talks = humanize::talks(contents.talks);
        out.line(format!("{}: {}, {talks}, in {seconds:.1} s", path.display(), HumanBytes(bytes)))?;
    }
    out.done()
}

/// Puts a backup in the place of the database; `yes` does not ask.
pub fn restore(database: &Path, path: &Path, yes: bool, as_json: bool) -> Result<ExitCode> {
    ensure!(
        yes || io::stdin().is_terminal(),
        "there is no terminal to ask on: --yes restores without asking"
    );
    sqlite::require_file(database)?;
    // Before it takes long: a daemon that runs is not to be disturbed.
    let _lock = lock::acquire_to_replace(database).map_err(DaemonError::from).map_err(stop_it_first)?;
    let runtime = runtime()?;
    let (from, at) = (path.to_owned(), database.to_owned());
    let restore = runtime.block_on(watched(move |watch| Restore::prepare(&from, &at, watch)))??;
    let contents = restore.contents;
    let what = describe(path, &restore);
    if !yes {
        let question =
            format!("Replace {} by {what}? What is there is kept beside it. [y/N] ", database.display());
        let sure = runtime.block_on(asked(question));
        // Who waits for a line of the terminal must not hold up the exit.
        runtime.shutdown_background();
        if !sure? {
            eprint_line("Nothing was replaced.");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let Restored { kept, carried } = restore.put_in_place(unix_now())?;
    let mut out = Out::new();
    if as_json {
        let told = json!({"database": database, "path": path, "account_id": contents.account_id,
                          "talks": contents.talks, "seen_at": contents.seen_at, "kept": kept,
                          "carried": carried.as_ref().ok()});
        out.exact(told)?;
    } else {
        out.line(format!("Restored {} from {what}", database.display()))?;
        if let Some(kept) = &kept {
            out.line(format!("What was there is {}", kept.display()))?;
            out.line(taken_over(&carried))?;
        }
    }
    let done = out.done()?;
    if let Err(why) = carried {
        // On stderr as well where the output is for a program.
        eprint_line(&format!("warning: nothing could be taken over from the old database: {why}"));
    }
    Ok(done)
}

fn stop_it_first(error: DaemonError) -> anyhow::Error {
    match error {
        DaemonError::Lock(LockError::Held { .. }) => anyhow::Error::from(error)
            .context("stop it first (`systemctl stop talkmirror`, or end what runs it), then restore again"),
        error => error.into(),
    }
}

fn describe(path: &Path, restore: &Restore) -> String {
    let contents = &restore.contents;
    let account = match (contents.account_id, &restore.present) {
        (None, _) => "no account yet".to_owned(),
        (Some(id), Present::Mirror(Some(_))) => format!("account {id}"),
        // There is nothing to compare it with.
        (Some(id), _) => format!("account {id}, whose the mirror will be"),
    };
    let at = contents
        .seen_at
        .map_or(String::new(), |at| format!(", as of {}", humanize::timestamp_ago(at, unix_now())));
    format!("{}: {} of {account}{at}", path.display(), humanize::talks(contents.talks))
}

fn taken_over(carried: &Result<Carried, String>) -> String {
    match carried {
        Ok(Carried { closures, queued, differing }) => format!(
            "Taken over from it: {} to close, {} of the queue; {} that differ are queued to be fetched. The states \
             that it saw since are in it alone",
            plural(*closures, "decision"),
            plural(*queued, "row"),
            humanize::talks(*differing as i64),
        ),
        Err(_) => "What was closed and queued since the backup is not known to the restored one".into(),
    }
}

fn plural(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", humanize::count(count as i64))
}

/// Does what takes long in a thread of its own, shows how far it is, and ends it in good order on a signal.
async fn watched<T: Send + 'static>(work: impl FnOnce(&Arc<Watch>) -> T + Send + 'static) -> Result<T> {
    let mut signals = Signals::listen()?;
    let watch = Arc::new(Watch::default());
    let watched = Arc::clone(&watch);
    let mut work = spawn_blocking(move || work(&watched));
    let mut progress: Option<Progress> = None;
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            () = signals.next() => watch.stop(),
            done = &mut work => return Ok(done?),
            _ = tick.tick() => {
                let (bytes, all) = watch.progress();
                if all > 0 {
                    let note = if bytes >= all { "checking the copy" } else { "" };
                    progress.get_or_insert_with(|| Progress::in_bytes(all)).set(bytes, all, note);
                }
            }
        }
    }
}

/// Whether somebody at the terminal says yes; a signal is an error.
async fn asked(question: String) -> Result<bool> {
    let mut signals = Signals::listen()?;
    let ask = spawn_blocking(move || print::ask(&[question]).map(|answer| print::is_yes(&answer)));
    tokio::select! {
        biased;
        () = signals.next() => bail!(RestoreError::Stopped),
        sure = ask => Ok(sure??),
    }
}

/// What ends a command: it must not end with half a copy left behind.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals([
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
