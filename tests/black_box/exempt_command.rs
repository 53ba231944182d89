//! `talkmirror exempt`: adds, lists and removes rows, also while the daemon runs.

use crate::closing::{LIVE, missed};
use crate::harness::{Mirror, account, unix_now};
use crate::snapshots::assert_said;

#[test]
fn a_row_is_added_listed_and_removed_while_the_daemon_runs() {
    let mirror = missed(2, "");
    mirror.execute("UPDATE talks SET contact_id = 42, lead_id = 50 + talk_id");
    let daemon = mirror.running_daemon();
    let add = |arguments: &[&str]| mirror.ends(0, &[&["exempt", "add"], arguments].concat()).0;
    assert_said!(add(&["--contact", "42", "--until", "2099-01-01", "--reason", "VIP"]), @"Row 1 of close_exemptions keeps talks of contact 42 from being closed until [time] UTC: 2 talks are open now");
    assert_said!(add(&["--talk", "1", "--until", "30d"]), @"Row 2 of close_exemptions keeps talk 1 from being closed until [time] UTC: 1 talk is open now");
    assert_said!(add(&["--chat", " a-1 ", "--reason", "a\x1b[2Jb"]), @"Row 3 of close_exemptions keeps talks of chat a-1 from being closed: none is open now");
    assert_said!(add(&["--user", "501", "--until", "2099-01-01T12:00:00+03:00"]), @"Row 4 of close_exemptions keeps talks whose lead is user 501's from being closed until [time] UTC: none is open now; 2 talks whose lead is not known are kept too");
    mirror.execute("INSERT INTO leads (lead_id, pipeline_id, fetched_at) VALUES (51, 7, unixepoch()), (52, 8, unixepoch())");
    assert_said!(add(&["--pipeline", "7"]), @"Row 5 of close_exemptions keeps talks whose lead is in pipeline 7 from being closed: 1 talk is open now");
    let rows = "SELECT group_concat(concat_ws(' ', id, talk_id, contact_id, chat_id, user_id, pipeline_id, reason), '; ')
                  FROM close_exemptions";
    assert_said!(mirror.sql::<String>(rows).escape_debug(), @r"1 42 VIP; 2 1; 3 a-1 a\u{1b}[2Jb; 4 501; 5 7");
    let until = "SELECT until BETWEEN unixepoch() + 30 * 86400 - 60 AND unixepoch() + 30 * 86400
                   FROM close_exemptions WHERE id = 2";
    assert!(mirror.sql::<bool>(until));

    mirror.execute("UPDATE close_exemptions SET until = 5 WHERE id = 2");
    let (out, _) = mirror.ends(0, &["exempt", "list"]);
    assert_said!(out, @r"
    ROW  EXEMPT  UNTIL (UTC)  ADDED  REASON
    1  contact 42  [time]  [n] s ago  VIP
    3  chat a-1  -  [n] s ago  a\u{1b}[2Jb
    4  user 501  [time]  [n] s ago
    5  pipeline 7  -  [n] s ago
    1 more no longer count: --all shows them
    ");
    let (out, _) = mirror.ends(0, &["exempt", "list", "--all"]);
    assert!(out.contains("1970-01-01 00:00:05, over"), "{out}");
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&mirror.ends(0, arguments).0).unwrap()
    };
    assert_eq!(json(&["exempt", "list", "--json"]).as_array().unwrap().len(), 4);
    let all = json(&["exempt", "list", "--all", "--json"]);
    assert_eq!(
        (&all[1]["talk_id"], &all[1]["until"], &all[1]["counts"]),
        (&1.into(), &5.into(), &false.into())
    );
    assert_eq!(
        (&all[2]["chat_id"], &all[2]["reason"]),
        (&"a-1".into(), &"a\x1b[2Jb".into()),
        "to the letter"
    );
    assert!(all[0]["created_at"].as_i64().unwrap() > unix_now() - 600);

    let (out, err) = mirror.ends(1, &["exempt", "remove", "1", "3", "99"]);
    assert_said!(out + &err, @"
    2 rows removed: these talks may be closed again, unless another row keeps them
    error: not in close_exemptions: 99
    ");
    mirror.ends(0, &["exempt", "remove", "2", "4", "5"]);
    let (out, _) = mirror.ends(0, &["exempt", "list"]);
    assert_said!(out, @"No exemption counts now.");
    assert_eq!(json(&["exempt", "list", "--json"]), serde_json::json!([]));
    daemon.stop();
}

#[test]
fn a_row_that_comes_too_late_for_a_close_request_says_so() {
    let mirror = missed(2, "");
    mirror.execute(
        "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                               requested_at, http_status, outcome, attempts)
         VALUES (1, 'live', 5, 6, 'r', 1, 7, 7, 202, 'accepted', 1)",
    );
    let (out, _) = mirror.ends(0, &["exempt", "add", "--talk", "1"]);
    assert_said!(out, @"
    Row 1 of close_exemptions keeps talk 1 from being closed: 1 talk is open now
    warning: for 1 talk of these a close request has left already: see the table closures
    ");
}

#[test]
fn wrong_usage_of_exempt_ends_with_2_and_adds_nothing() {
    let mirror = Mirror::new(account(0));
    for arguments in [
        &["exempt"][..],
        &["exempt", "add"],
        &["exempt", "add", "--reason", "VIP"],
        &["exempt", "add", "--talk", "1", "--contact", "2"],
        &["exempt", "add", "--talk", "0"],
        &["exempt", "add", "--contact", "-1"],
        &["exempt", "add", "--contact", "x"],
        &["exempt", "add", "--chat", " "],
        &["exempt", "add", "--talk", "1", "--until", "soon"],
        &["exempt", "add", "--talk", "1", "--reason", ""],
        &["exempt", "add", "--talk", "1", "--reason", &"x".repeat(501)],
        &["exempt", "remove"],
        &["exempt", "remove", "x"],
    ] {
        mirror.ends(2, arguments);
    }
    assert!(!mirror.database().exists());
    for over in ["2020-01-01", "2020-01-01T00:00:00Z"] {
        let (_, err) = mirror.ends(1, &["exempt", "add", "--talk", "1", "--until", over]);
        assert_said!(err, @"error: --until [time] UTC is over: nothing was added; give a time in the future");
    }
    assert!(!mirror.database().exists());
}

#[test]
fn exempt_needs_only_the_path_of_the_database() {
    let mirror = missed(1, LIVE);
    mirror.configure(&format!("{LIVE}api.base_url = \"ftp://nowhere\"\n"));
    mirror.ends(0, &["exempt", "add", "--talk", "1"]);
    mirror.ends(0, &["exempt", "list"]);
    mirror.ends(0, &["exempt", "remove", "1"]);
}
