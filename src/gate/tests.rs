use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(1)
}

/// Passes and answers at once, for talk 1000.
fn ask(gate: &mut Gate, signal: Signal, now: Instant) {
    ask_for(gate, 1000, signal, now);
}

/// Passes and answers at once, for this talk.
fn ask_for(gate: &mut Gate, talk_id: i64, signal: Signal, now: Instant) {
    let permit = gate.try_pass(now).expect("a request may leave");
    gate.answered(permit, Source::Talk(talk_id), signal, now, &mut rng());
}

/// An unexpected answer of this kind.
fn odd(kind: &str) -> Signal {
    Signal::Unexpected(kind.to_owned())
}

/// The token is refused, and the probe that is to confirm it is refused as well.
fn refuse(gate: &mut Gate, now: Instant) {
    ask(gate, Signal::Unauthorized, now);
    ask(gate, Signal::Unauthorized, now);
}

/// The pause there must be.
fn pause(gate: &Gate) -> Pause {
    gate.pause().expect("a pause")
}

/// A gate that lets many leave at once, and its start.
fn gate() -> (Gate, Instant) {
    let start = Instant::now();
    (Gate::new(1_000_000, false, start), start)
}

#[test]
fn after_a_restart_nothing_leaves_for_a_second() {
    let start = Instant::now();
    let mut gate = Gate::new(6, true, start);
    assert_eq!(gate.try_pass(start).unwrap_err(), Wait::Until(start + WINDOW + WAY));
    assert!(gate.try_pass(start + WINDOW + WAY - Duration::from_millis(1)).is_err());
    assert!(gate.try_pass(start + WINDOW + WAY).is_ok());
}

#[test]
fn a_place_is_free_again_a_second_and_the_ways_bound_after_its_request_left() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let slow = gate.try_pass(start).unwrap();
    let free = start + SECOND + WAY;
    assert_eq!(gate.try_pass(start + SECOND).unwrap_err(), Wait::Until(free));
    let next = gate.try_pass(free).expect("the answer's own time does not matter");
    gate.answered(slow, Source::Talk(1), Signal::Healthy, start + 5 * SECOND, &mut rng());
    gate.answered(next, Source::Talk(2), Signal::Healthy, start + 5 * SECOND, &mut rng());
    assert!(gate.try_pass(start + 5 * SECOND).is_ok());
}

#[test]
fn an_early_answer_frees_its_place_a_second_later() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let quick = gate.try_pass(start).unwrap();
    let answered = start + Duration::from_millis(10);
    gate.answered(quick, Source::Talk(1), Signal::Healthy, answered, &mut rng());
    assert_eq!(gate.try_pass(start + SECOND).unwrap_err(), Wait::Until(answered + WINDOW));
    assert!(gate.try_pass(answered + WINDOW).is_ok());
}

#[test]
fn requests_leave_evenly() {
    let start = Instant::now();
    let mut gate = Gate::new(5, false, start);
    let mut left = Vec::new();
    for millisecond in 0..3000 {
        let now = start + Duration::from_millis(millisecond);
        if let Ok(permit) = gate.try_pass(now) {
            gate.answered(permit, Source::Talk(1), Signal::Healthy, now, &mut rng());
            left.push(millisecond);
        }
    }
    assert!(left.windows(2).all(|pair| pair[1] - pair[0] >= 175), "{left:?}");
    assert!(left.len() >= 14, "{left:?}");
}

#[test]
fn a_request_that_waits_for_a_connection_has_not_left() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let permit = gate.try_pass(start).unwrap();
    permit.departure().connecting();
    assert_eq!(gate.try_pass(start + 5 * SECOND).unwrap_err(), Wait::ForAnswer);
    permit.departure().leaves(start + 5 * SECOND);
    assert_eq!(gate.try_pass(start + 5 * SECOND).unwrap_err(), Wait::Until(start + 6 * SECOND + WAY));
}

#[test]
fn for_ten_minutes_after_a_429_a_place_is_free_a_second_after_its_answer() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    ask(&mut gate, Signal::RateLimited(None), start);
    let open = start + 10 * SECOND;
    let probe = gate.try_pass(open).unwrap();
    gate.answered(probe, Source::Talk(1), Signal::Healthy, open, &mut rng());
    let later = open + CLIMB;
    let slow = gate.try_pass(later).unwrap();
    assert_eq!(gate.try_pass(later + 5 * SECOND).unwrap_err(), Wait::ForAnswer);
    gate.answered(slow, Source::Talk(1), Signal::Healthy, later + 5 * SECOND, &mut rng());
    assert_eq!(gate.try_pass(later + 6 * SECOND).unwrap_err(), Wait::Until(later + 5 * SECOND + WINDOW));
    let over = open + STRICT;
    let slow = gate.try_pass(over).unwrap();
    assert!(gate.try_pass(over + SECOND + WAY).is_ok(), "ten minutes later it is not");
    drop(slow);
}

