//! The rate limit, as the server counts: never exceeded, and used.

use crate::harness::{Mirror, account};
use std::time::{Duration, Instant};
use talkmirror_simulator::{Fault, Storm};

const LIMIT: &str = "api.requests_per_second = 7\n";

#[test]
fn it_holds_from_a_cold_start_on_and_is_used() {
    let mut account = account(40);
    account.limit = 7;
    account.latency = Duration::from_millis(30);
    let mirror = Mirror::new(account);
    mirror.configure(LIMIT);
    mirror.ends(0, &["sync", "1..40"]);
    let account = mirror.simulator.account();
    assert_eq!(account.violations, 0);
    assert_eq!(account.most_in_a_second(), 7, "it is used, and not half of it");
    assert_eq!(account.requests(), 40);
}

#[test]
fn it_holds_across_restarts_and_kills() {
    let mut account = account(60);
    account.limit = 7;
    let mirror = Mirror::new(account);
    mirror.configure(LIMIT);
    mirror.ends(0, &["enqueue", "1..60"]);
    for killed_after in [5, 12, 20] {
        let daemon = mirror.daemon();
        mirror.wait("some requests", || mirror.simulator.account().requests() >= killed_after);
        daemon.kill_hard();
    }
    mirror.ends(0, &["sync"]);
    let account = mirror.simulator.account();
    assert_eq!((account.violations, account.overlaps), (0, 0));
    assert_eq!(account.most_in_a_second(), 7);
}

#[test]
fn it_holds_under_slow_answers_errors_and_retries() {
    let mut account = account(50);
    account.limit = 7;
    account.storm = Some(Storm {
        share: 0.5,
        faults: vec![
            Fault::Problem(500),
            Fault::Reset,
            Fault::CutOff,
            Fault::Slow(Duration::from_millis(700)),
            Fault::Hang(Duration::from_secs(20)),
        ],
    });
    let mirror = Mirror::new(account);
    mirror.configure(&format!("{LIMIT}api.timeout = \"1s\"\nqueue.max_attempts = 100\n"));
    mirror.ends(0, &["enqueue", "1..50"]);
    let daemon = mirror.running_daemon();
    mirror.wait("many requests", || mirror.simulator.account().requests() >= 70);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!((account.violations, account.overlaps), (0, 0));
    assert!(account.most_in_a_second() <= 7);
}

#[test]
fn it_holds_after_an_outage() {
    let mut account = account(60);
    account.limit = 7;
    account.always = Some(Fault::Html(502));
    let mirror = Mirror::new(account);
    mirror.configure(LIMIT);
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.running_daemon();
    mirror.wait_for_pause("outage");
    mirror.simulator.account().always = None;
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!(account.violations, 0);
    assert_eq!(account.most_in_a_second(), 7);
}

#[test]
fn no_more_requests_are_under_way_than_configured() {
    let mut account = account(60);
    account.latency = Duration::from_millis(20);
    let mirror = Mirror::new(account);
    mirror.configure("api.max_in_flight = 3\n");
    mirror.ends(0, &["sync", "1..60"]);
    assert_eq!(mirror.simulator.account().most_in_flight, 3);
}

/// Whether the server counted at least 95 % of 7 requests a second in some ten seconds.
fn is_used(log: &[Instant]) -> bool {
    log.windows(67).any(|seen| seen[66] - seen[0] <= Duration::from_secs(10))
}

#[test]
fn it_is_used_at_80_ms_also_after_a_pause_and_a_restart() {
    used_at(80);
}

#[test]
fn it_is_used_at_300_ms_also_after_a_pause_and_a_restart() {
    used_at(300);
}

#[test]
fn it_is_used_at_600_ms_also_after_a_pause_and_a_restart() {
    used_at(600);
}

fn used_at(milliseconds: u64) {
    let mut account = account(2000);
    account.limit = 7;
    account.latency = Duration::from_millis(milliseconds);
    let mirror = Mirror::new(account);
    mirror.configure(LIMIT);
    mirror.ends(0, &["enqueue", "1..2000"]);
    let requests = || mirror.simulator.account().log.len();
    let used_since = |from: usize| {
        let account = mirror.simulator.account();
        is_used(&account.log.iter().skip(from).map(|request| request.at).collect::<Vec<_>>())
    };
    let daemon = mirror.running_daemon();
    mirror.wait("95 % are used", || used_since(0));
    daemon.kill_hard();
    let from = requests();
    let daemon = mirror.running_daemon();
    mirror.wait("95 % are used after a restart", || used_since(from));
    mirror.simulator.account().always = Some(Fault::Html(502));
    mirror.wait_for_pause("outage");
    mirror.simulator.account().always = None;
    let from = requests();
    mirror.wait("95 % are used after a pause", || used_since(from));
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!((account.violations, account.overlaps), (0, 0));
    assert_eq!(account.most_in_a_second(), 7);
}
