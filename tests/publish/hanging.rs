//! A server that answers no more, by itself or on the way: the mirror does not wait for it.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use crate::proxy::Proxy;
use nix::sys::signal::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Commits to look at.
const COMMITS: u64 = 30;

/// The number of commits so far, and of those that took longer than 5 s. One that waited for the server would take as long
/// as a turn may: 10 s.
fn commits(mirror: &Mirror, port: u16) -> (u64, u64) {
    let (_, metrics) = mirror.get(port, "/metrics");
    let value = |name: &str| {
        let name = format!("talkmirror_writer_commit_duration_seconds_{name} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse::<u64>().unwrap()
    };
    let all = value("count");
    (all, all - value("bucket{le=\"5\"}"))
}

/// Changes talks and queues them until `stop`.
fn change(mirror: &Mirror, stop: &AtomicBool) {
    let connection = mirror.connect();
    while !stop.load(Ordering::Relaxed) {
        for talk in mirror.simulator.account().talks.values_mut().take(100) {
            talk.updated_at += 1;
        }
        connection
            .execute_batch(
                "WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 100)
                 INSERT INTO talk_queue (talk_id) SELECT id FROM ids",
            )
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A mirror at work, whose server stops to answer by `hang`. `hangs` says whether a turn waits for it now.
fn waits_for_nothing(
    database: &Database,
    address: u16,
    hang: impl Fn(),
    hangs: impl Fn() -> bool,
    wake: impl Fn(),
) {
    let port = Mirror::free_port();
    let mirror = Mirror::new(account(300));
    let server = format!("@127.0.0.1:{}/", database.server.port);
    let config = database.config().replace(&server, &format!("@127.0.0.1:{address}/"));
    mirror.configure(&format!("{config}http.listen = \"127.0.0.1:{port}\"\n"));
    mirror.ends(0, &["enqueue", "1..100"]);
    let daemon = mirror.running_daemon();
    database.wait_until_published(&mirror);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| change(&mirror, &stop));
        hang();
        mirror.wait("a turn hangs", &hangs);
        // Whoever reads would keep the log from being taken into the database.
        let connection = mirror.connect();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0, "the publisher reads while it waits");
        let known = || mirror.log().lines().any(|line| line.contains("did not answer in time"));
        let before = commits(&mirror, port).0;
        mirror.wait("enough is committed", || commits(&mirror, port).0 >= before + COMMITS && known());
        stop.store(true, Ordering::Relaxed);
        assert_eq!(commits(&mirror, port).1, 0, "none waited for the server");
        let wal = mirror.path("talks.db-wal").metadata().map_or(0, |wal| wal.len());
        assert!(wal < 64 << 20, "{wal} bytes");
    });

    mirror.ends(0, &["enqueue", "101..200"]);
    mirror.wait_sql("it mirrors on", "SELECT count(*) FROM talks", 200);
    let stopped = Instant::now();
    daemon.stop();
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
    mirror.assert_sound();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 200);

    wake();
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, database);
    daemon.stop();
}

#[test]
fn a_connection_that_swallows_everything_delays_no_commit_and_no_stop() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let proxy = Proxy::to(server.port);
    waits_for_nothing(
        &database,
        proxy.port,
        || proxy.swallow(true),
        || proxy.has_swallowed(),
        || proxy.swallow(false),
    );
}

/// Whether a process that listens at this port has bytes that it does not read.
fn has_unread(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "01" && !fields[4].ends_with(":00000000")
    })
}

#[test]
fn a_frozen_server_delays_no_commit_and_no_stop() {
    if Server::shared().is_none() {
        return;
    }
    let server: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = server.database();
    waits_for_nothing(
        &database,
        server.port,
        || server.signal(Signal::SIGSTOP),
        || has_unread(server.port),
        || server.signal(Signal::SIGCONT),
    );
    server.stop("fast");
}

