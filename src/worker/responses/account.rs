//! The account's response.

use crate::amocrm::{AccountInfo, Failure};
use crate::clock::Now;
use crate::gate::{Permit, Signal, Source};
use crate::store::queue::Repair;
use crate::worker::account_check::Found;
use crate::worker::{WorkError, Worker};

impl Worker {
    pub(super) fn handle_account(
        &mut self,
        permit: Permit,
        result: Result<AccountInfo, Failure>,
        is_current: bool,
        now: Now,
    ) -> Result<(), WorkError> {
        self.account.answered(result.is_ok());
        let found = match result {
            Ok(account) => {
                self.answered(permit, Source::Account, Signal::Healthy, None, now);
                match is_current {
                    true => Some(self.account.described(account, &self.config.base_url)?),
                    false => None,
                }
            }
            Err(failure) => {
                let signal = self.signal(&failure, is_current, now);
                self.answered(permit, Source::Account, signal, Some(&failure), now);
                let by_token = self.tokens.token().account_id();
                match is_current {
                    true => self.account.failed(&failure, by_token, &self.config.base_url, now)?,
                    false => None,
                }
            }
        };
        if let Some(found) = found {
            self.note_account(found, now);
        }
        Ok(())
    }

    /// Writes down which account answers, or why that is not known.
    pub(in crate::worker) fn note_account(&mut self, found: Found, now: Now) {
        match found {
            Found::Confirmed { account, newly } => {
                if newly {
                    self.repair(Repair::Ignored { now: now.secs() });
                }
                self.writer.account(Ok(account), now.secs());
                self.publish_quota(now);
            }
            Found::Unknown(why) => {
                tracing::error!(
                    "the account that answers is not confirmed: {why}; 404, 403 and 204 are ignored"
                );
                self.writer.account(Err(why.into()), now.secs());
            }
        }
    }
}
