//! Each row of the table of responses: its effect on the talk, its row and the mirror.

use crate::harness::{Mirror, account, response};
use crate::snapshots::{assert_said, part};
use std::time::Duration;
use talkmirror_simulator::Fault;

/// The API page's own example, unchanged.
const EXAMPLE: &str = r#"{"talk_id":117,"created_at":1631018291,"updated_at":1631035929,"rate":0,"contact_id":3372695,
 "chat_id":"88278e98-2b8d-4ae2-a5f0-bfab511cd621","entity_id":667999637,"entity_type":"lead","is_in_work":true,
 "is_read":true,"origin":"telegram","missed_at":null,"account_id":17029541,
 "_links":{"self":{"href":"https://example.amocrm.ru/api/v4/talks/117"}},
 "_embedded":{"contacts":[{"id":3372695,"_links":{"self":{"href":"https://example.amocrm.ru/api/v4/contacts/3372695"}}}],
  "leads":[{"id":667999637,"_links":{"self":{"href":"https://example.amocrm.ru/api/v4/leads/667999637"}}}],"customers":[]}}"#;

/// A mirror with these next responses for talk 117.
fn answering(faults: impl IntoIterator<Item = Fault>) -> Mirror {
    let mirror = Mirror::new(account(200));
    mirror.simulator.account().script(117, faults);
    mirror
}

#[test]
fn the_api_page_s_example_is_stored_field_by_field() {
    let mirror = answering([response(EXAMPLE)]);
    mirror.ends(0, &["sync", "117"]);
    for (column, expected) in [
        ("talk_id", "117"),
        ("created_at", "1631018291"),
        ("updated_at", "1631035929"),
        ("rate", "0"),
        ("contact_id", "3372695"),
        ("chat_id", "'88278e98-2b8d-4ae2-a5f0-bfab511cd621'"),
        ("entity_id", "667999637"),
        ("entity_type", "'lead'"),
        ("is_in_work", "1"),
        ("is_read", "1"),
        ("origin", "'telegram'"),
        ("missed_at", "NULL"),
        ("account_id", "17029541"),
        ("status", "NULL"),
        ("source_id", "NULL"),
        ("lead_id", "667999637"),
        ("customer_id", "NULL"),
        ("closed_at", "NULL"),
        ("gone_at", "NULL"),
        ("denied_at", "NULL"),
    ] {
        assert_eq!(mirror.sql::<String>(&format!("SELECT quote({column}) FROM talks")), expected, "{column}");
    }
    assert_eq!(mirror.sql::<String>("SELECT payload FROM talks"), EXAMPLE, "as received");
    let fresh = "SELECT first_fetched_at = fetched_at AND fetched_at = changed_at
                    AND abs(fetched_at - unixepoch()) < 60 FROM talks";
    assert!(mirror.sql::<bool>(fresh));
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions WHERE valid_to IS NULL"), 1);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    assert_eq!(mirror.sql::<String>("SELECT value FROM mirror_info WHERE key = 'account_id'"), "17029541");
    assert_eq!(mirror.sql::<String>("SELECT created_at FROM talks_iso"), "2021-09-07T12:38:11Z");

    let account = mirror.simulator.account();
    let request = &account.log[0];
    assert_eq!(request.user_agent, concat!("talkmirror/", env!("CARGO_PKG_VERSION")));
    assert!(request.accept_encoding.contains("gzip"), "{}", request.accept_encoding);
}

#[test]
fn a_compressed_answer_is_read() {
    // `{"talk_id":…}` of the example with other numbers, gzipped.
    let body = include_bytes!("talk-117.json.gz").to_vec();
    let headers = vec![("content-type", "application/hal+json"), ("content-encoding", "gzip")];
    let mirror = answering([Fault::Answer { status: 200, headers, body }]);
    mirror.ends(0, &["sync", "117"]);
    assert_eq!(mirror.sql::<i64>("SELECT contact_id FROM talks"), 4242);
}

#[test]
fn a_compressed_body_is_capped_by_what_it_unpacks_to() {
    let body = include_bytes!("two-megabytes.gz").to_vec();
    let headers = vec![("content-type", "application/hal+json"), ("content-encoding", "gzip")];
    let mirror = answering([Fault::Answer { status: 200, headers, body }]);
    mirror.configure("queue.max_attempts = 1\n");
    mirror.ends(1, &["sync", "117"]);
    assert_said!(mirror.sql::<String>("SELECT last_error FROM talk_queue"), @"the body is over 1 MiB");
}

