//! A storm: a live account of which one request in seven fails, live closing, programs that queue talks by SQL,
//! commands and webhooks, sometimes a held lock or a full disk, and kill -9 at random moments. After each kill all
//! invariants are checked, and at the end that the mirror equals the account.
//!
//! `tests/soak/run KILLS [SEED]`. A seed repeats the storm's choices, but not the machine's timing.

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

#[path = "../black_box/as_mirrored.rs"]
mod as_mirrored;
#[path = "../black_box/harness.rs"]
#[allow(dead_code, reason = "of the black-box tests")]
mod harness;

mod checks;
mod other_processes;

use checks::Checks;
use harness::{Mirror, SmallDisk, account};
use other_processes::{Disturbances, OtherProcesses};
use std::time::{Duration, Instant};
use talkmirror_simulator::{Account, Fault, Storm};

/// The account's limit and ours, in requests a second.
const LIMIT: usize = 100;
/// A line of progress is printed after this many kills.
const KILLS_PER_LINE: u32 = 10;

/// The share of requests that fail.
const SHARE: f64 = 0.15;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kills: u32 = arguments.next().and_then(|kills| kills.parse().ok()).unwrap_or_else(|| {
        eprintln!("usage: tests/soak/run KILLS [SEED]");
        std::process::exit(2);
    });
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("soak: {kills} kills, seed {seed}");
    soak(kills, fastrand::Rng::with_seed(seed));
}

fn soak(kills: u32, mut rng: fastrand::Rng) {
    let began = Instant::now();
    let mirror = Mirror::with_database(stormy(rng.u64(..)), "disk/talks.db");
    let disk = SmallDisk::mount(mirror.path("disk"), "192m");
    if disk.is_none() {
        std::fs::create_dir_all(mirror.path("disk")).unwrap();
        println!("soak: no disk of its own can be mounted here, so none gets full");
    }
    let port = Mirror::free_port();
    std::fs::write(mirror.path("secret"), other_processes::SECRET).unwrap();
    mirror.configure(&configuration(port));

    let disturbances = Disturbances::default();
    let mut checks = Checks::default();
    for kill in 1..=kills {
        let daemon = mirror.daemon();
        std::thread::scope(|scope| {
            let other_processes =
                OtherProcesses { mirror: &mirror, disturbances: &disturbances, port, disk: disk.is_some() };
            other_processes.start(scope, &mut rng);
            std::thread::sleep(life(&mut rng));
            checks.still_runs(&mirror, &disturbances, daemon);
            disturbances.end();
        });
        checks.after_kill(&mirror, &disturbances, kill);
        if kill % KILLS_PER_LINE == 0 || kill == kills {
            println!("soak: {}", checks.line(&mirror, &disturbances, (kill, kills), began.elapsed()));
        }
    }
    settle(&mirror);
    checks.in_the_end(&mirror, &disturbances);
    println!("soak: the mirror is as the account, after {:.0?}", began.elapsed());
}

/// How long a process lives: some are killed while they start, most during their work.
fn life(rng: &mut fastrand::Rng) -> Duration {
    let longest = if rng.u32(0..3) == 0 { 1_000 } else { 6_000 };
    Duration::from_millis(rng.u64(0..longest))
}

/// A live account of 300 talks with responses as bad as they get.
fn stormy(seed: u64) -> Account {
    let mut account = account(300);
    account.alive = true;
    account.limit = LIMIT;
    account.latency = Duration::from_millis(15);
    account.storm = Some(Storm { share: SHARE, faults: faults() });
    account.reseed(seed);
    account
}

/// Faults of one request are more frequent than pauses, which would otherwise fill the time.
fn faults() -> Vec<Fault> {
    let redirect = || Fault::Redirect("https://other.amocrm.ru/login".into());
    let answer = |body: &str| Fault::Answer {
        status: 200,
        headers: vec![("content-type", "application/hal+json")],
        body: body.into(),
    };
    let ones = Fault::passing().into_iter().filter(|fault| !matches!(fault, Fault::TooMany { .. })).chain([
        redirect(),
        answer(r#"{"title":"Error","status":500}"#),
        answer("\u{feff}[]"),
        Fault::Answered,
        Fault::ActAndReset,
        Fault::Problem(403),
        Fault::Problem(404),
        Fault::NoContent,
        Fault::Slow(Duration::from_millis(400)),
    ]);
    let everybodys = [
        Fault::TooMany { header: None, body: Some(1) },
        Fault::TooMany { header: Some(2), body: None },
        Fault::Problem(401),
        Fault::Problem(402),
        Fault::Html(403),
    ];
    ones.flat_map(|fault| std::iter::repeat_n(fault, 6)).chain(everybodys).collect()
}

fn configuration(port: u16) -> String {
    format!(
        "api.requests_per_second = {LIMIT}\napi.timeout = \"300ms\"\nqueue.max_attempts = 5\nqueue.retry_base = \"50ms\"\n\
         refresh.enabled = true\nrefresh.min_interval = \"5s\"\n\
         listing.enabled = true\nlisting.schedule = \"*/2 * * * * *\"\n\
         events.enabled = true\nevents.schedule = \"* * * * * *\"\n\
         directory.enabled = true\ndirectory.schedule = \"*/3 * * * * *\"\ndirectory.interval = \"1s\"\n\
         directory.contacts = true\n\
         http.listen = \"127.0.0.1:{port}\"\nwebhook.enabled = true\nwebhook.secret_file = \"secret\"\n\
         backup.path = \"disk\"\nbackup.schedule = \"*/5 * * * * *\"\nbackup.keep = 2\n\
         auto_close.mode = \"live\"\nauto_close.schedule = \"* * * * * *\"\nauto_close.stale_after = \"1h\"\n\
         auto_close.quiet_for = \"1m\"\nauto_close.max_share = 1.0\n"
    )
}

/// Ends all faults, and lets the daemon finish the remaining work.
fn settle(mirror: &Mirror) {
    {
        let mut account = mirror.simulator.account();
        (account.alive, account.storm) = (false, None);
    }
    let last = *mirror.simulator.account().talks.keys().max().unwrap();
    mirror.ends(0, &["resume"]);
    mirror.ends(0, &["queue", "retry"]);
    mirror.ends(0, &["sync", &format!("1..{last}")]);
}
