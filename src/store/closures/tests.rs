//! Laws of a closing, for any sequence of answers and crashes: the real transactions, a made-up API.

use super::*;
use crate::clock::{Now, UnixSeconds};
use crate::policy::closing::{CloseMode, Decision, time_to_close};
use crate::policy::stale::tests::{just_stale, rules};
use crate::policy::stale::{Reach, stale};
use crate::store::migrations::tests::in_memory;
use crate::store::queue;
use crate::store::record::{self, FetchedTalk, Outcome, Record};
use proptest::prelude::*;
use std::time::Instant;

/// What happens next. Times are in seconds.
#[derive(Debug, Clone)]
enum Event {
    Wait(i64),
    /// Somebody answers the client, or the client is missed again, at the account.
    Change(State),
    /// Whatever is due is fetched, and recorded.
    Fetch {
        mode: CloseMode,
        clock_is_right: bool,
    },
    /// A sweep, or a person.
    Enqueue(FetchReason),
    /// The close request that waits leaves, if it may, and is answered so.
    Send(Sent),
    Crash,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Stale,
    Answered,
    Closed,
    Bot,
}

#[derive(Debug, Clone, Copy)]
enum Sent {
    Taken,
    TakenInVain,
    /// The server acts; the answer is lost.
    ActedAndLost,
    Lost,
    Closing,
    Refused,
    Failed,
}

fn event() -> impl Strategy<Value = Event> {
    let state = prop_oneof![3 => Just(State::Stale), 2 => Just(State::Answered), 1 => Just(State::Closed), 1 => Just(State::Bot)];
    let mode =
        prop_oneof![4 => Just(CloseMode::Live), 1 => Just(CloseMode::DryRun), 1 => Just(CloseMode::Off)];
    let reason = prop_oneof![4 => Just(FetchReason::Close), 1 => Just(FetchReason::DryRun), 1 => Just(FetchReason::Mirror)];
    let sent = prop_oneof![
        Just(Sent::Taken),
        Just(Sent::TakenInVain),
        Just(Sent::ActedAndLost),
        Just(Sent::Lost),
        Just(Sent::Closing),
        Just(Sent::Refused),
        Just(Sent::Failed)
    ];
    prop_oneof![
        2 => (0i64..40).prop_map(Event::Wait),
        1 => (0i64..100_000).prop_map(Event::Wait),
        2 => state.prop_map(Event::Change),
        6 => (mode, proptest::bool::weighted(0.9))
            .prop_map(|(mode, clock_is_right)| Event::Fetch { mode, clock_is_right }),
        3 => reason.prop_map(Event::Enqueue),
        4 => sent.prop_map(Event::Send),
        1 => Just(Event::Crash),
    ]
}

struct World {
    connection: Connection,
    now: UnixSeconds,
    begin: Instant,
    state: State,
    changed_at: UnixSeconds,
    /// Written down, to leave: with the time of its fetch, and what that showed.
    pending: Option<(Requested, UnixSeconds, State)>,
    effective: u32,
    /// The outcomes of each row, in order.
    seen: std::collections::BTreeMap<i64, Vec<ClosingOutcome>>,
}

const START: UnixSeconds = UnixSeconds::new(1_700_000_000);

impl World {
    fn new() -> World {
        World {
            connection: in_memory(),
            now: START,
            begin: Instant::now(),
            state: State::Stale,
            changed_at: START - 100_000,
            pending: None,
            effective: 0,
            seen: std::collections::BTreeMap::new(),
        }
    }

    fn talk(&self) -> Talk {
        let missed_at = Some(self.changed_at).filter(|_| self.state != State::Answered);
        let talk = just_stale(START);
        Talk {
            updated_at: self.changed_at,
            missed_at,
            is_in_work: self.state != State::Closed,
            status: (self.state == State::Bot).then(|| "nps_in_progress".to_owned()),
            ..talk
        }
    }

