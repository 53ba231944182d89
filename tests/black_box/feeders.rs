//! Feeders: each alone finds what happens in the account, and all together keep the rate limit.

use crate::harness::{Mirror, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, part};
use std::time::Duration;
use talkmirror_simulator::{Account, Fault, TalkEvent};

pub const REFRESH: &str = "refresh.enabled = true\nrefresh.min_interval = \"1s\"\n";
pub const LISTING: &str = "listing.enabled = true\nlisting.schedule = \"* * * * * *\"\n";
pub const EVENTS: &str = "events.enabled = true\nevents.schedule = \"* * * * * *\"\n";

/// A mirror of talks 1 to `talks` in their current state, configured with these feeders.
pub fn mirror_of(mut account: Account, feeders: &str) -> Mirror {
    for talk in account.talks.values_mut() {
        talk.is_in_work = true;
        (talk.is_read, talk.missed_at) = (Some(false), None);
        // The last change was long ago, so that a change now differs.
        talk.updated_at = unix_now() - 3600;
    }
    let talks = account.talks.len();
    let mirror = Mirror::new(account);
    mirror.ends(0, &["sync", &format!("1..{talks}")]);
    mirror.configure(feeders);
    mirror
}

/// Talk 1 is read, talk 2 closed, talk 3 missed.
pub fn change(mirror: &Mirror) {
    let mut account = mirror.simulator.account();
    let now = unix_now();
    for talk_id in 1..=3 {
        account.talk(talk_id).updated_at = now;
    }
    account.talk(1).is_read = Some(true);
    account.talk(2).is_in_work = false;
    account.talk(3).missed_at = Some(now);
}

pub fn assert_changes_are_found(mirror: &Mirror) {
    mirror.wait_sql("a change", "SELECT is_read FROM talks WHERE talk_id = 1", 1);
    mirror.wait_sql("a closing", "SELECT is_in_work FROM talks WHERE talk_id = 2", 0);
    mirror.wait_sql("a missed talk", "SELECT missed_at IS NOT NULL FROM talks WHERE talk_id = 3", 1);
}

pub fn trouble(mirror: &Mirror, feeder: &str) -> Option<String> {
    mirror.sql(&format!("SELECT max(trouble) FROM feeders WHERE feeder = '{feeder}'"))
}

/// Waits until a feeder has run twice from now on.
pub fn runs_on(mirror: &Mirror, feeder: &str) {
    let now = unix_now();
    let ran = format!("SELECT max(ran_at) > {} FROM feeders WHERE feeder = '{feeder}'", now + 1);
    mirror.wait_sql(&format!("{feeder} runs on"), &ran, 1);
}

#[test]
fn the_refresh_alone_finds_changes_and_asks_for_none_too_often() {
    let mirror = mirror_of(account(12), "refresh.enabled = true\nrefresh.min_interval = \"3s\"\n");
    let daemon = mirror.running_daemon();
    change(&mirror);
    assert_changes_are_found(&mirror);
    mirror.wait("a second round", || (1..=12).all(|id| mirror.simulator.account().requests_of(id) >= 3));
    daemon.stop();
    let account = mirror.simulator.account();
    for talk_id in 1..=12 {
        let times: Vec<_> = account
            .log
            .iter()
            .filter(|request| request.talk_id == talk_id)
            .map(|request| request.at)
            .collect();
        for pair in times.windows(2) {
            assert!(pair[1].duration_since(pair[0]) >= Duration::from_secs(3), "talk {talk_id}");
        }
    }
    assert_eq!(account.list_requests() + account.events_requests(), 0, "the others are off");
}

#[test]
fn a_talk_that_the_listing_shows_unchanged_is_fetched_again_when_recheck_says_so() {
    let mirror = mirror_of(account(12), &format!("{LISTING}{EVENTS}{REFRESH}refresh.recheck = \"1h\"\n"));
    let daemon = mirror.running_daemon();
    let fetches = || {
        let account = mirror.simulator.account();
        (1..=12).map(|id| account.requests_of(id)).sum::<usize>()
    };
    // Talks chosen before the first pass may still wait.
    mirror.wait("seven passes in which nothing is fetched", || {
        let (before, passes) = (fetches(), mirror.simulator.account().list_requests());
        mirror.wait("seven passes", || mirror.simulator.account().list_requests() >= passes + 7);
        mirror.wait_sql("nothing waits", "SELECT count(*) FROM talk_queue", 0);
        fetches() == before
    });
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_said!(part(&out, "Next"), @"Next  a refresh, in 1 h, or sooner if it has probably changed");
    let before = fetches();
    mirror.simulator.account().talk(1).missed_at = Some(unix_now() - 5);
    let passes = mirror.simulator.account().list_requests();
    mirror.wait("seven passes", || mirror.simulator.account().list_requests() >= passes + 7);
    assert_eq!(fetches(), before, "neither shows it");

    mirror.configure(&format!("{LISTING}{EVENTS}{REFRESH}refresh.recheck = \"2s\"\n"));
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait_sql("the fetch does", "SELECT count(*) FROM talks WHERE missed_at IS NOT NULL", 1);
    daemon.stop();
}

