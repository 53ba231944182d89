//! Scheduled backups, each in its own thread with its own reader.
//!
//! A backup never delays the daemon. Only one runs at a time. Older ones are removed only after a good new one. A
//! stop leaves no partial copy. A backup that was missed while the daemon was down is made at the start.

use super::DaemonError;
use super::schedule::{Schedule, Ticks};
use crate::clock::{UnixSeconds, unix_now};
use crate::config::{Backup, Config, next_tick};
use crate::report::humanize::causes;
use crate::sqlite::backup::dated;
use crate::sqlite::limit;
use crate::store::Connection;
use crate::store::StoreError;
use crate::store::backup::state::{BackupFailure, BackupRules, BackupState, LastBackup};
use crate::store::backup::{self, BackupError, Copied, CopyProgress};
use crate::store::writer::Writer;
use crate::text::shown;
use indicatif::HumanBytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

/// How long a stop waits for the running backup to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The backups of the running daemon.
pub(super) struct Backups {
    database: PathBuf,
    writer: Writer,
    ticks: Ticks,
    rules: Option<Backup>,
    state: BackupState,
    job: Option<Job>,
}

/// A running backup.
struct Job {
    at: UnixSeconds,
    progress: Arc<CopyProgress>,
    done: oneshot::Receiver<Result<BackupOutcome, BackupError>>,
}

/// A copy, and how many older ones were removed after it or why that failed.
type BackupOutcome = (Copied, io::Result<usize>);

impl Backups {
    /// The state of earlier backups.
    pub(super) fn read(connection: &Connection) -> Result<BackupState, DaemonError> {
        Ok(BackupState::read(connection).map_err(StoreError::from)?)
    }

    pub(super) fn new(config: &Config, state: BackupState, writer: Writer) -> Backups {
        let database = config.database.clone();
        Backups { database, writer, ticks: Ticks::default(), rules: None, state, job: None }
    }

    /// Applies a configuration. A backup that is overdue or has failed starts at once.
    pub(super) async fn apply(&mut self, config: &Config, schedule: &Schedule) -> Result<(), DaemonError> {
        let rules = config.backup.clone();
        schedule.set(&mut self.ticks, rules.as_ref().map(|rules| rules.schedule.as_str())).await?;
        let now = unix_now();
        let stored_rules = rules.as_ref().map(|rules| {
            let path = rules.folder.display().to_string();
            let before = self.state.rules.as_ref();
            let same = before.filter(|before| before.schedule == rules.schedule && before.path == path);
            let since = same.map_or(now, |before| before.since);
            BackupRules { schedule: rules.schedule.clone(), path, keep: rules.keep, since }
        });
        if let Some(rules) = stored_rules.as_ref().filter(|_| rules != self.rules) {
            let BackupRules { path, schedule, keep, .. } = rules;
            tracing::info!("backups go to {} at {schedule}, {keep} are kept", shown(path));
        }
        (self.state.rules, self.rules) = (stored_rules, rules);
        let Some(rules) = &self.state.rules else {
            self.state.trouble = None;
            self.cancel();
            self.note();
            return Ok(());
        };
        let next = self.state.settled_until(now).and_then(|until| next_tick(&rules.schedule, until));
        let missed = next.is_some_and(|next| next < now);
        self.note();
        if missed || self.state.trouble.is_some() {
            self.begin();
        }
        Ok(())
    }

    /// Renews the schedule after the clock was set.
    pub(super) async fn renew_schedule(&mut self, schedule: &Schedule) -> Result<(), DaemonError> {
        schedule.renew(&mut self.ticks).await
    }

