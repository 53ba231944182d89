//! Decides when a request to the API may leave.
//!
//! The server never counts more than the configured number of requests in any second while the transit time varies
//! by less than `gate/places.rs` assumes. For ten minutes after a 429 this holds whatever the network does. During
//! a pause nothing leaves but one probe at a time. The gate is a state machine on given times: it reads no clock
//! and never waits.
//!
//! A token bucket such as governor's does not work here. After a quiet minute a full bucket sends its burst on top
//! of its steady rate. It also counts when requests leave, while the vendor counts when they arrive.
//!
//! Uses `departure`, `language`, `named`, `talk`.

mod places;
mod reason;
mod streaks;
mod times;

pub use reason::Reason;
pub use streaks::Source;

use crate::departure::Departure;
use places::{Places, STRICT_DURATION, WINDOW};
use std::time::{Duration, Instant};
use streaks::Streaks;
use times::MAX_TRANSIT_JITTER;

/// After a 429 the pace climbs from half to full in this time.
const CLIMB_DURATION: Duration = Duration::from_secs(60);

/// 2s, 4s, 8s, … 10min
const RATE_LIMITED_BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));
/// 1s, 2s, 4s, … 1min. Also used for unexpected responses.
const OUTAGE_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
const UNAUTHORIZED_PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// For causes that a person must check: unpaid, blocked, many talks gone.
const PERSON_PROBE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// A pause of all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Why everything pauses.
    pub reason: Reason,
    /// When it began.
    pub since: Instant,
    /// When the next probe may leave.
    pub until: Instant,
}

/// The right to send one request. Return it with [`Gate::answered`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    /// The period between pauses that it belongs to.
    epoch: u64,
    probe: bool,
    place: u64,
    departure: Departure,
}

impl Permit {
    /// For the sender of the request, to report that it waits for a connection.
    pub fn departure(&self) -> Departure {
        self.departure.clone()
    }

    /// Whether the request probes if a pause is over.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// Why a request may not leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Try again at this time.
    Until(Instant),
    /// Try again after the next response.
    ForAnswer,
}

/// What a response shows about the API as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The API serves this token, whatever it returned for the talk.
    Healthy,
    /// The server or a gateway failed.
    Transient,
    /// No response.
    NoAnswer,
    /// A response that the API does not document, and its kind. Equal kinds are equal strings.
    Unexpected(String),
    /// A bare 403.
    Forbidden,
    /// A 401. One probe confirms it.
    Unauthorized,
    /// The token is certainly refused, and no new one is available.
    Refused,
    /// 402: the account is not paid for.
    Unpaid,
    /// A 429, and the wait that the server asks for.
    RateLimited(Option<Duration>),
    /// The API reports too many stored open talks as missing.
    ManyGone,
    /// Shows nothing: a 401 to a replaced token, a request that never left, or a failure of one talk only.
    Inconclusive,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Gate {
    places: Places,
    not_before: Instant,
    pause: Option<Pause>,
    /// A 401 came, and one probe is to confirm it.
    doubted: bool,
    probing: bool,
    epoch: u64,
    outage_level: u32,
    rate_level: u32,
    streaks: Streaks,
    climbing_since: Option<Instant>,
}

impl Gate {
    /// Makes a gate for at most `limit` requests in any second.
    ///
    /// With `after_restart` nothing leaves in the first second: a process killed a moment ago may have used it up.
    pub fn new(limit: u32, after_restart: bool, now: Instant) -> Gate {
        Gate {
            places: Places::new(limit.max(1) as usize),
            not_before: if after_restart { now + WINDOW + MAX_TRANSIT_JITTER } else { now },
            pause: None,
            doubted: false,
            probing: false,
            epoch: 0,
            outage_level: 0,
            rate_level: 0,
            streaks: Streaks::default(),
            climbing_since: None,
        }
    }

    /// Changes the limit. Requests that have left count as before.
    pub fn set_limit(&mut self, limit: u32) {
        self.places.set_limit(limit.max(1) as usize);
    }

    /// Restores a pause that an earlier process began.
    pub fn resume_pause(&mut self, reason: Reason, since: Instant, until: Instant) {
        if reason == Reason::RateLimited {
            self.places.be_strict_until(until + STRICT_DURATION);
        }
        self.pause = Some(Pause { reason, since, until });
    }

