//! The circuit breaker: what each response shows of the API as a whole. It owns the gate, which paces and pauses, and knows
//! whose fault a failure is and whether too many talks are reported as missing.

mod blame;

pub(super) use blame::{Blame, spends};

use crate::clock::Now;
use crate::gate::{Gate, Pause, Permit, Reason, Signal, Source, Wait};
use crate::policy::gone::GoneGuard;
use crate::store::queue::Repair;
use crate::store::status::DaemonStatus;
use crate::talk::TalkId;
use blame::Tries;
use std::time::{Duration, Instant};

/// No pause is longer: a longer one was written under a wrong clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Circuit {
    gate: Gate,
    pub tries: Tries,
    gone: GoneGuard,
    pub rng: fastrand::Rng,
    /// Somebody asked that the pause end, and the probe is not answered yet.
    resuming: bool,
}

/// What a response changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub before: Option<Pause>,
    pub after: Option<Pause>,
    /// Rows of the queue that no longer are as they should be.
    pub repairs: Vec<Repair>,
    /// The probe that somebody asked for is answered.
    pub has_resumed: bool,
}

impl Change {
    /// A pause has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.before.is_some() && self.after.is_none()
    }
}

/// Too many stored open talks are reported as missing.
#[derive(Debug)]
pub(super) struct TooManyGone {
    /// Those talks are as before.
    pub repair: Repair,
    pub change: Change,
    /// Why the pause began, if it begins by this.
    pub detail: Option<String>,
}

impl Circuit {
    pub(super) fn new(gate: Gate, seed: u64) -> Circuit {
        Circuit {
            gate,
            tries: Tries::default(),
            gone: GoneGuard::default(),
            rng: fastrand::Rng::with_seed(seed),
            resuming: false,
        }
    }

