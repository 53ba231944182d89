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
    pub(crate) async fn stop(&mut self, requests: Instant, records: Instant) -> Result<(), WorkError> {
        self.stopping = true;
        let mut ended = Ok(());
        while !self.requests.is_empty() {
            tokio::select! {
                step = self.step() => match step {
                    Err(error @ (WorkError::Database(_) | WorkError::WriterEnded)) => return Err(error),
                    Err(error) => ended = ended.and(Err(error)),
                    Ok(()) => {}
                },
                () = sleep_until(requests.into()) => {
                    self.requests.abort_all();
                    while self.requests.join_next().await.is_some() {}
                }
            }
        }
        // A close request that was written down and has not left is to be so described.
        while self.unrecorded > 0 && clock::mono() < records {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle_event(event, clock::now())?,
                    None => return Err(WorkError::WriterEnded),
                },
                () = sleep_until(records.into()) => {}
            }
        }
        self.enqueue_now();
        let now = clock::now();
        self.drop_pending("not sent: talkmirror was stopping", now);
        self.writer.status(self.reporter.last(self.circuit.gate(), now));
        self.writer.stop();
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Stopped) | None => return ended,
                    Some(event) => self.handle_event(event, clock::now())?,
                },
                () = sleep_until(records.into()) => {
                    let talks = self.dispatch.busy();
                    if talks > 0 {
                        tracing::warn!(
                            talks,
                            "stopped before {talks} fetched talks could be recorded: they stay in the queue"
                        );
                    }
                    return ended;
                }
            }
        }
    }
}
