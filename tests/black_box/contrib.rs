//! The dashboard and the alerts in `contrib/` use metrics that a live daemon shows.

use crate::closing::LIVE;
use crate::feeders::{EVENTS, LISTING, REFRESH};
use crate::harness::account;
use std::collections::BTreeSet;

/// The metrics that a text names. A histogram's parts count as the histogram.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.starts_with("talkmirror_") || word.starts_with("process_"))
        .map(|name| {
            let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            part.unwrap_or(name)
        })
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_a_daemon_shows() {
    let mut account = account(10);
    account.create_missed(90_000);
    let (mirror, port) = crate::http::shown(account, &format!("{REFRESH}{LISTING}{EVENTS}{LIVE}"));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("a talk is closed", "SELECT count(*) > 0 FROM closures WHERE outcome = 'closed'", 1);
    let files = [
        include_str!("../../contrib/grafana-dashboard.json"),
        include_str!("../../contrib/prometheus-rules.yml"),
    ];
    // Those of publishing need a server: tests/publish/dashboard.rs.
    let is_here = |name: &&str| !name.starts_with("talkmirror_publish_");
    let wanted: BTreeSet<&str> = files.into_iter().flat_map(named).filter(is_here).collect();
    assert!(wanted.len() > 20, "{wanted:?}");
    let missing = || {
        let (_, metrics) = mirror.get(port, "/metrics");
        let shown: BTreeSet<String> = metrics
            .lines()
            .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
            .collect();
        wanted.iter().filter(|name| !shown.contains(**name)).map(ToString::to_string).collect::<Vec<_>>()
    };
    mirror
        .wait("each feeder has run", || !missing().iter().any(|name| name.starts_with("talkmirror_feeder")));
    assert!(missing().is_empty(), "{:?}", missing());
    daemon.stop();
}
