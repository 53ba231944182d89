//! Sending what may leave, as the gate allows: a close request that waits, else the next fetch.

use super::closing::Pending;
use super::{Answered, Ended, Worker};
use crate::clock::Now;
use crate::gate::{Permit, Wait};
use crate::store::queue::Due;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that wait to be recorded at most: bounds memory, and what a kill wastes.
const MAX_UNRECORDED: usize = 2048;

/// A request that may leave.
#[derive(Debug, Clone, Copy)]
enum Next {
    Close(Pending),
    Fetch(Due),
}

impl Worker {
    /// Sends what may leave; returns when to look again at the latest.
    pub(super) fn launch(&mut self, now: Now) -> Instant {
        let far = now.mono + Duration::from_secs(3600);
        while !self.stopping
            && self.trouble.is_none()
            && self.fetching.len() < self.config.max_in_flight
            && self.busy.len() < MAX_UNRECORDED
            && let Some(next) = self.next_request(now)
        {
            let permit = match self.gate.try_pass(now.mono) {
                Ok(permit) => permit,
                Err(Wait::Until(at)) => return at,
                Err(Wait::ForAnswer) => return far,
            };
            self.tally.requests += 1;
            self.condition.count_request(now);
            match next {
                Next::Close(pending) => {
                    self.closing.pending.pop_front();
                    self.send_close(pending, permit, now);
                }
                Next::Fetch(due) => {
                    if self.confirm_now.take().is_none() {
                        self.ready.pop_front();
                    }
                    self.send_fetch(due, permit, now);
                }
            }
        }
        match self.next_due_at {
            // What is asked for already will wake us itself.
            Some(at) if self.ready.is_empty() && !self.head_asked && !self.stopping => {
                now.mono + Duration::from_secs_f64((at as f64 - now.unix).clamp(0.0, 3600.0))
            }
            _ => far,
        }
    }

    fn next_request(&mut self, now: Now) -> Option<Next> {
        if let Some(pending) = self.next_pending(now) {
            return Some(Next::Close(pending));
        }
        self.confirm_now.or(self.ready.front().copied()).map(Next::Fetch)
    }

    fn send_fetch(&mut self, due: Due, permit: Permit, now: Now) {
        self.busy.insert(due.talk_id);
        let client = Arc::clone(&self.client);
        let account_id = self.account_id;
        let token_epoch = self.token_epoch;
        self.fetching.spawn(async move {
            let result = client.fetch_talk(due.talk_id, account_id).await;
            Answered { ended: Ended::Fetched { due, result }, permit, sent: now, token_epoch }
        });
    }
}
