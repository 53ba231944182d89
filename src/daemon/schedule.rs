//! The schedules of the configuration, kept by tokio-cron-scheduler.

use super::DaemonError;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

/// Ticks by cron expressions of six fields, UTC. Ticks that nobody took yet are one.
pub(super) struct Schedule {
    scheduler: JobScheduler,
}

impl Schedule {
    pub(super) async fn start() -> Result<Schedule, DaemonError> {
        let scheduler = JobScheduler::new().await.map_err(DaemonError::Schedule)?;
        scheduler.start().await.map_err(DaemonError::Schedule)?;
        Ok(Schedule { scheduler })
    }

    /// Ticks from now on.
    pub(super) async fn add(&self, schedule: &str) -> Result<Arc<Notify>, DaemonError> {
        let ticks = Arc::new(Notify::new());
        let tick = Arc::clone(&ticks);
        let job = Job::new_async(schedule, move |_, _| {
            tick.notify_one();
            Box::pin(std::future::ready(()))
        })
        .map_err(DaemonError::Schedule)?;
        self.scheduler.add(job).await.map_err(DaemonError::Schedule)?;
        Ok(ticks)
    }

    pub(super) async fn stop(mut self) {
        // It holds nothing that could be lost.
        let _ = self.scheduler.shutdown().await;
    }
}
