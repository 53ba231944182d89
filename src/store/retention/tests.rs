//! What a pass removes, at given times.

use super::*;
use crate::clock::UnixSeconds;
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::talk::Talk;
use crate::talk::tests::open_talk;
use proptest::prelude::*;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
const DAY: i64 = 86_400;
const RULES: RetentionRules = RetentionRules { versions: 730 * DAY, now: NOW };
const LIMIT: i64 = NOW.get() - 730 * DAY;

/// Consecutive states of a talk, each from one of these times to the next. The last is current.
fn put(connection: &mut Connection, talk_id: i64, times: &[i64]) {
    let tx = connection.transaction().unwrap();
    let (last, superseded) = times.split_last().unwrap();
    for (place, from) in superseded.iter().enumerate() {
        tx.prepare_cached(
            "INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at,
                                       contact_id, is_in_work, is_read, account_id)
             VALUES (?1, ?2, ?3, ?4, 1, 1, 1, 1, 1, 1)",
        )
        .unwrap()
        .execute((talk_id, place as i64 + 1, from, times[place + 1]))
        .unwrap();
    }
    tx.execute(
        "INSERT INTO talks (talk_id, version, changed_at, created_at, updated_at, contact_id, is_in_work, is_read,
                            account_id, payload, first_fetched_at, fetched_at)
         VALUES (?1, ?2, ?3, 1, 1, 1, 1, 1, 1, '{}', 1, 1)",
        (talk_id, times.len() as i64, last),
    )
    .unwrap();
    tx.commit().unwrap();
}

