//! The ceiling, as the server counts it.

use crate::harness::{Mirror, account};
use std::time::Duration;
use talkmirror::simulator::{Fault, Storm};

const CEILING: &str = "api.requests_per_second = 7\napi.max_in_flight = 16\n";

#[test]
fn it_holds_from_a_cold_start_on_and_is_used() {
    let mut account = account(40);
    account.limit = 7;
    account.latency = Duration::from_millis(30);
    let mirror = Mirror::new(account);
    mirror.configure(CEILING);
    mirror.ends(0, &["sync", "1..40"]);
    let account = mirror.simulator.account();
    assert_eq!(account.violations, 0);
    assert_eq!(account.most_in_a_second(), 7, "it is a ceiling, and not half of it");
    assert_eq!(account.requests(), 40);
}

#[test]
fn it_holds_across_restarts_and_kills() {
    let mut account = account(60);
    account.limit = 7;
    let mirror = Mirror::new(account);
    mirror.configure(CEILING);
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
    mirror.configure(&format!("{CEILING}api.timeout = \"1s\"\nqueue.max_attempts = 100\n"));
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
    mirror.configure(CEILING);
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("a pause", "SELECT pause_reason FROM daemon_status", "outage".to_owned());
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
