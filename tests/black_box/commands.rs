//! What commands print, and how they end.

use crate::harness::{Mirror, account, text};
use assert_cmd::Command;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::Duration;
use talkmirror_simulator::Fault;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["fly"][..],
        &[],
        &["enqueue"],
        &["enqueue", "seven"],
        &["enqueue", "0"],
        &["enqueue", "9..3"],
        &["enqueue", "1..99999999999"],
        &["why"],
        &["queue", "drop"],
        &["-v", "-q", "status"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_talkmirror")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!text(&output).1.is_empty());
    }
}

#[test]
fn help_version_completions_and_the_manual_need_no_configuration() {
    for (arguments, expected) in [
        (&["--help"][..], "enqueue"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_talkmirror"),
        (&["completions", "zsh"], "#compdef talkmirror"),
        (&["completions", "fish"], "complete -c talkmirror"),
        (&["man"], ".TH talkmirror"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_talkmirror")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output).0.contains(expected), "{arguments:?}");
    }
}

#[test]
fn enqueue_counts_what_is_new_and_what_waited() {
    let mirror = Mirror::new(account(0));
    let (out, _) = mirror.ends(0, &["enqueue", "1..5", "9"]);
    assert_eq!(out, "6 talks queued, 0 already waited\n");
    let (out, _) = mirror.ends(0, &["enqueue", "4..7", "--json"]);
    assert_eq!(json(&out), serde_json::json!({"new": 2, "already_waiting": 2}));
    let output = mirror.command(&["enqueue", "-"]).write_stdin("20\n21\n\n30..32\n5\n").output().unwrap();
    assert_eq!(text(&output).0, "5 talks queued, 1 already waited\n");
    assert_eq!(mirror.sql::<String>("SELECT group_concat(DISTINCT reason) FROM talk_queue"), "cli");
}

#[test]
fn a_line_of_stdin_that_is_no_id_is_named_and_nothing_is_queued() {
    let mirror = Mirror::new(account(0));
    let output = mirror.command(&["enqueue", "1", "-"]).write_stdin("20\nx21\n").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (_, err) = text(&output);
    assert!(err.starts_with("error: stdin, line 2: expected a talk id"), "{err}");
    assert!(!mirror.database().exists() || mirror.sql::<i64>("SELECT count(*) FROM talk_queue") == 0);
}

#[test]
fn sync_works_what_is_due_and_sums_it_up() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["enqueue", "1..10"]);
    let (out, err) = mirror.ends(0, &["sync", "11..20", "25", "--no-close"]);
    assert!(out.starts_with("Mirrored  21 talks in "), "{out}");
    assert!(!err.contains("error"), "{err}");
    let (out, _) = mirror.ends(0, &["sync", "1", "--json"]);
    let summary = json(&out);
    assert_eq!(
        (&summary["mirrored"], &summary["unchanged"], &summary["waiting"]),
        (&1.into(), &1.into(), &0.into())
    );
    mirror.assert_sound();
}

#[test]
fn sync_leaves_what_must_wait_longer_and_says_so() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["enqueue", "1"]);
    mirror.execute(
        "INSERT INTO talk_queue (talk_id, due_at) VALUES (2, unixepoch() + 40), (3, unixepoch() + 2)",
    );
    let (out, _) = mirror.ends(0, &["sync"]);
    assert!(out.contains("Mirrored  2 talks"), "what is due within 30 s was waited for: {out}");
    assert!(out.contains("Waiting") && out.contains("1 talk, the next in 3"), "{out}");
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM talk_queue"), 2);
}

#[test]
fn the_queue_is_listed_retried_and_dropped() {
    let mirror = Mirror::new(account(5));
    mirror.configure("queue.max_attempts = 1\n");
    mirror.simulator.account().script(3, [Fault::WrongId]);
    mirror.ends(1, &["sync", "3"]);
    mirror
        .execute("INSERT INTO talk_queue (talk_id, due_at, reason) VALUES (4, unixepoch() + 630, 'report')");

    let (out, _) = mirror.ends(0, &["queue", "list"]);
    assert!(out.starts_with("TALK  REASON  PRIORITY"), "{out}");
    assert!(out.contains("in 10 min") && out.contains("failed "), "{out}");
    let (out, _) = mirror.ends(0, &["queue", "list", "--failed"]);
    assert!(out.contains("talk_id: expected 3, found 4") && !out.contains("report"), "{out}");
    let (out, _) = mirror.ends(0, &["queue", "list", "--json"]);
    let rows = json(&out);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[0]["talk_id"], &rows[0]["reason"]), (&4.into(), &"report".into()));
    assert_eq!((&rows[1]["talk_id"], &rows[1]["attempts"]), (&3.into(), &1.into()));

    let (out, _) = mirror.ends(0, &["queue", "retry"]);
    assert_eq!(out, "1 talk to be tried again now\n");
    assert!(
        mirror.sql::<bool>("SELECT failed_at IS NULL AND attempts = 0 FROM talk_queue WHERE talk_id = 3")
    );
    mirror.ends(0, &["queue", "retry", "4"]);
    assert!(mirror.sql::<bool>("SELECT due_at <= unixepoch() FROM talk_queue WHERE talk_id = 4"));
    let (_, err) = mirror.ends(1, &["queue", "retry", "77"]);
    assert_eq!(err, "error: not in the queue: 77\n");
    let (out, err) = mirror.ends(1, &["queue", "drop", "3", "77"]);
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("1 talk taken off the queue\n", "error: not in the queue: 77\n")
    );
    let (out, _) = mirror.ends(0, &["queue", "list", "--failed"]);
    assert_eq!(out, "No talk has failed.\n");
    mirror.ends(0, &["queue", "drop", "4"]);
    let (out, _) = mirror.ends(0, &["queue", "list"]);
    assert_eq!(out, "The queue is empty.\n");
}

