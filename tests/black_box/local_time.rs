//! `[report]`: days and working hours of the people who read.

use crate::closing::LIVE;
use crate::harness::{Mirror, account, unix_now};

const DAY: i64 = 86_400;

#[test]
fn days_are_those_of_the_zone_and_another_one_changes_no_talk() {
    let now = unix_now();
    let mut account = account(2);
    // Ten minutes to midnight and ten minutes after it, three days ago in Kathmandu.
    let midnight = (now + 20_700).div_euclid(DAY) * DAY - 20_700 - 3 * DAY;
    for (talk_id, missed_at) in [(1, midnight - 600), (2, midnight + 600)] {
        let talk = account.talks.get_mut(&talk_id).unwrap();
        (talk.created_at, talk.missed_at) = (missed_at - 60, Some(missed_at));
    }
    let mirror = Mirror::new(account);
    mirror.ends(0, &["sync", "1..2"]);
    let days = "SELECT group_concat(missed) FROM (SELECT missed FROM missed_by_day ORDER BY day)";
    let talks = "SELECT group_concat(payload || fetched_at || version) FROM talks";
    assert_eq!(mirror.sql::<String>(days), "2", "a day in UTC begins 5 h 45 min later");
    let port = Mirror::free_port();
    let before: String = mirror.sql(talks);
    let rest =
        format!("refresh.enabled = false\nlisting.enabled = false\nhttp.listen = \"127.0.0.1:{port}\"\n");
    mirror.configure(&rest);
    let daemon = mirror.running_daemon();
    let report = "report.timezone = \"Asia/Kathmandu\"\nreport.work_hours = \"Mon-Sun 00:00-24:00\"\n";
    mirror.reload(&daemon, &format!("{rest}{report}"));
    mirror.wait_sql("the zone is stored", days, "1,1".to_owned());
    assert_eq!(mirror.sql::<String>(talks), before);
    assert_eq!(mirror.status()["timezone"], "Asia/Kathmandu");
    let (_, page) = mirror.get(port, "/");
    assert!(page.contains("Days are those of Asia/Kathmandu, times are UTC."), "{page}");
    daemon.stop();
}

#[test]
fn a_reply_after_the_weekend_took_only_the_hours_of_work() {
    let mut account = account(1);
    // Missed on Friday, 2026-11-27, at 17:30 in Moscow, and answered on Monday at 09:15.
    let (missed_at, answered_at) = (1_795_789_800, 1_796_019_300);
    let talk = account.talks.get_mut(&1).unwrap();
    (talk.created_at, talk.missed_at) = (missed_at - 60, Some(missed_at));
    let mirror = Mirror::new(account);
    mirror.configure(&format!(
        "{LIVE}report.timezone = \"Europe/Moscow\"\nreport.work_hours = \"Mon-Fri 09:00-18:00\"\n"
    ));
    mirror.ends(0, &["sync", "--no-close", "1"]);
    mirror.execute(&format!(
        "INSERT INTO talk_events VALUES ('a', 1, 'conversation_answered', {answered_at}, 501)"
    ));
    let times = "SELECT (seconds / 60) || ' ' || (work_seconds / 60) || ' ' || missed_local FROM responses";
    assert_eq!(mirror.sql::<String>(times), "3825 45 2026-11-27 17:30:00");
    mirror.configure(&format!(
        "{LIVE}report.timezone = \"Europe/Moscow\"\nreport.work_hours = \"Mon-Fri 09:00-18:00\"
         report.holidays = [\"2026-11-30\"]\n"
    ));
    mirror.ends(0, &["sync", "--no-close"]);
    assert_eq!(mirror.sql::<String>(times), "3825 30 2026-11-27 17:30:00");
}

#[test]
fn in_work_time_a_talk_is_stale_only_after_so_many_hours_of_work() {
    let mut account = account(0);
    account.create_missed(3 * DAY);
    account.create_missed(40 * DAY);
    let mirror = Mirror::new(account);
    // Half an hour in each day: twenty hours of work are forty days.
    let hours = "report.work_hours = \"Mon-Sun 12:00-12:30\"\nauto_close.in_work_time = true\n";
    mirror.configure(&format!("{LIVE}auto_close.stale_after = \"19h\"\n{hours}"));
    mirror.ends(0, &["sync", "--no-close", "1..2"]);
    let closed = "SELECT group_concat(talk_id) FROM talks WHERE is_in_work = 0";
    let daemon = mirror.daemon();
    mirror.wait_sql("the older one is closed", closed, "2".to_owned());
    mirror.wait_outcome(2, "closed");
    daemon.stop();
    let reason: String = mirror.sql("SELECT reason FROM closures");
    assert!(reason.contains(" h of work)"), "{reason}");
    let (why, _) = mirror.ends(0, &["why", "1"]);
    assert!(why.contains("of work): not over 19 h yet"), "{why}");
    let (stale, _) = mirror.ends(0, &["stale"]);
    assert!(stale.contains("19h of work"), "{stale}");
    // Without the hours it is a mistake.
    mirror.configure("auto_close.in_work_time = true\n");
    let (_, error) = mirror.ends(78, &["sync"]);
    assert!(error.contains("report.work_hours: expected days and times"), "{error}");
}
