//! Retries: which failure spends an attempt, when the next one is, and what fails for good.

use super::*;

#[test]
fn a_talk_that_fails_while_others_are_answered_spends_its_attempts_and_fails_for_good() {
    let mut world = world();
    for attempts in 0..3 {
        world.mirror(9);
        world.due(&[DueRow { attempts, ..row(7) }]);
        let (row, permit) = world.fetches();
        world.fails(row, permit, failure(Kind::Transient));
        let record = world.record();
        match attempts {
            2 => assert!(matches!(record.outcome, Outcome::Failed { .. }), "{record:?}"),
            _ => {
                let (due_at, spent) = retry(&record.outcome);
                let most = 10 << attempts;
                assert!(
                    spent && (0..=most + 1).contains(&due_at.seconds_since(world.now.secs())),
                    "{record:?}"
                );
            }
        }
        world.recorded(7, Effect::Retry);
    }
}

#[test]
fn no_answer_spends_nothing_unless_something_else_was_answered_since() {
    let mut world = world();
    world.due(&[row(7)]);
    let (first, permit) = world.fetches();
    world.fails(first, permit, failure(Kind::NoAnswer));
    assert!(retry(&world.record().outcome).1, "the account was answered before");
    world.recorded(7, Effect::Retry);
    world.due(&[row(7)]);
    let (again, permit) = world.fetches_the_talk();
    world.fails(again, permit, failure(Kind::NoAnswer));
    assert!(!retry(&world.record().outcome).1);
}

#[test]
fn a_connection_that_closes_on_a_request_costs_nothing_and_the_fetch_is_repeated_once() {
    let mut world = world();
    world.due(&[row(7), row(8)]);
    let closed = || Failure { repeatable: true, ..failure(Kind::NoAnswer) };
    let (first, permit) = world.fetches();
    world.fails(first, permit, closed());
    assert!(world.records().is_empty());
    let (again, permit) = world.fetches();
    assert_eq!(again, first, "before the others");
    world.fails(again, permit, closed());
    assert_eq!(world.records().len(), 1, "once");
}

#[test]
fn a_talk_is_not_fetched_twice_at_once() {
    let mut world = world();
    world.due(&[row(7)]);
    let (first, permit) = world.fetches();
    world.due(&[row(7), row(8)]);
    assert_eq!(world.fetches().0.talk_id.get(), 8);
    assert!(world.try_leaves().is_err(), "7 is being fetched");
    world.shows(first, permit);
    world.due(&[row(7)]);
    assert!(world.try_leaves().is_err(), "7 is not recorded yet");
    world.recorded(7, Effect::New);
    world.due(&[row(7)]);
    assert_eq!(world.fetches().0.talk_id.get(), 7);
}

#[test]
fn a_talk_that_may_not_be_read_is_retried_in_a_day() {
    let mut world = world();
    world.due(&[row(7)]);
    let (row, permit) = world.fetches();
    world.fails(row, permit, failure(Kind::Denied));
    let record = world.record();
    let Outcome::Denied { due_at, .. } = record.outcome else { panic!("{record:?}") };
    assert!((86_400..=86_402).contains(&due_at.seconds_since(START)), "{due_at}");
}

impl World {
    /// The next fetch, past requests for the account that only see whether the API works.
    fn fetches_the_talk(&mut self) -> (DueRow, Permit) {
        match self.leaves() {
            (Request::Fetch(row), permit) => (row, permit),
            (Request::Account, permit) => {
                self.answer(permit, Response::Account(Err(failure(Kind::NoAnswer)))).unwrap();
                self.fetches()
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}
