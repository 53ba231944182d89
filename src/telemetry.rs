//! The Prometheus metrics: each name with its help text, and the functions that count.
//!
//! Without a recorder (`http.listen` is empty) counting does nothing. No label holds a talk's id or free text,
//! because each value makes a series forever.
//!
//! Uses `gate`.

use crate::gate::Reason;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

const API_REQUESTS: &str = "talkmirror_api_requests_total";
const API_SECONDS: &str = "talkmirror_api_request_duration_seconds";
const TALKS_RECORDED: &str = "talkmirror_talks_recorded_total";
const CLOSURES: &str = "talkmirror_closures_total";
const ODD_FIELDS: &str = "talkmirror_odd_fields_total";
const PAUSES: &str = "talkmirror_pauses_total";
const PUBLISHED_ROWS: &str = "talkmirror_publish_rows_total";
const PUBLISH_ERRORS: &str = "talkmirror_publish_errors_total";
const BATCH: &str = "talkmirror_writer_batch_records";
const COMMIT_SECONDS: &str = "talkmirror_writer_commit_duration_seconds";

/// The gauges, which are set at each scrape, and their help texts.
const GAUGES: [(&str, &str); 35] = [
    ("talkmirror_build_info", "1, with the version as its label"),
    ("process_start_time_seconds", "When the process began, in Unix seconds"),
    ("talkmirror_healthy", "1 while it is ready and `talkmirror status` reports healthy"),
    ("talkmirror_ready", "1 while it is ready, as in /readyz"),
    ("talkmirror_paused", "1 while everything pauses for this reason"),
    ("talkmirror_requests_per_second_limit", "Requests a second that are allowed now"),
    ("talkmirror_last_success_timestamp_seconds", "The last successful answer, in Unix seconds; 0: none yet"),
    (
        "talkmirror_token_expiry_timestamp_seconds",
        "When a person must replace the token at the latest, in Unix seconds; +Inf: not known. With OAuth, \
         when the refresh token expires; each renewal moves it",
    ),
    ("talkmirror_talks", "Mirrored talks by state; missed ones are open as well"),
    ("talkmirror_queue_rows", "Rows of the queue by reason and state"),
    (
        "talkmirror_queue_oldest_due_age_seconds",
        "How long the oldest due row of a reason has been due; 0: none is due",
    ),
    ("talkmirror_known_talks", "Talks that are known to exist: mirrored, or queued for their first fetch"),
    ("talkmirror_mirrored_talks", "Talks that are mirrored"),
    (
        "talkmirror_complete",
        "1 if all known talks are mirrored, the list was read to its end, and no backfill runs",
    ),
    ("talkmirror_freshness_seconds", "Time since the last fetch of the open talks"),
    ("talkmirror_closures_under_way", "Closings under way"),
    ("talkmirror_feeder_last_run_timestamp_seconds", "When a feeder last ran, in Unix seconds"),
    ("talkmirror_feeder_trouble", "1 while a feeder has an error"),
    (
        "talkmirror_backup_last_success_timestamp_seconds",
        "When the last successful scheduled backup started, in Unix seconds; 0: none yet",
    ),
    ("talkmirror_backup_bytes", "Size of that backup"),
    ("talkmirror_backup_trouble", "1 while the last scheduled backup failed, or one is overdue"),
    (
        "talkmirror_publish_lag_seconds",
        "How long the oldest change may have waited to be published; 0: none waits",
    ),
    ("talkmirror_publish_backlog_talks", "Talks that changed and are not published yet"),
    ("talkmirror_publish_trouble", "1 while nothing is published, because of an error"),
    ("talkmirror_publish_refused", "1 while nothing is published until a person acts"),
    (
        "talkmirror_publish_left_out_talks",
        "Talks that the server of [publish] refuses; at most 100 are counted",
    ),
    ("talkmirror_database_bytes", "Size of the database file"),
    (
        "talkmirror_database_free_bytes",
        "The unused part of the database file, which fills before the file grows",
    ),
    (
        "talkmirror_database_growth_bytes_per_day",
        "Growth of the used part of the database file, a day, in the last week; NaN: not known within the \
         first day",
    ),
    ("talkmirror_disk_free_bytes", "Free on the database's disk; NaN: not known"),
    ("talkmirror_wal_bytes", "Size of the write-ahead log (WAL)"),
    (
        "talkmirror_wal_held_seconds",
        "How long a reader has held the WAL, so that it cannot shrink; 0: none does",
    ),
    ("talkmirror_config_last_reload_successful", "0 if the last new configuration was refused"),
    (
        "talkmirror_config_last_reload_success_timestamp_seconds",
        "When a configuration was last applied, in Unix seconds",
    ),
    (
        "talkmirror_clock_skew_seconds",
        "How far this machine's clock is ahead of the API's; NaN: not known, or nothing is to be closed",
    ),
];

