//! Auto-close: what it refuses to do, and what remains after a crash or a storm.

use crate::closing::{LIVE, missed};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part};
use std::time::Duration;
use talkmirror_simulator::Fault;

const DAY: i64 = 86_400;
/// A schedule without sweeps.
pub const NEVER: &str = "0 0 0 1 1 *";

#[test]
fn a_sweep_that_would_close_too_large_a_share_closes_none_until_a_person_says_so() {
    let more = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(21, &more);
    for _ in 0..20 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["sync", "--no-close", "22..41"]);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::SWEEP_STOPPED), @"ERROR stopped a sweep: 21 of 41 open talks are stale, more than auto_close.max_share = 0.5: none is closed; see `talkmirror stale`, then change the rules or run `talkmirror close --yes` stale=21 open=41");
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(complaints(&out), @"
    ! auto-close stopped a sweep [n] s ago: 21 of 41 open talks are stale, more than auto_close.max_share allows
      → see `talkmirror stale`; then change the rules, or run `talkmirror close --yes` to sweep once
    ");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 0);
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_said!(part(&out, "Closing"), @"Closing  stale: missed 10 d ago, unchanged for 10 d; the last sweep was stopped by auto_close.max_share: see `talkmirror status`");

    // A person checks, and runs one sweep.
    let (out, _) = mirror.ends(0, &["close", "--yes"]);
    assert_said!(out, @"21 talks queued to be closed by the running daemon; `talkmirror status` and the table closures show the results");
    mirror.wait_sql("closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 21);
    mirror.wait("healthy again", || mirror.output(&["status"]).status.success());
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn nothing_is_closed_with_a_token_whose_account_is_not_confirmed() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().create_talk();
    mirror.ends(0, &["sync", "--no-close", "2"]);
    mirror.configure(&format!("{LIVE}api.timeout = \"20s\"\n"));
    mirror.simulator.account().script(1, [Fault::Slow(Duration::from_secs(3))]);
    let asked = mirror.simulator.account().requests_of(1);
    let daemon = mirror.running_daemon();
    mirror.wait("it is fetched to be closed", || mirror.simulator.account().requests_of(1) > asked);
    {
        let mut account = mirror.simulator.account();
        account.token = "another".into();
        account.account_fault = Some(Fault::Problem(404));
        for talk_id in 1..=2 {
            account.script(talk_id, vec![Fault::Problem(404); 99]);
        }
    }
    mirror.write_secret("token", "another");
    // The slow response shows a stale talk, to the previous token.
    let ignored = "SELECT count(*) FROM talk_queue WHERE last_error IS NOT NULL";
    mirror.wait_sql("it came, and the next one is ignored", ignored, 1);
    assert_said!(mirror.sql::<String>("SELECT max(last_error) FROM talk_queue"), @"HTTP 404: no such talk; ignored: the account that answers is not confirmed");
    daemon.stop();
    assert!(mirror.simulator.account().closes.is_empty(), "{}", mirror.log());
}

#[test]
fn twenty_talks_or_half_of_the_open_ones_are_not_too_many() {
    let all = missed(20, &LIVE.replace("max_share = 1.0", "max_share = 0.0"));
    all.ends(0, &["sync"]);
    assert_eq!(all.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 20);

    let half = missed(21, &LIVE.replace("max_share = 1.0", "max_share = 0.5"));
    for _ in 0..21 {
        half.simulator.account().create_talk();
    }
    half.ends(0, &["sync", "22..42"]);
    assert_eq!(half.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 21);
}

#[test]
fn a_wrong_clock_closes_nothing_and_says_so_everywhere() {
    let mirror = missed(3, LIVE);
    mirror.simulator.account().clock_ahead = 90;
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::NOT_CLOSING), [("skew=[-\\d]+", "skew=[n]")], @"ERROR this machine's clock is 1 min behind the API's: nothing is closed until the clock is right skew=[n]");
    mirror.wait("status says so", || !mirror.status()["healthy"].as_bool().unwrap());
    assert_said!(complaints(&mirror.ends(1, &["status"]).0), @"
    ! this machine's clock is 1 min behind the API's: nothing is closed
      → set the clock right (NTP): the daemon notices at the next sweep
    ");
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert_said!(part(&out, "Closing"), @"Closing  stale: missed 10 d ago, unchanged for 10 d; this machine's clock is 1 min behind the API's: nothing is closed");
    let (out, _) = mirror.ends(0, &["stale"]);
    assert_said!(out, @"
    3 of 3 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is live).
    this machine's clock is 1 min behind the API's: nothing is closed.

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    1  instagram  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d
    2  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d
    3  instagram  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d
    ");
    assert_eq!(mirror.logged(journal::NOT_CLOSING).len(), 1, "once");
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 0);

    mirror.simulator.account().clock_ahead = 0;
    mirror.wait_sql(
        "set right, they are closed",
        "SELECT count(*) FROM closures WHERE outcome = 'closed'",
        3,
    );
    mirror.wait_logged(journal::CLOCK_RIGHT_AGAIN);
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn a_clock_that_is_off_by_less_than_a_minute_closes() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().clock_ahead = -55;
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "closed");
}

