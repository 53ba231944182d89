//! The sweep, its view, and the decision on one talk agree on what is exempt.

use super::*;
use crate::policy::closing::FetchReason;
use crate::policy::stale::tests::{just_stale, rules};
use crate::store::migrations::tests::in_memory;
use crate::store::record::tests::fetched;
use crate::store::sweep;
use crate::talk::Talk;
use proptest::prelude::*;

/// Ids of everything that rows and talks may name in a test: few, so that they meet.
const FEW: std::ops::Range<i64> = 1..4;

/// A row of `close_exemptions` as SQL values: the column, its value, and when it ends, by seconds from now.
fn row() -> impl Strategy<Value = (&'static str, String, Option<i64>)> {
    let chats = vec!["'A-1'", "' a-1 '", "'b-2'", "''", "CAST(x'ff' AS TEXT)"];
    let chat = proptest::sample::select(chats).prop_map(str::to_owned);
    let id = |ids: std::ops::Range<i64>| ids.prop_map(|id| id.to_string());
    let target = prop_oneof![
        id(1..30).prop_map(|id| ("talk_id", id)),
        id(FEW).prop_map(|id| ("contact_id", id)),
        chat.prop_map(|chat| ("chat_id", chat)),
        id(FEW).prop_map(|id| ("user_id", id)),
        id(FEW).prop_map(|id| ("pipeline_id", id)),
    ];
    let ends = prop_oneof![Just(None), (-2i64..3).prop_map(Some), Just(Some(i64::MIN)), Just(Some(i64::MAX))];
    (target, ends).prop_map(|((column, value), ends)| (column, value, ends))
}

/// The user and the pipeline of a lead, as far as they are known, whether it is gone, and whether it was read lately.
type Lead = (Option<i64>, Option<i64>, bool, bool);

/// What of a talk exemptions go by: its contact, chat, lead, and what it is about.
type Links = (Option<i64>, Option<&'static str>, Option<i64>, Option<&'static str>, Option<i64>);

fn links() -> impl Strategy<Value = Links> {
    use proptest::option::weighted;
    let chat = weighted(0.8, proptest::sample::select(&["a-1", "B-2", "", "\u{fffd}"][..]));
    let entity = weighted(0.5, proptest::sample::select(&["lead", "customer"][..]));
    (weighted(0.9, FEW), chat, weighted(0.5, 1i64..5), entity, weighted(0.5, 1i64..5))
}

/// Whether a row exempts a talk, by the words of the documentation. `leads` has each lead's user and pipeline.
fn exempts(
    (column, value, ends): &(&str, String, Option<i64>),
    talk_id: i64,
    (contact, chat, lead, entity, entity_id): &Links,
    leads: &[Lead],
) -> bool {
    let of_lead = |pick: fn(&Lead) -> Option<i64>| {
        let about = entity_id.filter(|_| *entity == Some("lead"));
        let has_lead = lead.is_some() || *entity == Some("lead");
        let row = lead.or(about).and_then(|id| leads.get(usize::try_from(id - 1).ok()?));
        let known = row.filter(|(.., is_gone, is_recent)| !is_gone && *is_recent).and_then(pick);
        has_lead && known.is_none_or(|id| id.to_string() == *value)
    };
    let counts = ends.is_none_or(|ends| ends > 0);
    counts
        && match *column {
            "talk_id" => talk_id.to_string() == *value,
            "contact_id" => contact.is_none_or(|id| id.to_string() == *value),
            "chat_id" => chat.is_some_and(|chat| {
                value.starts_with('\'') && value.trim_matches(['\'', ' ']).eq_ignore_ascii_case(chat)
            }),
            "user_id" => of_lead(|lead| lead.0),
            _ => of_lead(|lead| lead.1),
        }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sweep_view_and_decision_agree_on_what_is_exempt(
        talks in proptest::collection::vec(links(), 20),
        leads in proptest::collection::vec(
            (proptest::option::weighted(0.8, FEW), proptest::option::weighted(0.8, FEW),
             proptest::bool::weighted(0.2), proptest::bool::weighted(0.8)), 0..4),
        rows in proptest::collection::vec(row(), 0..4),
    ) {
        let connection = in_memory();
        let now = crate::clock::unix_now();
        for (id, (user, pipeline, is_gone, is_recent)) in (1i64..).zip(&leads) {
            let lead = "INSERT INTO leads (lead_id, responsible_user_id, pipeline_id, fetched_at, gone_at)
                        VALUES (?1, ?2, ?3, ?4, iif(?5, 1, NULL))";
            let fetched_at = if *is_recent { now } else { now - 3 * 86_400 };
            connection.execute(lead, (id, user, pipeline, fetched_at, is_gone)).unwrap();
        }
        for (column, value, ends) in &rows {
            let row = format!("INSERT INTO close_exemptions ({column}, until) VALUES ({value}, ?1)");
            connection.execute(&row, [ends.map(|ends| now.later_by(ends))]).unwrap();
        }
        for (number, (contact_id, chat, lead_id, entity, entity_id)) in (1..).zip(&talks) {
            let talk = Talk {
                talk_id: TalkId::new(number),
                contact_id: *contact_id,
                chat_id: chat.map(str::to_owned),
                lead_id: *lead_id,
                entity_type: entity.map(str::to_owned),
                entity_id: *entity_id,
                ..just_stale(now)
            };
            fetched(&connection, talk, now);
        }
        let ids = |at: UnixSeconds, exempt: bool| -> Vec<i64> {
            let later = at.seconds_since(now);
            let is_exempt = |id: i64, links: &Links| {
                let at = |(column, value, ends): &(&'static str, String, Option<i64>)| {
                    (*column, value.clone(), ends.map(|ends| ends.saturating_sub(later)))
                };
                rows.iter().any(|row| exempts(&at(row), id, links, &leads))
            };
            (1..).zip(&talks).filter(|(id, links)| is_exempt(*id, links) == exempt).map(|(id, _)| id).collect()
        };
        let numbers = |talk_ids: Vec<TalkId>| {
            let mut numbers: Vec<i64> = talk_ids.into_iter().map(TalkId::get).collect();
            numbers.sort_unstable();
            numbers
        };
        let decided = (1..=20).filter(|id| of_talk(&connection, TalkId::new(*id), now).unwrap().is_some());
        prop_assert_eq!(decided.collect::<Vec<_>>(), ids(now, true));
        let swept = sweep::candidates(&connection, &rules(), FetchReason::Close, 1000, now).unwrap();
        prop_assert_eq!(numbers(swept), ids(now, false));
        prop_assert_eq!(sweep::counts(&connection, &rules(), now).unwrap(), (ids(now, false).len() as i64, 20));
        let kept = sweep::exempt(&connection, &rules(), 2, now).unwrap();
        prop_assert_eq!((kept.stale, kept.first.len()), (ids(now, true).len() as i64, ids(now, true).len().min(2)));

        // The view reads the clock, and has the same rules by default.
        let before = crate::clock::unix_now();
        let viewed: Vec<TalkId> = connection
            .prepare("SELECT talk_id FROM stale_talks")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        if before == crate::clock::unix_now() {
            prop_assert_eq!(numbers(viewed), ids(before, false));
        }
    }
}
