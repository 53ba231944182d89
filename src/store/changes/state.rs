//! How publishing goes, in `mirror_info`, for those who read the database.

use crate::clock::UnixSeconds;
use crate::store::info::InfoKey;
use crate::talk::TalkId;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// `mirror_info`: missing while publishing is off.
const STATE: InfoKey<PublishState> = InfoKey::json("publish.state");

/// How publishing goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishState {
    /// The server, without user and password: `db1:5432/warehouse`.
    pub server: String,
    /// The position that the server has confirmed.
    pub position: i64,
    /// Talks that changed and are not published yet.
    pub backlog: u64,
    /// When nothing was left to publish.
    pub caught_up_at: Option<UnixSeconds>,
    /// When the server last confirmed a transaction.
    pub confirmed_at: Option<UnixSeconds>,
    /// With a standby: until when this host may act for the account without another sign of life.
    #[serde(default)]
    pub acts_until: Option<UnixSeconds>,
    /// Why nothing is published now.
    pub trouble: Option<PublishTrouble>,
    /// Talks that the server refuses, with its words. They are published with their next change, if it takes that.
    pub set_aside: Vec<SetAside>,
}

/// Why nothing is published now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishTrouble {
    /// The first failure after the last success, …
    pub since: UnixSeconds,
    /// … and the last.
    pub at: UnixSeconds,
    /// What failed, and what to do.
    pub error: String,
    /// Whether a person must act. Otherwise it may pass.
    pub refused: bool,
    /// Another host works the account, and this one is to take over if it is gone: all is well.
    #[serde(default)]
    pub stands_by: bool,
}

/// A talk that the server refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetAside {
    pub talk_id: TalkId,
    /// The number of the change that the server refuses. Once a later one is published, the talk is left out no more.
    #[serde(default)]
    pub seq: i64,
    /// When.
    pub at: UnixSeconds,
    /// The server's words.
    pub error: String,
}

impl PublishState {
    /// How long the oldest change may have waited, in seconds. 0 if none waits.
    pub(crate) fn lag(&self, now: UnixSeconds) -> i64 {
        let since = self.caught_up_at.or(self.trouble.as_ref().map(|trouble| trouble.since));
        if self.trouble.as_ref().is_some_and(|trouble| trouble.stands_by) {
            return 0;
        }
        match self.backlog {
            0 if self.trouble.is_none() => 0,
            _ => since.map_or(0, |since| now.seconds_since(since).max(0)),
        }
    }
}

/// Replaces the stored state, or removes it.
///
/// # Errors
/// If the database cannot be written.
pub(in crate::store) fn write(connection: &Connection, state: Option<&PublishState>) -> rusqlite::Result<()> {
    STATE.put(connection, state)
}

/// Drops the talks that are published again since. Returns whether there were any.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn drop_published(connection: &Connection, state: &mut PublishState) -> rusqlite::Result<bool> {
    let mut published = Vec::new();
    for SetAside { talk_id, seq, .. } in &state.set_aside {
        let is_published = connection
            .prepare_cached("SELECT 1 FROM changes WHERE talk_id = ?1 AND seq > ?2 AND seq <= ?3")?
            .exists((talk_id, seq, state.position))?;
        if is_published {
            published.push(*talk_id);
        }
    }
    state.set_aside.retain(|set_aside| !published.contains(&set_aside.talk_id));
    Ok(!published.is_empty())
}

/// The stored state, for people: while nothing is published, with the talks that wait by now.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn now(connection: &Connection) -> rusqlite::Result<Option<PublishState>> {
    let Some(mut state) = read(connection)? else { return Ok(None) };
    if state.trouble.is_some() {
        state.backlog = super::backlog(connection, state.position)?;
    }
    Ok(Some(state))
}

/// Reads the stored state. `None` while publishing is off.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<PublishState>> {
    STATE.get(connection)
}
