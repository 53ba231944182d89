//! Talks that are never closed: rows of `close_exemptions`, whenever they come and go.

use crate::closing::{LIVE, missed};
use crate::closing_safety::NEVER;
use crate::harness::Mirror;
use crate::journal;
use crate::snapshots::{assert_said, part};

impl Mirror {
    /// Gives each talk of the account a contact, a chat and a lead of its own: 42, `chat-2` and 52 for talk 2.
    fn unlike(&self) {
        let mut account = self.simulator.account();
        for (talk_id, talk) in &mut account.talks {
            talk.contact_id = Some(40 + talk_id);
            talk.chat_id = Some(format!("chat-{talk_id}"));
            talk.lead_id = Some(50 + talk_id);
            (talk.entity_type, talk.entity_id) = (Some("lead".into()), talk.lead_id);
        }
    }

    fn exempt(&self, columns: &str, values: &str) {
        self.execute(&format!("INSERT INTO close_exemptions ({columns}) VALUES ({values})"));
    }

    /// The ids of the talks that are still open in the account.
    fn open(&self) -> Vec<i64> {
        let account = self.simulator.account();
        account.talks.values().filter(|talk| talk.is_in_work).map(|talk| talk.talk_id).collect()
    }

    /// Waits until two more sweeps have found nothing to close.
    fn wait_swept(&self) {
        for _ in 0..2 {
            let at: i64 = self.sql("SELECT unixepoch()");
            let swept = format!(
                "SELECT value ->> 'at' > {at} AND value ->> 'queued' = 0 FROM mirror_info
                  WHERE key = 'auto_close.last_sweep'"
            );
            self.wait_sql("a sweep finds nothing to close", &swept, true);
        }
    }
}

/// A mirror of stale talks that are all unlike each other. Nothing is closed before the daemon runs.
fn unlike(stale: i64, more: &str) -> Mirror {
    let mirror = missed(0, more);
    for number in 0..stale {
        mirror.simulator.account().create_missed(10 * 86_400 + 7000 - number * 60);
    }
    mirror.unlike();
    mirror.ends(0, &["sync", "--no-close", &format!("1..{stale}")]);
    mirror
}

#[test]
fn a_row_for_a_talk_a_contact_a_chat_a_user_or_a_pipeline_keeps_its_talks() {
    let mirror = unlike(8, LIVE);
    mirror.exempt("talk_id", "1");
    mirror.exempt("contact_id", "42");
    mirror.exempt("chat_id", "'chat-3'");
    mirror.exempt("user_id", "501");
    mirror.exempt("pipeline_id", "7");
    mirror.execute(
        "INSERT INTO leads (lead_id, responsible_user_id, pipeline_id, fetched_at)
         VALUES (54, 501, 8, unixepoch()), (55, 502, 7, unixepoch()), (57, 502, 8, unixepoch())",
    );
    // Talk 6 has a lead that is not known. Talk 8 has none.
    let mut account = mirror.simulator.account();
    let talk = account.talk(8);
    (talk.lead_id, talk.entity_type, talk.entity_id) = (None, None, None);
    drop(account);
    mirror.ends(0, &["sync", "--no-close", "8"]);

    let daemon = mirror.running_daemon();
    for talk_id in [7, 8] {
        mirror.wait_outcome(talk_id, "closed");
    }
    mirror.wait_swept();
    assert_eq!(mirror.open(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 2, "nothing was begun for the others");
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn a_talk_is_closed_once_its_row_is_removed() {
    let mirror = unlike(2, LIVE);
    mirror.exempt("contact_id", "41");
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(2, "closed");
    mirror.wait_swept();
    assert_eq!(mirror.open(), [1]);
    mirror.ends(0, &["exempt", "remove", "1"]);
    mirror.wait_outcome(1, "closed");
    daemon.stop();
}

#[test]
fn a_talk_is_closed_from_the_second_on_at_which_its_row_ends() {
    let mirror = unlike(1, LIVE);
    mirror.exempt("talk_id, until", "1, unixepoch() + 3");
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    let decided = "SELECT decided_at >= (SELECT until FROM close_exemptions) FROM closures";
    assert!(mirror.sql::<bool>(decided), "{}", mirror.log());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM close_exemptions"), 1, "it stays, to be looked up");
}

/// Inserts a row for the talk when that happens, in the transaction in which it happens.
fn exempt_when(mirror: &Mirror, what: &str, row: &str) {
    mirror.execute(&format!(
        "CREATE TRIGGER exempts AFTER {what}
         BEGIN INSERT INTO close_exemptions (talk_id, reason) VALUES ({row}, 'VIP'); END"
    ));
}

#[test]
fn a_row_that_comes_after_the_sweep_withdraws_the_closing() {
    let mirror = unlike(1, LIVE);
    exempt_when(&mirror, "UPDATE OF reason ON talk_queue WHEN new.reason = 'close'", "new.talk_id");
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "withdrawn");
    mirror.wait_swept();
    daemon.stop();
    assert_said!(mirror.sql::<String>("SELECT reason FROM closures"), @"exempt by row 1 of close_exemptions (talk 1): VIP");
    assert_said!(mirror.wait_logged(journal::WITHDRAWN), @r#"INFO kept talk 1: exempt by row 1 of close_exemptions (talk 1): VIP talk_id=1 outcome="withdrawn""#);
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM close_exemptions"), 1, "no sweep queued it again");
}

#[test]
fn a_row_that_comes_after_the_decision_keeps_the_close_request_from_leaving() {
    let mirror = unlike(1, LIVE);
    exempt_when(&mirror, "INSERT ON closures WHEN new.outcome = 'requested'", "new.talk_id");
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "withdrawn");
    mirror.wait_sql("nothing is left to do", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert_said!(mirror.wait_logged(journal::REQUEST_TOO_LATE), @"INFO close request of talk 1 not sent: exempt by row 1 of close_exemptions (talk 1): VIP talk_id=1");
    let row = "SELECT outcome || ' ' || attempts || ' ' || reason FROM closures";
    assert_said!(mirror.sql::<String>(row), @"withdrawn 0 exempt by row 1 of close_exemptions (talk 1): VIP");
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.open(), [1]);
}

#[test]
fn a_row_that_comes_after_a_lost_answer_keeps_the_request_from_being_repeated() {
    let mirror = unlike(1, LIVE);
    mirror.simulator.account().script_close(1, [talkmirror_simulator::Fault::Problem(500)]);
    exempt_when(&mirror, "UPDATE OF http_status ON closures WHEN new.http_status = 500", "new.talk_id");
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "withdrawn");
    daemon.stop();
    let row = "SELECT outcome || ' ' || attempts || ' ' || http_status || ' ' || reason FROM closures";
    assert_said!(mirror.sql::<String>(row), @"withdrawn 1 500 exempt by row 1 of close_exemptions (talk 1): VIP");
    assert_eq!(mirror.open(), [1]);
}

