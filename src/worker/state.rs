//! How the worker is, for the daemon and the commands.

use super::{Counters, ToEnqueue, Worker};
use crate::clock::{Now, UnixSeconds};
use crate::gate::Pause;
use crate::store::status::DaemonStatus;
use crate::store::sweep::QueuedToClose;
use crate::talk::TalkId;
use std::time::Instant;

impl Worker {
    /// Ids that [`Worker::enqueue`] was given are not all in the queue yet.
    pub(crate) fn is_enqueueing(&self) -> bool {
        !matches!(self.to_enqueue, ToEnqueue::Nothing)
    }

    /// What was queued to be closed by hand, once it was.
    pub(crate) fn queued_to_close(&self) -> Option<&QueuedToClose> {
        self.closer.queued_to_close()
    }

    /// Talks that were to be closed by hand and were left as they are, and why.
    pub(crate) fn left(&self) -> &[(TalkId, String)] {
        self.closer.left()
    }

    /// Talks that were tried and not fetched, if this is a `sync`.
    pub(crate) fn unfetched(&self) -> Vec<TalkId> {
        self.unfetched.talks()
    }

    /// What was done so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Nothing is due, under way or waiting to be recorded, and it is known whose API answers, as far as that can be.
    pub(crate) fn is_idle(&self) -> bool {
        let asks = self.is_enqueueing() || self.closer.is_queueing() || self.closer.is_sweeping();
        !asks && !self.account.is_pending() && self.dispatch.is_idle() && self.is_quiet()
    }

    /// Nothing is under way or waiting to be recorded.
    pub(crate) fn is_quiet(&self) -> bool {
        self.dispatch.busy() == 0 && !self.tokens.is_renewing()
    }

    /// When the next row is due; known while [`Worker::is_idle`].
    pub(crate) fn next_due_at(&self) -> Option<UnixSeconds> {
        self.dispatch.next_due_at()
    }

    /// The pause, if everything pauses, and the response that began it.
    pub(crate) fn pause(&self) -> Option<(Pause, &str)> {
        Some((self.circuit.pause()?, self.reporter.pause_detail()))
    }

    /// How it is now, as `daemon_status` shows it.
    pub(crate) fn status(&mut self, now: Now) -> DaemonStatus {
        self.reporter.status(self.circuit.gate(), now)
    }

    /// Requests in each of the last minutes, of three hours at most, the running one last.
    pub(crate) fn requests_by_minute(&self, now: Now) -> Vec<u32> {
        self.reporter.requests_by_minute(now)
    }

    /// Since when the seconds are counted at which it does what it does each second.
    pub(crate) fn origin(&self) -> Instant {
        self.origin
    }

    /// Why nothing can be recorded, and since when.
    pub(crate) fn write_error(&self) -> Option<(&str, Instant)> {
        self.reporter.write_error()
    }

    /// When the API token ends, if it says so; with OAuth the access token in use.
    pub(crate) fn token_expires_at(&self) -> Option<UnixSeconds> {
        self.tokens.token().expires_at()
    }

    /// Why the process makes no progress, although it should.
    pub(crate) fn stalled(&self, now: Now) -> Option<String> {
        self.progress.stalled(self.config.request_timeout, now.mono)
    }
}
