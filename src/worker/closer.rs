//! The closer: sweeps, the close requests that leave only on a state fetched a moment ago, what their responses mean, and
//! whether the clock allows any of it.

mod by_hand;

use super::config::WorkerConfig;
use crate::amocrm::{Failure, Fetched, Kind};
use crate::clock::{Now, UnixSeconds};
use crate::number;
use crate::policy;
use crate::policy::closing::{
    self, BEGIN_WITHIN, CloseContext, CloseMode, CloseRules, Decision, FetchReason, Step,
};
use crate::policy::stale::{Reach, stale};
use crate::report::humanize;
use crate::store::closures::{Answer, Requested, Stepped};
use crate::store::queue::DueRow;
use crate::store::sweep::{SweepRequest, Swept};
use crate::talk::TalkId;
use crate::text::shown;
use by_hand::ManualClose;
use std::collections::VecDeque;
use std::time::Duration;

/// Between two comparisons of the clock with the API's.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// While the clock is wrong a sweep queues this many: its fetch shows when the clock is right again.
const PROBES_PER_SWEEP: usize = 1;

/// A close request that waits to leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pending {
    pub talk_id: TalkId,
    pub requested: Requested,
}

/// What a fetch leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterStep {
    Nothing,
    /// A close request is to leave: the talk stays busy.
    Request,
    /// The talk is to be fetched again at this time.
    LookAt(UnixSeconds),
}

/// How the clock compares with the API's, in seconds that it is ahead, and why nothing may be closed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClockReading {
    pub skew: Option<i64>,
    pub obstacle: Option<String>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Closer {
    /// Written down, to be sent.
    pending: VecDeque<Pending>,
    /// Counts the rules: what was decided by earlier ones leads to no request.
    rules_epoch: u64,
    /// A sweep was asked for and has not ended.
    sweeping: bool,
    /// A sweep is to come once it is known whose API answers.
    sweep_wanted: bool,
    /// When the clock was last compared with the API's.
    clock_checked: Option<Now>,
    /// Why nothing may be closed: the clock.
    obstacle: Option<String>,
    manual: ManualClose,
    /// Talks that were to be closed by hand and were left as they are, and why.
    left: Vec<(TalkId, String)>,
}

/// Sweeps.
impl Closer {
    /// What a sweep is to do, unless there is no need or the last one is not over.
    pub(super) fn sweep(&mut self, rules: &CloseRules, now: Now) -> Option<SweepRequest> {
        let reason = match rules.mode {
            CloseMode::Off => return None,
            CloseMode::DryRun => FetchReason::DryRun,
            CloseMode::Live => FetchReason::Close,
        };
        if self.sweeping {
            return None;
        }
        self.sweeping = true;
        let limit = if self.obstacle.is_some() { PROBES_PER_SWEEP } else { rules.max_per_sweep };
        Some(SweepRequest { rules: rules.clone(), reason, by_hand: false, limit, now: now.secs() })
    }

    /// A sweep is to come once it is known whose API answers.
    pub(super) fn want_sweep(&mut self) {
        self.sweep_wanted = true;
    }

    /// Whether such a sweep is to come now.
    pub(super) fn take_wanted_sweep(&mut self) -> bool {
        std::mem::take(&mut self.sweep_wanted)
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.sweeping || self.sweep_wanted
    }

    /// Reports a sweep. True if a stored talk is to show whether the clock is right, as there is nothing stale to fetch.
    pub(super) fn on_swept(&mut self, swept: &Swept, rules: &CloseRules) -> bool {
        self.sweeping = false;
        let aim = humanize::aim(rules.mode);
        match swept {
            Swept::Overlaps(waiting) => {
                tracing::info!("skipped a sweep: {waiting} talks of the last one still wait to be {aim}");
            }
            Swept::Stopped { stale, open } => {
                tracing::error!(
                    stale,
                    open,
                    "stopped a sweep: {stale} of {open} open talks are stale, more than auto_close.max_share \
                     = {}: none is closed; see `talkmirror stale`, then change the rules or run `talkmirror \
                     close --yes`",
                    rules.max_share
                );
            }
            Swept::Done(sweep) => {
                sweep.announce(rules);
                let (stale, queued) = (sweep.stale, sweep.queued.len());
                if queued == 0 {
                    tracing::debug!(stale, "swept: nothing to close");
                    return self.obstacle.is_some();
                }
                tracing::info!(stale, queued, mode = %rules.mode, "swept: {stale} talks are stale, {queued} queued to be {aim}");
            }
        }
        false
    }
}