#[test]
fn a_dry_run_records_no_exempt_talk() {
    let dry = LIVE.replace("live", "dry-run");
    let mirror = unlike(3, &dry);
    mirror.exempt("talk_id", "1");
    // It comes when talk 2 is queued already.
    mirror.execute(
        "CREATE TRIGGER exempts AFTER UPDATE OF reason ON talk_queue WHEN new.talk_id = 2
         BEGIN INSERT INTO close_exemptions (talk_id) VALUES (2); END",
    );
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(3, "would_close");
    mirror.wait_outcome(2, "withdrawn");
    mirror.wait_swept();
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 2);
}

#[test]
fn exempt_talks_take_no_place_of_a_sweep_and_no_share_of_the_open_talks() {
    let few = LIVE.replace("max_share = 1.0", "max_share = 0.0");
    let mirror = unlike(22, &format!("{few}auto_close.max_per_sweep = 1\n"));
    // 20 talks may always be closed. The longest missed are exempt.
    mirror.exempt("talk_id", "1");
    mirror.exempt("contact_id", "42");
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 1);
    assert_eq!(mirror.sql::<i64>("SELECT min(talk_id) FROM closures"), 3);
}

#[test]
fn an_exempt_talk_is_not_closed_by_hand_either() {
    let mirror = unlike(2, &LIVE.replace("* * * * * *", NEVER));
    mirror.exempt("contact_id, reason", "41, 'VIP'");
    let (out, _) = mirror.ends(1, &["close", "1", "--yes"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    1  left  exempt by row 1 of close_exemptions (contact 41): VIP; `talkmirror exempt remove 1` ends that
    ");
    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(1, &["close", "1", "2", "--yes"]);
    assert_said!(out, @"
    1 talk queued to be closed by the running daemon; `talkmirror status` and the table closures show the results
    Talk 1 is not queued: exempt by row 1 of close_exemptions (contact 41): VIP; `talkmirror exempt remove 1` ends that
    ");
    mirror.wait_outcome(2, "closed");
    // A queue row that somebody inserts closes it no more than a sweep does.
    mirror.execute("INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1e9)");
    mirror.wait_outcome(1, "withdrawn");
    daemon.stop();
    assert_eq!(mirror.open(), [1]);
}

#[test]
fn stale_why_status_and_the_page_name_the_row() {
    let port = Mirror::free_port();
    let mirror = unlike(3, &format!("{LIVE}http.listen = \"127.0.0.1:{port}\"\n"));
    mirror.exempt("contact_id, reason, until", "41, 'VIP', unixepoch('2099-01-01')");
    mirror.exempt("pipeline_id", "7");
    mirror.exempt("talk_id, until", "3, 5");
    mirror.execute(
        "INSERT INTO leads (lead_id, pipeline_id, responsible_user_id, fetched_at) VALUES (52, 8, 1, unixepoch())",
    );
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_said!(out, @"
    1 of 3 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is live).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    2  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d
    1  instagram  10 d ago  10 d ago  kept: exempt by row 1 of close_exemptions (contact 41, until [time] UTC): VIP
    3  instagram  10 d ago  10 d ago  kept: its lead is not known, so it may be exempt by row 2 of close_exemptions (pipeline 7)

    Next: the next sweeps close them, if a fetch just before shows the same.
    ");
    let (out, _) = mirror.ends(0, &["stale", "--json"]);
    let stale: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        stale["kept"][0]["exemption"],
        serde_json::json!({"id": 1, "contact_id": 41, "reason": "VIP", "until": 4_070_908_800_i64, "is_certain": true})
    );
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_said!(part(&out, "Exempt"), @"Exempt  exempt by row 1 of close_exemptions (contact 41, until [time] UTC): VIP");
    assert_said!(part(&out, "Closing"), @"Closing  kept: exempt by row 1 of close_exemptions (contact 41, until [time] UTC): VIP");
    let (out, _) = mirror.ends(0, &["why", "3"]);
    assert_said!(part(&out, "Closing"), @"Closing  kept: its lead is not known, so it may be exempt by row 2 of close_exemptions (pipeline 7)");
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert!(!out.contains("exempt"), "{out}");

    let daemon = mirror.running_daemon();
    mirror.wait_outcome(2, "closed");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Exempt"), @"Exempt  2 rows of close_exemptions keep 2 stale talks from being closed; see `talkmirror exempt list`");
    assert_eq!(mirror.status()["exempt"]["stale"], 2);
    let (_, page) = mirror.get(port, "/");
    for named in [
        "Talk 1</a>: exempt by row 1 of close_exemptions (contact 41, until 2099-01-01 00:00:00 UTC): VIP",
        "Talk 3</a>: its lead is not known, so it may be exempt by row 2 of close_exemptions (pipeline 7)",
    ] {
        assert!(page.contains(named), "{page}");
    }
    mirror.execute("DELETE FROM close_exemptions WHERE until IS NULL OR until > 5");
    let (out, _) = mirror.ends(0, &["status"]);
    assert!(!out.contains("Exempt"), "none counts: {out}");
    daemon.stop();
}

#[test]
fn whatever_is_in_a_row_it_stops_no_sweep_and_drives_no_terminal() {
    let mirror = unlike(4, LIVE);
    for row in [
        "(talk_id, reason, until) VALUES (1, char(27) || '[2J' || hex(zeroblob(500000)), 9223372036854775807)",
        "(contact_id, reason) VALUES (42, CAST(x'ff1b' AS TEXT))",
        "(chat_id, until) VALUES ('', -9223372036854775808)",
        "(chat_id) VALUES ('')",
        "(chat_id, reason) VALUES (CAST(x'ff1b' AS TEXT), '')",
        "(user_id, until) VALUES (-9223372036854775808, 0)",
        "(id, talk_id, created_at) VALUES (-5, -1, 9223372036854775807)",
    ] {
        mirror.execute(&format!("INSERT INTO close_exemptions {row}"));
    }
    let daemon = mirror.running_daemon();
    for talk_id in [3, 4] {
        mirror.wait_outcome(talk_id, "closed");
    }
    mirror.wait_swept();
    for look in [&["stale"][..], &["why", "1"], &["why", "2"], &["status"], &["exempt", "list", "--all"]] {
        let (out, err) = mirror.ends(0, look);
        crate::outside_text::assert_harmless(&format!("{look:?}"), &(out + &err));
    }
    mirror.ends(0, &["exempt", "remove", "-5"]);
    daemon.stop();
    assert_eq!(mirror.open(), [1, 2]);
}

#[test]
fn a_restored_copy_has_the_exemptions_of_the_database_that_it_replaces() {
    let mirror = unlike(1, LIVE);
    mirror.exempt("talk_id, reason", "1, 'of the copy'");
    let backup = mirror.back_up("good.db");
    mirror.execute("DELETE FROM close_exemptions");
    mirror.exempt("id, contact_id, reason, until, created_at", "9, 41, 'VIP', 7000000000, 5");
    let (report, _) = mirror.restore(&backup);
    assert_eq!(report["carried"]["exemptions"], 1);
    let rows =
        "SELECT group_concat(id || ' ' || contact_id || ' ' || reason || ' ' || until || ' ' || created_at)
                  FROM close_exemptions";
    assert_eq!(mirror.sql::<String>(rows), "9 41 VIP 7000000000 5");
    mirror.ends(0, &["sync"]);
    assert!(mirror.simulator.account().closes.is_empty());
}
