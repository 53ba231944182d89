//! The first load of a server, and the memory that the daemon needs for it.

use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use crate::process::median;
use crate::usage;
use std::time::{Duration, Instant};
use talkmirror::store;

const TALKS: usize = 200_000;
/// Those of them that are fetched as well, so that the daemon is compared with one that works.
const FETCHED: i64 = 5_000;

/// Prints the figures.
pub fn print(server: &'static Server, rounds: usize) {
    let mirror = Mirror::new(account(FETCHED));
    let connection = store::open(&mirror.database(), true).expect("a database");
    let talks = include_str!("../../tests/million.sql").replace("i < 1000000)", &format!("i < {TALKS})"));
    connection.execute_batch(&format!("PRAGMA synchronous = OFF; BEGIN; {talks}; COMMIT")).expect("talks");
    connection.execute_batch("PRAGMA optimize = 0x10002").expect("statistics");
    drop(connection);
    let (mut rates, mut publisher, mut of_server) = (vec![], vec![], vec![]);
    let (mut off, mut on) = (vec![], vec![]);
    for _ in 0..rounds {
        mirror.configure("");
        let daemon = mirror.running_daemon();
        mirror.wait_long("nothing is marked", || {
            mirror.try_sql::<i64>("SELECT count(*) FROM changes") == Some(0)
        });
        fetch(&mirror);
        off.push(usage::mib(daemon.child.id(), "status", "VmHWM:"));
        daemon.stop();

        let database = server.database();
        mirror.configure(&database.config().replace("100ms", "1s"));
        let daemon = mirror.daemon();
        let (rows, took) = load(&mirror, &database);
        rates.push(rows / took);
        publisher.push(usage::cpu(&[daemon.child.id()]) / rows * 1e6);
        of_server.push(usage::cpu(&of_session(server, &database)) / rows * 1e6);
        fetch(&mirror);
        database.wait_until_published(&mirror);
        on.push(usage::mib(daemon.child.id(), "status", "VmHWM:"));
        daemon.stop();
        server.psql("postgres", &format!("DROP DATABASE {}", database.name)).expect("dropped");
    }
    println!("full load, rows a second:             {:>8.0}", median(rates));
    println!("processor time of the daemon, a row:  {:>8.1} µs", median(publisher));
    println!("processor time of the session, a row: {:>8.1} µs", median(of_server));
    println!("peak memory, publishing off:          {:>8.1} MiB", median(off));
    println!("peak memory, with the full load:      {:>8.1} MiB", median(on));
}

/// Waits until all is published. Returns the rows and the seconds.
fn load(mirror: &Mirror, database: &Database) -> (f64, f64) {
    mirror.wait("the account is claimed", || {
        database.try_sql("SELECT 1 FROM talkmirror.accounts").as_deref() == Some("1")
    });
    let began = Instant::now();
    let done = |key: &str| mirror.try_sql::<i64>(&format!("SELECT count(*) FROM mirror_info WHERE {key}"));
    mirror.wait_long("all are marked", || done("key = 'publish.capture' AND value LIKE '%null%'") == Some(1));
    mirror.wait_long("all are published", || {
        std::thread::sleep(Duration::from_millis(100));
        database.try_sql("SELECT position FROM talkmirror.accounts")
            == mirror.try_sql::<i64>("SELECT max(seq) FROM changes").map(|top| top.to_string())
    });
    let took = began.elapsed().as_secs_f64();
    let tables = ["talks", "talk_versions", "closures", "tombstones"];
    let rows = tables.map(|table| {
        database.sql(&format!("SELECT count(*) FROM talkmirror.{table}")).parse::<f64>().expect("a number")
    });
    (rows.iter().sum(), took)
}

/// The publisher's session on the server.
fn of_session(server: &Server, database: &Database) -> Vec<u32> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'talkmirror' AND datname = '{}'",
        database.name
    );
    server.psql("postgres", &sql).expect("sessions").lines().map(|pid| pid.parse().expect("a pid")).collect()
}

/// Has the daemon fetch and record talks.
fn fetch(mirror: &Mirror) {
    mirror.ends(0, &["enqueue", &format!("1..{FETCHED}")]);
    mirror.wait_sql("all are fetched", "SELECT count(*) FROM talk_queue", 0);
}
