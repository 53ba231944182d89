//! Auto-close: what happens to a stale talk, for every response.

use crate::harness::{Mirror, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, part};
use std::time::Duration;
use talkmirror_simulator::Fault;

const DAY: i64 = 86_400;

/// Sweeps each second, closes at once, and waits briefly.
pub const LIVE: &str = "auto_close.mode = \"live\"\nauto_close.schedule = \"* * * * * *\"\n\
                        auto_close.max_share = 1.0\n";

/// An account with `stale` talks, ids 1 and up, longest missed first, and a mirror of them.
pub fn missed(stale: i64, more: &str) -> Mirror {
    let mut account = account(0);
    for number in 0..stale {
        account.create_missed(10 * DAY + 7000 - number * 60);
    }
    let mirror = Mirror::new(account);
    mirror.configure(more);
    if stale > 0 {
        mirror.ends(0, &["sync", "--no-close", &format!("1..{stale}")]);
    }
    mirror
}

impl Mirror {
    /// Waits until the one closure of a talk has this outcome.
    pub fn wait_outcome(&self, talk_id: i64, outcome: &str) {
        let sql = format!("SELECT group_concat(outcome) FROM closures WHERE talk_id = {talk_id}");
        self.wait_sql(&format!("talk {talk_id} is {outcome}"), &sql, outcome.to_owned());
    }

    /// Every effective close request was for a talk shown stale less than 30 s before, and no talk had two.
    pub fn assert_closed_rightly(&self) {
        let account = self.simulator.account();
        for close in &account.closes {
            let (shown_at, shown) = close.shown.as_ref().expect("a talk is shown before it is closed");
            assert!(close.at.duration_since(*shown_at) < Duration::from_secs(30));
            assert!(shown.is_in_work && shown.missed_at.is_some(), "{shown:?}");
            assert!(account.closes_of(close.talk_id).1 <= 1, "talk {} is closed once", close.talk_id);
        }
    }
}

#[test]
fn a_config_without_auto_close_closes_nothing() {
    let mirror = missed(3, "");
    let daemon = mirror.running_daemon();
    mirror.execute(
        "INSERT INTO talk_queue (talk_id, reason, priority) VALUES (1, 'close', 1e9), (2, 'verify', 1e9)",
    );
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    mirror.wait_sql("all are fetched", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    let (_, err) = mirror.ends(1, &["close", "1", "--yes"]);
    assert_said!(err, @r#"error: auto_close.mode is off: nothing is closed; set it to "live", or try `talkmirror close --dry-run`"#);
    mirror.ends(0, &["sync", "1..3"]);
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 0);
}

#[test]
fn stale_talks_are_closed_and_the_rest_is_kept() {
    let mirror = missed(2, LIVE);
    let (fresh, busy, read) = {
        let mut account = mirror.simulator.account();
        let fresh = account.create_missed(DAY - 60);
        let busy = account.create_missed(2 * DAY);
        account.talk(busy).updated_at = unix_now() - 600;
        (fresh, busy, account.create_talk())
    };
    mirror.ends(0, &["enqueue", &format!("{fresh}..{read}")]);
    let daemon = mirror.running_daemon();
    for talk_id in [1, 2] {
        mirror.wait_outcome(talk_id, "closed");
        let row = format!(
            "SELECT mode = 'live' AND http_status = 202 AND attempts = 1 AND error IS NULL AND force_close = 1
                    AND missed_at < unixepoch() - 86400 AND talk_updated_at = missed_at
                    AND decided_at <= requested_at AND requested_at <= verified_at
               FROM closures WHERE talk_id = {talk_id}"
        );
        assert!(mirror.sql::<bool>(&row), "{row}");
        let reason: String = mirror.sql(&format!("SELECT reason FROM closures WHERE talk_id = {talk_id}"));
        assert_said!(reason, @"stale: missed 10 d ago, unchanged for 10 d");
        assert_eq!(mirror.sql::<i64>(&format!("SELECT is_in_work FROM talks WHERE talk_id = {talk_id}")), 0);
    }
    daemon.stop();
    mirror.assert_closed_rightly();
    let account = mirror.simulator.account();
    assert_eq!(account.closes.len(), 2, "one request each");
    assert!(account.closes.iter().all(|close| close.force_close));
    for kept in [fresh, busy, read] {
        assert!(account.talks[&kept].is_in_work);
    }
    drop(account);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 2);
    let (out, _) = mirror.ends(0, &["why", "1"]);
    let (_, decisions) = out.split_once("\n\n").unwrap();
    assert_said!(decisions.split_once("\n\n").unwrap().0, @"
    Decisions to close it (UTC):
    DECIDED  MODE  OUTCOME  WHY  REQUESTS  ANSWER  SEEN CLOSED  ERROR
    [time]  live  closed  stale: missed 10 d ago, unchanged for 10 d  1  HTTP 202  [time]  -
    ");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Closures"), @"Closures  2 closed today (UTC)");
}

