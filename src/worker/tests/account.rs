//! Which account answers: nothing else leaves and nothing is believed before that is known.

use super::*;
use crate::store::queue::UNCONFIRMED;

#[test]
fn nothing_leaves_before_the_account_has_answered() {
    let mut world = unconfirmed(&[]);
    world.due(&[row(7)]);
    let (request, permit) = world.leaves();
    assert!(matches!(request, Request::Account));
    assert!(world.try_leaves().is_err(), "the row waits for it");
    world.answer(permit, Response::Account(Ok(described(ACCOUNT_ID)))).unwrap();
    let written = world.written();
    assert!(matches!(written[0], Written::Repair(Repair::Ignored { .. })), "{written:?}");
    assert!(matches!(&written[1], Written::Account(Ok(name), _) if name.account_id == ACCOUNT_ID));
    assert_eq!(world.fetches().0.talk_id.get(), 7);
}

#[test]
fn another_account_ends_the_work_and_no_row_is_touched() {
    let mut world = unconfirmed(&[]);
    let (_, permit) = world.leaves();
    let ended = world.answer(permit, Response::Account(Ok(described(2))));
    assert!(matches!(ended, Err(WorkError::OtherAccount { .. })), "{ended:?}");
    assert!(world.records().is_empty());
}

#[test]
fn a_talk_of_another_account_ends_the_work_too() {
    let mut world = unconfirmed(&[7]);
    world.fail_account(Kind::NotServed);
    let (row, permit) = world.fetches();
    let other = Talk { account_id: 2, ..talk(7) };
    let result = Ok(fetched(other, START));
    let ended = world.answer(permit, Response::Fetched { row, result });
    assert!(matches!(ended, Err(WorkError::OtherAccount { .. })), "{ended:?}");
    assert!(world.records().is_empty());
}

#[test]
fn an_account_that_fails_in_passing_is_asked_three_times_a_second_apart() {
    let mut world = unconfirmed(&[7]);
    for _ in 0..2 {
        world.fail_account(Kind::Transient);
        assert!(world.try_leaves().is_err_and(|wait| (0.5..=1.0).contains(&wait)));
        world.pass(1.0);
    }
    world.fail_account(Kind::Transient);
    let (row, _) = world.fetches();
    assert_eq!((row.talk_id.get(), row.ticket), (7, None), "a stored talk is to show which account it is");
}

#[test]
fn a_stored_talk_that_is_shown_confirms_the_account() {
    let mut world = unconfirmed(&[7, 8]);
    world.fail_account(Kind::NotServed);
    let (first, permit) = world.fetches();
    world.fails(first, permit, failure(Kind::Gone));
    assert!(retry(&world.record().outcome).0 > START, "that it is gone is not believed");
    let (second, permit) = world.fetches();
    assert_eq!((first.talk_id.get(), second.talk_id.get()), (7, 8));
    world.shows(second, permit);
    let written = world.written();
    assert!(written.iter().any(|write| matches!(write, Written::Account(Ok(_), _))), "{written:?}");
    assert!(world.worker.account.is_confirmed());
}

#[test]
fn if_nothing_shows_which_account_it_is_what_is_missing_is_ignored_and_it_is_asked_again() {
    let mut world = unconfirmed(&[]);
    world.fail_account(Kind::NotServed);
    world.due(&[row(7)]);
    let (row, permit) = world.fetches();
    let written = world.written();
    assert!(written.iter().any(|write| matches!(write, Written::Account(Err(_), _))), "{written:?}");
    world.fails(row, permit, failure(Kind::Gone));
    let record = world.record();
    assert!(
        matches!(&record.outcome, Outcome::Retry { error, spent: false, .. } if error.ends_with(UNCONFIRMED))
    );
    world.pass(15.0 * 60.0);
    assert!(matches!(world.leaves().0, Request::Account));
}

#[test]
fn ids_of_a_command_are_queued_once_it_is_known_whose_api_it_is_and_are_waited_for_until_they_are() {
    let mut world = unconfirmed(&[]);
    let ids = TalkId::new(1)..=TalkId::new(5);
    world.worker.enqueue(vec![ids]);
    world.worker.begin_what_waited(world.now);
    assert!(world.worker.is_enqueueing() && world.asked_to_enqueue() == 0, "another account may answer");
    let (_, permit) = world.leaves();
    world.answer(permit, Response::Account(Ok(described(ACCOUNT_ID)))).unwrap();
    for _ in 0..3 {
        world.worker.begin_what_waited(world.now);
        assert!(world.worker.is_enqueueing(), "until the writer has done it");
    }
    assert_eq!(world.asked_to_enqueue(), 1);
    world.worker.handle_event(Event::Enqueued, world.now).unwrap();
    assert!(!world.worker.is_enqueueing());
}

impl World {
    /// How often the writer was asked to queue ids since the last call.
    fn asked_to_enqueue(&mut self) -> usize {
        self.inbox.try_iter().filter(|sent| matches!(sent, Sent::Query(Asked::Enqueue(_)))).count()
    }

    fn fail_account(&mut self, kind: Kind) {
        let (request, permit) = self.leaves();
        assert!(matches!(request, Request::Account), "{request:?}");
        self.answer(permit, Response::Account(Err(failure(kind)))).unwrap();
    }
}
