use super::*;
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::talk::Talk;
use crate::talk::tests::open_talk;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
const TALK: TalkId = TalkId::new(1);

/// A mirror of talk 1: of contact 42, chat `a-1` and lead 5.
fn mirror() -> Connection {
    let connection = in_memory();
    let talk = open_talk(1, NOW);
    let talk = Talk { contact_id: Some(42), chat_id: Some("a-1".into()), lead_id: Some(5), ..talk };
    fetched(&connection, talk, NOW);
    connection
}

fn insert(connection: &Connection, columns: &str, values: &str) {
    let sql = format!("INSERT INTO close_exemptions ({columns}) VALUES ({values})");
    connection.execute_batch(&sql).unwrap();
}

fn exempting(connection: &Connection, now: UnixSeconds) -> Option<String> {
    of_talk(connection, TALK, now).unwrap().map(|exempting| exempting.to_string())
}

#[test]
fn a_row_exempts_until_the_second_that_it_names() {
    let connection = mirror();
    insert(&connection, "contact_id, until", &format!("42, {NOW}"));
    assert_eq!(exempting(&connection, NOW), None);
    assert!(exempting(&connection, NOW.later_by(-1)).is_some());
    assert_eq!(
        (counting(&connection, NOW).unwrap(), counting(&connection, NOW.later_by(-1)).unwrap()),
        (0, 1)
    );
}

#[test]
fn a_row_that_certainly_matches_is_named_before_one_that_may_and_then_the_lowest_id() {
    let connection = mirror();
    insert(&connection, "pipeline_id", "7");
    let unknown = "its lead is not known, so it may be exempt by row 1 of close_exemptions (pipeline 7)";
    assert_eq!(exempting(&connection, NOW).unwrap(), unknown);
    insert(&connection, "chat_id", "' A-1'");
    insert(&connection, "contact_id, reason", "42, 'VIP'");
    assert_eq!(exempting(&connection, NOW).unwrap(), "exempt by row 2 of close_exemptions (chat  A-1)");
    remove(&connection, 2).unwrap();
    assert_eq!(exempting(&connection, NOW).unwrap(), "exempt by row 3 of close_exemptions (contact 42): VIP");
}

#[test]
fn a_lead_of_another_user_and_pipeline_does_not_exempt_once_it_is_known() {
    let connection = mirror();
    insert(&connection, "pipeline_id", "7");
    insert(&connection, "user_id", "501");
    let lead = |user: &str, pipeline: &str, gone_at: &str| {
        let sql = format!(
            "INSERT OR REPLACE INTO leads (lead_id, responsible_user_id, pipeline_id, fetched_at, gone_at)
             VALUES (5, {user}, {pipeline}, {}, {gone_at})",
            NOW - 9
        );
        connection.execute_batch(&sql).unwrap();
    };
    lead("NULL", "NULL", "1");
    assert!(exempting(&connection, NOW).unwrap().contains("not known"), "it was gone before it was fetched");
    lead("502", "NULL", "NULL");
    assert!(exempting(&connection, NOW).unwrap().contains("row 1"));
    lead("502", "8", "NULL");
    assert_eq!(exempting(&connection, NOW), None);
    lead("502", "8", "1");
    assert!(
        exempting(&connection, NOW).unwrap().contains("not known"),
        "it may be another user's now, whom the token may not see"
    );
    lead("501", "8", "NULL");
    assert_eq!(exempting(&connection, NOW).unwrap(), "exempt by row 2 of close_exemptions (user 501)");
}

#[test]
fn a_lead_that_was_last_read_more_than_two_days_ago_is_not_known() {
    let connection = mirror();
    insert(&connection, "user_id", "501");
    for (ago, is_known) in [(0, true), (2 * 86_400, true), (2 * 86_400 + 1, false), (-60, true), (-61, false)]
    {
        connection
            .execute(
                "INSERT OR REPLACE INTO leads (lead_id, responsible_user_id, pipeline_id, fetched_at)
                 VALUES (5, 502, 8, ?1)",
                [NOW - ago],
            )
            .unwrap();
        assert_eq!(exempting(&connection, NOW).is_none(), is_known, "{ago} s ago");
    }
}

#[test]
fn what_anyone_may_insert_is_read_and_cut() {
    let connection = mirror();
    insert(
        &connection,
        "talk_id, reason, until",
        "1, CAST(x'ff1b5b' AS TEXT) || hex(zeroblob(600000)), 9e18",
    );
    let exempting = of_talk(&connection, TALK, NOW).unwrap().unwrap();
    let reason = exempting.exemption.reason.unwrap();
    assert_eq!(reason.chars().count(), 200);
    assert!(reason.starts_with('\u{fffd}'), "{reason}");
    insert(&connection, "chat_id, until", "CAST(x'ff' AS TEXT), -9223372036854775808");
    let mut found = Vec::new();
    list(&connection, |exemption, _| -> rusqlite::Result<()> {
        found.push(exemption.target.to_string());
        Ok(())
    })
    .unwrap();
    assert_eq!(found, ["talk 1", "chat \u{fffd}"]);
}

#[test]
fn a_row_is_for_exactly_one_thing() {
    let connection = mirror();
    for (columns, values) in [("reason", "'none'"), ("talk_id, contact_id", "1, 2")] {
        let sql = format!("INSERT INTO close_exemptions ({columns}) VALUES ({values})");
        let refused = connection.execute_batch(&sql).unwrap_err().to_string();
        assert!(refused.contains("give exactly one of talk_id, contact_id, chat_id"), "{refused}");
    }
}

#[test]
fn a_row_counts_the_open_talks_that_it_keeps() {
    let connection = mirror();
    for (talk_id, contact_id, lead_id, is_in_work) in [
        (2, Some(42), None, true),
        (3, Some(42), None, false),
        (4, None, Some(6), true),
        (5, Some(1), None, true),
    ] {
        let talk = Talk { contact_id, lead_id, is_in_work, ..open_talk(talk_id, NOW) };
        fetched(&connection, talk, NOW);
    }
    connection
        .execute_batch(
            "INSERT INTO leads (lead_id, responsible_user_id, fetched_at) VALUES (5, 501, 1700000000)",
        )
        .unwrap();
    let kept = |target| {
        let id = add(&connection, &target, None, None, NOW).unwrap();
        let KeptTalks { certain, possible, being_closed } = kept_by(&connection, id, NOW).unwrap();
        assert_eq!(being_closed, 0);
        (certain, possible)
    };
    assert_eq!(kept(ExemptionTarget::Contact(42)), (2, 1));
    assert_eq!(kept(ExemptionTarget::User(501)), (1, 1));
    assert_eq!(kept(ExemptionTarget::Pipeline(9)), (0, 2));
    assert_eq!(kept(ExemptionTarget::Talk(TalkId::new(3))), (0, 0), "it is closed");
    assert_eq!(kept(ExemptionTarget::Chat("a-1".into())), (1, 0));
    for (talk_id, attempts) in [(1, 1), (2, 0)] {
        let closure = "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at,
                                             requested_at, outcome, attempts)
                       VALUES (?1, 'live', 1, 'missed', 1, 1, 1, 'requested', ?2)";
        connection.execute(closure, [talk_id, attempts]).unwrap();
    }
    assert_eq!(kept_by(&connection, 1, NOW).unwrap().being_closed, 1, "the request for talk 2 has not left");
}
