//! What commands print, and how they end.

use crate::harness::{Mirror, account, text};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part, verdicts};
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
        (&["help"], "Close talks:"),
        (&["help", "close"], "talkmirror close --dry-run"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_talkmirror"),
        (&["completions", "zsh"], "#compdef talkmirror"),
        (&["completions", "fish"], "complete -c talkmirror"),
        (&["man"], ".TH talkmirror"),
        (&["man"], ".SH ENVIRONMENT"),
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
    assert_said!(out, @"6 talks queued, 0 already waited");
    let (out, _) = mirror.ends(0, &["enqueue", "4..7", "--json"]);
    assert_eq!(json(&out), serde_json::json!({"new": 2, "already_waiting": 2}));
    let output = mirror.command(&["enqueue", "-"]).write_stdin("20\n21\n\n30..32\n5\n").output().unwrap();
    assert_said!(text(&output).0, @"5 talks queued, 1 already waited");
    assert_eq!(mirror.sql::<String>("SELECT group_concat(DISTINCT reason) FROM talk_queue"), "cli");
}

#[test]
fn a_line_of_stdin_that_is_no_id_is_named_and_nothing_is_queued() {
    let mirror = Mirror::new(account(0));
    let output = mirror.command(&["enqueue", "1", "-"]).write_stdin("20\nx21\n").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (_, err) = text(&output);
    assert_said!(err, @r#"error: stdin, line 2: expected a talk id: a whole number above 0, found "x21"; nothing was queued"#);
    assert!(!mirror.database().exists() || mirror.sql::<i64>("SELECT count(*) FROM talk_queue") == 0);
}

#[test]
fn sync_works_what_is_due_and_sums_it_up() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["enqueue", "1..10"]);
    let (out, err) = mirror.ends(0, &["sync", "11..20", "25", "--no-close"]);
    assert_said!(part(&out, "Mirrored"), @"Mirrored  21 talks in [n] s: 21 new, 0 changed, 0 unchanged");
    assert_said!(journal::faults(&err), @"");
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
    assert_said!(part(&out, "Mirrored"), [(r"in \d\.\d s", "in [n] s")], @"Mirrored  2 talks in [n] s: 2 new, 0 changed, 0 unchanged");
    assert_said!(part(&out, "Waiting"), [(r"in 3\d s", "in 3[n] s")], @"Waiting  1 talk, the next in 3[n] s: see `talkmirror queue list`");
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
    assert_said!(out, @"
    TALK  REASON  PRIORITY  QUEUED  DUE  ATTEMPTS  LAST ERROR
    4  report  0  [n] s ago  in 10 min  0
    3  cli  0  [n] s ago  failed [n] s ago  1  the answer holds no valid talk: talk_id: expected 3, found 4

    Next: `talkmirror queue retry [ID…]` retries what failed, `queue drop ID…` forgets it.
    ");
    let (out, _) = mirror.ends(0, &["queue", "list", "--failed"]);
    assert_said!(out, @"
    TALK  REASON  PRIORITY  QUEUED  DUE  ATTEMPTS  LAST ERROR
    3  cli  0  [n] s ago  failed [n] s ago  1  the answer holds no valid talk: talk_id: expected 3, found 4

    Next: `talkmirror queue retry [ID…]` retries what failed, `queue drop ID…` forgets it.
    ");
    let (out, _) = mirror.ends(0, &["queue", "list", "--json"]);
    let rows = json(&out);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[0]["talk_id"], &rows[0]["reason"]), (&4.into(), &"report".into()));
    assert_eq!((&rows[1]["talk_id"], &rows[1]["attempts"]), (&3.into(), &1.into()));

    let (out, _) = mirror.ends(0, &["queue", "retry"]);
    assert_said!(out, @"1 talk to be retried now");
    assert!(
        mirror.sql::<bool>("SELECT failed_at IS NULL AND attempts = 0 FROM talk_queue WHERE talk_id = 3")
    );
    mirror.ends(0, &["queue", "retry", "4"]);
    assert!(mirror.sql::<bool>("SELECT due_at <= unixepoch() FROM talk_queue WHERE talk_id = 4"));
    let (_, err) = mirror.ends(1, &["queue", "retry", "77"]);
    assert_said!(err, @"error: not in the queue: 77");
    let (out, err) = mirror.ends(1, &["queue", "drop", "3", "77"]);
    assert_said!(out + &err, @"
    1 talk removed from the queue
    error: not in the queue: 77
    ");
    let (out, _) = mirror.ends(0, &["queue", "list", "--failed"]);
    assert_said!(out, @"No talk has failed.");
    mirror.ends(0, &["queue", "drop", "4"]);
    let (out, _) = mirror.ends(0, &["queue", "list"]);
    assert_said!(out, @"The queue is empty.");
}

