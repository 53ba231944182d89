use super::*;
use crate::clock::UnixSeconds;
use crate::policy::stale::tests::just_stale;
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::{fetched, record};
use crate::store::record::{FetchedTalk, Outcome, Record};
use crate::talk::Talk;
use crate::talk::tests::open_talk;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds::new(seconds)
}

fn on(connection: &mut Connection, floor: i64) -> u32 {
    (1..).find(|_| switch_on(connection, floor).unwrap() == CaptureStep::Done).unwrap()
}

fn changes(connection: &Connection) -> Vec<(i64, i64)> {
    let changes = since(connection, 0, usize::MAX, u64::MAX).unwrap();
    changes.list.iter().map(|change| (change.talk_id.get(), change.seq)).collect()
}

fn other(connection: &Connection, talk_id: i64, outcome: Outcome) {
    let talk_id = TalkId::new(talk_id);
    record(connection, &Record { talk_id, ticket: None, at: NOW, outcome, close_context: None });
}

#[test]
fn nothing_is_marked_while_publishing_is_off() {
    let connection = in_memory();
    fetched(&connection, open_talk(1, at(1)), at(5));
    assert_eq!(changes(&connection), []);
    assert!(!local(&connection).unwrap().is_captured);
}

#[test]
fn what_changed_is_marked_once_by_its_last_change_and_what_did_not_is_not() {
    let mut connection = in_memory();
    on(&mut connection, 40);
    let talk = |updated_at| Talk { updated_at: at(updated_at), ..open_talk(1, at(1)) };
    fetched(&connection, talk(10), at(10));
    fetched(&connection, Talk { talk_id: TalkId::new(2), ..talk(10) }, at(10));
    assert_eq!(changes(&connection), [(1, 41), (2, 42)]);
    fetched(&connection, talk(10), at(11));
    fetched(&connection, talk(5), at(12));
    assert_eq!(changes(&connection), [(1, 41), (2, 42)], "neither the same nor an older one");
    fetched(&connection, talk(20), at(20));
    assert_eq!(changes(&connection), [(2, 42), (1, 43)]);
    let outcome = Outcome::Talk(Box::new(FetchedTalk::new(talk(20), r#"{"tags":[7]}"#)));
    other(&connection, 1, outcome);
    assert_eq!(changes(&connection), [(2, 42), (1, 44)], "a field without a column");
    let denied = || Outcome::Denied { due_at: NOW, error: "HTTP 403".into() };
    other(&connection, 2, denied());
    other(&connection, 2, denied());
    assert_eq!(changes(&connection), [(1, 44), (2, 45)]);
    other(&connection, 3, Outcome::Gone);
    assert_eq!(changes(&connection), [(1, 44), (2, 45), (3, 46)], "a tombstone");
    fetched(&connection, Talk { talk_id: TalkId::new(2), ..talk(10) }, at(30));
    assert_eq!(changes(&connection), [(1, 44), (3, 46), (2, 47)], "no longer denied");
    let failed = Outcome::Failed { error: "HTTP 500".into() };
    other(&connection, 1, failed);
    assert_eq!(top(&connection), Ok(47));
}

#[test]
fn what_was_there_before_is_marked_step_by_step_and_what_changes_meanwhile_is_not_marked_twice() {
    let mut connection = in_memory();
    let many = STEP_TALKS + 5;
    let stored = |talk_id| Talk { talk_id: TalkId::new(talk_id), ..open_talk(1, at(1)) };
    for talk_id in 1..=many {
        fetched(&connection, stored(talk_id), at(5));
    }
    assert_eq!(switch_on(&mut connection, 0), Ok(CaptureStep::More));
    assert_eq!(backlog(&connection, 0), Ok(STEP_TALKS as u64));
    fetched(&connection, Talk { updated_at: at(9), ..stored(many) }, at(9));
    assert_eq!(on(&mut connection, 0), 2);
    assert_eq!((backlog(&connection, 0), top(&connection)), (Ok(many as u64), Ok(many)));
    assert_eq!(changes(&connection).iter().position(|change| change.0 == many), Some(STEP_TALKS as usize));

    mark_all(&mut connection).unwrap();
    on(&mut connection, 0);
    assert_eq!(backlog(&connection, many), Ok(many as u64), "each again");
    assert_eq!(backlog(&connection, 0), Ok(many as u64));
    assert_eq!(is_sending_all(&connection), Ok(true));
    all_sent(&mut connection).unwrap();
    assert_eq!(is_sending_all(&connection), Ok(false));

    assert_eq!(switch_off(&mut connection), Ok(CaptureStep::More));
    fetched(&connection, Talk { updated_at: at(10), ..stored(many) }, at(10));
    while switch_off(&mut connection).unwrap() == CaptureStep::More {}
    assert_eq!(changes(&connection), []);
}

#[test]
fn each_step_of_a_closing_is_marked() {
    let mut connection = in_memory();
    on(&mut connection, 0);
    let stale = just_stale(NOW);
    fetched(&connection, stale.clone(), NOW);
    let before = top(&connection).unwrap();
    connection
        .execute(
            "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, requested_at,
                                   outcome, attempts)
             VALUES (?1, 'live', 1, 'missed', 1, ?2, ?2, 'accepted', 1)",
            (stale.talk_id, NOW),
        )
        .unwrap();
    let closed = Talk { is_in_work: false, updated_at: NOW + 1, ..stale };
    fetched(&connection, closed.clone(), NOW + 9);
    assert_eq!(top(&connection), Ok(before + 1), "the talk and its closing at once");
    let mut rows = Vec::new();
    read(
        &connection,
        &[
            "SELECT outcome, verified_at FROM closures WHERE talk_id IN (SELECT value ->> 0 FROM json_each(?1))",
        ],
        &[Wanted { talk_id: closed.talk_id, from_version: 1, seq: 1 }],
        |place, row| rows.push((place, row)),
    )
    .unwrap();
    let cells = vec![Cell::Text("closed".into()), Cell::Integer((NOW + 9).get())];
    assert_eq!(rows, [(0, cells)]);
}
