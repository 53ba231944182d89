//! Text from outside: it cannot control a terminal, start a line, or widen a table without end.

use crate::closing::missed;
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;
use nix::sys::signal::Signal;
use std::fs;
use std::io::Read;
use std::process::Stdio;

/// A forged log line.
const FORGED: &str = "2026-11-25T00:00:00.000000Z ERROR paused: the API does not accept the token";

const HOSTILE: &str = "wa\x1b]0;title\x07\x1b[2J\u{9b}31m\r\n\tTALK  99 stale\u{202e}\u{2028}\u{200b}";

const DRY_RUN: &str = "auto_close.mode = \"dry-run\"\nauto_close.max_share = 1.0\n";

/// Talks, missed long ago, whose texts are hostile or endless.
fn hostile() -> Mirror {
    let mirror = missed(0, DRY_RUN);
    let mut account = mirror.simulator.account();
    for (origin, status) in
        [(HOSTILE.to_owned(), None), ("x".repeat(3000), None), ("viber".into(), Some(HOSTILE))]
    {
        let talk_id = account.create_missed(200_000);
        let talk = account.talk(talk_id);
        talk.origin = Some(origin);
        talk.status = status.map(str::to_owned);
        talk.chat_id = Some(HOSTILE.into());
        talk.entity_type = Some(HOSTILE.into());
    }
    drop(account);
    mirror.ends(0, &["sync", "1..3"]);
    mirror
        .connect()
        .execute("INSERT INTO close_exemptions (talk_id, reason) VALUES (2, ?1)", [HOSTILE])
        .unwrap();
    mirror
        .connect()
        .execute(
            "INSERT INTO close_exemptions (chat_id, reason) VALUES (?1, ?2)",
            [&"z".repeat(3000), HOSTILE],
        )
        .unwrap();
    mirror
        .connect()
        .execute(
            "INSERT INTO talk_queue (talk_id, reason, last_error, failed_at) VALUES (9, ?1, ?1, 1), (8, ?2, ?2, NULL)",
            [HOSTILE, &"y".repeat(3000)],
        )
        .unwrap();
    mirror
}

pub fn assert_harmless(what: &str, text: &str) {
    let odd: Vec<char> = text
        .chars()
        .filter(|letter| {
            letter.is_control() && *letter != '\n' || ['\u{202e}', '\u{2028}', '\u{200b}'].contains(letter)
        })
        .collect();
    assert!(odd.is_empty(), "{what}: {odd:?}\n{text}");
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(longest < 1000, "{what}: {longest}\n{text}");
}

const LOOKS: [&[&str]; 11] = [
    &["stale"],
    &["stale", "--all"],
    &["why", "1"],
    &["why", "2"],
    &["why", "3"],
    &["why", "8"],
    &["why", "9"],
    &["queue", "list"],
    &["exempt", "list"],
    &["check"],
    &["status"],
];

#[test]
fn no_command_prints_a_control_character_or_an_endless_line() {
    let mirror = hostile();
    for look in LOOKS {
        let output = mirror.output(look);
        let (out, err) = crate::harness::text(&output);
        assert_harmless(&format!("{look:?}"), &(out + &err));
    }
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_eq!(out.lines().filter(|line| line.starts_with("TALK")).count(), 1, "the head alone: {out}");
    assert!(out.contains(r"wa\u{1b}]0;title\u{7}\u{1b}[2J"), "{out}");
    assert!(out.contains(&format!("  {}…  ", "x".repeat(299))), "{out}");
}

#[test]
fn json_and_the_database_hold_texts_to_the_letter() {
    let mirror = hostile();
    let (out, _) = mirror.ends(0, &["stale", "--json"]);
    let stale: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(stale["stale"].as_array().unwrap().iter().any(|talk| talk["origin"] == HOSTILE), "{out}");
    let (out, _) = mirror.ends(0, &["queue", "list", "--json"]);
    let queue: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(queue.as_array().unwrap().iter().any(|row| row["last_error"] == HOSTILE), "{out}");
    assert_eq!(mirror.sql::<String>("SELECT origin FROM talks WHERE talk_id = 1"), HOSTILE);
}

