use super::candidates::{OPEN_TALKS, candidates_sql, exempt_sql, stale_sql};
use super::*;
use crate::clock::UnixSeconds;
use crate::policy::hours::WorkHours;
use crate::policy::origin::tests::SPELLINGS;
use crate::policy::stale::tests::{just_stale, rules as stale_rules};
use crate::policy::stale::{Reach, stale};
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::talk::Talk;
use proptest::prelude::*;
use std::sync::LazyLock;

fn store(connection: &mut Connection, talk: &Talk, reach: Reach) {
    fetched(connection, talk.clone(), UnixSeconds::new(1));
    let reached = "UPDATE talks SET gone_at = CASE WHEN ?2 THEN 1 END, denied_at = CASE WHEN ?3 THEN 1 END WHERE talk_id = ?1";
    connection.execute(reached, (talk.talk_id, reach.gone, reach.denied)).unwrap();
}

fn live(stale: StaleRules) -> CloseRules {
    CloseRules { mode: CloseMode::Live, stale, force_close: true, max_per_sweep: 50, max_share: 0.5 }
}

/// A talk in any state near the limits, by ages in seconds.
fn talk(now: UnixSeconds) -> impl Strategy<Value = (Talk, Reach)> {
    let spelt = SPELLINGS.iter().flat_map(|(one, other)| [*one, *other]).collect::<Vec<_>>();
    let origin = proptest::option::weighted(0.9, proptest::sample::select(spelt));
    let status = prop_oneof![
        Just(None),
        Just(Some("")),
        Just(Some("in_work")),
        Just(Some("with_error")),
        Just(Some("closed")),
        Just(Some("nps_scheduled"))
    ];
    let often = proptest::bool::weighted(0.85);
    let ages = (proptest::option::of(95i64..106), 5i64..16);
    (often, ages, origin, status, (proptest::bool::weighted(0.1), proptest::bool::weighted(0.1))).prop_map(
        move |(is_in_work, (missed, changed), origin, status, (gone, denied))| {
            let talk = Talk {
                is_in_work,
                missed_at: missed.map(|ago| now - ago),
                updated_at: now - changed,
                origin: origin.map(str::to_owned),
                status: status.map(str::to_owned),
                ..just_stale(now)
            };
            (talk, Reach { gone, denied })
        },
    )
}

/// People work in every other minute.
fn every_other_minute() -> Arc<ReportRules> {
    static RULES: LazyLock<Arc<ReportRules>> = LazyLock::new(|| {
        let minute = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let times: Vec<String> = (0..720).map(|nth| minute(2 * nth) + "-" + &minute(2 * nth + 1)).collect();
        let hours = WorkHours::parse(&format!("Mon-Sun {}", times.join(" "))).unwrap();
        Arc::new(ReportRules { work_hours: Some(hours), ..ReportRules::default() })
    });
    Arc::clone(&RULES)
}

