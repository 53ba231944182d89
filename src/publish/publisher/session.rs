//! One session: claims the account and publishes until something fails.

use super::Publishing;
use crate::clock;
use crate::publish::batch_limit::{SINGLE_TIMEOUT, TURN_TIMEOUT};
use crate::publish::claim::{self, Claim, Claimant, Claimed, written};
use crate::publish::connection::{ANSWER_TIMEOUT, Connection, within};
use crate::publish::error::PublishError;
use crate::publish::hold::Hold;
use crate::publish::pull::{Pulled, pull};
use crate::publish::rules::publisher_name;
use crate::publish::schema;
use crate::publish::turn::{Source, turn};
use crate::publish::whole::{COMPARE_INTERVAL, WholeTables};
use crate::store::changes::{self, ChangesRequest};
use crate::store::{self, account};
use crate::text::shown;
use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

impl Publishing {
    /// Claims the account and publishes until something fails.
    pub(super) async fn session(&mut self) -> Result<std::convert::Infallible, PublishError> {
        let mirror = changes::open(&self.database)
            .map_err(|error| PublishError::Refused(format!("cannot read the mirror: {error}")))?;
        self.reporter.recall(&mirror)?;
        let known = account::name(&mirror)?.map(|name| name.account_id);
        // With these the worker waits for the server, and cannot find out the account before.
        let asks_first = self.rules.adopt || self.rules.standby_after.is_some();
        if known.is_none() && !asks_first {
            self.account_id(&mirror).await?;
        }
        let connection = self.rules.server.connect().await?;
        let account_id = match known {
            Some(account_id) => account_id,
            None => self.account_to_adopt(&connection, &mirror).await?,
        };
        let claiming = self.claim(&connection, &mirror, account_id);
        let mut claim = match within(TURN_TIMEOUT, "claimed the account", claiming).await? {
            Claimed::Held(claim) => claim,
            Claimed::Behind { claim, above } => self.catch_up(&connection, claim, above).await?,
        };
        self.reporter.forget_left_out_after(claim.position);
        self.begin(&mirror, &claim).await?;
        let hold = self.rules.hold();
        let mut whole = WholeTables::default();
        loop {
            let began = clock::now();
            let turned_at = began.mono;
            let source = Source { mirror: &mirror, payload: self.rules.payload, hold, limit: self.limit };
            let leave_out = |change, error| self.reporter.leave_out(change, error);
            // Apart from the turn: what takes long here is no talk's.
            let tables = whole.publish(&connection, &claim, &source);
            within(SINGLE_TIMEOUT, "published names, exemptions or hours", tables).await?;
            let turning = turn(&connection, &mut claim, &source, leave_out);
            let Ok(turned) = timeout(self.limit.timeout(), turning).await else {
                let first = changes::since(&mirror, claim.position, 1, 0)?.list.first().copied();
                self.limit = self.limit.fewer(changes::backlog(&mirror, claim.position)?, first);
                return Err(PublishError::Timeout("published a batch"));
            };
            let done = turned?;
            self.limit = self.limit.more();
            self.holds.send_replace(Hold::Held { renewed: began });
            self.reporter.note(&mirror, &claim, (&done, began.secs()))?;
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
                written(&self.writer, ChangesRequest::AllSent).await?;
            }
            self.wait(turned_at, &mirror, &whole).await?;
        }
    }

    /// The account of this address that the server knows. If it knows none, the mirror finds it out.
    async fn account_to_adopt(
        &self,
        connection: &Connection,
        mirror: &store::Connection,
    ) -> Result<i64, PublishError> {
        within(ANSWER_TIMEOUT, "read the schema's version", schema::require(connection)).await?;
        loop {
            let asked = clock::now();
            let account = claim::account_at(connection, &self.base_url);
            if let Some(account_id) = within(ANSWER_TIMEOUT, "looked the account up", account).await? {
                return Ok(account_id);
            }
            self.holds.send_replace(Hold::Unknown { asked });
            if let Ok(found) = timeout(self.rules.retry(), self.account_id(mirror)).await {
                return found;
            }
        }
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
            has_rival: self.rival.has_rival(),
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
        let import = async |step| written(&self.writer, ChangesRequest::Import(Box::new(step))).await;
        let Pulled { talks, versions, closures, events } = pull(connection, &claim, above, import).await?;
        tracing::info!(
            talks,
            versions,
            closures,
            events,
            "compared with {} the {talks} talks published above change {above}, and took over what was missing here",
            shown(self.reporter.server())
        );
        Ok(claim)
    }

    /// Stores the claim, and begins to mark changes.
    async fn begin(&self, mirror: &store::Connection, claim: &Claim) -> Result<(), PublishError> {
        // Before anything is published under it: a later claim of another copy of this file shows by a higher epoch.
        written(&self.writer, ChangesRequest::Identity(claim::identity(claim))).await?;
        if !changes::local(mirror)?.is_captured {
            self.mark(claim.position).await?;
        }
        // Repeated claims would fill the journal.
        if !self.reporter.is_troubled() {
            tracing::info!(
                "publishing to {} from change {} on",
                shown(self.reporter.server()),
                claim.position
            );
        }
        Ok(())
    }

    /// Marks the next of the talks that were there before publishing was switched on.
    async fn mark(&self, floor: i64) -> Result<(), PublishError> {
        written(&self.writer, ChangesRequest::SwitchOn { floor }).await
    }

    /// Waits for a change, then gathers others for the rest of the interval. Ends early for a stop, when a table differs that
    /// is published whole, or when a sign of life is due: a fifth of the hold after the last.
    async fn wait(
        &self,
        turned_at: Instant,
        mirror: &store::Connection,
        whole: &WholeTables,
    ) -> Result<(), PublishError> {
        let sign_due = self.rules.hold() / 5;
        let gathered = async {
            let _ = timeout_at((turned_at + sign_due).into(), self.writer.changed()).await;
            sleep_until((turned_at + self.rules.interval.min(sign_due)).into()).await;
        };
        let differing = async {
            loop {
                sleep(COMPARE_INTERVAL).await;
                if whole.differ(mirror)? {
                    return Ok(());
                }
            }
        };
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = gathered => Ok(()),
            differing = differing => differing,
            _ = stopping.wait_for(|stop| *stop) => Ok(()),
        }
    }
}
