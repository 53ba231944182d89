//! How much of the rate limit each rule uses, and how often the server counts more than it allows: `cargo bench
//! --bench pace`.
//!
//! An hour of [`LIMIT`] requests a second with always something to fetch, on a simulated clock: nothing is sent and
//! nothing sleeps. The networks are those of [`MODELS`]. Each rule sees each of them, with [`SEEDS`] seeds.
//!
//! # What is measured
//!
//! *Used* is the share of the limit that the server counted. *Over* is the number of requests per hour that put
//! more than the limit into a second. *Peak* is the maximum in any second. Both count arrivals at the server.
//!
//! # The rules
//!
//! `bucket` is a token bucket that holds a second's requests. `strict` keeps a place until a second after its
//! response, as the gate does for ten minutes after a 429. `talkmirror` is the gate itself.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

use std::collections::{BinaryHeap, VecDeque};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use talkmirror::gate::{Gate, Permit, Signal, Source, Wait};
use talkmirror::talk::TalkId;

const LIMIT: u32 = 7;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// The bound of `api.max_in_flight = "auto"`.
const IN_FLIGHT: usize = 16;

/// The delays of a request, in milliseconds.
struct Model {
    name: &'static str,
    /// The minimum transit time, each way.
    transit: f64,
    /// How much each of them varies, uniformly.
    varies: f64,
    /// The server's minimum time, …
    server: f64,
    /// … and the median of what is added. A hundredth takes over ten times as long.
    slow: f64,
    /// One request in this many is delayed by a second in transit.
    held_one_in: u32,
    /// How many requests a connection serves. A new one costs three round trips.
    per_connection: u32,
}

const EVEN: Model = Model {
    name: "80 ms",
    transit: 20.0,
    varies: 2.0,
    server: 36.0,
    slow: 0.0,
    held_one_in: u32::MAX,
    per_connection: u32::MAX,
};

const MODELS: [Model; 8] = [
    EVEN,
    Model { name: "300 ms", server: 256.0, ..EVEN },
    Model { name: "600 ms", server: 556.0, ..EVEN },
    Model { name: "300 ms, server varies", server: 100.0, slow: 150.0, ..EVEN },
    Model {
        name: "300 ms, way varies by 40 ms",
        transit: 40.0,
        varies: 40.0,
        server: 150.0,
        slow: 30.0,
        ..EVEN
    },
    Model {
        name: "far, connections of 50 requests",
        transit: 120.0,
        varies: 20.0,
        per_connection: 50,
        ..EVEN
    },
    Model { name: "300 ms, 1 of 500 is held up for 1 s", server: 256.0, held_one_in: 500, ..EVEN },
    Model { name: "the same, and the server varies", server: 100.0, slow: 150.0, held_one_in: 500, ..EVEN },
];

/// Decides when a request may leave.
trait Rule {
    /// Lets the request `id` leave, or returns when to try again. `None` means after the next response.
    fn pass(&mut self, id: usize, now: Instant) -> Result<(), Option<Instant>>;
    /// It waits for a connection, …
    fn connecting(&mut self, _id: usize) {}
    /// … and has it now.
    fn leaves(&mut self, _id: usize, _now: Instant) {}
    fn answered(&mut self, id: usize, now: Instant);
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rule for Bucket {
    fn pass(&mut self, _id: usize, now: Instant) -> Result<(), Option<Instant>> {
        let limit = f64::from(LIMIT);
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * limit).min(limit);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - self.tokens) / limit) + Duration::from_micros(1);
        Err(Some(now + wait))
    }

    fn answered(&mut self, _id: usize, _now: Instant) {}
}

#[derive(Default)]
struct Strict {
    out: usize,
    answered: VecDeque<Instant>,
}

impl Rule for Strict {
    fn pass(&mut self, _id: usize, now: Instant) -> Result<(), Option<Instant>> {
        let window = Duration::from_millis(1010);
        while self.answered.front().is_some_and(|at| *at + window <= now) {
            self.answered.pop_front();
        }
        if self.out + self.answered.len() >= LIMIT as usize {
            return Err(self.answered.front().map(|at| *at + window));
        }
        self.out += 1;
        Ok(())
    }

    fn answered(&mut self, _id: usize, now: Instant) {
        self.out -= 1;
        self.answered.push_back(now);
    }
}

struct Ours {
    gate: Gate,
    permits: Vec<Option<Permit>>,
    rng: fastrand::Rng,
}

impl Ours {
    fn departure(&self, id: usize) -> talkmirror::departure::Departure {
        self.permits[id].as_ref().expect("it is under way").departure()
    }
}

impl Rule for Ours {
    fn pass(&mut self, _id: usize, now: Instant) -> Result<(), Option<Instant>> {
        match self.gate.try_pass(now) {
            Ok(permit) => {
                self.permits.push(Some(permit));
                Ok(())
            }
            Err(Wait::Until(at)) => Err(Some(at)),
            Err(Wait::ForAnswer) => Err(None),
        }
    }