/// As bash calls it. The other shells have the same ids.
#[test]
fn ids_are_completed_from_the_database() {
    let mirror = Mirror::new(account(12));
    mirror.ends(0, &["sync", "1..12"]);
    mirror.execute("INSERT INTO talk_queue (talk_id, failed_at) VALUES (71, 5); INSERT INTO talk_queue (talk_id) VALUES (72)");
    let binary = env!("CARGO_BIN_EXE_talkmirror");
    let completed = |line: &str| {
        let config = mirror.path("config.toml");
        let script = format!(
            "source <({binary} completions bash); COMP_WORDS=({binary} --config {} {line} ''); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _talkmirror_with_ids {binary} '' ''; echo \"${{COMPREPLY[*]}}\"",
            config.display()
        );
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        text(&output).0.trim().to_owned()
    };
    let open = "SELECT group_concat(talk_id, ' ') FROM (SELECT talk_id FROM talks WHERE is_in_work = 1
                 ORDER BY missed_at IS NULL, missed_at)";
    assert_eq!(completed("why"), mirror.sql::<String>(open));
    assert_eq!((completed("queue retry"), completed("queue drop")), ("71".into(), "72 71".into()));
    assert!(completed("status").contains("--json"), "what clap knows is as before");
}

#[test]
fn a_database_that_is_not_there_yet_is_named_with_what_makes_it() {
    let mirror = Mirror::new(account(1));
    for arguments in [&["status"][..], &["queue", "list"], &["why", "1"]] {
        let (_, err) = mirror.ends(1, arguments);
        assert_said!(err, @"error: there is no database at [folder]/talks.db yet: `talkmirror run` or `talkmirror sync` creates it");
    }
    assert!(!mirror.database().exists());
}

