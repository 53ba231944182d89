//! Whose API it is that answers, before anything that it says is believed: another account's would say of our talks that
//! they don't exist, or are not ours to see.
//!
//! It is found out at the start, after a reload and with each new token: by `GET /api/v4/account`, else by what the token
//! says of itself, else by a stored talk that is shown. Until then no other request leaves.

use super::launch::Next;
use super::{Ended, WorkError, Worker};
use crate::amocrm::{Account, Failure, Kind};
use crate::clock::{self, Now};
use crate::gate::{Permit, Signal, Source};
use crate::store::account::AccountName;
use crate::store::queue::{Due, Repair};
use crate::text::shown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So often the account is asked for where that fails, before something else tells whose it is.
const MOST_FAILURES: u32 = 3;
/// Between two such tries.
const RETRY: Duration = Duration::from_secs(1);
/// So soon after the last time it is not asked for to see whether anybody is answered.
const NOT_AT_ONCE: Duration = Duration::from_millis(100);
/// If nothing has told whose it is, it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(15 * 60);

/// How far it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// By the account itself, not before then.
    Account { failures: u32, at: Instant },
    /// By the stored talk of this place, not before then.
    Talk { place: usize, at: Instant },
    /// It is the mirror's, or there is no mirror yet that could be another's.
    Confirmed,
    /// Nothing told: until then nothing is believed.
    Unknown { until: Instant },
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Identity {
    stage: Stage,
    /// The account was asked for.
    under_way: bool,
    /// The account answers for itself.
    served: bool,
    /// Whether anybody is answered is to be seen by the account.
    wanted: bool,
    /// When it was asked for last.
    asked_at: Option<Instant>,
}

impl Identity {
    pub(super) fn new(now: Now) -> Identity {
        let stage = Stage::Account { failures: 0, at: now.mono };
        Identity { stage, under_way: false, served: false, wanted: false, asked_at: None }
    }

    /// What the API says of talks that it does not show is believed.
    pub(super) fn is_confirmed(&self) -> bool {
        self.stage == Stage::Confirmed
    }

    /// It is not found out yet, and nothing else may leave meanwhile.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Account { .. } | Stage::Talk { .. })
    }

    /// The account answers when it is asked for.
    pub(super) fn may_probe(&self) -> bool {
        self.served && !self.under_way
    }

    /// Has the account asked for, to see whether anybody is answered.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Not at once after the last time: it may have failed just now.
    pub(super) fn is_wanted(&self, now: Now) -> bool {
        let lately = self.asked_at.is_some_and(|at| now.mono.saturating_duration_since(at) < NOT_AT_ONCE);
        self.wanted && !self.under_way && !lately
    }

    /// When an answer that is not believed yet is worth another look.
    pub(super) fn look_again(&self, now: Now) -> Duration {
        match self.stage {
            Stage::Unknown { until } => until.saturating_duration_since(now.mono) + RETRY,
            _ => RETRY,
        }
    }
}

impl Worker {
    /// Begins to find out whose API it is: there is another token, or another configuration.
    pub(super) fn identify_anew(&mut self, now: Now) {
        let served = self.identity.served;
        let under_way = self.identity.under_way;
        self.identity = Identity { served, under_way, ..Identity::new(now) };
    }

    /// It is worth another try: the API answers again.
    pub(super) fn identify_soon(&mut self, now: Now) {
        if !self.identity.is_confirmed() {
            self.identify_anew(now);
        }
    }

    /// The request that finds out whose API it is; `None` if nothing is to be found out.
    pub(super) fn next_identification(&mut self, now: Now) -> Option<Next> {
        if let Stage::Unknown { until } = self.identity.stage
            && until <= now.mono
        {
            self.identify_anew(now);
        }
        let (at, next) = match self.identity.stage {
            Stage::Confirmed | Stage::Unknown { .. } => return None,
            Stage::Account { .. } if self.identity.under_way => return Some(Next::Nothing),
            Stage::Account { at, .. } => (at, Next::Account),
            Stage::Talk { place, at } => match self.known.get(place) {
                Some(talk_id) if self.busy.contains(talk_id) => {
                    // Its connection may have been closed on it.
                    let again = self.repeats.iter().position(|due| due.talk_id == *talk_id);
                    let Some(again) = again else { return Some(Next::Nothing) };
                    self.repeats.swap(0, again);
                    return self.repeats.front().map(|due| Next::Repeat(*due));
                }
                Some(talk_id) => (at, Next::Confirm(Due::without_row(*talk_id))),
                None => {
                    self.nothing_told(now);
                    return self.next_identification(now);
                }
            },
        };
        Some(if at <= now.mono { next } else { Next::Wait(at) })
    }

    /// Sends the request for the account.
    pub(super) fn send_account(&mut self, permit: Permit, now: Now) {
        self.identity.under_way = true;
        self.identity.wanted = false;
        self.identity.asked_at = Some(now.mono);
        let client = Arc::clone(&self.client);
        self.request(permit, now, async move { Ended::Described { result: client.account().await } });
    }

