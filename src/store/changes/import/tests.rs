use super::*;
use crate::store::changes::{CaptureStep, ChangesRequest, since, work};
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::talk::tests::open_talk;

const START: UnixSeconds = UnixSeconds::new(1_700_000_000);
const TALK: [&str; 8] =
    ["talk_id", "created_at", "updated_at", "is_in_work", "changed_at", "gone_at", "denied_at", "seq"];

/// The whole row of a talk on the server, and its versions: one each hundred seconds from `START` on.
fn on_server(talk_id: i64, versions: i64, seq: i64) -> ImportedTalks {
    let at = |version: i64| START.later_by(version * 100).get();
    let integers = |row: &[i64]| row.iter().map(|number| Cell::Integer(*number)).collect::<Vec<_>>();
    let mut talk = integers(&[talk_id, 1, versions, 1, at(versions)]);
    talk.extend([Cell::Null, Cell::Null, Cell::Integer(seq)]);
    talk.extend([
        Cell::Text("{}".into()),
        Cell::Integer(1),
        Cell::Integer(at(versions)),
        Cell::Integer(versions),
    ]);
    let version = |version: i64| {
        let mut row = integers(&[talk_id, version, at(version)]);
        row.push(if version == versions { Cell::Null } else { Cell::Integer(at(version + 1)) });
        row.extend(integers(&[1, version, 1]));
        row
    };
    let columns = TALK.into_iter().chain(["payload", "first_fetched_at", "fetched_at", "version"]).collect();
    ImportedTalks {
        talks: ImportedRows { columns, rows: vec![talk] },
        versions: ImportedRows {
            columns: vec![
                "talk_id",
                "version",
                "valid_from",
                "valid_to",
                "created_at",
                "updated_at",
                "is_in_work",
            ],
            rows: (1..=versions).map(version).collect(),
        },
    }
}

fn begin(connection: &mut Connection, position: i64, above: i64) {
    let identity = Identity { mirror: "a".into(), epoch: 2, seen: above, importing: false };
    import(connection, &ImportStep::Begin { identity, account_id: 1, position, above }).unwrap();
}

