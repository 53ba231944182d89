//! `init`: the first configuration, from its questions or options to a good `check`.

use crate::harness::{Mirror, account, text};
use crate::snapshots::assert_said;
use nix::libc;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use talkmirror_simulator::TOKEN;

/// Runs the program on a terminal of its own. Each answer is typed once its question is shown. Returns all that was
/// shown.
fn at_terminal(mirror: &Mirror, arguments: &[&str], answers: &[(&str, &str)]) -> (ExitStatus, String) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    command
        .args(arguments)
        .current_dir(mirror.path(""))
        .env_remove("TALKMIRROR_CONFIG")
        .env("TZ", "Europe/Moscow");
    command.stdin(slave()).stdout(slave()).stderr(slave());
    // SAFETY: both are system calls without a lock.
    #[expect(unsafe_code, reason = "before the command is executed")]
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            nix::errno::Errno::result(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    drop(command);
    drop(terminal.slave);
    let mut keyboard = File::from(terminal.master);
    let mut screen = keyboard.try_clone().unwrap();
    let (send, parts) = mpsc::channel();
    // It ends when the program has, and with it the last user of the terminal.
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = screen.read(&mut buffer) {
            send.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).unwrap();
        }
    });
    let mut shown = String::new();
    let mut seen = 0;
    for (question, answer) in answers {
        while !shown[seen..].contains(question) {
            let part = parts.recv_timeout(Duration::from_secs(60));
            shown += &part.unwrap_or_else(|_| panic!("{question:?} is not asked:\n{shown}"));
        }
        seen = shown.len();
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    let status = child.wait().unwrap();
    let modes = nix::sys::termios::tcgetattr(&keyboard).unwrap().local_flags;
    assert!(modes.contains(nix::sys::termios::LocalFlags::ECHO), "the terminal shows again what is typed");
    reader.join().unwrap();
    shown.extend(parts.iter());
    (status, shown.replace('\r', ""))
}