    /// Acts on what the account says of itself.
    pub(super) fn settle_account(
        &mut self,
        permit: Permit,
        result: Result<Account, Failure>,
        token_epoch: u64,
    ) -> Result<(), WorkError> {
        let now = clock::now();
        self.identity.under_way = false;
        let is_current = token_epoch == self.token_epoch;
        match result {
            Ok(account) => {
                self.identity.served = true;
                self.answered(permit, Source::Account, Signal::Healthy, None, now);
                if is_current {
                    let base_url = Some(self.config.base_url.clone());
                    let found = AccountName { account_id: account.account_id, name: account.name, base_url };
                    self.found_account(found, now)?;
                }
            }
            Err(failure) => {
                let signal = self.signal(&failure, token_epoch);
                self.answered(permit, Source::Account, signal, Some(&failure), now);
                if is_current {
                    self.account_failed(&failure, now)?;
                }
            }
        }
        Ok(())
    }

    fn account_failed(&mut self, failure: &Failure, now: Now) -> Result<(), WorkError> {
        let Stage::Account { failures, .. } = self.identity.stage else { return Ok(()) };
        let passes = match failure.kind {
            // Everybody is told so: it is asked again when that has passed.
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => return Ok(()),
            Kind::Transient | Kind::NoAnswer | Kind::Forbidden => failures + 1 < MOST_FAILURES,
            _ => false,
        };
        // A connection that was just closing is no failure.
        if passes || failure.repeatable {
            let failures = failures + u32::from(!failure.repeatable);
            let at = if failure.repeatable { now.mono } else { now.mono + RETRY };
            self.identity.stage = Stage::Account { failures, at };
            return Ok(());
        }
        tracing::debug!("the account does not say whose it is: {}", shown(&failure.to_string()));
        match self.tokens.token.account_id() {
            Some(account_id) => {
                let base_url = Some(self.config.base_url.clone());
                self.found_account(AccountName { account_id, name: None, base_url }, now)
            }
            None => {
                self.identity.stage = Stage::Talk { place: 0, at: now.mono };
                Ok(())
            }
        }
    }

    /// The account that answers is known: it must be the mirror's.
    fn found_account(&mut self, found: AccountName, now: Now) -> Result<(), WorkError> {
        let expected = *self.account_id.get_or_insert(found.account_id);
        if expected != found.account_id {
            return Err(self.other_account(found));
        }
        self.confirmed(found, now);
        Ok(())
    }

    fn confirmed(&mut self, found: AccountName, now: Now) {
        if !self.identity.is_confirmed() {
            self.repair(Repair::Ignored { now: now.secs() });
        }
        self.identity.stage = Stage::Confirmed;
        self.writer.account(Ok(found), now.secs());
        self.publish_quota(now);
    }

    /// Another account's answers would corrupt the mirror: the work ends.
    pub(super) fn other_account(&mut self, found: AccountName) -> WorkError {
        self.to_enqueue = None;
        let account_id = self.account_id.unwrap_or_default();
        let expected = self.mirrored.clone().filter(|name| name.account_id == account_id);
        let expected = expected.unwrap_or(AccountName { account_id, ..AccountName::default() });
        WorkError::OtherAccount { expected, found }
    }

    /// A talk of the mirror's account was shown with the token in use.
    pub(super) fn talk_confirms(&mut self, account_id: i64, now: Now) {
        if !self.identity.is_confirmed() {
            let base_url = Some(self.config.base_url.clone());
            self.confirmed(AccountName { account_id, name: None, base_url }, now);
        }
    }

    /// A talk was not shown: if it was to tell whose API it is, it did not.
    pub(super) fn talk_tells_nothing(&mut self, talk_id: i64, failure: &Failure, now: Now) {
        let Stage::Talk { place, .. } = self.identity.stage else { return };
        if self.known.get(place) != Some(&talk_id) {
            return;
        }
        self.identity.stage = match failure.kind {
            Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited => Stage::Talk { place, at: now.mono },
            // It may be everybody's, or the talk's own: then another one tells.
            Kind::Transient | Kind::NoAnswer => Stage::Talk { place: place + 1, at: now.mono + RETRY },
            _ => Stage::Talk { place: place + 1, at: now.mono },
        };
    }

    /// The next probe asks for another stored talk: this one may fail by itself.
    pub(super) fn ask_another(&mut self, talk_id: i64) {
        // While they are gone through one by one, each keeps its place.
        if self.identity.is_pending() {
            return;
        }
        if let Some(place) = self.known.iter().position(|known| *known == talk_id) {
            self.known.remove(place);
            self.known.push_back(talk_id);
        }
    }

    fn nothing_told(&mut self, now: Now) {
        if self.account_id.is_none() {
            // There is no mirror yet that could be another account's: the first talk says whose it is.
            self.identity.stage = Stage::Confirmed;
            return;
        }
        let why =
            "GET /api/v4/account names no account, the token names none, and no stored talk was returned";
        tracing::error!("the account that answers is not confirmed: {why}; 404, 403 and 204 are ignored");
        self.identity.stage = Stage::Unknown { until: now.mono + ASK_AGAIN };
        self.writer.account(Err(why.into()), now.secs());
    }
}