#[test]
fn a_sweep_that_overlaps_the_last_is_skipped() {
    let mirror = missed(6, &format!("{LIVE}api.requests_per_second = 1\nauto_close.max_per_sweep = 3\n"));
    let daemon = mirror.running_daemon();
    mirror.wait_logged(journal::SWEEP_SKIPPED);
    let waiting = "SELECT count(*) FROM talk_queue WHERE reason = 'close'";
    assert!(mirror.sql::<i64>(waiting) <= 3, "never more than one sweep's");
    daemon.stop();
}

#[test]
fn the_first_live_sweep_and_one_under_wider_rules_say_how_many_are_stale() {
    let mirror = missed(2, LIVE);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 2);
    daemon.stop();
    assert_said!(mirror.wait_logged(journal::FIRST_LIVE_SWEEP), @"WARN the first live sweep under these rules (missed for over 24h and unchanged for over 15m): 2 of 2 open talks are stale, at most 50 are closed at a time stale=2 open=2");
    assert_eq!(mirror.logged(journal::FIRST_LIVE_SWEEP).len(), 1, "not at each sweep");

    let talk_id = mirror.simulator.account().create_missed(7200);
    mirror.ends(0, &["sync", "--no-close", &talk_id.to_string()]);
    mirror.configure(&format!("{LIVE}auto_close.stale_after = \"1h\"\n"));
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(talk_id, "closed");
    daemon.stop();
    assert_said!(mirror.wait_logged_times(journal::FIRST_LIVE_SWEEP, 2), @"WARN the first live sweep under these rules (missed for over 1h and unchanged for over 15m): 1 of 1 open talks are stale, at most 50 are closed at a time stale=1 open=1");
}

#[test]
fn an_empty_sweep_before_the_first_that_closes_something_says_nothing_of_it() {
    let mirror = missed(0, LIVE);
    let daemon = mirror.running_daemon();
    let swept = "SELECT count(*) FROM mirror_info WHERE key = 'auto_close.last_sweep'";
    mirror.wait_sql("a sweep with nothing stale", swept, 1);
    assert!(mirror.logged(journal::FIRST_LIVE_SWEEP).is_empty(), "{}", mirror.log());
    let talk_id = mirror.simulator.account().create_missed(2 * 86_400);
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_outcome(talk_id, "closed");
    daemon.stop();
    let log = mirror.log();
    let (first, closing) = (log.find(journal::FIRST_LIVE_SWEEP), log.find(journal::CLOSE_REQUESTED));
    assert!(first.is_some() && first < closing, "{log}");
    assert_eq!(mirror.logged(journal::FIRST_LIVE_SWEEP).len(), 1, "{log}");
}

#[test]
fn sweeps_never_hurry_a_talk_that_backs_off() {
    let mirror = missed(2, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, attempts, due_at) VALUES (1, 2, unixepoch() + 3600)");
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<i64>("SELECT attempts FROM talk_queue WHERE talk_id = 1"), 2);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures WHERE talk_id = 2"), "closed");
    assert!(mirror.simulator.account().talks[&1].is_in_work);
}

#[test]
fn a_close_request_that_has_to_wait_too_long_is_decided_anew() {
    // 15 s remain, and another request's 429 pauses for 17 s.
    let mirror = missed(1, &format!("{}api.requests_per_second = 3\n", LIVE.replace("* * * * * *", NEVER)));
    mirror.simulator.account().create_talk();
    mirror.simulator.account().script(1, [Fault::Slow(Duration::from_millis(700))]);
    mirror.simulator.account().script(2, [Fault::TooMany { header: Some(17), body: None }]);
    mirror.execute(
        "INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1000000000), (2, 'sql', 0)",
    );
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "requested");
    let dropped = mirror.wait_logged(journal::REQUEST_TOO_LATE);
    assert_said!(dropped.replace("15 s", "fifteen seconds"), @"INFO close request of talk 1 not sent within fifteen seconds of its fetch: decided again talk_id=1");
    let later = "SELECT due_at > unixepoch() + 200 FROM talk_queue WHERE talk_id = 1";
    mirror.wait_sql("not at once", later, true);
    assert!(mirror.simulator.account().closes.is_empty());
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    mirror.assert_closed_rightly();
    assert_eq!(mirror.simulator.account().closes.len(), 1);
    assert!(mirror.sql::<bool>("SELECT attempts = 1 AND error IS NULL FROM closures"));
}

