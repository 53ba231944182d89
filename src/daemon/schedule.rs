//! The schedules of the configuration, kept by tokio-cron-scheduler.

use super::DaemonError;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

/// Ticks by cron expressions of six fields, UTC.
pub(super) struct Schedule {
    scheduler: JobScheduler,
}

/// Ticks that somebody waits for, by a schedule that may change. Those that nobody took yet are one.
#[derive(Default)]
pub(super) struct Ticks {
    notify: Arc<Notify>,
    job: Option<(String, uuid::Uuid)>,
}

impl Schedule {
    pub(super) async fn start() -> Result<Schedule, DaemonError> {
        let scheduler = JobScheduler::new().await.map_err(DaemonError::Schedule)?;
        scheduler.start().await.map_err(DaemonError::Schedule)?;
        Ok(Schedule { scheduler })
    }

    /// Has `ticks` tick by this expression from now on, or no more. True if that is a change.
    pub(super) async fn set(&self, ticks: &mut Ticks, cron: Option<&str>) -> Result<bool, DaemonError> {
        if ticks.job.as_ref().map(|(cron, _)| cron.as_str()) == cron {
            return Ok(false);
        }
        if let Some((_, job)) = ticks.job.take() {
            self.scheduler.remove(&job).await.map_err(DaemonError::Schedule)?;
        }
        if let Some(cron) = cron {
            let notify = Arc::clone(&ticks.notify);
            let job = Job::new_async(cron, move |_, _| {
                notify.notify_one();
                Box::pin(std::future::ready(()))
            })
            .map_err(DaemonError::Schedule)?;
            let id = self.scheduler.add(job).await.map_err(DaemonError::Schedule)?;
            ticks.job = Some((cron.to_owned(), id));
        }
        Ok(true)
    }

    pub(super) async fn stop(mut self) {
        // It holds nothing that could be lost.
        let _ = self.scheduler.shutdown().await;
    }
}

impl Ticks {
    pub(super) fn notify(&self) -> Arc<Notify> {
        Arc::clone(&self.notify)
    }

    /// The next tick.
    pub(super) async fn next(&self) {
        self.notify.notified().await;
    }
}
