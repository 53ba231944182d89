//! When requests may leave: the two rules, and what the server counts by them.

use super::*;
use proptest::prelude::*;

/// A gate for one request a second that has nothing saved for late answers, and when its next request may leave.
fn nothing_saved() -> (Gate, Instant) {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let permit = gate.try_pass(start).unwrap();
    gate.answered(permit, talk(1), Signal::Healthy, start + SECOND, &mut rng());
    let next = start + 3 * SECOND;
    assert!(gate.places.times().kept_beyond(10 * SECOND) <= 2 * MAX_TRANSIT_JITTER);
    (gate, next)
}

#[test]
fn a_place_is_free_again_a_second_and_the_jitter_after_its_request_left() {
    let (mut gate, start) = nothing_saved();
    let slow = gate.try_pass(start).unwrap();
    let free = start + SECOND + MAX_TRANSIT_JITTER;
    assert_eq!(gate.try_pass(start + SECOND).unwrap_err(), Wait::Until(free));
    let next = gate.try_pass(free).expect("the answer's own time does not matter");
    gate.answered(slow, talk(1), Signal::Healthy, start + 5 * SECOND, &mut rng());
    gate.answered(next, talk(2), Signal::Healthy, start + 5 * SECOND, &mut rng());
    assert!(gate.try_pass(start + 5 * SECOND).is_ok());
}

#[test]
fn an_early_answer_frees_its_place_a_second_later() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let quick = gate.try_pass(start).unwrap();
    let answered = start + Duration::from_millis(10);
    gate.answered(quick, talk(1), Signal::Healthy, answered, &mut rng());
    assert_eq!(gate.try_pass(start + SECOND).unwrap_err(), Wait::Until(answered + WINDOW));
    assert!(gate.try_pass(answered + WINDOW).is_ok());
}

#[test]
fn a_late_request_keeps_its_place_until_a_second_after_its_answer_as_far_as_quick_ones_have_saved_up() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let mut now = start;
    for _ in 0..120 {
        let permit = gate.try_pass(now).unwrap();
        gate.answered(permit, talk(1), Signal::Healthy, now + SECOND / 100, &mut rng());
        now += 2 * SECOND;
    }
    // 3 s are saved.
    let late = gate.try_pass(now).unwrap();
    assert_eq!(gate.try_pass(now + 2 * SECOND).unwrap_err(), Wait::Until(now + 4 * SECOND));
    let answered = now + 2 * SECOND;
    gate.answered(late, talk(1), Signal::Healthy, answered, &mut rng());
    assert_eq!(gate.try_pass(answered).unwrap_err(), Wait::Until(answered + WINDOW));
    // 2.01 s of them are spent, and each place may take 50 ms.
    let now = answered + WINDOW;
    let late = gate.try_pass(now).unwrap();
    let kept = Duration::from_millis(3000 - 2010 + 50);
    assert_eq!(gate.try_pass(now + SECOND).unwrap_err(), Wait::Until(now + SECOND + kept));
    assert!(gate.try_pass(now + SECOND + kept).is_ok(), "not answered, and nothing is left");
    drop(late);
}

#[test]
fn requests_leave_evenly() {
    let start = Instant::now();
    let mut gate = Gate::new(5, false, start);
    let mut left = Vec::new();
    for millisecond in 0..3000 {
        let now = start + Duration::from_millis(millisecond);
        if let Ok(permit) = gate.try_pass(now) {
            gate.answered(permit, talk(1), Signal::Healthy, now, &mut rng());
            left.push(millisecond);
        }
    }
    assert!(left.windows(2).all(|pair| pair[1] - pair[0] >= 137), "{left:?}");
    assert!(left.len() >= 14, "{left:?}");
}

#[test]
fn a_request_that_waits_for_a_connection_has_not_left() {
    let (mut gate, start) = nothing_saved();
    let permit = gate.try_pass(start).unwrap();
    permit.departure().connecting();
    assert_eq!(gate.try_pass(start + 5 * SECOND).unwrap_err(), Wait::ForAnswer);
    permit.departure().leaves(start + 5 * SECOND);
    assert_eq!(
        gate.try_pass(start + 5 * SECOND).unwrap_err(),
        Wait::Until(start + 6 * SECOND + MAX_TRANSIT_JITTER)
    );
}

#[test]
fn for_ten_minutes_after_a_429_a_place_is_free_a_second_after_its_answer() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    ask(&mut gate, Signal::RateLimited(None), start);
    let open = start + 10 * SECOND;
    let probe = gate.try_pass(open).unwrap();
    gate.answered(probe, talk(1), Signal::Healthy, open, &mut rng());
    let later = open + CLIMB_DURATION;
    let slow = gate.try_pass(later).unwrap();
    assert_eq!(gate.try_pass(later + 5 * SECOND).unwrap_err(), Wait::ForAnswer);
    gate.answered(slow, talk(1), Signal::Healthy, later + 5 * SECOND, &mut rng());
    assert_eq!(gate.try_pass(later + 6 * SECOND).unwrap_err(), Wait::Until(later + 5 * SECOND + WINDOW));
    let over = open + STRICT_DURATION;
    let slow = gate.try_pass(over).unwrap();
    assert!(gate.try_pass(over + 2 * SECOND).is_ok(), "ten minutes later it need not be answered");
    drop(slow);
}

