//! `responses` and `response_sla` say what a plain reading of each talk's states and events says.

use super::{Mirror, NEW, NOW, TalkState};
use crate::policy::hours::{ReportRules, WorkHours};
use crate::store::local_time;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// An event, so many seconds after [`NOW`].
#[derive(Debug, Clone, Copy)]
struct Told {
    kind: &'static str,
    at: i64,
    user_id: Option<i64>,
}

/// What happened to a talk. The first `trimmed` states were removed by retention.
#[derive(Debug, Clone)]
struct History {
    states: Vec<TalkState>,
    trimmed: usize,
    is_gone: bool,
    events: Vec<Told>,
    /// The `missed_at` for which talkmirror closed it.
    closed_for: Option<i64>,
}

/// A row of `responses`. Times are seconds after [`NOW`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    missed_at: i64,
    responded_at: Option<i64>,
    how: Option<&'static str>,
    responded_by: Option<&'static str>,
    user_id: Option<i64>,
    source: Option<&'static str>,
    read_at: Option<i64>,
}

impl History {
    fn rows(&self) -> Vec<Row> {
        let kept = self.trimmed.min(self.states.len() - 1);
        let kept: Vec<(TalkState, Option<i64>)> = (kept..self.states.len())
            .map(|place| (self.states[place], self.states.get(place + 1).map(|next| next.seen)))
            .collect();
        let mut misses: Vec<i64> = kept.iter().filter_map(|(state, _)| state.missed).collect();
        misses.sort_unstable();
        misses.dedup();
        let is_known = |at: i64| misses.iter().any(|missed| (at - missed).abs() <= 60);
        let told =
            self.events.iter().filter(|event| event.kind == "talk_missed_event" && !is_known(event.at));
        let mut rows: Vec<Row> = told.filter_map(|event| self.row(event.at, &[])).collect();
        for missed in &misses {
            let spell: Vec<_> =
                kept.iter().copied().filter(|(state, _)| state.missed == Some(*missed)).collect();
            rows.extend(self.row(*missed, &spell));
        }
        rows.sort();
        rows
    }

    /// Whether the state that began then is closed.
    fn closed_at(&self, at: Option<i64>) -> bool {
        self.states.iter().any(|state| Some(state.seen) == at && !state.open)
    }

    /// A miss, with the states of it, each with its end.
    fn row(&self, missed_at: i64, spell: &[(TalkState, Option<i64>)]) -> Option<Row> {
        let follows = self.events.iter().filter(|event| match event.kind {
            "conversation_answered" | "talk_closed" => event.at >= missed_at,
            "talk_missed_event" => event.at > missed_at + 60,
            _ => false,
        });
        let event = follows.min_by_key(|event| (event.at, event.kind, event.user_id));
        let event = event.filter(|event| event.kind != "talk_missed_event");
        let was_open = spell.first().is_some_and(|(state, _)| state.open);
        if !was_open && event.is_none() {
            return None;
        }
        let first = |wanted: fn(&TalkState) -> bool| {
            spell.iter().find(|(state, _)| wanted(state)).map(|(state, _)| state.seen)
        };
        let closed_at = first(|state| !state.open);
        let ended_at = spell.iter().map(|(_, end)| *end).max_by_key(|end| end.unwrap_or(i64::MAX)).flatten();
        let is_over = spell.iter().all(|(_, end)| end.is_some());
        let seen_at = closed_at.into_iter().chain(ended_at.filter(|_| is_over)).min().filter(|_| was_open);
        let read_at = match spell.first() {
            Some((state, _)) if state.read => None,
            _ => first(|state| state.read),
        };
        let by_event = event.filter(|event| seen_at.is_none_or(|seen| event.at <= seen + 60));
        let responded_at = by_event.map(|event| event.at).or(seen_at);
        let is_closed = match by_event {
            Some(event) => event.kind == "talk_closed",
            None => closed_at.is_some() || is_over && self.closed_at(ended_at),
        };
        let by_talkmirror = self.closed_for.is_some_and(|closed| (closed - missed_at).abs() <= 60);
        let user_id = by_event.and_then(|event| event.user_id);
        (responded_at.is_some() || !self.is_gone).then_some(Row {
            missed_at,
            responded_at,
            how: match responded_at {
                None => read_at.map(|_| "read"),
                Some(_) if is_closed => Some("closed"),
                Some(_) => Some("answered"),
            },
            responded_by: responded_at.map(|_| match user_id {
                _ if is_closed && by_talkmirror => "talkmirror",
                Some(_) => "user",
                None => "unknown",
            }),
            user_id,
            source: responded_at.map(|_| if by_event.is_some() { "event" } else { "fetch" }),
            read_at,
        })
    }
}