#[test]
fn a_database_that_is_not_there_yet_is_named_with_what_makes_it() {
    let mirror = Mirror::new(account(1));
    for arguments in [&["status"][..], &["queue", "list"], &["why", "1"]] {
        let (_, err) = mirror.ends(1, arguments);
        assert!(
            err.starts_with("error: there is no database at ") && err.contains("talkmirror sync"),
            "{err}"
        );
    }
    assert!(!mirror.database().exists());
}

#[test]
fn status_is_one_screen_and_the_same_as_json() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..30"]);
    let (out, _) = mirror.ends(0, &["status"]);
    let words = |out: &str| out.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in ["Mirror healthy", "Account 17029541", "Daemon does not run; stopped", "Talks 30: "] {
        assert!(words(&out).contains(line), "{line} in\n{out}");
    }
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status = json(&out);
    assert_eq!(status["healthy"], true);
    assert_eq!(status["talks"]["total"], 30);
    assert_eq!(status["queue"]["due"], 0);
    assert_eq!(status["daemon"]["mode"], "sync");

    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(0, &["status"]);
    assert!(words(&out).contains("Daemon runs (run "), "{out}");
    daemon.stop();
}

#[test]
fn status_names_what_is_set_aside_and_ends_with_1() {
    let mirror = Mirror::new(account(3));
    mirror.configure("queue.max_attempts = 1\n");
    mirror.simulator.account().script(3, [Fault::NotJson]);
    mirror.ends(1, &["sync", "3"]);
    let (out, _) = mirror.ends(1, &["status"]);
    assert!(out.contains("! 1 talk failed") && out.contains("queue list --failed"), "{out}");
    let (out, _) = mirror.ends(1, &["status", "--json"]);
    assert_eq!(json(&out)["healthy"], false);
}

#[test]
fn why_tells_a_talk_s_story_and_what_comes_next() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "2"]);
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert!(out.contains("Next     nothing is planned; `talkmirror enqueue 2` has it fetched"), "{out}");
    assert!(out.contains("States it was seen in (UTC):\nFROM"), "{out}");
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert!(out.contains("not mirrored") && out.contains("not queued"), "{out}");
    mirror.ends(0, &["enqueue", "4"]);
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert!(out.contains("it waits for a daemon: none runs"), "{out}");
    mirror.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (5, unixepoch() + 3630)");
    let (out, _) = mirror.ends(0, &["why", "5"]);
    assert!(out.contains("fetches it, not before 2") && out.contains("(in 1 h)"), "{out}");
    mirror.ends(0, &["queue", "drop", "5"]);

    mirror.execute("UPDATE talk_queue SET due_at = unixepoch() + 630, attempts = 2, last_error = 'HTTP 500'");
    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert!(
        out.contains("2 of 8 attempts failed, the last: HTTP 500") && out.contains("fetched in 10 min"),
        "{out}"
    );
    daemon.stop();
}

#[test]
fn check_gives_a_verdict_each_and_changes_nothing() {
    let mirror = Mirror::new(account(5));
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.starts_with("config    ok"), "{out}");
    assert!(out.contains("database  ok    ") && out.contains("is not there yet"), "{out}");
    assert!(out.contains("token     ok    "), "{out}");
    assert!(!mirror.database().exists() && !mirror.path("talks.db.lock").exists());
    assert!(out.contains("account   ok    17029541 (\"Simulated\", http://127.0.0.1:"), "{out}");
    assert!(out.contains("answers (by GET /api/v4/account); the database has no account yet"), "{out}");
    {
        let account = mirror.simulator.account();
        assert_eq!((account.account_requests(), account.requests()), (1, 0), "one request");
    }

    mirror.ends(0, &["sync", "1..5"]);
    mirror.simulator.account().token = "another".into();
    let (out, _) = mirror.ends(1, &["check"]);
    assert!(out.contains("token     BAD   ") && out.contains("HTTP 401"), "{out}");
    assert!(out.contains("mirrors account 17029541: 5 talks"), "{out}");
}

