//! Starts the enabled feeders, applies configuration changes to them, and stops them.

use super::DaemonError;
use super::schedule::{Schedule, Ticks};
use crate::clock::{self, UnixSeconds};
use crate::config::{Config, DirectoryRules, next_tick};
use crate::feed::directory::{self, Directory};
use crate::feed::events::{self, Events};
use crate::feed::listing::Listing;
use crate::feed::past_events::PastEventsFeeder;
use crate::feed::webhook::Webhooks;
use crate::feed::{FeederContext, FeederEnded, backfill, refresh};
use crate::policy::refresh::RefreshRules;
use crate::store::Connection;
use crate::store::StoreError;
use crate::store::feeds::{self, Feeder, FeederRow};
use crate::worker::Worker;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The stored state of the feeders.
pub(super) struct FeederState(Vec<FeederRow>);

impl FeederState {
    pub(super) fn read(connection: &Connection) -> Result<FeederState, StoreError> {
        Ok(FeederState(feeds::rows(connection)?))
    }

    fn of(&self, feeder: Feeder) -> Option<&FeederRow> {
        self.0.iter().find(|row| row.feeder == feeder.as_str())
    }
}

/// Which feeders a configuration enables.
pub(super) fn enabled(config: &Config) -> Vec<(Feeder, bool)> {
    vec![
        (Feeder::Refresh, config.refresh.is_some()),
        (Feeder::Listing, config.listing.is_some()),
        (Feeder::Events, config.events.is_some()),
        (Feeder::PastEvents, config.events_since.is_some()),
        (Feeder::Directory, config.directory.is_some()),
        (Feeder::Webhook, config.webhook.is_some()),
    ]
}

/// Whether a run was missed while no daemon ran: then the first one starts at once.
fn is_due(cron: &str, ran_at: Option<UnixSeconds>) -> bool {
    // A time in the future comes from a wrong clock.
    let now = clock::unix_now();
    ran_at.and_then(|at| next_tick(cron, at.min(now))).is_none_or(|at| at <= now)
}

/// The running feeders. Dropping this stops them; the writer still completes what they asked for.
#[derive(Default)]
pub(super) struct Feeders {
    tasks: JoinSet<FeederEnded>,
    running: HashMap<Feeder, AbortHandle>,
    refresh: Option<RefreshRules>,
    listing: Ticks,
    events: Ticks,
    past_events: Option<Duration>,
    directory: Option<DirectoryRules>,
    rounds: Ticks,
    webhooks: watch::Sender<Option<Arc<Webhooks>>>,
    /// The secret of the accepted webhooks.
    secret: Option<SecretString>,
}

impl Feeders {
    /// Runs the feeders that the configuration enables. A feeder with unchanged settings runs on.
    pub(super) async fn apply(
        &mut self,
        config: &Config,
        feeder_state: &FeederState,
        worker: &Worker,
        schedule: &Schedule,
    ) -> Result<(), DaemonError> {
        let context =
            |feeder| FeederContext::new(feeder, worker.api(), worker.writer(), feeder_state.of(feeder));
        self.apply_webhook(config, feeder_state, worker);
        for feeder in [Feeder::Listing, Feeder::Events] {
            let (ticks, cron) = match feeder {
                Feeder::Listing => (&mut self.listing, config.listing.as_deref()),
                _ => (&mut self.events, config.events.as_deref()),
            };
            schedule.set(ticks, cron).await?;
            let notify = ticks.notify();
            let Some(cron) = cron else {
                self.end(feeder);
                continue;
            };
            if self.running.contains_key(&feeder) {
                continue;
            }
            let row = feeder_state.of(feeder);
            if is_due(cron, row.and_then(|row| row.ran_at)) {
                notify.notify_one();
            }
            let context = context(feeder);
            let task = match feeder {
                Feeder::Listing => {
                    let listing = Listing::new(context, row);
                    self.tasks.spawn(listing.run(notify))
                }
                _ => {
                    let events = Events::new(context, row);
                    self.tasks.spawn(events.run(notify))
                }
            };
            self.running.insert(feeder, task);
        }
        if self.refresh != config.refresh {
            self.end(Feeder::Refresh);
            self.refresh.clone_from(&config.refresh);
            if let Some(rules) = config.refresh.clone() {
                let context = context(Feeder::Refresh);
                let task = self.tasks.spawn(refresh::run(context, rules));
                self.running.insert(Feeder::Refresh, task);
            }
        }
        if self.past_events != config.events_since {
            self.end(Feeder::PastEvents);
            self.past_events = config.events_since;
            if let Some(length) = config.events_since {
                let row = feeder_state.of(Feeder::PastEvents);
                let before = row.and_then(|row| serde_json::from_value(row.cursor.clone()?).ok());
                let cursor = events::cursor(feeder_state.of(Feeder::Events));
                let feeder = PastEventsFeeder::new(context(Feeder::PastEvents), before, length, cursor);
                let task = self.tasks.spawn(feeder.run());
                self.running.insert(Feeder::PastEvents, task);
            }
        }
        self.apply_directory(config, feeder_state, worker, schedule).await?;
        if !self.running.contains_key(&Feeder::Backfill) {
            let context = context(Feeder::Backfill);
            let task = self.tasks.spawn(backfill::run(context));
            self.running.insert(Feeder::Backfill, task);
        }
        Ok(())
    }