impl Row {
    fn seconds(&self) -> Option<i64> {
        self.responded_at.map(|at| (at - self.missed_at).max(0))
    }

    fn work_seconds(&self, rules: &ReportRules) -> String {
        let at = self.responded_at.map(|at| at.max(self.missed_at));
        let seconds = at.and_then(|at| rules.work_seconds(NOW + self.missed_at, NOW + at));
        seconds.map(|seconds| seconds.to_string()).unwrap_or_default()
    }

    fn text(&self, talk_id: i64) -> String {
        let time = |at: Option<i64>| at.map(|at| (NOW + at).to_string()).unwrap_or_default();
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            talk_id.to_string(),
            time(Some(self.missed_at)),
            time(self.responded_at),
            number(self.seconds()),
            self.how.unwrap_or_default().into(),
            self.responded_by.unwrap_or_default().into(),
            number(self.user_id),
            self.source.unwrap_or_default().into(),
            time(self.read_at),
        ]
        .join("|")
    }
}

/// A talk's history as the mirror has it.
fn write(mirror: &Mirror, talk_id: i64, history: &History) {
    mirror.talk(talk_id, Some(["viber", "avito"][talk_id as usize % 2]), &history.states);
    let trim = "DELETE FROM talk_history WHERE talk_id = ?1 AND version <= ?2";
    mirror.0.execute(trim, (talk_id, history.trimmed as i64)).unwrap();
    if history.is_gone {
        mirror.0.execute("UPDATE talks SET gone_at = 1 WHERE talk_id = ?1", [talk_id]).unwrap();
    }
    for (nth, told) in history.events.iter().enumerate() {
        let insert = "INSERT INTO talk_events VALUES (?1, ?2, ?3, ?4, ?5)";
        let event = (format!("{talk_id} {nth}"), talk_id, told.kind, NOW + told.at, told.user_id);
        mirror.0.execute(insert, event).unwrap();
    }
    if let Some(missed) = history.closed_for {
        let insert = "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                                            outcome, attempts) VALUES (?1, 'live', ?2, 0, '', 1, 0, 'closed', 1)";
        mirror.0.execute(insert, (talk_id, NOW + missed)).unwrap();
    }
}

