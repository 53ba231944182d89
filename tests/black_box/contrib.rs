//! The dashboard and the alerts in `contrib/` use metrics that exist.

use std::collections::BTreeSet;

const METRICS: [&str; 27] = [
    "process_start_time_seconds",
    "talkmirror_api_request_duration_seconds",
    "talkmirror_api_requests_total",
    "talkmirror_build_info",
    "talkmirror_clock_skew_seconds",
    "talkmirror_closures_total",
    "talkmirror_closures_under_way",
    "talkmirror_config_last_reload_success_timestamp_seconds",
    "talkmirror_config_last_reload_successful",
    "talkmirror_database_bytes",
    "talkmirror_feeder_last_run_timestamp_seconds",
    "talkmirror_feeder_trouble",
    "talkmirror_freshness_seconds",
    "talkmirror_healthy",
    "talkmirror_last_success_timestamp_seconds",
    "talkmirror_paused",
    "talkmirror_pauses_total",
    "talkmirror_queue_oldest_due_age_seconds",
    "talkmirror_queue_rows",
    "talkmirror_ready",
    "talkmirror_requests_per_second_limit",
    "talkmirror_talks",
    "talkmirror_talks_recorded_total",
    "talkmirror_token_expiry_timestamp_seconds",
    "talkmirror_wal_bytes",
    "talkmirror_writer_batch_records",
    "talkmirror_writer_commit_duration_seconds",
];

/// The metrics that a text names, a histogram's parts as the histogram.
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
fn the_dashboard_and_the_alerts_name_metrics_that_exist() {
    let files = [
        include_str!("../../contrib/grafana-dashboard.json"),
        include_str!("../../contrib/prometheus-rules.yml"),
    ];
    for file in files {
        let named = named(file);
        assert!(named.len() > 10, "{named:?}");
        let unknown: Vec<_> = named.into_iter().filter(|name| !METRICS.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
