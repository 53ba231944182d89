use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(1)
}

/// Passes and answers at once.
fn ask(gate: &mut Gate, signal: Signal, now: Instant) {
    let permit = gate.try_pass(now).expect("a request may leave");
    gate.answered(permit, signal, now, &mut rng());
}

/// The pause there must be.
fn pause(gate: &Gate) -> Pause {
    gate.pause().expect("a pause")
}

/// A gate with a wide ceiling, and its start.
fn gate() -> (Gate, Instant) {
    let start = Instant::now();
    (Gate::new(1000, false, start), start)
}

#[test]
fn after_a_restart_nothing_leaves_for_a_second() {
    let start = Instant::now();
    let mut gate = Gate::new(6, true, start);
    assert_eq!(gate.try_pass(start).unwrap_err(), Wait::Until(start + WINDOW));
    assert!(gate.try_pass(start + WINDOW - Duration::from_millis(1)).is_err());
    assert!(gate.try_pass(start + WINDOW).is_ok());
}

#[test]
fn a_place_is_free_again_a_second_after_its_answer_not_after_its_start() {
    let start = Instant::now();
    let mut gate = Gate::new(1, false, start);
    let slow = gate.try_pass(start).unwrap();
    assert_eq!(gate.try_pass(start + 5 * SECOND).unwrap_err(), Wait::ForAnswer);
    let answered = start + 5 * SECOND;
    gate.answered(slow, Signal::Healthy, answered, &mut rng());
    assert_eq!(gate.try_pass(answered + SECOND).unwrap_err(), Wait::Until(answered + WINDOW));
    assert!(gate.try_pass(answered + WINDOW).is_ok());
}

#[test]
fn five_different_talks_in_a_row_are_an_outage_and_four_are_not() {
    let (mut gate, now) = gate();
    for talk_id in 1..=4 {
        ask(&mut gate, Signal::Transient(talk_id), now);
    }
    ask(&mut gate, Signal::Transient(4), now);
    assert_eq!(gate.pause(), None, "the same talk twice is one talk");
    ask(&mut gate, Signal::Transient(5), now);
    assert_eq!(pause(&gate).reason, Reason::Outage);
}

#[test]
fn a_good_answer_ends_a_streak() {
    let (mut gate, now) = gate();
    for talk_id in 1..=20 {
        ask(&mut gate, Signal::Transient(talk_id), now);
        ask(&mut gate, Signal::Forbidden(talk_id), now);
        if talk_id % 2 == 0 {
            ask(&mut gate, Signal::Healthy, now);
        }
    }
    assert_eq!(gate.pause(), None);
}

#[test]
fn three_bare_403_in_a_row_are_a_block_and_two_are_not() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::Forbidden(1), now);
    ask(&mut gate, Signal::Forbidden(2), now);
    assert_eq!(gate.pause(), None);
    ask(&mut gate, Signal::Forbidden(3), now);
    assert_eq!(pause(&gate).reason, Reason::Blocked);
    assert_eq!(pause(&gate).until, now + BLOCKED);
}

#[test]
fn in_a_pause_one_probe_leaves_at_a_time_and_its_answer_decides() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::Unauthorized, now);
    assert_eq!(gate.try_pass(now).unwrap_err(), Wait::Until(now + UNAUTHORIZED));

    let later = now + UNAUTHORIZED;
    let probe = gate.try_pass(later).unwrap();
    assert_eq!(gate.try_pass(later).unwrap_err(), Wait::ForAnswer);
    gate.answered(probe, Signal::Unauthorized, later, &mut rng());
    assert_eq!(pause(&gate).until, later + UNAUTHORIZED);
    assert_eq!(pause(&gate).since, now, "one pause, not two");

    let probe = gate.try_pass(later + UNAUTHORIZED).unwrap();
    gate.answered(probe, Signal::Healthy, later + UNAUTHORIZED, &mut rng());
    assert_eq!(gate.pause(), None);
    assert!(gate.try_pass(later + UNAUTHORIZED).is_ok());
}

#[test]
fn a_new_token_is_tried_at_once_and_hurries_no_other_pause() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::Unauthorized, now);
    gate.probe_now(now + SECOND);
    assert!(gate.try_pass(now + SECOND).is_ok());

    let (mut gate, now) = self::gate();
    ask(&mut gate, Signal::RateLimited(None), now);
    gate.probe_now(now);
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
        gate.answered(permit, Signal::RateLimited(None), now, &mut rng());
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
        ask(&mut gate, Signal::Transient(talk_id), now);
    }
    for bound in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let wait = pause(&gate).until - now;
        assert!(wait <= bound * SECOND && wait >= bound * SECOND / 2, "{wait:?} of {bound} s");
        now = pause(&gate).until;
        ask(&mut gate, Signal::Transient(9), now);
    }
}

#[test]
fn a_probe_that_meets_an_outage_does_not_shorten_a_block() {
    let (mut gate, now) = gate();
    for talk_id in 1..=3 {
        ask(&mut gate, Signal::Forbidden(talk_id), now);
    }
    let probe = pause(&gate).until;
    ask(&mut gate, Signal::Transient(9), probe);
    assert_eq!((pause(&gate).reason, pause(&gate).until), (Reason::Blocked, probe + BLOCKED));
}

#[test]
fn the_refusal_of_a_replaced_token_neither_begins_nor_lengthens_a_pause() {
    let (mut gate, now) = gate();
    ask(&mut gate, Signal::Outdated, now);
    assert_eq!(gate.pause(), None);
    ask(&mut gate, Signal::Unauthorized, now);
    gate.probe_now(now);
    ask(&mut gate, Signal::Outdated, now);
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

proptest! {
    /// The law: whatever the ceiling, the delays of the network and the answers,
    /// no second at the server holds more than the ceiling.
    #[test]
    fn no_second_at_the_server_holds_more_than_the_ceiling(
        ceiling in 1u32..12,
        seed: u64,
        outage_percent in 0u32..40,
        in_flight in 1usize..20,
    ) {
        let start = Instant::now();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut gate = Gate::new(ceiling, false, start);
        let mut now = start;
        let mut arrivals: Vec<Duration> = Vec::new();
        let mut out: Vec<(Instant, Permit, i64)> = Vec::new();
        for talk_id in 0..400 {
            // Leave as soon as possible, with answers coming in between.
            let permit = loop {
                out.sort_by_key(|(at, ..)| *at);
                let next = out.first().map(|(at, ..)| *at);
                let wait = if out.len() >= in_flight { Wait::ForAnswer } else {
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
                    let signal = match rng.u32(0..100) {
                        drawn if drawn < outage_percent => Signal::Transient(id),
                        99 => Signal::RateLimited(None),
                        _ => Signal::Healthy,
                    };
                    gate.answered(permit, signal, at.max(now), &mut rng);
                }
            };
            let there = now + Duration::from_millis(rng.u64(0..1500));
            arrivals.push(there - start);
            out.push((there + Duration::from_millis(rng.u64(0..800)), permit, talk_id));
        }
        arrivals.sort();
        for pair in arrivals.windows(ceiling as usize + 1) {
            prop_assert!(pair[ceiling as usize] - pair[0] >= SECOND, "{pair:?}");
        }
    }
}
