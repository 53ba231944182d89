//! From a fetch to a close request, and what its response means.

use super::*;
use crate::policy::closing::{Decision, Step};
use crate::policy::exemption::{Exempting, Exemption, ExemptionTarget};
use crate::store::closures::{Answer, Requested, Stepped};
use crate::worker::responses::NotSent;

fn to_close(talk_id: i64) -> DueRow {
    DueRow { reason: FetchReason::Close, lane: Lane::Closing, ..row(talk_id) }
}

impl World {
    /// The talk is fetched to be closed; returns what was decided.
    fn decides(&mut self, talk_id: i64) -> Decision {
        self.due(&[to_close(talk_id)]);
        let (row, permit) = self.fetches();
        self.shows(row, permit);
        self.record().close_context.expect("it was fetched to be closed").decision
    }

    /// The recorder has written the close request down.
    fn requested(&mut self, talk_id: i64, decision: Decision) {
        let Decision { sent, rules_epoch, .. } = decision;
        let ticket = Some(Ticket::of(99));
        let requested = Requested { ticket, attempt: 1, force_close: true, sent, rules_epoch };
        let stepped = Stepped { step: Step::Request, requested: Some(requested), decision: Some(decision) };
        let stepped = Some(Box::new(stepped));
        let recorded =
            Recorded { talk_id: TalkId::new(talk_id), effect: Effect::Same, requeued: false, stepped };
        self.worker.handle_recorded(&recorded, self.now);
    }