#[test]
fn a_dry_run_writes_down_once_what_live_then_closes() {
    let mirror = missed(2, &LIVE.replace("live", "dry-run"));
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "would_close");
    mirror.wait_outcome(2, "would_close");
    let fetches = mirror.simulator.account().requests();
    let sweeps = "SELECT value ->> 'at' > unixepoch() - 1 AND value ->> 'queued' = 0
                    FROM mirror_info WHERE key = 'auto_close.last_sweep'";
    mirror.wait_sql("more sweeps pass", sweeps, true);
    daemon.stop();
    // Those that found nothing to do are for debugging.
    assert_said!(mirror.logged(journal::SWEPT).join("\n"), @"INFO swept: 2 talks are stale, 2 queued to be decided on (dry run) stale=2 queued=2 mode=dry-run");
    assert_eq!(mirror.simulator.account().requests(), fetches, "what is decided is not fetched again");
    assert!(mirror.simulator.account().closes.is_empty());
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE mode = 'dry-run'"), 2);

    // Missed again, which is a new closing.
    mirror.simulator.account().talk(1).missed_at = Some(unix_now() - 2 * DAY);
    mirror.ends(0, &["close", "1", "2", "--dry-run"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE talk_id = 1"), 2);
    let (out, _) = mirror.ends(0, &["stale"]);
    assert_said!(out, @r#"
    2 of 2 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is dry-run).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    2  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d; recorded in closures
    1  instagram  2 d ago  10 d ago  stale: missed 2 d ago, unchanged for 10 d; recorded in closures

    Next: read the table closures, then set auto_close.mode to "live".
    "#);
    // A closing of an earlier missed_at is another one.
    mirror.execute("UPDATE talks SET missed_at = missed_at - 1 WHERE talk_id = 1");
    let (out, _) = mirror.ends(0, &["stale"]);
    assert_said!(out, @r#"
    2 of 2 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is dry-run).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    2  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d; recorded in closures
    1  instagram  2 d ago  10 d ago  stale: missed 2 d ago, unchanged for 10 d

    Next: read the table closures, then set auto_close.mode to "live".
    "#);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE talk_id = 2"), 1);

    mirror.configure(LIVE);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("both are closed", "SELECT count(*) FROM closures WHERE outcome = 'closed'", 2);
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn a_talk_answered_after_the_sweep_is_kept() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script(1, [Fault::Answered]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "withdrawn");
    daemon.stop();
    assert!(mirror.simulator.account().closes.is_empty());
    assert!(mirror.sql::<bool>(
        "SELECT missed_at < unixepoch() - 86400 AND requested_at IS NULL AND attempts = 0 FROM closures"
    ));
    assert_said!(mirror.sql::<String>("SELECT reason FROM closures"), @"not missed");
}