/// The clock.
impl Closer {
    /// Compares the clocks, now and then and if it is `wanted`.
    fn check_clock(
        &mut self,
        fetched: &Fetched,
        (sent, now): (Now, Now),
        wanted: bool,
        config: &WorkerConfig,
    ) -> Option<ClockReading> {
        let lately = self
            .clock_checked
            .is_some_and(|at| now.mono.saturating_duration_since(at.mono) < CLOCK_CHECK_INTERVAL);
        if !wanted && (lately || !config.heeds_clock()) {
            return None;
        }
        self.clock_checked = Some(now);
        let skew = fetched.date.unix().map(|date| skew(date, sent.unix, now.unix));
        let obstacle = closing::clock_obstacle(skew).map(|why| why.to_string());
        match (&self.obstacle, &obstacle) {
            (None, Some(why)) => {
                let what = match config.retention {
                    None => "closed",
                    Some(_) => "closed or removed",
                };
                tracing::error!(skew, "{why}: nothing is {what} until the clock is right");
            }
            (Some(_), None) => tracing::info!(skew, "this machine's clock agrees with the API's again"),
            _ => {}
        }
        self.obstacle.clone_from(&obstacle);
        Some(ClockReading { skew, obstacle })
    }

    /// It agreed with the API's when they were last compared, and was not set since.
    pub(super) fn is_clock_right(&self, now: Now) -> bool {
        self.obstacle.is_none() && self.clock_checked.is_some_and(|at| closing::keeps_time(at, now))
    }

    /// Nothing compares the clocks any more.
    pub(super) fn forget_clock(&mut self) {
        (self.obstacle, self.clock_checked) = (None, None);
    }
}

/// From a fetch to a verified closing.
impl Closer {
    /// Decides about a talk that was just fetched, if it was fetched to be closed.
    pub(super) fn decide(
        &mut self,
        row: DueRow,
        fetched: &Fetched,
        (sent, now): (Now, Now),
        config: &WorkerConfig,
    ) -> (Option<Box<CloseContext>>, Option<ClockReading>) {
        let mode = match row.reason {
            FetchReason::Mirror => return (None, self.check_clock(fetched, (sent, now), false, config)),
            // Asked for by hand; in live mode it still closes nothing.
            FetchReason::DryRun => CloseMode::DryRun,
            FetchReason::Close | FetchReason::Verify => config.close.mode,
        };
        // A talk that the API shows is there and may be read.
        let verdict = stale(&fetched.talk, Reach::default(), now.secs(), &config.close.stale);
        let reading = self.check_clock(fetched, (sent, now), true, config);
        let obstacle = match config.no_close {
            true => Some("this run closes nothing (--no-close)".to_owned()),
            false => self.obstacle.clone(),
        };
        let context = CloseContext {
            reason: row.reason,
            mode,
            decision: Decision { verdict, sent, rules_epoch: self.rules_epoch },
            force_close: config.close.force_close,
            max_attempts: config.retry.max_attempts,
            obstacle,
        };
        (Some(Box::new(context)), reading)
    }