#[test]
fn status_is_one_screen_and_the_same_as_json() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..30"]);
    let (out, _) = mirror.ends(0, &["status"]);
    let lines = ["Mirror", "Account", "Daemon", "Talks"].map(|heading| part(&out, heading));
    assert_said!(lines.concat(), @r#"
    Mirror  healthy
    Account  17029541 ("Simulated", http://127.0.0.1:[port]); confirmed [n] s ago
    Daemon  does not run; stopped [n] s ago (sync [version])
    Talks  30: 9 open (6 missed), 21 closed, 0 gone; 0 denied
    "#);
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status = json(&out);
    assert_eq!(status["healthy"], true);
    assert_eq!(status["talks"]["total"], 30);
    assert_eq!(status["queue"]["due"], 0);
    assert_eq!(status["daemon"]["mode"], "sync");

    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Daemon"), @"Daemon  runs (run [version], process [pid]) for [n] s; last sign of life [n] s ago");
    daemon.stop();
}

#[test]
fn status_names_what_is_set_aside_and_ends_with_1() {
    let mirror = Mirror::new(account(3));
    mirror.configure("queue.max_attempts = 1\n");
    mirror.simulator.account().script(3, [Fault::NotJson]);
    mirror.ends(1, &["sync", "3"]);
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! 1 talk failed after repeated attempts
      → see `talkmirror queue list --failed`, then `talkmirror queue retry` or `queue drop`
    ");
    let (out, _) = mirror.ends(1, &["status", "--json"]);
    assert_eq!(json(&out)["healthy"], false);
}

#[test]
fn why_tells_a_talk_s_story_and_what_comes_next() {
    let mirror = Mirror::new(account(5));
    mirror.ends(0, &["sync", "2"]);
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert_said!(part(&out, "Next"), @"Next  nothing is planned; `talkmirror enqueue 2` queues it");
    let headed = out.lines().skip_while(|line| !line.is_empty()).take(4).collect::<Vec<_>>().join("\n");
    assert_said!(headed, @"

    States it was seen in (UTC):
    FROM  TO  OPEN  READ  MISSED  UPDATED  RATING  STATUS
    [time]  now  no  yes  no  [time]  9  -
    ");
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert_said!(out, @"
    Talk  4
    State  not mirrored
    Queue  not queued
    Next  nothing is planned; `talkmirror enqueue 4` queues it
    Closing  only mirrored talks are considered
    ");
    mirror.ends(0, &["enqueue", "4"]);
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert_said!(part(&out, "Next"), @"Next  it waits for a daemon: none runs; `talkmirror run` or `talkmirror sync` fetches it");
    mirror.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (5, unixepoch() + 3630)");
    let (out, _) = mirror.ends(0, &["why", "5"]);
    assert_said!(part(&out, "Next"), @"Next  it waits for a daemon: none runs; `talkmirror run` or `talkmirror sync` fetches it, not before [time] (in 1 h)");
    mirror.ends(0, &["queue", "drop", "5"]);

    mirror.execute("UPDATE talk_queue SET due_at = unixepoch() + 630, attempts = 2, last_error = 'HTTP 500'");
    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(0, &["why", "4"]);
    assert_said!(format!("{}{}", part(&out, "Queue"), part(&out, "Next")), @"
    Queue  waits for [n] s (reason cli, priority 0), 2 of 8 attempts failed, the last: HTTP 500
    Next  fetched in 10 min ([time])
    ");
    let why = |talk_id| json(&mirror.ends(0, &["why", talk_id, "--json"]).0);
    let queued = why("4");
    assert_eq!(
        (&queued["talk"], &queued["stale"], &queued["running"]),
        (&Value::Null, &Value::Null, &true.into())
    );
    assert_eq!(
        (&queued["queue"]["attempts"], &queued["queue"]["last_error"]),
        (&2.into(), &"HTTP 500".into())
    );
    let mirrored = why("2");
    assert_eq!(
        (&mirrored["stale"], &mirrored["why"], &mirrored["queue"]),
        (&false.into(), &"already closed".into(), &Value::Null)
    );
    let of_sql = mirror.sql::<String>("SELECT json_object('talk_id', talk_id, 'contact_id', contact_id, 'payload', json(payload)) FROM talks");
    for (key, value) in json(&of_sql).as_object().unwrap() {
        assert_eq!(&mirrored["talk"][key], value, "{key} as in SQL");
    }
    assert_eq!(
        (&mirrored["versions"][0]["version"], &mirrored["versions"][0]["valid_to"]),
        (&1.into(), &Value::Null)
    );
    daemon.stop();
}

#[test]
fn check_gives_a_verdict_each_and_changes_nothing() {
    let mirror = Mirror::new(account(5));
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(!mirror.database().exists() && !mirror.path("talks.db.lock").exists());
    assert_said!(out, @r#"
    config  ok  [folder]/config.toml is valid
    database  ok  [folder]/talks.db does not exist yet: `run` and `sync` create it
    token  ok  http://127.0.0.1:[port] accepts it
    account  ok  17029541 ("Simulated", http://127.0.0.1:[port]) answers (by GET /api/v4/account); the database has no account yet
    "#);
    {
        let account = mirror.simulator.account();
        assert_eq!((account.account_requests(), account.requests()), (1, 0), "one request");
    }

    mirror.ends(0, &["sync", "1..5"]);
    mirror.simulator.account().token = "another".into();
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["database", "token"]), @"
    database  ok  [folder]/talks.db mirrors account 17029541: 5 talks, schema 4
    token  BAD  http://127.0.0.1:[port]: HTTP 401: the token is not accepted
    ");
}

#[test]
fn check_says_whether_backups_have_where_to_go() {
    let mirror = Mirror::new(account(5));
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(!out.contains("backup"), "none are wanted: {out}");
    mirror.configure(&format!("[backup]\npath = \"{}\"\nkeep = 3", mirror.path("away").display()));
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["backup"]), @"backup  BAD  there is no folder [folder]/away: create it, or mount what belongs there");
    std::fs::create_dir(mirror.path("away")).unwrap();
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["backup"]), @"backup  ok  [folder]/away can be written: at 0 0 3 * * * (UTC), the newest 3 are kept");
    mirror.ends(0, &["sync", "1..5"]);
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["backup"]), @"backup  ok  [folder]/away can be used: at 0 0 3 * * * (UTC), the newest 3 are kept");
    mirror.configure("[backup]\npath = \"copies\"");
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["backup"]), @"backup  ok  [folder]/copies does not exist yet: the first backup creates it; at 0 0 3 * * * (UTC), the newest 7 are kept");
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
    assert_said!(complaints(&out), @"
    ! times in the database are up to 3 h in the future: the clock was set back, or was wrong
      → check this machine's clock (`timedatectl`); if it is right, the wrong times are replaced as talks are fetched again
    ");
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_said!(format!("{}{}", part(&out, "Updated"), part(&out, "Fetched")), @"
    Updated  [time] (3 h in the future)
    Fetched  [time] (3 h in the future), first [time]
    ");
    let (out, _) = mirror.ends(0, &["queue", "list"]);
    assert_said!(out, @"
    TALK  REASON  PRIORITY  QUEUED  DUE  ATTEMPTS  LAST ERROR
    7  sql  0  2 h in the future  now  0
    ");
    let (out, _) = mirror.ends(0, &["why", "7"]);
    assert_said!(part(&out, "Queue"), @"Queue  waits since 2 h in the future (reason sql, priority 0)");
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
    assert_said!(journal::error(&mirror.log()), @"error: stopped by a signal; not all requested talks are queued: run the command again");
    connection.execute_batch("COMMIT").unwrap();
    mirror.ends(0, &["sync", "5"]);
    mirror.wait_sql("it is mirrored", "SELECT count(*) FROM talks", 2);
}