#[test]
fn a_lost_answer_is_settled_by_a_fetch() {
    // The server acted on the first request, not on the second.
    let mirror = missed(2, LIVE);
    mirror.simulator.account().script_close(1, [Fault::ActAndReset]);
    mirror.simulator.account().script_close(2, [Fault::Reset]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "closed");
    mirror.wait_outcome(2, "closed");
    daemon.stop();
    mirror.assert_closed_rightly();
    let account = mirror.simulator.account();
    assert_eq!((account.closes_of(1), account.closes_of(2)), ((1, 1), (1, 1)));
    drop(account);
    assert!(
        mirror.sql::<bool>("SELECT http_status IS NULL AND attempts = 1 FROM closures WHERE talk_id = 1")
    );
    assert!(mirror.sql::<bool>("SELECT http_status = 202 AND attempts = 2 FROM closures WHERE talk_id = 2"));
}

#[test]
fn a_request_that_was_lost_is_not_repeated_once_somebody_has_answered() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script(1, [Fault::Nothing, Fault::Answered]);
    mirror.simulator.account().script_close(1, [Fault::Problem(503)]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "withdrawn");
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(1), (0, 0));
    assert!(mirror.sql::<bool>("SELECT attempts = 1 AND http_status = 503 FROM closures"));
    assert_said!(mirror.sql::<String>("SELECT reason || '; ' || error FROM closures"), @"not missed; HTTP 503: the server failed");
}

#[test]
fn a_talk_that_is_closed_already_is_seen_closed() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script_close(1, [Fault::Problem(422)]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("422 is recorded", "SELECT http_status FROM closures", 422);
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "requested");
    mirror.simulator.account().talk(1).is_in_work = false;
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(1), (0, 0), "no second request");
}

#[test]
fn a_refusal_is_not_tried_again_and_neither_is_what_cannot_work() {
    let mirror = missed(4, LIVE);
    {
        let mut account = mirror.simulator.account();
        account.script_close(1, [Fault::Problem(403)]);
        account.script_close(2, [Fault::Problem(400)]);
        account.script_close(3, [Fault::Problem(404)]);
    }
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "refused");
    mirror.wait_outcome(2, "failed");
    mirror.wait_outcome(3, "failed");
    mirror.wait_outcome(4, "closed");
    // A later sweep that finds nothing to do.
    mirror.execute("DELETE FROM mirror_info WHERE key = 'auto_close.last_sweep'");
    let idle = "SELECT value ->> 'queued' FROM mirror_info WHERE key = 'auto_close.last_sweep'";
    mirror.wait_sql("a sweep passes", idle, 0i64);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 4);
    assert_eq!(mirror.sql::<i64>("SELECT http_status FROM closures WHERE talk_id = 1"), 403);
    assert!(mirror.sql::<bool>("SELECT gone_at IS NOT NULL FROM talks WHERE talk_id = 3"), "404: gone");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    // Nor by hand.
    let (out, _) = mirror.ends(1, &["close", "1", "--yes"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    1  left  its closing was refused or failed less than a day ago
    ");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE talk_id = 1"), 1);
    let (out, _) = mirror.ends(0, &["stale"]);
    assert_said!(out, @"
    0 of 2 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is live).

    KEPT  WHY  TALKS
    2  stale, but an earlier closing holds it back  1, 2

    Every talk: `talkmirror stale --all`. One talk: `talkmirror why ID`.
    ");
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_said!(out, @"
    0 of 2 open talks would be closed: missed for over 24h and unchanged for over 15m (auto_close.mode is live).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    1  instagram  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d; refused less than a day ago
    2  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d; failed less than a day ago
    ");
}

