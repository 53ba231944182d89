//! Starts and stops the publisher as `[publish]` asks.

use super::DaemonError;
use crate::config::Config;
use crate::publish::{self, PublishRules, Publisher};
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
}

impl Publishing {
    /// Whether an earlier process left marks of changes.
    pub(super) fn read(connection: &Connection) -> Result<bool, DaemonError> {
        let local = changes::local(connection).map_err(StoreError::from)?;
        let state = changes::state::read(connection).map_err(StoreError::from)?;
        Ok(local.is_captured || local.top > 0 || state.is_some())
    }

    pub(super) fn new(writer: Writer, is_marked: bool) -> Publishing {
        Publishing { writer, running: None, is_marked, forgetting: None }
    }

    /// Applies a configuration. A publisher with unchanged settings runs on.
    pub(super) async fn apply(&mut self, config: &Config) -> Result<(), DaemonError> {
        let is_unchanged = self.running.as_ref().map(|(rules, _)| rules) == config.publish.as_ref();
        if is_unchanged && self.running.is_some() {
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
