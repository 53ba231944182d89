//! Everything fails, and nothing is lost.

use crate::as_mirrored::as_mirrored;
use crate::feeders::{EVENTS, LISTING, REFRESH};
use crate::harness::{Mirror, account};
use std::time::Duration;
use talkmirror_simulator::{Fault, Storm};

const TALKS: i64 = 2000;

/// A third of the requests fail in every way that the simulator knows. 429s are rarer, because each pauses
/// everything for seconds.
fn stormy() -> Mirror {
    let mut account = account(TALKS);
    let rare = |fault: &Fault| matches!(fault, Fault::TooMany { .. });
    let passing = Fault::passing();
    let often = passing.iter().filter(|fault| !rare(fault)).cloned();
    let mut faults: Vec<Fault> = std::iter::repeat_n(often, 8).flatten().collect();
    faults.extend(passing.iter().filter(|fault| rare(fault)).cloned());
    account.storm = Some(Storm { share: 0.3, faults });
    let mirror = Mirror::new(account);
    mirror.configure("api.timeout = \"250ms\"\napi.max_in_flight = 16\nqueue.max_attempts = 100\n");
    mirror.ends(0, &["enqueue", &format!("1..{TALKS}")]);
    mirror
}

#[test]
fn a_storm_ends_with_every_talk_mirrored() {
    let mirror = stormy();
    let daemon = mirror.running_daemon();
    mirror.wait_for_long("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!(account.overlaps, 0, "no talk is asked for twice at once");
    assert!(account.requests() as i64 > TALKS * 5 / 4, "there was a storm: {} requests", account.requests());
    drop(account);
    mirror.assert_mirrors_the_account();
}

#[test]
fn kill_9_twenty_times_amid_a_storm_loses_nothing() {
    let mirror = stormy();
    for kill in 1..=20 {
        let daemon = mirror.daemon();
        let before = mirror.simulator.account().requests();
        // Each time a little later.
        mirror.wait("some requests", || mirror.simulator.account().requests() >= before + kill * 7);
        daemon.kill_hard();
        let known = "SELECT (SELECT count(*) FROM talks) - (SELECT count(*) FROM talks JOIN talk_queue USING (talk_id))
                          + (SELECT count(*) FROM talk_queue)";
        assert_eq!(mirror.sql::<i64>(known), TALKS, "each talk is mirrored or queued, after kill {kill}");
    }
    assert_eq!(mirror.sql::<String>("PRAGMA integrity_check"), "ok");
    let daemon = mirror.running_daemon();
    mirror.wait_for_long("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn an_account_that_lives_is_mirrored_as_it_is_in_the_end() {
    let mut account = account(50);
    account.alive = true;
    account.latency = Duration::from_millis(5);
    let mirror = Mirror::new(account);
    let daemon = mirror.running_daemon();
    for _ in 0..5 {
        let talks = mirror.simulator.account().talks.len();
        mirror.ends(0, &["enqueue", &format!("1..{talks}")]);
        mirror.wait_sql("they are mirrored", "SELECT count(*) FROM talk_queue", 0);
    }
    mirror.simulator.account().alive = false;
    let talks = mirror.simulator.account().talks.len();
    mirror.ends(0, &["enqueue", &format!("1..{talks}")]);
    mirror.wait_sql("they are mirrored", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn what_feeders_find_amid_a_storm_and_kills_is_mirrored_as_it_is_in_the_end() {
    let mut account = account(200);
    account.alive = true;
    account.latency = Duration::from_millis(2);
    let faults =
        Fault::passing().into_iter().filter(|fault| !matches!(fault, Fault::TooMany { .. })).collect();
    account.storm = Some(Storm { share: 0.2, faults });
    let mirror = Mirror::new(account);
    mirror.configure(&format!(
        "api.timeout = \"250ms\"\napi.max_in_flight = 16\nqueue.max_attempts = 100\n{REFRESH}{LISTING}{EVENTS}"
    ));
    for _ in 0..6 {
        let daemon = mirror.daemon();
        let before = mirror.simulator.account().requests();
        mirror.wait("some requests", || mirror.simulator.account().requests() >= before + 150);
        daemon.kill_hard();
    }
    {
        let mut account = mirror.simulator.account();
        (account.alive, account.storm) = (false, None);
    }
    let daemon = mirror.running_daemon();
    let connection = mirror.connect();
    mirror.wait("the mirror is as the account", || {
        let account = mirror.simulator.account();
        account.talks.values().all(|talk| {
            let talk = as_mirrored(talk);
            let stored = talkmirror::store::record::stored_talk(&connection, talk.talk_id).unwrap();
            stored == Some(talk)
        })
    });
    daemon.stop();
    mirror.assert_sound();
    assert_eq!(mirror.simulator.account().overlaps, 0);
}
