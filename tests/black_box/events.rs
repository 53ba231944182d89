//! The account's events are kept, those of the past too, with who did it.

use crate::feeders::{EVENTS, runs_on, trouble};
use crate::harness::{Mirror, account, unix_now};
use crate::snapshots::{assert_said, part};
use nix::sys::signal::Signal;
use talkmirror_simulator::{Fault, TalkEvent};

const DAY: i64 = 86_400;
/// No event is due to the other feeder for long.
const PAST: &str = "events.enabled = true\nevents.schedule = \"0 0 0 1 1 *\"\nevents.since = \"40d\"\n";

fn event(talk_id: i64, ago: i64, created_by: i64) -> TalkEvent {
    TalkEvent {
        id: format!("event-{talk_id}-{ago}"),
        kind: "talk_closed".into(),
        talk_id,
        created_at: unix_now() - ago,
        created_by,
    }
}

#[test]
fn an_event_is_kept_with_its_talk_its_type_its_time_and_its_user() {
    let mirror = Mirror::new(account(3));
    mirror.configure(EVENTS);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "events");
    mirror.simulator.account().events.extend([event(1, 5, 31), event(2, 4, 0), event(99, 3, 31)]);
    mirror.wait_sql("they are kept", "SELECT count(*) FROM talk_events", 3);
    let kept = "SELECT json_group_array(concat_ws(' ', event_id, talk_id, type, unixepoch() - at BETWEEN 3 AND 60, created_by))
                  FROM (SELECT * FROM talk_events ORDER BY at)";
    assert_said!(mirror.sql::<String>(kept), @r#"["event-1-5 1 talk_closed 1 31","event-2-4 2 talk_closed 1","event-99-3 99 talk_closed 1 31"]"#);
    runs_on(&mirror, "events");
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_events"), 3, "each is kept once");
}

#[test]
fn past_events_are_read_once_page_by_page_whatever_is_killed_and_cost_no_fetch() {
    let mirror = Mirror::new(account(3));
    {
        let mut account = mirror.simulator.account();
        // 250 in one day, and a few in others; the last is too old.
        account.events.extend((1..=250).map(|nth| event(1, 20 * DAY + nth, 31)));
        account.events.extend([1, 10, 30, 39, 41].map(|days| event(2, days * DAY, 31)));
    }
    mirror.configure(PAST);
    mirror.simulator.account().scripted_events.extend([Fault::Problem(500)]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it is under way", "SELECT count(*) >= 100 FROM talk_events", true);
    daemon.kill_hard();
    let daemon = mirror.running_daemon();
    let ended = "SELECT count(*) FROM feeders WHERE feeder = 'past_events' AND cursor ->> 'ended_at' > 0";
    mirror.wait_sql("it ends", ended, 1);
    let asked = mirror.simulator.account().events_requests();
    // Windows of 1, 2, 4, 8 and 16 days, the last of three pages, and one more; what the failure, the kill and the other
    // feeder cost.
    assert!((8..=15).contains(&asked), "{asked}");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_events"), 254);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 0, "the past needs no fetch");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Past events"), [(r"since \S+,", "since [day],")], @"Past events  read since [day], [n] s ago: 254 events");
    daemon.stop();
    // What was read is not read again, but what a longer time adds is.
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it runs", "SELECT stopped_at IS NULL FROM daemon_status", true);
    mirror.configure(&PAST.replace("40d", "50d"));
    daemon.signal(Signal::SIGHUP);
    mirror.wait_sql("the older one is kept", "SELECT count(*) FROM talk_events", 255);
    let again = "SELECT ran_at > unixepoch() - 30 AND cursor ->> 'since' < unixepoch() - 49 * 86400 AND cursor ->> 'ended_at' > 0
                   FROM feeders WHERE feeder = 'past_events'";
    mirror.wait_sql("it ends again", again, true);
    daemon.stop();
    let more = mirror.simulator.account().events_requests() - asked;
    assert!((1..=3).contains(&more), "{more}");
}

#[test]
fn an_account_that_ignores_the_times_is_not_read_whole() {
    let mirror = Mirror::new(account(3));
    {
        let mut account = mirror.simulator.account();
        account.ignores_filter = true;
        account.events.extend((1..=250).map(|nth| event(1, 41 * DAY + nth, 31)));
    }
    mirror.configure(PAST);
    let daemon = mirror.running_daemon();
    mirror.wait("it is said", || trouble(&mirror, "past_events").is_some());
    let said = trouble(&mirror, "past_events").unwrap();
    assert_said!(said, @"this account does not offer it (the list of events ignores filter[created_at][from] or [to]); talkmirror retries at growing intervals, at most once an hour");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Past events"), @"Past events  none is read yet; error for [n] s: this account does not offer it (the list of events ignores filter[created_at][from] or [to]); talkmirror retries at growing intervals, at most once an hour");
    daemon.stop();
    assert!(mirror.simulator.account().events_requests() <= 3);
}

#[test]
fn an_account_that_refuses_later_pages_is_read_in_shorter_windows() {
    let mirror = Mirror::new(account(3));
    {
        let mut account = mirror.simulator.account();
        account.last_events_page = Some(1);
        // 250 in the first day.
        account.events.extend((1..=250).map(|nth| event(1, nth * 340, 31)));
    }
    mirror.configure(&PAST.replace("40d", "2d"));
    let daemon = mirror.running_daemon();
    let ended = "SELECT count(*) FROM feeders WHERE feeder = 'past_events' AND cursor ->> 'ended_at' > 0";
    mirror.wait_sql("it ends", ended, 1);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_events"), 250);
}
