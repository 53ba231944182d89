//! `demo --publish`, end to end.

use crate::harness::text;
use crate::postgres::Server;
use crate::snapshots::assert_said;
use assert_cmd::Command;
use std::path::Path;
use std::time::Duration;

fn demo(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let output = command.arg("demo").arg("--dir").arg(folder.join("demo")).args(arguments);
    let output = output.timeout(Duration::from_secs(60)).output().unwrap();
    let (out, err) = text(&output);
    (output.status.code(), out, err)
}

#[test]
fn it_makes_the_schema_publishes_and_shows_what_is_on_the_server() {
    let Some(server) = Server::shared() else { return };
    let database = server.empty_database();
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = demo(folder.path(), &["--publish", &database.address_of("postgres")]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(err.contains("Created the schema talkmirror in 127.0.0.1"), "{err}");
    let (_, shown) = out.split_once("The same, published to").unwrap_or_else(|| panic!("{out}\n{err}"));
    for table in ["talks", "talk_versions", "closures", "tombstones"] {
        let line = shown.lines().find(|line| line.starts_with(&format!("{table} "))).unwrap();
        let counts: Vec<&str> = line.split_whitespace().skip(1).collect();
        let there = database.sql(&format!("SELECT count(*) FROM talkmirror.{table}"));
        assert_eq!(counts, [there.as_str(), there.as_str()], "{shown}");
        assert_ne!(there, "0", "{table}");
    }
    assert!(shown.contains("is_complete") && shown.contains("longest_missed_seconds"), "{shown}");
    let query = shown.lines().find(|line| line.contains("psql")).unwrap();
    let run = std::process::Command::new("sh").arg("-c").arg(format!("{query} -A -t")).output().unwrap();
    assert!(run.status.success(), "{query}: {}", String::from_utf8_lossy(&run.stderr));
    // Another run is another account.
    let again = tempfile::tempdir().unwrap();
    let (code, out, err) = demo(again.path(), &["--publish", &database.address_of("postgres")]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.fleet"), "2");
    assert_eq!(database.sql("SELECT count(DISTINCT account_id) FROM talkmirror.talks"), "2");
}

#[test]
fn what_the_server_refuses_is_named_before_anything_begins() {
    let Some(server) = Server::shared() else { return };
    let database = server.empty_database();
    let masks = [("warehouse\\d+", "warehouse")];
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let (code, out, err) = demo(folder.path(), arguments);
        assert_eq!(code, Some(1), "{out}\n{err}");
        assert!(!folder.path().join("demo").exists(), "nothing is made");
        err
    };
    assert_said!(refused(&["--publish", &database.address()]), masks, @"error: cannot publish to 127.0.0.1:[port]/warehouse: the role talkmirror may not make the schema talkmirror there. Let the database's owner run `talkmirror publish init --server postgresql://OWNER@…/warehouse`, then GRANT talkmirror_publisher TO talkmirror");
    let absent = format!("postgresql://postgres@127.0.0.1:{}/absent", server.port);
    assert_said!(refused(&["--publish", &absent]), @r#"error: cannot publish to 127.0.0.1:[port]/absent: database "absent" does not exist (SQLSTATE 3D000): name a database that exists in publish.server, or create it"#);
    let said = refused(&["--publish", "postgresql://me:secret@db1/warehouse"]);
    assert!(!said.contains("secret"), "{said}");
    assert_said!(said, @"error: --publish: expected an address such as postgresql://me@db1/warehouse, found a password among settings that others may read: put it into publish.password_file");
}
