//! The publisher: a thread with its own reader of the mirror, woken by the writer.

mod session;

use super::batch_limit::BatchLimit;
use super::claim::RivalWatch;
use super::error::{Class, PublishError};
use super::hold::Hold;
use super::reporter::Reporter;
use super::rules::{FIRST_BACKOFF, LAST_BACKOFF, PublishRules};
use crate::clock;
use crate::store::changes::{CaptureStep, ChangesRequest};
use crate::store::writer::Writer;
use crate::telemetry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

/// A stop waits so long for the last changes to be published.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The running publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    stop: watch::Sender<bool>,
    retry: Arc<Notify>,
    done: oneshot::Receiver<()>,
    hold: watch::Receiver<Hold>,
}

impl Publisher {
    /// Starts the thread. `base_url` is the account's address.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub(crate) fn start(
        rules: PublishRules,
        base_url: String,
        database: &Path,
        writer: Writer,
    ) -> io::Result<Publisher> {
        let (stop, stopping) = watch::channel(false);
        let (ended, done) = oneshot::channel();
        let (holds, hold) = watch::channel(Hold::No);
        let retry = Arc::new(Notify::new());
        let retrying = Arc::clone(&retry);
        let database = database.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("publisher".into()).spawn(move || {
            let reporter = Reporter::new(&rules, writer.clone());
            let publishing = Publishing {
                rules,
                base_url,
                database,
                writer,
                stopping,
                holds,
                retry: retrying,
                reporter,
                limit: BatchLimit::MOST,
                rival: RivalWatch::default(),
            };
            runtime.block_on(publishing.run());
            // A name may be looked up in a thread of the runtime for longer than a stop may take.
            runtime.shutdown_background();
            let _ = ended.send(());
        })?;
        Ok(Publisher { stop, retry, done, hold })
    }

    /// Whether the account is ours.
    pub(crate) fn hold(&mut self) -> Hold {
        *self.hold.borrow_and_update()
    }

    /// Waits until that changes.
    pub(crate) async fn hold_changed(&mut self) {
        if self.hold.changed().await.is_err() {
            // The thread has ended.
            std::future::pending::<()>().await;
        }
    }

    /// Retries now if it waits after a failure: a person may have corrected the cause.
    pub(crate) fn retry(&self) {
        self.retry.notify_one();
    }

    /// Publishes what is left if that is quick, releases the account, and ends.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        // The thread does not outlast this: what it waits for is cut off.
        let _ = self.done.await;
    }
}

/// Forgets what was marked while publishing was on. Does nothing if it never was.
pub(crate) async fn switch_off(writer: &Writer) {
    while let Some(Ok(CaptureStep::More)) = writer.changes(ChangesRequest::SwitchOff).await {}
    writer.publishing(None);
}

struct Publishing {
    rules: PublishRules,
    base_url: String,
    database: PathBuf,
    writer: Writer,
    stopping: watch::Receiver<bool>,
    holds: watch::Sender<Hold>,
    retry: Arc<Notify>,
    reporter: Reporter,
    limit: BatchLimit,
    rival: RivalWatch,
}

impl Publishing {
    async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let mut stopping = self.stopping.clone();
            let farewell = async {
                let _ = stopping.wait_for(|stop| *stop).await;
                sleep(FAREWELL_TIMEOUT).await;
            };
            let was_troubled = self.reporter.is_troubled();
            let ended = tokio::select! {
                ended = self.session() => ended,
                () = farewell => Err(PublishError::Stopped),
            };
            let Err(error) = ended;
            if matches!(error, PublishError::Stopped) || *self.stopping.borrow() {
                return;
            }
            if !self.reporter.is_troubled() || !was_troubled {
                // It worked in between.
                backoff = FIRST_BACKOFF;
            }
            telemetry::publish_error(error.label());
            if matches!(error, PublishError::Fenced) {
                self.rival.note_fenced(clock::mono());
            }
            if matches!(error, PublishError::Fenced | PublishError::Held(_)) {
                self.holds.send_replace(Hold::No);
            }
            self.reporter.fail(&error);
            let wait = match error.class() {
                Class::Refused => self.rules.retry(),
                _ => backoff.min(self.rules.retry()).mul_f64(0.5 + fastrand::f64() / 2.0),
            };
            backoff = (backoff * 2).min(LAST_BACKOFF);
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = sleep(wait) => {}
                () = self.retry.notified() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }
}
