//! The changes that each policy must find, by one of two models; see [`Model`].
//!
//! No talk opens or closes. Each talk was last fetched at some time within an earlier round of a round-robin. Each
//! model runs before the measurement until its ages are typical.

use super::{DURATION_SECS, REQUESTS_PER_SECOND};
use talkmirror::policy::refresh::Class;

/// The length of the history before the measurement, in seconds.
const WARM_UP_SECS: f64 = 7.0 * 86_400.0;

/// The kind of account.
#[derive(Clone, Copy)]
pub enum Model {
    /// As people write to each other: the next message comes soon or, with falling probability, much later. The
    /// density of gaps falls with the power 3/2 beyond a minute, as measured for letters and similarly for short
    /// messages (Oliveira and Barabási, Nature 437, 2005). Talks began at any time in the last 30 days. The score
    /// assumes this model.
    Correspondence,
    /// Not what the score assumes: each talk has a steady rate that its age does not show. Bursts have 5 messages
    /// on average, 20 s to 5 min apart. Pauses between bursts are exponential, with a mean per talk that is
    /// log-uniform from two hours to ninety days.
    SteadyRates,
}

/// The maximum age of the talks of a correspondence, in seconds.
const MAX_AGE_SECS: f64 = 30.0 * 86_400.0;
/// Gaps are rarely shorter, in seconds.
const SHORT_GAP_SECS: f64 = 60.0;

/// The mean of a talk's pauses, in seconds.
const MEAN_PAUSE_SECS: (f64, f64) = (2.0 * 3600.0, 90.0 * 86_400.0);
/// Seconds between the messages of a burst.
const BURST_GAP_SECS: (f64, f64) = (20.0, 300.0);
/// The probability that a burst continues after a message.
const BURST_CONTINUES: f64 = 0.8;
/// The probability that the client has the last word.
const UNANSWERED: f64 = 0.2;

#[derive(Clone, Copy)]
pub struct Change {
    pub at: i64,
    pub class: Class,
}

/// What happens in the account, the same for each policy.
pub struct History {
    /// Each talk's changes. The first was before the warm-up, or is the first of all.
    pub changes: Vec<Vec<Change>>,
    /// When each talk was last mirrored before the measurement, the longest ago first.
    pub fetched: Vec<i64>,
}

impl History {
    pub fn new(model: Model, talks: usize, seed: u64) -> History {
        let mut rng = fastrand::Rng::with_seed(seed);
        let round = talks as i64 / REQUESTS_PER_SECOND;
        let talk = |rng: &mut fastrand::Rng| match model {
            Model::Correspondence => correspondence(rng, round as f64),
            Model::SteadyRates => steady_rate(rng),
        };
        let changes = (0..talks).map(|_| talk(&mut rng)).collect();
        let mut fetched: Vec<i64> = (0..talks).map(|_| -1 - rng.i64(0..round)).collect();
        fetched.sort_unstable();
        History { changes, fetched }
    }

    pub fn changes_a_second(&self) -> f64 {
        let measured = |change: &&Change| (0..DURATION_SECS).contains(&change.at);
        self.changes.iter().flatten().filter(measured).count() as f64 / DURATION_SECS as f64
    }
}

/// A talk that began before the round in which every talk was fetched.
fn correspondence(rng: &mut fastrand::Rng, round: f64) -> Vec<Change> {
    let mut at = -round - 1.0 - rng.f64() * MAX_AGE_SECS;
    let mut changes = Vec::new();
    let mut class = Class::Waiting;
    while at < DURATION_SECS as f64 {
        if at < -WARM_UP_SECS {
            // Only the last of them matters.
            changes.clear();
        }
        changes.push(Change { at: at.floor() as i64, class });
        class = other(class);
        // By inversion: longer than `gap` with probability (1 + gap / SHORT_GAP)^(-1/2).
        at += SHORT_GAP_SECS * ((1.0 - rng.f64()).powi(-2) - 1.0);
    }
    changes
}

fn steady_rate(rng: &mut fastrand::Rng) -> Vec<Change> {
    let rest = log_uniform(rng, MEAN_PAUSE_SECS);
    // Pauses are exponential, so the elapsed part of one is too.
    let before = -WARM_UP_SECS - 1.0 - exponential(rng, rest);
    let mut changes = vec![Change { at: before as i64, class: last_word(rng) }];
    let mut at = -WARM_UP_SECS + exponential(rng, rest);
    while at < DURATION_SECS as f64 {
        at = burst(rng, at, &mut changes) + BURST_GAP_SECS.0 + exponential(rng, rest);
    }
    changes
}

/// Adds the changes of a burst that begins at `at`. Returns the time of the last one.
fn burst(rng: &mut fastrand::Rng, mut at: f64, changes: &mut Vec<Change>) -> f64 {
    let mut class = Class::Waiting;
    while rng.f64() < BURST_CONTINUES {
        changes.push(Change { at: at.floor() as i64, class });
        class = other(class);
        at += log_uniform(rng, BURST_GAP_SECS);
    }
    changes.push(Change { at: at.floor() as i64, class: last_word(rng) });
    at
}

/// Client and manager write in turn.
fn other(class: Class) -> Class {
    if class == Class::Waiting { Class::InWork } else { Class::Waiting }
}

fn last_word(rng: &mut fastrand::Rng) -> Class {
    if rng.f64() < UNANSWERED { Class::Waiting } else { Class::InWork }
}

fn exponential(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

fn log_uniform(rng: &mut fastrand::Rng, (from, to): (f64, f64)) -> f64 {
    from * (to / from).powf(rng.f64())
}
