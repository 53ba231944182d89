//! A storm: the mirror changes at hundreds of changes a second, while its process is killed, its sessions are ended, and
//! the server crashes and loses what it had acknowledged last. A second mirror of the account, and a copy of the first
//! one's file, want to publish too. In the end every row of every table is compared.
//!
//! `tests/publish/run-storm KILLS [SEED]`, or for so many seconds `tests/publish/run-storm 60s [SEED]`. A seed repeats
//! the storm's choices, but not the machine's timing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "it reads the time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints how far it is")]
#![allow(clippy::needless_pass_by_value, reason = "values to compare with are written where they are passed")]

#[path = "../../black_box/as_mirrored.rs"]
mod as_mirrored;
#[path = "../compare.rs"]
mod compare;
#[path = "../../black_box/harness.rs"]
#[allow(dead_code, reason = "of the black-box tests")]
mod harness;
#[path = "../postgres.rs"]
#[allow(dead_code, reason = "of the tests of publishing")]
mod postgres;
mod rivals;
mod work;

use harness::{Daemon, Mirror, account};
use postgres::{Database, Server};
use rivals::Rivals;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A line of progress is printed after so many kills.
const KILLS_PER_LINE: u32 = 20;
/// Talks at the start.
const TALKS: i64 = 2000;

/// When the storm ends.
enum End {
    Kills(u32),
    After(Duration),
}

/// What was killed, and how often.
#[derive(Default)]
struct Kills {
    processes: u32,
    sessions: u32,
    servers: u32,
}

impl Kills {
    fn all(&self) -> u32 {
        self.processes + self.sessions + self.servers
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let end = arguments.next().and_then(|end| match end.strip_suffix('s') {
        Some(seconds) => seconds.parse().ok().map(Duration::from_secs).map(End::After),
        None => end.parse().ok().map(End::Kills),
    });
    let Some(end) = end else {
        eprintln!("usage: tests/publish/run-storm KILLS|SECONDSs [SEED]");
        std::process::exit(2);
    };
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("storm: seed {seed}");
    if Server::shared().is_some() {
        storm(&end, fastrand::Rng::with_seed(seed));
    }
}

fn storm(end: &End, mut rng: fastrand::Rng) {
    let began = Instant::now();
    // A crash loses up to half a second of what was acknowledged, as the failover to a replica does.
    let lossy = "synchronous_commit = off\nwal_writer_delay = 200ms\nrestart_after_crash = on";
    let server: &'static Server = Box::leak(Box::new(Server::start(lossy)));
    let database = server.database();
    let mirror = Mirror::new(stormy(rng.u64(..)));
    mirror.configure(&configuration(&database));
    mirror.ends(0, &["enqueue", &format!("1..{TALKS}")]);
    let mut daemon = Some(mirror.daemon());
    database.wait_until_published(&mirror);
    let first = database.sql("SELECT mirror_id FROM talkmirror.accounts");

    let mut kills = Kills::default();
    let stop = AtomicBool::new(false);
    let workload = fastrand::Rng::with_seed(rng.u64(..));
    let stormed = std::thread::scope(|scope| {
        scope.spawn(|| work::change(&mirror, &stop, workload));
        let mut rivals = Rivals::start(&mirror, &database);
        let stormed = Instant::now();
        while match end {
            End::Kills(most) => kills.all() < *most,
            End::After(most) => stormed.elapsed() < *most,
        } {
            std::thread::sleep(Duration::from_millis(rng.u64(0..2_000)));
            kill_something(&mirror, &database, &mut daemon, &mut kills, &mut rng);
            if kills.all() % KILLS_PER_LINE == 0 {
                println!("storm: {}", line(&mirror, &kills, stormed.elapsed()));
                rivals.check_and_copy_anew(&mirror);
            }
        }
        stop.store(true, Ordering::Relaxed);
        rivals.end();
        stormed.elapsed()
    });
    println!("storm: {}", line(&mirror, &kills, stormed));
    // Otherwise the next sweep may begin between the two reads of the comparison.
    mirror.configure(&configuration(&database).replace("\"live\"", "\"off\""));
    daemon.as_ref().unwrap().signal(nix::sys::signal::Signal::SIGHUP);
    let rules = "SELECT value ->> 'mode' = 'off' FROM mirror_info WHERE key = 'auto_close.rules'";
    mirror.wait_for_long("no sweep begins", rules, 1);
    // What may not be read waits a day.
    let waiting = "SELECT count(*) FROM talk_queue WHERE failed_at IS NULL AND due_at < unixepoch() + 60";
    mirror.wait_for_long("the mirror has settled", waiting, 0);
    database.wait_until_published(&mirror);
    assert_eq!(database.sql("SELECT mirror_id FROM talkmirror.accounts"), first, "of nobody else");
    compare::assert_same(&mirror, &database);
    mirror.ends(0, &["publish", "status"]);
    mirror.assert_sound();
    daemon.take().unwrap().stop();
    let rows = "SELECT (SELECT count(*) FROM talkmirror.talks) + (SELECT count(*) FROM talkmirror.talk_versions)
                     + (SELECT count(*) FROM talkmirror.closures) + (SELECT count(*) FROM talkmirror.tombstones)";
    let (rows, claims) = (database.sql(rows), database.sql("SELECT epoch FROM talkmirror.accounts"));
    println!("storm: 0 of {rows} rows differ, after {claims} claims, in {:.0?}", began.elapsed());
    server.stop("fast");
}

/// Kills one of the three, and starts again what does not start by itself.
fn kill_something(
    mirror: &Mirror,
    database: &Database,
    daemon: &mut Option<Daemon>,
    kills: &mut Kills,
    rng: &mut fastrand::Rng,
) {
    match rng.u32(0..100) {
        0..50 => {
            daemon.take().unwrap().kill_hard();
            *daemon = Some(mirror.daemon());
            kills.processes += 1;
        }
        50..85 => {
            database.end_sessions();
            kills.sessions += 1;
        }
        _ => {
            database.server.stop("immediate");
            std::thread::sleep(Duration::from_millis(rng.u64(0..500)));
            database.server.run();
            kills.servers += 1;
        }
    }
}

/// A live account: talks come, are missed and are closed.
fn stormy(seed: u64) -> talkmirror_simulator::Account {
    let mut account = account(TALKS);
    account.keep_log = false;
    account.reseed(seed);
    account
}

fn configuration(database: &Database) -> String {
    format!(
        "{}api.requests_per_second = 5000\napi.max_in_flight = 64\nqueue.retry_base = \"50ms\"\nauto_close.mode = \"live\"\n\
         auto_close.schedule = \"* * * * * *\"\nauto_close.stale_after = \"1h\"\nauto_close.quiet_for = \"1m\"\n\
         auto_close.max_share = 1.0\n",
        database.config()
    )
}

fn line(mirror: &Mirror, kills: &Kills, stormed: Duration) -> String {
    let changes: i64 = mirror.sql("SELECT max(seq) FROM changes");
    let Kills { processes, sessions, servers } = kills;
    format!(
        "{} kills ({processes} of the process, {sessions} of the session, {servers} of the server), {changes} changes, \
         {:.0} a second, {:.0?}",
        kills.all(),
        changes as f64 / stormed.as_secs_f64(),
        stormed
    )
}
