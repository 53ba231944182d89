//! `talk_versions` lists each state once, in order and without a gap. The views on missed talks read indexes of two
//! tables, and must agree with it.

use super::{Mirror, NEW, NOW, TalkState};
use proptest::prelude::*;

/// The views as they would be if they only read `talk_versions`.
const PLAIN: [(&str, &str); 2] = [
    (
        "SELECT day, missed FROM missed_by_day ORDER BY day",
        "SELECT date(missed_at, 'unixepoch'), count(*)
           FROM (SELECT DISTINCT missed_at, talk_id FROM talk_versions WHERE missed_at IS NOT NULL)
          GROUP BY 1 ORDER BY 1",
    ),
    (
        "SELECT origin, missed, missed_talks FROM missed_by_origin ORDER BY origin",
        "SELECT origin, count(DISTINCT talk_id || ' ' || missed_at), count(DISTINCT iif(missed_at, talk_id, NULL))
           FROM talk_versions GROUP BY origin ORDER BY origin",
    ),
];

/// A state, without its time.
fn state() -> impl Strategy<Value = TalkState> {
    let missed = prop::option::of(prop::sample::select(vec![0, 10, 90_000]));
    (missed, any::<bool>(), prop::bool::weighted(0.7)).prop_map(|(missed, read, open)| TalkState {
        missed,
        read,
        open,
        ..NEW
    })
}

/// A talk's states, how many of the first were removed by retention, and whether it is gone.
fn talk() -> impl Strategy<Value = (Vec<TalkState>, usize, bool)> {
    (prop::collection::vec((state(), 1i64..50_000), 1..6), 0usize..3, prop::bool::weighted(0.2)).prop_map(
        |(states, trimmed, gone)| {
            let mut seen = 0;
            let states = states.into_iter().map(|(state, later)| {
                seen += later;
                TalkState { seen, ..state }
            });
            (states.collect(), trimmed, gone)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn each_state_is_there_once_and_the_views_agree_with_the_states(talks in prop::collection::vec(talk(), 1..6)) {
        let mirror = Mirror::new();
        let mut expected = Vec::new();
        for (talk_id, (states, trimmed, gone)) in (1..).zip(&talks) {
            mirror.talk(talk_id, Some(["viber", "avito"][talk_id as usize % 2]), states);
            let trim = "DELETE FROM talk_history WHERE talk_id = ?1 AND version <= ?2";
            mirror.0.execute(trim, (talk_id, *trimmed as i64)).unwrap();
            if *gone {
                mirror.0.execute("UPDATE talks SET gone_at = 1 WHERE talk_id = ?1", [talk_id]).unwrap();
            }
            for (place, state) in states.iter().enumerate().skip((*trimmed).min(states.len() - 1)) {
                let until = states.get(place + 1).map_or(String::new(), |next| (NOW + next.seen).to_string());
                let (from, missed) = (NOW + state.seen, state.missed.map_or(String::new(), |at| (NOW + at).to_string()));
                let (read, open) = (u8::from(state.read), u8::from(state.open));
                expected.push(format!("{talk_id}|{}|{from}|{until}|{from}|{missed}|{read}|{open}", place + 1));
            }
        }
        let states = "SELECT talk_id, version, valid_from, valid_to, updated_at, missed_at, is_read, is_in_work
                        FROM talk_versions ORDER BY talk_id, version";
        prop_assert_eq!(mirror.rows(states), expected);
        for (view, plain) in PLAIN {
            prop_assert_eq!(mirror.rows(view), mirror.rows(plain), "{}", view);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_state_end_before_it_began() {
    let times =
        "SELECT version, valid_from - 1700000000, valid_to - 1700000000 FROM talk_versions ORDER BY version";
    let mirror = Mirror::new();
    let first = TalkState { seen: 100, ..NEW };
    mirror.talk_seen(
        1,
        &[
            (TalkState { seen: 1, ..first }, 0),
            (first, 100),
            (TalkState { seen: 101, read: true, ..NEW }, 70),
        ],
    );
    assert_eq!(mirror.rows(times), ["1|0|100", "2|100|100", "3|100|"], "a little");
    assert_eq!(mirror.rows("SELECT changed_at - 1700000000, fetched_at - 1700000000 FROM talks"), ["100|70"]);
    // The times are far ahead because of a wrong clock, so what they date began now at the latest.
    let mirror = Mirror::new();
    mirror.talk_seen(
        1,
        &[
            (first, 5_000_000),
            (TalkState { seen: 101, ..first }, 5_000_009),
            (TalkState { seen: 102, ..first }, 70),
        ],
    );
    assert_eq!(mirror.rows(times), ["1|70|70", "2|70|70", "3|70|"]);
    assert_eq!(
        mirror.rows("SELECT first_fetched_at - 1700000000, changed_at - 1700000000 FROM talks"),
        ["70|70"]
    );
}
