//! The publisher: a thread with its own reader of the mirror, woken by the writer.

use super::claim::{self, Claim, Claimant, Claimed};
use super::connection::{Connection, Server};
use super::error::{Class, PublishError};
use super::hold::{Hold, usable};
use super::pull::{Pulled, pull};
use super::schema;
use super::tables;
use super::turn::{BatchLimit, Source, Turn, turn};
use crate::clock;
use crate::store::changes::state::{PublishState, PublishTrouble, SetAside};
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
use tokio::time::{sleep, sleep_until, timeout};

/// A turn may take so long.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure that may pass: the first wait and the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// After a failure that needs a person.
const REFUSED_BACKOFF: Duration = Duration::from_secs(60);
/// A stop waits so long for the last changes to be published.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// An account stays held so long after the last sign of life.
const HOLD: Duration = Duration::from_secs(5 * 60);
/// How often the state in the mirror is updated while nothing goes wrong.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// How often a trouble that lasts is logged again.
const LOG_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How many of the talks that the server refuses are named.
const MAX_SET_ASIDE: usize = 100;

/// `[publish]`, while it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishRules {
    pub server: Server,
    /// Gathers changes for so long.
    pub interval: Duration,
    /// Whether the JSON as received is published.
    pub payload: bool,
    /// Whether a database without talks takes the account over from the server.
    pub adopt: bool,
    /// With a standby: how long after the holder's last sign of life another host takes over.
    pub standby_after: Option<Duration>,
}

impl PublishRules {
    /// How long the account stays held after the last sign of life.
    pub(crate) fn hold(&self) -> Duration {
        self.standby_after.unwrap_or(HOLD)
    }

    /// The longest wait between two attempts to claim the account.
    fn retry(&self) -> Duration {
        self.standby_after.map_or(REFUSED_BACKOFF, |after| (after / 10).clamp(FIRST_BACKOFF, LAST_BACKOFF))
    }
}

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
            let state = PublishState { server: rules.server.address.to_string(), ..PublishState::default() };
            let publishing = Publishing {
                rules,
                base_url,
                database,
                writer,
                stopping,
                holds,
                retry: retrying,
                state,
                limit: BatchLimit::MOST,
                noted_at: None,
                noted_backlog: 0,
                logged_at: None,
                converted_logged_at: None,
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

    /// Tries again now, if it waits after a failure: a person may have ended its cause.
    pub(crate) fn retry(&self) {
        self.retry.notify_one();
    }

    /// Publishes what is left if that is quick, gives the account free, and ends.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        // The thread does not outlast this: what it waits for is cut off.
        let _ = self.done.await;
    }
}