    fn connecting(&mut self, id: usize) {
        self.departure(id).connecting();
    }

    fn leaves(&mut self, id: usize, now: Instant) {
        self.departure(id).leaves(now);
    }

    fn answered(&mut self, id: usize, now: Instant) {
        let permit = self.permits[id].take().expect("it is under way");
        self.gate.answered(permit, Source::Talk(TalkId::new(id as i64)), Signal::Healthy, now, &mut self.rng);
    }
}

/// The arrivals that the server counted, in order from the start.
fn hour(rule: &mut dyn Rule, model: &Model, start: Instant, seed: u64) -> Vec<Duration> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let ms = |value: f64| Duration::from_secs_f64(value / 1000.0);
    let (mut now, mut out) = (start, 0);
    // Earliest first: when, whether it is a response, and whose.
    let mut events: BinaryHeap<std::cmp::Reverse<(Instant, bool, usize)>> = BinaryHeap::new();
    let mut arrivals = Vec::new();
    while now < start + HOUR {
        let wait = if out >= IN_FLIGHT { Err(None) } else { rule.pass(arrivals.len(), now) };
        let until = match wait {
            Ok(()) => {
                let id = arrivals.len();
                let transit = |rng: &mut fastrand::Rng| ms(model.transit + rng.f64() * model.varies);
                let mut leaves = now;
                if model.per_connection != u32::MAX && (id as u32).is_multiple_of(model.per_connection) {
                    leaves += 3 * (transit(&mut rng) + transit(&mut rng));
                    rule.connecting(id);
                    events.push(std::cmp::Reverse((leaves, false, id)));
                }
                let held = if rng.u32(0..model.held_one_in) == 0 { SECOND } else { Duration::ZERO };
                let arrives = leaves + transit(&mut rng) + held;
                // Log-normal, approximated by a sum of twelve.
                let normal = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
                let answer = arrives + ms(model.server + model.slow * normal.exp()) + transit(&mut rng);
                arrivals.push(arrives - start);
                events.push(std::cmp::Reverse((answer, true, id)));
                out += 1;
                continue;
            }
            Err(until) => until,
        };
        let next = events.peek().map(|event| event.0.0);
        match (until, next) {
            (Some(at), Some(next)) if at < next => now = at,
            (Some(at), None) => now = at,
            (_, Some(_)) => {
                let std::cmp::Reverse((at, is_answer, id)) = events.pop().expect("it was seen");
                now = now.max(at);
                if is_answer {
                    out -= 1;
                    rule.answered(id, at);
                } else {
                    rule.leaves(id, at);
                }
            }
            (None, None) => unreachable!("it waits for an answer that never comes"),
        }
    }
    arrivals.sort();
    arrivals
}

/// The maximum of requests in any second, and how many had more than the limit in theirs.
fn counted(arrivals: &[Duration]) -> (usize, usize) {
    let (mut first, mut peak, mut over) = (0, 0, 0);
    for (last, at) in arrivals.iter().enumerate() {
        while *at - arrivals[first] >= SECOND {
            first += 1;
        }
        peak = peak.max(last - first + 1);
        over += usize::from(last - first + 1 > LIMIT as usize);
    }
    (peak, over)
}

fn main() -> ExitCode {
    println!("| network | rule | used | over | peak |\n| --- | --- | --- | --- | --- |");
    let mut is_good = true;
    for model in &MODELS {
        for name in ["bucket", "strict", "talkmirror"] {
            let (mut used, mut over, mut peak) = (0.0, 0, 0);
            for seed in SEEDS {
                let start = Instant::now();
                let mut rule: Box<dyn Rule> = match name {
                    "bucket" => Box::new(Bucket { tokens: f64::from(LIMIT), at: start }),
                    "strict" => Box::new(Strict::default()),
                    _ => Box::new(Ours {
                        gate: Gate::new(LIMIT, false, start),
                        permits: Vec::new(),
                        rng: fastrand::Rng::with_seed(seed),
                    }),
                };
                let arrivals = hour(rule.as_mut(), model, start, seed);
                let (most, more) = counted(&arrivals);
                used += arrivals.len() as f64 / (f64::from(LIMIT) * HOUR.as_secs_f64());
                (peak, over) = (peak.max(most), over + more);
            }
            let seeds = SEEDS.count() as f64;
            let (used, over) = (used / seeds, over as f64 / seeds);
            println!("| {} | {name} | {:.1} % | {over:.0} | {peak} |", model.name, used * 100.0);
            // A delayed request may add one or two, and a new connection costs time.
            let held = model.held_one_in != u32::MAX;
            let connects = model.per_connection != u32::MAX;
            is_good &= name != "talkmirror" || (connects || used >= 0.95) && (held || peak <= LIMIT as usize);
        }
    }
    if !is_good {
        eprintln!("the gate uses less than 95 % of the limit, or passes it");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