    /// Restores the strict rule, which follows a 429, from an earlier process.
    pub fn be_strict_until(&mut self, until: Instant) {
        self.places.be_strict_until(until);
    }

    /// How long the strict rule holds, if it does.
    pub fn strict_until(&self, now: Instant) -> Option<Instant> {
        self.places.strict_until(now)
    }

    /// The current pause, if any.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// A 401 came, and one probe is to confirm it before everything pauses.
    pub fn is_doubting(&self) -> bool {
        self.doubted
    }

    /// The sources of the requests that began the pause. They are not to blame for it.
    pub fn blamed(&self) -> &[Source] {
        self.streaks.blamed()
    }

    /// The same, once the pause is over. Clears them.
    pub fn take_blamed(&mut self) -> Vec<Source> {
        self.streaks.take_blamed()
    }

    /// The allowed requests per second: as configured, less after a 429.
    pub fn pace(&self, now: Instant) -> f64 {
        self.places.limit() as f64 * WINDOW.as_secs_f64() / self.window(now).as_secs_f64()
    }

    /// Lets one request leave, or returns when to try again.
    pub fn try_pass(&mut self, now: Instant) -> Result<Permit, Wait> {
        if now < self.not_before {
            return Err(Wait::Until(self.not_before));
        }
        if let Some(pause) = self.pause.filter(|pause| now < pause.until) {
            return Err(Wait::Until(pause.until));
        }
        let probe = self.pause.is_some() || self.doubted;
        if probe && self.probing {
            return Err(Wait::ForAnswer);
        }
        let (place, departure) =
            self.places.take(now).map_err(|at| at.map_or(Wait::ForAnswer, Wait::Until))?;
        self.probing = probe;
        Ok(Permit { epoch: self.epoch, probe, place, departure })
    }

    /// Takes back a permit with what the response to `source` shows. `rng` spreads the probes of an outage.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is given back once, with one signal")]
    pub fn answered(
        &mut self,
        permit: Permit,
        source: Source,
        signal: Signal,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        self.places.answered(permit.place, self.window(now), signal == Signal::Healthy, now);
        if permit.probe {
            self.probing = false;
        }
        let fresh = permit.epoch == self.epoch;
        match signal {
            Signal::Inconclusive => {}
            Signal::Healthy => self.healthy(&permit, source, fresh, now),
            Signal::Unauthorized if self.pause.is_none() && !(self.doubted && permit.probe) => {
                // A request sent before the doubt shows nothing new.
                if !self.doubted {
                    self.doubted = true;
                    self.begin_epoch();
                }
            }
            Signal::Unauthorized | Signal::Refused => {
                self.pause_for(Reason::Unauthorized, now + UNAUTHORIZED_PROBE_INTERVAL, now);
            }
            Signal::Unpaid => self.pause_for(Reason::Unpaid, now + PERSON_PROBE_INTERVAL, now),
            Signal::ManyGone => self.pause_for(Reason::ManyGone, now + PERSON_PROBE_INTERVAL, now),
            Signal::RateLimited(hint) => {
                // Requests that left together are refused together. That counts once.
                if fresh {
                    self.rate_level = (self.rate_level + 1).min(20);
                }
                let level = self.rate_level.max(1) - 1;
                let wait = doubled(RATE_LIMITED_BACKOFF, level).max(hint.unwrap_or_default());
                self.climbing_since = Some(now + wait);
                self.places.be_strict_until(now + wait + STRICT_DURATION);
                self.pause_for(Reason::RateLimited, now + wait, now);
            }
            Signal::Transient | Signal::NoAnswer | Signal::Unexpected(_) | Signal::Forbidden => {
                if self.pause.is_none() {
                    if let Some(reason) = self.streaks.add(source, &signal) {
                        self.pause_with_backoff(reason, now, rng);
                    }
                } else if permit.probe {
                    self.probe_failed(&signal, now, rng);
                }
            }
        }
    }

