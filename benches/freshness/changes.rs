//! The changes that each policy has to find, by one of two models; see [`Model`].
//!
//! No talk is opened or closed meanwhile, and every talk was fetched at some time within the round of a
//! round-robin before: a state such as it leaves. Before the measuring begins each model has run long
//! enough for the ages to be its own.

use super::{END, PACE};
use talkmirror::policy::refresh::Class;

/// How long the history is that is made up in full before the measuring begins, in seconds.
const WARM_UP: f64 = 7.0 * 86_400.0;

/// What the account is like.
#[derive(Clone, Copy)]
pub enum Model {
    /// As people write to each other: after a message the next comes soon or, ever less likely, much
    /// later. The gaps' density falls with their power 3/2 beyond a minute, as it was measured for
    /// letters and much alike for shorter messages (Oliveira and Barabási, Nature 437, 2005). Talks began
    /// at any time in the last 30 days. It is what the score supposes.
    Correspondence,
    /// Not what the score supposes: each talk has a steady rate of its own, which its age does not
    /// tell. Bursts of 5 messages in the mean, 20 s to 5 min apart; between them rests that are
    /// exponential, with a mean of the talk's own, log-uniform from two hours to ninety days.
    SteadyRates,
}

/// When the talks of a correspondence began, at most so long ago; seconds.
const BEGAN: f64 = 30.0 * 86_400.0;
/// Seconds: gaps are hardly shorter.
const SHORT_GAP: f64 = 60.0;

/// Seconds, the mean of one talk's rests.
const RESTS: (f64, f64) = (2.0 * 3600.0, 90.0 * 86_400.0);
/// Seconds between the messages of a burst.
const GAPS: (f64, f64) = (20.0, 300.0);
/// That a burst goes on after a message.
const MORE: f64 = 0.8;
/// That the client has the last word.
const UNANSWERED: f64 = 0.2;

#[derive(Clone, Copy)]
pub struct Change {
    pub at: i64,
    pub class: Class,
}

/// What happens to the account, whoever watches.
pub struct History {
    /// Each talk's changes; the first was before the warm-up, or the first at all.
    pub changes: Vec<Vec<Change>>,
    /// When each talk was mirrored last before the measuring begins, the longest ago first.
    pub fetched: Vec<i64>,
}

impl History {
    pub fn new(model: Model, talks: usize, seed: u64) -> History {
        let mut rng = fastrand::Rng::with_seed(seed);
        let round = talks as i64 / PACE;
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
        let measured = |change: &&Change| (0..END).contains(&change.at);
        self.changes.iter().flatten().filter(measured).count() as f64 / END as f64
    }
}

/// A talk that began before the round in which every talk was fetched.
fn correspondence(rng: &mut fastrand::Rng, round: f64) -> Vec<Change> {
    let mut at = -round - 1.0 - rng.f64() * BEGAN;
    let mut changes = Vec::new();
    let mut class = Class::Waiting;
    while at < END as f64 {
        if at < -WARM_UP {
            // Only the last of them is ever looked at.
            changes.clear();
        }
        changes.push(Change { at: at.floor() as i64, class });
        class = other(class);
        // By inversion: longer than `gap` with probability (1 + gap / SHORT_GAP)^(-1/2).
        at += SHORT_GAP * ((1.0 - rng.f64()).powi(-2) - 1.0);
    }
    changes
}

fn steady_rate(rng: &mut fastrand::Rng) -> Vec<Change> {
    let rest = log_uniform(rng, RESTS);
    // As rests are exponential, so is what has passed of one at any time.
    let before = -WARM_UP - 1.0 - exponential(rng, rest);
    let mut changes = vec![Change { at: before as i64, class: last_word(rng) }];
    let mut at = -WARM_UP + exponential(rng, rest);
    while at < END as f64 {
        at = burst(rng, at, &mut changes) + GAPS.0 + exponential(rng, rest);
    }
    changes
}

/// Adds the changes of a burst that begins at `at`; returns when the last of them comes.
fn burst(rng: &mut fastrand::Rng, mut at: f64, changes: &mut Vec<Change>) -> f64 {
    let mut class = Class::Waiting;
    while rng.f64() < MORE {
        changes.push(Change { at: at.floor() as i64, class });
        class = other(class);
        at += log_uniform(rng, GAPS);
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
