//! Starts the feeders that are switched on, changes them with the configuration, and stops them.

use super::DaemonError;
use super::schedule::{Schedule, Ticks};
use crate::clock;
use crate::config::{Config, next_tick};
use crate::feed::events::Events;
use crate::feed::listing::Listing;
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
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What earlier processes left of the feeders.
pub(super) struct FeederState(Vec<FeederRow>);

impl FeederState {
    pub(super) fn read(connection: &Connection) -> Result<FeederState, StoreError> {
        Ok(FeederState(feeds::rows(connection)?))
    }

    fn of(&self, feeder: Feeder) -> Option<&FeederRow> {
        self.0.iter().find(|row| row.feeder == feeder.as_str())
    }
}

/// Which feeders a configuration switches on.
pub(super) fn enabled(config: &Config) -> Vec<(Feeder, bool)> {
    vec![
        (Feeder::Refresh, config.refresh.is_some()),
        (Feeder::Listing, config.listing.is_some()),
        (Feeder::Events, config.events.is_some()),
        (Feeder::Webhook, config.webhook.is_some()),
    ]
}

/// The feeders at work. They stop when this is dropped: what they asked of the writer is done.
#[derive(Default)]
pub(super) struct Feeders {
    tasks: JoinSet<FeederEnded>,
    running: HashMap<Feeder, AbortHandle>,
    refresh: Option<RefreshRules>,
    listing: Ticks,
    events: Ticks,
    webhooks: watch::Sender<Option<Arc<Webhooks>>>,
    /// The secret of the hooks that are taken.
    secret: Option<SecretString>,
}

impl Feeders {
    /// Has those run that the configuration wants. One whose settings are the same goes on undisturbed.
    pub(super) async fn apply(
        &mut self,
        config: &Config,
        feeder_state: &FeederState,
        worker: &Worker,
        schedule: &Schedule,
    ) -> Result<(), DaemonError> {
        let context =
            |feeder| FeederContext::new(feeder, worker.door(), worker.writer(), feeder_state.of(feeder));
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
            // The first at once where one was missed while no daemon ran.
            // One in the future was noted by a wrong clock.
            let now = clock::unix_now();
            let next = row.and_then(|row| row.ran_at).and_then(|at| next_tick(cron, at.min(now)));
            if next.is_none_or(|at| at <= now) {
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
        if !self.running.contains_key(&Feeder::Backfill) {
            let context = context(Feeder::Backfill);
            let task = self.tasks.spawn(backfill::run(context));
            self.running.insert(Feeder::Backfill, task);
        }
        Ok(())
    }

    /// Has them tick by the clock as it is now.
    pub(super) async fn renew_schedules(&mut self, schedule: &Schedule) -> Result<(), DaemonError> {
        schedule.renew(&mut self.listing).await?;
        schedule.renew(&mut self.events).await
    }

    fn apply_webhook(&mut self, config: &Config, feeder_state: &FeederState, worker: &Worker) {
        let secret = config.webhook.as_ref().map(|webhook| webhook.secret.clone());
        fn exposed(secret: &Option<SecretString>) -> Option<&str> {
            secret.as_ref().map(|secret| secret.expose_secret())
        }
        if exposed(&secret) == exposed(&self.secret) {
            return;
        }
        let row = feeder_state.of(Feeder::Webhook);
        let webhooks = secret.clone().map(|secret| Arc::new(Webhooks::new(secret, worker.writer(), row)));
        match (&webhooks, config.http) {
            (Some(_), Some(listen)) => tracing::info!("taking hooks at http://{listen}/webhook/…"),
            (Some(_), None) => {}
            (None, _) => tracing::info!("taking no hooks any more"),
        }
        self.webhooks.send_replace(webhooks);
        self.secret = secret;
    }

    /// Who takes hooks in, if anybody does.
    pub(super) fn webhooks(&self) -> watch::Receiver<Option<Arc<Webhooks>>> {
        self.webhooks.subscribe()
    }

    fn end(&mut self, feeder: Feeder) {
        if let Some(task) = self.running.remove(&feeder) {
            task.abort();
        }
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
