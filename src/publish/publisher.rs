//! The publisher: a thread with its own reader of the mirror, woken by the writer.

use super::claim::{self, Claim, Claimant, Claimed, RivalWatch, written};
use super::connection::Connection;
use super::error::{Class, PublishError};
use super::hold::Hold;
use super::pull::{Pulled, pull};
use super::reporter::Reporter;
use super::rules::{FIRST_BACKOFF, LAST_BACKOFF, PublishRules, publisher_name};
use super::schema;
use super::turn::{BatchLimit, Source, turn};
use crate::clock;
use crate::store::changes::{self, CaptureStep, ChangesRequest};
use crate::store::writer::Writer;
use crate::store::{self, account};
use crate::telemetry;
use crate::text::shown;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

/// A turn may take so long.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
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

    /// Claims the account and publishes until something fails.
    async fn session(&mut self) -> Result<std::convert::Infallible, PublishError> {
        let mirror = changes::open(&self.database)
            .map_err(|error| PublishError::Refused(format!("cannot read the mirror: {error}")))?;
        self.reporter.recall(&mirror)?;
        let known = account::name(&mirror)?.map(|name| name.account_id);
        // With these the worker waits for the server, and cannot find out the account before.
        let asks_first = self.rules.adopt || self.rules.standby_after.is_some();
        if known.is_none() && !asks_first {
            self.account_id(&mirror).await?;
        }
        let connection = self.rules.server.connect().await?;
        let account_id = match known {
            Some(account_id) => account_id,
            None => self.account_to_adopt(&connection, &mirror).await?,
        };
        let claimed = timeout(TURN_TIMEOUT, self.claim(&connection, &mirror, account_id)).await;
        let mut claim = match claimed.map_err(|_| PublishError::Timeout("claimed the account"))?? {
            Claimed::Held(claim) => claim,
            Claimed::Behind { claim, above } => self.catch_up(&connection, claim, above).await?,
        };
        self.begin(&mirror, &claim).await?;
        let hold = self.rules.hold();
        loop {
            let began = clock::now();
            let turned_at = began.mono;
            let source = Source { mirror: &mirror, payload: self.rules.payload, hold, limit: self.limit };
            let Ok(turned) = timeout(TURN_TIMEOUT, turn(&connection, &mut claim, &source)).await else {
                self.limit = self.limit.fewer(changes::backlog(&mirror, claim.position)?);
                return Err(PublishError::Timeout("published a batch"));
            };
            let done = turned?;
            self.limit = self.limit.more();
            self.holds.send_replace(Hold::Held { renewed: began });
            self.reporter.note(&mirror, &claim, (&done, began.secs()))?;
            if done.more {
                continue;
            }
            if *self.stopping.borrow() {
                claim::release(&connection, &claim).await?;
                return Err(PublishError::Stopped);
            }
            if changes::is_marking(&mirror)? {
                self.mark(claim.position).await?;
                continue;
            }
            if changes::is_sending_all(&mirror)? {
                written(&self.writer, ChangesRequest::AllSent).await?;
            }
            self.wait(turned_at).await;
        }
    }

    /// The account of this address that the server knows. If it knows none, the mirror finds it out.
    async fn account_to_adopt(
        &self,
        connection: &Connection,
        mirror: &store::Connection,
    ) -> Result<i64, PublishError> {
        schema::require(connection).await?;
        loop {
            let asked = clock::now();
            if let Some(account_id) = claim::account_at(connection, &self.base_url).await? {
                return Ok(account_id);
            }
            self.holds.send_replace(Hold::Unknown { asked });
            if let Ok(found) = timeout(self.rules.retry(), self.account_id(mirror)).await {
                return found;
            }
        }
    }

    /// The account, once the mirror knows it.
    async fn account_id(&self, mirror: &store::Connection) -> Result<i64, PublishError> {
        loop {
            if let Some(name) = account::name(mirror)? {
                return Ok(name.account_id);
            }
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = sleep(Duration::from_secs(1)) => {}
                _ = stopping.wait_for(|stop| *stop) => return Err(PublishError::Stopped),
            }
        }
    }

    async fn claim(
        &self,
        connection: &Connection,
        mirror: &store::Connection,
        account_id: i64,
    ) -> Result<Claimed, PublishError> {
        schema::require(connection).await?;
        let claimant = Claimant {
            account_id,
            base_url: self.base_url.clone(),
            publisher: publisher_name(&self.database),
            hold: self.rules.hold(),
            adopt: self.rules.adopt,
            has_rival: self.rival.has_rival(),
        };
        let local = changes::local(mirror)?;
        claim::claim(connection, &local, &claimant, Some(&self.writer)).await
    }

    /// Takes over what the server has and this file does not.
    async fn catch_up(
        &self,
        connection: &Connection,
        claim: Claim,
        above: i64,
    ) -> Result<Claim, PublishError> {
        let import = async |step| written(&self.writer, ChangesRequest::Import(Box::new(step))).await;
        let Pulled { talks, versions, closures } = pull(connection, &claim, above, import).await?;
        tracing::info!(
            talks,
            versions,
            closures,
            "compared with {} the {talks} talks published above change {above}, and took over what was missing here",
            shown(self.reporter.server())
        );
        Ok(claim)
    }

    /// Stores the claim, and begins to mark changes.
    async fn begin(&self, mirror: &store::Connection, claim: &Claim) -> Result<(), PublishError> {
        // Before anything is published under it: a later claim of another copy of this file shows by a higher epoch.
        written(&self.writer, ChangesRequest::Identity(claim::identity(claim))).await?;
        if !changes::local(mirror)?.is_captured {
            self.mark(claim.position).await?;
        }
        // Repeated claims would fill the journal.
        if !self.reporter.is_troubled() {
            tracing::info!(
                "publishing to {} from change {} on",
                shown(self.reporter.server()),
                claim.position
            );
        }
        Ok(())
    }

    /// Marks the next of the talks that were there before publishing was switched on.
    async fn mark(&self, floor: i64) -> Result<(), PublishError> {
        written(&self.writer, ChangesRequest::SwitchOn { floor }).await
    }

    /// Waits for a change, then gathers others for the rest of the interval. Ends early for a stop, or when a sign of
    /// life is due: a fifth of the hold after the last.
    async fn wait(&self, turned_at: Instant) {
        let sign_due = self.rules.hold() / 5;
        let gathered = async {
            let _ = timeout_at((turned_at + sign_due).into(), self.writer.changed()).await;
            sleep_until((turned_at + self.rules.interval.min(sign_due)).into()).await;
        };
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = gathered => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
}