fn history() -> impl Strategy<Value = History> {
    let missed = prop::option::of(prop::sample::select(vec![0, 30, 200, 90_000]));
    let state = (missed, any::<bool>(), prop::bool::weighted(0.7), 1i64..50_000);
    let kind = prop::sample::select(vec![
        "talk_created",
        "talk_missed_event",
        "conversation_answered",
        "talk_closed",
        "talk_merged",
    ]);
    let at = prop_oneof![(0i64..8).prop_map(|tens| tens * 10), 0i64..400, 0i64..200_000];
    let user_id = prop::option::of(31i64..34);
    let told = (kind, at, user_id).prop_map(|(kind, at, user_id)| Told { kind, at, user_id });
    let closed_for = prop::option::of(prop::sample::select(vec![0, 30, 90_000]));
    (
        prop::collection::vec(state, 1..6),
        0usize..3,
        prop::bool::weighted(0.2),
        prop::collection::vec(told, 0..6),
        closed_for,
    )
        .prop_map(|(states, trimmed, is_gone, events, closed_for)| {
            let mut seen = 0;
            let states = states.into_iter().map(|(missed, read, open, later)| {
                seen += later;
                TalkState { seen, missed, read, open, ..NEW }
            });
            History { states: states.collect(), trimmed, is_gone, events, closed_for }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_views_say_what_states_and_events_say(
        histories in prop::collection::vec(history(), 1..6),
        zone in prop::sample::select(vec!["UTC", "Europe/Moscow", "Asia/Kathmandu", "America/Sao_Paulo"]),
        hours in prop::option::of(prop::sample::select(vec!["Mon-Fri 09:00-18:00", "Mon-Sun 22:00-07:00 12:00-13:00"])),
    ) {
        let work_hours = hours.map(|hours| WorkHours::parse(hours).unwrap());
        let rules = ReportRules { zone: ReportRules::zone(zone).unwrap(), work_hours };
        let mirror = Mirror::new();
        local_time::store(&mirror.0, &rules).unwrap();
        let mut expected = Vec::new();
        let mut groups: BTreeMap<(String, &str), Vec<Row>> = BTreeMap::new();
        for (talk_id, history) in (1..).zip(&histories) {
            write(&mirror, talk_id, history);
            let origin = ["viber", "avito"][talk_id as usize % 2];
            for row in history.rows() {
                let local = rules.zone.to_datetime(jiff::Timestamp::from_second((NOW + row.missed_at).get()).unwrap());
                expected.push(format!("{}|{}|{}", row.text(talk_id), row.work_seconds(&rules), local.strftime("%F %T")));
                groups.entry((local.date().to_string(), origin)).or_default().push(row);
            }
        }
        expected.sort();
        let mut found = mirror.rows(
            "SELECT talk_id, missed_at, responded_at, seconds, how, responded_by, user_id, source, read_at,
                    work_seconds, missed_local FROM responses");
        found.sort();
        prop_assert_eq!(found, expected);
        let sums: Vec<String> = groups.iter().map(|((day, origin), rows)| sum(day, origin, rows)).collect();
        prop_assert_eq!(
            mirror.rows("SELECT day, origin, missed, responses, waiting, p50, p95, max, read
                           FROM response_sla ORDER BY day, origin"),
            sums
        );
    }
}

fn sum(day: &str, origin: &str, rows: &[Row]) -> String {
    let mut seconds: Vec<i64> = rows.iter().filter_map(Row::seconds).collect();
    seconds.sort_unstable();
    let answered = seconds.len();
    // The shortest time within which at least so many percent came.
    let within = |percent: usize| {
        let place = (answered * percent).div_ceil(100).saturating_sub(1);
        seconds.get(place).map(ToString::to_string).unwrap_or_default()
    };
    let read = rows.iter().filter(|row| row.responded_at.is_none() && row.read_at.is_some()).count();
    let waiting = rows.len() - answered;
    format!(
        "{day}|{origin}|{}|{answered}|{waiting}|{}|{}|{}|{read}",
        rows.len(),
        within(50),
        within(95),
        within(100)
    )
}

#[test]
fn an_event_has_the_exact_time_and_who_answered_before_a_fetch_saw_it() {
    let mirror = Mirror::new();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    let answered = TalkState { seen: 500, missed: None, ..missed };
    let events = vec![Told { kind: "conversation_answered", at: 110, user_id: Some(31) }];
    let history =
        History { states: vec![missed, answered], trimmed: 0, is_gone: false, events, closed_for: None };
    write(&mirror, 1, &history);
    let responses = "SELECT seconds, how, responded_by, user_id, source FROM responses";
    assert_eq!(mirror.rows(responses), ["100|answered|user|31|event"]);
    mirror.0.execute("UPDATE talk_events SET at = ?1", [NOW + 500]).unwrap();
    assert_eq!(mirror.rows(responses), ["490|answered|user|31|event"], "as late as the fetch");
    mirror.0.execute("DELETE FROM talk_events", []).unwrap();
    assert_eq!(mirror.rows(responses), ["490|answered|unknown||fetch"]);
}
