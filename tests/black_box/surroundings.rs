//! The environment of a process: variables, byte order marks, proxies, limits.

use crate::harness::{Daemon, Mirror, account, copy_binary, skip, text};
use crate::journal;
use crate::snapshots::{assert_said, verdicts};
use nix::sys::resource::{Resource, setrlimit};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Output, Stdio};
use talkmirror_simulator::TOKEN;

/// The mirror's configuration without the token's file.
fn without_token_file(mirror: &Mirror) -> String {
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    config.lines().filter(|line| !line.contains("token_file")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_variable_that_is_set_but_empty_counts_as_unset() {
    let mirror = Mirror::new(account(3));
    let elsewhere = mirror.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("token"), "somebody-else-s").unwrap();
    let variables = [
        "STATE_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "TALKMIRROR__DATABASE__PATH",
        "TALKMIRROR__API__MAX_IN_FLIGHT",
        "TALKMIRROR__API__TOKEN",
        "TALKMIRROR__NO__SUCH_KEY",
        "JOURNAL_STREAM",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "TMPDIR",
        "TALKMIRROR_CONFIG",
    ];
    let with_empty = |arguments: &[&str]| {
        let mut command = mirror.command(arguments);
        command.envs(variables.map(|name| (name, ""))).current_dir(&elsewhere).output().unwrap()
    };
    let output = with_empty(&["sync", "1"]);
    assert!(output.status.success(), "{:?}", text(&output));
    assert!(mirror.database().exists() && !elsewhere.join("talks.db").exists());

    fs::write(mirror.path("config.toml"), without_token_file(&mirror)).unwrap();
    let (_, err) = text(&with_empty(&["sync", "1"]));
    assert_said!(err, @"error: [folder]/config.toml: api.token_file: expected the path of a file with the token, found nothing");
    assert!(
        mirror.simulator.account().log.iter().all(|request| request.status == 200),
        "no other token was sent"
    );

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let (_, err) = text(&command.env("TALKMIRROR_CONFIG", "").arg("status").output().unwrap());
    assert_said!(err, @"error: /etc/talkmirror/config.toml: expected a configuration file (`talkmirror init` writes one), found: No such file or directory (os error 2)");
}

#[test]
fn an_empty_proxy_variable_does_not_hide_the_other_spelling() {
    let mirror = Mirror::new(account(0));
    mirror.configure("api.base_url = \"https://localhost:9\"\n");
    let mut command = mirror.command(&["sync"]);
    let output = command.env("HTTPS_PROXY", "").env("https_proxy", "::::").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert_said!(text(&output).1, @"error: https_proxy: expected the address of an HTTP proxy, such as http://proxy.example:3128, found something else");
}

#[test]
fn a_variable_of_ours_that_is_not_utf_8_is_named_and_never_shown_and_others_do_not_matter() {
    let mirror = Mirror::new(account(3));
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    fs::write(mirror.path("config.toml"), without_token_file(&mirror)).unwrap();
    let secret = OsStr::from_bytes(b"hush.hush\xa3");
    let mut said = String::new();
    for command in ["run", "sync", "check", "login", "status", "enqueue"] {
        let arguments: &[&str] = if command == "enqueue" { &["enqueue", "1"] } else { &[command] };
        let output = mirror.command(arguments).env("TALKMIRROR__API__TOKEN", secret).output().unwrap();
        let (out, err) = text(&output);
        said += &format!("{command}: {err}");
        assert!(!out.contains("hush") && !err.contains("hush"), "{command}: {out}{err}");
    }
    assert_said!(said, @"
    run: error: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    sync: error: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    check: error: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    login: error: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    [folder]/config.toml: api.oauth.client_id: expected the integration's id, to log in with, found nothing
    status: warning: the configuration is wrong, so defaults are used for this: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    error: there is no database at [folder]/talks.db yet: `talkmirror run` or `talkmirror sync` creates it
    enqueue: error: TALKMIRROR__API__TOKEN: api.token: expected a value in UTF-8, found other bytes
    ");
    fs::write(mirror.path("config.toml"), config).unwrap();
    let mut command = mirror.command(&["sync", "1"]);
    command.env("FOO", OsStr::from_bytes(b"\xff")).env(OsStr::from_bytes(b"F\xff"), "x");
    command.env("TALKMIRROR_PORT", OsStr::from_bytes(b"tcp://10.0.0.1\xff"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{:?}", text(&output));
}

#[test]
fn a_byte_order_mark_at_the_start_of_any_input_is_skipped() {
    let mirror = Mirror::new(account(3));
    mirror.configure(
        "webhook.enabled = true\nwebhook.secret_file = \"secret\"\nhttp.listen = \"127.0.0.1:9\"\n",
    );
    let mark = |name: &str| {
        let text = fs::read_to_string(mirror.path(name)).unwrap();
        mirror.write_secret(name, &format!("\u{feff}{text}"));
    };
    mirror.write_secret("secret", "0123456789abcdef\r\n");
    for name in ["config.toml", "token", "secret"] {
        mark(name);
    }
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["token"]), @"token  ok  http://127.0.0.1:[port] accepts it");
    let mut command = mirror.command(&["enqueue", "-"]);
    let output = command.write_stdin("\u{feff}1\r\n2\r\n").output().unwrap();
    assert_said!(text(&output).0, @"2 talks queued, 0 already waited");
    let output = mirror.command(&["enqueue", "-"]).write_stdin("1\n\u{feff}3\n").output().unwrap();
    assert_said!(text(&output).1, @r#"error: stdin, line 2: expected a talk id: a whole number above 0, found "\u{feff}3"; nothing was queued"#);
    mirror.ends(0, &["sync"]);
}

#[test]
fn a_byte_order_mark_in_the_files_of_oauth_is_skipped() {
    let mirror = crate::oauth::oauth(account(3));
    crate::oauth::keep(&mirror, 0, 3600);
    for name in ["client-secret", "secrets/oauth.json"] {
        let text = fs::read_to_string(mirror.path(name)).unwrap();
        mirror.write_secret(name, &format!("\u{feff}{text}"));
    }
    let (_, err) = mirror.ends(0, &["sync", "1"]);
    assert_eq!(journal::faults(&err), "");
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_at_the_start_that_shows_no_password() {
    let mirror = Mirror::new(account(0));
    mirror.configure("api.base_url = \"https://localhost:9\"\nauto_close.mode = \"dry-run\"\n");
    let mut said = BTreeSet::new();
    for (name, value) in [
        ("HTTPS_PROXY", "::::"),
        ("https_proxy", "socks5://user:hush@127.0.0.1:1080"),
        ("ALL_PROXY", "ftp://hush@proxy"),
        ("all_proxy", "http://"),
        ("HTTPS_PROXY", "http://user:hush@:3128"),
    ] {
        for arguments in [&["run"][..], &["sync"], &["close", "1", "--dry-run"], &["check"]] {
            let output = mirror.command(arguments).env(name, value).output().unwrap();
            let (out, err) = text(&output);
            assert_eq!(output.status.code(), Some(78), "{arguments:?}: {out}{err}");
            said.insert(err.clone());
            assert!(!err.contains("hush") && !out.contains("hush"), "{out}{err}");
            if arguments == ["check"] {
                assert_said!(out, @"config  BAD  1 mistake");
            }
        }
        let output = mirror.command(&["enqueue", "1"]).env(name, value).output().unwrap();
        assert!(output.status.success(), "what does not talk to the API has no proxy: {output:?}");
    }
    assert_said!(said.into_iter().collect::<String>(), @"
    error: ALL_PROXY: expected the address of an HTTP proxy, such as http://proxy.example:3128, found one with ftp://
    error: HTTPS_PROXY: expected the address of an HTTP proxy, such as http://proxy.example:3128, found something else
    error: all_proxy: expected the address of an HTTP proxy, such as http://proxy.example:3128, found something else
    error: https_proxy: expected the address of an HTTP proxy, such as http://proxy.example:3128, found one with socks5://
    ");
    // A loopback address over plain http uses no proxy.
    mirror.configure("");
    let output = mirror.command(&["sync"]).env("HTTPS_PROXY", "::::").output().unwrap();
    assert!(output.status.success(), "{:?}", text(&output));
}

/// The binary as a separate user with this limit of threads and processes.
fn with_threads(mirror: &Mirror, binary: &Path, uid: u32, threads: u64, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(binary);
    command.arg("--config").arg(mirror.path("config.toml")).args(arguments);
    command.env("TALKMIRROR__API__TOKEN", TOKEN).stdin(Stdio::null()).uid(uid).gid(uid);
    // SAFETY: setrlimit is a system call without a lock.
    #[expect(unsafe_code, reason = "before the command is executed")]
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NPROC, threads, threads)?));
    }
    command.output().unwrap()
}

#[test]
fn without_a_thread_to_have_a_command_ends_with_an_error() {
    if !nix::unistd::Uid::effective().is_root() {
        skip("only root can limit another user");
        return;
    }
    let mirror = Mirror::new(account(3));
    let binary = mirror.path("talkmirror");
    copy_binary(&binary);
    fs::set_permissions(mirror.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(mirror.path("config.toml"), without_token_file(&mirror)).unwrap();
    let mut said = String::new();
    for arguments in [&["run"][..], &["sync", "1"], &["check"]] {
        let output = with_threads(&mirror, &binary, 61_010, 1, arguments);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {out}{err}");
        let all = format!("{out}{err}");
        said += &all;
    }
    assert_said!(said, @"
    error: cannot start a thread: is there a limit (TasksMax= of the unit, ulimit -u, the container's)?: Resource temporarily unavailable (os error 11)
    error: cannot start a thread: is there a limit (TasksMax= of the unit, ulimit -u, the container's)?: Resource temporarily unavailable (os error 11)
    config  ok  [folder]/config.toml is valid
    database  ok  [folder]/talks.db does not exist yet: `run` and `sync` create it
    token  BAD  cannot start a thread: is there a limit (TasksMax= of the unit, ulimit -u, the container's)?: Resource temporarily unavailable (os error 11)
    ");
}

#[test]
fn without_files_to_open_a_command_ends_with_an_error_that_says_so() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    for files in 5..=18 {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        command.arg("--config").arg(mirror.path("config.toml")).args(["sync", "2"]).stdin(Stdio::null());
        // SAFETY: setrlimit is a system call without a lock.
        #[expect(unsafe_code, reason = "before the command is executed")]
        unsafe {
            command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, files, files)?));
        }
        let output = command.output().unwrap();
        let (_, err) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{files}: {err}");
        // In the system's own words.
        assert!(err.starts_with("error: ") && err.contains("Too many open files"), "{files}: {err}");
    }
}

/// A command with this limit of its files' size, in KiB.
fn with_file_limit(mirror: &Mirror, kib: u64, arguments: &str) -> Output {
    let script = format!(
        "ulimit -f {kib}; exec {} --config {} {arguments}",
        env!("CARGO_BIN_EXE_talkmirror"),
        mirror.path("config.toml").display()
    );
    std::process::Command::new("bash").args(["-c", &script]).output().unwrap()
}

#[test]
fn a_file_that_reaches_its_size_limit_is_an_error_that_says_so_and_not_the_end() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    let size = fs::metadata(mirror.database()).unwrap().len() / 1024;
    let output = with_file_limit(&mirror, size + 8, "enqueue 1..100000");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (_, err) = text(&output);
    assert_said!(err, @"error: cannot queue them all; what was queued stays queued: disk I/O error: Error code 778: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again");
    mirror.assert_sound();
    let copy = mirror.path("copy.db");
    let output = with_file_limit(&mirror, size / 2, &format!("backup {}", copy.display()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_said!(text(&output).1, @"error: cannot copy [folder]/talks.db: disk I/O error: Error code 778: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again");
    assert!(!copy.exists());
}

#[test]
fn without_a_byte_to_write_every_command_names_the_limit() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    mirror.configure("auto_close.mode = \"dry-run\"\n");
    let backup = format!("backup {}", mirror.path("copy.db").display());
    let mut all = String::new();
    for arguments in [
        "run",
        "sync",
        "close 1",
        "enqueue 5",
        "queue list",
        "queue drop 1",
        "status",
        "why 1",
        "check",
        &backup,
    ] {
        let output = with_file_limit(&mirror, 0, &format!("{arguments} 2>&1 | cat; exit ${{PIPESTATUS[0]}}"));
        let said = text(&output).0;
        assert_eq!(output.status.code(), Some(1), "{arguments}: {said}");
        all += &match arguments {
            "check" => verdicts(&said, &["database"]),
            _ => format!("{arguments}: {}", journal::error(&said)),
        };
    }
    assert_said!(all, @"
    run: error: cannot write [folder]/talks.db.lock: File too large (os error 27); a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    sync: error: cannot write [folder]/talks.db.lock: File too large (os error 27); a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    close 1: error: cannot write [folder]/talks.db.lock: File too large (os error 27); a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    enqueue 5: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    queue list: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    queue drop 1: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    status: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    why 1: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    database  BAD  cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    backup [folder]/copy.db: error: cannot read [folder]/talks.db: disk I/O error: Error code 4874: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again
    ");
    mirror.assert_sound();
}

#[test]
fn a_scheduled_backup_that_reaches_the_limit_says_so() {
    let mirror = Mirror::new(account(300));
    mirror.ends(0, &["sync", "1..300"]);
    // The database itself writes no more than it holds. Its copy writes all of it.
    let size = fs::metadata(mirror.database()).unwrap().len() / 1024;
    mirror.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    mirror.configure("backup.path = \".\"\nbackup.schedule = \"* * * * * *\"\n");
    let script = format!(
        "ulimit -f {}; exec {} --config {} run 2>{}",
        size / 2,
        env!("CARGO_BIN_EXE_talkmirror"),
        mirror.path("config.toml").display(),
        mirror.path("daemon.log").display()
    );
    let child = std::process::Command::new("bash").args(["-c", &script]).spawn().unwrap();
    let daemon = Daemon { child };
    assert_said!(mirror.wait_logged(journal::BACKUP_FAILED), @"ERROR the backup failed: cannot copy [folder]/talks.db: disk I/O error: Error code 778: disk I/O error; a file has reached the largest size that this process may write: raise that limit (ulimit -f, LimitFSIZE= in the unit), and start talkmirror again");
    drop(daemon);
}