#[test]
fn the_refresh_leaves_alone_what_is_closed_for_long_gone_denied_or_backs_off() {
    let mut account = account(6);
    account.script(5, std::iter::repeat_n(Fault::Problem(400), 3));
    let mirror = mirror_of(account, REFRESH);
    mirror.configure(&format!("{REFRESH}queue.retry_base = \"1d\"\nqueue.retry_max = \"1d\"\n"));
    {
        let mut account = mirror.simulator.account();
        account.talk(2).is_in_work = false;
        account.talk(2).updated_at = unix_now() - 8 * 86_400;
        account.talks.remove(&3);
        account.script(4, std::iter::repeat_n(Fault::Problem(403), 50));
        account.script(6, std::iter::repeat_n(Fault::Problem(400), 50));
    }
    mirror.execute("UPDATE talks SET updated_at = 5 WHERE talk_id = 2");
    let daemon = mirror.running_daemon();
    mirror.wait("talk 1 is refreshed often", || mirror.simulator.account().requests_of(1) >= 4);
    daemon.stop();
    let account = mirror.simulator.account();
    // Each was mirrored once, and refreshed once to notice.
    for talk_id in [2, 6] {
        assert_eq!(account.requests_of(talk_id), 2, "talk {talk_id}");
    }
    for talk_id in [3, 4] {
        // The first refusal is doubted until the account is confirmed.
        assert!(account.requests_of(talk_id) <= 3, "talk {talk_id}");
    }
}

#[test]
fn events_alone_find_new_talks_changes_closings_and_missed_talks() {
    let mirror = mirror_of(account(12), EVENTS);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "events");
    let new = mirror.simulator.account().create_talk();
    change(&mirror);
    for (kind, talk_id) in
        [("talk_created", new), ("conversation_answered", 1), ("talk_closed", 2), ("talk_missed_event", 3)]
    {
        mirror.simulator.account().emit(kind, talk_id);
    }
    assert_changes_are_found(&mirror);
    mirror.wait_sql("a new talk", &format!("SELECT count(*) FROM talks WHERE talk_id = {new}"), 1);
    // The overlap reads them again and again.
    runs_on(&mirror, "events");
    daemon.kill_hard();
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "events");
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!(account.requests() - account.events_requests(), 12 + 4, "each counts once, across a kill too");
}

#[test]
fn events_that_come_late_out_of_order_and_in_many_pages_are_all_taken_in() {
    let mirror = mirror_of(account(300), EVENTS);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "events");
    let event = |talk_id: i64, ago: i64| TalkEvent {
        id: format!("event-{talk_id}-{ago}"),
        kind: "conversation_answered".into(),
        talk_id,
        created_at: unix_now() - ago,
        created_by: 0,
    };
    // 250 events at once: three pages.
    mirror.simulator.account().events.extend((1..=250).rev().map(|talk_id| event(talk_id, talk_id % 7)));
    let fetched_again = |from: i64, to: i64| {
        let account = mirror.simulator.account();
        (from..=to).all(|talk_id| account.requests_of(talk_id) == 2)
    };
    mirror.wait("the many are fetched", || fetched_again(1, 250));
    // These happened before the others, but are listed after them.
    mirror.simulator.account().events.extend([event(260, 500), event(251, 90), event(270, 300)]);
    mirror.wait("the late ones are fetched", || [251, 260, 270].iter().all(|id| fetched_again(*id, *id)));
    runs_on(&mirror, "events");
    daemon.stop();
    assert!(fetched_again(1, 251), "each once");
}

