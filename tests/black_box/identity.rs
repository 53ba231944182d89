//! Which account answers: checked before anything is believed.

use crate::closing::LIVE;
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
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
    // Where a token alone tells it, the other account's name is not known.
    let name = r#" \(("Other shop", )?http://127[^)]*\): nothing"#;
    assert_said!(journal::error(text), [(name, " [and its name]: nothing")], @r#"error: this database mirrors account 17029541 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 4711 [and its name]: nothing was changed; set database.path to another file, or api.base_url and the token to account 17029541"#);
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
        assert_said!(journal::error(&err), @r#"error: this database mirrors account 17029541 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 4711 ("Other shop", http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 17029541"#);
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
    assert_eq!(info("account_url"), mirror.simulator.base_url());
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
    let mut said = String::new();
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
        assert_said!(complaints(&out), @"
        ! the account that answers is not confirmed: GET /api/v4/account names no account, the token names none, and no stored talk was returned; 404, 403 and 204 are ignored
          → check api.base_url and the token: `talkmirror check` names the account that answers
        ");
        let (out, _) = mirror.ends(0, &["why", "3"]);
        said += &part(&out, "Queue");

        // Once the account is known, all of them are due.
        let mut account = mirror.simulator.account();
        account.account_fault = None;
        account.scripted.clear();
        drop(account);
        mirror.ends(0, &["sync"]);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0, "{fault:?}");
    }
    assert_said!(said, @"
    Queue  waits for [n] s (reason cli, priority 0), the last: HTTP 404: no such talk; ignored: the account that answers is not confirmed
    Queue  waits for [n] s (reason cli, priority 0), the last: HTTP 403: this token has no right to the talk; ignored: the account that answers is not confirmed
    Queue  waits for [n] s (reason cli, priority 0), the last: HTTP 204: no such talk; ignored: the account that answers is not confirmed
    ");
}

#[test]
fn an_outage_at_the_start_is_waited_for_and_then_it_is_found_out() {
    let mirror = mirrored();
    mirror.simulator.account().account_fault = Some(Fault::Problem(503));
    mirror.simulator.account().always = Some(Fault::Html(502));
    mirror.ends(0, &["enqueue", "1..12"]);
    let mut daemon = mirror.running_daemon();
    mirror.wait_for_pause("outage");
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
    mirror.wait_for_pause("many_gone");
    mirror.wait_sql("none is gone", GONE_OR_DENIED, 0);
    mirror.wait_sql(
        "all wait",
        "SELECT count(*) FROM talk_queue WHERE attempts = 0 AND failed_at IS NULL",
        50,
    );
    let asked = mirror.simulator.account().requests();
    assert!(asked <= 60 + 30, "no more than twenty, and those under way: {asked}");
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! everything pauses: the API reports too many stored open talks as missing (5 of those requested last)
      → check in the account whether they were deleted. If so, `talkmirror resume` accepts that; else check api.base_url and the token's rights
    ");

    // They were deleted on purpose.
    let (out, _) = mirror.ends(0, &["resume"]);
    assert_said!(out, @"resumed: the API answers again");
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
    mirror.wait_for_pause("unauthorized");
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
        verdicts(&out, &["account"])
    };
    assert_said!(line(0), @r#"account  ok  17029541 ("Simulated", http://127.0.0.1:[port]) answers (by GET /api/v4/account), as in the database"#);
    mirror.simulator.account().account_fault = Some(Fault::Problem(403));
    assert_said!(line(0), @"account  ok  17029541 (http://127.0.0.1:[port]) answers (by talk 30), as in the database");
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, vec![Fault::Problem(404); 9]);
    }
    assert_said!(line(1), @"account  BAD  the account that answers is not confirmed: GET /api/v4/account names none, the token names none, and no stored talk was returned; until it is confirmed, the daemon ignores 404, 403 and 204");
    mirror.simulator.account().token = token_of(OTHER);
    mirror.write_secret("token", &token_of(OTHER));
    assert_said!(line(78), @r#"account  BAD  this database mirrors account 17029541 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 4711 (http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 17029541"#);
    mirror.simulator.account().token = token_of(ACCOUNT_ID);
    mirror.write_secret("token", &token_of(ACCOUNT_ID));
    assert_said!(line(0), @"account  ok  17029541 (http://127.0.0.1:[port]) answers (by the token), as in the database");
}

#[test]
fn check_tries_stored_talks_until_one_is_shown() {
    let mirror = mirrored();
    mirror.simulator.account().account_fault = Some(Fault::Problem(404));
    mirror.simulator.account().talks.retain(|talk_id, _| *talk_id <= 26);
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["account"]), @"account  ok  17029541 (http://127.0.0.1:[port]) answers (by talk 26), as in the database");
    mirror.simulator.account().talks.remove(&26);
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["account"]), @"account  BAD  the account that answers is not confirmed: GET /api/v4/account names none, the token names none, and no stored talk was returned; until it is confirmed, the daemon ignores 404, 403 and 204");
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
        assert_said!(verdicts(&out, &["token", "account"]), @"
        token  ok  http://127.0.0.1:[port] accepts it
        account  ok  17029541 (http://127.0.0.1:[port]) answers (by talk 30), as in the database
        ");
        mirror.simulator.account().token = token_of(ACCOUNT_ID);
        mirror.write_secret("token", &token_of(ACCOUNT_ID));
        let (out, _) = mirror.ends(0, &["check"]);
        assert_said!(verdicts(&out, &["account"]), @"account  ok  17029541 (http://127.0.0.1:[port]) answers (by the token), as in the database");
        mirror.simulator.account().token = token_of(OTHER);
        mirror.write_secret("token", &token_of(OTHER));
        let (out, _) = mirror.ends(78, &["check"]);
        assert_said!(verdicts(&out, &["account"]), @r#"account  BAD  this database mirrors account 17029541 ("Simulated", http://127.0.0.1:[port]), but the API answers for account 4711 (http://127.0.0.1:[port]): nothing was changed; set database.path to another file, or api.base_url and the token to account 17029541"#);
    }
    let mirror = mirrored();
    mirror.configure("api.timeout = \"500ms\"\n");
    mirror.simulator.account().account_fault = Some(hang);
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, [Fault::Problem(500)]);
    }
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  BAD  http://127.0.0.1:[port]: GET /api/v4/account: no complete answer in time: operation timed out; talk 26: HTTP 500: the server failed");
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
        assert_said!(verdicts(&out, &["account"]), @"account  ok  17029541 (http://127.0.0.1:[port]) answers (by talk 30), as in the database");
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
