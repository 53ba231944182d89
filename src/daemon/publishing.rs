//! Starts and stops the publisher as `[publish]` asks.

use super::DaemonError;
use crate::clock::{Deadline, Now};
use crate::config::Config;
use crate::publish::{self, Hold, PublishRules, Publisher};
use crate::store::writer::Writer;
use crate::store::{Connection, StoreError, changes};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// A stop waits so long for the publisher.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The publisher of the running daemon, if it is on.
pub(super) struct Publishing {
    writer: Writer,
    running: Option<(PublishRules, Publisher)>,
    /// Marks of changes are left over from when it was on.
    is_marked: bool,
    forgetting: Option<AbortHandle>,
    /// The database had no talks at the start, and is to take the account over.
    awaits_adoption: bool,
}

/// What earlier processes left.
pub(super) struct Found {
    is_marked: bool,
    has_talks: bool,
}

impl Publishing {
    /// Whether an earlier process left talks, or marks of changes.
    pub(super) fn read(connection: &Connection) -> Result<Found, DaemonError> {
        let local = changes::local(connection).map_err(StoreError::from)?;
        let state = changes::state::read(connection).map_err(StoreError::from)?;
        Ok(Found {
            is_marked: local.is_captured || local.top > 0 || state.is_some(),
            has_talks: local.has_talks,
        })
    }

    pub(super) fn new(config: &Config, writer: Writer, found: &Found) -> Publishing {
        let adopts = config.publish.as_ref().is_some_and(|rules| rules.adopt);
        Publishing {
            writer,
            running: None,
            is_marked: found.is_marked,
            forgetting: None,
            awaits_adoption: adopts && !found.has_talks,
        }
    }

    /// Until when requests may leave; `None`: without an end. The error: why none may, such as another host that may be
    /// working the account.
    pub(super) fn may_request(&mut self, now: Now) -> Result<Option<Deadline>, &'static str> {
        let Some((rules, publisher)) = self.running.as_mut() else { return Ok(None) };
        let hold = publisher.hold();
        if hold != Hold::No {
            self.awaits_adoption = false;
        }
        match rules.standby_after {
            Some(after) => hold
                .ends(after, now)
                .map(Some)
                .ok_or("another host may be working the account, or the server of publish.server is away"),
            None if self.awaits_adoption => {
                Err("the account is to be taken over from the server of publish.server")
            }
            None => Ok(None),
        }
    }

    /// Waits until the hold changes.
    pub(super) async fn changed(&mut self) {
        match &mut self.running {
            Some((_, publisher)) => publisher.hold_changed().await,
            None => std::future::pending().await,
        }
    }

    /// Applies a configuration. A publisher with unchanged settings stays; if it waits after a failure, it retries.
    pub(super) async fn apply(&mut self, config: &Config) -> Result<(), DaemonError> {
        if let Some((rules, publisher)) = &self.running
            && Some(rules) == config.publish.as_ref()
        {
            publisher.retry();
            return Ok(());
        }
        self.is_marked |= self.running.is_some();
        self.stop().await;
        let Some(rules) = config.publish.clone() else {
            if std::mem::take(&mut self.is_marked) {
                let writer = self.writer.clone();
                let forgetting = tokio::spawn(async move { publish::switch_off(&writer).await });
                self.forgetting = Some(forgetting.abort_handle());
            }
            return Ok(());
        };
        if let Some(forgetting) = self.forgetting.take() {
            forgetting.abort();
        }
        let base_url = config.api.base_url.as_str().trim_end_matches('/').to_owned();
        let publisher = Publisher::start(rules.clone(), base_url, &config.database, self.writer.clone())
            .map_err(DaemonError::Thread)?;
        self.running = Some((rules, publisher));
        Ok(())
    }

    /// Publishes what is left if that is quick, and ends.
    pub(super) async fn stop(&mut self) {
        if let Some((_, publisher)) = self.running.take() {
            let _ = timeout(STOP_TIMEOUT, publisher.stop()).await;
        }
    }
}
