//! OAuth tokens, and their renewal.

use crate::harness::{Mirror, SmallDisk, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use talkmirror_simulator::{Account, Fault};

const DAY: i64 = 86_400;

/// A mirror of an account with talks, set up for OAuth, with no tokens yet.
pub fn oauth(account: Account) -> Mirror {
    oauth_with(account, "")
}

pub fn oauth_with(mut account: Account, more: &str) -> Mirror {
    account.token = "none but those of the integration".into();
    let section = format!(
        "{more}api.oauth.client_id = \"{}\"\napi.oauth.client_secret_file = \"client-secret\"\n\
         api.oauth.redirect_uri = \"{}\"\n",
        account.oauth.client_id, account.oauth.redirect_uri
    );
    let secret = account.oauth.client_secret.clone();
    let mirror = Mirror::new(account);
    mirror.write_secret("client-secret", &secret);
    mirror.configure(&section);
    fs::remove_file(mirror.path("token")).unwrap();
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    let without: String =
        config.lines().filter(|line| !line.contains("token_file")).map(|line| format!("{line}\n")).collect();
    fs::write(mirror.path("config.toml"), without).unwrap();
    mirror
}

pub fn store(mirror: &Mirror) -> PathBuf {
    mirror.path("secrets/oauth.json")
}

pub fn stored(mirror: &Mirror) -> Value {
    serde_json::from_str(&fs::read_to_string(store(mirror)).unwrap()).unwrap()
}

/// Stores a pair that was obtained and expires this many seconds from now.
pub fn keep(mirror: &Mirror, obtained: i64, ends: i64) {
    let (access, refresh) = mirror.simulator.account().oauth.issue();
    keep_as(mirror, json!({"access_token": access, "refresh_token": refresh}), obtained, ends);
}

pub fn keep_as(mirror: &Mirror, mut pair: Value, obtained: i64, ends: i64) {
    let path = store(mirror);
    let folder = path.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    pair["obtained_at"] = json!(unix_now() + obtained);
    pair["expires_at"] = json!(unix_now() + ends);
    fs::write(&path, pair.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn refusals(mirror: &Mirror) -> usize {
    mirror.simulator.account().log.iter().filter(|request| request.status == 401).count()
}

#[test]
fn a_pair_is_renewed_ahead_of_its_end_under_load_with_no_request_refused() {
    let mut account = account(2500);
    account.latency = Duration::from_millis(20);
    account.oauth.expires_in = Duration::from_secs(7);
    let mirror = oauth(account);
    // Due two seconds from now.
    keep(&mirror, -9, 7);
    let first = stored(&mirror);
    mirror.simulator.account().oauth.expires_in = Duration::from_secs(86_400);
    mirror.ends(0, &["enqueue", "1..2500"]);
    let daemon = mirror.daemon();
    mirror.wait_for_long("everything is fetched", "SELECT count(*) FROM talks", 2500);
    mirror.wait("it is renewed", || mirror.simulator.account().oauth.renewals == 1);
    let since = mirror.simulator.account().log[0].at;
    mirror.wait("the first would have ended", || since.elapsed() > Duration::from_secs(7));
    mirror.ends(0, &["enqueue", "1..20"]);
    mirror.wait_sql("the new one is used", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert_eq!(refusals(&mirror), 0);
    let log = mirror.log();
    assert_eq!(journal::faults(&log), "");
    let second = stored(&mirror);
    assert!(second["access_token"] != first["access_token"]);
    let modes = ["secrets", "secrets/oauth.json"]
        .map(|name| fs::metadata(mirror.path(name)).unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o700, 0o600]);
    assert_eq!(fs::read_dir(mirror.path("secrets")).unwrap().count(), 1, "no used token is kept");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Token"), @"Token  expires in 23 h, on [date]; renewed by itself, last [n] s ago");
    mirror.assert_mirrors_the_account();
}

#[test]
fn tokens_that_live_for_seconds_are_renewed_again_and_again_within_the_rate_limit() {
    let mut account = account(40);
    account.limit = 6;
    account.oauth.expires_in = Duration::from_secs(3);
    let mirror = oauth_with(account, "api.requests_per_second = 6\n");
    keep(&mirror, 0, 3);
    mirror.ends(0, &["sync", "1..40"]);
    mirror.assert_mirrors_the_account();
    assert_eq!(refusals(&mirror), 0);
    let account = mirror.simulator.account();
    assert!(account.oauth.renewals >= 2, "{}", account.oauth.renewals);
    assert_eq!((account.violations, account.oauth.overlaps, account.oauth.refusals), (0, 0, 0));
    assert!(account.most_in_a_second() <= 6);
}

#[test]
fn a_refused_token_is_renewed_at_once_and_nothing_is_sent_with_it_meanwhile() {
    let mirror = oauth(account(60));
    keep(&mirror, -1000, 80_000);
    {
        let mut account = mirror.simulator.account();
        account.oauth.expire();
        account.oauth.scripted.push_back(Fault::Slow(Duration::from_millis(500)));
    }
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert!(mirror.logged(journal::PAUSED).is_empty(), "{}", mirror.log());
    {
        let account = mirror.simulator.account();
        assert_eq!((account.oauth.renewals, account.oauth.overlaps, account.token_requests()), (1, 0, 1));
        let asked = account.log.iter().position(|request| request.path == "/oauth2/access_token").unwrap();
        let next = &account.log[asked + 1];
        assert!(next.at - account.log[asked].at >= Duration::from_millis(500), "{next:?}");
        assert_eq!(account.log[asked].method, "POST");
    }
    assert!(refusals(&mirror) <= 8, "only what was under way");
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_new_token_that_is_refused_too_pauses_and_is_not_renewed_again_and_again() {
    let mirror = oauth(account(3));
    keep(&mirror, -1000, 80_000);
    mirror.simulator.account().script(1, vec![Fault::Problem(401); 1000]);
    mirror.simulator.account().account_fault = Some(Fault::Problem(401));
    mirror.ends(0, &["enqueue", "1"]);
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("unauthorized");
    daemon.signal(Signal::SIGHUP);
    mirror.wait("it is probed", || mirror.simulator.account().account_requests() >= 4);
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! everything pauses: the API does not accept the token (HTTP 401: the token is not accepted)
      → run `talkmirror login`: the daemon uses the new tokens without a restart; if they are refused too, check api.base_url and [api.oauth]
    ");
    assert_eq!(mirror.simulator.account().token_requests(), 1);
    daemon.stop();
}

#[test]
fn a_revoked_access_pauses_and_says_what_to_do_and_a_login_mends_it_without_a_restart() {
    let mirror = oauth(account(40));
    keep(&mirror, -1000, 80_000);
    mirror.ends(0, &["sync", "1..10"]);
    mirror.simulator.account().oauth.revoke();
    mirror.ends(0, &["enqueue", "11..40"]);
    let daemon = mirror.running_daemon();
    // A pause begins with the refused request, and only then the endpoint says why.
    let detail = "SELECT pause_detail = (SELECT value ->> 'trouble' FROM mirror_info WHERE key = 'api.oauth')
                    FROM daemon_status";
    mirror.wait_sql("the pause says what to do", detail, true);
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! everything pauses: the API does not accept the token (the account has revoked talkmirror's access: run `talkmirror login` (no new token: HTTP 400: the API issues no tokens to talkmirror))
      → run `talkmirror login`: the daemon uses the new tokens without a restart; if they are refused too, check api.base_url and [api.oauth]
    ");
    assert_said!(journal::faults(&mirror.log()), @r#"
    ERROR the account has revoked talkmirror's access: run `talkmirror login` (no new token: HTTP 400: the API issues no tokens to talkmirror) request_id="simulated"
    ERROR paused: the API does not accept the token (the account has revoked talkmirror's access: run `talkmirror login` (no new token: HTTP 400: the API issues no tokens to talkmirror)); next probe in [n] s reason="unauthorized" request_id="simulated"
    "#);
    assert_eq!(mirror.simulator.account().token_requests(), 1, "not again and again");
    daemon.signal(Signal::SIGHUP);
    mirror.wait("asked again at once", || mirror.simulator.account().token_requests() == 2);
    assert_eq!(
        mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE attempts = 0"),
        30,
        "nothing is spent"
    );

    mirror.simulator.account().oauth.codes.push("a-code".into());
    mirror.ends(0, &["login", "--code", "a-code"]);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    mirror.wait_sql("no pause any more", "SELECT pause_reason IS NULL FROM daemon_status", true);
    mirror.wait("healthy again", || mirror.output(&["status"]).status.success());
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn sync_and_close_renew_and_check_does_not() {
    let mirror = oauth(account(5));
    keep(&mirror, -2 * DAY, -DAY);
    mirror.simulator.account().oauth.expire();
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  BAD  not tried: the access token expired 24 h ago, on [date]; the daemon renews it by itself, and so does `talkmirror sync`");
    assert_eq!(mirror.simulator.account().requests(), 0);
    mirror.ends(0, &["sync", "1..5"]);
    assert_eq!(mirror.simulator.account().oauth.renewals, 1);
    assert_eq!(refusals(&mirror), 0, "what has ended is renewed first");
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["token"]), [(r"in 2\d h", "in 2[n] h")], @"token  ok  http://127.0.0.1:[port] accepts it; it expires in 2[n] h, on [date] and is renewed by itself");

    mirror.simulator.account().oauth.expire();
    let id = mirror.simulator.account().create_missed(2 * DAY).to_string();
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    fs::write(mirror.path("config.toml"), config + "auto_close.mode = \"live\"\n").unwrap();
    mirror.ends(0, &["close", "--yes", &id]);
    assert_eq!(mirror.simulator.account().oauth.renewals, 2);
    assert_eq!(mirror.simulator.account().closes.len(), 1);
}

#[test]
fn an_idle_daemon_renews_what_is_a_week_old() {
    let mirror = oauth(account(1));
    keep(&mirror, -7 * DAY + 3, 60 * DAY);
    let daemon = mirror.running_daemon();
    mirror.wait("it is renewed", || mirror.simulator.account().oauth.renewals == 1);
    mirror.wait("it is kept", || stored(&mirror)["obtained_at"].as_i64().unwrap() > unix_now() - DAY);
    assert_eq!(mirror.simulator.account().requests(), 1, "nothing else was asked for");
    daemon.stop();
}

#[test]
fn an_endpoint_that_fails_costs_nothing_while_the_token_lives() {
    let mirror = oauth(account(200));
    // Due, and alive.
    keep(&mirror, -80_000, 2000);
    mirror.simulator.account().oauth.fault = Some(Fault::Html(502));
    mirror.ends(0, &["enqueue", "1..200"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    let trouble = || mirror.status()["oauth"]["trouble"].as_str().map(str::to_owned);
    mirror.wait("it is told", || trouble().is_some());
    let why = trouble().unwrap();
    assert_said!(why, @"HTTP 502: the server failed");
    assert!(mirror.status()["warnings"].to_string().contains(&why), "{}", mirror.status());
    assert!(mirror.logged(journal::PAUSED).is_empty() && refusals(&mirror) == 0, "{}", mirror.log());
    assert_eq!(mirror.simulator.account().token_requests(), 1, "with a backoff");
    mirror.simulator.account().oauth.fault = None;
    mirror.wait("it is renewed", || mirror.simulator.account().oauth.renewals == 1);
    mirror.wait("it is told no more", || trouble().is_none());
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn an_endpoint_that_fails_when_the_token_is_refused_pauses_until_it_answers() {
    let mirror = oauth(account(20));
    keep(&mirror, -1000, 80_000);
    {
        let mut account = mirror.simulator.account();
        account.oauth.expire();
        account.oauth.fault = Some(Fault::Problem(503));
    }
    mirror.ends(0, &["enqueue", "1..20"]);
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("unauthorized");
    let detail: String = mirror.sql("SELECT pause_detail FROM daemon_status");
    assert_said!(detail, @"it could not be renewed: HTTP 503: the server failed");
    mirror.simulator.account().oauth.fault = None;
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert_eq!(mirror.simulator.account().oauth.renewals, 1);
    daemon.stop();
}

#[test]
fn too_many_requests_for_tokens_pause_everything() {
    let mirror = oauth_with(account(5), "api.max_in_flight = 1\n");
    keep(&mirror, -80_000, 2000);
    mirror.simulator.account().oauth.scripted.push_back(Fault::TooMany { header: None, body: Some(2) });
    mirror.ends(0, &["sync", "1..5"]);
    let account = mirror.simulator.account();
    assert_eq!(account.log[0].path, "/oauth2/access_token", "before anything else");
    assert!(account.log[1].at - account.log[0].at >= Duration::from_secs(2));
}

#[test]
fn a_redirect_of_the_endpoint_is_not_followed() {
    let mirror = oauth(account(5));
    keep(&mirror, -80_000, 2000);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = format!("http://{}/oauth2/access_token?token=x", elsewhere.local_addr().unwrap());
    mirror.simulator.account().oauth.fault = Some(Fault::Redirect(address));
    let (_, err) = mirror.ends(0, &["sync", "1..5"]);
    assert_said!(journal::faults(&err), @r#"WARN the API token could not be renewed, retry in [n] s: HTTP 302: redirected to http://127.0.0.1:[port]/oauth2/access_token, which is not followed: is api.base_url the account's address? request_id="simulated""#);
    assert!(elsewhere.accept().is_err(), "nobody came");
}

#[test]
fn two_mirrors_that_share_their_tokens_renew_them_once() {
    let mirror = oauth(account(30));
    keep(&mirror, -1000, 80_000);
    {
        let mut account = mirror.simulator.account();
        account.oauth.expire();
        account.oauth.scripted.push_back(Fault::Slow(Duration::from_millis(700)));
    }
    mirror.ends(0, &["enqueue", "1..30"]);
    fs::copy(mirror.path("config.toml"), mirror.path("other.toml")).unwrap();
    let store = format!("database.path = \"other.db\"\napi.oauth.store = {:?}\n", store(&mirror));
    let other = fs::read_to_string(mirror.path("other.toml")).unwrap() + &store;
    fs::write(mirror.path("other.toml"), other).unwrap();
    let daemon = mirror.daemon();
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let second =
        second.arg("--config").arg(mirror.path("other.toml")).args(["sync", "1..30"]).output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!((account.oauth.renewals, account.oauth.overlaps, account.oauth.refusals), (1, 0, 0));
}

#[test]
fn a_broken_file_names_login_and_a_running_daemon_keeps_its_pair_and_replaces_the_file() {
    let mirror = oauth(account(5));
    keep(&mirror, -80_000, 2000);
    let daemon = mirror.running_daemon();
    mirror.wait("it is renewed", || mirror.simulator.account().oauth.renewals == 1);
    mirror.wait("it is stored", || stored(&mirror)["obtained_at"].as_i64().unwrap() > unix_now() - 3600);
    let whole = fs::read(store(&mirror)).unwrap();
    fs::write(store(&mirror), &whole[..whole.len() / 2]).unwrap();
    let (_, err) = mirror.ends(78, &["sync", "3"]);
    assert_said!(journal::error(&err), @"error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found no complete pair of tokens at [folder]/secrets/oauth.json (talkmirror did not write it): run `talkmirror login`");
    assert!(!err.contains("refresh-"), "{err}");
    assert_said!(mirror.wait_logged(journal::TOKEN_KEPT), @"WARN the API token in use is kept, as there is no other in [folder]/secrets/oauth.json: no complete pair of tokens at [folder]/secrets/oauth.json (talkmirror did not write it): run `talkmirror login`");
    mirror.simulator.account().oauth.expire();
    mirror.ends(0, &["enqueue", "1..5"]);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert_eq!(mirror.simulator.account().oauth.renewals, 2);
    assert!(stored(&mirror)["refresh_token"].is_string());
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_pair_that_cannot_be_kept_is_not_used_and_the_old_one_goes_on() {
    let mirror = oauth(account(40));
    let Some(disk) = SmallDisk::mount(mirror.path("secrets"), "64k") else { return };
    keep(&mirror, -80_000, 2000);
    let first = stored(&mirror);
    let _ = fs::write(disk.0.join("ballast"), vec![0; 1_000_000]);
    mirror.ends(0, &["enqueue", "1..40"]);
    let daemon = mirror.daemon();
    let told = mirror.wait_logged(journal::TOKEN_NOT_KEPT);
    assert_said!(told, @r#"WARN the API token could not be renewed, retry in [n] s: the new token cannot be stored: cannot write [folder]/secrets/oauth.json: No space left on device (os error 28) at path "[folder]/secrets/.oauth-[name]""#);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert_eq!(stored(&mirror), first);
    assert_eq!(refusals(&mirror), 0);
    fs::remove_file(disk.0.join("ballast")).unwrap();
    mirror.wait("it is renewed", || stored(&mirror) != first);
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert_eq!((refusals(&mirror), mirror.simulator.account().oauth.refusals), (0, 0));
    daemon.stop();
}

#[test]
fn without_tokens_run_and_sync_end_with_78_and_name_login() {
    let mirror = oauth(account(1));
    for arguments in [&["run"][..], &["sync"], &["check"]] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @"error: [folder]/config.toml: api.oauth.store: expected the tokens that `talkmirror login` stores, found no tokens at [folder]/secrets/oauth.json: run `talkmirror login`");
    }
    mirror.ends(0, &["enqueue", "1"]);
    mirror.ends(0, &["status"]);
}

#[test]
fn an_empty_credential_is_none_and_one_that_is_set_stands_in_for_a_missing_key() {
    let mirror = oauth(account(2));
    keep(&mirror, -1000, 80_000);
    fs::create_dir(mirror.path("credentials")).unwrap();
    // The units do this if there is no such file.
    fs::write(mirror.path("credentials/token"), "\n").unwrap();
    fs::rename(mirror.path("client-secret"), mirror.path("credentials/oauth-secret")).unwrap();
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    fs::write(mirror.path("config.toml"), config.replace("api.oauth.client_secret_file", "#")).unwrap();
    let sync = || {
        let mut command = mirror.command(&["sync", "1"]);
        command.env("CREDENTIALS_DIRECTORY", mirror.path("credentials")).output().unwrap()
    };
    assert!(sync().status.success());
    fs::write(mirror.path("credentials/token"), "long-lived").unwrap();
    assert!(sync().status.success(), "one that is left from earlier is not meant");
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    mirror.write_secret("token", "long-lived");
    fs::write(mirror.path("config.toml"), format!("api.token_file = \"token\"\n{config}")).unwrap();
    let two = String::from_utf8_lossy(&sync().stderr).into_owned();
    assert_said!(two, @"error: [folder]/config.toml: api.oauth.client_id: expected no other token beside it, found a long-lived one at [folder]/token");
    fs::write(mirror.path("config.toml"), config).unwrap();
    fs::write(mirror.path("credentials/token"), "").unwrap();
    fs::write(mirror.path("credentials/oauth-secret"), "\n").unwrap();
    let none = sync();
    assert_eq!(none.status.code(), Some(78));
    let none = String::from_utf8_lossy(&none.stderr).into_owned();
    assert_said!(none, @"error: [folder]/config.toml: api.oauth.client_secret_file: expected the path of a file with the integration's secret, as api.oauth.client_id is set, found nothing");
}