    fn healthy(&mut self, permit: &Permit, source: Source, fresh: bool, now: Instant) {
        let reason = self.pause.map(|pause| pause.reason);
        match (permit.probe, reason) {
            // A firewall in front of the talks may let the account request through.
            (true, Some(Reason::UnexpectedAnswer)) if source == Source::Account => {}
            (true, Some(_)) => self.reopen(source, now),
            _ => {
                self.doubted &= !permit.probe;
                self.streaks.clear();
                if fresh {
                    self.rate_level = self.rate_level.saturating_sub(1);
                }
            }
        }
    }

    /// Pauses everything because too many stored open talks are reported missing.
    pub fn many_gone(&mut self, now: Instant) {
        self.pause_for(Reason::ManyGone, now + PERSON_PROBE_INTERVAL, now);
    }

    /// Lets the next probe leave at once if the token was refused: there is a new token.
    pub fn token_changed(&mut self, now: Instant) {
        if self.pause.is_some_and(|pause| pause.reason == Reason::Unauthorized) {
            self.probe_now(now);
        }
    }

    /// Lets the next probe leave at once.
    pub fn probe_now(&mut self, now: Instant) {
        if let Some(pause) = &mut self.pause {
            pause.until = pause.until.min(now);
        }
    }

    fn reopen(&mut self, source: Source, now: Instant) {
        if self.pause.is_some_and(|pause| pause.reason == Reason::RateLimited) {
            self.climbing_since = Some(now);
            self.places.be_strict_until(now + STRICT_DURATION);
        }
        self.pause = None;
        if source != Source::Account {
            // Talks may still fail. Then the next pause is longer.
            self.outage_level = 0;
        }
        self.begin_epoch();
    }

    /// The probe failed in transit. That shows nothing about a refusal, which keeps its probe interval.
    fn probe_failed(&mut self, signal: &Signal, now: Instant, rng: &mut fastrand::Rng) {
        let Some(reason) = self.pause.map(|pause| pause.reason) else { return };
        match (reason, signal) {
            (Reason::Unauthorized, _) => self.pause_for(reason, now + UNAUTHORIZED_PROBE_INTERVAL, now),
            (Reason::Blocked | Reason::Unpaid | Reason::ManyGone, _) => {
                self.pause_for(reason, now + PERSON_PROBE_INTERVAL, now);
            }
            (_, Signal::Forbidden) => self.pause_for(Reason::Blocked, now + PERSON_PROBE_INTERVAL, now),
            (_, Signal::Unexpected(_)) => self.pause_with_backoff(Reason::UnexpectedAnswer, now, rng),
            (..) => self.pause_with_backoff(Reason::Outage, now, rng),
        }
    }

    fn pause_with_backoff(&mut self, reason: Reason, now: Instant, rng: &mut fastrand::Rng) {
        if reason == Reason::Blocked {
            return self.pause_for(reason, now + PERSON_PROBE_INTERVAL, now);
        }
        let wait = doubled(OUTAGE_BACKOFF, self.outage_level).mul_f64(0.5 + rng.f64() / 2.0);
        self.outage_level = (self.outage_level + 1).min(20);
        self.pause_for(reason, now + wait, now);
    }

    /// Begins or extends a pause. The later end decides the reason.
    fn pause_for(&mut self, reason: Reason, until: Instant, now: Instant) {
        let pause = match self.pause {
            None => Pause { reason, since: now, until },
            Some(old) if old.until >= until => old,
            Some(old) if old.reason == reason => Pause { until, ..old },
            Some(_) => Pause { reason, since: now, until },
        };
        self.pause = Some(pause);
        self.doubted = false;
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.streaks.clear();
    }

    /// How long a place stays taken after its response: twice as long at half the pace.
    fn window(&self, now: Instant) -> Duration {
        let climbed = self.climbing_since.map_or(1.0, |since| {
            now.saturating_duration_since(since).as_secs_f64() / CLIMB_DURATION.as_secs_f64()
        });
        WINDOW.div_f64(0.5 + 0.5 * climbed.min(1.0))
    }
}

fn doubled((first, longest): (Duration, Duration), level: u32) -> Duration {
    first.saturating_mul(1 << level.min(20)).min(longest)
}

#[cfg(test)]
mod tests;