/// What the file has of a talk: version, `updated_at`.
fn versions(connection: &Connection, talk_id: i64) -> Vec<(i64, i64)> {
    connection
        .prepare("SELECT version, updated_at FROM talk_versions WHERE talk_id = ?1 ORDER BY version")
        .unwrap()
        .query_map([talk_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn talk(updated_at: i64) -> Talk {
    let mut talk = open_talk(1, UnixSeconds::new(1));
    (talk.talk_id, talk.created_at, talk.updated_at) =
        (TalkId::new(5), UnixSeconds::new(1), UnixSeconds::new(updated_at));
    (talk.contact_id, talk.missed_at, talk.account_id) = (None, None, 1);
    talk
}

#[test]
fn an_empty_file_has_all_that_the_server_has_and_repeating_it_changes_nothing() {
    let mut connection = in_memory();
    for _ in 0..2 {
        begin(&mut connection, 90, 0);
        import(&mut connection, &ImportStep::Talks(on_server(5, 3, 80))).unwrap();
        assert_eq!(versions(&connection, 5), [(1, 1), (2, 2), (3, 3)]);
        let changes: Vec<i64> =
            since(&connection, 0, 9, u64::MAX).unwrap().list.iter().map(|change| change.seq).collect();
        assert_eq!(changes.len(), 1);
        assert!(changes[0] == 80 || changes[0] > 90, "the server's number, or one above all: {changes:?}");
        let queued = "SELECT count(*) FROM talk_queue WHERE talk_id = 5 AND reason = 'adopt'";
        assert_eq!(connection.query_row(queued, [], |row| row.get(0)), Ok(1));
    }
    let interrupted = super::super::local(&connection).unwrap().identity.unwrap();
    assert!(interrupted.importing && interrupted.seen == 0);
    import(&mut connection, &ImportStep::End { position: 90 }).unwrap();
    let done = super::super::local(&connection).unwrap().identity.unwrap();
    assert!(!done.importing && done.seen == 90);
}

#[test]
fn what_changed_while_publishing_was_off_is_marked_as_well() {
    let mut connection = in_memory();
    fetched(&connection, talk(1), START);
    begin(&mut connection, 90, 30);
    assert!(super::super::is_marking(&connection).unwrap());
    while work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap() == CaptureStep::More {}
    assert_eq!(super::super::backlog(&connection, 90), Ok(1));
}

#[test]
fn what_this_file_saw_later_comes_after_what_the_server_has() {
    let mut connection = in_memory();
    let on = ChangesRequest::SwitchOn { floor: 0 };
    work(&mut connection, &on).unwrap();
    // As a backup has it: the first version. Restored, it saw two more.
    fetched(&connection, talk(1), START.later_by(100));
    fetched(&connection, talk(7), START.later_by(1000));
    fetched(&connection, talk(8), START.later_by(1001));
    begin(&mut connection, 90, 1);
    import(&mut connection, &ImportStep::Talks(on_server(5, 3, 80))).unwrap();
    assert_eq!(versions(&connection, 5), [(1, 1), (2, 2), (3, 3), (4, 7), (5, 8)]);
    assert!(since(&connection, 90, 9, u64::MAX).unwrap().list.len() == 1, "it is to be published");
    let overlap = "SELECT count(*) FROM talk_versions a JOIN talk_versions b ON b.version = a.version + 1
                    WHERE a.valid_to <> b.valid_from";
    assert_eq!(connection.query_row(overlap, [], |row| row.get(0)), Ok(0));
}

#[test]
fn a_file_that_has_all_and_more_is_left_as_it_is_also_within_one_second() {
    let mut connection = in_memory();
    work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
    for version in 1..=3 {
        fetched(&connection, talk(version), START.later_by(version * 100));
    }
    // In the same second as the last that the server has.
    fetched(&connection, talk(4), START.later_by(300));
    begin(&mut connection, 3, 2);
    import(&mut connection, &ImportStep::Talks(on_server(5, 3, 3))).unwrap();
    assert_eq!(versions(&connection, 5), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    let queued = "SELECT count(*) FROM talk_queue";
    assert_eq!(connection.query_row(queued, [], |row| row.get(0)), Ok(0));
}

#[test]
fn a_talk_whose_number_another_one_has_gets_the_next_free_one() {
    let mut connection = in_memory();
    work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
    for talk_id in [6, 7] {
        fetched(&connection, Talk { talk_id: TalkId::new(talk_id), ..talk(1) }, START);
    }
    begin(&mut connection, 90, 1);
    // The number of the one that changed here since, and of the one that did not.
    import(&mut connection, &ImportStep::Talks(on_server(5, 1, 91))).unwrap();
    import(&mut connection, &ImportStep::Talks(on_server(8, 1, 1))).unwrap();
    let changes = since(&connection, 0, 9, u64::MAX).unwrap().list;
    let changes: Vec<_> = changes.iter().map(|change| (change.talk_id.get(), change.seq)).collect();
    assert_eq!(changes, [(6, 1), (7, 91), (5, 92), (8, 93)]);
}

#[test]
fn closings_go_forward_and_one_of_this_file_under_the_same_number_gets_another() {
    let mut connection = in_memory();
    let insert = "INSERT INTO closures (closure_id, talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome,
                                        attempts)
                  VALUES (?1, ?2, 'live', 1, 'missed', 1, ?3, ?4, ?5)";
    for row in [
        (1, 10, 100, "accepted", 1),
        (2, 20, 200, "closed", 1),
        (3, 30, 300, "withdrawn", 1),
        (5, 50, 500, "accepted", 1),
        (6, 60, 600, "requested", 3),
        (7, 70, 700, "requested", 1),
    ] {
        connection.execute(insert, row).unwrap();
    }
    let columns = vec![
        "closure_id",
        "talk_id",
        "mode",
        "talk_updated_at",
        "reason",
        "force_close",
        "decided_at",
        "outcome",
        "attempts",
    ];
    let row = |closure_id, talk_id, decided_at, outcome: &str, attempts| {
        let (number, text) = (Cell::Integer, |text: &str| Cell::Text(text.into()));
        let mut row = vec![number(closure_id), number(talk_id), text("live"), number(1), text("missed")];
        row.extend([number(1), number(decided_at), text(outcome), number(attempts)]);
        row
    };
    let rows = vec![
        row(1, 10, 100, "closed", 1),
        row(2, 20, 200, "requested", 2),
        row(3, 33, 333, "failed", 1),
        row(4, 44, 444, "closed", 1),
        row(5, 50, 500, "requested", 2),
        row(6, 60, 600, "requested", 2),
        row(7, 70, 700, "requested", 2),
    ];
    for _ in 0..2 {
        import(
            &mut connection,
            &ImportStep::Closures(ImportedRows { columns: columns.clone(), rows: rows.clone() }),
        )
        .unwrap();
        let all = "SELECT group_concat(talk_id || ' ' || outcome || ' ' || attempts, ', ')
                     FROM (SELECT * FROM closures ORDER BY talk_id)";
        assert_eq!(
            connection.query_row(all, [], |row| row.get(0)),
            Ok("10 closed 1, 20 closed 1, 30 withdrawn 1, 33 failed 1, 44 closed 1, 50 accepted 1, 60 requested 3, \
                70 requested 2"
                .to_owned())
        );
    }
    let own = "SELECT closure_id > 7 FROM closures WHERE talk_id = 30";
    assert_eq!(connection.query_row(own, [], |row| row.get(0)), Ok(true));
}

#[test]
fn events_are_taken_over_once_and_are_read_on_from_the_last() {
    let mut connection = in_memory();
    begin(&mut connection, 40, 0);
    let row = |id: &str, at: i64| {
        let texts = [Cell::Text(id.into()), Cell::Text("talk_closed".into())];
        vec![Cell::Integer(7), texts[0].clone(), texts[1].clone(), Cell::Integer(at), Cell::Null]
    };
    let columns = vec!["talk_id", "event_id", "type", "at", "created_by"];
    let step = ImportStep::Events(ImportedRows { columns, rows: vec![row("a", 100), row("b", 300)] });
    import(&mut connection, &step).unwrap();
    import(&mut connection, &step).unwrap();
    import(&mut connection, &ImportStep::End { position: 40 }).unwrap();
    let state =
        "SELECT (SELECT count(*) FROM talk_events) || ' ' || cursor FROM feeders WHERE feeder = 'events'";
    let read =
        |connection: &Connection| -> String { connection.query_row(state, [], |row| row.get(0)).unwrap() };
    assert_eq!(read(&connection), r#"2 {"until":300}"#);
    // One that has read events itself goes on from there.
    connection.execute("UPDATE feeders SET cursor = '{\"until\":900}'", []).unwrap();
    import(&mut connection, &ImportStep::End { position: 40 }).unwrap();
    assert_eq!(read(&connection), r#"2 {"until":900}"#);
}