    fn record(&mut self, record: &Record) -> Option<Stepped> {
        record::tests::record(&self.connection, record).stepped.map(|stepped| *stepped)
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Wait(seconds) => self.now = self.now + *seconds,
            Event::Change(state) if self.state != State::Closed => {
                self.state = *state;
                self.changed_at =
                    (self.changed_at + 1).max(self.now - if *state == State::Stale { 100_000 } else { 0 });
            }
            Event::Change(_) => {}
            Event::Enqueue(FetchReason::Mirror) => {
                self.connection
                    .execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (1, ?1)", [self.now])
                    .unwrap();
            }
            Event::Enqueue(reason) => {
                crate::store::sweep::enqueue(&self.connection, TalkId::new(1), *reason, self.now).unwrap();
                self.connection
                    .execute("UPDATE talk_queue SET due_at = min(due_at, ?1)", [self.now])
                    .unwrap();
            }
            // While its request waits the talk is busy.
            Event::Fetch { .. } if self.pending.is_some() => {}
            Event::Fetch { mode, clock_is_right } => self.fetch(*mode, *clock_is_right),
            Event::Send(sent) => self.send(*sent),
            Event::Crash => {
                self.pending = None;
                requeue_open(&self.connection).unwrap();
            }
        }
        self.check();
    }

    fn fetch(&mut self, mode: CloseMode, clock_is_right: bool) {
        let head = queue::head(&self.connection, self.now, 1).unwrap();
        let Some(due) = head.due.first().copied() else { return };
        let talk = self.talk();
        let verdict = stale(&talk, Reach::default(), self.now, &rules());
        let mode = if due.reason == FetchReason::DryRun { CloseMode::DryRun } else { mode };
        let close_context = CloseContext {
            reason: due.reason,
            mode,
            decision: Decision { verdict: verdict.clone(), sent: crate::clock::now(), rules_epoch: 0 },
            force_close: true,
            max_attempts: 3,
            obstacle: (!clock_is_right).then(|| "the clock".to_owned()),
        };
        let close_context = (due.reason != FetchReason::Mirror).then(|| Box::new(close_context));
        let outcome = Outcome::Talk(Box::new(FetchedTalk::new(talk, "{}")));
        let record =
            Record { talk_id: TalkId::new(1), ticket: due.ticket, at: self.now, outcome, close_context };
        let stepped = self.record(&record);
        if let Some(requested) = stepped.and_then(|stepped| stepped.requested) {
            assert!(verdict.is_stale(), "a request follows from a fetch that says stale alone");
            assert!(mode == CloseMode::Live && clock_is_right);
            assert_ne!(due.reason, FetchReason::Mirror);
            self.pending = Some((requested, self.now, self.state));
        }
    }

    fn send(&mut self, sent: Sent) {
        let Some((requested, fetched, shown)) = self.pending.take() else { return };
        let at = |time: UnixSeconds| Now {
            mono: self.begin + time.duration_since(START),
            unix: time.get() as f64,
        };
        let answer = if let Some(within) = time_to_close(at(fetched), at(self.now)) {
            assert!(
                self.now.seconds_since(fetched) + (within.as_secs() as i64) <= 30 && shown == State::Stale
            );
            let acts = matches!(sent, Sent::Taken | Sent::ActedAndLost) && self.state != State::Closed;
            if acts {
                self.state = State::Closed;
                self.changed_at = self.now;
                self.effective += 1;
            }
            let error = "lost".to_owned();
            match sent {
                Sent::Taken | Sent::TakenInVain => Answer::Accepted { http_status: 202 },
                Sent::ActedAndLost | Sent::Lost => {
                    Answer::Unsettled { http_status: None, error, due_at: self.now + 5 }
                }
                Sent::Closing => Answer::Unsettled { http_status: Some(422), error, due_at: self.now + 5 },
                Sent::Refused => Answer::Refused { http_status: Some(403), error },
                Sent::Failed => Answer::Failed { http_status: Some(400), error },
            }
        } else {
            Answer::NotSent { error: "late".into(), due_at: self.now + 300 }
        };
        let outcome = Outcome::Closing(Box::new(answer));
        self.record(&Record {
            talk_id: TalkId::new(1),
            ticket: requested.ticket,
            at: self.now,
            outcome,
            close_context: None,
        });
    }

    /// What holds after whatever happened.
    fn check(&mut self) {
        assert!(self.effective <= 1, "closed by one request");
        let closures = of_talk(&self.connection, TalkId::new(1)).unwrap();
        let mut under_way = 0;
        for closure in &closures {
            let seen = self.seen.entry(closure.closure_id).or_default();
            if seen.last() != Some(&closure.outcome) {
                seen.push(closure.outcome);
            }
            let forward: [&[ClosingOutcome]; 9] = [
                &[ClosingOutcome::WouldClose],
                &[ClosingOutcome::Withdrawn],
                &[ClosingOutcome::Requested],
                &[ClosingOutcome::Requested, ClosingOutcome::Accepted],
                &[ClosingOutcome::Requested, ClosingOutcome::Accepted, ClosingOutcome::Closed],
                &[ClosingOutcome::Requested, ClosingOutcome::Accepted, ClosingOutcome::Failed],
                &[ClosingOutcome::Requested, ClosingOutcome::Closed],
                &[ClosingOutcome::Requested, ClosingOutcome::Withdrawn],
                &[ClosingOutcome::Requested, ClosingOutcome::Failed],
            ];
            let refused: &[ClosingOutcome] = &[ClosingOutcome::Requested, ClosingOutcome::Refused];
            assert!(forward.iter().any(|way| seen == way) || seen == refused, "{seen:?}");
            if closure.outcome == ClosingOutcome::Closed {
                assert!(closure.verified_at.is_some() && self.state == State::Closed);
            }
            under_way += usize::from(closure.is_under_way());
        }
        assert!(under_way <= 1);
        if under_way == 1 {
            assert!(
                queue::row(&self.connection, TalkId::new(1)).unwrap().is_some(),
                "a row leads back to it"
            );
        }
        let would = closures.iter().filter(|closure| closure.outcome == ClosingOutcome::WouldClose);
        let mut missed: Vec<_> = would.map(|closure| closure.missed_at).collect();
        let all = missed.len();
        missed.dedup();
        assert_eq!(missed.len(), all, "once for a talk and its missed_at");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_closing_goes_forward_alone_and_no_request_leaves_on_an_old_or_other_state(
        events in proptest::collection::vec(event(), 1..40),
    ) {
        let mut world = World::new();
        world.happen(&Event::Enqueue(FetchReason::Close));
        for event in &events {
            world.happen(event);
        }
        // Whatever happened, a server that answers and time bring it to an end.
        for _ in 0..12 {
            world.happen(&Event::Send(Sent::Taken));
            world.happen(&Event::Wait(4000));
            world.happen(&Event::Fetch { mode: CloseMode::Live, clock_is_right: true });
        }
        world.happen(&Event::Send(Sent::Taken));
        world.happen(&Event::Wait(4000));
        world.happen(&Event::Fetch { mode: CloseMode::Live, clock_is_right: true });
        let closures = of_talk(&world.connection, TalkId::new(1)).unwrap();
        prop_assert!(closures.iter().all(|closure| !closure.is_under_way()), "{closures:#?}");
    }
}

#[test]
fn an_answer_reaches_the_closing_of_its_talk_also_if_that_got_another_number_meanwhile() {
    let mut world = World::new();
    world.happen(&Event::Enqueue(FetchReason::Close));
    world.happen(&Event::Fetch { mode: CloseMode::Live, clock_is_right: true });
    let outcomes =
        "SELECT group_concat(talk_id || ' ' || outcome) FROM (SELECT * FROM closures ORDER BY talk_id)";
    let outcomes = |world: &World| world.connection.query_row(outcomes, [], |row| row.get::<_, String>(0));
    assert_eq!(outcomes(&world).unwrap(), "1 requested");
    // As an import does that brings the closing of another talk under that number.
    world
        .connection
        .execute_batch(
            "UPDATE closures SET closure_id = closure_id + 1000000;
             INSERT INTO closures (closure_id, talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome,
                                   attempts)
             VALUES (1, 2, 'live', 1, 'missed', 1, 1, 'requested', 1)",
        )
        .unwrap();
    let steps = world.seen.remove(&1).unwrap();
    world.seen.insert(1_000_001, steps);
    world.happen(&Event::Send(Sent::Taken));
    assert_eq!(outcomes(&world).unwrap(), "1 accepted,2 requested");
}
