//! Which account answers, before any of its responses is believed: another account's API would report our talks as
//! missing, or as not ours to see.
//!
//! It is confirmed at the start, after a reload and with each new token: by `GET /api/v4/account`, else by what the token
//! names, else by a stored talk that is shown. Until then no other request leaves.

use super::config::WorkError;
use super::dispatch::Dispatch;
use crate::talk::TalkId;

use crate::amocrm::{AccountInfo, Failure, Kind};
use crate::clock::Now;
use crate::store::account::AccountName;
use crate::store::queue::DueRow;
use crate::text::shown;
use std::time::{Duration, Instant};

/// How often the account is asked for if that fails, before something else shows which it is.
const MOST_FAILURES: u32 = 3;
/// Between two such attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// So soon after the last time it is not asked for to see whether the API works.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
/// If nothing has shown which account answers, it is asked for again after this.
const UNKNOWN_FOR: Duration = Duration::from_secs(15 * 60);

/// How far the account is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// By the account itself, not before then.
    Account { failures: u32, at: Instant },
    /// By the stored talk of this place, not before then.
    Talk { place: usize, at: Instant },
    /// It is the mirror's, or there is no mirror yet that could be another's.
    Confirmed,
    /// Nothing has shown which it is: until then nothing is believed.
    Unknown { until: Instant },
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct AccountCheck {
    /// The account that is mirrored, once that is known.
    account_id: Option<i64>,
    /// The same as the database names it, at the start.
    mirrored: Option<AccountName>,
    stage: Stage,
    /// The account was asked for.
    under_way: bool,
    /// The account can be asked for: it has answered.
    served: bool,
    /// Whether the API works is to be seen by the account.
    wanted: bool,
    /// When it was asked for last.
    asked_at: Option<Instant>,
}

/// What leaves next to confirm the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckRequest {
    /// The request for the account.
    Account,
    /// The fetch of a stored talk, for the first time or once more.
    Talk(DueRow),
    Repeat(DueRow),
    /// Nothing before then.
    Wait(Instant),
    /// Nothing before a response comes.
    Nothing,
}

/// What is to be written about the account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is the mirror's. `newly`: until now that was not known.
    Confirmed { account: AccountName, newly: bool },
    /// Nothing has shown which it is, and why.
    Unknown(&'static str),
}

impl AccountCheck {
    pub(super) fn new(mirrored: Option<AccountName>, now: Now) -> AccountCheck {
        AccountCheck {
            account_id: mirrored.as_ref().map(|name| name.account_id),
            mirrored,
            stage: Stage::Account { failures: 0, at: now.mono },
            under_way: false,
            served: false,
            wanted: false,
            asked_at: None,
        }
    }

    /// The account that is mirrored, once that is known.
    pub(super) fn account_id(&self) -> Option<i64> {
        self.account_id
    }

    /// What the API reports of talks that it does not show is believed.
    pub(super) fn is_confirmed(&self) -> bool {
        self.stage == Stage::Confirmed
    }

