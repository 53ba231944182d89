//! Which account answers: checked before anything is believed.

use crate::closing::LIVE;
use crate::harness::{Mirror, account};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;
use talkmirror_simulator::{ACCOUNT_ID, Account, Fault, TOKEN};

const OTHER: i64 = 4711;
const GONE_OR_DENIED: &str = "SELECT count(gone_at) + count(denied_at) FROM talks";

/// Turns the account into another one, without the talks.
fn become_another(account: &mut Account) {
    (account.account_id, account.name) = (OTHER, "Other shop".into());
    account.talks.clear();
}

/// A mirror of 30 talks.
fn mirrored() -> Mirror {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..30"]);
    mirror
}

/// All that the mirror knows about talks, and its queue.
fn contents(mirror: &Mirror) -> String {
    mirror.sql(
        "SELECT (SELECT group_concat(talk_id || '|' || fetched_at || '|' || quote(gone_at) || quote(denied_at)) FROM talks)
             || (SELECT count(*) FROM talk_versions) || '|' || (SELECT count(*) FROM tombstones)
             || (SELECT coalesce(group_concat(talk_id || '|' || attempts || quote(failed_at)), '') FROM talk_queue)",
    )
}

fn assert_names_both(text: &str) {
    let ours = format!("this database mirrors account {ACCOUNT_ID} (\"Simulated\", http://127.0.0.1:");
    assert!(text.contains(&ours), "{text}");
    assert!(text.contains("and the API answers for account 4711"), "{text}");
    assert!(text.contains("nothing was changed; set database.path to another file"), "{text}");
}

/// A long-lived token that names its account.
fn token_of(account_id: i64) -> String {
    use base64::Engine;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"account_id":{account_id},"exp":4000000000}}"#);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims), part("signature"))
}

#[test]
fn another_account_ends_every_command_before_a_row_changes() {
    let mirror = mirrored();
    mirror.ends(0, &["enqueue", "1..12"]);
    mirror.configure(LIVE);
    become_another(&mut mirror.simulator.account());
    let before = contents(&mirror);
    for arguments in [
        &["run"][..],
        &["sync"],
        &["sync", "40..50"],
        &["close", "13", "--yes"],
        &["close", "14", "--dry-run"],
        &["close", "--dry-run", "--yes"],
    ] {
        let (_, err) = mirror.ends(78, arguments);
        assert_names_both(&err);
        assert!(err.contains("(\"Other shop\", http://"), "{err}");
    }
    assert_eq!(contents(&mirror), before);
    let account = mirror.simulator.account();
    assert_eq!(account.requests(), 30, "no talk was asked for");
}

#[test]
fn the_account_s_name_and_address_are_kept() {
    let mirror = mirrored();
    let info =
        |key: &str| mirror.sql::<String>(&format!("SELECT value FROM mirror_info WHERE key = '{key}'"));
    assert_eq!(info("account_name"), "Simulated");
    assert_eq!(info("base_url"), mirror.simulator.base_url());
    assert!(mirror.sql::<bool>(
        "SELECT abs(value - unixepoch()) < 60 FROM mirror_info WHERE key = 'account_confirmed_at'"
    ));
}

#[test]
fn a_token_of_another_account_ends_the_daemon_that_runs() {
    let mirror = mirrored();
    let mut daemon = mirror.running_daemon();
    mirror.wait("it is confirmed", || mirror.simulator.account().account_requests() == 2);
    {
        let mut account = mirror.simulator.account();
        become_another(&mut account);
        account.token = "another".into();
    }
    let before = contents(&mirror);
    mirror.write_secret("new", "another");
    fs::rename(mirror.path("new"), mirror.path("token")).unwrap();
    assert_eq!(daemon.wait().code(), Some(78));
    assert_names_both(&mirror.log());
    assert_eq!(contents(&mirror), before);
}

#[test]
fn a_reload_looks_whose_account_it_is() {
    let mirror = mirrored();
    let mut daemon = mirror.running_daemon();
    mirror.wait("it is confirmed", || mirror.simulator.account().account_requests() == 2);
    // The address now belongs to another account.
    become_another(&mut mirror.simulator.account());
    daemon.signal(Signal::SIGHUP);
    assert_eq!(daemon.wait().code(), Some(78));
    assert_names_both(&mirror.log());
    assert_eq!(mirror.sql::<i64>(GONE_OR_DENIED), 0);
}

#[test]
fn an_account_that_does_not_say_is_told_by_the_token() {
    let mirror = mirrored();
    {
        let mut account = mirror.simulator.account();
        account.account_fault = Some(Fault::Problem(403));
        account.token = token_of(OTHER);
        account.talks.clear();
    }
    mirror.write_secret("token", &token_of(OTHER));
    let (_, err) = mirror.ends(78, &["sync", "1..12"]);
    assert_names_both(&err);
    assert_eq!(mirror.sql::<i64>(GONE_OR_DENIED), 0);

    // A token of the mirror's account is believed.
    mirror.simulator.account().token = token_of(ACCOUNT_ID);
    mirror.write_secret("token", &token_of(ACCOUNT_ID));
    mirror.ends(0, &["sync", "1"]);
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM talks WHERE gone_at IS NOT NULL"), 1);
}

