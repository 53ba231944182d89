//! Closing: the request that leaves only on a state fetched a moment ago, and what its
//! answer means.

use super::{Ended, Worker};
use crate::amocrm::{Failure, Fetched, Kind};
use crate::clock::{self, Now};
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy;
use crate::policy::closing::{self, BEGIN_WITHIN, CloseContext, CloseMode, Purpose, Step};
use crate::policy::stale::{Reach, Verdict, stale};
use crate::report::humanize;
use crate::store::closures::{Answer, Requested, Stepped};
use crate::store::queue::Due;
use crate::store::record::{Outcome, Record};
use crate::store::sweep::{QueuedToClose, SweepRequest, Swept, ToClose};
use crate::text::shown;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The clock is compared with the API's at most so often: once a second is often enough.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
/// While the clock is wrong a sweep queues this many: its fetch tells when the clock is right again.
const CLOCK_PROBE: usize = 1;

/// A close request that waits to leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub talk_id: i64,
    pub requested: Requested,
    /// When the request left that showed the talk stale.
    pub fetched: Now,
}

/// What a person wants closed; then nothing else is worked.
#[derive(Debug, Default)]
enum ManualClose {
    #[default]
    None,
    /// Until it is known whose API answers.
    Held(ToClose),
    Queueing,
    Queued(QueuedToClose),
}

/// What the worker knows of closings.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Written down, to be sent.
    pub pending: VecDeque<Pending>,
    /// When the fetches left whose records may lead to a close request.
    fetched: HashMap<i64, (Now, Verdict)>,
    /// A sweep was asked for and has not answered.
    sweeping: bool,
    /// A sweep is to come once it is known whose API answers.
    sweep_wanted: bool,
    /// When the clock was last compared with the API's.
    clock_checked: Option<Now>,
    /// Why nothing may be closed: the clock.
    obstacle: Option<String>,
    manual: ManualClose,
    /// Talks that were to be closed and were left as they are, and why; where talks were named.
    pub left: Vec<(i64, String)>,
}

impl Worker {
    /// Works nothing but what a person wants closed. It is queued once it is known whose API answers.
    pub fn close_manually(&mut self, to_close: ToClose) {
        self.closing.manual = ManualClose::Held(to_close);
    }

    /// What was queued to be closed by hand, once it was.
    pub fn queued_to_close(&self) -> Option<&QueuedToClose> {
        match &self.closing.manual {
            ManualClose::Queued(queued) => Some(queued),
            _ => None,
        }
    }

    /// The talks whose rows alone are worked; `None` for all.
    pub(super) fn only(&self) -> Option<Arc<[i64]>> {
        match &self.closing.manual {
            ManualClose::None => None,
            ManualClose::Held(_) | ManualClose::Queueing => Some(Arc::default()),
            ManualClose::Queued(queued) => Some(queued.queued.as_slice().into()),
        }
    }

    pub(super) fn queue_to_close(&mut self, now: Now) {
        if let ManualClose::Held(to_close) = &self.closing.manual {
            self.writer.close_manually(self.config.close.clone(), to_close.clone(), now.secs());
            self.closing.manual = ManualClose::Queueing;
        }
    }

    pub(super) fn on_queued_to_close(&mut self, queued: QueuedToClose) {
        self.closing.manual = ManualClose::Queued(queued);
        self.reread = true;
    }

    /// Something is to be closed by hand and is not queued yet.
    pub(super) fn is_queueing_to_close(&self) -> bool {
        matches!(self.closing.manual, ManualClose::Held(_) | ManualClose::Queueing)
    }

    /// Looks for stale talks once, unless there is no need or the last look is not over.
    pub fn sweep(&mut self, now: Now) {
        let rules = &self.config.close;
        let purpose = match rules.mode {
            CloseMode::Off => return,
            CloseMode::DryRun => Purpose::DryRun,
            CloseMode::Live => Purpose::Close,
        };
        if self.identity.is_pending() {
            // If it is another account's API, no row may change.
            self.closing.sweep_wanted = true;
            return;
        }
        // In a pause they would only pile up.
        let paused = self.gate.pause().is_some();
        if paused || self.stopping || self.trouble.is_some() || self.closing.sweeping {
            return;
        }
        let limit = if self.closing.obstacle.is_some() { CLOCK_PROBE } else { rules.max_per_sweep };
        let rules = rules.clone();
        self.closing.sweeping = true;
        self.writer.sweep(SweepRequest { rules, purpose, by_hand: false, limit, now: now.secs() });
    }

