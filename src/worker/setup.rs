//! Putting a worker together.

use super::account_check::AccountCheck;
use super::circuit::Circuit;
use super::closer::Closer;
use super::config::{Account, WorkerConfig};
use super::counters::{Counters, Unfetched};
use super::dispatch::Dispatch;
use super::maintenance::Maintenance;
use super::odd::OddReporter;
use super::pages::Pages;
use super::progress::Progress;
use super::status_reporter::StatusReporter;
use super::token_manager::TokenManager;
use super::{ToEnqueue, Worker};
use crate::amocrm::{Client, Token};
use crate::clock::Now;
use crate::gate::Gate;
use crate::store::status::DaemonStatus;
use crate::store::writer::{Event, Writer};
use crate::text::shown;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

impl Worker {
    /// Sets a worker up; nothing is done before [`Worker::step`].
    pub(crate) fn new(
        config: WorkerConfig,
        token: Token,
        client: Client,
        gate: Gate,
        (writer, events): (Writer, UnboundedReceiver<Event>),
        account: Account,
        now: Now,
    ) -> Worker {
        Worker {
            tokens: TokenManager::new(token, &client),
            client: Arc::new(client),
            writer,
            events,
            requests: JoinSet::new(),
            dispatch: Dispatch::new(account.known),
            circuit: Circuit::new(gate, config.seed),
            account: AccountCheck::new(account.name, now),
            closer: Closer::default(),
            pages: Pages::new(),
            maintenance: Maintenance::new(now),
            reporter: StatusReporter::new(config.mode, now),
            odd: OddReporter::new(account.odd_reported_at),
            progress: Progress::new(now),
            counters: Counters::default(),
            unfetched: Unfetched::default(),
            unrecorded: 0,
            to_enqueue: ToEnqueue::default(),
            origin: now.mono,
            next_poll: now.mono,
            next_tick: now.mono,
            stopping: false,
            stands_by: false,
            may_send_until: None,
            config,
        }
    }

    /// Takes over from the process before: a pause that outlives it is kept.
    pub(crate) fn resume(&mut self, earlier: &DaemonStatus, now: Now) {
        self.reporter.resume(earlier);
        if let Some((reason, left)) = self.circuit.take_over(earlier, now) {
            tracing::error!(
                reason = reason.as_str(),
                "still paused: {reason} ({}); next probe in {} s",
                shown(self.reporter.pause_detail()),
                left.as_secs()
            );
        }
    }
}