    /// Renews the schedules after the clock was set.
    pub(super) async fn renew_schedules(&mut self, schedule: &Schedule) -> Result<(), DaemonError> {
        schedule.renew(&mut self.listing).await?;
        schedule.renew(&mut self.events).await?;
        schedule.renew(&mut self.rounds).await
    }

    async fn apply_directory(
        &mut self,
        config: &Config,
        feeder_state: &FeederState,
        worker: &Worker,
        schedule: &Schedule,
    ) -> Result<(), DaemonError> {
        if self.directory == config.directory {
            return Ok(());
        }
        self.end(Feeder::Directory);
        self.directory.clone_from(&config.directory);
        let cron = self.directory.as_ref().map(|rules| rules.schedule.as_str());
        schedule.set(&mut self.rounds, cron).await?;
        let Some(rules) = self.directory.clone() else { return Ok(()) };
        let row = feeder_state.of(Feeder::Directory);
        let notify = self.rounds.notify();
        let is_due = is_due(&rules.schedule, directory::began_at(row));
        if is_due {
            notify.notify_one();
        }
        let context = FeederContext::new(Feeder::Directory, worker.api(), worker.writer(), row);
        let task = self.tasks.spawn(Directory::new(context, rules, row, is_due).run(notify));
        self.running.insert(Feeder::Directory, task);
        Ok(())
    }

    fn apply_webhook(&mut self, config: &Config, feeder_state: &FeederState, worker: &Worker) {
        let secret = config.webhook.as_ref().map(|webhook| webhook.secret.clone());
        fn exposed(secret: Option<&SecretString>) -> Option<&str> {
            secret.map(ExposeSecret::expose_secret)
        }
        if exposed(secret.as_ref()) == exposed(self.secret.as_ref()) {
            return;
        }
        let row = feeder_state.of(Feeder::Webhook);
        let webhooks = secret.clone().map(|secret| Arc::new(Webhooks::new(secret, worker.writer(), row)));
        match (&webhooks, config.http) {
            (Some(_), Some(listen)) => tracing::info!("receiving webhooks at http://{listen}/webhook/…"),
            (Some(_), None) => {}
            (None, _) => tracing::info!("no longer receiving webhooks"),
        }
        self.webhooks.send_replace(webhooks);
        self.secret = secret;
    }

    /// The current receiver of webhooks, if any.
    pub(super) fn webhooks(&self) -> watch::Receiver<Option<Arc<Webhooks>>> {
        self.webhooks.subscribe()
    }

    fn end(&mut self, feeder: Feeder) {
        if let Some(task) = self.running.remove(&feeder) {
            task.abort();
        }
    }

    /// Waits forever. A panic of a feeder is passed on, so that it does not go unnoticed.
    pub(super) async fn watch(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        std::future::pending::<()>().await;
    }

    /// Stops the feeders at any point: their state is in the database.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
