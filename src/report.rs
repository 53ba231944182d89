//! What people and programs see of the mirror: its state as a whole, its health, the story of a talk, and formatted times
//! and numbers.
//!
//! Uses `amocrm`, `clock`, `config`, `gate`, `language`, `number`, `policy`, `sqlite`, `store`, `talk`, `text`.

pub(crate) mod health;
pub(crate) mod humanize;
pub(crate) mod talk;

use crate::clock::UnixSeconds;
use crate::policy::closing::ClosingOutcome;
use crate::store::account::{self, AccountStatus};
use crate::store::backup::state::BackupState;
use crate::store::changes::state::{self as publishing, PublishState};
use crate::store::completeness::{self, Completeness};
use crate::store::counts::{self, Freshness, QueueCounts, TalkCounts};
use crate::store::feeds::{self, Backfill, FeederRow, PastEvents};
use crate::store::local_time;
use crate::store::odd::{self, OddField};
use crate::store::retention::{self, Retention};
use crate::store::sizes::{self, Size};
use crate::store::status::DaemonStatus;
use crate::store::sweep::{self, ExemptTalks, SweepState};
use crate::store::tokens::{OAuthStatus, TokenStatus};
use crate::store::{self, Connection, SqlError};
use serde::Serialize;
use std::collections::BTreeMap;

/// The mirror as a whole, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Overview {
    /// Unknown until the account or a first talk shows it.
    pub account_id: Option<i64>,
    pub account: AccountStatus,
    /// Optional fields with a value of a shape that the API does not document.
    pub odd_fields: Vec<OddField>,
    /// Among the newest stored talks: how many there are, and how many have no key `missed_at`.
    pub without_missed_at: (i64, i64),
    pub talks: TalkCounts,
    pub queue: QueueCounts,
    /// The process that works the queue, or the last one that did.
    pub daemon: Option<DaemonStatus>,
    /// `report.timezone`: whose midnight begins a day.
    pub timezone: String,
    /// Closings since midnight, by outcome.
    pub closures_today: BTreeMap<ClosingOutcome, i64>,
    /// Unfinished closings, from any day.
    pub closures_under_way: i64,
    pub sweeps: SweepState,
    /// What exemptions keep from being closed, by the rules of the running or last daemon.
    pub exempt: ExemptTalks,
    pub feeders: Vec<FeederRow>,
    pub backfill: Option<Backfill>,
    /// How far the past events are read, if `events.since` has ever been set.
    pub past_events: Option<PastEvents>,
    pub freshness: Freshness,
    /// How much of the account is mirrored, once a process has counted.
    pub completeness: Option<Completeness>,
    /// When an open talk was last fetched. In the future if the clock was wrong then.
    pub fetched_at: Option<UnixSeconds>,
    /// When the API token expires, if known.
    pub token_expires_at: Option<UnixSeconds>,
    /// Set if the token renews itself.
    pub oauth: Option<OAuthStatus>,
    pub size: Size,
    pub retention: Retention,
    pub backup: BackupState,
    /// How publishing goes. `None` while it is off.
    pub publish: Option<PublishState>,
}

/// The overview names so many exempt talks.
const EXEMPT_NAMED: usize = 5;

fn exempt(connection: &Connection, now: UnixSeconds) -> Result<ExemptTalks, SqlError> {
    match sweep::running_rules(connection)? {
        Some((_, rules)) => sweep::exempt(connection, &rules, EXEMPT_NAMED, now),
        // No process has worked here yet.
        None => Ok(ExemptTalks::default()),
    }
}

/// Reads the overview at one moment.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn overview(connection: &Connection, now: UnixSeconds) -> Result<Overview, SqlError> {
    store::at_one_moment(connection, |moment| {
        let talks = counts::talks(moment)?;
        let token = TokenStatus::read(moment)?;
        Ok(Overview {
            account_id: store::account_id(moment)?,
            account: account::status(moment)?,
            odd_fields: odd::fields(moment)?,
            without_missed_at: odd::without_missed_at(moment)?,
            talks,
            queue: counts::queue(moment, now)?,
            daemon: DaemonStatus::read(moment)?,
            timezone: local_time::zone_name(moment)?,
            closures_today: counts::closures_since(moment, local_time::start_of_day(moment, now)?)?,
            closures_under_way: counts::closures_under_way(moment)?,
            sweeps: sweep::state(moment)?,
            exempt: exempt(moment, now)?,
            feeders: feeds::rows(moment)?,
            backfill: feeds::backfill(moment)?,
            past_events: feeds::past_events(moment)?,
            freshness: counts::freshness(moment, talks.in_work, now)?,
            completeness: completeness::read(moment)?,
            fetched_at: counts::last_fetch(moment)?,
            token_expires_at: token.expires_at,
            oauth: token.oauth,
            size: sizes::read(moment, now)?,
            retention: retention::read(moment)?,
            backup: BackupState::read(moment)?,
            publish: publishing::now(moment)?,
        })
    })
}
