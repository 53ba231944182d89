//! What a worker is set up with, and why its work can end.

use super::Worker;
use super::ahead::Ahead;
use super::blame::Tries;
use super::closing::Closing;
use super::condition::{Condition, Mode};
use super::counters::Counters;
use super::door::{Door, Quota};
use super::identity::Identity;
use super::maintenance::Maintenance;
use super::odd::OddReporter;
use super::progress::Progress;
use super::reminder::Reminder;
use super::tokens::Tokens;
use crate::amocrm::{Client, Token};
use crate::clock::Now;
use crate::gate::{Gate, Reason};
use crate::policy::RetryRules;
use crate::policy::closing::CloseRules;
use crate::policy::gone::GoneGuard;
use crate::policy::lanes::Lanes;
use crate::store::SqlError;
use crate::store::account::AccountName;
use crate::store::status::DaemonStatus;
use crate::store::writer::{Event, Writer};
use crate::text::shown;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// No pause is longer, in seconds: one that says so was written under a wrong clock.
const LONGEST_PAUSE: i64 = 24 * 60 * 60;

/// How the worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub mode: Mode,
    /// The account's address, as it is shown.
    pub base_url: String,
    pub requests_per_second: u32,
    pub max_in_flight: usize,
    /// A request has ended within this time.
    pub request_timeout: Duration,
    /// How soon another process's row is noticed.
    pub poll_interval: Duration,
    pub retry: RetryRules,
    pub close: CloseRules,
    /// States of talks that ended longer ago are removed, where it is set.
    pub retention: Option<Duration>,
    /// Close nothing, whatever the rules say.
    pub no_close: bool,
    /// For jitter.
    pub seed: u64,
}

/// What the database knows of the account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The account that is mirrored, once known.
    pub name: Option<AccountName>,
    /// Talks of it that are stored, and were there when last fetched.
    pub known: Vec<i64>,
    /// When each odd field was last in the journal, in Unix seconds.
    pub odd_reported_at: BTreeMap<String, i64>,
}

/// Why the work cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(
        "this database mirrors account {expected}, and the API answers for account {found}: nothing was changed; set \
         database.path to another file, or api.base_url and the token to account {}",
        expected.account_id
    )]
    OtherAccount { expected: AccountName, found: AccountName },
    #[error(
        "{} was removed or replaced while talkmirror worked on it: nothing could be kept there; start talkmirror again, \
         which makes a new one, or restore a backup first",
        .0.display()
    )]
    DatabaseLost(PathBuf),
    #[error("the thread that writes the database has ended")]
    WriterEnded,
    #[error("the database cannot be used any more")]
    Database(#[source] SqlError),
}

impl Worker {
    /// Sets a worker up; nothing is done before [`Worker::step`].
    pub fn new(
        config: WorkerConfig,
        token: Token,
        client: Client,
        gate: Gate,
        (writer, events): (Writer, UnboundedReceiver<Event>),
        account: Account,
        now: Now,
    ) -> Worker {
        let (asks_sender, asks) = unbounded_channel();
        let (quota, quota_receiver) = watch::channel(Quota::default());
        Worker {
            door: Door { asks: asks_sender, quota: quota_receiver },
            asks,
            asked: VecDeque::new(),
            quota,
            rng: fastrand::Rng::with_seed(config.seed),
            condition: Condition::new(config.mode, now),
            progress: Progress::new(now),
            pause_reminder: Reminder::default(),
            trouble_reminder: Reminder::default(),
            config,
            tokens: Tokens::new(token, &client, now),
            client: Arc::new(client),
            gate,
            writer,
            events,
            account_id: account.name.as_ref().map(|name| name.account_id),
            mirrored: account.name,
            known: account.known.into(),
            identity: Identity::new(now),
            confirm_now: None,
            repeats: VecDeque::new(),
            repeated: HashSet::new(),
            tries: Tries::default(),
            gone: GoneGuard::default(),
            odd: OddReporter::new(account.odd_reported_at),
            refused: HashSet::new(),
            to_enqueue: None,
            enqueueing: false,
            ready: Ahead::default(),
            lanes: Lanes::default(),
            busy: HashSet::new(),
            unrecorded: 0,
            fetching: JoinSet::new(),
            head_asked: false,
            may_be_due: true,
            reread: false,
            next_due_at: None,
            origin: now.mono,
            next_poll: now.mono,
            token_epoch: 0,
            trouble: None,
            stopping: false,
            unfetched: BTreeSet::new(),
            resuming: false,
            closing: Closing::default(),
            maintenance: Maintenance::new(now),
            counters: Counters::default(),
        }
    }

    /// Takes over from the process before: a pause that outlives it is kept.
    pub fn resume(&mut self, earlier: &DaemonStatus, now: Now) {
        self.condition.resume(earlier);
        if let Some(until) = earlier.strict_until {
            let left = (until - now.secs()).clamp(0, LONGEST_PAUSE);
            self.gate.be_strict_until(now.mono + Duration::from_secs(left as u64));
        }
        let Some(pause) = &earlier.pause else { return };
        let Some(reason) = Reason::parse(&pause.reason) else { return };
        let left = pause.until - now.secs();
        if !reason.survives_restart() {
            return;
        }
        // One that is over by now still ends with a probe. One of a wrong clock is no longer than it was.
        let left = left.clamp(0, pause.until.saturating_sub(pause.since).max(0));
        let ago = Duration::from_secs((now.secs() - pause.since).max(0) as u64);
        let since = now.mono.checked_sub(ago).unwrap_or(now.mono);
        let until = now.mono + Duration::from_secs(left.min(LONGEST_PAUSE) as u64);
        self.gate.resume_pause(reason, since, until);
        tracing::error!(
            reason = reason.as_str(),
            "still paused: {reason} ({}); next probe in {left} s",
            shown(&pause.detail)
        );
    }
}