#[test]
fn while_nothing_says_whose_account_it_is_no_answer_changes_a_row() {
    for fault in [Fault::Problem(404), Fault::Problem(403), Fault::NoContent] {
        let mirror = mirrored();
        mirror.simulator.account().account_fault = Some(Fault::Problem(404));
        for talk_id in 1..=30 {
            mirror.simulator.account().script(talk_id, vec![fault.clone(); 50]);
        }
        mirror.ends(1, &["sync", "1..30"]);
        assert_eq!(mirror.sql::<i64>(GONE_OR_DENIED), 0, "{fault:?}");
        let waiting = "SELECT count(*) FROM talk_queue WHERE attempts = 0 AND failed_at IS NULL";
        assert_eq!(mirror.sql::<i64>(waiting), 30, "{fault:?}");
        let (out, _) = mirror.ends(1, &["status"]);
        assert!(
            out.contains("! the account that answers is not confirmed: GET /api/v4/account names no account"),
            "{out}"
        );
        let (out, _) = mirror.ends(0, &["why", "3"]);
        assert!(out.contains("ignored: the account that answers is not confirmed"), "{out}");

        // Once the account is known, all of them are due.
        let mut account = mirror.simulator.account();
        account.account_fault = None;
        account.scripted.clear();
        drop(account);
        mirror.ends(0, &["sync"]);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0, "{fault:?}");
    }
}

#[test]
fn an_outage_at_the_start_is_waited_for_and_then_it_is_found_out() {
    let mirror = mirrored();
    mirror.simulator.account().account_fault = Some(Fault::Problem(503));
    mirror.simulator.account().always = Some(Fault::Html(502));
    mirror.ends(0, &["enqueue", "1..12"]);
    let mut daemon = mirror.running_daemon();
    mirror.wait_sql("it pauses", "SELECT pause_reason FROM daemon_status", "outage".to_owned());
    {
        let mut account = mirror.simulator.account();
        (account.account_fault, account.always) = (None, None);
        become_another(&mut account);
    }
    let _ = mirror.output(&["resume"]);
    assert_eq!(daemon.wait().code(), Some(78));
    assert_names_both(&mirror.log());
    assert_eq!(mirror.sql::<i64>(GONE_OR_DENIED), 0);
}