/// Installs the recorder of this process, once.
///
/// # Errors
/// If the process already has one.
pub(crate) fn start() -> Result<PrometheusHandle, BuildError> {
    let seconds = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
    let commits = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
    let batches = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 2048.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(API_SECONDS.into()), &seconds)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_SECONDS.into()), &commits)?
        .set_buckets_for_metric(Matcher::Full(BATCH.into()), &batches)?
        .install_recorder()?;
    describe_counter!(API_REQUESTS, "Requests to the API by endpoint and HTTP status; none: no answer came");
    describe_histogram!(API_SECONDS, Unit::Seconds, "Time from a request's start to its answer's end");
    describe_counter!(TALKS_RECORDED, "Recorded fetches, by result");
    describe_counter!(CLOSURES, "Closings, by outcome");
    describe_counter!(
        ODD_FIELDS,
        "Answers with an optional field of another shape than the API documents, by field"
    );
    describe_counter!(PAUSES, "Pauses that began, by reason");
    describe_counter!(PUBLISHED_ROWS, "Rows that the server of [publish] took, by table");
    describe_counter!(
        PUBLISH_ERRORS,
        "Failures of publishing, by SQLSTATE; connection, timeout, fenced, held or refused without one"
    );
    describe_histogram!(BATCH, "Records in a commit");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "How long commits took");
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    // Alerts on an increase need the series to exist before the first event.
    for outcome in ["would_close", "accepted", "closed", "withdrawn", "gone", "refused", "failed"] {
        counter!(CLOSURES, "outcome" => outcome).absolute(0);
    }
    for outcome in ["new", "changed", "same", "older", "gone", "denied", "retry", "failed"] {
        counter!(TALKS_RECORDED, "outcome" => outcome).absolute(0);
    }
    for reason in Reason::ALL {
        counter!(PAUSES, "reason" => reason.as_str()).absolute(0);
    }
    Ok(handle)
}

/// Counts a request that ended. `status` is `None` without a response.
pub(crate) fn request(endpoint: &'static str, status: Option<u16>, took: Duration) {
    let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    counter!(API_REQUESTS, "endpoint" => endpoint, "status" => status).increment(1);
    histogram!(API_SECONDS, "endpoint" => endpoint).record(took);
}

/// Counts a recorded fetch.
pub(crate) fn recorded(outcome: &'static str) {
    counter!(TALKS_RECORDED, "outcome" => outcome).increment(1);
}

/// A talk that was to be closed came so far.
pub(crate) fn closure(outcome: &'static str) {
    counter!(CLOSURES, "outcome" => outcome).increment(1);
}

/// An optional field of a talk came in another shape than the API documents.
pub(crate) fn odd_field(field: &'static str) {
    counter!(ODD_FIELDS, "field" => field).increment(1);
}

/// Counts rows that the server of `[publish]` took.
pub(crate) fn published(table: &'static str, rows: u64) {
    counter!(PUBLISHED_ROWS, "table" => table).increment(rows);
}

/// Counts a failure of publishing.
pub(crate) fn publish_error(sqlstate: &str) {
    counter!(PUBLISH_ERRORS, "sqlstate" => sqlstate.to_owned()).increment(1);
}

/// Counts the start of a pause.
pub(crate) fn pause(reason: &'static str) {
    counter!(PAUSES, "reason" => reason).increment(1);
}

/// Counts a commit of the writer.
pub(crate) fn commit(records: usize, took: Duration) {
    histogram!(BATCH).record(records as f64);
    histogram!(COMMIT_SECONDS).record(took);
}

/// Sets a gauge.
pub(crate) fn set(name: &'static str, labels: &[(&'static str, &str)], value: f64) {
    debug_assert!(GAUGES.iter().any(|(known, _)| *known == name), "{name} is described");
    let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    gauge!(name, &labels).set(value);
}