#[test]
fn what_was_accepted_and_is_not_closed_is_looked_at_and_not_asked_for_again() {
    let mirror = missed(1, LIVE);
    mirror.simulator.account().script_close(1, [Fault::TakenInVain]);
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "accepted");
    let looked = "SELECT due_at - (SELECT requested_at FROM closures) BETWEEN 29 AND 31 FROM talk_queue
                   WHERE reason = 'verify'";
    mirror.wait_sql("the look after 5 s has been, the next is after 30 s", looked, true);
    mirror.simulator.account().talk(1).is_in_work = false;
    // Any fetch settles the closing.
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(1), (0, 0));
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
}

#[test]
fn without_force_close_the_nps_bot_may_take_its_time() {
    let mirror = missed(1, &format!("{LIVE}auto_close.force_close = false\n"));
    mirror.simulator.account().nps_bot = true;
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the bot is seen", "SELECT status FROM talks", "nps_in_progress".to_owned());
    assert_eq!(mirror.sql::<String>("SELECT outcome FROM closures"), "accepted");
    assert!(!mirror.simulator.account().closes[0].force_close);
    mirror.simulator.account().talk(1).is_in_work = false;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_outcome(1, "closed");
    daemon.stop();
    assert_eq!(mirror.simulator.account().closes_of(1), (1, 1));
}

#[test]
fn a_sweep_takes_the_longest_missed_first_and_no_more_than_it_may() {
    let mirror = missed(5, &format!("{LIVE}auto_close.max_per_sweep = 2\napi.max_in_flight = 1\n"));
    // The longest missed talk does not have the lowest id.
    mirror.simulator.account().talk(3).missed_at = Some(unix_now() - 20 * DAY);
    mirror.ends(0, &["sync", "--no-close", "3"]);
    mirror.ends(0, &["sync"]);
    let closed: Vec<i64> = mirror.simulator.account().closes.iter().map(|close| close.talk_id).collect();
    assert_eq!(closed, [3, 1], "sync sweeps once");
    mirror.ends(0, &["close", "--yes"]);
    assert_eq!(mirror.simulator.account().closes.len(), 4);
    mirror.ends(0, &["sync", "--no-close", "5"]);
    assert_eq!(mirror.simulator.account().closes.len(), 4, "and not with --no-close");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'"), 4);
}