fn mode(mirror: &Mirror, name: &str) -> u32 {
    fs::metadata(mirror.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn on_a_terminal_it_asks_writes_checks_and_names_the_account_and_the_next_command() {
    let mirror = Mirror::new(account(3));
    let address = format!("{}/leads/?page=1\n", mirror.simulator.base_url());
    let new = ["init", "--dir", "new"];
    let (status, shown) =
        at_terminal(&mirror, &new, &[("in the browser", &address), ("The token: ", "half a tok\x03")]);
    assert!(!status.success() && !mirror.path("new").exists(), "Ctrl-C leaves nothing: {shown}");

    let token = format!("{TOKEN}\n");
    let answers = [
        ("in the browser", "https://www.amocrm.ru\n"),
        ("in the browser", &*address),
        ("The token: ", "two words\n"),
        ("The token: ", &*token),
    ];
    let (status, shown) = at_terminal(&mirror, &new, &answers);
    assert!(status.success() && !shown.contains(TOKEN), "{shown}");
    let port = (r"127\.0\.0\.1:9\d\d\d\b", "127.0.0.1:[http.listen]");
    assert_said!(shown, [port], @r#"
    The account's address, as in the browser (mycompany.amocrm.ru): https://www.amocrm.ru
    That is the vendor's own site: type it as mycompany.amocrm.ru or mycompany.kommo.com.
    The account's address, as in the browser (mycompany.amocrm.ru): http://127.0.0.1:[port]/leads/?page=1
    The integration's long-lived token ("Keys and scopes", "Ключи и доступы").
    Paste it, it is not shown. Press Enter alone to use OAuth instead.
    The token: 
    Read 9 characters.
    That is no usable token: spaces, line breaks or other characters that no token has.
    The token: 
    Read 15 characters.
    wrote  [folder]/new/token
    wrote  [folder]/new/config.schema.json
    wrote  [folder]/new/config.toml
    config  ok  [folder]/new/config.toml is valid
    database  ok  [folder]/new/talks.db does not exist yet: `run` and `sync` create it
    http  ok  127.0.0.1:[http.listen] is free
    token  ok  http://127.0.0.1:[port] accepts it
    account  ok  17029541 ("Simulated", http://127.0.0.1:[port]) answers (by GET /api/v4/account); the database has no account yet

    Auto-close is in dry-run: talkmirror records what it would close, and closes nothing.
    Next:
      talkmirror --config [folder]/new/config.toml run
      talkmirror --config [folder]/new/config.toml status  # or its page: http://127.0.0.1:[http.listen]/
    "#);
    assert_eq!(
        (mode(&mirror, "new"), mode(&mirror, "new/token"), mode(&mirror, "new/config.toml")),
        (0o700, 0o600, 0o644)
    );
    let config = fs::read_to_string(mirror.path("new/config.toml")).unwrap();
    assert_said!(config, [port], @r##"
    #:schema ./config.schema.json
    # talkmirror. What is left out here has its default: `talkmirror config example` shows every key and what it
    # does, `talkmirror config show` what is in effect. `talkmirror check` tests it. After a change, reload the
    # daemon: systemctl reload, or SIGHUP.

    [api]
    # The account's address, as in the browser.
    base_url = "http://127.0.0.1:[port]"
    # The long-lived token, in a file of this folder that its owner alone can read.
    token_file = "token"

    [database]
    path = "talks.db"

    [auto_close]
    # off: nothing is closed. dry-run: talkmirror decides and records what it would close (`talkmirror stale`, the
    # table "closures"), and closes nothing. live: it closes talks. Read what it would have closed before that.
    mode = "dry-run"

    [report]
    # The time zone of days in views and on the page.
    timezone = "Europe/Moscow"

    [http]
    # The status page, metrics and health, for this machine alone.
    listen = "127.0.0.1:[http.listen]"
    "##);

    let found = at_terminal(&mirror, &["--config", "new/config.toml", "sync", "1", "--no-close"], &[]);
    assert!(found.0.success() && mirror.path("new/talks.db").exists(), "{}", found.1);

    let (status, shown) = at_terminal(&mirror, &new, &[]);
    assert_eq!(status.code(), Some(1));
    assert_said!(shown, @"
    [folder]/new/config.toml exists: edit it, and test it with `talkmirror --config [folder]/new/config.toml check`
    [folder]/new/token exists: to use what is in it, give --token-file [folder]/new/token
    error: nothing is overwritten: move what exists away, or choose another folder with --dir
    ");
    assert_eq!(fs::read_to_string(mirror.path("new/config.toml")).unwrap(), config);
}

#[test]
fn on_a_terminal_an_empty_token_leads_to_oauth_and_through_the_login() {
    let mirror = Mirror::new(account(3));
    let address = format!("{}\n", mirror.simulator.base_url());
    let (id, secret, redirect) = {
        let mut account = mirror.simulator.account();
        account.oauth.codes.push("a-code".into());
        let oauth = &account.oauth;
        (
            format!("{}\n", oauth.client_id),
            format!("{}\n", oauth.client_secret),
            format!("{}\n", oauth.redirect_uri),
        )
    };
    let answers = [
        ("in the browser", &*address),
        ("The token: ", "\n"),
        ("integration's id: ", "two words\n"),
        ("integration's id: ", &*id),
        ("Its secret", &*secret),
        ("redirect address", &*redirect),
        ("The code, or the whole address: ", "a-code\n"),
    ];
    let (status, shown) = at_terminal(&mirror, &["init", "--dir", "new"], &answers);
    assert!(status.success() && !shown.contains(secret.trim()), "{shown}");
    assert!(shown.contains("Logged in: ") && shown.contains("17029541 (\"Simulated\""), "{shown}");
    assert_eq!(mode(&mirror, "new/oauth-secret"), 0o600);
}

#[test]
fn with_options_it_asks_nothing_and_after_a_bad_check_it_says_what_to_correct() {
    let mirror = Mirror::new(account(3));
    let base = mirror.simulator.base_url();
    let dir = mirror.path("new");
    let dir = dir.to_str().unwrap();
    let init = |more: &[&str], stdin: &str| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        command.args(["init", "--dir", dir]).args(more).write_stdin(stdin).env_remove("TALKMIRROR_CONFIG");
        let output = command.output().unwrap();
        let (out, err) = text(&output);
        (output.status.code(), out, err)
    };
    let (code, _, err) = init(&[], "");
    assert_eq!(code, Some(2));
    assert_said!(err.lines().next().unwrap_or_default(), @"error: there is no terminal to ask on: give --base-url, and --token-file (or --client-id, --client-secret-file and --redirect-uri)");
    let (code, _, err) = init(&["--base-url", "mycompany", "--token-file", "-"], "a-token");
    assert_eq!(code, Some(2));
    assert!(err.contains("--base-url: which one: mycompany.amocrm.ru or mycompany.kommo.com?"), "{err}");
    assert!(!mirror.path("new").exists());

    let (code, out, err) = init(&["--base-url", &base, "--token-file", "-"], "wrong\n");
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let after = out.split_once("token     BAD").unwrap_or_else(|| panic!("{out}")).1;
    assert_said!(after.trim(), @"
    http://127.0.0.1:[port]: HTTP 401: the token is not accepted

    The files stay. The address is in [folder]/new/config.toml,
    the secret in [folder]/new/token.
    Correct what is BAD, then check again:
      talkmirror --config [folder]/new/config.toml check
    ");
    let (code, _, err) = init(&["--base-url", &base, "--token-file", "-"], TOKEN);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing is overwritten"), "{err}");
    assert_eq!(fs::read_to_string(mirror.path("new/token")).unwrap(), "wrong\n");

    // The token that is there, with another configuration.
    fs::remove_file(mirror.path("new/config.toml")).unwrap();
    fs::write(mirror.path("new/token"), TOKEN).unwrap();
    let (code, out, err) = init(&["--base-url", &base, "--token-file", &format!("{dir}/token")], "");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains("wrote     [folder]/new/token"), "{out}");

    fs::remove_dir_all(dir).unwrap();
    let redirect = mirror.simulator.account().oauth.redirect_uri.clone();
    let client = mirror.simulator.account().oauth.client_id.clone();
    let secret = mirror.simulator.account().oauth.client_secret.clone();
    let oauth = [
        "--base-url",
        &base,
        "--client-id",
        &client,
        "--client-secret-file",
        "-",
        "--redirect-uri",
        &redirect,
    ];
    let (code, out, err) = init(&oauth, &secret);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_said!(out, @"
    wrote  [folder]/new/oauth-secret
    wrote  [folder]/new/config.schema.json
    wrote  [folder]/new/config.toml

    Next:
      talkmirror --config [folder]/new/config.toml login
      talkmirror --config [folder]/new/config.toml check
      talkmirror --config [folder]/new/config.toml run
    ");
    mirror.simulator.account().oauth.codes.push("a-code".into());
    let config = format!("{dir}/config.toml");
    for arguments in [&["login", "--code", "a-code"][..], &["check"]] {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        let output = command.args(["--config", &config]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{:?}", text(&output));
    }
}
