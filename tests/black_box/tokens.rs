//! Long-lived tokens: the warnings before one expires; and secrets as systemd credentials.

use crate::harness::{Mirror, account, copy_binary, skip, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DAY: i64 = 86_400;

/// A long-lived token like the vendor's that expires this many seconds from now.
fn long_lived(ends: i64) -> String {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(json!({"typ": "JWT", "alg": "RS256"}));
    format!("{header}.{}.c2lnbmF0dXJl", part(json!({"exp": unix_now() + ends, "scopes": ["crm"]})))
}

fn with_long_lived(ends: i64) -> Mirror {
    let mirror = Mirror::new(account(3));
    put_token(&mirror, &long_lived(ends));
    mirror
}

fn put_token(mirror: &Mirror, token: &str) {
    mirror.simulator.account().token = token.into();
    mirror.write_secret("new", token);
    fs::rename(mirror.path("new"), mirror.path("token")).unwrap();
}

#[test]
fn a_long_lived_token_is_warned_of_13_days_before_its_end_until_it_is_replaced() {
    let mirror = with_long_lived(13 * DAY + 3600);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::TOKEN_END), [(r"expires_at=\d+", "expires_at=[n]")], @"WARN the API token expires in 13 days, on [date]: make a new one in the integration's settings and put it in [folder]/token expires_at=[n]");
    let looked_again = "SELECT unixepoch() - started_at >= 3 FROM daemon_status";
    mirror.wait_sql("it has looked at the token again", looked_again, true);
    let known = "SELECT count(*) FROM mirror_info WHERE key = 'api.token_expires_at'";
    mirror.wait_sql("the end is known", known, 1);
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(complaints(&out), @"
    ! the API token expires in 13 days, on [date]
      → make a new one in the integration's settings and put it in place of the old one (api.token_file): the daemon uses it without a restart. If only systemd can read that file, restart the service
    ");
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  ok  http://127.0.0.1:[port] accepts it; it expires in 13 days, on [date]");

    put_token(&mirror, &long_lived(400 * DAY + 3600));
    mirror.wait_logged(journal::TOKEN_REPLACED);
    mirror.wait("the warning is gone", || mirror.status()["warnings"].as_array().unwrap().is_empty());
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Token"), @"Token  expires in 400 days, on [date]");

    put_token(&mirror, talkmirror_simulator::TOKEN);
    mirror.wait_sql("one that has no end", known, 0);
    assert_eq!(mirror.logged(journal::TOKEN_END).len(), 1, "{}", mirror.log());
    daemon.stop();
}

#[test]
fn a_long_lived_token_is_not_warned_of_15_days_before_its_end() {
    let mirror = with_long_lived(15 * DAY + 3600);
    mirror.ends(0, &["sync", "1..3"]);
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Token"), @"Token  expires in 15 days, on [date]");
    assert_eq!(complaints(&out), "");
}

#[test]
fn a_long_lived_token_that_has_ended_is_an_error_in_the_log_and_unhealthy() {
    let mirror = with_long_lived(-2 * DAY);
    let (_, err) = mirror.ends(0, &["sync", "1..3"]);
    assert_said!(journal::faults(&err), [(r"expires_at=\d+", "expires_at=[n]")], @"ERROR the API token expired 2 days ago, on [date]: make a new one in the integration's settings and put it in [folder]/token expires_at=[n]");
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! the API token expired 2 days ago, on [date]
      → make a new one in the integration's settings and put it in place of the old one (api.token_file): the daemon uses it without a restart. If only systemd can read that file, restart the service
    ");
    let (out, _) = mirror.ends(1, &["status", "--json"]);
    let status: Value = serde_json::from_str(&out).unwrap();
    assert!(status["token_expires_at"].as_i64().unwrap() < unix_now());
    assert_eq!(status["oauth"], Value::Null);
}

