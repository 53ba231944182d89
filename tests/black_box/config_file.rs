//! Where a configuration comes from, and what works if it is wrong.

use crate::harness::{Mirror, account, text};
use crate::journal;
use crate::snapshots::assert_said;
use nix::sys::signal::Signal;
use std::fs;
use std::process::{Command, Output};

/// Each command that needs a configuration and ends on its own.
const COMMANDS: [&str; 14] = [
    "sync 1",
    "check",
    "status",
    "stale",
    "why 1",
    "enqueue 2",
    "queue list",
    "queue retry",
    "queue drop 2",
    "close 1 --dry-run --yes",
    "backfill --stop",
    "backup copy.db",
    "backup --restore copy.db --yes",
    "status --json",
];

fn in_a_shell(mirror: &Mirror, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(mirror.path("")).env_remove("TALKMIRROR_CONFIG");
    command.output().unwrap()
}

#[test]
fn a_configuration_from_a_pipe_or_by_its_bare_name_does_for_every_command() {
    let binary = env!("CARGO_BIN_EXE_talkmirror");
    for config in
        ["<(cat config.toml)", "/dev/stdin < config.toml", "/dev/stdin < <(cat config.toml)", "config.toml"]
    {
        let mirror = Mirror::new(account(3));
        mirror.configure("auto_close.mode = \"dry-run\"\n");
        for command in COMMANDS {
            let output = in_a_shell(&mirror, &format!("{binary} {command} --config {config}"));
            assert!(output.status.success(), "{command} --config {config}: {:?}", text(&output));
        }
        assert!(mirror.database().exists(), "in the working directory");
    }
}

#[test]
fn a_daemon_whose_configuration_was_a_pipe_refuses_to_read_it_again_and_takes_a_new_token_up() {
    let mirror = Mirror::new(account(3));
    let log = fs::File::create(mirror.path("daemon.log")).unwrap();
    let mut command = Command::new("bash");
    let script = format!("exec {} --config <(cat config.toml) run", env!("CARGO_BIN_EXE_talkmirror"));
    command.args(["-c", &script]).current_dir(mirror.path("")).stderr(log);
    let daemon = crate::harness::Daemon { child: command.spawn().unwrap() };
    // The token may change once the account was requested.
    mirror.wait("it runs", || mirror.simulator.account().account_requests() == 1);
    mirror.simulator.account().token = "the-next".into();
    mirror.write_secret("token", "the-next");
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged(journal::CONFIG_REFUSED);
    assert_said!(journal::faults(&mirror.log()), @"
    ERROR a mistake in the new configuration: /dev/fd/63: expected a file, which can be read again, found a pipe or the like: restart talkmirror with the new configuration
    ERROR refused the new configuration, the old one stays in force: 1 mistake
    ");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("it works on, with the new token", "SELECT count(*) FROM talks", 1);
    assert!(mirror.simulator.account().log.iter().all(|request| request.status == 200));
    daemon.stop();
}

#[test]
fn with_a_wrong_configuration_what_needs_the_database_alone_works_and_warns() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    mirror.ends(0, &["enqueue", "7"]);
    mirror.configure("api.timeout = \"soon\"\nauto_clsoe.mode = \"live\"\nauto_close.max_per_sweep = 0\n");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["why", "1"],
        &["stale"],
        &["queue", "list"],
        &["queue", "retry", "7"],
        &["queue", "drop", "7"],
        &["backup", mirror.path("copy.db").to_str().unwrap()],
    ] {
        let (_, err) = mirror.ends(0, arguments);
        assert_said!(err, @r#"warning: the configuration is wrong, so defaults are used for this: [folder]/config.toml: api.timeout: expected a duration such as "30s", from 100ms to 10m, found "soon"\n[folder]/config.toml: auto_close.max_per_sweep: expected a whole number from 1 to 100000, found 0\n[folder]/config.toml: auto_clsoe.mode: expected a known key: auto_close.mode?, found an unknown one"#);
    }
    for arguments in [
        &["run"][..],
        &["sync"],
        &["check"],
        &["enqueue", "1"],
        &["close", "1", "--yes"],
        &["backup", "--restore", mirror.path("copy.db").to_str().unwrap(), "--yes"],
    ] {
        let (_, err) = mirror.ends(78, arguments);
        assert_said!(err, @r#"
        error: [folder]/config.toml: api.timeout: expected a duration such as "30s", from 100ms to 10m, found "soon"
        [folder]/config.toml: auto_close.max_per_sweep: expected a whole number from 1 to 100000, found 0
        [folder]/config.toml: auto_clsoe.mode: expected a known key: auto_close.mode?, found an unknown one
        "#);
    }
}

#[test]
fn where_the_database_lies_must_be_certain() {
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    let mut said = String::new();
    for more in
        ["database.path = 3", "database.pth = \"other.db\"", "databse.path = \"other.db\"", "path = 1\n[api"]
    {
        mirror.configure(&format!("{more}\n"));
        said += &mirror.ends(78, &["status"]).1;
    }
    assert_said!(said, @"
    error: [folder]/config.toml: database.path: expected the path of a file, found 3
    error: [folder]/config.toml: database.pth: expected a known key: database.path?, found an unknown one
    error: [folder]/config.toml: databse.path: expected a known key: database.path?, found an unknown one
    error: [folder]/config.toml: expected TOML, found: line 14, column 5: unclosed table, expected `]`
       |
    14 | [api
       |  ^
    ");
}
