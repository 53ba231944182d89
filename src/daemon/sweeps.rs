//! The schedule of sweeps.

use super::DaemonError;
use crate::config::Config;
use crate::policy::closing::CloseMode;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

/// When to sweep: the schedule of the configuration, kept by tokio-cron-scheduler.
pub(super) struct Sweeps {
    scheduler: Option<JobScheduler>,
    ticks: mpsc::UnboundedReceiver<()>,
}

impl Sweeps {
    pub(super) async fn start(config: &Config) -> Result<Sweeps, DaemonError> {
        let (sender, ticks) = mpsc::unbounded_channel();
        if config.auto_close.rules.mode == CloseMode::Off {
            return Ok(Sweeps { scheduler: None, ticks });
        }
        let scheduler = JobScheduler::new().await.map_err(DaemonError::Schedule)?;
        let job = Job::new_async(config.auto_close.schedule.as_str(), move |_, _| {
            let sender = sender.clone();
            Box::pin(async move {
                let _ = sender.send(());
            })
        })
        .map_err(DaemonError::Schedule)?;
        scheduler.add(job).await.map_err(DaemonError::Schedule)?;
        scheduler.start().await.map_err(DaemonError::Schedule)?;
        Ok(Sweeps { scheduler: Some(scheduler), ticks })
    }

    /// Waits for the next tick; ticks that came meanwhile are one.
    pub(super) async fn next(&mut self) {
        match self.ticks.recv().await {
            Some(()) => while self.ticks.try_recv().is_ok() {},
            None => std::future::pending().await,
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(scheduler) = &mut self.scheduler {
            // It holds nothing that could be lost.
            let _ = scheduler.shutdown().await;
        }
    }
}