#[test]
fn an_error_is_one_line_whatever_a_file_is_called_and_each_mistake_is_one() {
    let mirror = Mirror::new(account(0));
    let hostile = "no\nsuch\x1b[2J.db";
    let (_, err) = mirror.ends(1, &["backup", "--restore", hostile, "--yes"]);
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(r"no\nsuch\u{1b}[2J.db"), "{err}");
    mirror.configure("log.level = \"a\\nb\"\napi.tokn = \"\\u001b[2J\"\n");
    let (_, err) = mirror.ends(78, &["sync"]);
    assert_harmless("mistakes", &err);
    assert_eq!(err.lines().count(), 2, "one for each mistake: {err}");
}

#[test]
fn what_is_typed_is_escaped_in_an_error_of_usage() {
    let mirror = Mirror::new(account(0));
    for typed in [&["why", HOSTILE][..], &[HOSTILE], &["status", "--x\x1b[2J\ny"]] {
        let (_, err) = mirror.ends(2, typed);
        assert_harmless("usage", &err);
        assert!(err.starts_with("error: ") && err.lines().next().unwrap().contains(r"\u{1b}"), "{err}");
    }
}

#[test]
fn outside_text_begins_no_line_of_the_log() {
    let mirror = missed(0, "auto_close.mode = \"live\"\nauto_close.only_origins = [\"telegram\"]\n");
    {
        let mut account = mirror.simulator.account();
        for (origin, status) in
            [(Some(format!("shop\n{FORGED}")), None), (None, Some(format!("x\r\n{FORGED}")))]
        {
            let talk_id = account.create_missed(200_000);
            let talk = account.talk(talk_id);
            (talk.origin, talk.status) = (origin.or(Some("telegram".into())), status);
        }
    }
    let daemon = mirror.running_daemon();
    mirror.ends(0, &["enqueue", "1", "2"]);
    mirror.wait_sql("both are mirrored", "SELECT count(*) FROM talks", 2);
    mirror.ends(0, &["close", "1", "2", "--yes"]);
    mirror.wait_logged_times(journal::WITHDRAWN, 2);
    daemon.stop();
    let log = mirror.log();
    assert!(!log.split(['\n', '\r']).any(|line| line.starts_with("2026-11-25T00:00:00")), "{log}");
    assert!(log.contains(&format!(r"shop\n{FORGED}")) && log.contains(&format!(r"x\r\n{FORGED}")), "{log}");
    assert_harmless("the log", &log);
}

#[test]
fn each_mistake_of_a_refused_reload_is_a_line_of_the_log() {
    let mirror = Mirror::new(account(0));
    let daemon = mirror.running_daemon();
    mirror.configure(&format!("auto_close.mode = \"on\\n{FORGED}\"\napi.tokn = 1\n"));
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged(journal::CONFIG_REFUSED);
    daemon.stop();
    let log = mirror.log();
    assert_eq!(mirror.logged(journal::CONFIG_MISTAKE).len(), 2, "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-11-25T00:00:00")), "{log}");
}

/// The output of a command on a terminal with this many columns.
fn on_a_terminal(mirror: &Mirror, columns: u16, arguments: &[&str]) -> String {
    let size = nix::pty::Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .arg("--config")
        .arg(mirror.path("config.toml"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::from(pty.slave))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The terminal's end reports an error once the last process has closed it.
    let mut shown = Vec::new();
    let _ = fs::File::from(pty.master).read_to_end(&mut shown);
    assert!(child.wait().unwrap().code().is_some_and(|code| code < 2));
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

#[test]
fn on_a_terminal_tables_fit_its_width_and_no_text_brings_colours() {
    let mirror = hostile();
    for columns in [20, 60, 80, 200] {
        for look in LOOKS {
            let shown = on_a_terminal(&mirror, columns, look);
            let plain = shown.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
            assert_harmless(&format!("{look:?} at {columns}"), &plain);
            let table = plain
                .lines()
                .skip_while(|line| !line.starts_with("TALK"))
                .take_while(|line| !line.is_empty());
            for line in table {
                assert!(
                    line.chars().count() <= usize::from(columns.max(40)),
                    "{look:?} at {columns}: {line:?}"
                );
            }
        }
    }
    let shown = on_a_terminal(&mirror, 80, &["status"]);
    assert_said!(shown.lines().next().unwrap_or_default().escape_debug(), @r"Mirror  \u{1b}[1;31mnot healthy: 1 to check, see below\u{1b}[0m");
}
