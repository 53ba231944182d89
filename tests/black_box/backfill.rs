//! The backfill: a walk over the account's ids.

use crate::feeders::REFRESH;
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::{assert_said, part};

#[test]
fn it_walks_down_from_the_highest_known_id_to_the_first() {
    let mirror = Mirror::new(account(700));
    let (_, err) = mirror.ends(1, &["backfill"]);
    assert_said!(err, @"error: no talk is mirrored yet, so the highest id is not known: give it with --from, or mirror a talk first (`talkmirror enqueue ID`)");
    mirror.ends(0, &["sync", "700"]);
    let (out, _) = mirror.ends(0, &["backfill"]);
    assert_said!(out, @"backfill of 700 ids, from 700 to 1: no daemon runs: `talkmirror run` fetches them, before it refreshes mirrored talks; `talkmirror status` shows the progress");
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 700);
    assert_said!(mirror.wait_logged(journal::BACKFILL_ENDED), @"INFO the backfill from 700 to 1 has ended after 700 ids, 699 of them fetched: every id of the range was checked");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Backfill"), @"Backfill  from 700 to 1: 700 of 700 ids are checked; ended [n] s ago: every id of the range was checked");
    daemon.stop();
    mirror.assert_mirrors_the_account();
    assert_eq!(mirror.simulator.account().requests(), 700, "each once");
}

#[test]
fn it_walks_upward_and_stops_after_500_unknown_ids_in_a_row() {
    let mut account = account(40);
    account.talks.remove(&7);
    let mirror = Mirror::new(account);
    mirror.configure("api.requests_per_second = 100\n");
    mirror.ends(0, &["backfill", "--from", "5", "--to", "100000"]);
    let daemon = mirror.running_daemon();
    // It looks at more than 500, as some requests are under way then.
    let numbers = [("after [0-9]+ ids, [0-9]+ of", "after [n] ids, [n] of")];
    assert_said!(mirror.wait_logged(journal::BACKFILL_ENDED), numbers, @"INFO the backfill from 5 to 100000 has ended after [n] ids, [n] of them fetched: the API knows none of the last 500 ids");
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 35);
    let requests = mirror.simulator.account().requests();
    assert!((536..2000).contains(&requests), "{requests}: it went no further than what was under way");
}

#[test]
fn it_remembers_where_it_is_across_kills_and_can_be_stopped() {
    let mirror = Mirror::new(account(400));
    mirror.configure("api.requests_per_second = 90\n");
    mirror.ends(0, &["backfill", "--from", "400", "--to", "1"]);
    for kill in 1..=3 {
        let daemon = mirror.daemon();
        mirror.wait("some are mirrored", || mirror.simulator.account().requests() >= kill * 40);
        daemon.kill_hard();
    }
    let before = mirror.simulator.account().requests();
    assert!(before < 300, "{before}");
    let (out, _) = mirror.ends(0, &["backfill", "--stop"]);
    assert_said!(out, [(r"\d+ of", "[n] of")], @"stopped: [n] of 400 ids are checked");
    let (out, _) = mirror.ends(0, &["backfill", "--stop"]);
    assert_said!(out, @"no backfill is running");
    mirror.configure("");
    let (out, _) = mirror.ends(0, &["backfill", "--from", "400"]);
    assert_said!(out, @"backfill of 400 ids, from 400 to 1: no daemon runs: `talkmirror run` fetches them, before it refreshes mirrored talks; `talkmirror status` shows the progress");
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 400);
    daemon.stop();
    let account = mirror.simulator.account();
    let requests = account.requests();
    assert!(requests <= 400 + 3 * 10, "{requests}: only what was under way at a kill is fetched twice");
}

#[test]
fn what_was_never_fetched_comes_before_refreshes_which_keep_a_tenth() {
    let mirror = Mirror::new(account(3000));
    mirror.configure(&format!("{REFRESH}api.requests_per_second = 150\n"));
    mirror.ends(0, &["sync", "1..300"]);
    mirror.ends(0, &["backfill", "--from", "3000"]);
    let daemon = mirror.running_daemon();
    let shares = "SELECT sum(requests) > 600
                     AND max(requests) FILTER (WHERE lane = 'unmirrored') * 100 >= 85 * sum(requests)
                     AND max(requests) FILTER (WHERE lane = 'refresh') * 100 BETWEEN 5 * sum(requests) AND 11 * sum(requests)
                    FROM lanes";
    mirror.wait_sql("each has its share", shares, 1);
    assert!(mirror.sql::<i64>("SELECT count(*) FROM talks") < 3000, "both had work");
    daemon.stop();
}