#[test]
fn the_jitter_is_measured_by_evenly_spaced_responses() {
    for (jitter, bound) in [(2, 20), (20, 35), (200, 50)] {
        let start = Instant::now();
        let mut gate = Gate::new(1, false, start);
        for request in 0..64u64 {
            let now = start + 2 * SECOND * request as u32;
            let permit = gate.try_pass(now).unwrap();
            assert_eq!(gate.places.times().transit_jitter(), MAX_TRANSIT_JITTER);
            let took = Duration::from_millis(300 + (request % 2) * jitter);
            gate.answered(permit, talk(1), Signal::Healthy, now + took, &mut rng());
        }
        assert_eq!(gate.places.times().transit_jitter(), Duration::from_millis(bound), "{jitter} ms");
    }
}

/// A network: what each part of a request's way takes at most, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Network {
    connect: u64,
    there: u64,
    server: u64,
    back: u64,
}

/// When requests arrive that leave as soon as they may, `in_flight` at once at most, counted from the start.
fn arrivals(
    mut gate: Gate,
    start: Instant,
    network: Network,
    (in_flight, outage_percent): (usize, u32),
    seed: u64,
) -> Vec<Duration> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let up_to = |rng: &mut fastrand::Rng, most: u64| Duration::from_micros(rng.u64(0..=most * 1000));
    let mut now = start;
    let mut arrivals: Vec<Duration> = Vec::new();
    let mut connecting: Vec<(Instant, crate::departure::Departure)> = Vec::new();
    let mut out: Vec<(Instant, Permit, i64)> = Vec::new();
    for talk_id in 0..400 {
        // Leave as soon as possible, with answers coming in between.
        let permit = loop {
            connecting.retain(|(at, departure)| {
                if *at <= now {
                    departure.leaves(*at);
                }
                *at > now
            });
            out.sort_by_key(|(at, ..)| *at);
            let next = out.first().map(|(at, ..)| *at);
            let wait = if out.len() >= in_flight {
                Wait::ForAnswer
            } else {
                match gate.try_pass(now) {
                    Ok(permit) => break permit,
                    Err(wait) => wait,
                }
            };
            let (target, answer) = match (wait, next) {
                (Wait::Until(at), Some(next)) if next <= at => (next, true),
                (Wait::Until(at), _) => (at, false),
                (Wait::ForAnswer, Some(next)) => (next, true),
                (Wait::ForAnswer, None) => panic!("it waits for an answer that never comes"),
            };
            now = now.max(target);
            if answer {
                let (at, permit, id) = out.remove(0);
                connecting.retain(|(connected, departure)| {
                    if *connected <= at {
                        departure.leaves(*connected);
                    }
                    *connected > at
                });
                let signal = match rng.u32(0..100) {
                    drawn if drawn < outage_percent => Signal::Transient,
                    _ => Signal::Healthy,
                };
                gate.answered(permit, talk(id), signal, at.max(now), &mut rng);
            }
        };
        let mut leaves = now;
        if network.connect > 0 && rng.u32(0..4) == 0 {
            leaves += up_to(&mut rng, network.connect);
            permit.departure().connecting();
            connecting.push((leaves, permit.departure()));
        }
        let there = leaves + up_to(&mut rng, network.there);
        arrivals.push(there - start);
        out.push((there + up_to(&mut rng, network.server) + up_to(&mut rng, network.back), permit, talk_id));
    }
    arrivals.sort();
    arrivals
}

/// Arrivals of which more than `limit` are in a second.
fn over(arrivals: &[Duration], limit: u32) -> Option<&[Duration]> {
    let limit = limit as usize;
    arrivals.windows(limit + 1).find(|seen| seen[limit] - seen[0] < SECOND)
}

#[test]
fn at_least_95_percent_of_the_limit_are_used_whatever_the_answers_time() {
    for (there, server) in [(1, 80), (1, 300), (1, 600), (40, 20), (45, 2000)] {
        let start = Instant::now();
        let network = Network { connect: 0, there, server, back: there };
        let arrivals = arrivals(Gate::new(7, false, start), start, network, (16, 0), 1);
        let used = 400.0 / arrivals.last().unwrap().as_secs_f64() / 7.0;
        assert!(used >= 0.95, "{used} of the limit with {network:?}");
    }
}

proptest! {
    /// While the way there varies by less than the bound, no second at the server holds more than the limit, however long
    /// its answers and new connections take.
    #[test]
    fn no_second_holds_more_than_the_limit_while_the_way_varies_by_less_than_the_bound(
        limit in 1u32..12,
        seed: u64,
        outage_percent in 0u32..40,
        in_flight in 1usize..20,
        connect in 0u64..3000,
        there in 0u64..50,
        server in prop_oneof![Just(0u64), 0u64..3000],
        back in 0u64..100,
    ) {
        let start = Instant::now();
        let network = Network { connect, there, server, back: back.max(there) };
        let gate = Gate::new(limit, false, start);
        let arrivals = arrivals(gate, start, network, (in_flight, outage_percent), seed);
        prop_assert_eq!(over(&arrivals, limit), None);
    }

    /// The law after a 429: whatever the limit, the delays of the network and the answers, no second at the
    /// server holds more than the limit.
    #[test]
    fn after_a_429_no_second_holds_more_than_the_limit_whatever_the_network_does(
        limit in 1u32..12,
        seed: u64,
        outage_percent in 0u32..40,
        in_flight in 1usize..20,
    ) {
        let start = Instant::now();
        let mut gate = Gate::new(limit, false, start);
        gate.places.be_strict_until(start + 100_000 * SECOND);
        let network = Network { connect: 0, there: 1500, server: 800, back: 0 };
        let arrivals = arrivals(gate, start, network, (in_flight, outage_percent), seed);
        prop_assert_eq!(over(&arrivals, limit), None);
    }
}