/// Forgets what was marked while publishing was on. Does nothing if it never was.
pub(crate) async fn switch_off(writer: &Writer) {
    while writer.changes(ChangesRequest::SwitchOff).await == Some(CaptureStep::More) {}
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
    state: PublishState,
    limit: BatchLimit,
    /// When the state was last stored in the mirror, …
    noted_at: Option<Instant>,
    /// … with this backlog, …
    noted_backlog: u64,
    /// … when a trouble was last logged, …
    logged_at: Option<Instant>,
    /// … and when values that the server does not take.
    converted_logged_at: Option<Instant>,
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
            let was_troubled = self.state.trouble.is_some();
            let ended = tokio::select! {
                ended = self.session() => ended,
                () = farewell => Err(PublishError::Stopped),
            };
            let Err(error) = ended;
            if matches!(error, PublishError::Stopped) || *self.stopping.borrow() {
                return;
            }
            if self.state.trouble.is_none() || !was_troubled {
                // It worked in between.
                backoff = FIRST_BACKOFF;
            }
            telemetry::publish_error(error.label());
            self.fail(&error);
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
        let mirror = store::open_read_only(&self.database)
            .map_err(|error| PublishError::Refused(format!("cannot read the mirror: {error}")))?;
        if self.noted_at.is_none() {
            self.recall(&mirror)?;
        }
        let known = account::name(&mirror)?.map(|name| name.account_id);
        // With these the worker waits for the server, and cannot find the account out before.
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
            self.state.acts_until = self.rules.standby_after.map(|after| began.secs() + usable(after));
            self.note(&mirror, &claim, &done)?;
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
                self.writer.changes(ChangesRequest::AllSent).await.ok_or(PublishError::Stopped)?;
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

    /// Takes over from the last process which talks are left out.
    fn recall(&mut self, mirror: &store::Connection) -> Result<(), PublishError> {
        if let Some(last) = changes::state::read(mirror)?.filter(|last| last.server == self.state.server) {
            self.state.set_aside = last.set_aside;
        }
        Ok(())
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
        let import = async |step| {
            let import = ChangesRequest::Import(Box::new(step));
            self.writer.changes(import).await.map(|_| ()).ok_or(PublishError::Stopped)
        };
        let Pulled { talks, versions, closures } = pull(connection, &claim, above, import).await?;
        tracing::info!(
            talks,
            versions,
            closures,
            "compared with {} what is published above change {above}: {talks} talks, and took over what was missing here",
            shown(&self.state.server)
        );
        Ok(claim)
    }

    /// Stores the claim, and begins to mark changes.
    async fn begin(&self, mirror: &store::Connection, claim: &Claim) -> Result<(), PublishError> {
        // Before anything is published under it: a later claim of another copy of this file shows by a higher epoch.
        let identity = ChangesRequest::Identity(claim::identity(claim));
        self.writer.changes(identity).await.ok_or(PublishError::Stopped)?;
        if !changes::local(mirror)?.is_captured {
            self.mark(claim.position).await?;
        }
        // Claimed again and again, it would fill the log.
        if self.state.trouble.is_none() {
            tracing::info!("publishing to {} from change {} on", shown(&self.state.server), claim.position);
        }
        Ok(())
    }

    /// Marks the next of the talks that were there before publishing was switched on.
    async fn mark(&self, floor: i64) -> Result<(), PublishError> {
        let marked = self.writer.changes(ChangesRequest::SwitchOn { floor }).await;
        // A writer that has ended marks nothing more, and nothing more changes.
        marked.map(|_| ()).ok_or(PublishError::Stopped)
    }

    /// Waits for a change, then gathers others for the rest of the interval. Ends early for a stop, or when a sign of
    /// life is due.
    async fn wait(&self, turned_at: Instant) {
        let gathered = async {
            let _ = timeout(self.rules.hold() / 5, self.writer.changed()).await;
            sleep_until((turned_at + self.rules.interval).into()).await;
        };
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = gathered => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    /// A turn went through.
    fn note(&mut self, mirror: &store::Connection, claim: &Claim, done: &Turn) -> Result<(), PublishError> {
        let now = clock::now();
        for (table, rows) in tables::ALL.iter().zip(done.rows) {
            telemetry::published(table.name, rows);
        }
        self.log_converted(done.converted);
        let at = now.secs();
        self.state.position = claim.position;
        self.state.confirmed_at = Some(at);
        self.state.backlog = changes::backlog(mirror, claim.position)?;
        if self.state.backlog == 0 || !done.more {
            self.state.caught_up_at = Some(at);
        }
        let has_dropped = changes::state::drop_published(mirror, &mut self.state)?;
        for (change, error) in &done.set_aside {
            tracing::error!(
                talk_id = %change.talk_id,
                "the server refuses talk {}, and it is left out until its next change: {}",
                change.talk_id,
                shown(error)
            );
            self.state.set_aside.retain(|set_aside| set_aside.talk_id != change.talk_id);
            let (talk_id, seq) = (change.talk_id, change.seq);
            self.state.set_aside.push(SetAside { talk_id, seq, at, error: error.clone() });
        }
        let surplus = self.state.set_aside.len().saturating_sub(MAX_SET_ASIDE);
        self.state.set_aside.drain(..surplus);
        let recovered = self.state.trouble.take();
        if let Some(trouble) = &recovered
            && self.logged_at.take().is_some()
        {
            let lasted = clock::duration(at.seconds_since(trouble.since));
            tracing::info!("publishing to {} works again, after {lasted}", shown(&self.state.server));
        }
        let is_due = self
            .noted_at
            .is_none_or(|noted_at| now.mono >= noted_at + NOTE_INTERVAL.min(self.rules.hold() / 5));
        // Else a mirror in which nothing changes for long would show the backlog of its last change.
        let has_caught_up = self.state.backlog == 0 && self.noted_backlog > 0;
        if recovered.is_some() || has_dropped || !done.set_aside.is_empty() || is_due || has_caught_up {
            self.store(now.mono);
        }
        Ok(())
    }

    /// A session failed.
    fn fail(&mut self, error: &PublishError) {
        let now = clock::now();
        let at = now.secs();
        let refused = error.class() == Class::Refused;
        if refused {
            self.holds.send_replace(Hold::No);
        }
        let text = error.to_string();
        let since = self.state.trouble.as_ref().map_or(at, |trouble| trouble.since);
        let is_first = self.state.trouble.is_none();
        // Who holds the account is named with its last sign of life, which changes.
        let is_new = self.state.trouble.as_ref().is_none_or(|trouble| !is_same(&trouble.error, &text));
        let stands_by = matches!(error, PublishError::Held(_)) && self.rules.standby_after.is_some();
        self.state.trouble = Some(PublishTrouble { since, at, error: text, refused, stands_by });
        let is_due = self.logged_at.is_none_or(|logged_at| now.mono >= logged_at + LOG_INTERVAL);
        if is_first && !refused {
            // A session that a pooler or an administrator ends is made anew at once. Only what lasts is news.
            tracing::debug!(
                "connecting to {} anew: {}",
                shown(&self.state.server),
                shown(&error.to_string())
            );
        } else if is_due || is_new && refused {
            self.logged_at = Some(now.mono);
            let error = error.to_string();
            let (server, error) = (shown(&self.state.server), shown(&error));
            if stands_by {
                tracing::info!("standing by for {server}: {error}");
            } else if refused {
                tracing::error!("nothing is published to {server}: {error}");
            } else {
                tracing::warn!("nothing is published to {server} for now, and nothing is lost: {error}");
            }
        }
        self.store(now.mono);
    }

    fn store(&mut self, now: Instant) {
        self.noted_at = Some(now);
        self.noted_backlog = self.state.backlog;
        self.writer.publishing(Some(self.state.clone()));
    }

    fn log_converted(&mut self, converted: usize) {
        let now = clock::mono();
        if converted == 0 || self.converted_logged_at.is_some_and(|logged_at| now < logged_at + LOG_INTERVAL)
        {
            return;
        }
        self.converted_logged_at = Some(now);
        tracing::warn!(
            converted,
            "the server does not take U+0000 in texts, nor times beyond its years: they are published as U+FFFD and \
             infinity"
        );
    }
}

/// Whether two errors are one: what is counted in them, such as a time, may differ.
fn is_same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
    words(one) == words(other)
}

/// The host and the file: `crm1:/var/lib/talkmirror/talks.db`.
pub(super) fn publisher_name(database: &Path) -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    // The file may be missing, its folder not.
    let whole = |path: &Path| path.canonicalize().ok();
    let beside = || Some(whole(database.parent()?)?.join(database.file_name()?));
    let path = whole(database).or_else(beside).unwrap_or_else(|| database.to_owned());
    format!("{}:{}", host.to_string_lossy(), path.display())
}
