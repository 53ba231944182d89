//! The size of the database, its growth, and when the disk is full.

use crate::harness::{Mirror, SmallDisk, account, unix_now};
use crate::snapshots::{assert_said, complaints, part};
use serde_json::Value;

const DAY: i64 = 86_400;
const MIB: i64 = 1 << 20;

/// What depends on the disk that the tests run on.
const SIZES: [(&str, &str); 2] =
    [(r"[\d.,]+ [KMGT]iB", "[size]"), (r"in about [\d,.]+ (s|min|h|d|years)", "in about [n] $1")];

fn status(mirror: &Mirror, code: i32) -> (String, Value) {
    let (out, _) = mirror.ends(code, &["status"]);
    let (json, _) = mirror.ends(code, &["status", "--json"]);
    (out, serde_json::from_str(&json).unwrap())
}

/// Makes the database look as if it grew by this many bytes a day for a week, and not at all before.
fn grown(mirror: &Mirror, per_day: i64) {
    let used: i64 = mirror.sql(
        "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    );
    let now = unix_now();
    for days_ago in 1..=10 {
        let day = now - now.rem_euclid(DAY) - days_ago * DAY;
        let days = ((now - day - DAY) as f64 / DAY as f64).min(7.0);
        let less = (days * per_day as f64) as i64;
        mirror.execute(&format!("INSERT OR REPLACE INTO sizes VALUES ({day}, {used} - {less} + 4096, 4096)"));
    }
}

#[test]
fn status_tells_size_growth_and_when_the_disk_is_full() {
    let mirror = Mirror::new(account(20));
    mirror.ends(0, &["sync", "1..20"]);
    let (out, json) = status(&mirror, 0);
    assert_said!(part(&out, "Size"), SIZES, @"Size  [size]; growth a day not known yet; [size] free on the disk");
    let size = &json["size"];
    assert_eq!((&size["growth_bytes_per_day"], &size["disk_full_at"]), (&Value::Null, &Value::Null));
    let pages: i64 = mirror.sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    assert_eq!(size["database_bytes"], pages);
    let free = size["disk_free_bytes"].as_i64().unwrap();
    assert!(free > 0 && size["wal_bytes"].is_u64() && size["free_bytes"].is_u64(), "{size}");

    // Concurrent tests use the disk too, so no duration is near its limit.
    grown(&mirror, free / 1500);
    let (out, json) = status(&mirror, 0);
    let size = &json["size"];
    let growth = size["growth_bytes_per_day"].as_i64().unwrap();
    assert!((growth - free / 1500).abs() < growth / 100, "{growth} of {}", free / 1500);
    let full_in = size["disk_full_at"].as_i64().unwrap() - unix_now();
    assert!((1000 * DAY..2000 * DAY).contains(&full_in), "{size}");
    assert_said!(part(&out, "Size"), SIZES, @"Size  [size]; grows [size] a day; [size] free on the disk: full in about [n] years");
    assert_eq!(json["warnings"], Value::Array(Vec::new()));

    grown(&mirror, free / 12);
    let (out, json) = status(&mirror, 0);
    assert_said!(complaints(&out), SIZES, @"
    ! the database's disk is full in about [n] d: [size] are free, and the database grows [size] a day
      → make room on that disk, or stop talkmirror and move the database to a larger one (database.path); retention.versions removes old states, and SQLite uses their room again
    ");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1, "{json}");

    grown(&mirror, free);
    let (out, json) = status(&mirror, 1);
    assert_said!(complaints(&out), SIZES, @"
    ! the database's disk is full in about [n] h: [size] are free, and the database grows [size] a day
      → make room on that disk, or stop talkmirror and move the database to a larger one (database.path); retention.versions removes old states, and SQLite uses their room again
    ");
    assert_eq!(json["healthy"], false);

    grown(&mirror, -MIB);
    let (out, json) = status(&mirror, 0);
    assert_said!(part(&out, "Size"), SIZES, @"Size  [size]; shrinks [size] a day; [size] free on the disk");
    assert_eq!(json["size"]["disk_full_at"], Value::Null);
}

#[test]
fn a_disk_with_little_left_is_complained_of() {
    let mirror = Mirror::new(account(3));
    let Some(_disk) = SmallDisk::mount(mirror.path("disk"), "100m") else { return };
    mirror.configure("database.path = \"disk/talks.db\"\n");
    mirror.ends(0, &["sync", "1"]);
    let (out, _) = status(&mirror, 1);
    let nineties = [(r"\b9\d\.\d\d MiB", "9[n] MiB")];
    assert_said!(complaints(&out), nineties, @"
    ! the database's disk is nearly full: 9[n] MiB are free
      → make room on that disk, or stop talkmirror and move the database to a larger one (database.path); retention.versions removes old states, and SQLite uses their room again
    ");
}

#[test]
fn the_daemon_notes_the_size_of_the_day_and_shows_it_as_metrics() {
    let (mirror, port) = crate::http::shown(account(20), "");
    mirror.ends(0, &["enqueue", "1..20"]);
    // A day on which it was far smaller.
    mirror.execute("INSERT INTO sizes VALUES (unixepoch('now', 'start of day'), 1, 1)");
    let daemon = mirror.running_daemon();
    mirror.wait("it is noted anew", || mirror.sql::<i64>("SELECT database_bytes FROM sizes") > 1);
    grown(&mirror, MIB);
    let series = |name: &str| {
        let (_, metrics) = mirror.get(port, "/metrics");
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{name}\n{metrics}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    mirror.wait("the growth is shown", || series("talkmirror_database_growth_bytes_per_day").is_finite());
    let growth = series("talkmirror_database_growth_bytes_per_day");
    assert!((growth - MIB as f64).abs() < MIB as f64 / 10.0, "{growth}");
    assert!(series("talkmirror_disk_free_bytes") > 0.0);
    assert!(series("talkmirror_database_free_bytes") >= 0.0);
    daemon.stop();
}
