//! `check`: finds what a start would find.

use crate::harness::{Mirror, account, text};
use crate::http::shown;
use crate::journal;
use crate::rights::{DAEMON, OUTSIDER, State};
use crate::snapshots::{assert_said, verdicts};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The bytes of a folder's files.
fn files(mirror: &Mirror, folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(mirror.path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_database_that_this_user_cannot_write_is_bad() {
    let Some(state) = State::new(1) else { return };
    let mut sync = state.command(&["sync", "1"]);
    assert!(sync.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    // Readable for all users: only writing can fail.
    let open = |names: &[&str], mode| {
        for path in names.iter().map(|name| state.mirror.path(&format!("state/{name}"))) {
            if path.exists() {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    };
    let database = ["talks.db", "talks.db-wal", "talks.db-shm"];
    open(&[""], 0o755);
    open(&database, 0o644);
    let config = fs::read_to_string(state.mirror.path("config.toml")).unwrap();
    fs::write(state.mirror.path("config.toml"), config.replace("api.token_file = \"token\"", "")).unwrap();
    let as_user = |(uid, gid): (u32, u32)| {
        let mut command = Command::new(&state.binary);
        command.arg("--config").arg(state.mirror.path("config.toml")).arg("check").uid(uid).gid(gid);
        command.env("TALKMIRROR__API__TOKEN", talkmirror_simulator::TOKEN).output().unwrap()
    };
    let before = files(&state.mirror, "state");
    let outsider = as_user(OUTSIDER);
    let (out, err) = text(&outsider);
    assert_eq!(outsider.status.code(), Some(1), "{out}{err}");
    assert_said!(verdicts(&out, &["database"]), @"database  BAD  [folder]/state/talks.db mirrors account 17029541: 1 talk, schema 4; but [folder]/state/talks.db cannot be written: give this user the right to write the file and its folder");
    let owner = as_user((DAEMON, DAEMON));
    assert!(owner.status.success(), "{:?}", text(&owner));
    // Another user's lock, in a database that is open to all.
    open(&[""], 0o777);
    open(&database, 0o666);
    let (out, _) = text(&as_user(OUTSIDER));
    assert_said!(verdicts(&out, &["database"]), @"database  BAD  [folder]/state/talks.db mirrors account 17029541: 1 talk, schema 4; but cannot lock [folder]/state/talks.db.lock: can this user write to the folder of database.path (under systemd, $STATE_DIRECTORY), and does this user own that file?: Permission denied (os error 13)");
    let named = |files: Vec<(String, Vec<u8>)>| files.into_iter().find(|(name, _)| name == "talks.db");
    assert_eq!(named(files(&state.mirror, "state")), named(before), "it changes nothing");
}

#[test]
fn no_file_is_changed_made_or_removed() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["enqueue", "1..20"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("talks are written", "SELECT count(*) FROM talks", 20);
    daemon.kill_hard();
    let without_shm = || {
        let all = files(&mirror, "").into_iter();
        all.map(|(name, bytes)| if name.ends_with("-shm") { (name, Vec::new()) } else { (name, bytes) })
            .collect::<Vec<_>>()
    };
    let before = without_shm();
    assert!(before.iter().any(|(name, bytes)| name == "talks.db-wal" && !bytes.is_empty()));
    mirror.ends(0, &["check"]);
    assert!(without_shm() == before, "with a WAL that a kill left");
    mirror.ends(0, &["backup", mirror.path("copy.db").to_str().unwrap()]);
    for file in ["talks.db-wal", "talks.db-shm"] {
        fs::remove_file(mirror.path(file)).unwrap();
    }
    fs::rename(mirror.path("copy.db"), mirror.database()).unwrap();
    let before = without_shm();
    mirror.ends(0, &["check"]);
    assert!(
        without_shm() == before,
        "and without one: {:?}",
        without_shm().iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
}

#[test]
fn a_folder_in_which_no_database_can_be_made_is_bad() {
    let Some(state) = State::new(1) else { return };
    fs::set_permissions(state.mirror.path("state"), fs::Permissions::from_mode(0o550)).unwrap();
    let output = state.command(&["check"]).output().unwrap();
    let (out, _) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert_said!(verdicts(&out, &["database"]), @"database  BAD  [folder]/state/talks.db does not exist yet: `run` and `sync` create it; but [folder]/state/talks.db cannot be written: give this user the right to write the file and its folder");
    fs::set_permissions(state.mirror.path("state"), fs::Permissions::from_mode(0o750)).unwrap();
    let (out, _) = text(&state.command(&["check"]).output().unwrap());
    assert_said!(verdicts(&out, &["database"]), @"database  ok  [folder]/state/talks.db does not exist yet: `run` and `sync` create it");
    assert_eq!(files(&state.mirror, "state"), [], "and is not made");
}

#[test]
fn a_write_lock_that_is_held_for_a_moment_is_no_fault() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    let mut other = mirror.connect();
    let locked = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let check = mirror.start(&["check"]);
    let began = std::time::Instant::now();
    mirror.wait("it has begun", || !mirror.log().is_empty() || began.elapsed().as_secs() > 1);
    locked.rollback().unwrap();
    let mut check = check;
    assert!(check.wait().success(), "{}", mirror.log());
    assert_said!(verdicts(&mirror.log(), &["database"]), @"database  ok  [folder]/talks.db mirrors account 17029541: 1 talk, schema 4");
}

#[test]
fn the_address_of_http_listen_is_free_or_the_running_daemon_s_or_bad() {
    let (mirror, port) = shown(account(1), "");
    let (out, _) = mirror.ends(0, &["check"]);
    let own = format!(":{port}\\b");
    assert_said!(verdicts(&out, &["http"]), [(&own, ":[http.listen]")], @"http  ok  127.0.0.1:[http.listen] is free");
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (out, _) = mirror.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["http"]), [(&own, ":[http.listen]")], @"http  BAD  cannot listen on 127.0.0.1:[http.listen]: Address already in use (os error 98); set http.listen to an address that is free here");
    drop(taken);
    let daemon = mirror.running_daemon();
    let pid = daemon.child.id();
    let (out, _) = mirror.ends(0, &["check"]);
    let own = format!("process {pid}\\b");
    assert_said!(verdicts(&out, &["http"]), [(&own, "process [of the daemon]")], @"http  ok  127.0.0.1:[port] is in use by the daemon of this database (process [of the daemon])");
    // Another mirror's daemon with the same address.
    let other = Mirror::new(account(1));
    let second = other.running_daemon();
    other.configure(&format!("http.listen = \"127.0.0.1:{port}\"\n"));
    let (out, _) = other.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["http"]), @"http  BAD  cannot listen on 127.0.0.1:[port]: Address already in use (os error 98); set http.listen to an address that is free here");
    second.stop();
    daemon.stop();
}

#[test]
fn json_has_the_verdicts_and_the_warnings() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    let all = |code| -> Value { serde_json::from_str(&mirror.ends(code, &["check", "--json"]).0).unwrap() };
    let found = all(0);
    assert_eq!(
        (&found["ok"], &found["exit_code"], &found["mistakes"]),
        (&true.into(), &0.into(), &Value::Array(Vec::new()))
    );
    let names: Vec<&str> = found["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| verdict["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["config", "database", "schema", "token", "account"]);
    assert!(found["verdicts"].as_array().unwrap().iter().all(|verdict| verdict["ok"] == true), "{found}");
    assert_eq!(found["warnings"], Value::Array(Vec::new()));
    mirror.execute("CREATE TRIGGER mine AFTER INSERT ON talks BEGIN SELECT 1; END; DROP VIEW open_talks");
    let found = all(1);
    assert_eq!(found["ok"], false);
    assert_said!(found["warnings"][0]["text"].as_str().unwrap(), @"the trigger mine on talks is not talkmirror's: it runs within the daemon's transactions, and can make them fail");
    mirror.configure("api.timeout = 3\n");
    let found = all(78);
    assert_eq!(found["verdicts"][0]["ok"], false);
    assert_said!(found["verdicts"][0]["text"].as_str().unwrap(), @r#"[folder]/config.toml: api.timeout: expected a duration such as "30s", from 100ms to 10m, found 3"#);
}

#[test]
fn a_database_that_no_restart_helps_ends_with_78() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1"]);
    let refusal = || verdicts(&mirror.ends(78, &["check"]).0, &["database"]);
    mirror.execute("PRAGMA user_version = 999");
    assert_said!(refusal(), @"database  BAD  [folder]/talks.db was written by a newer talkmirror (schema 999; this one knows 4): upgrade talkmirror");
    mirror.execute("PRAGMA user_version = 5; PRAGMA application_id = 7");
    assert_said!(refusal(), @"database  BAD  [folder]/talks.db is a SQLite database of something else: set database.path to another file");
    fs::write(mirror.database(), "a text that is no database, and long enough to be read as one").unwrap();
    assert_said!(refusal(), @"database  BAD  [folder]/talks.db is not a SQLite database: set database.path to another file, or move this one away and restore a backup");
}

