//! `[retention]`: removes old states step by step, and nothing else.

use crate::harness::{Mirror, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, part};

const ON: &str = "retention.versions = \"730d\"\n";
/// How many old states each talk has: with 20 talks this takes some steps of a pass.
const OLD: i64 = 250;
const TALKS: i64 = 20;

/// A mirror of 20 talks that each had 250 states three years ago, one that began then and ended yesterday, and the
/// current one.
fn aged() -> Mirror {
    let mirror = Mirror::new(account(TALKS));
    mirror.ends(0, &["sync", "1..20"]);
    let (long_ago, yesterday) = (unix_now() - 3 * 365 * 86_400, unix_now() - 86_400);
    mirror.execute(&format!(
        "UPDATE talks SET version = {OLD} + 2, changed_at = {yesterday};
         CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= {OLD})
           SELECT n FROM n;
         INSERT INTO talk_history
           SELECT talk_id, n, {long_ago} + n - 1, iif(n > {OLD}, {yesterday}, {long_ago} + n), created_at, updated_at,
                  rate, contact_id, chat_id, entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id,
                  status, source_id, lead_id, customer_id
             FROM talks, n;"
    ));
    assert_eq!(states(&mirror), TALKS * (OLD + 2));
    mirror
}

fn states(mirror: &Mirror) -> i64 {
    mirror.sql("SELECT count(*) FROM talk_versions")
}

/// A value of the stored retention state.
fn noted(mirror: &Mirror, key: &str, name: &str) -> Option<i64> {
    mirror.sql(&format!("SELECT max(value ->> '{name}') FROM mirror_info WHERE key = 'retention.{key}'"))
}

fn wait_for_pass(mirror: &Mirror) {
    mirror.wait("a pass has ended", || noted(mirror, "last", "removed").is_some());
}

fn assert_only_the_old_went(mirror: &Mirror) {
    assert_eq!(mirror.sql::<i64>(&format!("SELECT count(*) FROM talk_versions WHERE version <= {OLD}")), 0);
    assert_eq!(
        mirror.sql::<i64>(&format!("SELECT count(*) FROM talk_versions WHERE version = {OLD} + 1")),
        TALKS
    );
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), TALKS);
    mirror.assert_sound();
}

#[test]
fn old_states_go_step_by_step_across_a_kill_and_the_mirroring_goes_on() {
    let mirror = aged();
    // Long enough that it could remove some.
    mirror.configure(&format!("{ON}api.requests_per_second = 5\n"));
    mirror.ends(0, &["sync", "1..20"]);
    assert_eq!(states(&mirror), TALKS * (OLD + 2), "sync removes nothing");

    mirror.configure(ON);
    let daemon = mirror.running_daemon();
    mirror.wait("a step is done", || noted(&mirror, "walk", "removed").is_some());
    daemon.kill_hard();
    let removed = TALKS * (OLD + 2) - states(&mirror);
    assert!((1..TALKS * OLD).contains(&removed), "{removed}: a pass takes several steps");
    assert_eq!(noted(&mirror, "walk", "removed"), Some(removed));
    let (out, _) = mirror.ends(1, &["status"]);
    assert_said!(part(&out, "History"), [("[1-4],[0-9]{3}", "[n]")], @"History  states that ended over 730 d ago are removed; running for [n] s, [n] removed so far");

    let daemon = mirror.running_daemon();
    {
        let mut account = mirror.simulator.account();
        let talk = account.talk(3);
        (talk.is_read, talk.updated_at) = (talk.is_read.map(|read| !read), unix_now());
    }
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    let current = format!("SELECT count(*) FROM talk_versions WHERE talk_id = 3 AND version = {OLD} + 3");
    mirror.wait_sql("the change is recorded as the next version", &current, 1);
    wait_for_pass(&mirror);
    assert_eq!(noted(&mirror, "last", "removed"), Some(TALKS * OLD), "in both processes");
    assert_eq!(noted(&mirror, "walk", "removed"), None);
    assert_only_the_old_went(&mirror);
    assert_said!(mirror.wait_logged(journal::RETENTION), @"INFO retention: removed 5,000 states of talks that ended over 730 d ago, within [n] s removed=5000");
    assert_eq!(mirror.logged(journal::RETENTION).len(), 1, "a line for a pass");

    let (out, _) = mirror.ends(0, &["why", "3"]);
    assert_said!(out.lines().last().unwrap_or_default(), @"250 earlier states, up to [time], were removed ([retention])");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "History"), @"History  states that ended over 730 d ago are removed; last [n] s ago: 5,000 removed");
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["retention"]["last"]["removed"], 5000);
    daemon.stop();
}

#[test]
fn nothing_is_removed_before_a_reload_switches_it_on() {
    let mirror = aged();
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it has seen to its other chores", "SELECT count(*) FROM sizes", 1);
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    mirror.wait_sql("it works", "SELECT count(*) FROM talk_queue", 0);
    assert_eq!(states(&mirror), TALKS * (OLD + 2));
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM mirror_info WHERE key LIKE 'retention%'"), 0);
    let (out, _) = mirror.ends(0, &["why", "3"]);
    assert!(!out.contains("removed"), "{out}");

    mirror.reload(&daemon, ON);
    wait_for_pass(&mirror);
    assert_only_the_old_went(&mirror);

    mirror.reload(&daemon, "retention.versions = \"1d\"\n");
    mirror.wait("another pass has ended", || noted(&mirror, "last", "versions") == Some(86_400));
    assert_eq!(states(&mirror), TALKS, "the current ones");
    mirror.assert_sound();
    daemon.stop();
}

#[test]
fn while_the_clock_is_wrong_nothing_is_removed() {
    let mirror = aged();
    mirror.configure(ON);
    mirror.simulator.account().clock_ahead = -90;
    let daemon = mirror.running_daemon();
    // With an empty queue it fetches a talk to compare the clocks.
    assert_said!(mirror.wait_logged(journal::NOT_CLOSING), [("skew=[-0-9]+", "skew=[n]")], @"ERROR this machine's clock is 1 min ahead of the API's: nothing is closed or removed until the clock is right skew=[n]");
    mirror.wait_sql("it is told", "SELECT not_closing IS NOT NULL FROM daemon_status", 1);
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "History"), @"History  states that ended over 730 d ago are removed; not now: this machine's clock is 1 min ahead of the API's");
    assert_eq!(states(&mirror), TALKS * (OLD + 2));

    mirror.simulator.account().clock_ahead = 0;
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    wait_for_pass(&mirror);
    assert_only_the_old_went(&mirror);
    daemon.stop();
}