#[test]
fn a_mirror_does_not_empty_itself_until_a_person_says_so() {
    let mirror = Mirror::new(account(0));
    for _ in 0..60 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["sync", "1..60"]);
    mirror.simulator.account().talks.retain(|talk_id, _| *talk_id > 50);
    mirror.configure("api.requests_per_second = 25\napi.max_in_flight = 2\n");
    mirror.ends(0, &["enqueue", "1..50"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it pauses", "SELECT pause_reason FROM daemon_status", "many_gone".to_owned());
    mirror.wait_sql("none is gone", GONE_OR_DENIED, 0);
    mirror.wait_sql(
        "all wait",
        "SELECT count(*) FROM talk_queue WHERE attempts = 0 AND failed_at IS NULL",
        50,
    );
    let asked = mirror.simulator.account().requests();
    assert!(asked <= 60 + 30, "no more than twenty, and those under way: {asked}");
    let (out, _) = mirror.ends(1, &["status"]);
    assert!(out.contains("Paused") && out.contains("talkmirror resume"), "{out}");

    // They were deleted on purpose.
    let (out, _) = mirror.ends(0, &["resume"]);
    assert!(out.contains("resumed"), "{out}");
    mirror.wait_sql("they are gone", "SELECT count(gone_at) FROM talks", 50);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks WHERE gone_at IS NULL"), 10);
}

#[test]
fn a_small_mirror_does_not_empty_itself_either() {
    for talks in [2, 3, 7] {
        let mirror = Mirror::new(account(0));
        for _ in 0..talks {
            mirror.simulator.account().create_talk();
        }
        let all = format!("1..{talks}");
        mirror.ends(0, &["sync", &all]);
        mirror.simulator.account().talks.clear();
        mirror.ends(1, &["sync", &all]);
        assert_eq!(mirror.sql::<i64>(GONE_OR_DENIED), 0, "{talks}");
        assert_eq!(mirror.sql::<String>("SELECT pause_reason FROM daemon_status"), "many_gone", "{talks}");
        mirror.ends(0, &["resume"]);
        mirror.ends(0, &["sync"]);
        assert_eq!(mirror.sql::<i64>("SELECT count(gone_at) FROM talks"), talks, "{talks}");
    }
}

#[test]
fn some_deleted_talks_among_others_are_believed() {
    let mirror = Mirror::new(account(0));
    for _ in 0..60 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["sync", "1..60"]);
    mirror.simulator.account().talks.retain(|talk_id, _| talk_id % 4 != 0);
    mirror.configure("api.max_in_flight = 1\n");
    mirror.ends(0, &["sync", "1..60"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(gone_at) FROM talks"), 15);
}

#[test]
fn the_token_that_is_in_the_file_again_needs_no_restart() {
    let mirror = mirrored();
    mirror.write_secret("token", "wrong");
    mirror.ends(0, &["enqueue", "1..12"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it pauses", "SELECT pause_reason FROM daemon_status", "unauthorized".to_owned());
    mirror.write_secret("new", TOKEN);
    fs::rename(mirror.path("new"), mirror.path("token")).unwrap();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
}

#[test]
fn check_names_the_account_by_whatever_tells_it() {
    let mirror = mirrored();
    let line = |code| {
        let (out, _) = mirror.ends(code, &["check"]);
        out.lines().find(|line| line.starts_with("account")).unwrap_or_default().to_owned()
    };
    assert!(line(0).contains("answers (by GET /api/v4/account), as in the database"), "{}", line(0));
    mirror.simulator.account().account_fault = Some(Fault::Problem(403));
    assert!(line(0).contains("(by talk 30)"), "{}", line(0));
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, vec![Fault::Problem(404); 9]);
    }
    assert!(line(1).contains("BAD   the account that answers is not confirmed"), "{}", line(1));
    mirror.simulator.account().token = token_of(OTHER);
    mirror.write_secret("token", &token_of(OTHER));
    assert!(line(78).contains("and the API answers for account 4711"), "{}", line(78));
    mirror.simulator.account().token = token_of(ACCOUNT_ID);
    mirror.write_secret("token", &token_of(ACCOUNT_ID));
    assert!(line(0).contains("(by the token)"), "{}", line(0));
}

#[test]
fn check_tries_stored_talks_until_one_is_shown() {
    let mirror = mirrored();
    mirror.simulator.account().account_fault = Some(Fault::Problem(404));
    mirror.simulator.account().talks.retain(|talk_id, _| *talk_id <= 26);
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.contains("(by talk 26), as in the database"), "{out}");
    mirror.simulator.account().talks.remove(&26);
    let (out, _) = mirror.ends(1, &["check"]);
    assert!(out.contains("account   BAD   the account that answers is not confirmed"), "{out}");
    assert_eq!(mirror.simulator.account().requests(), 30 + 5 + 5, "no more than five each");
}

#[test]
fn check_tries_a_talk_if_the_account_fails() {
    let hang = Fault::Hang(Duration::from_secs(5));
    for fault in [hang.clone(), Fault::Reset, Fault::Html(502), Fault::Problem(503)] {
        let mirror = mirrored();
        mirror.configure("api.timeout = \"500ms\"\n");
        mirror.simulator.account().account_fault = Some(fault.clone());
        let (out, _) = mirror.ends(0, &["check"]);
        assert!(out.contains("token     ok    ") && out.contains("(by talk 30), as in"), "{fault:?}: {out}");
        mirror.simulator.account().token = token_of(ACCOUNT_ID);
        mirror.write_secret("token", &token_of(ACCOUNT_ID));
        let (out, _) = mirror.ends(0, &["check"]);
        assert!(out.contains("(by the token), as in the database"), "{fault:?}: {out}");
        mirror.simulator.account().token = token_of(OTHER);
        mirror.write_secret("token", &token_of(OTHER));
        let (out, _) = mirror.ends(78, &["check"]);
        assert!(out.contains("and the API answers for account 4711"), "{fault:?}: {out}");
    }
    let mirror = mirrored();
    mirror.configure("api.timeout = \"500ms\"\n");
    mirror.simulator.account().account_fault = Some(hang);
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, [Fault::Problem(500)]);
    }
    let (out, _) = mirror.ends(1, &["check"]);
    let token = out.lines().find(|line| line.starts_with("token     BAD")).unwrap_or_default();
    assert!(token.contains("GET /api/v4/account: ") && token.contains("; talk 26: HTTP 500"), "{out}");
    assert_eq!(mirror.simulator.account().requests(), 30 + 5);
}

#[test]
fn an_error_with_a_number_is_no_other_account() {
    for body in
        [r#"{"error":"x","id":123}"#, r#"{"id":123,"message":"blocked"}"#, r#"{"id":"123","status":403}"#]
    {
        let mirror = mirrored();
        let headers = vec![("content-type", "application/json")];
        mirror.simulator.account().account_fault =
            Some(Fault::Answer { status: 200, headers, body: body.as_bytes().to_vec() });
        mirror.ends(0, &["sync", "1..12"]);
        let (out, _) = mirror.ends(0, &["check"]);
        assert!(out.contains("(by talk 30), as in the database"), "{body}: {out}");
    }
}

#[test]
fn a_stored_talk_that_fails_or_whose_connection_closes_holds_nobody_up() {
    for faults in [vec![Fault::Reset], vec![Fault::Problem(500); 99], vec![Fault::CutOff; 99]] {
        let mirror = mirrored();
        mirror.simulator.account().account_fault = Some(Fault::Problem(404));
        for talk_id in 26..=30 {
            mirror.simulator.account().script(talk_id, faults.clone());
        }
        mirror.simulator.account().scripted.retain(|talk_id, _| *talk_id != 28);
        mirror.ends(0, &["sync", "1"]);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0, "{faults:?}");
    }
}