#[test]
fn a_body_that_is_no_such_talk_is_that_talk_s_failure_and_touches_no_stored_row() {
    let field = |name: &str, value: &str| {
        let talk: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
        let mut talk = talk.as_object().unwrap().clone();
        talk.insert(name.into(), serde_json::from_str(value).unwrap());
        response(serde_json::Value::from(talk))
    };
    let mut said = String::new();
    for fault in [
        Fault::Empty,
        Fault::NotJson,
        Fault::WrongId,
        Fault::Missing("is_in_work"),
        Fault::Truncated,
        Fault::TooLarge,
        field("updated_at", "\"soon\""),
        field("is_in_work", "{}"),
        field("account_id", "null"),
        field("updated_at", "1.5"),
        Fault::Answer { status: 200, headers: vec![], body: vec![0xff, 0xfe, 0x00] },
        field("updated_at", "1631035929000"),
        field("talk_id", "\"Bearer simulated-token\""),
        Fault::Problem(400),
        Fault::Problem(422),
        Fault::Redirect("https://other.amocrm.ru/api/v4/talks/117".into()),
    ] {
        let mirror = answering([response(EXAMPLE), fault.clone()]);
        mirror.configure("queue.max_attempts = 1\n");
        mirror.ends(0, &["sync", "117"]);
        let before: String =
            mirror.sql("SELECT json_array(t.payload, t.fetched_at, t.changed_at) FROM talks t");

        let (out, _) = mirror.ends(1, &["sync", "117", "5", "--json"]);
        let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(summary["failed"], 1, "{fault:?}: {out}");
        let row: String = mirror.sql(
            "SELECT json_array(attempts, failed_at IS NOT NULL) || last_error FROM talk_queue WHERE talk_id = 117",
        );
        let (state, error) = row.split_at("[1,1]".len());
        assert_eq!(state, "[1,1]", "{fault:?}: {row}");
        said += &format!("{error}\n");
        let after: String = mirror
            .sql("SELECT json_array(t.payload, t.fetched_at, t.changed_at) FROM talks t WHERE talk_id = 117");
        assert_eq!(before, after, "{fault:?}");
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions WHERE talk_id = 117"), 1);
        assert_eq!(mirror.simulator.account().requests_of(117), 2, "not followed, not repeated: {fault:?}");
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks WHERE talk_id = 5"), 1, "others go on");
    }
    assert_said!(said, @r#"
    the answer holds no valid talk: the body is empty
    the answer holds no valid talk: it is a web page
    the answer holds no valid talk: talk_id: expected 117, found 118
    the answer holds no valid talk: the body: missing field `is_in_work` at line 1 column 583
    the answer holds no valid talk: the body: EOF while parsing a string at line 1 column 300
    the body is over 1 MiB
    the answer holds no valid talk: updated_at: invalid value: string "soon", expected a whole number at line 1 column 585
    the answer holds no valid talk: is_in_work: invalid type: map, expected true or false at line 1 column 488
    the answer holds no valid talk: account_id: invalid type: null, expected a whole number at line 1 column 331
    the answer holds no valid talk: updated_at: invalid value: floating point `1.5`, expected a whole number at line 1 column 582
    the answer holds no valid talk: the body is not UTF-8
    the answer holds no valid talk: updated_at: expected Unix seconds before the year 2100, found 1631035929000
    the answer holds no valid talk: talk_id: invalid value: string "Bearer [token]", expected a whole number at line 1 column 586
    HTTP 400: not an answer that the API documents
    HTTP 422: not an answer that the API documents
    HTTP 302: redirected to https://other.amocrm.ru/api/v4/talks/117, which is not followed: is api.base_url the account's address?
    "#);
}

#[test]
fn a_failure_that_may_pass_is_tried_again_with_backoff() {
    for fault in [
        Fault::Problem(500),
        Fault::Html(502),
        Fault::Html(503),
        Fault::Html(504),
        Fault::Html(404),
        Fault::Reset,
        Fault::CutOff,
        Fault::Hang(Duration::from_secs(20)),
    ] {
        let mirror = answering([fault.clone(), fault.clone()]);
        mirror.configure("api.timeout = \"500ms\"\n");
        let (out, _) = mirror.ends(0, &["sync", "117", "--json"]);
        let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(summary["mirrored"], 1, "{fault:?}");
        // The connection worked before, so the first failure is repeated at once and does not count.
        let retries = if fault == Fault::Reset { 1 } else { 2 };
        assert_eq!(summary["retries"], retries, "{fault:?}");
        assert_eq!(mirror.simulator.account().requests_of(117), 3, "{fault:?}");
        assert_eq!(mirror.sql::<i64>("SELECT count(gone_at) FROM talks"), 0, "{fault:?}");
    }
}

#[test]
fn attempts_and_backoff_are_in_the_row_and_survive_a_restart() {
    let mirror = answering(vec![Fault::Problem(500); 50]);
    mirror.configure("queue.retry_base = \"1d\"\nqueue.retry_max = \"30d\"\n");
    mirror.ends(0, &["enqueue", "117"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the first failure", "SELECT attempts FROM talk_queue", 1);
    daemon.kill_hard();
    assert!(mirror.sql::<bool>("SELECT due_at BETWEEN unixepoch() AND unixepoch() + 86400 FROM talk_queue"));

    // Another process finds this state, and leaves the row until it is due.
    mirror.execute("UPDATE talk_queue SET due_at = unixepoch() + 3600");
    mirror.ends(0, &["sync"]);
    let row =
        "SELECT json_array(attempts, last_error, failed_at) FROM talk_queue WHERE due_at > unixepoch() + 60";
    assert_said!(mirror.sql::<String>(row), @r#"[1,"HTTP 500: the server failed",null]"#);
    assert_eq!(mirror.simulator.account().requests_of(117), 1);
}

#[test]
fn a_404_and_a_204_mark_the_talk_gone_and_a_later_200_clears_it() {
    for fault in [Fault::Problem(404), Fault::NoContent] {
        let mirror = answering([response(EXAMPLE), fault]);
        mirror.ends(0, &["sync", "117"]);
        let (out, _) = mirror.ends(0, &["sync", "117"]);
        assert_said!(part(&out, "Gone"), @"Gone  1: the account has no such talk");
        assert!(mirror.sql::<bool>("SELECT gone_at IS NOT NULL AND payload LIKE '%telegram%' FROM talks"));
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions"), 1);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM open_talks"), 0);

        mirror.ends(0, &["sync", "117"]);
        assert!(mirror.sql::<bool>("SELECT gone_at IS NULL FROM talks"));
    }
}

#[test]
fn an_id_that_never_existed_leaves_a_tombstone() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "99"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 0);
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM tombstones"), 99);
    let (out, _) = mirror.ends(0, &["why", "99"]);
    assert_said!(part(&out, "State"), @"State  does not exist, as the API reported [time] ([n] s ago)");
}

