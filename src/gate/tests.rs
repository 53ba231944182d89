use super::*;
use crate::talk::TalkId;

mod pace;

const SECOND: Duration = Duration::from_secs(1);

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(1)
}

fn talk(number: i64) -> Source {
    Source::Talk(TalkId::new(number))
}

/// Passes and answers at once, for talk 1000.
fn ask(gate: &mut Gate, signal: Signal, now: Instant) {
    ask_for(gate, 1000, signal, now);
}

/// Passes and answers at once, for this talk.
fn ask_for(gate: &mut Gate, talk_id: i64, signal: Signal, now: Instant) {
    let permit = gate.try_pass(now).expect("a request may leave");
    gate.answered(permit, talk(talk_id), signal, now, &mut rng());
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
    assert_eq!(gate.try_pass(start).unwrap_err(), Wait::Until(start + WINDOW + MAX_TRANSIT_JITTER));
    assert!(gate.try_pass(start + WINDOW + MAX_TRANSIT_JITTER - Duration::from_millis(1)).is_err());
    assert!(gate.try_pass(start + WINDOW + MAX_TRANSIT_JITTER).is_ok());
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
    assert_eq!(pause(&gate).until, now + PERSON_PROBE_INTERVAL);
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
    assert_eq!(gate.blamed(), [1, 2, 3].map(talk));
    let probe = pause(&gate).until;
    ask_for(&mut gate, 9, Signal::Healthy, probe);
    assert_eq!(gate.take_blamed(), [1, 2, 3].map(talk));
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
        gate.answered(permit, talk(1), Signal::Unauthorized, now, &mut rng());
    }
    assert_eq!(gate.pause(), None, "all of them left before the first refusal came");
    let probe = gate.try_pass(now).unwrap();
    assert_eq!(gate.try_pass(now).unwrap_err(), Wait::ForAnswer, "one at a time");
    gate.answered(probe, talk(2), Signal::Healthy, now, &mut rng());
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
        gate.answered(probe, talk(1), signal, now, &mut rng());
        assert!(gate.try_pass(now).is_err(), "refused again");
    }
}

#[test]
fn in_a_pause_one_probe_leaves_at_a_time_and_its_answer_decides() {
    let (mut gate, now) = gate();
    refuse(&mut gate, now);
    assert_eq!(gate.try_pass(now).unwrap_err(), Wait::Until(now + UNAUTHORIZED_PROBE_INTERVAL));

    let later = now + UNAUTHORIZED_PROBE_INTERVAL;
    let probe = gate.try_pass(later).unwrap();
    assert_eq!(gate.try_pass(later).unwrap_err(), Wait::ForAnswer);
    gate.answered(probe, talk(1), Signal::Unauthorized, later, &mut rng());
    assert_eq!(pause(&gate).until, later + UNAUTHORIZED_PROBE_INTERVAL);
    assert_eq!(pause(&gate).since, now, "one pause, not two");

    let probe = gate.try_pass(later + UNAUTHORIZED_PROBE_INTERVAL).unwrap();
    gate.answered(probe, talk(1), Signal::Healthy, later + UNAUTHORIZED_PROBE_INTERVAL, &mut rng());
    assert_eq!(gate.pause(), None);
    assert!(gate.try_pass(later + UNAUTHORIZED_PROBE_INTERVAL).is_ok());
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
        gate.answered(permit, talk(1), Signal::RateLimited(None), now, &mut rng());
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
    assert_eq!(tenths(open + CLIMB_DURATION / 2), 75.0);
    assert_eq!(tenths(open + CLIMB_DURATION), 100.0);
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
    assert_eq!((pause(&gate).reason, pause(&gate).until), (Reason::Blocked, probe + PERSON_PROBE_INTERVAL));
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