    /// Reports what a fetch led to, and what comes next.
    pub(super) fn on_stepped(&mut self, talk_id: TalkId, stepped: &Stepped, now: Now) -> AfterStep {
        let verdict =
            || stepped.decision.as_ref().map(|decision| decision.verdict.to_string()).unwrap_or_default();
        match &stepped.step {
            Step::Leave(None) => {}
            Step::Leave(Some(why)) => {
                tracing::info!(talk_id = talk_id.get(), "left talk {talk_id} as it is: {}", shown(why));
                if !matches!(self.manual, ManualClose::None) {
                    self.left.push((talk_id, why.clone()));
                }
            }
            Step::WouldClose => {
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "would_close",
                    "would close talk {talk_id} (dry-run): {}",
                    shown(&verdict())
                );
            }
            Step::Withdraw(why) => {
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "withdrawn",
                    "kept talk {talk_id}: {}",
                    shown(why)
                );
            }
            Step::Accept => tracing::info!(
                talk_id = talk_id.get(),
                outcome = "accepted",
                "talk {talk_id} is being closed"
            ),
            Step::Closed => tracing::info!(
                talk_id = talk_id.get(),
                outcome = "closed",
                "closed talk {talk_id}: seen closed"
            ),
            Step::LookAgain(at) => return AfterStep::LookAt(*at),
            Step::Fail(why) => {
                tracing::warn!(
                    talk_id = talk_id.get(),
                    outcome = "failed",
                    "talk {talk_id} is not closed: {}",
                    shown(why)
                );
            }
            Step::Request => {
                let current = stepped.requested.filter(|requested| requested.rules_epoch == self.rules_epoch);
                let Some(requested) = current else {
                    // Decided by earlier rules: its row leads back to it.
                    return AfterStep::LookAt(closing::first_look(now.secs()));
                };
                let bot = if requested.force_close { "" } else { ", perhaps by the NPS bot" };
                tracing::info!(
                    talk_id = talk_id.get(),
                    outcome = "requested",
                    "closing talk {talk_id}{bot}: {}",
                    verdict()
                );
                self.pending.push_back(Pending { talk_id, requested });
                return AfterStep::Request;
            }
        }
        AfterStep::Nothing
    }

    /// Takes those close requests that are no longer fresh: they do not leave, and their talks are decided on anew.
    pub(super) fn take_stale(&mut self, now: Now) -> Vec<(Pending, Answer)> {
        let mut dropped = Vec::new();
        while let Some(pending) = self.pending.front().copied()
            && closing::time_to_close(pending.requested.sent, now).is_none()
        {
            self.pending.pop_front();
            let error = format!("not sent within {} s of its fetch: decided again", BEGIN_WITHIN.as_secs());
            tracing::info!(
                talk_id = pending.talk_id.get(),
                "close request of talk {} {error}",
                pending.talk_id
            );
            dropped.push((pending, Answer::NotSent { error, due_at: closing::not_sent_look(now.secs()) }));
        }
        dropped
    }

    /// Takes all that wait: none leaves, for this reason, and the talks are decided on anew.
    pub(super) fn take_all(&mut self, why: &str, now: Now) -> Vec<(Pending, Answer)> {
        let answer = || Answer::NotSent { error: why.to_owned(), due_at: now.secs() };
        std::mem::take(&mut self.pending).into_iter().map(|pending| (pending, answer())).collect()
    }

    /// The rules change: what is being recorded leads to no request.
    pub(super) fn change_rules(&mut self) {
        self.rules_epoch += 1;
    }

    /// The next close request.
    pub(super) fn first(&self) -> Option<Pending> {
        self.pending.front().copied()
    }

    /// The first close request leaves. For how long it may be under way.
    pub(super) fn begin(&mut self, pending: Pending, now: Now) -> Duration {
        self.pending.pop_front();
        let Pending { talk_id, requested } = pending;
        let attempt = requested.attempt;
        tracing::debug!(talk_id = talk_id.get(), attempt, "close request {attempt} of talk {talk_id}");
        closing::time_to_close(requested.sent, now).unwrap_or_default()
    }

    /// What a failed close request means. `is_confirmed`: the mirror's own account answers; `many_gone`: too many talks are
    /// reported as missing.
    pub(super) fn failed(
        &self,
        pending: Pending,
        failure: &Failure,
        (is_confirmed, many_gone): (bool, bool),
        config: &WorkerConfig,
        rng: &mut fastrand::Rng,
        now: Now,
    ) -> Answer {
        let (http_status, error) = (failure.http_status, failure.detail.clone());
        let talk_id = pending.talk_id;
        let request_id = failure.request_id.as_deref().unwrap_or("-");
        tracing::warn!(
            talk_id = talk_id.get(),
            request_id,
            "close request of talk {talk_id}: {}",
            shown(&error)
        );
        match failure.kind {
            Kind::Gone if is_confirmed && !many_gone => Answer::Gone { http_status, error },
            Kind::Denied if is_confirmed => Answer::Refused { http_status, error },
            Kind::Rejected => Answer::Failed { http_status, error },
            // What everybody may get shows nothing of this closing.
            _ => {
                // A server that failed may still be closing it.
                let soonest = closing::first_look(now.secs());
                let wait = policy::backoff(pending.requested.attempt, &config.retry, rng);
                let due_at = match failure.kind {
                    Kind::Closing => soonest,
                    _ => soonest.max(policy::not_before(now.unix, wait)),
                };
                Answer::Unsettled { http_status, error, due_at }
            }
        }
    }
}

/// How far a wall clock that read `sent` and then `answered` is ahead of one that read `date` between them.
fn skew(date: UnixSeconds, sent: f64, answered: f64) -> i64 {
    // `date` is the whole second in which the server answered.
    let date = date.get() as f64;
    let date_end = date + 1.0;
    let ahead = if sent > date_end {
        sent - date_end
    } else if answered < date {
        answered - date
    } else {
        0.0
    };
    number::truncated(ahead.abs().ceil() * ahead.signum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_if_the_date_may_lie_between_request_and_response() {
        let skew = |date, sent, answered| skew(UnixSeconds::new(date), sent, answered);
        assert_eq!(skew(100, 100.2, 100.4), 0);
        assert_eq!(skew(100, 95.0, 125.0), 0, "a slow response");
        assert_eq!(skew(100, 161.0, 161.5), 60);
        assert_eq!(skew(100, 162.0, 162.5), 61);
        assert_eq!(skew(100, 38.0, 39.0), -61);
        assert_eq!(skew(100, 39.0, 40.0), -60);
    }
}