#[test]
fn a_403_with_a_problem_report_is_denied_and_tried_again_after_a_day() {
    let mirror = answering([response(EXAMPLE), Fault::Problem(403)]);
    mirror.ends(0, &["sync", "117"]);
    let (out, _) = mirror.ends(1, &["sync", "117"]);
    assert_said!(format!("{}{}", part(&out, "Denied"), part(&out, "Waiting")), @"
    Denied  1: the token has no right to them; retried in a day
    Waiting  1 talk, the next in 24 h: see `talkmirror queue list`
    ");
    assert!(mirror.sql::<bool>("SELECT denied_at IS NOT NULL FROM talks"));
    assert!(mirror.sql::<bool>(
        "SELECT due_at - unixepoch() BETWEEN 86000 AND 86401 AND attempts = 0 AND failed_at IS NULL FROM talk_queue"
    ));
    mirror.ends(0, &["sync", "117"]);
    assert!(mirror.sql::<bool>("SELECT denied_at IS NULL FROM talks"));
}

#[test]
fn a_change_makes_a_version_and_the_same_answer_none() {
    let mirror = Mirror::new(account(3));
    mirror.simulator.account().talk(2).is_in_work = true;
    mirror.ends(0, &["sync", "1..3"]);
    mirror.ends(0, &["sync", "2"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions"), 3);
    {
        let mut account = mirror.simulator.account();
        let talk = account.talk(2);
        talk.is_in_work = false;
        talk.updated_at += 10;
    }
    mirror.ends(0, &["sync", "2"]);
    let versions: String = mirror.sql(
        "SELECT json_group_array(json_array(version, valid_to IS NULL, is_in_work)) FROM
           (SELECT * FROM talk_versions WHERE talk_id = 2 ORDER BY version)",
    );
    assert!(versions.ends_with("[2,1,0]]"), "{versions}");
    assert!(mirror.sql::<bool>(
        "SELECT closed_at = fetched_at AND changed_at = fetched_at FROM talks WHERE talk_id = 2"
    ));
    let at = "SELECT count(*) FROM talk_versions WHERE talk_id = 2
               AND valid_from <= unixepoch() AND (valid_to IS NULL OR valid_to > unixepoch())";
    assert_eq!(mirror.sql::<i64>(at), 1, "one state at any time");
    mirror.assert_mirrors_the_account();
}

#[test]
fn an_older_answer_never_overwrites_a_newer_one() {
    let older = EXAMPLE.replace("1631035929", "1631035928").replace("true", "false");
    let equal = EXAMPLE.replace("telegram", "viber");
    let mirror = answering([response(EXAMPLE), response(&older), response(&equal)]);
    mirror.ends(0, &["sync", "117"]);
    mirror.ends(0, &["sync", "117"]);
    assert_eq!(mirror.sql::<String>("SELECT payload FROM talks"), EXAMPLE);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_versions"), 1);
    mirror.ends(0, &["sync", "117"]);
    assert_eq!(mirror.sql::<String>("SELECT origin FROM talks"), "viber", "of equals, the later fetch wins");
}

#[test]
fn one_answer_of_another_account_amid_good_ones_is_that_talk_s_failure() {
    let mirror = answering([Fault::OtherAccount]);
    mirror.configure("queue.max_attempts = 1\napi.max_in_flight = 1\n");
    mirror.ends(0, &["enqueue", "117"]);
    mirror.execute("INSERT INTO talk_queue (talk_id, priority) VALUES (5, 1)");
    mirror.ends(1, &["sync"]);
    assert_said!(mirror.sql::<String>("SELECT last_error FROM talk_queue"), @"the answer holds no valid talk: account_id: expected 17029541, found 1");
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM talks"), 5);
}

#[test]
fn a_tombstone_goes_when_the_talk_turns_up() {
    let mirror = answering([Fault::Problem(404)]);
    mirror.ends(0, &["sync", "117"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM tombstones"), 1);
    mirror.ends(0, &["sync", "117"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM tombstones"), 0);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 1);
}
