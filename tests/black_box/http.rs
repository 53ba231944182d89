//! `http.listen`: metrics and health.

use crate::feeders::{EVENTS, LISTING, REFRESH};
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;
use std::collections::BTreeSet;
use talkmirror_simulator::{Account, Fault, TOKEN};

/// A mirror that is served at its own port.
pub fn shown(account: Account, more: &str) -> (Mirror, u16) {
    let mirror = Mirror::new(account);
    let port = Mirror::free_port();
    mirror.configure(&format!("http.listen = \"127.0.0.1:{port}\"\n{more}"));
    (mirror, port)
}

/// The value of a series in the metrics.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    let line =
        metrics.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn metrics_count_requests_talks_closings_and_pauses() {
    let mut account = account(30);
    account.script(3, [Fault::Html(502)]);
    account.talks.remove(&4);
    let stale: Vec<i64> = (0..2).map(|_| account.create_missed(90_000)).collect();
    let (mirror, port) = shown(account, crate::closing::LIVE);
    mirror.ends(0, &["enqueue", "1..40"]);
    mirror.execute("INSERT INTO talk_queue (talk_id, reason, due_at) VALUES (500, 'ann', unixepoch() + 900)");
    let daemon = mirror.running_daemon();
    let closed = format!(
        "SELECT count(*) FROM closures WHERE outcome = 'closed' AND talk_id IN ({}, {})",
        stale[0], stale[1]
    );
    mirror.wait_sql("both are closed", &closed, 2);
    mirror.wait("the figures are shown", || {
        let (status, metrics) = mirror.get(port, "/metrics");
        status == 200 && value(&metrics, "talkmirror_closures_total{outcome=\"closed\"}") >= Some(2.0)
    });
    let (_, metrics) = mirror.get(port, "/metrics");
    let of = |series| value(&metrics, series).unwrap_or_else(|| panic!("{series}\n{metrics}"));
    let answered = mirror
        .simulator
        .account()
        .log
        .iter()
        .filter(|request| request.status == 200 && request.talk_id > 0)
        .count();
    assert_eq!(of("talkmirror_api_requests_total{endpoint=\"talk\",status=\"200\"}"), answered as f64);
    assert_eq!(of("talkmirror_api_requests_total{endpoint=\"talk\",status=\"502\"}"), 1.0);
    assert!(of("talkmirror_api_requests_total{endpoint=\"close\",status=\"202\"}") >= 2.0);
    assert!(of("talkmirror_api_request_duration_seconds_count{endpoint=\"talk\"}") >= 31.0);
    assert!(of("talkmirror_talks_recorded_total{outcome=\"new\"}") >= 31.0);
    assert!(of("talkmirror_talks_recorded_total{outcome=\"gone\"}") >= 1.0);
    assert_eq!(of("talkmirror_talks_recorded_total{outcome=\"retry\"}"), 1.0);
    assert_eq!(of("talkmirror_closures_total{outcome=\"refused\"}"), 0.0, "there before the first");
    assert_eq!(of("talkmirror_queue_rows{reason=\"other\",state=\"later\"}"), 1.0);
    assert_eq!(
        of("talkmirror_talks{state=\"in_work\"}"),
        mirror.sql::<f64>("SELECT CAST(sum(is_in_work) AS REAL) FROM talks")
    );
    assert_eq!(of("talkmirror_paused{reason=\"outage\"}"), 0.0);
    assert_eq!(of("talkmirror_ready"), 1.0);
    assert_eq!(of("talkmirror_config_last_reload_successful"), 1.0);
    assert!(of("talkmirror_writer_batch_records_count") >= 1.0);
    assert!(of("talkmirror_database_bytes") > 4096.0 && of("talkmirror_wal_bytes") > 0.0);
    assert!(metrics.contains("talkmirror_build_info{version=\""));
    daemon.stop();
}