    /// Sweeps if that was wanted before it was known whose API answers.
    pub(super) fn sweep_if_wanted(&mut self, now: Now) {
        if std::mem::take(&mut self.closing.sweep_wanted) {
            self.sweep(now);
        }
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.closing.sweeping || self.closing.sweep_wanted
    }

    pub(super) fn on_swept(&mut self, swept: &Swept) {
        self.closing.sweeping = false;
        self.reread = true;
        let rules = &self.config.close;
        match swept {
            Swept::Overlaps(waiting) => {
                let aim = humanize::aim(rules.mode);
                tracing::info!("skipped a sweep: {waiting} talks of the last one still wait to be {aim}");
            }
            Swept::Stopped { stale, open } => {
                tracing::error!(
                    stale,
                    open,
                    "stopped a sweep: {stale} of {open} open talks are stale, more than auto_close.max_share = {}: \
                     none is closed; look at `talkmirror stale`, then change the rules or run `talkmirror close --yes`",
                    rules.max_share
                );
            }
            Swept::Done(sweep) => {
                sweep.announce(rules);
                let (stale, queued) = (sweep.stale, sweep.queued.len());
                if queued > 0 {
                    let aim = humanize::aim(rules.mode);
                    tracing::info!(stale, queued, mode = %rules.mode, "swept: {stale} talks are stale, {queued} queued to be {aim}");
                } else {
                    tracing::debug!(stale, "swept: nothing to close");
                }
                if queued == 0 && self.closing.obstacle.is_some() {
                    self.probe_clock();
                }
            }
        }
    }

    /// With nothing stale to fetch, a stored talk tells when the clock is right again.
    pub(super) fn probe_clock(&mut self) {
        let known = self.known.iter().copied().find(|talk_id| !self.busy.contains(talk_id));
        if let (None, Some(talk_id)) = (self.confirm_now, known) {
            self.ready.retain(|due| due.talk_id != talk_id);
            self.confirm_now = Some(Due::without_row(talk_id));
        }
    }

    /// Compares the clocks, now and then and where it is `wanted`.
    fn check_clock(&mut self, fetched: &Fetched, sent: Now, now: Now, wanted: bool) {
        let checked = self.closing.clock_checked;
        let lately = checked.is_some_and(|at| now.mono.saturating_duration_since(at.mono) < CLOCK_CHECK);
        if !wanted && (lately || !self.heeds_clock()) {
            return;
        }
        self.closing.clock_checked = Some(now);
        let skew = fetched.date.unix().map(|date| skew(date, sent.unix, now.unix));
        let obstacle = closing::clock_obstacle(skew);
        self.condition.note_clock(skew, obstacle.clone());
        match (&self.closing.obstacle, &obstacle) {
            (None, Some(why)) => {
                let what = match self.config.retention {
                    None => "closed",
                    Some(_) => "closed or removed",
                };
                tracing::error!(skew, "{why}: nothing is {what} until that is mended");
            }
            (Some(_), None) => tracing::info!(skew, "this machine's clock agrees with the API's again"),
            _ => {}
        }
        self.closing.obstacle = obstacle;
    }

    /// Something is done that a wrong clock would do too early.
    fn heeds_clock(&self) -> bool {
        self.config.close.mode != CloseMode::Off || self.config.retention.is_some()
    }

    /// It agreed with the API's when they were last compared, and was not set since.
    pub(super) fn is_clock_right(&self, now: Now) -> bool {
        let checked = self.closing.clock_checked;
        self.closing.obstacle.is_none() && checked.is_some_and(|at| closing::keeps_time(at, now))
    }

    pub(super) fn forget_clock(&mut self) {
        (self.closing.obstacle, self.closing.clock_checked) = (None, None);
        self.condition.note_clock(None, None);
    }