#[test]
fn closing_by_hand_decides_on_a_fetch_as_well() {
    let mirror = missed(2, LIVE);
    let fresh = mirror.simulator.account().create_missed(60);
    let (_, err) = mirror.ends(1, &["close", "1"]);
    assert_said!(err, @"error: there is no terminal to ask on: --yes closes without asking");
    let (out, _) = mirror.ends(0, &["close", "1", "--dry-run"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    1  would_close  stale: missed 10 d ago, unchanged for 10 d
    ");
    let (out, _) = mirror.ends(0, &["close", "1", &fresh.to_string(), "--yes"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    1  closed  stale: missed 10 d ago, unchanged for 10 d
    3  withdrawn  missed 1 min ago: not over 24 h yet
    ");
    assert_eq!(mirror.simulator.account().closes.len(), 1);
    assert!(mirror.simulator.account().talks[&2].is_in_work, "nothing else is touched");

    // If a daemon runs, the daemon closes them.
    mirror.configure(&LIVE.replace("* * * * * *", "0 0 0 1 1 *"));
    let daemon = mirror.running_daemon();
    let (out, _) = mirror.ends(0, &["close", "2", "--dry-run"]);
    assert_said!(out, @"1 talk queued to be decided on (dry run) by the running daemon; `talkmirror status` and the table closures show the results");
    mirror.wait_outcome(2, "would_close");
    assert!(mirror.simulator.account().talks[&2].is_in_work, "a dry run by hand closes nothing in live mode");
    mirror.ends(0, &["close", "2", "--yes"]);
    mirror.wait_sql("closed", "SELECT count(*) FROM closures WHERE talk_id = 2 AND outcome = 'closed'", 1);
    daemon.stop();
    mirror.assert_closed_rightly();
}

#[test]
fn closing_by_hand_leaves_the_rest_of_the_queue() {
    let mirror = missed(1, LIVE);
    for _ in 0..20 {
        mirror.simulator.account().create_talk();
    }
    mirror.ends(0, &["enqueue", "2..21"]);
    mirror.ends(0, &["close", "1", "--yes"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 20);
    assert_eq!(mirror.simulator.account().requests_of(2), 0);
}

#[test]
fn stale_lists_what_would_be_closed_and_why_the_rest_is_kept() {
    let mirror = missed(1, "auto_close.except_origins = [\"avito\"]\n");
    {
        let mut account = mirror.simulator.account();
        let origin = |name: &str| Some(name.to_owned());
        account.talk(1).origin = origin("viber");
        let spared = account.create_missed(3 * DAY);
        account.talk(spared).origin = origin("avito");
        account.create_missed(60);
        account.create_talk();
    }
    mirror.ends(0, &["sync", "1..4"]);
    let (out, _) = mirror.ends(0, &["stale"]);
    assert_said!(out, @r#"
    1 of 4 open talks would be closed: missed for over 24h and unchanged for over 15m, except avito (auto_close.mode is off).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    1  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d

    KEPT  WHY  TALKS
    1  its origin is excluded  2
    1  not missed for long enough yet  3
    1  not missed  4

    Every talk: `talkmirror stale --all`. One talk: `talkmirror why ID`.

    Next: set auto_close.mode to "dry-run" to record this, and to "live" to close them.
    "#);
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_said!(out, @r#"
    1 of 4 open talks would be closed: missed for over 24h and unchanged for over 15m, except avito (auto_close.mode is off).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    1  viber  10 d ago  10 d ago  stale: missed 10 d ago, unchanged for 10 d
    2  avito  3 d ago  3 d ago  kept: its origin, avito, is excluded
    3  instagram  1 min ago  1 min ago  kept: missed 1 min ago: not over 24 h yet
    4  viber  -  [n] s ago  kept: not missed

    Next: set auto_close.mode to "dry-run" to record this, and to "live" to close them.
    "#);
    let (out, _) = mirror.ends(0, &["stale", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all["stale"][0]["talk_id"], 1);
    assert_eq!(all["kept"].as_array().unwrap().len(), 3);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM stale_talks"), 1, "the view goes by the same rules");
    assert_eq!(mirror.sql::<i64>("SELECT talk_id FROM stale_talks"), 1);
}

#[test]
fn a_channel_that_is_left_out_is_so_however_it_is_spelt() {
    let mirror = missed(4, &format!("{LIVE}auto_close.except_origins = [\"вконтакте\", \"AVITO\"]\n"));
    for (talk_id, origin) in [(1, "ВКонтакте"), (2, " avito"), (3, "viber"), (4, "вконтакте")]
    {
        mirror.simulator.account().talk(talk_id).origin = Some(origin.into());
        mirror.simulator.account().talk(talk_id).updated_at += 1;
    }
    mirror.ends(0, &["sync", "1..4"]);
    let closed: Vec<i64> = mirror.simulator.account().closes.iter().map(|close| close.talk_id).collect();
    assert_eq!(closed, [3]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM closures"), 1, "the others were not even asked for");
    mirror.ends(0, &["sync", "--no-close"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM stale_talks"), 0);
}

#[test]
fn an_answer_older_than_the_mirror_decides_nothing() {
    let mirror = missed(1, LIVE);
    let stale = mirror.simulator.account().talk(1).clone();
    mirror.simulator.account().talk(1).updated_at += 60;
    mirror.simulator.account().talk(1).missed_at = None;
    mirror.ends(0, &["sync", "--no-close", "1"]);
    *mirror.simulator.account().talk(1) = stale;
    let (out, _) = mirror.ends(1, &["close", "1", "--yes"]);
    assert_said!(out, @"
    TALK  OUTCOME  WHY
    1  left  the answer is older than what is mirrored: nothing is decided on it
    ");
    assert!(mirror.simulator.account().closes.is_empty());
}
