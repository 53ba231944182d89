//! The configured schedules, kept by tokio-cron-scheduler.

use super::DaemonError;
use crate::clock::{self, unix_now};
use crate::config::{either_day, next_tick};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};
use uuid::Uuid;

/// Ticks by six-field cron expressions, UTC.
pub(super) struct Schedule {
    scheduler: JobScheduler,
}

/// Two jobs of one schedule that fall on the same second tick once, if they are within this time.
const SAME_TICK_WINDOW: Duration = Duration::from_millis(250);

/// Ticks of a schedule that may change. Several unread ticks count as one.
#[derive(Default)]
pub(super) struct Ticks {
    notify: Arc<Notify>,
    last: Arc<Mutex<Option<Instant>>>,
    cron: Option<String>,
    jobs: Vec<Uuid>,
}

impl Schedule {
    pub(super) async fn start() -> Result<Schedule, DaemonError> {
        let scheduler = JobScheduler::new().await.map_err(DaemonError::Schedule)?;
        scheduler.start().await.map_err(DaemonError::Schedule)?;
        Ok(Schedule { scheduler })
    }

    /// Sets or clears the expression of `ticks`. True if that is a change.
    pub(super) async fn set(&self, ticks: &mut Ticks, cron: Option<&str>) -> Result<bool, DaemonError> {
        if ticks.cron.as_deref() == cron {
            return Ok(false);
        }
        ticks.cron = cron.map(str::to_owned);
        self.renew(ticks).await?;
        Ok(true)
    }

    /// Registers the jobs again. The scheduler stores the wall-clock time of the next tick. After the clock was set
    /// back it would wait until that time comes again.
    pub(super) async fn renew(&self, ticks: &mut Ticks) -> Result<(), DaemonError> {
        for job in ticks.jobs.drain(..) {
            self.scheduler.remove(&job).await.map_err(DaemonError::Schedule)?;
        }
        let now = unix_now();
        // One of the two expressions may never match: 30 February.
        let comes = |cron: &String| next_tick(cron, now).is_some();
        for cron in ticks.cron.iter().flat_map(|cron| either_day(cron)).filter(comes) {
            let (notify, last) = (Arc::clone(&ticks.notify), Arc::clone(&ticks.last));
            let job = Job::new_async(cron.as_str(), move |_, _| {
                let now = clock::mono();
                let last = last.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
                if last.is_none_or(|last| now - last >= SAME_TICK_WINDOW) {
                    notify.notify_one();
                }
                Box::pin(std::future::ready(()))
            })
            .map_err(DaemonError::Schedule)?;
            ticks.jobs.push(self.scheduler.add(job).await.map_err(DaemonError::Schedule)?);
        }
        Ok(())
    }

    pub(super) async fn stop(mut self) {
        // The scheduler has no state to lose.
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