#[test]
fn check_says_whether_backups_have_where_to_go() {
    let mirror = Mirror::new(account(5));
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(!out.contains("backup"), "none are wanted: {out}");
    mirror.configure(&format!("[backup]\npath = \"{}\"\nkeep = 3", mirror.path("away").display()));
    let (out, _) = mirror.ends(1, &["check"]);
    assert!(
        out.contains("backup    BAD   there is no folder") && out.contains("/away: make it, or mount"),
        "{out}"
    );
    std::fs::create_dir(mirror.path("away")).unwrap();
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.contains("/away can be written: at 0 0 3 * * * (UTC), the newest 3 are kept"), "{out}");
    mirror.ends(0, &["sync", "1..5"]);
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.contains("/away takes them: at 0 0 3"), "{out}");
    mirror.configure("[backup]\npath = \"copies\"");
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(out.contains("/copies is not there yet: the first backup makes it"), "{out}");
    assert!(!mirror.path("copies").exists(), "it changes nothing");
}

#[test]
fn a_pipe_that_closes_is_no_error() {
    let mirror = Mirror::new(account(0));
    mirror.ends(0, &["enqueue", "1..20000"]);
    let binary = env!("CARGO_BIN_EXE_talkmirror");
    let config = mirror.path("config.toml");
    let script = format!(
        "{binary} --config {} queue list --json | head -n 2; exit ${{PIPESTATUS[0]}}",
        config.display()
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((output.status.code(), text(&output).1.as_str()), (Some(0), ""));
}

#[test]
fn a_time_in_the_future_is_shown_as_such_and_the_clock_is_named() {
    let mirror = Mirror::new(account(2));
    mirror.ends(0, &["sync", "1..2"]);
    mirror.execute(
        "UPDATE talks SET fetched_at = unixepoch() + 10860, updated_at = unixepoch() + 10860;
         INSERT INTO talk_queue (talk_id, enqueued_at) VALUES (7, unixepoch() + 7260)",
    );
    let (out, _) = mirror.ends(0, &["status"]);
    let warning = "! times in the database are up to 3 h in the future: the clock was set back, or was wrong";
    assert!(out.contains(warning), "{out}");
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_eq!(out.matches("(3 h in the future)").count(), 2, "{out}");
    let (out, _) = mirror.ends(0, &["queue", "list"]);
    assert!(out.contains("2 h in the future"), "{out}");
    let (out, _) = mirror.ends(0, &["why", "7"]);
    assert!(out.contains("waits since 2 h in the future"), "{out}");
}

#[test]
fn absurd_times_stop_no_command() {
    let mirror = Mirror::new(account(3));
    mirror.configure(
        "auto_close.mode = \"dry-run\"\nauto_close.max_share = 1.0\nretention.versions = \"9d\"\n",
    );
    mirror.simulator.account().create_missed(200_000);
    mirror.ends(0, &["sync", "1..4"]);
    mirror.execute(
        "INSERT INTO talk_queue (talk_id) VALUES (4), (7);
         UPDATE closures SET outcome = 'failed'",
    );
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 1);
    for absurd in ["-9223372036854775808", "9223372036854775807"] {
        let connection = mirror.connect();
        for (table, times) in [
            (
                "talks",
                &[
                    "created_at",
                    "updated_at",
                    "missed_at",
                    "fetched_at",
                    "first_fetched_at",
                    "changed_at",
                    "closed_at",
                ][..],
            ),
            ("talk_history", &["valid_from", "valid_to", "created_at", "updated_at", "missed_at"]),
            ("talk_queue", &["enqueued_at", "due_at", "failed_at", "priority", "attempts"]),
            ("closures", &["decided_at", "requested_at", "verified_at", "missed_at"]),
            ("feeders", &["ran_at", "trouble_since"]),
            ("daemon_status", &["started_at", "stopped_at", "seen_at", "last_success_at", "last_failure_at"]),
        ] {
            for time in times {
                let sql = format!("UPDATE {table} SET {time} = {absurd}");
                connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
        }
        drop(connection);
        for look in
            [&["status"][..], &["why", "4"], &["why", "7"], &["stale"], &["queue", "list"], &["check"]]
        {
            let output = mirror.output(look);
            let (out, err) = crate::harness::text(&output);
            assert!(output.status.code().is_some_and(|code| code < 2), "{look:?} {absurd}: {out}{err}");
            assert!(err.is_empty(), "{look:?} {absurd}: {err}");
        }
    }
}

#[test]
fn a_sync_that_cannot_queue_what_it_is_asked_for_says_so() {
    let mirror = Mirror::new(account(9));
    mirror.ends(0, &["sync", "1"]);
    mirror.simulator.account().account_fault = Some(Fault::Slow(Duration::from_secs(2)));
    let asked = mirror.simulator.account().account_requests();
    let mut sync = mirror.start(&["sync", "5"]);
    mirror.wait("it asks whose API it is", || mirror.simulator.account().account_requests() > asked);
    let connection = mirror.connect();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    sync.signal(Signal::SIGTERM);
    assert_eq!(sync.wait().code(), Some(1));
    assert!(mirror.log().contains("not all talks that were asked for are queued"), "{}", mirror.log());
    connection.execute_batch("COMMIT").unwrap();
    mirror.ends(0, &["sync", "5"]);
    mirror.wait_sql("it is mirrored", "SELECT count(*) FROM talks", 2);
}
