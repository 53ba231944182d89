//! `login`: from the shown address to the stored tokens, and what is reported about them.

use crate::harness::{Mirror, account, skip, text};
use crate::journal;
use crate::oauth::{oauth, stored};
use crate::snapshots::assert_said;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use talkmirror_simulator::Fault;

fn mirror_with_code() -> Mirror {
    let mirror = oauth(account(5));
    mirror.simulator.account().oauth.codes.push("a-code".into());
    mirror
}

#[test]
fn a_code_is_turned_into_tokens_that_only_their_owner_can_read() {
    let mirror = mirror_with_code();
    let (out, _) = mirror.ends(0, &["login", "--code", "a-code"]);
    assert_said!(out, @"
    Logged in: the tokens are in [folder]/secrets/oauth.json. The access token is valid for 24 h, and is renewed by itself.
    A running daemon uses them without a restart; `talkmirror check` tests them.
    ");
    let mode = |name: &str| fs::metadata(mirror.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/oauth.json")), (0o700, 0o600));
    mirror.ends(0, &["sync", "1..5"]);
    mirror.assert_mirrors_the_account();

    let (_, err) = mirror.ends(1, &["login", "--code", "a-code"]);
    assert_said!(err, @"error: http://127.0.0.1:[port] does not accept the code (HTTP 400: the API issues no tokens to talkmirror): a code is valid once and for 20 min. Use a new one; if that is not accepted either, check api.oauth.client_id, its secret and api.oauth.redirect_uri");
    mirror.ends(0, &["check"]);
}

#[test]
fn a_wrong_secret_is_refused_and_nothing_is_stored() {
    let mirror = mirror_with_code();
    fs::write(mirror.path("client-secret"), "another").unwrap();
    let (_, err) = mirror.ends(1, &["login", "--code", "a-code"]);
    assert_said!(err, @"error: http://127.0.0.1:[port] does not accept the code (HTTP 401: the API issues no tokens to talkmirror): a code is valid once and for 20 min. Use a new one; if that is not accepted either, check api.oauth.client_id, its secret and api.oauth.redirect_uri");
    assert!(!mirror.path("secrets/oauth.json").exists());
}

#[test]
fn the_address_that_the_account_leads_to_is_taken_and_one_of_another_account_is_not() {
    let mirror = mirror_with_code();
    let redirect = mirror.simulator.account().oauth.redirect_uri.clone();
    let other = format!("{redirect}?code=a-code&state=x&referer=other.amocrm.ru&platform=1");
    let (_, err) = mirror.ends(1, &["login", "--code", &other]);
    assert_said!(err, @"error: that code belongs to the account other.amocrm.ru, but api.base_url names 127.0.0.1");
    assert_eq!(mirror.simulator.account().requests(), 0, "it was sent nowhere");
    let ours = format!("{redirect}?code=a-code&state=x&referer=127.0.0.1&platform=1");
    mirror.ends(0, &["login", "--code", &ours]);
    assert!(stored(&mirror)["access_token"].as_str().unwrap().starts_with("access-"));
}

#[test]
fn without_a_terminal_it_prints_the_address_and_says_how_to_go_on() {
    let mirror = mirror_with_code();
    let output = mirror.command(&["login"]).write_stdin("a-code\n").output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(1));
    let base = mirror.simulator.base_url();
    assert_said!(out, [(&base, "[base_url]"), ("state=[^&]*", "state=[state]")], @"[base_url]/oauth?client_id=simulated-integration&state=[state]&mode=popup");
    assert_said!(err, @"error: there is no terminal to ask on: open that address as an administrator of the account and allow access. Then run `talkmirror login --code CODE` within 20 min, with the code (or the whole address) that you are sent to");
    assert_eq!(mirror.simulator.account().requests(), 0);
}

#[test]
fn without_the_section_login_names_it() {
    let mirror = Mirror::new(account(1));
    let (_, err) = mirror.ends(78, &["login"]);
    assert_said!(err, @"error: [folder]/config.toml: api.oauth.client_id: expected the integration's id, to log in with, found nothing");
}

/// Runs `login` on a terminal. `answer` makes the typed text from the shown address. Returns the exit code and
/// stderr.
fn at_terminal(mirror: &Mirror, answer: impl FnOnce(&url::Url) -> String) -> (Option<i32>, String) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .arg("--config")
        .arg(mirror.path("config.toml"))
        .arg("login")
        .stdin(Stdio::from(terminal.slave))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut address = String::new();
    out.read_line(&mut address).unwrap();
    let address = url::Url::parse(address.trim()).unwrap();
    let mut keyboard = fs::File::from(terminal.master);
    writeln!(keyboard, "{}", answer(&address)).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code(), err)
}

