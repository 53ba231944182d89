use super::*;
use crate::clock::UnixSeconds;
use crate::store::migrations::tests::in_memory;
use crate::store::queue::{self, Ticket};
use crate::store::record::tests::fetched;
use crate::store::record::{self, FetchedTalk, Outcome, Record};
use crate::talk::Talk;
use crate::talk::tests::open_talk;
use std::time::Duration;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

/// An open talk that last changed an hour ago.
fn talk(talk_id: i64) -> Talk {
    Talk { updated_at: NOW - 3600, ..open_talk(talk_id, NOW - 7200) }
}

fn record(
    connection: &mut Connection,
    talk_id: i64,
    ticket: Option<Ticket>,
    at: UnixSeconds,
    outcome: Outcome,
) {
    record::tests::record(
        connection,
        &Record { talk_id: TalkId::new(talk_id), ticket, at, outcome, close_context: None },
    );
}

fn mirror(connection: &mut Connection, talk: Talk, fetched_at: UnixSeconds) {
    fetched(connection, talk, fetched_at);
}

fn request(connection: &mut Connection, request: FeedRequest) -> Fed {
    request_with(&mut Candidates::default(), connection, request)
}

/// Runs a request as the writer does.
fn request_with(candidates: &mut Candidates, connection: &mut Connection, request: FeedRequest) -> Fed {
    candidates.prepare(connection, &request).unwrap();
    let tx = connection.transaction().unwrap();
    let fed = work_alone(&tx, &request, candidates).unwrap();
    tx.commit().unwrap();
    candidates.fed(&request, &fed);
    fed
}

fn rules(closed_for: Duration) -> RefreshRules {
    RefreshRules { min_interval: Duration::from_secs(120), recheck: Duration::from_secs(3600), closed_for }
}

fn hinted(connection: &mut Connection, talk_id: i64, lane: Lane) -> Fed {
    let feeder = Feeder::Listing;
    let hints = vec![Hint { talk_id: TalkId::new(talk_id), lane, changed: false }];
    request(connection, FeedRequest::Enqueue { feeder, hints, due_at: NOW, now: NOW })
}

/// The rows of the queue: id, reason, priority, due in, attempts.
fn rows(connection: &Connection) -> Vec<(i64, String, i64, i64, i64)> {
    let mut rows = Vec::new();
    let each = |row: queue::QueueRow| -> rusqlite::Result<()> {
        rows.push((row.talk_id.get(), row.reason, row.priority, row.due_at.seconds_since(NOW), row.attempts));
        Ok(())
    };
    queue::list(connection, false, None, each).unwrap();
    rows
}

#[test]
fn a_hint_while_a_talk_is_being_fetched_has_it_fetched_once_more() {
    let mut connection = in_memory();
    assert_eq!(hinted(&mut connection, 5, Lane::Hints), Fed::Queued(1));
    let due = queue::head(&connection, NOW, 1).unwrap().due[0];
    assert_eq!(hinted(&mut connection, 5, Lane::Hints), Fed::Queued(0));
    record(&mut connection, 5, due.ticket, NOW, Outcome::Talk(Box::new(FetchedTalk::new(talk(5), "{}"))));
    assert_eq!(rows(&connection).len(), 1, "what was heard after the fetch began is not lost");
    let again = queue::head(&connection, NOW, 1).unwrap().due[0];
    record(&mut connection, 5, again.ticket, NOW, Outcome::Talk(Box::new(FetchedTalk::new(talk(5), "{}"))));
    assert_eq!(rows(&connection), []);
}

