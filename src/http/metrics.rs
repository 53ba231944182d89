//! `/metrics`: the counters, and the state of the mirror as gauges.

use super::{MirrorState, Site};
use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::report::{Overview, health};
use crate::store::completeness::Completeness;
use crate::store::status::DaemonStatus;
use crate::telemetry::set;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Three months; see "Tokens" in the vendor's documentation of OAuth.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

pub(super) async fn metrics(State(site): State<Arc<Site>>) -> Response {
    match site.mirror_state().await {
        Ok(mirror_state) => gauges(&mirror_state),
        Err(error) => {
            // The counters are still shown, and that the daemon is up.
            tracing::debug!(
                "the gauges keep their last values, because the database cannot be read: {error}"
            );
            set("talkmirror_ready", &[], 0.0);
            set("talkmirror_healthy", &[], 0.0);
        }
    }
    let headers = [
        (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, site.metrics.render()).into_response()
}

fn gauges(mirror_state: &MirrorState) {
    let flag = f64::from;
    let time = |at: UnixSeconds| at.get() as f64;
    let MirrorState { live, overview, figures, complaints, obstacles, now, .. } = mirror_state;
    set("talkmirror_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    set("talkmirror_healthy", &[], flag(complaints.is_empty() && obstacles.is_empty()));
    set("talkmirror_ready", &[], flag(obstacles.is_empty()));
    set("talkmirror_config_last_reload_successful", &[], flag(live.refused.is_none()));
    set("talkmirror_config_last_reload_success_timestamp_seconds", &[], time(live.configured_at));
    let renewed = overview.oauth.as_ref().map(|oauth| match oauth.refused {
        true => *now,
        false => oauth.refreshed_at + REFRESH_TOKEN_LIFETIME,
    });
    // A token without an end raises no alert, nor does the end of a replaced token.
    let end = renewed.or(live.token_expires_at).map_or(f64::INFINITY, time);
    set("talkmirror_token_expiry_timestamp_seconds", &[], end);
    if let Some(status) = &live.status {
        process(status, *now);
    }
    let talks = &overview.talks;
    for (state, count) in [
        ("in_work", talks.in_work),
        ("missed", talks.missed),
        ("closed", talks.closed),
        ("gone", talks.gone),
        ("denied", talks.denied),
    ] {
        set("talkmirror_talks", &[("state", state)], count as f64);
    }
    for reason in &figures.queue {
        let label = ("reason", reason.reason);
        for (state, count) in [("due", reason.due), ("later", reason.later), ("failed", reason.failed)] {
            set("talkmirror_queue_rows", &[label, ("state", state)], count as f64);
        }
        let age = reason.oldest_due_at.map_or(Duration::ZERO, |at| now.duration_since(at));
        set("talkmirror_queue_oldest_due_age_seconds", &[label], age.as_secs_f64());
    }
    let freshness = &overview.freshness;
    for (percentile, age) in [("50", freshness.p50), ("95", freshness.p95), ("100", freshness.max)] {
        set("talkmirror_freshness_seconds", &[("percentile", percentile)], age as f64);
    }
    if let Some(Completeness { known, mirrored, complete, .. }) = overview.completeness {
        set("talkmirror_known_talks", &[], known as f64);
        set("talkmirror_mirrored_talks", &[], mirrored as f64);
        set("talkmirror_complete", &[], flag(complete));
    }
    set("talkmirror_closures_under_way", &[], overview.closures_under_way as f64);
    for feeder in &overview.feeders {
        let label = [("feeder", feeder.feeder.as_str())];
        if let Some(at) = feeder.ran_at {
            set("talkmirror_feeder_last_run_timestamp_seconds", &label, time(at));
        }
        set("talkmirror_feeder_trouble", &label, flag(feeder.enabled && feeder.trouble.is_some()));
    }
    let last = overview.backup.last.as_ref();
    // 0 means none yet.
    set("talkmirror_backup_last_success_timestamp_seconds", &[], last.map_or(0.0, |last| time(last.at)));
    set("talkmirror_backup_bytes", &[], last.map_or(0.0, |last| last.bytes as f64));
    set("talkmirror_backup_trouble", &[], flag(health::backup::complaint(&overview.backup, *now).is_some()));
    publishing(overview, *now);
    set("talkmirror_database_bytes", &[], overview.size.database_bytes as f64);
    set("talkmirror_wal_bytes", &[], overview.size.wal_bytes as f64);
    let size = &overview.size;
    set("talkmirror_database_free_bytes", &[], size.free_bytes as f64);
    let growth = size.growth_bytes_per_day.map_or(f64::NAN, |bytes| bytes as f64);
    set("talkmirror_database_growth_bytes_per_day", &[], growth);
    set("talkmirror_disk_free_bytes", &[], size.disk_free_bytes.map_or(f64::NAN, |bytes| bytes as f64));
}

/// Only while publishing is on. A series cannot be removed: if it was switched off since, its value is NaN.
fn publishing(overview: &Overview, now: UnixSeconds) {
    static IS_SHOWN: AtomicBool = AtomicBool::new(false);
    let state = overview.publish.as_ref();
    if !IS_SHOWN.fetch_or(state.is_some(), Ordering::Relaxed) && state.is_none() {
        return;
    }
    let trouble = health::publish::trouble(overview).filter(|trouble| !trouble.stands_by);
    for (name, value) in [
        ("talkmirror_publish_lag_seconds", state.map(|state| state.lag(now) as f64)),
        ("talkmirror_publish_backlog_talks", state.map(|state| state.backlog as f64)),
        ("talkmirror_publish_trouble", state.map(|_| f64::from(trouble.is_some()))),
        (
            "talkmirror_publish_refused",
            state.map(|_| f64::from(trouble.is_some_and(|trouble| trouble.refused))),
        ),
        ("talkmirror_publish_left_out_talks", state.map(|state| state.set_aside.len() as f64)),
    ] {
        set(name, &[], value.unwrap_or(f64::NAN));
    }
}

fn process(status: &DaemonStatus, now: UnixSeconds) {
    set("process_start_time_seconds", &[], status.started_at.get() as f64);
    let held = status.wal_held_since.map_or(Duration::ZERO, |since| now.duration_since(since));
    set("talkmirror_wal_held_seconds", &[], held.as_secs_f64());
    set("talkmirror_requests_per_second_limit", &[], status.requests_per_second);
    let success = status.last_success_at.unwrap_or(UnixSeconds::EPOCH);
    set("talkmirror_last_success_timestamp_seconds", &[], success.get() as f64);
    let skew = status.clock_skew.map_or(f64::NAN, |skew| skew as f64);
    set("talkmirror_clock_skew_seconds", &[], skew);
    let paused = status.pause.as_ref().map(|pause| pause.reason.as_str());
    for reason in Reason::ALL {
        let here = paused == Some(reason.as_str());
        set("talkmirror_paused", &[("reason", reason.as_str())], f64::from(here));
    }
}