    /// What is wanted of a talk that was just fetched, if it was fetched to be closed.
    pub(super) fn close_context(
        &mut self,
        due: Due,
        fetched: &Fetched,
        sent: Now,
        now: Now,
    ) -> Option<Box<CloseContext>> {
        let rules = &self.config.close;
        let mode = match due.purpose {
            Purpose::Mirror => {
                self.check_clock(fetched, sent, now, false);
                return None;
            }
            // Asked for by hand; in live mode it still closes nothing.
            Purpose::DryRun => CloseMode::DryRun,
            Purpose::Close | Purpose::Verify => rules.mode,
        };
        // A talk that the API shows is there and may be read.
        let verdict = stale(&fetched.talk, Reach::default(), now.secs(), &rules.stale);
        let (force_close, max_attempts) = (rules.force_close, self.config.retry.max_attempts);
        self.check_clock(fetched, sent, now, true);
        self.closing.fetched.insert(due.talk_id, (sent, verdict.clone()));
        let obstacle = match self.config.no_close {
            true => Some("this run closes nothing (--no-close)".to_owned()),
            false => self.closing.obstacle.clone(),
        };
        Some(Box::new(CloseContext {
            purpose: due.purpose,
            mode,
            verdict,
            force_close,
            max_attempts,
            obstacle,
        }))
    }

    /// Takes up what a fetch led to. True if a close request is to leave: the talk stays busy.
    pub(super) fn on_stepped(&mut self, talk_id: i64, stepped: Option<&Stepped>) -> bool {
        let fetched = self.closing.fetched.remove(&talk_id);
        let Some(stepped) = stepped else { return false };
        self.counters.count_step(&stepped.step);
        match &stepped.step {
            Step::Leave(None) => {}
            Step::Leave(Some(why)) => {
                tracing::info!(talk_id, "left talk {talk_id} as it is: {}", shown(why));
                if !matches!(self.closing.manual, ManualClose::None) {
                    self.closing.left.push((talk_id, why.clone()));
                }
            }
            Step::WouldClose => {
                let why = fetched.map(|(_, verdict)| verdict.to_string()).unwrap_or_default();
                tracing::info!(
                    talk_id,
                    outcome = "would_close",
                    "would close talk {talk_id} (dry-run): {}",
                    shown(&why)
                );
            }
            Step::Withdraw(why) => {
                tracing::info!(talk_id, outcome = "withdrawn", "kept talk {talk_id}: {}", shown(why));
            }
            Step::Accept => tracing::info!(talk_id, outcome = "accepted", "talk {talk_id} is being closed"),
            Step::Closed => tracing::info!(talk_id, outcome = "closed", "closed talk {talk_id}: seen closed"),
            Step::LookAgain(at) => self.due_later(*at),
            Step::Fail(why) => {
                tracing::warn!(talk_id, outcome = "failed", "talk {talk_id} is not closed: {}", shown(why));
            }
            Step::Request => {
                // Without the time of its fetch it would not be known how fresh the decision is.
                if let (Some(requested), Some((fetched, verdict))) = (stepped.requested, fetched) {
                    let bot = if requested.force_close { "" } else { ", perhaps by the NPS bot" };
                    tracing::info!(talk_id, outcome = "requested", "closing talk {talk_id}{bot}: {verdict}");
                    self.closing.pending.push_back(Pending { talk_id, requested, fetched });
                    return true;
                }
                self.due_later(closing::first_look(clock::now().secs()));
            }
        }
        false
    }

    /// The next close request that is still fresh. What is not is written down as not sent.
    pub(super) fn next_pending(&mut self, now: Now) -> Option<Pending> {
        while let Some(pending) = self.closing.pending.front().copied() {
            if closing::time_to_close(pending.fetched, now).is_some() {
                // It is no request to try a paused API with.
                return Some(pending).filter(|_| self.gate.pause().is_none());
            }
            self.closing.pending.pop_front();
            let error = format!("not sent within {} s of its fetch: decided anew", BEGIN_WITHIN.as_secs());
            tracing::info!(talk_id = pending.talk_id, "close request of talk {} {error}", pending.talk_id);
            let due_at = closing::not_sent_look(now.secs());
            self.due_later(due_at);
            self.record_answer(pending, Answer::NotSent { error, due_at }, now);
        }
        None
    }

    /// The end of the work is near: what has not left does not leave.
    pub(super) fn give_up_pending(&mut self, now: Now) {
        self.drop_pending("not sent: talkmirror was stopping", now);
    }

    /// The rules change: what has not left does not leave, and what is being recorded leads to no request.
    pub(super) fn withdraw_decisions(&mut self, now: Now) {
        self.closing.fetched.clear();
        self.drop_pending("not sent: the rules were changed", now);
        self.may_be_due = true;
    }

