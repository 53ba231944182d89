use super::*;
use crate::directory::Status;
use crate::store::changes::{self, ChangesRequest};
use crate::store::feeds::{Candidates, FeedRequest, Feeder, work_alone};
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::store::record::{Effect, FetchedTalk, Outcome, Record};
use crate::talk::Talk;
use crate::talk::tests::open_talk;
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeSet;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
const DAY: i64 = 86_400;

fn round() -> Round {
    Round { began_at: NOW, since: NOW - 30 * DAY, now: NOW + 10 }
}

/// An open talk that names a lead and the contact 1.
fn talk(talk_id: i64, lead_id: i64) -> Talk {
    Talk { lead_id: Some(lead_id), ..open_talk(talk_id, NOW - 50 * DAY) }
}

fn closed(talk_id: i64, lead_id: i64, at: UnixSeconds) -> Talk {
    Talk { is_in_work: false, updated_at: at, ..talk(talk_id, lead_id) }
}

fn lead(lead_id: i64, name: Option<&str>) -> Lead {
    Lead {
        lead_id,
        name: name.map(Into::into),
        price: Some(5),
        responsible_user_id: Some(31),
        pipeline_id: Some(1),
        status_id: Some(142),
        closed_at: None,
    }
}

fn wanted(connection: &mut Connection, request: NamesRequest) -> Fed {
    let tx = connection.transaction().unwrap();
    let fed = work_alone(&tx, &FeedRequest::Names(request), &Candidates::default()).unwrap();
    tx.commit().unwrap();
    fed
}

