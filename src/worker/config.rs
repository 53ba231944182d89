//! What a worker goes by, what it is given, and why its work can end.

use crate::clock::UnixSeconds;
use crate::policy::RetryRules;
use crate::policy::closing::{CloseMode, CloseRules};
use crate::store::SqlError;
use crate::store::account::AccountName;
use crate::store::status::Mode;
use crate::talk::TalkId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How the worker works.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
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
    /// States of talks that ended longer ago are removed, if it is set.
    pub retention: Option<Duration>,
    /// Close nothing, whatever the rules say.
    pub no_close: bool,
    /// For jitter.
    pub seed: u64,
}

/// What the database knows of the account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// The account that is mirrored, once known.
    pub name: Option<AccountName>,
    /// Talks of it that are stored, and were there when last fetched.
    pub known: Vec<TalkId>,
    /// When each odd field was last in the journal.
    pub odd_reported_at: BTreeMap<String, UnixSeconds>,
}

/// Why the work ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(
        "this database mirrors account {expected}, but the API answers for account {found}: nothing was \
         changed; set database.path to another file, or api.base_url and the token to account {}",
        expected.account_id
    )]
    OtherAccount { expected: AccountName, found: AccountName },
    #[error(
        "{} was removed or replaced while talkmirror used it, so nothing could be stored there; start \
         talkmirror again, which creates a new file, or restore a backup first",
        .0.display()
    )]
    DatabaseLost(PathBuf),
    #[error("the thread that writes the database has ended")]
    WriterEnded,
    #[error("the database cannot be used any more")]
    Database(#[source] SqlError),
}

impl WorkerConfig {
    /// Something is done that a wrong clock would do too early.
    pub(super) fn heeds_clock(&self) -> bool {
        self.close.mode != CloseMode::Off || self.retention.is_some()
    }
}