fn state(address: &url::Url) -> String {
    address.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned()
}

#[test]
fn on_a_terminal_the_pasted_address_is_taken_if_its_state_is_the_one_given_out() {
    let mirror = mirror_with_code();
    let (code, err) = at_terminal(&mirror, |_| "https://i.example/oauth?code=a-code&state=guessed".into());
    assert_eq!(code, Some(1));
    assert_said!(err, @"
    Open that address as an administrator of the account, and allow access. You are then sent to the integration's address, which contains a code. It is valid for 20 min. The integration's settings show one, too.
    The code, or the whole address: error: that address belongs to another login: its state is not the one given here; start again
    ");
    assert_eq!(mirror.simulator.account().requests(), 0);
    let right = |address: &url::Url| format!("https://i.example/oauth?code=a-code&state={}", state(address));
    let (code, err) = at_terminal(&mirror, right);
    assert_eq!(code, Some(0), "{err}");
    assert!(stored(&mirror)["refresh_token"].is_string());
}

#[test]
fn each_login_has_a_state_of_its_own() {
    let mirror = mirror_with_code();
    let mut states = Vec::new();
    for _ in 0..2 {
        at_terminal(&mirror, |address| {
            states.push(state(address));
            "wrong".into()
        });
    }
    assert!(states[0] != states[1] && states[0].len() >= 20, "{states:?}");
}

#[test]
fn root_s_login_leaves_files_that_the_owner_of_the_database_s_folder_can_replace() {
    if !nix::unistd::Uid::effective().is_root() {
        skip("only root can give files away");
        return;
    }
    let mirror = mirror_with_code();
    std::os::unix::fs::chown(mirror.path(""), Some(65534), Some(65534)).unwrap();
    mirror.ends(0, &["login", "--code", "a-code"]);
    mirror.simulator.account().oauth.codes.push("another".into());
    mirror.ends(0, &["login", "--code", "another"]);
    for name in ["secrets", "secrets/oauth.json"] {
        let file = fs::metadata(mirror.path(name)).unwrap();
        assert_eq!((file.uid(), file.gid()), (65534, 65534), "{name}");
    }
}

#[test]
fn no_secret_is_in_a_log_the_database_or_what_commands_print() {
    let mirror = oauth(account(20));
    mirror.simulator.account().oauth.codes.extend(["first-code-4711".into(), "second-code-4712".into()]);
    let mut printed = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = mirror.output(&[&["-vv"], arguments].concat());
        printed.extend(output.stdout);
        printed.extend(output.stderr);
    };
    run(&["login", "--code", "first-code-4711"]);
    run(&["login", "--code", "first-code-4711"]);
    let secrets_then = mirror.simulator.account().oauth.secrets();
    assert_eq!(secrets_then.len(), 3, "one pair");
    // A server that quotes the request.
    let quoted = format!("http://127.0.0.1:9/{}/{}", secrets_then[1], secrets_then[2]);
    mirror.simulator.account().oauth.expire();
    mirror.simulator.account().oauth.scripted.push_back(Fault::Redirect(quoted));
    run(&["sync", "1..5"]);
    run(&["sync", "1..5"]);
    mirror.simulator.account().oauth.revoke();
    run(&["sync", "6..10"]);
    run(&["status"]);
    run(&["status", "--json"]);
    run(&["check"]);
    run(&["login", "--code", "second-code-4712"]);
    run(&["sync"]);
    let mut secrets = mirror.simulator.account().oauth.secrets();
    secrets.extend(["first-code-4711".into(), "second-code-4712".into()]);
    assert!(secrets.len() >= 3 + 2 + 2 + 2, "{}", secrets.len());
    let holds =
        |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    for entry in fs::read_dir(mirror.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("client-secret") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!secrets.iter().any(|secret| holds(&bytes, secret)), "a secret is in {}", path.display());
    }
    let text = String::from_utf8_lossy(&printed);
    // So that there is something to look for them in.
    let renewals = mirror.simulator.account().oauth.renewals;
    assert!(renewals > 0 && text.contains(journal::TOKEN_END) && text.contains("ERROR"), "{text}");
    assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{text}");
}
