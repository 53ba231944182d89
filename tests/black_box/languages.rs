//! `status` in the language of the locale, and on the terminal until a person ends it.

use crate::closing::missed;
use crate::harness::{Mirror, text};
use crate::snapshots::{assert_said, part};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcgetattr;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A mirror in which much is wrong. What the API and other programs said is Russian here.
fn troubled() -> Mirror {
    let mirror = missed(
        3,
        "auto_close.mode = \"dry-run\"\nauto_close.max_share = 1.0\nretention.versions = \"90d\"\n\
         auto_close.only_origins = [\"телеграм\"]\nbackup.path = \"копии\"\n",
    );
    mirror.execute(
        "UPDATE daemon_status SET mode = 'run', stopped_at = NULL, seen_at = unixepoch() - 4000,
                pause_reason = 'unauthorized', pause_detail = 'отказ', paused_at = unixepoch() - 5000,
                pause_until = unixepoch() + 60, last_failure_at = unixepoch() - 4100, last_failure = 'отказ',
                clock_skew = 125, not_closing = 'this machine''s clock is 2 min ahead of the API''s',
                known_talks = 7, mirrored_talks = 3, complete = 0, complete_at = unixepoch() + 650;
         INSERT INTO feeders (feeder, enabled, ran_at, found, found_in_all, trouble, trouble_since)
              VALUES ('refresh', 1, unixepoch() - 9, 1, 21, NULL, NULL),
                     ('events', 1, unixepoch() - 9, 2, 5, 'отказ', unixepoch() - 900),
                     ('directory', 1, NULL, 0, 0, NULL, NULL), ('webhook', 0, NULL, 0, 0, NULL, NULL),
                     ('listing', 1, NULL, 0, 0, NULL, NULL)
           ON CONFLICT DO UPDATE SET enabled = excluded.enabled, ran_at = excluded.ran_at,
                     trouble = excluded.trouble, trouble_since = excluded.trouble_since;
         INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
              VALUES (1, 'dry-run', 1, 1, 'x', 1, unixepoch(), 'would_close', 0);
         INSERT INTO odd_fields VALUES ('rate', 2, 1, unixepoch());
         INSERT INTO close_exemptions (talk_id) VALUES (1);
         INSERT INTO talk_queue (talk_id, failed_at, attempts) VALUES (1, unixepoch(), 8), (2, unixepoch(), 8);",
    );
    mirror
}

/// The Latin words of a text, but for commands and configuration keys, which are the same in each language.
fn latin_words(text: &str) -> Vec<String> {
    let outside_of_ticks = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside_of_ticks.split(|letter: char| letter.is_whitespace() || "();,".contains(letter));
    let is_of_programs = |word: &&str| word.contains(['.', '/', '_', '"']) || word.contains("[api");
    words
        .filter(|word| !is_of_programs(word))
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphabetic()).to_owned())
        .filter(|word| word.chars().any(|letter| letter.is_ascii_alphabetic()))
        .collect()
}