#[test]
fn a_token_that_others_can_read_is_refused_with_the_command_that_helps() {
    let mirror = Mirror::new(account(3));
    let open = |name: &str, mode| {
        fs::set_permissions(mirror.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o604, 0o640, 0o666] {
        open("token", mode);
        for command in ["run", "sync", "check"] {
            let (_, err) = mirror.ends(78, &[command]);
            assert_said!(journal::error(&err), @"error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found a file that others can read: run `chmod 600 [folder]/token`");
        }
    }
    open("token", 0o600);
    let daemon = mirror.running_daemon();
    let new = "the-next-token";
    fs::write(mirror.path("new"), new).unwrap();
    mirror.simulator.account().token = new.into();
    fs::rename(mirror.path("new"), mirror.path("token")).unwrap();
    assert_said!(mirror.wait_logged(journal::TOKEN_KEPT), @"WARN the API token in use is kept, as there is no other in [folder]/token: a file that others can read: run `chmod 600 [folder]/token`");
    open("token", 0o600);
    mirror.wait_logged(journal::TOKEN_REPLACED);
    daemon.stop();
    // systemd protects its credentials.
    mirror.write_secret("token", "");
    fs::create_dir(mirror.path("credentials")).unwrap();
    fs::write(mirror.path("credentials/token"), new).unwrap();
    open("credentials/token", 0o644);
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    fs::write(mirror.path("config.toml"), config.replace("api.token_file = \"token\"", "")).unwrap();
    let mut command = mirror.command(&["sync", "1"]);
    let output = command.env("CREDENTIALS_DIRECTORY", mirror.path("credentials")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_token_of_the_same_length_and_time_is_taken_up() {
    let mirror = Mirror::new(account(3));
    let daemon = mirror.running_daemon();
    let replace = |token: &str| {
        let time = fs::metadata(mirror.path("token")).unwrap().modified().unwrap();
        mirror.simulator.account().token = token.into();
        let mut file = fs::File::options().write(true).open(mirror.path("token")).unwrap();
        std::io::Write::write_all(&mut file, token.as_bytes()).unwrap();
        file.set_modified(time).unwrap();
    };
    let old = fs::read_to_string(mirror.path("token")).unwrap();
    replace(&"x".repeat(old.len()));
    mirror.wait_logged(journal::TOKEN_REPLACED);
    assert_eq!(mirror.logged(journal::TOKEN_REPLACED).len(), 1, "{}", mirror.log());
    // Several changes within one tick of the file system's clock.
    for letter in ["a", "b", "c"] {
        replace(&letter.repeat(old.len()));
    }
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("the last is used", "SELECT count(*) FROM talks", 1);
    daemon.stop();
}

#[test]
fn the_secret_of_webhooks_may_be_a_credential() {
    let mirror = Mirror::new(account(1));
    mirror.configure("webhook.enabled = true\nhttp.listen = \"127.0.0.1:9\"\n");
    fs::create_dir(mirror.path("credentials")).unwrap();
    let check = |secret: &str| {
        fs::write(mirror.path("credentials/webhook-secret"), secret).unwrap();
        let mut command = mirror.command(&["check"]);
        command.env("CREDENTIALS_DIRECTORY", mirror.path("credentials")).output().unwrap().status.code()
    };
    assert_eq!((check("0123456789abcdef"), check("")), (Some(0), Some(78)));
}

#[test]
fn a_token_file_that_may_not_be_read_gives_way_to_the_credential() {
    use std::os::unix::process::CommandExt;
    let mirror = Mirror::new(account(1));
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let binary = mirror.path("talkmirror");
    if !nix::unistd::Uid::effective().is_root() {
        skip("only root can try another user's rights");
        return;
    }
    copy_binary(&binary);
    open(&mirror.path(""), 0o777);
    open(&mirror.path("token"), 0o600);
    fs::create_dir(mirror.path("credentials")).unwrap();
    let sync = |credential: &str| {
        fs::write(mirror.path("credentials/token"), credential).unwrap();
        let mut command = std::process::Command::new(&binary);
        command.arg("--config").arg(mirror.path("config.toml")).args(["sync", "1"]);
        command.env("CREDENTIALS_DIRECTORY", mirror.path("credentials")).uid(65534).gid(65534);
        command.output().unwrap()
    };
    let denied = sync("");
    assert_eq!(denied.status.code(), Some(78));
    assert_said!(String::from_utf8_lossy(&denied.stderr), @"error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found Permission denied (os error 13)");
    let taken = sync(talkmirror_simulator::TOKEN);
    assert!(taken.status.success(), "{taken:?}");
}

#[test]
fn what_is_no_token_is_not_taken_up_and_the_log_says_so_once() {
    let mirror = with_long_lived(100 * DAY);
    let daemon = mirror.running_daemon();
    let token = fs::read_to_string(mirror.path("token")).unwrap();
    fs::write(mirror.path("token"), "two words").unwrap();
    assert_said!(mirror.wait_logged(journal::TOKEN_KEPT), @"WARN the API token in use is kept, as there is no other in [folder]/token: spaces, line breaks or other characters that no token has");
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("the one before is used", "SELECT count(*) FROM talks", 1);
    fs::remove_file(mirror.path("token")).unwrap();
    assert_said!(mirror.wait_logged_times(journal::TOKEN_KEPT, 2), @"WARN the API token in use is kept, as there is no other in [folder]/token: the file no longer exists");
    put_token(&mirror, &token);
    mirror.ends(0, &["enqueue", "2"]);
    mirror.wait_sql("it works on", "SELECT count(*) FROM talks", 2);
    daemon.stop();
    assert_eq!(mirror.logged(journal::TOKEN_KEPT).len(), 2, "{}", mirror.log());
}
