//! How long the views take in a mirror of a million talks: `cargo bench --bench views`.
//!
//! Each view is queried as analysts do, by a read-only connection, and all rows are read.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

use criterion::Criterion;
use rusqlite::Connection;
use std::time::Duration;
use talkmirror::policy::hours::{ReportRules, WorkHours};
use talkmirror::store::{self, local_time};

const QUESTIONS: [&str; 21] = [
    "SELECT * FROM talks_iso WHERE talk_id = 707000",
    "SELECT * FROM open_talks",
    "SELECT * FROM stale_talks",
    "SELECT * FROM missed_by_day",
    "SELECT * FROM missed_by_origin",
    "SELECT * FROM responses",
    "SELECT * FROM responses WHERE talk_id = 707001",
    "SELECT * FROM responses WHERE missed_at >= unixepoch('now', '-7 days')",
    "SELECT talk_id, origin, missed_at, responded_at, seconds, how, responded_by, user_id FROM responses",
    "SELECT * FROM response_sla",
    "SELECT * FROM missed_by_user",
    "SELECT * FROM missed_by_pipeline",
    "SELECT * FROM open_by_day",
    "SELECT * FROM talk_timeline WHERE talk_id = 707000 ORDER BY at",
    "SELECT * FROM closures_by_day",
    "SELECT * FROM ratings",
    "SELECT * FROM contact_talks",
    "SELECT * FROM contact_talks WHERE contact_id = 3000001",
    "SELECT * FROM chat_talks",
    "SELECT * FROM mirror_freshness",
    // At a time: all open talks, half a year ago.
    "SELECT * FROM talk_versions WHERE valid_from <= unixepoch('now', '-180 days')
        AND (valid_to IS NULL OR valid_to > unixepoch('now', '-180 days')) AND is_in_work = 1",
];

fn main() {
    let mut criterion =
        Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).configure_from_args();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talks.db");
    let writer = store::open(&path, true).expect("a database");
    writer.execute_batch("PRAGMA synchronous = OFF; BEGIN").expect("a transaction");
    writer.execute_batch(include_str!("../tests/million.sql")).expect("a million talks");
    writer.execute_batch("CREATE TEMP VIEW told AS SELECT * FROM t").expect("all of them");
    writer.execute_batch(include_str!("../tests/million_events.sql")).expect("their events");
    writer.execute_batch(include_str!("../tests/million_names.sql")).expect("their leads");
    // As the daemon does.
    writer.execute_batch("COMMIT; PRAGMA optimize = 0x10002").expect("statistics");
    local_time::store(&writer, &rules()).expect("the zone and the working hours");
    let reader = store::open_read_only(&path).expect("a reader");
    for question in QUESTIONS {
        let name = question.split_whitespace().collect::<Vec<_>>().join(" ");
        criterion.bench_function(&name[..name.len().min(70)], |bencher| {
            bencher.iter(|| count(&reader, question));
        });
    }
    criterion.final_summary();
}

/// A zone whose clocks change, and hours of work.
fn rules() -> ReportRules {
    let zone = ReportRules::zone("Europe/Berlin").expect("a zone");
    ReportRules { zone, work_hours: WorkHours::parse("Mon-Fri 09:00-18:00").ok() }
}

fn count(connection: &Connection, question: &str) -> usize {
    let mut statement = connection.prepare(question).expect("a query");
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect("an answer");
    let mut count = 0;
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column).expect("a value"));
        }
        count += 1;
    }
    count
}