    fn close_answer(&mut self) -> Answer {
        match self.record().outcome {
            Outcome::Closing(answer) => *answer,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_stale_talk_s_close_request_leaves_on_the_fetch_that_showed_it_and_the_talk_is_verified() {
    let mut world = world();
    let decision = world.decides(7);
    assert!(decision.verdict.is_stale());
    world.requested(7, decision);
    let (request, permit) = world.leaves();
    let Request::Close { pending, within } = request else { panic!("{request:?}") };
    assert_eq!(pending.talk_id, TalkId::new(7));
    assert!(within <= Duration::from_secs(30), "{within:?}");
    assert!(world.worker.dispatch.is_busy(TalkId::new(7)), "it is not fetched meanwhile");
    world.answer(permit, Response::Closed { pending, result: Ok(202) }).unwrap();
    assert_eq!(world.close_answer(), Answer::Accepted { http_status: 202 });
    world.recorded(7, Effect::Closing);
    assert!(world.worker.next_due_at().is_some_and(|at| (5..=8).contains(&at.seconds_since(START))));
}

#[test]
fn a_close_request_that_is_held_by_its_last_look_does_not_leave_and_its_talk_is_decided_on_anew() {
    let exemption = Exemption { id: 3, target: ExemptionTarget::Contact(42), reason: None, until: None };
    let exempt = NotSent::Exempt(Exempting { exemption, is_certain: true });
    for (why, waits) in [(exempt, 0..=2), (NotSent::NoLook, 299..=303)] {
        let mut world = world();
        let decision = world.decides(7);
        world.requested(7, decision);
        let (request, permit) = world.leaves();
        let Request::Close { pending, .. } = request else { panic!("{request:?}") };
        world.answer(permit, Response::NotSent { pending, why }).unwrap();
        let Answer::NotSent { error, due_at } = world.close_answer() else { panic!("it did not leave") };
        assert!(error.starts_with("not sent: "), "{error}");
        assert!(waits.contains(&due_at.seconds_since(START)), "{due_at}: {error}");
        world.recorded(7, Effect::Closing);
        assert!(!world.worker.dispatch.is_busy(TalkId::new(7)), "it may be fetched again");
        assert!(world.worker.circuit.pause().is_none());
    }
}

#[tokio::test]
async fn only_a_close_request_is_looked_at_before_it_leaves_and_not_without_the_writer() {
    let mut world = world();
    let decision = world.decides(7);
    world.requested(7, decision);
    let (request, _) = world.leaves();
    assert!(request.has_last_look() && !Request::Account.has_last_look());
    // Its writer has ended, so nobody knows whether the talk is exempt.
    let (writer, inbox) = Writer::detached();
    drop(inbox);
    let held = request.after_last_look(&writer).await;
    assert!(matches!(held, Err(Response::NotSent { why: NotSent::NoLook, .. })), "{held:?}");
    assert!(matches!(Request::Account.after_last_look(&writer).await, Ok(Request::Account)));
}

#[test]
fn a_close_request_that_has_not_left_within_15_s_of_its_fetch_does_not_leave() {
    for (waits, leaves) in [(14.5, true), (15.5, false)] {
        let mut world = world();
        let decision = world.decides(7);
        world.requested(7, decision);
        world.pass(waits);
        match world.try_leaves() {
            Ok((Request::Close { .. }, _)) => assert!(leaves, "after {waits} s"),
            other => {
                assert!(!leaves, "{other:?} after {waits} s");
                assert!(matches!(world.close_answer(), Answer::NotSent { .. }));
            }
        }
    }
}

#[test]
fn what_was_decided_by_other_rules_does_not_leave() {
    let mut world = world();
    let (waiting, recording) = (world.decides(7), world.decides(8));
    world.requested(7, waiting);
    let mut other = config();
    other.close.force_close = false;
    let token = Token::read(TokenSource::Environment(SecretString::from("token"))).unwrap();
    world.worker.reconfigure(other, token, None, world.now);
    assert!(matches!(world.close_answer(), Answer::NotSent { .. }), "it waited");
    world.requested(8, recording);
    let mut world = confirm(world);
    assert!(!matches!(world.try_leaves(), Ok((Request::Close { .. }, _))), "it was being recorded");
}

#[test]
fn in_a_pause_no_close_request_leaves() {
    let mut world = world();
    let decision = world.decides(7);
    world.due(&[row(8)]);
    let (other, permit) = world.fetches();
    world.requested(7, decision);
    let hint = Some(Duration::from_secs(5));
    world.fails(other, permit, Failure { retry_after: hint, ..failure(Kind::RateLimited) });
    world.pass(6.0);
    assert!(!matches!(world.try_leaves(), Ok((Request::Close { .. }, _))), "it is no probe");
}

#[test]
fn a_clock_that_is_wrong_decides_nothing() {
    let mut world = world();
    world.due(&[to_close(7)]);
    let (row, permit) = world.fetches();
    let result = Ok(fetched(talk(7), START - 120));
    world.answer(permit, Response::Fetched { row, result }).unwrap();
    let context = world.record().close_context.expect("it was fetched to be closed");
    assert!(context.obstacle.is_some_and(|why| why.contains("clock")));
}

#[test]
fn a_failed_close_request_says_of_its_closing_only_what_is_the_talk_s_own() {
    for (kind, settled) in [
        (Kind::Denied, Some("refused")),
        (Kind::Gone, Some("gone")),
        (Kind::Rejected, Some("failed")),
        (Kind::Transient, None),
        (Kind::NoAnswer, None),
        (Kind::RateLimited, None),
        (Kind::Closing, None),
    ] {
        let mut world = world();
        let decision = world.decides(7);
        world.requested(7, decision);
        let (request, permit) = world.leaves();
        let Request::Close { pending, .. } = request else { panic!("{request:?}") };
        world.answer(permit, Response::Closed { pending, result: Err(failure(kind)) }).unwrap();
        let found = match world.close_answer() {
            Answer::Refused { .. } => Some("refused"),
            Answer::Gone { .. } => Some("gone"),
            Answer::Failed { .. } => Some("failed"),
            Answer::Unsettled { due_at, .. } => {
                assert!(due_at >= START + 5, "{kind:?}: it may still be closing");
                None
            }
            other => panic!("{kind:?}: {other:?}"),
        };
        assert_eq!(found, settled, "{kind:?}");
    }
}
