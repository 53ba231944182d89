//! Ending the work in good order.

use super::{WorkError, Worker};
use crate::clock;
use crate::store::writer::Event;
use std::time::Instant;
use tokio::time::sleep_until;

impl Worker {
    /// Ends the work: no new request, those under way until `requests`, then the
    /// records until `records`. What is not recorded then is still in the queue.
    ///
    /// # Errors
    /// What made the work end in the middle of it, if anything did.
    pub async fn stop(&mut self, requests: Instant, records: Instant) -> Result<(), WorkError> {
        self.stopping = true;
        let mut ended = Ok(());
        while !self.fetching.is_empty() {
            tokio::select! {
                step = self.step() => match step {
                    Err(error @ (WorkError::Database(_) | WorkError::WriterEnded)) => return Err(error),
                    Err(error) => ended = ended.and(Err(error)),
                    Ok(()) => {}
                },
                () = sleep_until(requests.into()) => {
                    self.fetching.abort_all();
                    while self.fetching.join_next().await.is_some() {}
                }
            }
        }
        // A close request that was written down and has not left is to be so described.
        while self.unrecorded > 0 && clock::mono() < records {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.on_event(event)?,
                    None => return Err(WorkError::WriterEnded),
                },
                () = sleep_until(records.into()) => {}
            }
        }
        self.enqueue_now();
        self.give_up_pending(clock::now());
        self.condition.write_last(&self.writer, &self.gate, clock::now());
        self.writer.stop();
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Stopped) | None => return ended,
                    Some(event) => self.on_event(event)?,
                },
                () = sleep_until(records.into()) => {
                    if !self.busy.is_empty() {
                        tracing::warn!(
                            talks = self.busy.len(),
                            "stopped before {} fetched talks could be recorded: they stay in the queue",
                            self.busy.len()
                        );
                    }
                    return ended;
                }
            }
        }
    }
}