#[test]
fn the_ways_bound_is_measured_by_answers_that_come_evenly() {
    for (jitter, bound) in [(2, 20), (20, 35), (200, 50)] {
        let start = Instant::now();
        let mut gate = Gate::new(1, false, start);
        for request in 0..64u64 {
            let now = start + 2 * SECOND * request as u32;
            let permit = gate.try_pass(now).unwrap();
            assert_eq!(gate.places.way(), WAY);
            let took = Duration::from_millis(300 + (request % 2) * jitter);
            gate.answered(permit, Source::Talk(1), Signal::Healthy, now + took, &mut rng());
        }
        assert_eq!(gate.places.way(), Duration::from_millis(bound), "{jitter} ms");
    }
}

#[test]
fn five_different_talks_in_a_row_are_an_outage_and_four_are_not() {
    let (mut gate, now) = gate();
    for talk_id in 1..=4 {
        ask_for(&mut gate, talk_id, Signal::Transient, now);
    }
    ask_for(&mut gate, 4, Signal::Transient, now);
    assert_eq!(gate.pause(), None, "the same talk twice is one talk");
    ask_for(&mut gate, 5, Signal::Transient, now);
    assert_eq!(pause(&gate).reason, Reason::Outage);
}

#[test]
fn a_good_answer_ends_a_streak() {
    let (mut gate, now) = gate();
    for talk_id in 1..=20 {
        ask_for(&mut gate, talk_id, Signal::Transient, now);
        ask_for(&mut gate, talk_id, Signal::Forbidden, now);
        if talk_id % 2 == 0 {
            ask(&mut gate, Signal::Healthy, now);
        }
    }
    assert_eq!(gate.pause(), None);
}

#[test]
fn three_bare_403_in_a_row_are_a_block_and_two_are_not() {
    let (mut gate, now) = gate();
    ask_for(&mut gate, 1, Signal::Forbidden, now);
    ask_for(&mut gate, 2, Signal::Forbidden, now);
    assert_eq!(gate.pause(), None);
    ask_for(&mut gate, 3, Signal::Forbidden, now);
    assert_eq!(pause(&gate).reason, Reason::Blocked);
    assert_eq!(pause(&gate).until, now + PERSON);
}

#[test]
fn three_requests_without_an_answer_are_an_outage_whoever_sent_them() {
    let (mut gate, now) = gate();
    ask_for(&mut gate, 1, Signal::NoAnswer, now);
    ask_for(&mut gate, 1, Signal::NoAnswer, now);
    ask(&mut gate, Signal::Healthy, now);
    ask_for(&mut gate, 1, Signal::NoAnswer, now);
    ask_for(&mut gate, 1, Signal::NoAnswer, now);
    assert_eq!(gate.pause(), None);
    ask_for(&mut gate, 1, Signal::NoAnswer, now);
    assert_eq!(pause(&gate).reason, Reason::Outage);
}

#[test]
fn three_different_requests_with_the_same_unexpected_answer_pause_everything() {
    let (mut gate, now) = gate();
    for _ in 0..20 {
        ask_for(&mut gate, 1, odd("page"), now);
    }
    assert_eq!(gate.pause(), None, "one talk alone");
    ask_for(&mut gate, 2, odd("page"), now);
    ask_for(&mut gate, 3, odd("empty"), now);
    ask_for(&mut gate, 4, odd("page"), now);
    ask_for(&mut gate, 5, odd("page"), now);
    assert_eq!(gate.pause(), None, "of different kinds");
    ask_for(&mut gate, 6, odd("page"), now);
    assert_eq!(pause(&gate).reason, Reason::UnexpectedAnswer);
    let probe = pause(&gate).until;
    ask_for(&mut gate, 7, odd("page"), probe);
    assert!(pause(&gate).until > probe, "it is not over");
    let probe = pause(&gate).until;
    ask_for(&mut gate, 7, Signal::Healthy, probe);
    assert_eq!(gate.pause(), None);
}