#[test]
fn an_account_that_serves_no_feeder_is_asked_seldom_and_warned_of_once() {
    let mut said = String::new();
    for fault in
        [Fault::Problem(404), Fault::Problem(403), Fault::Html(403), Fault::NotJson, Fault::Problem(400)]
    {
        let mut account = account(2);
        (account.list_fault, account.events_fault) = (Some(fault.clone()), Some(fault.clone()));
        let mirror = Mirror::new(account);
        mirror.configure(&format!("{LISTING}{EVENTS}"));
        let daemon = mirror.running_daemon();
        for feeder in ["listing", "events"] {
            let noted = format!("SELECT trouble IS NOT NULL FROM feeders WHERE feeder = '{feeder}'");
            mirror.wait_sql("it is noted", &noted, 1);
        }
        // Ticks pass, and the rest continues.
        let later = format!("SELECT unixepoch() >= {}", unix_now() + 3);
        mirror.ends(0, &["enqueue", "1..2"]);
        mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talks", 2);
        mirror.wait_sql("ticks pass", &later, 1);
        {
            let account = mirror.simulator.account();
            assert_eq!((account.list_requests(), account.events_requests()), (1, 1), "{fault:?}");
        }
        let mut noted: Vec<String> = [journal::LISTING_TROUBLE, journal::EVENTS_TROUBLE]
            .iter()
            .flat_map(|trouble| mirror.logged(trouble))
            .collect();
        let (out, _) = mirror.ends(0, &["status"]);
        noted.extend([part(&out, "Listing"), part(&out, "Events")]);
        said += &format!("{}\n", noted.join("\n"));
        // Nor once per restart.
        daemon.stop();
        let daemon = mirror.running_daemon();
        let asked =
            "SELECT count(*) FROM feeders, daemon_status WHERE trouble IS NOT NULL AND ran_at >= started_at
                        AND stopped_at IS NULL";
        mirror.wait_sql("both are asked for again", asked, 2);
        daemon.stop();
        for trouble in [journal::LISTING_TROUBLE, journal::EVENTS_TROUBLE] {
            assert_eq!(mirror.logged(trouble).len(), 1, "{}", mirror.log());
        }
    }
    assert_said!(said, @r#"
    WARN listing: this account does not offer it (HTTP 404: nothing at this address); talkmirror retries at growing intervals, at most once an hour feeder="listing"
    WARN events: this account does not offer it (HTTP 404: nothing at this address); talkmirror retries at growing intervals, at most once an hour feeder="events"
    Listing  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 404: nothing at this address); talkmirror retries at growing intervals, at most once an hour

    Events  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 404: nothing at this address); talkmirror retries at growing intervals, at most once an hour

    WARN listing: this account does not offer it (HTTP 403: this token has no right to it); talkmirror retries at growing intervals, at most once an hour feeder="listing"
    WARN events: this account does not offer it (HTTP 403: this token has no right to it); talkmirror retries at growing intervals, at most once an hour feeder="events"
    Listing  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 403: this token has no right to it); talkmirror retries at growing intervals, at most once an hour

    Events  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 403: this token has no right to it); talkmirror retries at growing intervals, at most once an hour

    WARN listing: this account does not offer it (HTTP 403 without a problem report: the account or this address may be blocked); talkmirror retries at growing intervals, at most once an hour feeder="listing"
    WARN events: this account does not offer it (HTTP 403 without a problem report: the account or this address may be blocked); talkmirror retries at growing intervals, at most once an hour feeder="events"
    Listing  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 403 without a problem report: the account or this address may be blocked); talkmirror retries at growing intervals, at most once an hour

    Events  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 403 without a problem report: the account or this address may be blocked); talkmirror retries at growing intervals, at most once an hour

    WARN listing: this account does not offer it (the answer holds no valid list: it is a web page); talkmirror retries at growing intervals, at most once an hour feeder="listing"
    WARN events: this account does not offer it (the answer holds no valid list: it is a web page); talkmirror retries at growing intervals, at most once an hour feeder="events"
    Listing  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (the answer holds no valid list: it is a web page); talkmirror retries at growing intervals, at most once an hour

    Events  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (the answer holds no valid list: it is a web page); talkmirror retries at growing intervals, at most once an hour

    WARN listing: this account does not offer it (HTTP 400: not an answer that the API documents); talkmirror retries at growing intervals, at most once an hour feeder="listing"
    WARN events: this account does not offer it (HTTP 400: not an answer that the API documents); talkmirror retries at growing intervals, at most once an hour feeder="events"
    Listing  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 400: not an answer that the API documents); talkmirror retries at growing intervals, at most once an hour

    Events  last [n] s ago: 0 talks queued (0 in all); error for [n] s: this account does not offer it (HTTP 400: not an answer that the API documents); talkmirror retries at growing intervals, at most once an hour
    "#);
}

