//! Another configuration or another clock while the worker runs.

use super::{Worker, WorkerConfig};
use crate::amocrm::{Client, Token};
use crate::clock::Now;
use crate::store::queue::Repair;
use std::sync::Arc;

impl Worker {
    /// The wall clock was set by `seconds`, back if that is below 0: what is due by it is read anew.
    pub(crate) fn clock_was_set(&mut self, seconds: i64, now: Now) {
        self.reporter.move_clock(seconds);
        let back = seconds.saturating_neg().max(0);
        self.repair(Repair::Clock { back, retry_max: self.config.retry.max, now: now.secs() });
        self.dispatch.clock_was_set();
    }

    /// Goes by `config` from now on. Requests under way end as they began; `client` is one with other
    /// deadlines, if these have changed. Close requests that were decided under the old rules and are not sent yet are
    /// dropped and decided anew.
    pub(crate) fn reconfigure(
        &mut self,
        config: WorkerConfig,
        token: Token,
        client: Option<Client>,
        now: Now,
    ) {
        if config.close != self.config.close {
            self.closer.change_rules();
            self.drop_pending("not sent: the rules have changed", now);
            self.dispatch.rows_may_be_due();
        }
        self.circuit.set_limit(config.requests_per_second);
        if let Some(client) = client {
            self.client = Arc::new(client);
            self.tokens.use_client(&self.client);
        }
        if self.tokens.replace(token, &self.client) {
            self.use_token(now);
        }
        self.account.restart(now);
        self.next_poll = now.mono;
        if config.retention != self.config.retention {
            self.maintenance.hurry_retention(now);
        }
        if !config.heeds_clock() {
            self.closer.forget_clock();
            self.reporter.forget_clock();
        }
        // Requests under way may still take as long as they were given.
        let request_timeout = config.request_timeout.max(self.config.request_timeout);
        self.config = WorkerConfig { request_timeout, ..config };
    }
}
