//! Pauses: what begins one, what leaves in it, and what its end repairs.

use super::*;
use crate::gate::Reason;

#[test]
fn after_a_429_nothing_leaves_before_the_time_that_the_server_asks_for_and_then_one_probe() {
    let mut world = world();
    world.due(&[row(1), row(2), row(3)]);
    let (first, permit) = world.fetches();
    let hint = Some(Duration::from_secs(30));
    world.fails(first, permit, Failure { retry_after: hint, ..failure(Kind::RateLimited) });
    assert!(world.records().is_empty(), "the row is as it was");
    assert!(world.pauses_for(Reason::RateLimited));
    assert!(world.try_leaves().is_err_and(|wait| (29.0..=30.0).contains(&wait)));
    world.pass(30.0);
    let (row, permit) = world.fetches();
    assert!(world.try_leaves().is_err(), "one probe at a time");
    world.shows(row, permit);
    assert!(world.worker.pause().is_none());
    let repairs = world.repairs();
    assert!(matches!(&repairs[..], [Repair::PauseEnded { .. }]), "{repairs:?}");
}

#[test]
fn attempts_that_were_spent_on_an_outage_are_given_back() {
    let mut world = world();
    world.mirror(9);
    let rows: Vec<DueRow> = (1..=5).map(row).collect();
    world.due(&rows);
    let sent: Vec<_> = rows.iter().map(|_| world.fetches()).collect();
    for (row, permit) in sent {
        world.fails(row, permit, failure(Kind::Transient));
    }
    assert!(world.pauses_for(Reason::Outage));
    let repairs = world.repairs();
    let [Repair::Refund { attempts, .. }] = &repairs[..] else { panic!("{repairs:?}") };
    assert_eq!(attempts.len(), 4, "the fifth began the pause and spent none");
}

#[test]
fn a_probe_that_fails_lengthens_the_pause_and_spends_nothing() {
    let mut world = world();
    world.silence();
    let wait = world.try_leaves().map(drop).unwrap_err();
    world.pass(wait + 0.1);
    let (row, permit) = world.fetches();
    world.fails(row, permit, failure(Kind::NoAnswer));
    assert!(!retry(&world.record().outcome).1);
    assert!(world.pauses_for(Reason::Outage));
}

#[test]
fn somebody_who_asks_that_the_pause_end_gets_one_probe_at_once_and_hears_of_its_end() {
    let mut world = world();
    world.silence();
    assert!(world.try_leaves().is_err());
    world.worker.resume_now(world.now);
    let (row, permit) = world.fetches();
    world.written();
    world.shows(row, permit);
    let written = world.written();
    assert!(written.iter().any(|write| matches!(write, Written::Resumed)), "{written:?}");
    assert!(world.worker.pause().is_none());
}

#[test]
fn too_many_open_talks_reported_as_missing_pause_everything_and_are_not_believed() {
    let mut world = world();
    for talk_id in 1..=2 {
        world.due(&[row(talk_id)]);
        let (row, permit) = world.fetches();
        world.fails(row, permit, failure(Kind::Gone));
        assert!(matches!(world.record().outcome, Outcome::Gone));
        world.recorded(talk_id, Effect::Gone { was_open: true });
    }
    assert!(world.pauses_for(Reason::ManyGone));
    let repairs = world.repairs();
    assert!(
        matches!(&repairs[..], [Repair::NotGone { talk_ids, .. }] if *talk_ids == [1, 2].map(TalkId::new)),
        "{repairs:?}"
    );
}

impl World {
    fn pauses_for(&self, reason: Reason) -> bool {
        self.worker.pause().is_some_and(|(pause, _)| pause.reason == reason)
    }

    /// Three requests get no answer: everything pauses.
    fn silence(&mut self) {
        let rows: Vec<DueRow> = (1..=4).map(row).collect();
        self.due(&rows);
        for _ in 0..3 {
            let (row, permit) = self.fetches();
            self.fails(row, permit, failure(Kind::NoAnswer));
        }
        assert!(self.pauses_for(Reason::Outage));
        self.written();
    }
}