    /// Starts a backup at each tick, and records its result. Dropping the future loses nothing.
    pub(super) async fn step(&mut self) {
        let ended = async {
            match &mut self.job {
                Some(job) => (&mut job.done).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = ended => self.ended(ended.ok()),
            () = self.ticks.next() => self.begin(),
        }
    }

    /// Stops the running backup, if any.
    pub(super) async fn stop(&mut self) {
        self.cancel();
        if let Some(job) = self.job.take() {
            // The result of a backup that has just finished is still recorded. The next backup removes leftovers of
            // another.
            let Job { at, progress, mut done } = job;
            match timeout(STOP_TIMEOUT, &mut done).await {
                Ok(ended) => self.record_result(at, ended.ok()),
                Err(_) => self.job = Some(Job { at, progress, done }),
            }
        }
    }

    /// Waits until then for a backup that has not ended yet: a slow disk needs time to remove its files.
    pub(super) async fn wait_for_stopped(mut self, until: Instant) {
        if let Some(job) = self.job.take() {
            let _ = timeout_at(until.into(), job.done).await;
        }
    }

    fn cancel(&self) {
        if let Some(job) = &self.job {
            job.progress.stop();
        }
    }

    fn begin(&mut self) {
        let Some(rules) = self.rules.clone() else { return };
        if self.job.is_some() {
            tracing::warn!("the last backup is still under way: this one is skipped");
            return;
        }
        let (at, progress) = (unix_now(), Arc::new(CopyProgress::default()));
        let (sender, done) = oneshot::channel();
        let (database, watched) = (self.database.clone(), Arc::clone(&progress));
        let work = move || {
            // Sending fails only if the daemon has ended.
            let _ = sender.send(back_up(&database, &rules, at, &watched));
        };
        // Without a thread the channel closes at once, which is recorded as a failure.
        if let Err(error) = thread::Builder::new().name("backup".into()).spawn(work) {
            tracing::error!("cannot start a thread for the backup: {error}");
        }
        self.job = Some(Job { at, progress, done });
    }

    fn ended(&mut self, ended: Option<Result<BackupOutcome, BackupError>>) {
        if let Some(job) = self.job.take() {
            self.record_result(job.at, ended);
        }
    }

    fn record_result(&mut self, at: UnixSeconds, ended: Option<Result<BackupOutcome, BackupError>>) {
        let error = match ended {
            Some(Ok((copied, pruned))) => {
                log_backup(&copied, pruned);
                let Copied { path, bytes, contents, seconds } = copied;
                let (path, talks) = (path.display().to_string(), contents.talks);
                self.state.last = Some(LastBackup { at, path, bytes, talks, seconds });
                self.state.trouble = None;
                return self.note();
            }
            // We stopped it.
            Some(Err(BackupError::Stopped)) => return,
            Some(Err(error)) if limit::is_reached(&error) => {
                format!("{}; {}", causes(&error), limit::REACHED)
            }
            Some(Err(error)) => causes(&error),
            None => "it was interrupted; the journal shows more".into(),
        };
        let before = self.state.trouble.take();
        // Logged once, until the error changes or is gone.
        if before.as_ref().is_none_or(|before| before.error != error) {
            tracing::error!("the backup failed: {}", shown(&error));
        }
        let since = before.map_or(at, |before| before.since);
        self.state.trouble = Some(BackupFailure { since, at, error });
        self.note();
    }

    fn note(&self) {
        self.writer.backup(self.state.clone());
    }
}

fn log_backup(copied: &Copied, pruned: io::Result<usize>) {
    let Copied { path, bytes, contents, seconds } = copied;
    let older = match &pruned {
        Ok(0) | Err(_) => String::new(),
        Ok(count) => format!("; removed {count} older"),
    };
    tracing::info!(
        bytes,
        talks = contents.talks,
        "backed up {} talks into {}: {} in {seconds:.1} s{older}",
        contents.talks,
        shown(&path.display().to_string()),
        HumanBytes(*bytes),
    );
    if let Err(error) = pruned {
        tracing::warn!("cannot remove older backups beside {}: {error}", shown(&path.display().to_string()));
    }
}

fn back_up(
    database: &Path,
    rules: &Backup,
    at: UnixSeconds,
    progress: &Arc<CopyProgress>,
) -> Result<BackupOutcome, BackupError> {
    if rules.make {
        make_folder(&rules.folder)?;
    }
    if !rules.folder.is_dir() {
        return Err(BackupError::NoFolder(rules.folder.clone()));
    }
    let copied = backup::back_up(database, &rules.folder, at, progress)?;
    let pruned = backup::prune(&copied, &dated::stem(database), rules.keep);
    Ok((copied, pruned))
}

/// Makes the folder below the database's folder.
fn make_folder(folder: &Path) -> Result<(), BackupError> {
    if folder.exists() {
        return Ok(());
    }
    let within = folder.parent().unwrap_or(folder);
    fs::create_dir(folder)
        .and_then(|()| crate::sqlite::owner::hand_over(&fs::File::open(folder)?, within))
        .map_err(|source| BackupError::Io { step: "create the folder", path: folder.to_owned(), source })
}
