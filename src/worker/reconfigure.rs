//! Taking up another configuration while work goes on.

use super::{Worker, WorkerConfig};
use crate::amocrm::{Client, Token};
use crate::clock::Now;
use crate::policy::closing::CloseMode;
use crate::store::queue::Repair;
use std::sync::Arc;

impl Worker {
    /// The wall clock was set by `seconds`, back if that is below 0: what is due by it is looked at anew.
    pub fn clock_was_set(&mut self, seconds: i64, now: Now) {
        self.condition.move_clock(seconds);
        let retry_max = i64::try_from(self.config.retry.max.as_secs()).unwrap_or(i64::MAX / 4);
        let back = seconds.saturating_neg().max(0);
        self.repair(Repair::Clock { back, retry_max, now: now.secs() });
        self.next_due_at = None;
        self.reread = true;
    }

    /// Goes by `config` from now on. Requests under way end as they began; `client` is one with other
    /// deadlines, where these have changed. Talks that the old rules would have closed and whose request
    /// has not left are decided on anew.
    pub fn reconfigure(&mut self, config: WorkerConfig, token: Token, client: Option<Client>, now: Now) {
        if config.close != self.config.close {
            self.withdraw_decisions(now);
        }
        self.gate.set_limit(config.requests_per_second);
        if let Some(client) = client {
            self.client = Arc::new(client);
            self.renew_issuer();
        }
        self.replace_token(token, now);
        self.identify_anew(now);
        self.next_poll = now.mono;
        if config.retention != self.config.retention {
            self.hurry_retention(now);
        }
        if config.close.mode == CloseMode::Off && config.retention.is_none() {
            // Nothing compares the clocks any more.
            self.forget_clock();
        }
        // Requests under way may still take as long as they were given.
        let request_timeout = config.request_timeout.max(self.config.request_timeout);
        self.config = WorkerConfig { request_timeout, ..config };
    }
}