    /// For what only reads the gate.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn pause(&self) -> Option<Pause> {
        self.gate.pause()
    }

    pub(super) fn pauses_for(&self, reason: Reason) -> bool {
        self.pause().is_some_and(|pause| pause.reason == reason)
    }

    pub(super) fn try_pass(&mut self, now: Instant) -> Result<Permit, Wait> {
        self.gate.try_pass(now)
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.gate.set_limit(limit);
    }

    /// Takes over what an earlier process left: the strict rule, and a pause that outlives it. Returns that one's reason,
    /// and after how long the next probe may leave.
    pub(super) fn take_over(&mut self, earlier: &DaemonStatus, now: Now) -> Option<(Reason, Duration)> {
        if let Some(until) = earlier.strict_until {
            self.gate.be_strict_until(now.mono + until.duration_since(now.secs()).min(LONGEST_PAUSE));
        }
        let pause = earlier.pause.as_ref()?;
        let reason = Reason::parse(&pause.reason).filter(|reason| reason.survives_restart())?;
        // One that is over by now still ends with a probe. One of a wrong clock is no longer than it was.
        let left = pause.until.duration_since(now.secs()).min(pause.until.duration_since(pause.since));
        let since = now.mono.checked_sub(now.secs().duration_since(pause.since)).unwrap_or(now.mono);
        self.gate.resume_pause(reason, since, now.mono + left.min(LONGEST_PAUSE));
        Some((reason, left))
    }

    /// A refused token was replaced: one probe may leave at once.
    pub(super) fn token_changed(&mut self, now: Instant) {
        self.gate.token_changed(now);
    }

    /// Takes a permit back whose response shows nothing of the API, or only of tokens.
    pub(super) fn return_permit(&mut self, permit: Permit, signal: Signal, now: Now) -> Change {
        let before = self.pause();
        self.gate.answered(permit, Source::Token, signal, now.mono, &mut self.rng);
        Change { before, after: self.pause(), ..Change::default() }
    }

    /// Takes the permit of a response back. It may begin or end a pause.
    pub(super) fn answered(&mut self, permit: Permit, source: Source, signal: Signal, now: Now) -> Change {
        let before = self.pause();
        let is_healthy = signal == Signal::Healthy;
        let is_probe = permit.is_probe();
        let signal = match before {
            None => self.for_all(source, signal),
            Some(_) => signal,
        };
        self.gate.answered(permit, source, signal, now.mono, &mut self.rng);
        let after = self.pause();
        if before.is_some() && after.is_none() {
            self.tries.pause_ended(source, self.gate.take_blamed());
        }
        if is_healthy {
            self.tries.answered(source);
        }
        let repairs = match (before, after) {
            (None, Some(_)) => self.refund(now),
            (Some(pause), None) => self.after_pause(pause, now),
            _ => Vec::new(),
        };
        let has_resumed = is_probe && std::mem::take(&mut self.resuming);
        Change { before, after, repairs, has_resumed }
    }

    /// What a response shows of the others: nothing if it is the talk's or the list's own.
    fn for_all(&self, source: Source, signal: Signal) -> Signal {
        let says_nothing = match signal {
            Signal::Healthy => self.tries.is_for_itself(source),
            Signal::Transient | Signal::NoAnswer | Signal::Unexpected(_) | Signal::Forbidden => {
                self.tries.is_excused(source)
            }
            _ => false,
        };
        if says_nothing { Signal::Inconclusive } else { signal }
    }

    /// What failed just before a pause failed for everybody's reason.
    fn refund(&mut self, now: Now) -> Vec<Repair> {
        let attempts = self.tries.take_spent();
        match attempts.is_empty() {
            true => Vec::new(),
            false => vec![Repair::Refund { attempts, now: now.secs() }],
        }
    }

    fn after_pause(&self, pause: Pause, now: Now) -> Vec<Repair> {
        let since = now.unix_at(pause.since);
        let except = self.tries.excused_talks();
        let mut repairs = vec![Repair::PauseEnded { since, except, now: now.secs() }];
        if pause.reason == Reason::ManyGone {
            repairs.push(Repair::Ignored { now: now.secs() });
        }
        repairs
    }

    /// A stored talk was shown.
    pub(super) fn talk_shown(&mut self) {
        self.gone.shown();
    }

    /// A person has checked what is gone: the API is believed for an hour.
    pub(super) fn is_believed(&self, now: Now) -> bool {
        self.gone.is_believed(now.secs())
    }

    /// A stored open talk is reported as missing; `none_left` if no stored talk is known that was shown lately. If there
    /// are too many of them, everything pauses.
    pub(super) fn open_talk_gone(
        &mut self,
        talk_id: TalkId,
        none_left: bool,
        now: Now,
    ) -> Option<TooManyGone> {
        let believed = self.is_believed(now);
        let too_many = self.gone.gone(talk_id, none_left, now.secs());
        // Those under way when the pause began are no more believed than those before.
        let too_many =
            too_many.or_else(|| (self.pauses_for(Reason::ManyGone) && !believed).then(|| vec![talk_id]));
        let talk_ids = too_many?;
        let before = self.pause();
        let mut detail = None;
        if !self.pauses_for(Reason::ManyGone) {
            detail = Some(format!("{} of those requested last", talk_ids.len()));
            self.gate.many_gone(now.mono);
        }
        let change = Change { before, after: self.pause(), ..Change::default() };
        Some(TooManyGone { repair: Repair::NotGone { talk_ids, now: now.secs() }, change, detail })
    }

    /// Somebody asks that the pause end now: one probe may leave at once. Who asks has checked what is gone. False if
    /// there is no pause.
    pub(super) fn resume_now(&mut self, now: Now) -> bool {
        if self.pauses_for(Reason::ManyGone) {
            self.gone.believe(now.secs());
        }
        self.resuming = self.pause().is_some();
        if self.resuming {
            self.gate.probe_now(now.mono);
        }
        self.resuming
    }

    /// When the next probe may leave, if everything pauses.
    pub(super) fn probe_is_due(&self, now: Now) -> bool {
        self.pause().is_some_and(|pause| pause.until <= now.mono)
    }

    /// Requests a second that are allowed now.
    pub(super) fn pace(&self, now: Now) -> f64 {
        self.gate.pace(now.mono)
    }
}