#[test]
fn the_second_host_is_asked_if_the_first_swallows_everything() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let proxy = Proxy::to(server.port);
    proxy.swallow(true);
    let mirror = Mirror::new(account(5));
    let server = format!("@127.0.0.1:{}/", server.port);
    let both = format!("@127.0.0.1:{},127.0.0.1:{}/", proxy.port, database.server.port);
    mirror.configure(&database.config().replace(&server, &both));
    mirror.ends(0, &["sync", "1..5"]);
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    assert!(proxy.has_swallowed());
    daemon.stop();
}

#[test]
fn a_slow_server_gets_as_much_as_it_commits_in_time() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    // All at once take longer than a turn may.
    database.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.8); RETURN new; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON talkmirror.talks FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let mirror = Mirror::new(account(14));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..14"]);
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
}

/// A session that keeps a table to itself: whoever reads it gets no answer.
struct Locked(std::process::Child);

impl Locked {
    fn table(database: &Database, table: &str) -> Locked {
        let port = database.server.port.to_string();
        let sql = format!("LOCK TABLE talkmirror.{table}; SELECT pg_sleep(600)");
        let mut psql = crate::postgres::program("psql");
        psql.args(["-X", "-1", "-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-d", &database.name]);
        let locked = Locked(psql.args(["-c", &sql]).stdout(std::process::Stdio::null()).spawn().unwrap());
        let granted = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let began = Instant::now();
        while database.sql(granted) == "0" {
            assert!(began.elapsed() < Duration::from_secs(60));
        }
        locked
    }

    fn free(mut self, database: &Database) {
        database.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE%'");
        self.0.wait().unwrap();
    }
}

#[test]
fn a_server_that_accepts_and_answers_nothing_ends_each_command_and_keeps_no_standby() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(5));
    let standby = format!("{}publish.adopt = true\npublish.standby_after = \"5s\"\n", database.config());
    mirror.configure(&standby);
    let locked = Locked::table(&database, "schema_info");
    let daemon = mirror.daemon();
    let (empty, filled) = (Mirror::new(account(5)), Mirror::new(account(5)));
    empty.configure(&database.config());
    filled.configure(&database.config());
    filled.ends(0, &["sync", "1..5"]);
    std::thread::scope(|scope| {
        let commands = [(&filled, &["check"][..]), (&filled, &["publish", "status"]), (&empty, &["adopt"])];
        for (mirror, command) in commands {
            scope.spawn(move || {
                let (out, err) = mirror.ends(1, command);
                assert!(format!("{out}{err}").contains("did not answer in time"), "{command:?}: {out}{err}");
            });
        }
    });
    mirror.wait("it retries, and says why", || mirror.log().contains("did not answer in time"));
    locked.free(&database);
    mirror.wait("it works", || mirror.log().contains("publishing to"));
    daemon.stop();
}

#[test]
fn a_talk_that_takes_long_alone_gets_more_time_and_is_left_out_if_that_is_not_enough() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    // Longer than a turn may take, and longer than anything may.
    database.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(CASE new.talk_id WHEN 2 THEN 12 ELSE 600 END); RETURN new; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON talkmirror.talks FOR EACH ROW WHEN (new.talk_id IN (2, 3))
            EXECUTE FUNCTION slow()",
    );
    let mirror = Mirror::new(account(4));
    mirror.configure(&database.config());
    let daemon = mirror.daemon();
    mirror.ends(0, &["enqueue", "1..2"]);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    mirror.ends(0, &["enqueue", "3"]);
    let left_out =
        "the server refuses talk 3, and it is left out until its next change: it took longer than 30 s";
    mirror.wait("it is left out", || mirror.log().contains(left_out));
    mirror.ends(0, &["enqueue", "4"]);
    mirror.wait("the next is published", || {
        database.sql("SELECT string_agg(talk_id::text, ' ' ORDER BY talk_id) FROM talkmirror.talks")
            == "1 2 4"
    });
    daemon.stop();
}