#[test]
fn a_hint_while_a_retry_is_under_way_is_not_lost_and_makes_no_failure_undone() {
    let mut connection = in_memory();
    hinted(&mut connection, 5, Lane::Hints);
    connection.execute("UPDATE talk_queue SET attempts = 1", []).unwrap();
    let due = queue::head(&connection, NOW, 1).unwrap().due[0];
    hinted(&mut connection, 5, Lane::Hints);
    let failed = Outcome::Retry { due_at: NOW + 30, error: "x".into(), spent: true };
    record(&mut connection, 5, due.ticket, NOW, failed);
    assert_eq!(rows(&connection), [(5, "listing".into(), Lane::Hints.priority(), 30, 2)], "it backs off");

    connection.execute("UPDATE talk_queue SET due_at = ?1", [NOW]).unwrap();
    let due = queue::head(&connection, NOW, 1).unwrap().due[0];
    hinted(&mut connection, 5, Lane::Hints);
    record(&mut connection, 5, due.ticket, NOW, Outcome::Talk(Box::new(FetchedTalk::new(talk(5), "{}"))));
    assert_eq!(rows(&connection).len(), 1, "what was heard is fetched");

    // A row queued by SQL meanwhile is fetched at once, even after a failure.
    let due = queue::head(&connection, NOW, 1).unwrap().due[0];
    connection.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (5, ?1)", [NOW]).unwrap();
    let failed = Outcome::Retry { due_at: NOW + 30, error: "x".into(), spent: true };
    record(&mut connection, 5, due.ticket, NOW, failed);
    assert_eq!(rows(&connection)[0].3, 0);
}

#[test]
fn a_hint_raises_a_row_that_waits_and_lowers_none() {
    let mut connection = in_memory();
    hinted(&mut connection, 5, Lane::Unmirrored);
    hinted(&mut connection, 5, Lane::Asked);
    hinted(&mut connection, 5, Lane::Hints);
    assert_eq!(rows(&connection), [(5, "listing".into(), 0, 0, 0)]);
}

