//! Starts the feeders that are switched on, and stops them.

use super::DaemonError;
use super::schedule::Schedule;
use crate::clock;
use crate::config::{Config, next_tick};
use crate::feed::events::Events;
use crate::feed::listing::Listing;
use crate::feed::{Ways, backfill, refresh, webhook};
use crate::store::StoreError;
use crate::store::feeds::{self, Feeder, FeederRow};
use crate::worker::Worker;
use rusqlite::Connection;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What earlier processes left of the feeders.
pub(super) struct Before(Vec<FeederRow>);

impl Before {
    /// Reads it, and notes which feeders are switched on now.
    pub(super) fn read(connection: &Connection, config: &Config) -> Result<Before, StoreError> {
        let on = [
            (Feeder::Refresh, config.refresh.is_some()),
            (Feeder::Listing, config.listing.is_some()),
            (Feeder::Events, config.events.is_some()),
            (Feeder::Webhook, config.webhook.is_some()),
        ];
        for (feeder, enabled) in on {
            feeds::note_enabled(connection, feeder, enabled)?;
        }
        Ok(Before(feeds::rows(connection)?))
    }

    fn of(&self, feeder: Feeder) -> Option<&FeederRow> {
        self.0.iter().find(|row| row.feeder == feeder.as_str())
    }
}

/// The feeders at work. They stop when this is dropped: what they asked of the writer is done.
pub(super) struct Feeders {
    tasks: JoinSet<()>,
}

impl Feeders {
    pub(super) async fn start(
        config: &Config,
        before: &Before,
        worker: &Worker,
        schedule: &Schedule,
    ) -> Result<Feeders, DaemonError> {
        let mut tasks = JoinSet::new();
        let ways = |feeder| Ways::new(feeder, worker.door(), worker.writer(), before.of(feeder));
        if let Some(webhook) = &config.webhook {
            let bound = TcpListener::bind(webhook.listen).await;
            let listener = bound.map_err(|source| DaemonError::Listen { address: webhook.listen, source })?;
            tracing::info!("taking hooks at http://{}/webhook/…", webhook.listen);
            let before = before.of(Feeder::Webhook).cloned();
            tasks.spawn(webhook::run(listener, webhook.secret.clone(), worker.writer(), before));
        }
        if let Some(cron) = &config.listing {
            let tick = ticks(schedule, cron, before.of(Feeder::Listing)).await?;
            let listing = Listing::new(ways(Feeder::Listing), before.of(Feeder::Listing));
            tasks.spawn(async move {
                listing.run(tick).await;
            });
        }
        if let Some(cron) = &config.events {
            let tick = ticks(schedule, cron, before.of(Feeder::Events)).await?;
            let events = Events::new(ways(Feeder::Events), before.of(Feeder::Events));
            tasks.spawn(async move {
                events.run(tick).await;
            });
        }
        if let Some(rules) = config.refresh.clone() {
            let ways = ways(Feeder::Refresh);
            tasks.spawn(async move {
                refresh::run(ways, rules).await;
            });
        }
        let ways = ways(Feeder::Backfill);
        tasks.spawn(async move {
            backfill::run(ways).await;
        });
        Ok(Feeders { tasks })
    }

    /// Waits for ever, unless one of them has a fault: it is not to be missed for years.
    pub(super) async fn watch(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        std::future::pending().await
    }

    /// Ends them in the middle of what they do: all they must remember is in the database.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Ticks by the schedule, the first at once where one was missed while no daemon ran.
async fn ticks(
    schedule: &Schedule,
    cron: &str,
    before: Option<&FeederRow>,
) -> Result<Arc<Notify>, DaemonError> {
    let ticks = schedule.add(cron).await?;
    let next = before.and_then(|row| row.ran_at).and_then(|at| next_tick(cron, at));
    if next.is_none_or(|at| at <= clock::unix_now()) {
        ticks.notify_one();
    }
    Ok(ticks)
}
