//! Configurations that are wrong, from outside.

use crate::harness::{Mirror, account};
use crate::snapshots::assert_said;
use std::fs;

#[test]
fn several_mistakes_in_one_configuration_are_all_reported_and_end_with_78() {
    let mirror = Mirror::new(account(1));
    mirror.configure("api.requests_per_second = \"many\"\nqueue.retry_base = \"soon\"\nauto_clsoe.mode = \"live\"\nlog.level = \"loud\"\n");
    for arguments in [&["run"][..], &["sync"], &["enqueue", "1"], &["check"]] {
        let (out, err) = mirror.ends(78, arguments);
        match arguments {
            ["check"] => assert_said!(out, @"config  BAD  5 mistakes"),
            _ => assert_eq!(out, ""),
        }
        assert_said!(err, @r#"
        error: [folder]/config.toml: api.requests_per_second: expected a whole number from 1 to 1000000, found "many"
        [folder]/config.toml: queue.retry_base: expected a duration such as "5s", from 1ms to 1d, found "soon"
        [folder]/config.toml: queue.retry_max: expected at least queue.retry_base (5s), found 1s
        [folder]/config.toml: log.level: expected error, warn, info, debug or trace, found "loud"
        [folder]/config.toml: auto_clsoe.mode: expected a known key: auto_close.mode?, found an unknown one
        "#);
    }
    assert!(!mirror.database().exists(), "nothing was begun");
}

#[test]
fn a_missing_file_an_empty_token_and_broken_toml_are_named() {
    let mirror = Mirror::new(account(1));
    fs::write(mirror.path("token"), "").unwrap();
    let (_, err) = mirror.ends(78, &["sync"]);
    assert_said!(err, @"error: [folder]/config.toml: api.token_file: expected a readable token at [folder]/token, found nothing in it");
    fs::write(mirror.path("config.toml"), "[api\n").unwrap();
    let (_, err) = mirror.ends(78, &["sync"]);
    assert_said!(err, @"
    error: [folder]/config.toml: expected TOML, found: line 1, column 5: unclosed table, expected `]`
      |
    1 | [api
      |  ^
    ");
    fs::remove_file(mirror.path("config.toml")).unwrap();
    let (_, err) = mirror.ends(78, &["sync"]);
    assert_said!(err, @"error: [folder]/config.toml: expected a configuration file (`talkmirror init` writes one), found: No such file or directory (os error 2)");
}

#[test]
fn the_environment_goes_before_the_file_and_is_named_in_its_mistakes() {
    let mirror = Mirror::new(account(3));
    let output =
        mirror.command(&["sync", "1"]).env("TALKMIRROR__DATABASE__PATH", "other.db").output().unwrap();
    assert!(output.status.success());
    assert!(mirror.path("other.db").exists() && !mirror.database().exists());

    let output = mirror.command(&["sync"]).env("TALKMIRROR__API__MAX_IN_FLIGHT", "none").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_said!(err, @r#"error: TALKMIRROR__API__MAX_IN_FLIGHT: api.max_in_flight: expected a whole number from 1 to 256, or "auto", found "none""#);
}

#[test]
fn config_show_names_each_value_and_where_it_is_from_and_no_secret() {
    let mirror = Mirror::new(account(1));
    mirror.configure("auto_close.stale_after = \"48h\"\n");
    let show = |arguments: &[&str]| {
        let mut command = mirror.command(arguments);
        command
            .env("TALKMIRROR__API__TOKEN", "hush-hush")
            .env("TALKMIRROR__HTTP__HOSTS", "a.example, b.example");
        let (out, err) =
            crate::harness::text(&command.env("TALKMIRROR__API__TIMEOUT", "7s").output().unwrap());
        assert!(!out.contains("hush") && err.is_empty(), "{out}{err}");
        out
    };
    let out = show(&["config", "show"]);
    let wanted = ["# ", "[api]", "timeout ", "requests_per_second", "stale_after ", "hosts "];
    let lines = out.lines().filter(|line| wanted.iter().any(|wanted| line.starts_with(wanted)));
    assert_said!(lines.map(|line| format!("{line}\n")).collect::<String>(), @r#"
    # The file: [folder]/config.toml
    # The database: [folder]/talks.db
    [api]
    requests_per_second = 1000  # line 3
    timeout = "7s"  # TALKMIRROR__API__TIMEOUT
    stale_after = "48h"  # line 13
    hosts = ["a.example","b.example"]  # TALKMIRROR__HTTP__HOSTS
    # api.token is set by TALKMIRROR__API__TOKEN, and not shown.
    "#);
    assert!(
        out.contains("[queue]\n") && out.contains("max_attempts = 8 ") && out.contains("  # default\n"),
        "{out}"
    );
    let json: serde_json::Value = serde_json::from_str(&show(&["config", "show", "--json"])).unwrap();
    let setting = |key: &str| {
        json["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap()
    };
    assert_eq!(
        setting("http.hosts"),
        &serde_json::json!({"key": "http.hosts", "value": ["a.example", "b.example"], "source": "environment", "variable": "TALKMIRROR__HTTP__HOSTS"})
    );
    assert_eq!(
        (&setting("auto_close.stale_after")["source"], setting("auto_close.stale_after")["line"].is_u64()),
        (&"file".into(), true)
    );
    assert_eq!(
        setting("queue.max_attempts"),
        &serde_json::json!({"key": "queue.max_attempts", "value": 8, "source": "default"})
    );

    let (example, _) = mirror.ends(0, &["config", "example"]);
    assert_eq!(example, fs::read_to_string(crate::docs::root().join("config.example.toml")).unwrap());
    let schema: serde_json::Value = serde_json::from_str(&mirror.ends(0, &["config", "schema"]).0).unwrap();
    assert_eq!(schema["properties"]["auto_close"]["properties"]["mode"]["default"], "off");
}

#[test]
fn a_syntax_error_is_shown_with_its_line_and_what_may_be_a_secret_is_hidden() {
    let mirror = Mirror::new(account(1));
    fs::write(mirror.path("config.toml"), "[api]\nbase_url = mycompany.amocrm.ru\n").unwrap();
    let (_, err) = mirror.ends(78, &["status"]);
    assert_said!(err, @"
    error: [folder]/config.toml: expected TOML, found: line 2, column 12: string values must be quoted, expected literal string
      |
    2 | base_url = mycompany.amocrm.ru
      |  ^
    ");
    fs::write(mirror.path("config.toml"), "[api]\ntoken = \"hush hush\n").unwrap();
    let (_, err) = mirror.ends(78, &["check"]);
    assert_said!(err, @r#"
    error: [folder]/config.toml: expected TOML, found: line 2, column 19: invalid basic string, expected `"`
      |
    2 | token = ***** ****
      |  ^
    "#);
    fs::write(
        mirror.path("config.toml"),
        "api.base_url = \"mycompany.amocrm.ru\"\napi.token_file = \"token\"\n",
    )
    .unwrap();
    let (_, err) = mirror.ends(78, &["check"]);
    assert_said!(err, @r#"error: [folder]/config.toml: api.base_url: expected the address as https://mycompany.amocrm.ru, found "mycompany.amocrm.ru""#);
}

#[test]
fn the_token_comes_from_its_file_the_credential_or_the_environment_in_this_order() {
    let mirror = Mirror::new(account(3));
    let config = fs::read_to_string(mirror.path("config.toml")).unwrap();
    let without: String =
        config.lines().filter(|line| !line.contains("token_file")).map(|line| format!("{line}\n")).collect();
    fs::write(mirror.path("config.toml"), without).unwrap();
    let (_, err) = mirror.ends(78, &["sync", "1"]);
    assert_said!(err, @"error: [folder]/config.toml: api.token_file: expected the path of a file with the token, found nothing");

    let token = talkmirror_simulator::TOKEN;
    let output = mirror.command(&["sync", "1"]).env("TALKMIRROR__API__TOKEN", token).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    fs::create_dir(mirror.path("credentials")).unwrap();
    fs::write(mirror.path("credentials/token"), token).unwrap();
    let mut command = mirror.command(&["sync", "2"]);
    command.env("CREDENTIALS_DIRECTORY", mirror.path("credentials")).env("TALKMIRROR__API__TOKEN", "wrong");
    assert!(command.output().unwrap().status.success());
}

#[test]
fn the_database_lies_in_the_state_directory_if_there_is_one() {
    let mirror = Mirror::new(account(1));
    fs::create_dir(mirror.path("state")).unwrap();
    let output =
        mirror.command(&["sync", "1"]).env("STATE_DIRECTORY", mirror.path("state")).output().unwrap();
    assert!(output.status.success());
    assert!(mirror.path("state/talks.db").exists());
}

#[test]
fn the_token_is_in_no_log_no_error_and_no_table() {
    let mirror = Mirror::new(account(3));
    let secret = "very-secret-token-4711";
    fs::write(mirror.path("token"), secret).unwrap();
    mirror.simulator.account().token = secret.into();
    let output = mirror.command(&["-vv", "sync", "1..3", "77"]).output().unwrap();
    assert!(output.status.success());
    mirror.simulator.account().token = "changed".into();
    let refused = mirror.command(&["-vv", "sync", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    for text in [&output.stdout, &output.stderr, &refused.stdout, &refused.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(secret));
    }
    for file in fs::read_dir(mirror.path("")).unwrap() {
        let file = file.unwrap().path();
        if !file.ends_with("token") {
            let bytes = fs::read(&file).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file:?}");
        }
    }
}

#[test]
fn json_lines_hold_the_talk_and_what_came_of_it() {
    let mut account = account(3);
    account.talks.remove(&2);
    let mirror = Mirror::new(account);
    mirror.configure("log.format = \"json\"\nlog.level = \"debug\"\n");
    mirror.ends(0, &["enqueue", "1..3"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let lines: Vec<serde_json::Value> =
        mirror.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let outcome = |talk_id: i64| {
        let line = lines.iter().find(|line| line["talk_id"] == talk_id && line["outcome"].is_string());
        line.map(|line| (line["outcome"].clone(), line["request_id"].clone()))
    };
    assert_eq!(outcome(1), Some(("new".into(), serde_json::Value::Null)));
    assert_eq!(outcome(2), Some(("gone".into(), "simulated".into())));
}
