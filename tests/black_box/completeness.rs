//! How much of the account is mirrored: shown everywhere until all known talks are.

use crate::feeders::LISTING;
use crate::harness::{Mirror, account};
use crate::snapshots::{assert_said, part};
use serde_json::Value;

/// How far it is at the moment.
const PROGRESS: [(&str, &str); 3] =
    [(r"\b[0-9]+ of 600", "[n] of 600"), (r"[0-9.]+ %", "[n] %"), (r"[0-9]+ (s|min) left", "[n] left")];

#[test]
fn a_first_load_says_how_far_it_is_until_all_known_talks_are_mirrored() {
    let mirror = Mirror::new(account(600));
    mirror.configure(&format!("{LISTING}api.requests_per_second = 30\n"));
    let daemon = mirror.running_daemon();
    let state = || -> Option<(i64, i64, i64)> {
        let sql = "SELECT known_talks || ' ' || mirrored_talks || ' ' || complete FROM daemon_status";
        let row = mirror.try_sql::<String>(sql)?;
        let mut numbers = row.split(' ').map(|number| number.parse().unwrap());
        Some((numbers.next()?, numbers.next()?, numbers.next()?))
    };
    mirror.wait("all talks of the list are known", || {
        state().is_some_and(|(known, mirrored, complete)| known == 600 && mirrored < 600 && complete == 0)
    });
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Mirror"), PROGRESS, @"Mirror  healthy, but incomplete: [n] of 600 known talks mirrored, about [n] left");
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status: Value = serde_json::from_str(&out).unwrap();
    let counted = &status["completeness"];
    assert_eq!((&counted["known"], &counted["complete"]), (&600.into(), &false.into()), "{counted}");
    assert!(counted["complete_at"].is_i64(), "{counted}");

    daemon.kill_hard();
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(part(&out, "Mirror"), PROGRESS, @"Mirror  not healthy: 1 to check, see below; [n] of 600 known talks mirrored, about [n] left");
    let daemon = mirror.running_daemon();
    mirror.wait("it is complete", || state() == Some((600, 600, 1)));
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Mirror"), @"Mirror  healthy");
    daemon.stop();
    assert_eq!(state(), Some((600, 600, 1)));
}

#[test]
fn what_a_sync_has_mirrored_is_counted_at_its_end() {
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..30"]);
    assert_eq!(mirror.sql::<i64>("SELECT complete * 100 + mirrored_talks FROM daemon_status"), 130);
}
