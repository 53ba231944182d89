//! What `check`, `status`, the page and the metrics show of publishing.

use crate::harness::{Daemon, Mirror, account, skip};
use crate::postgres::{Database, Server};
use crate::snapshots::{assert_said, complaints, part, verdicts};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;

/// Mirrors five talks and publishes them, with `http.listen`.
fn publishing(database: &Database) -> (Mirror, Daemon, u16) {
    let (mirror, port) = (Mirror::new(account(5)), Mirror::free_port());
    mirror.configure(&format!("{}http.listen = \"127.0.0.1:{port}\"\n", database.config()));
    mirror.ends(0, &["enqueue", "1..5"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 5);
    database.wait_until_published(&mirror);
    (mirror, daemon, port)
}

/// The series of publishing without a label, with their values.
fn gauges(mirror: &Mirror, port: u16) -> String {
    let (_, metrics) = mirror.get(port, "/metrics");
    let gauges =
        metrics.lines().filter(|line| line.starts_with("talkmirror_publish_") && !line.contains('{'));
    gauges.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

/// The table of publishing on the page, as text.
fn on_page(mirror: &Mirror, port: u16) -> Option<String> {
    let (_, page) = mirror.get(port, "/");
    let (_, table) = page.split_once("id=\"publishing\"")?;
    let (table, _) = table.split_once("</details>")?;
    let texts = table.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text.trim());
    Some(texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" | "))
}

