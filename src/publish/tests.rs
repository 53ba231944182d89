//! Changes, turns, kills and servers that lose what they had, in any order, on the real SQL of the mirror and the real
//! decisions of a claim, by one host or by two in turn. The server is a model in memory.

mod model;

use super::tables;
use crate::store::changes::{self, Cell, Wanted};
use model::{Fate, Step, TALKS, World, place, seq};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    let talk = || 1..=TALKS;
    let fate = prop_oneof![
        6 => Just(Fate::Committed),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Lost),
        2 => Just(Fate::Late),
    ];
    prop_oneof![
        10 => (talk(), any::<u8>()).prop_map(|(talk, rate)| Step::Fetch(talk, rate)),
        1 => talk().prop_map(Step::Gone),
        1 => talk().prop_map(Step::Denied),
        2 => talk().prop_map(Step::Close),
        10 => (1usize..4, fate).prop_map(|(limit, fate)| Step::Turn(limit, fate)),
        2 => Just(Step::LateBatch),
        2 => Just(Step::Kill),
        1 => Just(Step::KillInClaim),
        2 => (0usize..6).prop_map(Step::Rewind),
        1 => Just(Step::SendAll),
        1 => Just(Step::SwitchOff),
        1 => (proptest::collection::vec((talk(), 0..9u8), 0..6), 0usize..4)
            .prop_map(|(seen, batches)| Step::OtherHost(seen, batches)),
    ]
}

#[test]
fn a_talk_that_changes_while_its_batch_is_read_has_the_batch_s_number_on_the_server() {
    let mut world = World::new();
    world.take(&Step::Turn(1, Fate::Committed));
    world.take(&Step::Fetch(1, 1));
    let list = changes::since(&world.mirror, 0, 1, u64::MAX).unwrap().list;
    let changes::Change { talk_id, seq: number } = list[0];
    world.take(&Step::Fetch(1, 2));
    let rows = world.read(&[Wanted { talk_id, from_version: 0, seq: number }]);
    let talks = tables::BY_TALK.iter().position(|table| table.name == "talks").unwrap();
    assert_eq!(seq(tables::BY_TALK[talks], &rows[talks][0]), number);
    let rate = rows[talks][0][place(tables::BY_TALK[talks], "rate")].clone();
    assert_eq!(rate, Cell::Integer(2), "as it is by then");
}

#[test]
fn a_host_that_returns_takes_over_what_another_published_below_the_position_that_it_had_confirmed() {
    let mut world = World::new();
    world.take(&Step::Fetch(1, 10));
    world.assert_drains();
    world.take(&Step::Fetch(2, 20));
    world.assert_drains();
    world.take(&Step::Kill);
    world.assert_drains();
    // The server loses this claim and talk 2.
    world.take(&Step::Rewind(2));
    world.take(&Step::OtherHost(vec![(3, 30), (4, 40)], 2));
    world.assert_drains();
    let talks = "SELECT group_concat(talk_id || ' ' || rate) FROM (SELECT * FROM talks ORDER BY talk_id)";
    assert_eq!(
        world.mirror.query_row(talks, [], |row| row.get::<_, String>(0)).unwrap(),
        "1 10,2 20,3 30,4 40"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_dies_and_whatever_the_server_loses_it_is_as_the_mirror_in_the_end(
        steps in proptest::collection::vec(step(), 1..60),
        lost in 0usize..20,
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.assert_drains();
        world.take(&Step::Rewind(lost));
        world.assert_drains();
    }
}