fn keys(connection: &Connection, filter: &str) -> Vec<(i64, i64)> {
    let sql = format!("SELECT talk_id, version FROM talk_versions WHERE {filter} ORDER BY 1, 2");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Steps until the pass ends. Returns it, and the number of steps before the last.
fn pass(connection: &mut Connection, rules: &RetentionRules) -> (Pass, usize) {
    for steps in 0.. {
        match step(connection, rules).unwrap() {
            RetentionStep::Walked => assert!(steps < 1000, "it goes on"),
            RetentionStep::Passed(pass) => return (pass, steps),
            RetentionStep::Rests { until } => panic!("nothing to do before {until}"),
        }
    }
    unreachable!()
}

#[test]
fn what_ended_just_before_the_limit_goes_and_what_ended_at_it_stays() {
    let mut connection = in_memory();
    put(&mut connection, 1, &[LIMIT - 9, LIMIT - 1, LIMIT, LIMIT + 1]);
    let (passed, _) = pass(&mut connection, &RULES);
    assert_eq!(keys(&connection, "1"), [(1, 2), (1, 3), (1, 4)]);
    let expected = Pass { began_at: NOW, ended_at: NOW, versions: 730 * DAY, removed: 1 };
    assert_eq!(passed, expected);
    assert_eq!(read(&connection).unwrap(), Retention { walk: None, last: Some(expected) });
}

#[test]
fn the_current_state_stays_however_old_it_is() {
    let mut connection = in_memory();
    put(&mut connection, 1, &[1]);
    put(&mut connection, 2, &[1, 2, 3]);
    pass(&mut connection, &RULES);
    assert_eq!(keys(&connection, "1"), [(1, 1), (2, 3)]);
}

#[test]
fn a_step_is_bounded_in_what_it_reads_and_in_what_it_removes() {
    let mut connection = in_memory();
    for talk_id in 1..=3 {
        let times: Vec<i64> = (1..=900).collect();
        put(&mut connection, talk_id, &times);
    }
    let left = |connection: &Connection| keys(connection, "1").len();
    assert_eq!(step(&mut connection, &RULES).unwrap(), RetentionStep::Walked);
    assert_eq!(left(&connection), 2700 - ROWS_REMOVED_PER_STEP);
    assert_eq!(pass(&mut connection, &RULES).1, 1, "so many again, and the rest");
    assert_eq!(keys(&connection, "1"), [(1, 900), (2, 900), (3, 900)]);

    let mut connection = in_memory();
    for talk_id in 1..=12 {
        put(&mut connection, talk_id, &vec![NOW.get(); 1001]);
    }
    let (passed, steps) = pass(&mut connection, &RULES);
    assert_eq!((passed.removed, steps, left(&connection)), (0, 12_000 / ROWS_READ_PER_STEP, 12_012));
}

#[test]
fn a_pass_is_due_once_a_day_and_at_once_with_another_limit_or_a_clock_set_back() {
    let mut connection = in_memory();
    put(&mut connection, 1, &[1, LIMIT + 10 * DAY, NOW.get()]);
    pass(&mut connection, &RULES);
    let at = |now| RetentionRules { now, ..RULES };
    let rests = RetentionStep::Rests { until: NOW + DAY };
    assert_eq!(step(&mut connection, &at(NOW)).unwrap(), rests);
    assert_eq!(step(&mut connection, &at(NOW + DAY - 1)).unwrap(), rests);
    assert!(matches!(step(&mut connection, &at(NOW + DAY)).unwrap(), RetentionStep::Passed(_)));
    assert!(matches!(step(&mut connection, &at(NOW)).unwrap(), RetentionStep::Passed(_)));
    let shorter = RetentionRules { versions: 10 * DAY, ..RULES };
    assert_eq!(pass(&mut connection, &shorter).0.removed, 1);
    assert_eq!(keys(&connection, "1"), [(1, 2), (1, 3)]);
}

#[test]
fn with_another_limit_a_pass_starts_again() {
    let mut connection = in_memory();
    put(&mut connection, 1, &[LIMIT, LIMIT + 1, LIMIT + 2]);
    let times: Vec<i64> = (1..=1500).collect();
    put(&mut connection, 2, &times);
    assert_eq!(step(&mut connection, &RULES).unwrap(), RetentionStep::Walked);
    let longer = RetentionRules { versions: RULES.versions + DAY, ..RULES };
    assert_eq!(
        step(&mut connection, &longer).unwrap(),
        RetentionStep::Passed(Pass {
            began_at: NOW,
            ended_at: NOW,
            versions: longer.versions,
            removed: 1499
        })
    );
    assert_eq!(keys(&connection, "talk_id = 1").len(), 3);

    let mut connection = in_memory();
    put(&mut connection, 1, &[LIMIT, LIMIT + 1, LIMIT + 2]);
    put(&mut connection, 2, &times);
    assert_eq!(step(&mut connection, &RULES).unwrap(), RetentionStep::Walked);
    pass(&mut connection, &RetentionRules { versions: RULES.versions - DAY, ..RULES });
    assert_eq!(keys(&connection, "1"), [(1, 3), (2, 1500)], "what was passed already is looked at again");
}

#[test]
fn a_talk_whose_first_states_are_gone_is_recorded_as_before() {
    let mut connection = in_memory();
    let record = |connection: &mut Connection, updated_at: i64, at: UnixSeconds| {
        let updated_at = UnixSeconds::new(updated_at);
        fetched(connection, Talk { updated_at, ..open_talk(7, UnixSeconds::new(1)) }, at);
    };
    record(&mut connection, 1, UnixSeconds::new(1));
    record(&mut connection, 2, UnixSeconds::new(2));
    pass(&mut connection, &RULES);
    assert_eq!(keys(&connection, "1"), [(7, 2)]);
    record(&mut connection, 3, NOW);
    assert_eq!(keys(&connection, &format!("valid_to = {NOW}")), [(7, 2)]);
    assert_eq!(keys(&connection, &format!("valid_from = {NOW} AND valid_to IS NULL")), [(7, 3)]);
}

#[test]
fn a_step_reads_by_the_key_and_sorts_nothing() {
    let connection = in_memory();
    let plan = |sql: &str| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = rusqlite::params_from_iter(vec![0; statement.parameter_count()]);
        let lines: Vec<String> =
            statement.query_map(none, |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
        lines
    };
    let by_key = "SEARCH talk_history USING PRIMARY KEY ((talk_id,version)>(?,?))";
    assert_eq!(plan(SLICE), [by_key]);
    let removed = plan(REMOVED);
    assert!(
        removed.len() == 1 && removed[0].starts_with("SEARCH talk_history USING PRIMARY KEY"),
        "{removed:?}"
    );
    assert!(removed[0].contains("(talk_id,version)<(?,?)"), "{removed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_ended_before_the_limit_goes_and_later_times_are_answered_as_before(
        talks in prop::collection::vec(prop::collection::vec(-30i64..30, 1..12), 1..40),
        bounds in (1usize..30, 1usize..30),
    ) {
        let mut connection = in_memory();
        for (talk_id, mut times) in (1i64..).zip(talks) {
            times.sort_unstable();
            let times: Vec<i64> = times.into_iter().map(|time| LIMIT + time).collect();
            put(&mut connection, talk_id, &times);
        }
        let stays = keys(&connection, &format!("valid_to IS NULL OR NOT valid_to < {LIMIT}"));
        let current = keys(&connection, "valid_to IS NULL");
        let as_of = |connection: &Connection| -> Vec<Vec<(i64, i64)>> {
            let at = |time: i64| format!("valid_from <= {time} AND (valid_to IS NULL OR valid_to > {time})");
            (LIMIT..LIMIT + 31).map(|time| keys(connection, &at(time))).collect()
        };
        let before = as_of(&connection);
        for steps in 0.. {
            prop_assert!(steps < 1000);
            if let RetentionStep::Passed(_) = bounded(&mut connection, &RULES, bounds).unwrap() {
                break;
            }
        }
        prop_assert_eq!(keys(&connection, "1"), stays);
        prop_assert_eq!(keys(&connection, "valid_to IS NULL"), current);
        prop_assert_eq!(as_of(&connection), before);
    }
}
