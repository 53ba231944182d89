//! The one door to the API: when a request may leave.
//!
//! It promises that the server never counts more than the ceiling in any second,
//! and that a pause is kept: nothing leaves in it but one probe at a time. It is a
//! state machine on given times: it reads no clock and never waits.
//!
//! Why not a token bucket such as governor's: a bucket counts when requests leave
//! here, and the vendor counts when they arrive there. Two requests a second apart
//! here arrive together when the first is held up on its way (a slow handshake
//! is enough), and a bucket that is full after a quiet minute lets its burst out on
//! top of its steady rate. Here a request takes one of N places when it leaves and
//! gives it back a second *after its answer came*. Whoever leaves as the N+1st does
//! so a second after one of the N before it had already been counted, whatever
//! the network did in between. The price is a rate of N in (1 s + the answer's
//! time) rather than N a second.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// The second over which the ceiling holds, and 1 % for clocks that differ.
const WINDOW: Duration = Duration::from_millis(1010);
/// After a 429 the pace climbs from half to full in this time.
const CLIMB: Duration = Duration::from_secs(60);
/// Different talks in a row that fail as with a server in trouble: then all pauses.
const OUTAGE_STREAK: usize = 5;
/// Different talks in a row refused with a bare 403: then all pauses.
const FORBIDDEN_STREAK: usize = 3;

/// 2s, 4s, 8s, … 10min
const RATE_LIMITED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));
/// 1s, 2s, 4s, … 1min
const OUTAGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const UNAUTHORIZED: Duration = Duration::from_secs(60);
const UNPAID: Duration = Duration::from_secs(15 * 60);
const BLOCKED: Duration = Duration::from_secs(15 * 60);

/// Why everything pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unauthorized,
    Unpaid,
    Blocked,
    RateLimited,
    Outage,
}

impl Reason {
    pub const ALL: [Reason; 5] =
        [Reason::Unauthorized, Reason::Unpaid, Reason::Blocked, Reason::RateLimited, Reason::Outage];

    /// As in `daemon_status.pause_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unauthorized => "unauthorized",
            Reason::Unpaid => "unpaid",
            Reason::Blocked => "blocked",
            Reason::RateLimited => "rate_limited",
            Reason::Outage => "outage",
        }
    }

    /// The reason named so in `daemon_status`.
    pub fn parse(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether a pause for it outlives the process: a restart must not ask again
    /// sooner than the vendor allowed. A refused token may have been mended by the
    /// restart, and an outage is found again by itself.
    pub fn survives_restart(self) -> bool {
        matches!(self, Reason::RateLimited | Reason::Unpaid | Reason::Blocked)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Unauthorized => "the API does not accept the token",
            Reason::Unpaid => "the account is not paid for",
            Reason::Blocked => "the account or this address is blocked",
            Reason::RateLimited => "too many requests for the API",
            Reason::Outage => "the API fails or cannot be reached",
        })
    }
}

/// A pause of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    pub reason: Reason,
    pub since: Instant,
    /// When the next probe may leave.
    pub until: Instant,
}

/// The right to send one request; give it back with [`Gate::answered`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    /// Which stretch between pauses it belongs to.
    epoch: u64,
    probe: bool,
}

/// Why a request may not leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Ask again then.
    Until(Instant),
    /// Ask again after the next answer.
    ForAnswer,
}

/// What an answer says about the API as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It answers this token, whatever it says of the talk.
    Healthy,
    /// A failure that may pass, on this talk.
    Transient(i64),
    /// A bare 403, on this talk.
    Forbidden(i64),
    Unauthorized,
    Unpaid,
    /// A 429, and how long the server asks to wait.
    RateLimited(Option<Duration>),
    /// It says nothing: a 401 to a token that has been replaced since, a list that is not served.
    Outdated,
}

/// See the module's text.
#[derive(Debug)]
pub struct Gate {
    ceiling: usize,
    /// Requests under way.
    out: usize,
    /// When the last requests were answered, oldest first.
    answered: VecDeque<Instant>,
    not_before: Instant,
    pause: Option<Pause>,
    probing: bool,
    epoch: u64,
    outage_level: u32,
    rate_level: u32,
    failing: Vec<i64>,
    forbidden: Vec<i64>,
    climbing_since: Option<Instant>,
}

impl Gate {
    /// A gate for at most `ceiling` requests in any second.
    ///
    /// With `after_restart` nothing leaves for the first second: a process that
    /// was killed a moment ago may have used the ceiling up.
    pub fn new(ceiling: u32, after_restart: bool, now: Instant) -> Gate {
        Gate {
            ceiling: ceiling.max(1) as usize,
            out: 0,
            answered: VecDeque::new(),
            not_before: if after_restart { now + WINDOW } else { now },
            pause: None,
            probing: false,
            epoch: 0,
            outage_level: 0,
            rate_level: 0,
            failing: Vec::new(),
            forbidden: Vec::new(),
            climbing_since: None,
        }
    }

    /// Allows so many requests in any second from now on. Those that have left count as before.
    pub fn set_ceiling(&mut self, ceiling: u32) {
        self.ceiling = ceiling.max(1) as usize;
    }

    /// Takes up a pause that an earlier process began.
    pub fn resume_pause(&mut self, reason: Reason, since: Instant, until: Instant) {
        self.pause = Some(Pause { reason, since, until });
    }

    /// The pause, if everything pauses.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// Requests a second that are allowed now: the ceiling, less after a 429.
    pub fn pace(&self, now: Instant) -> f64 {
        self.ceiling as f64 * WINDOW.as_secs_f64() / self.window(now).as_secs_f64()
    }

