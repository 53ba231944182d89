//! Local days: `open_by_day`, and that the page counts the same.

use super::{Mirror, NEW, NOW, TalkState};
use crate::clock::unix_now;
use crate::policy::hours::ReportRules;
use crate::store::course::{Range, course};
use crate::store::local_time;
use proptest::prelude::*;

const DAY: i64 = 86_400;

/// A talk: when it began, whether and when it was closed and last changed, its event, and whether it is gone. All in seconds
/// before now.
#[derive(Debug, Clone)]
struct Talk {
    began: i64,
    /// First seen closed, and the closed state's change.
    closed: Option<(i64, i64)>,
    event: Option<i64>,
    gone: Option<i64>,
}

impl Talk {
    /// When it ended, in seconds before now.
    fn ended(&self) -> Option<i64> {
        let closed = self.closed.map(|(seen, changed)| self.event.unwrap_or(seen.max(changed)));
        closed.or(self.gone).map(|ago| ago.min(self.began))
    }
}

fn talk() -> impl Strategy<Value = Talk> {
    let ago = || prop_oneof![0..40 * DAY, 0..400 * DAY];
    (ago(), prop::option::of((ago(), ago())), prop::option::of(ago()), prop::option::weighted(0.2, ago()))
        .prop_map(|(began, closed, event, gone)| {
            // Nothing of it was before it began.
            let since = |ago: i64| ago % (began + 1);
            let closed = closed.map(|(seen, changed)| (since(seen), since(changed)));
            // Nor does an event come after the change that it reports.
            let changed = closed.map_or(0, |(_, changed)| changed);
            let event = event.map(|event: i64| changed + event % (began - changed + 1));
            // A talk that is gone is fetched no more.
            let last = closed.map_or(began, |(seen, changed)| seen.min(changed));
            Talk { began, closed, event, gone: gone.map(|gone| gone % (last + 1)) }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_talk_is_open_at_the_end_of_each_local_day_until_it_is_closed(
        talks in prop::collection::vec(talk(), 1..12),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo"]),
    ) {
        let mirror = Mirror::new();
        let rules = ReportRules { zone: ReportRules::zone(zone).unwrap(), work_hours: None };
        local_time::store(&mirror.0, &rules).unwrap();
        // The view reads the clock itself, a moment later.
        let now = unix_now();
        let date = |ago: i64| rules.zone.to_datetime(jiff::Timestamp::from_second(now.get() - ago).unwrap()).date();
        for (talk_id, talk) in (1..).zip(&talks) {
            let at = |ago: i64| now - ago;
            let times = (talk_id, at(talk.began), talk.closed.map_or(at(talk.began), |(_, changed)| at(changed)),
                         talk.closed.map(|(seen, _)| at(seen)), talk.gone.map(at));
            mirror.0.execute(
                "INSERT INTO talks (talk_id, created_at, updated_at, closed_at, gone_at, is_in_work, account_id, payload,
                                    first_fetched_at, fetched_at, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?4 IS NULL, 1, '{}', 1, 1, 1)", times).unwrap();
            if let Some(event) = talk.event.filter(|_| talk.closed.is_some() || talk.gone.is_some()) {
                let event = (talk_id, at(event));
                mirror.0.execute("INSERT INTO talk_events VALUES (?1, ?1, 'talk_closed', ?2, NULL)", event).unwrap();
            }
        }
        let today = date(0);
        let first = talks.iter().flat_map(|talk| [Some(talk.began), talk.ended()]).flatten().map(date).min().unwrap();
        let mut expected = Vec::new();
        let mut day = today;
        while day >= first {
            let count = |wanted: &dyn Fn(&Talk) -> bool| talks.iter().filter(|talk| wanted(talk)).count() as i64;
            let began = count(&|talk| date(talk.began) == day);
            let closed = count(&|talk| talk.closed.is_some() && talk.ended().map(date) == Some(day));
            let open = count(&|talk| date(talk.began) <= day) - count(&|talk| talk.ended().is_some_and(|at| date(at) <= day));
            expected.push(format!("{day}|{open}|{began}|{closed}"));
            day = day.yesterday().unwrap();
        }
        if date(-5) != today {
            // The view may already count the next day.
            return Ok(());
        }
        let found = mirror.rows("SELECT day, open, began, closed FROM open_by_day ORDER BY day DESC");
        prop_assert_eq!(&found, &expected[..found.len()]);
        prop_assert!(expected.len() == found.len() || found.len() == 400);
        // The page's last days.
        let page = course(&mirror.0, Range::Quarter, None, now).unwrap();
        let page: Vec<String> = page.iter().rev().map(|day| {
            format!("{}|{}|{}", crate::clock::written(day.begins, "%Y-%m-%d"), day.open, day.closed)
        }).collect();
        let view = mirror.rows("SELECT day, open, closed FROM open_by_day ORDER BY day DESC LIMIT 90");
        prop_assert_eq!(&page[..view.len()], &view);
    }
}

#[test]
fn views_by_day_begin_a_day_at_the_local_midnight() {
    let mirror = Mirror::new();
    // 2023-11-14 22:13:20 UTC is 03:58:20 of the next day in Kathmandu.
    let missed = |at: i64| TalkState { missed: Some(at), seen: at, rate: Some(9), ..NEW };
    mirror.talk(1, Some("viber"), &[missed(0)]);
    mirror.talk(2, Some("viber"), &[missed(-14_301)]);
    let closure = "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
                   VALUES (1, 'live', 0, '', 1, ?1, 'failed', 1)";
    mirror.0.execute(closure, [NOW]).unwrap();
    let days = |view: &str| mirror.rows(&format!("SELECT day FROM {view} ORDER BY day")).join(" ");
    let views = ["missed_by_day", "response_sla", "ratings", "closures_by_day"];
    assert_eq!(views.map(days), ["2023-11-14", "2023-11-14", "2023-11-14", "2023-11-14"]);
    let zone = ReportRules::zone("Asia/Kathmandu").unwrap();
    local_time::store(&mirror.0, &ReportRules { zone, work_hours: None }).unwrap();
    let both = "2023-11-14 2023-11-15";
    assert_eq!(views.map(days), [both, both, both, "2023-11-15"]);
    let local = "SELECT missed_local FROM responses ORDER BY missed_at";
    assert_eq!(mirror.rows(local), ["2023-11-14 23:59:59", "2023-11-15 03:58:20"]);
}