#[test]
fn those_that_began_a_pause_are_known_until_it_is_over() {
    let (mut gate, now) = gate();
    for talk_id in 1..=3 {
        ask_for(&mut gate, talk_id, odd("page"), now);
    }
    assert_eq!(gate.blamed(), [1, 2, 3].map(Source::Talk));
    let probe = pause(&gate).until;
    ask_for(&mut gate, 9, Signal::Healthy, probe);
    assert_eq!(gate.take_blamed(), [1, 2, 3].map(Source::Talk));
    assert!(gate.blamed().is_empty());
}

#[test]
fn an_account_that_answers_does_not_show_that_talks_are_answered() {
    let (mut gate, now) = gate();
    for talk_id in 1..=3 {
        ask_for(&mut gate, talk_id, odd("HTTP 400"), now);
    }
    let probe = gate.try_pass(now + 10 * SECOND).unwrap();
    gate.answered(probe, Source::Account, Signal::Healthy, now + 10 * SECOND, &mut rng());
    assert_eq!(pause(&gate).reason, Reason::UnexpectedAnswer);
}

#[test]
fn a_401_is_confirmed_by_one_probe_before_all_pauses() {
    let (mut gate, now) = gate();
    let together: Vec<Permit> = (0..4).map(|_| gate.try_pass(now).unwrap()).collect();
    for permit in together {
        gate.answered(permit, Source::Talk(1), Signal::Unauthorized, now, &mut rng());
    }
    assert_eq!(gate.pause(), None, "all of them left before the first refusal came");
    let probe = gate.try_pass(now).unwrap();
    assert_eq!(gate.try_pass(now).unwrap_err(), Wait::ForAnswer, "one at a time");
    gate.answered(probe, Source::Talk(2), Signal::Healthy, now, &mut rng());
    assert!(gate.try_pass(now).is_ok() && gate.try_pass(now).is_ok());
    assert_eq!(gate.pause(), None);
    refuse(&mut gate, now);
    assert_eq!(pause(&gate).reason, Reason::Unauthorized);
}

#[test]
fn a_person_ends_any_pause_with_one_probe() {
    for signal in [Signal::Unpaid, Signal::RateLimited(Some(300 * SECOND)), Signal::ManyGone] {
        let (mut gate, now) = gate();
        ask(&mut gate, signal.clone(), now);
        assert!(gate.try_pass(now).is_err());
        gate.probe_now(now);
        let probe = gate.try_pass(now).unwrap();
        assert_eq!(gate.try_pass(now).unwrap_err(), Wait::ForAnswer);
        gate.answered(probe, Source::Talk(1), signal, now, &mut rng());
        assert!(gate.try_pass(now).is_err(), "refused again");
    }
}

#[test]
fn in_a_pause_one_probe_leaves_at_a_time_and_its_answer_decides() {
    let (mut gate, now) = gate();
    refuse(&mut gate, now);
    assert_eq!(gate.try_pass(now).unwrap_err(), Wait::Until(now + UNAUTHORIZED));

    let later = now + UNAUTHORIZED;
    let probe = gate.try_pass(later).unwrap();
    assert_eq!(gate.try_pass(later).unwrap_err(), Wait::ForAnswer);
    gate.answered(probe, Source::Talk(1), Signal::Unauthorized, later, &mut rng());
    assert_eq!(pause(&gate).until, later + UNAUTHORIZED);
    assert_eq!(pause(&gate).since, now, "one pause, not two");

    let probe = gate.try_pass(later + UNAUTHORIZED).unwrap();
    gate.answered(probe, Source::Talk(1), Signal::Healthy, later + UNAUTHORIZED, &mut rng());
    assert_eq!(gate.pause(), None);
    assert!(gate.try_pass(later + UNAUTHORIZED).is_ok());
}

#[test]
fn a_new_token_is_tried_at_once_and_hurries_no_other_pause() {
    let (mut gate, now) = gate();
    refuse(&mut gate, now);
    gate.token_changed(now + SECOND);
    assert!(gate.try_pass(now + SECOND).is_ok());

    let (mut gate, now) = self::gate();
    ask(&mut gate, Signal::RateLimited(None), now);
    gate.token_changed(now);
    assert!(gate.try_pass(now).is_err());
}

#[test]
fn a_429_waits_for_the_longest_of_hint_and_backoff() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::RateLimited(Some(300 * SECOND)), now);
    assert_eq!(pause(&gate).until, now + 300 * SECOND);

    let (mut gate, now) = self::gate();
    ask(&mut gate, Signal::RateLimited(Some(SECOND)), now);
    assert_eq!(pause(&gate).until, now + 2 * SECOND);
}