#[test]
fn check_connects_as_the_daemon_does_and_changes_nothing() {
    let Some(server) = Server::shared() else { return };
    let database = server.empty_database();
    let masks = [("warehouse\\d+", "warehouse")];
    let mirror = Mirror::new(account(3));
    let (out, _) = mirror.ends(0, &["check"]);
    assert!(!out.contains("publish"), "nothing while it is off: {out}");
    mirror.configure(&database.config());
    let verdict = |code| verdicts(&mirror.ends(code, &["check"]).0, &["publish"]);
    assert_said!(verdict(1), masks, @r#"publish  BAD  127.0.0.1:[port]/warehouse: relation "talkmirror.schema_info" does not exist (SQLSTATE 42P01): create what is missing with the schema's owner: `talkmirror publish init`. If rows were lost with it, run `talkmirror publish all` then"#);
    let init = ["publish", "init", "--server", &database.address_of("postgres")];
    mirror.ends(0, &init);
    database.sql("REVOKE INSERT ON talkmirror.talks FROM talkmirror_publisher");
    assert_said!(verdict(1), masks, @"publish  BAD  127.0.0.1:[port]/warehouse: the role talkmirror may not read and write talkmirror.talks: GRANT talkmirror_publisher TO talkmirror");
    mirror.ends(0, &init);
    assert_said!(verdict(0), masks, @"publish  ok  127.0.0.1:[port]/warehouse accepts the role talkmirror; schema version 3; account 17029541 is not published there yet");
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.accounts"), "0");

    mirror.ends(0, &["enqueue", "1..3"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 3);
    database.wait_until_published(&mirror);
    assert_said!(verdict(0), masks, @"publish  ok  127.0.0.1:[port]/warehouse accepts the role talkmirror; schema version 3; account 17029541 is published there by this mirror; last sign of life [time]");
    let other = Mirror::new(account(3));
    other.configure(&database.config());
    let name = format!("published by [^ ]*{}", mirror.database().display());
    let (out, _) = other.ends(1, &["check"]);
    assert_said!(verdicts(&out, &["publish"]), [(name.as_str(), "published by [the first]"), masks[0]], @"publish  BAD  127.0.0.1:[port]/warehouse: account 17029541 is published by [the first] (last sign of life [time]): switch publishing off here, or stop that one");
    daemon.stop();

    mirror.configure("publish.enabled = true\npublish.server = \"postgresql://u@127.0.0.1:1/w\"\n");
    assert_said!(verdict(1), [(":1\\b", ":[closed]")], @"publish  BAD  127.0.0.1:[closed]/w: error connecting to server: Connection refused (os error 111)");
    mirror.configure("publish.enabled = true\npublish.server = \"postgresql://u:secret@db1/w\"\n");
    let (_, error) = mirror.ends(78, &["check"]);
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn what_the_server_refuses_is_unhealthy_at_once_and_not_unready() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let masks = [("warehouse\\d+", "warehouse")];
    let (mirror, daemon, port) = publishing(&database);
    let line = |code| part(&mirror.ends(code, &["status"]).0, "Publishing");
    mirror.wait("all is noted as published", || line(0).trim_end().ends_with("all changes are published"));
    assert_said!(line(0), masks, @"Publishing  to 127.0.0.1:[port]/warehouse: all changes are published");
    assert_said!(gauges(&mirror, port), @r"
talkmirror_publish_backlog_talks 0
talkmirror_publish_lag_seconds 0
talkmirror_publish_left_out_talks 0
talkmirror_publish_refused 0
talkmirror_publish_trouble 0
");
    let (_, metrics) = mirror.get(port, "/metrics");
    assert!(metrics.contains("talkmirror_publish_rows_total{table=\"talks\"} 5"), "{metrics}");
    assert_said!(on_page(&mirror, port).unwrap(), masks, @"Publishing | 0 talks wait | What the PostgreSQL server has of this mirror | Server | 127.0.0.1:[port]/warehouse | Talks that wait | 0 | Last confirmed | [n] s ago | Error | none | Talks left out | 0");

    database.sql("REVOKE UPDATE ON talkmirror.accounts FROM talkmirror_publisher");
    let talk_id = mirror.simulator.account().create_talk().to_string();
    mirror.ends(0, &["enqueue", &talk_id]);
    mirror.wait("it is refused", || mirror.status()["publish"]["trouble"]["refused"] == true);
    mirror.wait("the change has waited for a second", || line(1).contains("for up to"));
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(part(&out, "Publishing"), masks, @"Publishing  to 127.0.0.1:[port]/warehouse: 1 talk waits, for up to [n] s; error for [n] s: permission denied for table accounts (SQLSTATE 42501): give the role its rights: `talkmirror publish init` with the schema's owner, and GRANT talkmirror_publisher TO the role of publish.server");
    assert_said!(complaints(&out), masks, @r"
! nothing is published to 127.0.0.1:[port]/warehouse for [n] s: permission denied for table accounts (SQLSTATE 42501): give the role its rights: `talkmirror publish init` with the schema's owner, and GRANT talkmirror_publisher TO the role of publish.server
  → correct that: `talkmirror check` tries it, the daemon retries each minute, and nothing is lost meanwhile
");
    mirror.wait("the page shows it", || mirror.get(port, "/").1.contains("permission denied"));
    let (_, metrics) = mirror.get(port, "/metrics");
    for series in ["talkmirror_publish_trouble 1", "talkmirror_publish_refused 1", "talkmirror_healthy 0"] {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
    assert_eq!(mirror.get(port, "/readyz").0, 200, "the mirror works on");

    mirror.configure(&format!("http.listen = \"127.0.0.1:{port}\"\n"));
    daemon.signal(Signal::SIGHUP);
    mirror.wait("it is switched off", || mirror.status()["publish"].is_null());
    let (out, _) = mirror.ends(0, &["status"]);
    assert!(!out.contains("Publish"), "{out}");
    mirror.wait("the page shows none", || on_page(&mirror, port).is_none());
    assert!(gauges(&mirror, port).lines().all(|gauge| gauge.ends_with("NaN")), "{}", gauges(&mirror, port));
    daemon.stop();
}

#[test]
fn while_the_server_is_down_the_backlog_is_shown_and_the_mirror_is_healthy() {
    if Server::shared().is_none() {
        return;
    }
    let server: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = server.database();
    let (mirror, daemon, port) = publishing(&database);
    let there = |key: &str| mirror.status()["publish"][key].clone();
    mirror.wait("all is noted as published", || there("backlog") == 0 && there("position") != 0);
    server.stop("immediate");
    let talk_id = mirror.simulator.account().create_talk().to_string();
    mirror.ends(0, &["enqueue", &talk_id]);
    mirror.wait("a talk waits", || {
        let status = mirror.status();
        status["publish"]["backlog"] == 1 && !status["publish"]["trouble"].is_null()
    });
    let (out, _) = mirror.ends(0, &["status"]);
    let masks = [
        ("warehouse\\d+", "warehouse"),
        (", for up to [^;]*;", "[, for a moment];"),
        ("1 talk waits;", "1 talk waits[, for a moment];"),
        ("error for .*", "error for [time and reason]"),
    ];
    assert_said!(part(&out, "Publishing"), masks, @"Publishing  to 127.0.0.1:[port]/warehouse: 1 talk waits[, for a moment]; error for [time and reason]");
    assert_said!(complaints(&out), @"");
    mirror.wait("the metrics show it", || {
        let gauges = gauges(&mirror, port);
        gauges.contains("backlog_talks 1") && gauges.contains("trouble 1") && gauges.contains("refused 0")
    });
    daemon.stop();
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Publishing"), masks, @"Publishing  to 127.0.0.1:[port]/warehouse while the daemon runs");

    let known = ["position", "caught_up_at", "confirmed_at"].map(|key| (key, there(key)));
    let failed = there("trouble");
    let daemon = mirror.daemon();
    mirror.wait("the next process fails too", || there("trouble")["at"] != failed["at"]);
    assert_eq!(there("backlog"), 1);
    for (key, value) in known {
        assert_eq!(there(key), value, "{key}");
    }
    daemon.stop();
}

#[test]
fn a_talk_that_is_left_out_is_a_warning_until_it_is_published() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let masks = [("warehouse\\d+", "warehouse")];
    database.sql("ALTER TABLE talkmirror.talks ADD CONSTRAINT mine CHECK (talk_id <> 3)");
    let (mirror, daemon, port) = publishing(&database);
    mirror.wait("one is left out", || !mirror.status()["publish"]["set_aside"][0].is_null());
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Publishing"), masks, @"Publishing  to 127.0.0.1:[port]/warehouse: all changes are published; 1 talk left out");
    assert_said!(complaints(&out), masks, @r#"
! 1 talk is left out of what is published to 127.0.0.1:[port]/warehouse: the server refuses talk 3 (new row for relation "talks" violates check constraint "mine" (SQLSTATE 23514))
  → see `talkmirror publish status`: correct the server, then run `talkmirror publish all`; without that, each is published with its next change
"#);
    mirror.wait("the metrics show it", || gauges(&mirror, port).contains("left_out_talks 1"));
    let of_page = on_page(&mirror, port).unwrap();
    assert!(of_page.contains("talk 3"), "{of_page}");
    daemon.stop();
    let daemon = mirror.daemon();
    mirror.wait("a restart does not forget it", || {
        let status = mirror.status();
        status["publish"]["confirmed_at"].as_i64() >= status["daemon"]["started_at"].as_i64()
            && status["publish"]["set_aside"][0]["talk_id"] == 3
    });
    database.sql("ALTER TABLE talkmirror.talks DROP CONSTRAINT mine");
    mirror.ends(0, &["publish", "all"]);
    mirror.wait("it is published", || mirror.status()["publish"]["set_aside"][0].is_null());
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talks WHERE talk_id = 3"), "1");
    daemon.stop();
}

#[test]
fn root_at_a_socket_is_not_the_role_s_user_and_check_says_who_is() {
    if Server::shared().is_none() {
        return;
    }
    if !nix::unistd::Uid::effective().is_root() {
        return skip("only root is taken for another user");
    }
    let server: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = server.database();
    let access = server.folder.join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&access).unwrap();
    std::fs::write(&access, format!("local all talkmirror peer\n{lines}")).unwrap();
    database.sql("SELECT pg_reload_conf()");
    let mirror = Mirror::new(account(1));
    mirror.ends(0, &["sync", "1"]);
    let (folder, port, name) = (server.folder.display(), server.port, &database.name);
    mirror.configure(&format!(
        "publish.enabled = true\npublish.server = \"postgresql:///{name}?user=talkmirror&host={folder}&port={port}\"\n"
    ));
    let masks = [(&*format!("{folder}:{port}"), "[socket]"), ("warehouse\\d+", "warehouse")];
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["publish"]), masks, @"publish  warn  [socket]/warehouse was not tried: it knows who connects by the user's name, and this is root; `sudo -u talkmirror talkmirror publish status` tries it");
    let (out, _) = mirror.ends(1, &["publish", "status"]);
    assert_said!(out, masks, @r"
server  [socket]/warehouse
error  it knows who connects by the user's name, and this is root; `sudo -u talkmirror talkmirror publish status` tries it
here  nothing is published yet: does the daemon run with publish.enabled = true?
");
}