#[test]
fn a_list_that_is_not_served_prolongs_no_pause() {
    for fault in [Fault::Html(403), Fault::Html(404)] {
        let mut account = account(3);
        // The list request gets the 429, and nothing else is left to fetch: it becomes the probe.
        account.scripted_events.push_back(Fault::TooMany { header: Some(3), body: None });
        let mirror = mirror_of(account, EVENTS);
        let daemon = mirror.running_daemon();
        assert_said!(mirror.wait_logged(journal::PAUSED), @r#"ERROR paused: too many requests for the API (HTTP 429: too many requests); next probe in [n] s reason="rate_limited" request_id="simulated""#);
        mirror.simulator.account().events_fault = Some(fault.clone());
        mirror.wait_logged(journal::RESUMED);
        mirror.wait("the list is asked for", || mirror.simulator.account().events_requests() >= 2);
        daemon.stop();
        assert_eq!(mirror.logged(journal::PAUSED).len(), 1, "{fault:?}: {}", mirror.log());
    }
}

#[test]
fn events_that_ignore_the_filter_by_time_are_noticed_and_not_followed() {
    let mut account = account(30);
    for talk_id in 1..=30 {
        account.emit("talk_closed", talk_id);
    }
    account.events.iter_mut().for_each(|event| event.created_at -= 86_400);
    account.ignores_filter = true;
    let mirror = Mirror::new(account);
    mirror.configure(EVENTS);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::EVENTS_TROUBLE), @r#"WARN events: this account does not offer it (the list of events ignores filter[created_at][from]); talkmirror retries at growing intervals, at most once an hour feeder="events""#);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0, "a day ago is not since");
    assert_eq!(mirror.simulator.account().events_requests(), 1);
}

#[test]
fn a_feeder_that_meets_an_outage_waits_for_its_end_and_works_again() {
    let mirror = mirror_of(account(3), &format!("{LISTING}{EVENTS}{REFRESH}"));
    mirror.simulator.account().always = Some(Fault::Html(502));
    let daemon = mirror.running_daemon();
    mirror.wait("a pause, or the feeders break off", || {
        [journal::PAUSED, journal::LISTING_TROUBLE, journal::EVENTS_TROUBLE]
            .iter()
            .any(|event| !mirror.logged(event).is_empty())
    });
    mirror.simulator.account().always = None;
    mirror.simulator.account().create_talk();
    mirror.wait_sql("the new talk is found", "SELECT count(*) FROM talks", 4);
    mirror.wait_sql("no trouble", "SELECT count(*) FROM feeders WHERE trouble IS NOT NULL", 0);
    daemon.stop();
}

#[test]
fn no_lane_starves_under_a_full_queue_and_the_most_urgent_comes_first() {
    let mirror = mirror_of(account(3000), &format!("{REFRESH}api.requests_per_second = 150\n"));
    mirror.ends(0, &["enqueue", "1..2500"]);
    mirror.ends(0, &["backfill", "--from", "6000", "--to", "4000"]);
    let daemon = mirror.running_daemon();
    // The first refreshes are chosen after five seconds, so nothing is fetched twice in a second.
    let shares = "SELECT sum(requests) > 1000
                     AND max(requests) FILTER (WHERE lane = 'refresh') * 100 >= 3 * sum(requests)
                     AND max(requests) FILTER (WHERE lane = 'unmirrored') * 100 >= 4 * sum(requests)
                     AND max(requests) FILTER (WHERE lane = 'asked') * 100 >= 80 * sum(requests)
                    FROM lanes";
    mirror.wait_sql("each has its share", shares, 1);
    assert!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue WHERE reason = 'cli'") > 0, "all had work");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Shares"), [(r"asked [89]\d %", "asked [80 or more] %"), (r"\b\d+ %", "[n] %"), ("[0-9,]+ requests", "[n] requests")], @"Shares  closing [n] %, asked [80 or more] %, hints [n] %, unmirrored [n] %, refresh [n] % of [n] requests in 5 min");
    daemon.stop();
}