#[test]
fn repeated_429s_double_the_pause_up_to_ten_minutes() {
    let (mut gate, mut now) = gate();
    let mut waits = Vec::new();
    for _ in 0..12 {
        ask(&mut gate, Signal::RateLimited(None), now);
        waits.push((pause(&gate).until - now).as_secs());
        now = pause(&gate).until;
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
}

#[test]
fn requests_refused_together_double_the_backoff_once() {
    let (mut gate, now) = gate();
    let together: Vec<Permit> = (0..6).map(|_| gate.try_pass(now).unwrap()).collect();
    for permit in together {
        gate.answered(permit, Source::Talk(1), Signal::RateLimited(None), now, &mut rng());
    }
    assert_eq!(pause(&gate).until, now + 2 * SECOND);
}

#[test]
fn after_a_429_the_pace_climbs_from_half_to_full() {
    let start = Instant::now();
    let mut gate = Gate::new(10, false, start);
    assert_eq!(gate.pace(start), 10.0);
    ask(&mut gate, Signal::RateLimited(None), start);
    let open = pause(&gate).until;
    ask(&mut gate, Signal::Healthy, open);
    let tenths = |at| (gate.pace(at) * 10.0).round();
    assert_eq!(tenths(open), 50.0);
    assert_eq!(tenths(open + CLIMB / 2), 75.0);
    assert_eq!(tenths(open + CLIMB), 100.0);
}

#[test]
fn an_outage_is_probed_with_backoff_up_to_a_minute() {
    let (mut gate, mut now) = gate();
    for talk_id in 1..=5 {
        ask_for(&mut gate, talk_id, Signal::Transient, now);
    }
    for bound in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let wait = pause(&gate).until - now;
        assert!(wait <= bound * SECOND && wait >= bound * SECOND / 2, "{wait:?} of {bound} s");
        now = pause(&gate).until;
        ask_for(&mut gate, 9, Signal::Transient, now);
    }
}

#[test]
fn a_probe_that_meets_an_outage_does_not_shorten_a_block() {
    let (mut gate, now) = gate();
    for talk_id in 1..=3 {
        ask_for(&mut gate, talk_id, Signal::Forbidden, now);
    }
    let probe = pause(&gate).until;
    ask_for(&mut gate, 9, Signal::Transient, probe);
    assert_eq!((pause(&gate).reason, pause(&gate).until), (Reason::Blocked, probe + PERSON));
}

#[test]
fn the_refusal_of_a_replaced_token_neither_begins_nor_lengthens_a_pause() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::Inconclusive, now);
    assert_eq!(gate.pause(), None);
    refuse(&mut gate, now);
    gate.token_changed(now);
    ask(&mut gate, Signal::Inconclusive, now);
    assert!(gate.try_pass(now).is_ok(), "the new token is probed");
}

#[test]
fn good_answers_after_a_429_undo_the_doubling_and_the_probe_alone_does_not() {
    let wait_after = |good: usize| {
        let (mut gate, mut now) = gate();
        for _ in 0..4 {
            ask(&mut gate, Signal::RateLimited(None), now);
            now = pause(&gate).until;
        }
        for _ in 0..good {
            ask(&mut gate, Signal::Healthy, now);
        }
        ask(&mut gate, Signal::RateLimited(None), now);
        (pause(&gate).until - now).as_secs()
    };
    assert_eq!([wait_after(1), wait_after(2), wait_after(3), wait_after(9)], [32, 16, 8, 2]);
}

#[test]
fn a_pause_of_an_earlier_process_is_kept() {
    let start = Instant::now();
    let mut gate = Gate::new(6, true, start);
    gate.resume_pause(Reason::RateLimited, start, start + 60 * SECOND);
    assert_eq!(gate.try_pass(start + 2 * SECOND).unwrap_err(), Wait::Until(start + 60 * SECOND));
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
                gate.answered(permit, Source::Talk(id), signal, at.max(now), &mut rng);
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
        for seen in arrivals.windows(limit as usize + 1) {
            prop_assert!(seen[limit as usize] - seen[0] >= SECOND, "{seen:?}");
        }
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
        for seen in arrivals.windows(limit as usize + 1) {
            prop_assert!(seen[limit as usize] - seen[0] >= SECOND, "{seen:?}");
        }
    }
}