#[test]
fn a_hint_hurries_none_that_backs_off_or_failed_and_no_closing() {
    let mut connection = in_memory();
    connection
        .execute_batch(&format!(
            "INSERT INTO talk_queue (talk_id, due_at, attempts, failed_at, ticket) VALUES
                 (1, {NOW} + 60, 2, NULL, 71), (2, {NOW} - 60, 2, NULL, 72),
                 (3, {NOW} + 60, 0, NULL, 73), (4, {NOW} - 60, 8, {NOW}, 74),
                 (5, {NOW} + 60, 0, NULL, 75), (6, {NOW} + 60, 0, NULL, 76);
             UPDATE talk_queue SET last_error = 'HTTP 403' WHERE talk_id = 3;
             UPDATE talk_queue SET priority = 1000000000, reason = 'verify' WHERE talk_id = 6;"
        ))
        .unwrap();
    for talk_id in 1..=6 {
        assert_eq!(hinted(&mut connection, talk_id, Lane::Asked), Fed::Queued(0));
    }
    let tickets: Vec<i64> = connection
        .prepare("SELECT ticket FROM talk_queue ORDER BY talk_id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    // The second is due. It may be on its way, so it is neither hurried nor lost.
    assert_eq!(tickets, [71, 73, 73, 74, 76, 76]);
    let hurried =
        "SELECT group_concat(talk_id) FROM talk_queue WHERE due_at <= ?1 AND talk_id IN (1, 3, 5, 6)";
    let hurried: String = connection.query_row(hurried, [NOW], |row| row.get(0)).unwrap();
    assert_eq!(hurried, "5", "somebody put it in for later, and nothing has failed");
}

#[test]
fn a_refresh_fills_the_lane_up_and_takes_none_that_waits_already() {
    let mut connection = in_memory();
    for talk_id in 1..=10 {
        mirror(&mut connection, talk(talk_id), NOW - 1000 - talk_id);
    }
    hinted(&mut connection, 10, Lane::Asked);
    let rules = rules(Duration::ZERO);
    let refresh =
        |room| FeedRequest::Refresh { rules: rules.clone(), room, shares: Shares::default(), now: NOW };
    let queued = |fed| match fed {
        Fed::Refreshed { queued, .. } => queued,
        fed => panic!("{fed:?}"),
    };
    assert_eq!(queued(request(&mut connection, refresh(4))), 4);
    assert_eq!(queued(request(&mut connection, refresh(4))), 0, "the lane is full");
    assert_eq!(queued(request(&mut connection, refresh(6))), 2);
    assert_eq!(queued(request(&mut connection, refresh(100))), 3, "10 waits in another lane");
    let ids: Vec<i64> = rows(&connection).into_iter().map(|row| row.0).collect();
    assert_eq!(ids[0], 10);
    assert_eq!(ids.len(), 10);
}

#[test]
fn a_row_of_the_listing_is_news_if_it_differs() {
    let mut connection = in_memory();
    mirror(&mut connection, talk(1), NOW);
    let same = Listed {
        talk_id: TalkId::new(1),
        updated_at: Some(NOW - 3600),
        is_in_work: Some(true),
        is_read: Some(true),
    };
    let mut ask =
        |listed| match request(&mut connection, FeedRequest::Compare { listed: vec![listed], now: NOW }) {
            Fed::Compared(news) => news.len(),
            fed => panic!("{fed:?}"),
        };
    assert_eq!(ask(same), 0);
    assert_eq!(
        ask(Listed { updated_at: None, is_in_work: None, is_read: None, ..same }),
        0,
        "it says nothing"
    );
    assert_eq!(ask(Listed { updated_at: Some(NOW), ..same }), 1);
    assert_eq!(ask(Listed { is_in_work: Some(false), ..same }), 1);
    assert_eq!(ask(Listed { is_read: Some(false), ..same }), 1);
    assert_eq!(ask(Listed { talk_id: TalkId::new(2), ..same }), 1, "unknown");
    record(&mut connection, 1, None, NOW, Outcome::Gone);
    let mut ask = |listed| request(&mut connection, FeedRequest::Compare { listed: vec![listed], now: NOW });
    assert!(matches!(ask(same), Fed::Compared(news) if news.len() == 1), "gone, and listed all the same");
}

#[test]
fn open_talks_that_a_pass_did_not_show_are_those_fetched_before_it() {
    let mut connection = in_memory();
    mirror(&mut connection, talk(1), NOW - 10);
    mirror(&mut connection, talk(2), NOW - 10);
    mirror(&mut connection, talk(3), NOW);
    mirror(&mut connection, Talk { is_in_work: false, ..talk(4) }, NOW - 10);
    let fed = request(
        &mut connection,
        FeedRequest::Unseen { seen: Arc::new(HashSet::from([TalkId::new(1)])), before: NOW, now: NOW },
    );
    assert_eq!(fed, Fed::Unseen(vec![TalkId::new(2)]));
}

#[test]
fn a_webhook_of_another_account_queues_nothing_once_ours_is_known() {
    let mut connection = in_memory();
    let webhook = |account_id| FeedRequest::Webhook {
        account_id: Some(account_id),
        ids: vec![TalkId::new(1)],
        due_at: NOW + 2,
        now: NOW,
    };
    assert_eq!(request(&mut connection, webhook(2)), Fed::Queued(1), "nobody knows better yet");
    connection.execute("DELETE FROM talk_queue", []).unwrap();
    connection.execute("INSERT INTO mirror_info VALUES ('account_id', '1')", []).unwrap();
    assert_eq!(request(&mut connection, webhook(2)), Fed::OtherAccount);
    assert_eq!(rows(&connection), []);
    assert_eq!(request(&mut connection, webhook(1)), Fed::Queued(1));
}

/// Walks until the walk waits or ends. Ids above `known` do not exist. Returns the number of steps.
fn walk(connection: &mut Connection, known: i64) -> (Backfill, usize) {
    for step in 1.. {
        let Fed::Backfill(state, _) = request(connection, FeedRequest::Backfill { room: 10, now: NOW })
        else {
            panic!("a backfill")
        };
        let state = state.expect("one is under way");
        if state.ended.is_some() {
            return (state, step);
        }
        for due in queue::head(connection, NOW, 100).unwrap().due {
            let talk_id = due.talk_id.get();
            let outcome = match talk_id <= known {
                true => Outcome::Talk(Box::new(FetchedTalk::new(talk(talk_id), "{}"))),
                false => Outcome::Gone,
            };
            record(connection, talk_id, due.ticket, NOW, outcome);
        }
        assert!(step < 10_000, "it ends");
    }
    unreachable!()
}

#[test]
fn a_backfill_fetches_each_id_once_and_none_that_is_mirrored() {
    let mut connection = in_memory();
    for talk_id in 1..=50 {
        mirror(&mut connection, talk(talk_id * 2), NOW);
    }
    begin_backfill(&mut connection, None, None, NOW).unwrap();
    let (state, _) = walk(&mut connection, 100);
    assert_eq!((state.from.get(), state.to.get(), state.queued), (100, 1, 50));
    let talks: i64 = connection.query_row("SELECT count(*) FROM talks", [], |row| row.get(0)).unwrap();
    assert_eq!(talks, 100);
}

#[test]
fn a_backfill_ends_at_500_unknown_ids_in_a_row_and_not_at_499() {
    for (known, ends_there) in [(500, false), (501, true)] {
        let mut connection = in_memory();
        begin_backfill(&mut connection, Some(TalkId::new(1)), Some(TalkId::new(2000)), NOW).unwrap();
        for unknown in 1..known {
            connection.execute("INSERT INTO tombstones VALUES (?1, 1)", [unknown]).unwrap();
        }
        mirror(&mut connection, talk(known), NOW);
        let (state, _) = walk(&mut connection, 0);
        let (looked_at, _) = state.progress();
        assert_eq!(looked_at < 600, ends_there, "{state:?}");
    }
}

#[test]
fn a_backfill_passes_over_what_backs_off_and_can_be_ended() {
    let mut connection = in_memory();
    begin_backfill(&mut connection, Some(TalkId::new(3)), Some(TalkId::new(1)), NOW).unwrap();
    request(&mut connection, FeedRequest::Backfill { room: 10, now: NOW });
    connection.execute("UPDATE talk_queue SET attempts = 1, due_at = ?1 + 900", [NOW]).unwrap();
    let fed = request(&mut connection, FeedRequest::Backfill { room: 10, now: NOW });
    assert!(matches!(&fed, Fed::Backfill(Some(walk), 0) if walk.ended.is_some()), "{fed:?}");
    assert_eq!(
        request(&mut connection, FeedRequest::Backfill { room: 10, now: NOW }),
        Fed::Backfill(None, 0)
    );

    begin_backfill(&mut connection, Some(TalkId::new(30)), Some(TalkId::new(1)), NOW).unwrap();
    assert!(end_backfill(&mut connection, NOW).unwrap().is_some());
    assert!(end_backfill(&mut connection, NOW).unwrap().is_none());
    assert_eq!(
        request(&mut connection, FeedRequest::Backfill { room: 10, now: NOW }),
        Fed::Backfill(None, 0)
    );
}

#[test]
fn an_error_lasts_from_its_start_until_a_run_without_one() {
    let connection = in_memory();
    let noted = |trouble: Option<&str>, now| {
        let now = UnixSeconds::new(now);
        let trouble = trouble.map(str::to_owned);
        let note = Note {
            feeder: Feeder::Events,
            ran: Some((now, 2)),
            added: 2,
            error: trouble,
            warned_at: None,
            cursor: Some(serde_json::json!({"until": now})),
            now,
        };
        self::note(&connection, &note).unwrap();
        row(&connection, Feeder::Events).unwrap().unwrap()
    };
    noted(Some("a"), 10);
    let second = noted(Some("b"), 20);
    assert_eq!(
        (second.trouble.as_deref(), second.trouble_since, second.found_in_all),
        (Some("b"), Some(UnixSeconds::new(10)), 4)
    );
    let third = noted(None, 30);
    assert_eq!((third.trouble, third.trouble_since), (None, None));
    assert_eq!(third.cursor, Some(serde_json::json!({"until": 30})));
}

/// What a refresh chooses from a mirror by these rules, from the writer's memory.
fn refreshed(candidates: &mut Candidates, connection: &mut Connection, closed_for: Duration) -> Vec<i64> {
    let request =
        FeedRequest::Refresh { rules: rules(closed_for), room: 100, shares: Shares::default(), now: NOW };
    request_with(candidates, connection, request);
    let refreshed = connection
        .prepare("DELETE FROM talk_queue WHERE reason = 'refresh' RETURNING talk_id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<Vec<i64>>>();
    let mut refreshed = refreshed.unwrap();
    refreshed.sort_unstable();
    refreshed
}

fn noted(candidates: &mut Candidates, connection: &mut Connection, feeder: Feeder, trouble: Option<&str>) {
    let trouble = trouble.map(str::to_owned);
    let note = Note {
        feeder,
        ran: Some((NOW, 0)),
        added: 0,
        error: trouble,
        warned_at: None,
        cursor: None,
        now: NOW,
    };
    request_with(candidates, connection, FeedRequest::Note(note));
}

#[test]
fn a_talk_that_the_listing_shows_unchanged_is_left_until_the_hour_is_over() {
    let mut connection = in_memory();
    for (talk_id, fetched_ago) in [(1, 3600), (2, 3600), (3, 3601), (4, 3600)] {
        mirror(&mut connection, talk(talk_id), NOW - fetched_ago);
    }
    mirror(&mut connection, Talk { is_in_work: false, ..talk(5) }, NOW - 3600);
    let closed_for = Duration::from_secs(7 * 86_400);
    let (connection, candidates) = (&mut connection, &mut Candidates::default());
    assert_eq!(refreshed(candidates, connection, closed_for), [1, 2, 3, 4, 5]);
    let row = |talk_id| Listed {
        talk_id: TalkId::new(talk_id),
        updated_at: Some(NOW - 3600),
        is_in_work: Some(true),
        is_read: Some(true),
    };
    let listed = vec![row(1), Listed { is_read: Some(false), ..row(2) }, row(3)];
    request_with(candidates, connection, FeedRequest::Compare { listed, now: NOW });
    let seen = Arc::new(HashSet::from([1, 2, 3, 4].map(TalkId::new)));
    request_with(candidates, connection, FeedRequest::Unseen { seen, before: NOW, now: NOW });
    noted(candidates, connection, Feeder::Listing, None);
    assert_eq!(refreshed(candidates, connection, closed_for), [1, 2, 3, 4, 5], "no events: not watched");
    noted(candidates, connection, Feeder::Events, None);
    assert_eq!(refreshed(candidates, connection, closed_for), [2, 3, 4], "1 is as mirrored, and so is 5");
    noted(candidates, connection, Feeder::Listing, Some("not served"));
    assert_eq!(refreshed(candidates, connection, closed_for), [1, 2, 3, 4, 5]);
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Following the commits gives the same as reading the database again.
        #[test]
        fn the_candidates_in_memory_are_those_in_the_database(
            steps in proptest::collection::vec((1i64..8, 0u8..6, any::<bool>(), 0i64..20), 1..40),
        ) {
            let closed_for = Duration::from_secs(10 * 3600);
            let (mut connection, mut kept) = (in_memory(), Candidates::default());
            refreshed(&mut kept, &mut connection, closed_for);
            for (number, (talk_id, what, is_in_work, hours)) in steps.into_iter().enumerate() {
                let at = NOW - 5000 + number as i64;
                let outcome = match what {
                    0 => Outcome::Gone,
                    1 => Outcome::Denied { due_at: NOW + 86_400, error: "denied".into() },
                    2 => Outcome::Failed { error: "fails".into() },
                    _ => {
                        let updated_at = NOW - hours * 3600;
                        let talk = Talk { is_in_work, updated_at, is_read: Some(what == 3), ..talk(talk_id) };
                        Outcome::Talk(Box::new(FetchedTalk::new(talk, "{}")))
                    }
                };
                let record = Record { talk_id: TalkId::new(talk_id), ticket: None, at, outcome, close_context: None };
                let recorded = record::tests::record(&connection, &record);
                kept.recorded(&record, recorded.effect);
            }
            let before = refreshed(&mut kept, &mut connection, closed_for);
            let reread = refreshed(&mut Candidates::default(), &mut connection, closed_for);
            prop_assert_eq!(before, reread);
            let unseen = |candidates: &Candidates| candidates.unseen(&HashSet::new(), NOW, NOW);
            let mut reread = Candidates::default();
            refreshed(&mut reread, &mut connection, closed_for);
            prop_assert_eq!(unseen(&kept), unseen(&reread));
        }
    }
}