#[test]
fn a_denied_talk_does_not_stop_the_sweeps() {
    let mirror = missed(2, LIVE);
    // A 403 is not believed before the account is confirmed.
    mirror.simulator.account().script(1, [Fault::Problem(403), Fault::Problem(403), Fault::Problem(403)]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(2, "closed");
    let talk_id = mirror.simulator.account().create_missed(2 * DAY);
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_outcome(talk_id, "closed");
    daemon.stop();
    assert!(mirror.sql::<bool>("SELECT denied_at IS NOT NULL FROM talks WHERE talk_id = 1"));
}

#[test]
fn what_a_dry_run_queued_is_not_closed_once_it_is_live() {
    let guarded = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(30, &LIVE.replace("live", "dry-run"));
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, [Fault::Slow(Duration::from_secs(60))]);
    }
    let daemon = mirror.running_daemon();
    mirror.wait_sql("they wait", "SELECT count(*) FROM talk_queue WHERE reason LIKE 'close%'", 30);
    daemon.kill_hard();
    mirror.simulator.account().scripted.clear();
    mirror.configure(&guarded);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::SWEEP_STOPPED), @"ERROR stopped a sweep: 30 of 30 open talks are stale, more than auto_close.max_share = 0.5: none is closed; see `talkmirror stale`, then change the rules or run `talkmirror close --yes` stale=30 open=30");
    daemon.stop();
    assert!(mirror.simulator.account().closes.is_empty());
}

#[test]
fn closing_one_by_hand_touches_no_other() {
    let mirror = missed(3, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1000000000)");
    mirror.execute("INSERT INTO talk_queue (talk_id, reason) VALUES (2, 'close')");
    mirror.ends(0, &["close", "3", "--yes"]);
    let closed: Vec<i64> = mirror.simulator.account().closes.iter().map(|close| close.talk_id).collect();
    assert_eq!(closed, [3]);
    // Without the priority the reason is just free text.
    mirror.configure(&LIVE.replace("* * * * * *", NEVER));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(2), (0, 0));
    assert_eq!(mirror.simulator.account().closes_of(1), (1, 1));
}

#[test]
fn a_dry_run_by_hand_says_nothing_of_a_closing_that_is_under_way() {
    let mirror = missed(2, &LIVE.replace("* * * * * *", NEVER));
    mirror.simulator.account().script_close(1, [Fault::TakenInVain]);
    mirror.ends(1, &["close", "1", "--yes"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "accepted");
    let (out, _) = mirror.ends(1, &["close", "1", "2", "--dry-run"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    2  would_close  stale: missed 10 d ago, unchanged for 10 d
    1  left  a closing of it is already under way: see `talkmirror why 1`
    ");
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures WHERE talk_id = 1"), "accepted");
    assert_eq!(mirror.sql::<String>("SELECT reason FROM talk_queue WHERE talk_id = 1"), "verify");
}

#[test]
fn a_closing_whose_row_was_dropped_is_found_again() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script_close(1, [Fault::TakenInVain]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "accepted");
    mirror.simulator.account().talk(1).is_in_work = false;
    mirror.execute("DELETE FROM talk_queue");
    mirror.wait_outcome(1, "closed");
    daemon.stop();
}

#[test]
fn closing_by_hand_is_now_or_says_why_not() {
    let mirror = missed(2, LIVE);
    mirror.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (1, unixepoch() + 80000)");
    mirror.ends(0, &["close", "1", "--yes"]);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "closed");
    mirror.simulator.account().clock_ahead = 90;
    let (out, _) = mirror.ends(1, &["close", "2", "--yes"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    2  left  this machine's clock is 1 min behind the API's
    ");
    assert!(mirror.simulator.account().talks[&2].is_in_work);
}

#[test]
fn a_clock_is_found_right_again_with_nothing_stale_to_fetch() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().clock_ahead = 90;
    let daemon = mirror.running_daemon();
    mirror.wait_logged(journal::NOT_CLOSING);
    mirror.simulator.account().talk(1).missed_at = None;
    mirror.simulator.account().talk(1).updated_at += 1;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("answered", "SELECT count(*) FROM stale_talks", 0);
    mirror.simulator.account().clock_ahead = 0;
    mirror.wait("healthy again", || mirror.output(&["status"]).status.success());
    daemon.stop();
}

#[test]
fn a_sweep_that_was_stopped_does_not_matter_once_auto_close_is_off() {
    let guarded = LIVE.replace("max_share = 1.0", "max_share = 0.5");
    let mirror = missed(21, &guarded);
    mirror.ends(0, &["sync"]);
    mirror.ends(1, &["status"]);
    mirror.configure("");
    mirror.ends(0, &["status"]);
    // A sweep by hand in the configured mode counts, one in dry-run mode does not.
    mirror.configure(&guarded);
    mirror.ends(0, &["close", "--dry-run"]);
    mirror.ends(1, &["status"]);
    mirror.configure(&guarded.replace("live", "dry-run"));
    mirror.ends(0, &["close", "--yes"]);
    mirror.ends(0, &["status"]);
    assert!(mirror.simulator.account().closes.is_empty());
}