    /// Writes down that no close request that waits is sent, and why. The talks are decided on anew.
    pub(super) fn drop_pending(&mut self, why: &str, now: Now) {
        for pending in std::mem::take(&mut self.closing.pending) {
            self.record_answer(pending, Answer::NotSent { error: why.to_owned(), due_at: now.secs() }, now);
        }
    }

    /// Sends a close request.
    pub(super) fn send_close(&mut self, pending: Pending, permit: Permit, now: Now) {
        let Pending { talk_id, requested, .. } = pending;
        tracing::debug!(
            talk_id,
            attempt = requested.attempt,
            "close request {} of talk {talk_id}",
            requested.attempt
        );
        let client = Arc::clone(&self.client);
        let within = closing::time_to_close(pending.fetched, now).unwrap_or_default();
        self.request(permit, now, async move {
            let result = client.close_talk(talk_id, requested.force_close, within).await;
            Ended::Closed { pending, result }
        });
    }

    /// Acts on the answer to a close request.
    pub(super) fn settle_close(
        &mut self,
        pending: Pending,
        permit: Permit,
        result: Result<u16, Failure>,
        token_epoch: u64,
    ) {
        let now = clock::now();
        let talk_id = pending.talk_id;
        let failure = match result {
            Ok(http_status) => {
                self.answered(permit, Source::Talk(talk_id), Signal::Healthy, None, now);
                tracing::info!(
                    talk_id,
                    outcome = "accepted",
                    "the API took the close request of talk {talk_id}"
                );
                self.due_later(closing::first_look(now.secs()));
                return self.record_answer(pending, Answer::Accepted { http_status }, now);
            }
            Err(failure) => failure,
        };
        let signal = self.signal(&failure, token_epoch);
        self.answered(permit, Source::Talk(talk_id), signal, Some(&failure), now);
        let http_status = failure.http_status;
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        let error = failure.detail.clone();
        tracing::warn!(talk_id, request_id, "close request of talk {talk_id}: {}", shown(&error));
        let answer = match failure.kind {
            Kind::Gone if self.identity.is_confirmed() && !self.pauses_for(Reason::ManyGone) => {
                Answer::Gone { http_status, error }
            }
            Kind::Denied if self.identity.is_confirmed() => Answer::Refused { http_status, error },
            Kind::Rejected => Answer::Failed { http_status, error },
            // What everybody may meet says nothing of this closing.
            _ => {
                // A server that failed may still be closing it.
                let soonest = closing::first_look(now.secs());
                let wait = policy::backoff(pending.requested.attempt, &self.config.retry, &mut self.rng);
                let due_at = match failure.kind {
                    Kind::Closing => soonest,
                    _ => soonest.max(policy::not_before(now.unix, wait)),
                };
                self.due_later(due_at);
                Answer::Unsettled { http_status, error, due_at }
            }
        };
        self.record_answer(pending, answer, now);
    }

    fn record_answer(&mut self, pending: Pending, answer: Answer, now: Now) {
        let Pending { talk_id, requested, .. } = pending;
        self.counters.count_answer(&answer);
        let outcome = Outcome::Closing { closure_id: requested.closure_id, answer: Box::new(answer) };
        self.record(Record {
            talk_id,
            ticket: requested.ticket,
            at: now.secs(),
            outcome,
            close_context: None,
        });
    }
}

/// How far a wall clock that read `sent` and then `answered` is ahead of one that read `date` between them.
fn skew(date: i64, sent: f64, answered: f64) -> i64 {
    // `date` is the whole second in which the server answered.
    let (date, date_end) = (date as f64, date as f64 + 1.0);
    let ahead = if sent > date_end {
        sent - date_end
    } else if answered < date {
        answered - date
    } else {
        0.0
    };
    (ahead.abs().ceil() * ahead.signum()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_where_the_date_may_lie_between_request_and_answer() {
        assert_eq!(skew(100, 100.2, 100.4), 0);
        assert_eq!(skew(100, 95.0, 125.0), 0, "a slow answer");
        assert_eq!(skew(100, 161.0, 161.5), 60);
        assert_eq!(skew(100, 162.0, 162.5), 61);
        assert_eq!(skew(100, 38.0, 39.0), -61);
        assert_eq!(skew(100, 39.0, 40.0), -60);
    }
}
