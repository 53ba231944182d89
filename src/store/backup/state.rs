//! The state of the scheduled backups, in `mirror_info`: when they are due, and the last results.

use crate::clock::UnixSeconds;
use crate::store::info::InfoKey;
use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

/// `mirror_info`: when and where, as JSON. Missing while backups are off.
const RULES: InfoKey<BackupRules> = InfoKey::json("backup.rules");
/// `mirror_info`: the last good backup.
const LAST: InfoKey<LastBackup> = InfoKey::json("backup.last");
/// `mirror_info`: why there is none since.
const FAILURE: InfoKey<BackupFailure> = InfoKey::json("backup.trouble");

/// The state of the scheduled backups.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BackupState {
    /// `None` while they are off.
    pub rules: Option<BackupRules>,
    pub last: Option<LastBackup>,
    pub trouble: Option<BackupFailure>,
}

/// When and where backups are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRules {
    /// A cron expression of six fields, seconds first; UTC.
    pub schedule: String,
    /// The folder.
    pub path: String,
    pub keep: usize,
    /// Since when these rules hold.
    pub since: UnixSeconds,
}

/// A good backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastBackup {
    /// When it was started: it shows that moment.
    pub at: UnixSeconds,
    pub path: String,
    pub bytes: u64,
    pub talks: i64,
    /// How long it took.
    pub seconds: f64,
}

/// Why the last one failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFailure {
    /// The first failure after the last good one, …
    pub since: UnixSeconds,
    /// … and the last.
    pub at: UnixSeconds,
    pub error: String,
}

impl BackupState {
    /// Backups due before this are done or not wanted. A time after `now` comes from a wrong clock.
    pub fn settled_until(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let since = self.rules.as_ref()?.since;
        Some(self.last.as_ref().map_or(since, |last| last.at.max(since)).min(now))
    }

    /// Replaces the stored state.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        RULES.put(tx, self.rules.as_ref())?;
        LAST.put(tx, self.last.as_ref())?;
        FAILURE.put(tx, self.trouble.as_ref())
    }

    /// Reads the stored state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<BackupState> {
        Ok(BackupState {
            rules: RULES.get(connection)?,
            last: LAST.get(connection)?,
            trouble: FAILURE.get(connection)?,
        })
    }
}