    /// Lets one request leave, or says when to ask again.
    pub fn try_pass(&mut self, now: Instant) -> Result<Permit, Wait> {
        if now < self.not_before {
            return Err(Wait::Until(self.not_before));
        }
        if let Some(pause) = self.pause {
            if now < pause.until {
                return Err(Wait::Until(pause.until));
            }
            if self.probing {
                return Err(Wait::ForAnswer);
            }
        }
        let window = self.window(now);
        while self.answered.front().is_some_and(|at| *at + window <= now) {
            self.answered.pop_front();
        }
        if self.out + self.answered.len() >= self.ceiling {
            return Err(match self.answered.front() {
                Some(oldest) => Wait::Until(*oldest + window),
                None => Wait::ForAnswer,
            });
        }
        self.out += 1;
        self.probing = self.pause.is_some();
        Ok(Permit { epoch: self.epoch, probe: self.probing })
    }

    /// Takes a permit back with what its answer says. `rng` spreads the probes of an outage.
    pub fn answered(&mut self, permit: Permit, signal: Signal, now: Instant, rng: &mut fastrand::Rng) {
        self.out -= 1;
        self.answered.push_back(now);
        if permit.probe {
            self.probing = false;
        }
        let fresh = permit.epoch == self.epoch;
        match signal {
            Signal::Healthy if permit.probe => self.reopen(now),
            Signal::Healthy => {
                self.failing.clear();
                self.forbidden.clear();
                if fresh {
                    self.rate_level = self.rate_level.saturating_sub(1);
                }
            }
            Signal::Transient(_) if permit.probe => self.probe_failed(now, rng),
            Signal::Transient(talk_id) => {
                self.forbidden.clear();
                if self.pause.is_none() && streak(&mut self.failing, talk_id) >= OUTAGE_STREAK {
                    self.pause_for_outage(now, rng);
                }
            }
            Signal::Forbidden(_) if permit.probe => self.pause_for(Reason::Blocked, now + BLOCKED, now),
            Signal::Forbidden(talk_id) => {
                self.failing.clear();
                if self.pause.is_none() && streak(&mut self.forbidden, talk_id) >= FORBIDDEN_STREAK {
                    self.pause_for(Reason::Blocked, now + BLOCKED, now);
                }
            }
            Signal::Outdated => {}
            Signal::Unauthorized => self.pause_for(Reason::Unauthorized, now + UNAUTHORIZED, now),
            Signal::Unpaid => self.pause_for(Reason::Unpaid, now + UNPAID, now),
            Signal::RateLimited(hint) => {
                // Requests that left together are refused together: that is one refusal.
                if fresh {
                    self.rate_level = (self.rate_level + 1).min(20);
                }
                let level = self.rate_level.max(1) - 1;
                let wait = doubled(RATE_LIMITED, level).max(hint.unwrap_or_default());
                self.climbing_since = Some(now + wait);
                self.pause_for(Reason::RateLimited, now + wait, now);
            }
        }
    }

    /// Lets the next probe leave at once where the token was refused: there is a new one.
    pub fn probe_now(&mut self, now: Instant) {
        if let Some(pause) = &mut self.pause
            && pause.reason == Reason::Unauthorized
        {
            pause.until = now;
        }
    }

    fn reopen(&mut self, now: Instant) {
        if self.pause.is_some_and(|pause| pause.reason == Reason::RateLimited) {
            self.climbing_since = Some(now);
        }
        self.pause = None;
        self.outage_level = 0;
        self.begin_stretch();
    }

    /// The probe met an outage: that says nothing about a refusal, which is asked about as seldom as before.
    fn probe_failed(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        match self.pause.map(|pause| pause.reason) {
            Some(reason @ Reason::Blocked) => self.pause_for(reason, now + BLOCKED, now),
            Some(reason @ Reason::Unpaid) => self.pause_for(reason, now + UNPAID, now),
            Some(reason @ Reason::Unauthorized) => self.pause_for(reason, now + UNAUTHORIZED, now),
            Some(Reason::RateLimited | Reason::Outage) | None => self.pause_for_outage(now, rng),
        }
    }

    fn pause_for_outage(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let wait = doubled(OUTAGE, self.outage_level).mul_f64(0.5 + rng.f64() / 2.0);
        self.outage_level = (self.outage_level + 1).min(20);
        self.pause_for(Reason::Outage, now + wait, now);
    }

    /// Begins a pause, or lengthens the one there is; the later end decides the reason.
    fn pause_for(&mut self, reason: Reason, until: Instant, now: Instant) {
        let pause = match self.pause {
            None => Pause { reason, since: now, until },
            Some(old) if old.until >= until => old,
            Some(old) if old.reason == reason => Pause { until, ..old },
            Some(_) => Pause { reason, since: now, until },
        };
        self.pause = Some(pause);
        self.begin_stretch();
    }

    fn begin_stretch(&mut self) {
        self.epoch += 1;
        self.failing.clear();
        self.forbidden.clear();
    }

    /// How long a place stays taken after its answer: twice as long at half the pace.
    fn window(&self, now: Instant) -> Duration {
        let climbed = self
            .climbing_since
            .map_or(1.0, |since| now.saturating_duration_since(since).as_secs_f64() / CLIMB.as_secs_f64());
        WINDOW.div_f64(0.5 + 0.5 * climbed.min(1.0))
    }
}

/// Adds a talk to a streak of different talks; returns its length.
fn streak(talks: &mut Vec<i64>, talk_id: i64) -> usize {
    if !talks.contains(&talk_id) {
        talks.push(talk_id);
    }
    talks.len()
}

fn doubled((first, longest): (Duration, Duration), level: u32) -> Duration {
    first.saturating_mul(1 << level.min(20)).min(longest)
}

#[cfg(test)]
mod tests;