fn rules() -> impl Strategy<Value = StaleRules> {
    let spelt = SPELLINGS.iter().map(|(one, _)| *one).collect::<Vec<_>>();
    let list = move || proptest::sample::subsequence(spelt.clone(), 0..8);
    (list(), list(), any::<bool>()).prop_map(|(only, except, in_work_time)| StaleRules {
        stale_after: Duration::from_secs(100),
        quiet_for: Duration::from_secs(10),
        only_origins: only.into_iter().map(str::to_owned).collect(),
        except_origins: except.into_iter().map(str::to_owned).collect(),
        work_time: in_work_time.then(every_other_minute),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sql_and_policy_agree_on_what_is_stale(
        rules in rules(),
        talks in proptest::collection::vec(talk(crate::clock::unix_now()), 20),
    ) {
        let mut connection = in_memory();
        for (number, (talk, reach)) in talks.iter().enumerate() {
            store(&mut connection, &Talk { talk_id: TalkId::new(number as i64 + 1), ..talk.clone() }, *reach);
        }
        let ids = |now: UnixSeconds| -> Vec<TalkId> {
            let is_stale = |(talk, reach): &(Talk, Reach)| stale(talk, *reach, now, &rules).is_stale();
            (1..).zip(&talks).filter(|(_, talk)| is_stale(talk)).map(|(id, _)| TalkId::new(id)).collect()
        };
        let now = crate::clock::unix_now();
        let mut found = candidates(&connection, &rules, FetchReason::Close, 1000, now).unwrap();
        found.sort_unstable();
        prop_assert_eq!(&found, &ids(now));
        prop_assert_eq!(counts(&connection, &rules, now).unwrap().0, found.len() as i64);

        // The view reads the clock, and the hours of these days.
        if let Some(work_time) = &rules.work_time {
            write_work_time(&connection, work_time, now);
        }
        note_rules(&connection, &live(rules.clone())).unwrap();
        let before = crate::clock::unix_now();
        let viewed: Vec<TalkId> = connection
            .prepare("SELECT talk_id FROM stale_talks ORDER BY talk_id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        if before == crate::clock::unix_now() {
            prop_assert_eq!(viewed, ids(before));
        }
    }
}

/// As `local_time::store` does, but only for the last days.
fn write_work_time(connection: &Connection, rules: &ReportRules, now: UnixSeconds) {
    let mut before = 0;
    for shift in rules.shifts_of_days_before(now, 3) {
        let seconds = shift.seconds();
        let row = (shift.opens_at, shift.closes_at, seconds, before);
        connection.execute("INSERT INTO work_time VALUES (?1, ?2, '', ?3, ?4)", row).unwrap();
        before += seconds;
    }
}

fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut steps = statement.raw_query();
    let mut plan = String::new();
    while let Some(step) = steps.next().unwrap() {
        plan.push_str(&format!("{}\n", step.get::<_, String>(3).unwrap()));
    }
    plan
}

#[test]
fn a_sweep_reads_the_index_of_open_talks_and_never_scans() {
    let connection = in_memory();
    for (what, sql) in [
        ("count", stale_sql()),
        ("open", OPEN_TALKS.into()),
        ("candidates", candidates_sql()),
        ("exempt", exempt_sql()),
        ("view", "SELECT * FROM stale_talks".into()),
    ] {
        let plan = plan(&connection, &sql);
        assert!(plan.contains("talks_open"), "{what}: {plan}");
        assert!(what == "open" || !plan.contains("SCAN talks"), "{what}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{what}: {plan}");
    }
}

#[test]
fn the_guard_stops_over_twenty_and_over_the_share() {
    assert!(!too_many(20, 20, 0.0));
    assert!(too_many(21, 40, 0.5));
    assert!(!too_many(21, 42, 0.5));
    assert!(!too_many(1000, 1000, 1.0));
}

fn sweep_of(connection: &mut Connection, rules: &CloseRules, limit: usize) -> Sweep {
    let reason = if rules.mode == CloseMode::Live { FetchReason::Close } else { FetchReason::DryRun };
    let now = crate::clock::unix_now();
    let request = SweepRequest { rules: rules.clone(), reason, by_hand: false, limit, now };
    let Swept::Done(swept) = sweep(connection, &request).unwrap() else { panic!("it passes") };
    connection.execute("DELETE FROM talk_queue", []).unwrap();
    swept
}

#[test]
fn the_first_sweep_that_closes_something_is_announced_and_an_empty_one_before_it_is_not() {
    let mut connection = in_memory();
    let rules = live(StaleRules { quiet_for: Duration::ZERO, ..stale_rules() });
    assert!(!sweep_of(&mut connection, &rules, 50).wider, "there is nothing to close");
    store(&mut connection, &just_stale(crate::clock::unix_now() - 5), Reach::default());
    assert!(sweep_of(&mut connection, &rules, 50).wider, "the first that closes something");
    assert!(!sweep_of(&mut connection, &rules, 50).wider, "once");
    let wider = live(StaleRules { stale_after: Duration::from_secs(60), ..rules.stale.clone() });
    assert!(sweep_of(&mut connection, &wider, 50).wider, "more talks may be stale");
    assert!(!sweep_of(&mut connection, &rules, 50).wider, "these are narrower");
}

#[test]
fn a_sweep_that_tries_a_wrong_clock_announces_once() {
    let mut connection = in_memory();
    store(&mut connection, &just_stale(crate::clock::unix_now() - 5), Reach::default());
    let rules = live(stale_rules());
    assert!(sweep_of(&mut connection, &rules, 1).wider, "it may close that one");
    assert!(!sweep_of(&mut connection, &rules, 1).wider);
    assert!(!sweep_of(&mut connection, &rules, 50).wider);
}

#[test]
fn live_is_announced_after_a_dry_run_under_the_same_rules() {
    let mut connection = in_memory();
    store(&mut connection, &just_stale(crate::clock::unix_now() - 5), Reach::default());
    let rules = live(stale_rules());
    assert!(!sweep_of(&mut connection, &CloseRules { mode: CloseMode::DryRun, ..rules.clone() }, 50).wider);
    assert!(sweep_of(&mut connection, &rules, 50).wider);
}

#[test]
fn each_stored_origin_is_read_once_and_no_talk() {
    let mut connection = in_memory();
    assert_eq!(origins(&connection).unwrap(), [""; 0]);
    for (talk_id, origin) in
        (1..).zip([Some("viber"), None, Some("avito"), Some("viber"), Some("Viber"), Some("")])
    {
        let talk = Talk {
            talk_id: TalkId::new(talk_id),
            origin: origin.map(str::to_owned),
            ..just_stale(UnixSeconds::new(100))
        };
        store(&mut connection, &talk, Reach { gone: talk_id == 3, denied: false });
    }
    assert_eq!(origins(&connection).unwrap(), ["", "Viber", "avito", "viber"]);
    let plan = plan(&connection, ORIGINS);
    assert!(!plan.contains("SCAN talks"), "{plan}");
    assert_eq!(plan.matches("SEARCH talks USING COVERING INDEX talks_origin").count(), 2, "{plan}");
}