fn store_leads(connection: &mut Connection, asked: &[i64], leads: &[Lead], all: bool, now: UnixSeconds) {
    wanted(connection, NamesRequest::Leads { asked: asked.into(), leads: leads.into(), all, now });
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Which leads a round asks for.
fn needed(connection: &mut Connection) -> BTreeSet<i64> {
    let Fed::Talks(talks) = wanted(connection, NamesRequest::Daily { since: round().since }) else {
        panic!()
    };
    match wanted(connection, NamesRequest::Of { talks, contacts: false, round: round() }) {
        Fed::NewNames { ids, .. } => {
            assert_eq!(ids.contacts, [0; 0]);
            ids.leads.into_iter().collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_round_asks_for_the_leads_of_talks_that_matter() {
    let mut connection = in_memory();
    let old = NOW - 31 * DAY;
    for talk in [
        talk(1, 11),
        closed(2, 12, NOW - 29 * DAY),
        closed(3, 13, old),
        Talk { missed_at: Some(NOW - DAY), ..closed(4, 14, old) },
        talk(5, 15),
        closed(6, 16, NOW - DAY),
        closed(7, 17, NOW - DAY),
        talk(8, 18),
        closed(9, 19, NOW - DAY),
        talk(10, 20),
        Talk { lead_id: None, ..talk(11, 0) },
        talk(12, -3),
    ] {
        fetched(&connection, talk, NOW);
    }
    let closed_lead = |lead_id, at| Lead { closed_at: Some(at), ..lead(lead_id, None) };
    // Read before the round, closed for long: asked for only if a talk is open.
    store_leads(
        &mut connection,
        &[15, 16, 17],
        &[closed_lead(15, old), closed_lead(16, old), closed_lead(17, NOW - DAY)],
        true,
        NOW - 1,
    );
    // Gone: the same.
    store_leads(&mut connection, &[18, 19], &[], true, NOW - 1);
    // In this round.
    store_leads(&mut connection, &[20], &[lead(20, None)], true, NOW);
    assert_eq!(needed(&mut connection), BTreeSet::from([11, 12, 14, 15, 17, 18]));
    // By a wrong clock.
    store_leads(&mut connection, &[20], &[lead(20, None)], true, NOW + DAY);
    assert!(needed(&mut connection).contains(&20));
}

#[test]
fn what_changed_talks_name_is_looked_up_once_and_nothing_is_kept_while_the_feeder_is_off() {
    let mut connection = in_memory();
    let mut candidates = Candidates::default();
    let look = |candidates: &mut Candidates, connection: &mut Connection, contacts| {
        let request = FeedRequest::Names(NamesRequest::New { contacts });
        candidates.prepare(connection, &request).unwrap();
        let tx = connection.transaction().unwrap();
        let fed = work_alone(&tx, &request, candidates).unwrap();
        tx.commit().unwrap();
        candidates.fed(&request, &fed);
        match fed {
            Fed::NewNames { ids, overflowed: false } => (ids.leads, ids.contacts),
            other => panic!("{other:?}"),
        }
    };
    let record = |talk: Talk| Record {
        talk_id: talk.talk_id,
        ticket: None,
        at: NOW,
        outcome: Outcome::Talk(Box::new(FetchedTalk::new(talk, "{}"))),
        close_context: None,
    };
    fetched(&connection, talk(1, 11), NOW);
    candidates.recorded(&record(talk(1, 11)), Effect::New);
    assert_eq!(look(&mut candidates, &mut connection, true), (vec![], vec![]), "it was off until now");
    for (talk, effect) in
        [(talk(2, 12), Effect::New), (talk(1, 11), Effect::Same), (talk(3, 12), Effect::Changed)]
    {
        fetched(&connection, talk.clone(), NOW);
        candidates.recorded(&record(talk), effect);
    }
    let mut other = candidates;
    assert_eq!(look(&mut other, &mut connection, true), (vec![12], vec![1]));
    assert_eq!(look(&mut other, &mut connection, false), (vec![], vec![]), "they were looked at");
    // One that is recorded in the transaction of a look is looked at next time.
    let request = FeedRequest::Names(NamesRequest::New { contacts: false });
    other.prepare(&connection, &request).unwrap();
    fetched(&connection, talk(4, 14), NOW);
    other.recorded(&record(talk(4, 14)), Effect::New);
    other.fed(&request, &Fed::Done);
    assert_eq!(look(&mut other, &mut connection, false), (vec![14], vec![]));
    other.recorded(&record(talk(2, 12)), Effect::Changed);
    other.switched_off(Feeder::Directory);
    assert_eq!(look(&mut other, &mut connection, false), (vec![], vec![]));
}

#[test]
fn a_lead_that_changes_is_a_change_of_its_talks() {
    let mut connection = in_memory();
    for talk in [talk(1, 11), talk(2, 11), talk(3, 12)] {
        fetched(&connection, talk, NOW);
    }
    changes::work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
    let marked = |connection: &Connection| {
        let marked = text(
            connection,
            "SELECT json_group_array(talk_id) FROM (SELECT talk_id FROM changes ORDER BY talk_id)",
        );
        connection.execute("DELETE FROM changes", []).unwrap();
        marked
    };
    marked(&connection);
    store_leads(&mut connection, &[11], &[lead(11, Some("A"))], true, NOW);
    assert_eq!(marked(&connection), "[1,2]", "it is new");
    store_leads(&mut connection, &[11], &[lead(11, Some("A"))], true, NOW + 1);
    assert_eq!(marked(&connection), "[]", "it is as it was");
    store_leads(&mut connection, &[11], &[lead(11, None)], true, NOW + 2);
    assert_eq!(marked(&connection), "[]", "it keeps its name");
    store_leads(&mut connection, &[11], &[Lead { price: None, ..lead(11, None) }], true, NOW + 3);
    assert_eq!(marked(&connection), "[1,2]", "it has no price any more");
    store_leads(&mut connection, &[11, 12], &[], true, NOW + 4);
    assert_eq!(marked(&connection), "[1,2,3]", "they are gone");
    store_leads(&mut connection, &[11, 12], &[], true, NOW + 5);
    assert_eq!(marked(&connection), "[]", "they still are");
    store_leads(&mut connection, &[11], &[Lead { price: None, ..lead(11, None) }], true, NOW + 6);
    assert_eq!(marked(&connection), "[1,2]", "it is there again");
    let rows = "SELECT json_group_array(concat_ws(' ', lead_id, name, gone_at - 1700000000, fetched_at - 1700000000)) FROM leads";
    assert_eq!(text(&connection, rows), r#"["11 A 6","12 4 5"]"#);
}

#[test]
fn a_lead_shows_that_a_user_or_a_status_is_not_known() {
    let mut connection = in_memory();
    let unknown = |connection: &mut Connection| {
        let request =
            NamesRequest::Leads { asked: [7].into(), leads: vec![lead(7, None)], all: true, now: NOW };
        match wanted(connection, request) {
            Fed::UnknownNames { users, pipelines } => (users, pipelines),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(unknown(&mut connection), (true, true));
    connection.execute("INSERT INTO users (user_id, fetched_at, gone_at) VALUES (31, 1, 1)", []).unwrap();
    assert_eq!(unknown(&mut connection), (false, true));
    connection
        .execute("INSERT INTO statuses (pipeline_id, status_id, fetched_at) VALUES (1, 142, 1)", [])
        .unwrap();
    assert_eq!(unknown(&mut connection), (false, false));
    let nobody = Lead { responsible_user_id: None, pipeline_id: None, status_id: None, ..lead(8, None) };
    let request = NamesRequest::Leads { asked: [8].into(), leads: vec![nobody], all: true, now: NOW };
    assert_eq!(wanted(&mut connection, request), Fed::UnknownNames { users: false, pipelines: false });
}

#[test]
fn a_contact_that_changes_is_a_change_of_its_talks_and_keeps_its_name() {
    let mut connection = in_memory();
    fetched(&connection, talk(1, 11), NOW);
    changes::work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
    let store = |connection: &mut Connection, name: Option<&str>, shown: bool| {
        connection.execute("DELETE FROM changes", []).unwrap();
        let contacts =
            shown.then(|| Contact { contact_id: 1, name: name.map(Into::into) }).into_iter().collect();
        wanted(connection, NamesRequest::Contacts { asked: [1].into(), contacts, all: true, now: NOW });
        text(connection, "SELECT json_group_array(talk_id) FROM changes")
    };
    assert_eq!(store(&mut connection, Some("A"), true), "[1]");
    assert_eq!(store(&mut connection, None, true), "[]");
    assert_eq!(store(&mut connection, None, false), "[1]");
    assert_eq!(text(&connection, "SELECT concat(name, ' ', gone_at) FROM contacts"), format!("A {NOW}"));
}

#[test]
fn nothing_is_gone_by_an_answer_that_does_not_show_all() {
    let mut connection = in_memory();
    let user = |user_id| User { user_id, name: Some("A".into()), is_active: Some(true) };
    let status = |status_id| Status { status_id, name: None, sort: None };
    let pipeline = |pipeline_id, statuses: &[i64], has_all_statuses| Pipeline {
        pipeline_id,
        name: Some("P".into()),
        sort: None,
        is_main: None,
        is_archive: None,
        statuses: statuses.iter().map(|id| status(*id)).collect(),
        has_all_statuses,
    };
    let gone = |connection: &Connection| {
        let rows = "SELECT concat_ws(' ',
            (SELECT group_concat(user_id) FROM users WHERE gone_at IS NOT NULL),
            (SELECT group_concat(pipeline_id) FROM pipelines WHERE gone_at IS NOT NULL),
            (SELECT group_concat(pipeline_id || ':' || status_id) FROM statuses WHERE gone_at IS NOT NULL),
            (SELECT group_concat(lead_id) FROM leads WHERE gone_at IS NOT NULL))";
        text(connection, rows)
    };
    let mut store = |users: Vec<User>, pipelines: Vec<Pipeline>, all| {
        wanted(&mut connection, NamesRequest::Users { users, all, now: NOW });
        wanted(&mut connection, NamesRequest::Pipelines { pipelines, all, now: NOW });
        store_leads(&mut connection, &[7], &[], false, NOW);
        gone(&connection)
    };
    let both = || vec![pipeline(1, &[142, 143], true), pipeline(2, &[142, 143], true)];
    assert_eq!(store(vec![user(1), user(2)], both(), true), "");
    assert_eq!(store(vec![user(1)], vec![pipeline(1, &[142], false)], false), "");
    assert_eq!(store(vec![], vec![], true), "", "an account has at least one of each");
    assert_eq!(store(vec![user(1)], vec![pipeline(1, &[142], true)], true), "2 2 1:143,2:142,2:143");
    assert_eq!(store(vec![user(2)], both(), true), "1");
}

proptest! {
    /// Whatever has a row, the walk finds each id without one once, step by step.
    #[test]
    fn a_walk_finds_each_id_without_a_row_once(
        leads in prop::collection::vec(1i64..2_000, 0..1_500),
        known in prop::collection::btree_set(1i64..2_000, 0..300),
    ) {
        let connection = &mut in_memory();
        let talks = leads.iter().zip(1..);
        {
            let tx = connection.transaction().unwrap();
            let mut insert = tx.prepare(
                "INSERT INTO talks (talk_id, created_at, updated_at, is_in_work, account_id, lead_id, payload,
                                    first_fetched_at, fetched_at, changed_at)
                 VALUES (?1, 1, 1, 1, 1, ?2, '{}', 1, 1, 1)").unwrap();
            for (lead_id, talk_id) in talks {
                insert.execute((talk_id, lead_id)).unwrap();
            }
            for lead_id in &known {
                tx.execute("INSERT INTO leads (lead_id, fetched_at) VALUES (?1, 1)", [lead_id]).unwrap();
            }
            drop(insert);
            tx.commit().unwrap();
        }
        let (mut found, mut after) = (Vec::new(), Some(0));
        while let Some(from) = after {
            let fed = wanted(connection, NamesRequest::Unknown { list: NameList::Leads, after: from });
            let Fed::Unknown { ids, after: next } = fed else { panic!("{fed:?}") };
            prop_assert!(next.is_none_or(|next| next > from));
            found.extend(ids);
            after = next;
        }
        let named: BTreeSet<i64> = leads.into_iter().collect();
        let expected: Vec<i64> = named.difference(&known).copied().collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn what_is_looked_for_reads_indexes_alone() {
    let connection = in_memory();
    let plan = |sql: &str| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([1], |row| row.get::<_, String>(3)).unwrap();
        lines.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
    };
    for (sql, index) in [
        (needed::NAMED_LEADS, "talks_lead (lead_id>?)"),
        (needed::NAMED_CONTACTS, "talks_contact (contact_id>?)"),
    ] {
        let walk = plan(sql);
        assert!(walk.starts_with(&format!("SEARCH talks USING COVERING INDEX {index}")), "{walk}");
        assert!(!walk.contains("TEMP B-TREE"), "{walk}");
    }
    let daily = plan(needed::DAILY);
    assert_eq!(daily.matches("USING COVERING INDEX").count(), 3, "{daily}");
}