#[test]
fn status_is_in_the_language_of_the_locale_and_its_json_and_errors_are_not() {
    let mirror = troubled();
    let in_locale = |locale: &str, arguments: &[&str]| {
        let output = mirror.command(arguments).env("LC_ALL", locale).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output)
    };
    let (russian, _) = in_locale("ru_RU.UTF-8", &["status"]);
    // Names of things, a field of the API, p50, and the command of the daemon.
    let names = ["API", "HTTP", "NTP", "NULL", "UTC", "WAL", "p", "payload", "rate", "run", "systemd"];
    let english: Vec<String> =
        latin_words(&russian).into_iter().filter(|word| !names.contains(&&**word)).collect();
    assert!(english.is_empty(), "{english:?} in\n{russian}");
    assert_said!(part(&russian, "Зеркало"), @"Зеркало  не в порядке: 4 замечания, см. ниже; получено 3 из 7 известных бесед, осталось примерно 10 мин");
    assert_said!(part(&russian, "Закрытия"), @"Закрытия  сегодня (UTC): было бы закрыто 1");
    assert!(russian.contains("\n! 2 беседы не удалось получить после нескольких попыток\n"), "{russian}");
    let (portuguese, _) = in_locale("pt_BR.UTF-8", &["status"]);
    assert!(portuguese.contains("\n! 2 conversas falharam depois de várias tentativas\n"), "{portuguese}");
    let (english, _) = in_locale("C.UTF-8", &["status"]);
    for line in english.lines().filter(|line| line.len() > 20 && !line.starts_with("Database")) {
        assert!(!portuguese.contains(line) && !russian.contains(line), "{line}");
    }

    let (json, _) = in_locale("ru_RU.UTF-8", &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    let told: Vec<&str> =
        status["complaints"].as_array().unwrap().iter().filter_map(|told| told["what"].as_str()).collect();
    assert!(told.iter().all(|what| english.contains(what)), "{told:?}");
    let (_, error) = in_locale("ru_RU.UTF-8", &["status", "--watch"]);
    assert_said!(error, @"error: status --watch needs a terminal; for programs there is `talkmirror status --json`");
}

/// `status --watch` on a terminal of this size, ended by `end` once it has been drawn twice. What it wrote.
fn watched(mirror: &Mirror, lines: u16, end: impl Fn(&mut File, Pid)) -> (String, ExitStatus) {
    let size = nix::pty::Winsize { ws_row: lines, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    let terminal = |end: &OwnedFd| Stdio::from(end.try_clone().unwrap());
    let before = tcgetattr(&pty.slave).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_talkmirror"))
        .arg("--config")
        .arg(mirror.path("config.toml"))
        .args(["status", "--watch"])
        .env("LC_ALL", "C.UTF-8")
        .stdin(terminal(&pty.slave))
        .stdout(terminal(&pty.slave))
        .stderr(terminal(&pty.slave))
        .spawn()
        .unwrap();
    let (mut master, mut shown) = (File::from(pty.master), Vec::new());
    let began = Instant::now();
    let mut read_until = |master: &mut File, sign: &str, times: usize| {
        while String::from_utf8_lossy(&shown).matches(sign).count() < times {
            let mut terminal = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
            let is_ready = poll(&mut terminal, 60_000_u16).unwrap() == 1;
            let is_in_time = is_ready && began.elapsed() < Duration::from_secs(60);
            assert!(is_in_time, "no {sign} in {}", String::from_utf8_lossy(&shown));
            let mut piece = [0; 8192];
            let read = master.read(&mut piece).unwrap();
            shown.extend_from_slice(&piece[..read]);
        }
    };
    read_until(&mut master, "q quits", 2);
    end(&mut master, Pid::from_raw(child.id() as i32));
    read_until(&mut master, "\x1b[?1049l", 1);
    let status = child.wait().unwrap();
    assert_eq!(tcgetattr(&pty.slave).unwrap(), before, "the terminal is as it was");
    (String::from_utf8(shown).unwrap(), status)
}

#[test]
fn a_watch_draws_again_cuts_to_the_terminal_and_leaves_it_as_it_was() {
    let mirror = troubled();
    let (shown, status) = watched(&mirror, 12, |terminal, _| terminal.write_all(b"q").unwrap());
    assert_eq!(status.code(), Some(1), "as status");
    assert!(shown.starts_with("\x1b[?1049h") && shown.ends_with("\x1b[?1049l"), "{shown:?}");
    for screen in shown.split("\x1b[H").skip(1) {
        assert_eq!(screen.lines().count(), 12, "{screen}");
        assert!(
            screen.starts_with("! everything paused when it last ran"),
            "what is wrong comes first: {screen}"
        );
        assert!(screen.contains(" more lines; "), "{screen}");
    }
    let (shown, _) = watched(&mirror, 90, |_, process| kill(process, Signal::SIGINT).unwrap());
    assert!(shown.contains("not healthy: 4 to check, see above") && !shown.contains(" more line"), "{shown}");
}