    /// It is not confirmed yet, and nothing else may leave meanwhile.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Account { .. } | Stage::Talk { .. })
    }

    /// The account can be asked for now.
    pub(super) fn may_probe(&self) -> bool {
        self.served && !self.under_way
    }

    /// Has the account asked for, to see whether the API works.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Not at once after the last time: it may have failed just now.
    pub(super) fn is_wanted(&self, now: Now) -> bool {
        let lately = self.asked_at.is_some_and(|at| now.mono.saturating_duration_since(at) < LEAST_INTERVAL);
        self.wanted && !self.under_way && !lately
    }

    /// When a response that is not believed yet is worth another fetch.
    pub(super) fn retry_in(&self, now: Now) -> Duration {
        match self.stage {
            Stage::Unknown { until } => until.saturating_duration_since(now.mono) + RETRY_INTERVAL,
            _ => RETRY_INTERVAL,
        }
    }

    /// Confirms it anew: there is another token, or another configuration.
    pub(super) fn restart(&mut self, now: Now) {
        self.stage = Stage::Account { failures: 0, at: now.mono };
        self.wanted = false;
        self.asked_at = None;
    }

    /// It is worth another attempt: the API works again.
    pub(super) fn restart_unless_confirmed(&mut self, now: Now) {
        if !self.is_confirmed() {
            self.restart(now);
        }
    }

    /// The request that confirms the account; `None` if nothing is to be confirmed. Also what is to be written, if nothing
    /// can show which account it is.
    pub(super) fn next(
        &mut self,
        dispatch: &mut Dispatch,
        now: Now,
    ) -> (Option<CheckRequest>, Option<Found>) {
        if let Stage::Unknown { until } = self.stage
            && until <= now.mono
        {
            self.restart(now);
        }
        let (at, next) = match self.stage {
            Stage::Confirmed | Stage::Unknown { .. } => return (None, None),
            Stage::Account { .. } if self.under_way => return (Some(CheckRequest::Nothing), None),
            Stage::Account { at, .. } => (at, CheckRequest::Account),
            Stage::Talk { place, at } => match dispatch.known_at(place) {
                Some(talk_id) if dispatch.is_busy(talk_id) => {
                    // Its connection may have been closed on it.
                    let repeat =
                        dispatch.repeat_of(talk_id).map_or(CheckRequest::Nothing, CheckRequest::Repeat);
                    return (Some(repeat), None);
                }
                Some(talk_id) => (at, CheckRequest::Talk(DueRow::without_ticket(talk_id))),
                None => return (None, self.nothing_shows(now)),
            },
        };
        (Some(if at <= now.mono { next } else { CheckRequest::Wait(at) }), None)
    }

    fn nothing_shows(&mut self, now: Now) -> Option<Found> {
        if self.account_id.is_none() {
            // There is no mirror yet that could be another account's: the first talk shows whose it is.
            self.stage = Stage::Confirmed;
            return None;
        }
        self.stage = Stage::Unknown { until: now.mono + UNKNOWN_FOR };
        Some(Found::Unknown(
            "GET /api/v4/account names no account, the token names none, and no stored talk was returned",
        ))
    }

    /// The request for the account leaves.
    pub(super) fn begin(&mut self, now: Now) {
        self.under_way = true;
        self.wanted = false;
        self.asked_at = Some(now.mono);
    }

    /// The account's own response came. `is_current`: with the token that is in use now.
    pub(super) fn answered(&mut self, served: bool) {
        self.under_way = false;
        self.served |= served;
    }

    /// The account's description of itself has come.
    ///
    /// # Errors
    /// If it is another account.
    pub(super) fn described(&mut self, account: AccountInfo, base_url: &str) -> Result<Found, WorkError> {
        self.found(AccountName {
            account_id: account.account_id,
            name: account.name,
            base_url: Some(base_url.into()),
        })
    }

    /// The account was asked for in vain. `by_token` is the account that the token names.
    ///
    /// # Errors
    /// If the token names another account.
    pub(super) fn failed(
        &mut self,
        failure: &Failure,
        by_token: Option<i64>,
        base_url: &str,
        now: Now,
    ) -> Result<Option<Found>, WorkError> {
        let Stage::Account { failures, .. } = self.stage else { return Ok(None) };
        let passes = match failure.kind {
            // Everybody gets that: it is asked for again when it has passed.
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => return Ok(None),
            Kind::Transient | Kind::NoAnswer | Kind::Forbidden => failures + 1 < MOST_FAILURES,
            _ => false,
        };
        // A connection that was just closing is no failure.
        if passes || failure.repeatable {
            let failures = failures + u32::from(!failure.repeatable);
            let at = if failure.repeatable { now.mono } else { now.mono + RETRY_INTERVAL };
            self.stage = Stage::Account { failures, at };
            return Ok(None);
        }
        tracing::debug!("the API does not name the account: {}", shown(&failure.to_string()));
        match by_token {
            Some(account_id) => {
                let base_url = Some(base_url.into());
                self.found(AccountName { account_id, name: None, base_url }).map(Some)
            }
            None => {
                self.stage = Stage::Talk { place: 0, at: now.mono };
                Ok(None)
            }
        }
    }

    /// The account that answers is known: it must be the mirror's.
    fn found(&mut self, account: AccountName) -> Result<Found, WorkError> {
        let expected = *self.account_id.get_or_insert(account.account_id);
        if expected != account.account_id {
            return Err(self.other(account));
        }
        Ok(self.confirmed(account))
    }

    fn confirmed(&mut self, account: AccountName) -> Found {
        let newly = !self.is_confirmed();
        self.stage = Stage::Confirmed;
        Found::Confirmed { account, newly }
    }

    /// Another account's responses would corrupt the mirror: the work ends.
    pub(super) fn other(&self, found: AccountName) -> WorkError {
        let account_id = self.account_id.unwrap_or_default();
        let expected = self.mirrored.clone().filter(|name| name.account_id == account_id);
        let expected = expected.unwrap_or(AccountName { account_id, ..AccountName::default() });
        WorkError::OtherAccount { expected, found }
    }

    /// The account of a talk that was shown. The first talk shows which account this is. The account that is expected if
    /// it is another one.
    pub(super) fn expects(&mut self, account_id: i64) -> Result<(), i64> {
        let expected = *self.account_id.get_or_insert(account_id);
        if expected == account_id { Ok(()) } else { Err(expected) }
    }

    /// A talk of the mirror's account was shown with the token in use.
    pub(super) fn talk_shown(&mut self, account_id: i64, base_url: &str) -> Option<Found> {
        let name = || AccountName { account_id, name: None, base_url: Some(base_url.into()) };
        (!self.is_confirmed()).then(|| self.confirmed(name()))
    }

    /// A talk was not shown: if it was to show which account this is, it did not.
    pub(super) fn talk_not_shown(
        &mut self,
        talk_id: TalkId,
        failure: &Failure,
        dispatch: &Dispatch,
        now: Now,
    ) {
        let Stage::Talk { place, .. } = self.stage else { return };
        if dispatch.known_at(place) != Some(talk_id) {
            return;
        }
        self.stage = match failure.kind {
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => Stage::Talk { place, at: now.mono },
            // It may be everybody's, or the talk's own: then another one shows it.
            Kind::Transient | Kind::NoAnswer => {
                Stage::Talk { place: place + 1, at: now.mono + RETRY_INTERVAL }
            }
            _ => Stage::Talk { place: place + 1, at: now.mono },
        };
    }
}