#[test]
fn no_series_is_named_by_a_talk_or_by_anybody_s_own_words() {
    let mut account = account(30);
    account.create_missed(90_000);
    let everything = format!("{REFRESH}{LISTING}{EVENTS}{}", crate::closing::LIVE);
    let (mirror, port) = shown(account, &everything);
    mirror.ends(0, &["enqueue", "1..30"]);
    mirror.execute("INSERT INTO talk_queue (talk_id, reason) VALUES (31, '117'), (32, '\"}\n')");
    let daemon = mirror.running_daemon();
    mirror.wait_sql(
        "all feeders have run",
        "SELECT count(*) FROM feeders WHERE ran_at IS NOT NULL AND feeder <> 'backfill'",
        3,
    );
    let (_, metrics) = mirror.get(port, "/metrics");
    let mut labels = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(line.starts_with("talkmirror_") || line.starts_with("process_"), "{line}");
        // Its value may be any number.
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(!series.contains("117"), "{line}");
        if let Some((_, rest)) = line.split_once('{') {
            let (inner, _) = rest.split_once('}').unwrap();
            labels.extend(inner.split(',').map(|label| label.split_once('=').unwrap().0.to_owned()));
        }
    }
    let allowed =
        ["endpoint", "status", "le", "outcome", "reason", "state", "percentile", "feeder", "version"];
    assert!(labels.iter().all(|label| allowed.contains(&label.as_str())), "{labels:?}");
    daemon.stop();
}

#[test]
fn ready_says_in_words_why_not_and_becomes_ready_again() {
    let (mirror, port) = shown(account(20), "");
    mirror.simulator.account().token = "another".into();
    mirror.ends(0, &["enqueue", "1..20"]);
    let daemon = mirror.running_daemon();
    mirror.wait("not ready", || mirror.get(port, "/readyz").0 == 503);
    let (_, why) = mirror.get(port, "/readyz");
    assert_said!(why, @"everything pauses: the API does not accept the token (HTTP 401: the token is not accepted); next probe in 1 min");
    assert_eq!(mirror.get(port, "/healthz"), (200, "ok\n".into()), "waiting is no standstill");
    let (_, metrics) = mirror.get(port, "/metrics");
    assert_eq!(value(&metrics, "talkmirror_paused{reason=\"unauthorized\"}"), Some(1.0));
    assert_eq!(value(&metrics, "talkmirror_pauses_total{reason=\"unauthorized\"}"), Some(1.0));
    assert_eq!(value(&metrics, "talkmirror_ready"), Some(0.0));
    mirror.simulator.account().token = TOKEN.into();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait("ready", || mirror.get(port, "/readyz") == (200, "ready\n".into()));
    daemon.stop();
}

#[test]
fn a_database_that_cannot_be_written_is_no_readiness() {
    let (mirror, port) = shown(account(5), "");
    let daemon = mirror.running_daemon();
    assert_eq!(mirror.get(port, "/readyz"), (200, "ready\n".into()));
    let foreign = mirror.connect();
    foreign.execute_batch("BEGIN IMMEDIATE; INSERT INTO talk_queue (talk_id) VALUES (1)").unwrap();
    mirror.wait("not ready", || mirror.get(port, "/readyz").0 == 503);
    let (_, why) = mirror.get(port, "/readyz");
    assert_said!(why, @"the database cannot be written: another program holds the write lock, black_box (process [pid], user [name]): end its transaction");
    assert_eq!(mirror.get(port, "/healthz").0, 200);
    foreign.execute_batch("COMMIT").unwrap();
    mirror.wait("ready", || mirror.get(port, "/readyz").0 == 200);
    mirror.wait_sql("the row was seen", "SELECT count(*) FROM talks", 1);
    daemon.stop();
}

#[test]
fn nothing_is_served_without_an_address_and_a_taken_one_is_named() {
    let (mirror, port) = shown(account(1), "");
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (_, err) = mirror.ends(1, &["run"]);
    let own = format!(":{port}\\b");
    assert_said!(journal::error(&err), [(&own, ":[http.listen]")], @"error: cannot listen on 127.0.0.1:[http.listen]: set http.listen to an address that is free here: Address already in use (os error 98)");
    drop(taken);
    mirror.configure("http.listen = \"0.0.0.0:9187\"\n");
    let (_, err) = mirror.ends(78, &["run"]);
    assert_said!(err, @r#"error: [folder]/config.toml: http.listen: expected an address on this machine and a port, such as "127.0.0.1:[port]" (others need http.allow_remote = true), or "" for none, found "0.0.0.0:9187""#);
}

#[test]
fn while_requests_wait_for_their_turn_answers_are_committed_together() {
    let (mirror, port) = shown(account(100), "api.requests_per_second = 25\nqueue.poll_interval = \"1s\"\n");
    mirror.ends(0, &["sync", "1"]);
    mirror.ends(0, &["enqueue", "2..100"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 100);
    let (_, metrics) = mirror.get(port, "/metrics");
    let commits = value(&metrics, "talkmirror_writer_batch_records_count").unwrap();
    assert!(commits < 50.0, "{commits} commits of 99 talks and a few notes");
    daemon.stop();
    mirror.assert_mirrors_the_account();
}
