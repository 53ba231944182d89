//! `[publish]` as the publisher uses it, and the name by which the server knows this mirror.

use super::connection::Server;
use std::path::Path;
use std::time::Duration;

/// An account stays held so long after the last sign of life.
const HOLD: Duration = Duration::from_secs(5 * 60);
/// The longest wait after a failure that needs a person, …
const REFUSED_BACKOFF: Duration = Duration::from_secs(60);
/// … and the shortest and the longest after one that may pass.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
pub(super) const LAST_BACKOFF: Duration = Duration::from_secs(30);

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
    pub(super) fn retry(&self) -> Duration {
        self.standby_after.map_or(REFUSED_BACKOFF, |after| (after / 10).clamp(FIRST_BACKOFF, LAST_BACKOFF))
    }
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
