//! Stopping.

use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use talkmirror_simulator::{Account, Fault, Request};

#[test]
fn sigterm_and_sigint_stop_in_good_order_with_everything_recorded() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut account = account(300);
        account.latency = Duration::from_millis(50);
        let mirror = Mirror::new(account);
        mirror.ends(0, &["enqueue", "1..300"]);
        let mut daemon = mirror.running_daemon();
        mirror.wait("some requests", || mirror.simulator.account().requests() >= 30);
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
        let shown = |request: &&Request| request.status == 200 && request.talk_id > 0;
        let answered = mirror.simulator.account().log.iter().filter(shown).count();
        assert_eq!(
            mirror.sql::<i64>("SELECT count(*) FROM talks"),
            answered as i64,
            "what was answered is recorded"
        );
        assert_eq!(
            mirror.sql::<i64>("SELECT (SELECT count(*) FROM talks) + (SELECT count(*) FROM talk_queue)"),
            300
        );
        assert!(mirror.sql::<bool>("SELECT stopped_at IS NOT NULL FROM daemon_status"));
        let own = format!("\\b{signal}\\b");
        assert_said!(mirror.wait_logged(journal::STOPPING), [(&own, "[the signal]")], @"INFO stopping on [the signal]: finishing what is under way");
        mirror.assert_sound();
    }
}

/// An account whose every talk takes a minute to return.
fn hanging() -> Account {
    let mut account = account(20);
    for talk_id in 1..=20 {
        account.script(talk_id, [Fault::Slow(Duration::from_secs(60))]);
    }
    account
}

#[test]
fn requests_that_hang_hold_a_stop_up_for_less_than_ten_seconds() {
    let account = hanging();
    let mirror = Mirror::new(account);
    mirror.configure("api.timeout = \"60s\"\n");
    mirror.ends(0, &["enqueue", "1..20"]);
    let mut daemon = mirror.running_daemon();
    mirror.wait("requests hang", || mirror.simulator.account().requests() == 8);
    let began = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE attempts = 0"), 20);
    assert_eq!(mirror.simulator.account().requests(), 8, "no new requests");
}

#[test]
fn a_second_signal_stops_at_once() {
    let account = hanging();
    let mirror = Mirror::new(account);
    mirror.configure("api.timeout = \"60s\"\n");
    mirror.ends(0, &["enqueue", "1..20"]);
    let mut daemon = mirror.running_daemon();
    mirror.wait("requests hang", || mirror.simulator.account().requests() == 8);
    daemon.signal(Signal::SIGTERM);
    mirror.wait_logged(journal::STOPPING);
    let began = Instant::now();
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn an_idle_daemon_stops_at_once_and_sync_stops_on_a_signal() {
    let mirror = Mirror::new(account(50));
    mirror.running_daemon().stop();
    mirror.simulator.account().latency = Duration::from_secs(1);
    mirror.ends(0, &["enqueue", "1..50"]);
    let mut sync = mirror.start(&["sync"]);
    mirror.wait("requests are under way", || mirror.simulator.account().requests() >= 8);
    sync.signal(Signal::SIGINT);
    assert_eq!(sync.wait().code(), Some(1));
    assert_said!(journal::error(&mirror.log()), [(r"\d+ talks", "[n] talks")], @"error: stopped by a signal; [n] talks stay queued");
}