#[test]
fn more_than_the_vendor_allows_is_warned_of_unless_it_was_raised() {
    let mirror = Mirror::new(account(1));
    // A port where nothing listens: no request leaves this machine.
    let vendor = "api.base_url = \"https://example.kommo.com\"\napi.timeout = \"100ms\"\napi.connect_timeout = \"100ms\"\n";
    let config = |more: &str| {
        mirror.configure(&format!("{vendor}{more}"));
        let mut command = mirror.command(&["check"]);
        // No request gets out: the proxy does not exist.
        let (out, _) = text(&command.env("HTTPS_PROXY", "http://127.0.0.1:9").output().unwrap());
        verdicts(&out, &["config"])
    };
    assert_said!(config("api.requests_per_second = 8\n"), @"
    config  ok  [folder]/config.toml is valid
    config  warn  api.requests_per_second is 8, and example.kommo.com allows 7 to an integration: repeated excess blocks the account's whole API; lower it, or set api.raised_limit = true if the vendor has raised your limit
    ");
    assert_said!(config("api.requests_per_second = 7\n"), @"config  ok  [folder]/config.toml is valid");
    assert_said!(config("api.requests_per_second = 6.0\n"), @"config  ok  [folder]/config.toml is valid");
    assert_said!(config("api.requests_per_second = 50\napi.raised_limit = true\n"), @"config  ok  [folder]/config.toml is valid");
    let mut command = mirror.command(&["sync"]);
    mirror.configure(&format!("{vendor}api.requests_per_second = 8.0\n"));
    let (_, err) = text(&command.env("HTTPS_PROXY", "http://127.0.0.1:9").output().unwrap());
    assert_said!(journal::faults(&err).lines().next().unwrap_or_default(), @"WARN api.requests_per_second is 8, and example.kommo.com allows 7 to an integration: repeated excess blocks the account's whole API; lower it, or set api.raised_limit = true if the vendor has raised your limit");
}
