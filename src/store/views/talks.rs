//! `open_talks` and `talks_iso`: who waits, whose client it is, and when a talk was closed.

use super::{Mirror, NEW, NOW, TalkState};

#[test]
fn a_talk_was_closed_when_the_best_source_says_so() {
    let mirror = Mirror::new();
    let closed = TalkState { seen: 500, open: false, ..NEW };
    mirror.talk(1, None, &[NEW, closed, TalkState { seen: 900, rate: Some(9), ..closed }]);
    let of = || mirror.rows(&format!("SELECT unixepoch(closed_at) - {NOW}, closed_source FROM talks_iso"));
    assert_eq!(of(), ["500|updated_at"], "and not when it was rated");
    let tell = |id: &str, at: i64| {
        let event = (id, NOW + at);
        mirror.0.execute("INSERT INTO talk_events VALUES (?1, 1, 'talk_closed', ?2, NULL)", event).unwrap();
    };
    tell("a", 490);
    assert_eq!(of(), ["490|event"]);
    // Open and closed again: the first closing is not the last.
    let again = TalkState { seen: 2000, ..NEW };
    mirror.talk(1, None, &[again]);
    assert_eq!(of(), ["|"]);
    mirror.talk(1, None, &[TalkState { seen: 3000, open: false, ..again }]);
    assert_eq!(of(), ["3000|updated_at"]);
    mirror.0.execute("UPDATE talks SET updated_at = updated_at + 1000", []).unwrap();
    assert_eq!(of(), ["3000|fetch"], "what changed later says nothing of it");
    tell("b", 2990);
    assert_eq!(of(), ["2990|event"]);
}

#[test]
fn who_waits_is_who_was_missed_or_not_read() {
    let mirror = Mirror::new();
    mirror.talk(1, None, &[TalkState { missed: Some(10), read: true, ..NEW }]);
    mirror.talk(2, None, &[NEW]);
    mirror.talk(3, None, &[TalkState { read: true, ..NEW }]);
    let since =
        format!("SELECT talk_id, unixepoch() - {NOW} - waiting_seconds FROM open_talks ORDER BY talk_id");
    assert_eq!(mirror.rows(&since), ["1|10", "2|0", "3|"]);
}

/// The names of what is linked with the mirror's talks, whose lead is 667999637.
pub(super) const NAMES: &str = "
    INSERT INTO mirror_info VALUES ('account_url', 'https://shop.amocrm.ru');
    INSERT INTO users (user_id, name, fetched_at) VALUES (501, 'Anna', 1), (502, 'Boris', 1);
    INSERT INTO pipelines (pipeline_id, name, fetched_at) VALUES (7, 'Sales', 1), (8, 'Service', 1);
    INSERT INTO statuses (pipeline_id, status_id, name, fetched_at) VALUES (7, 142, 'Won', 1), (8, 142, 'Done', 1);
    INSERT INTO leads (lead_id, name, price, responsible_user_id, pipeline_id, status_id, fetched_at)
    VALUES (71, 'Lead #71', 900, 501, 8, 142, 1), (72, NULL, NULL, NULL, NULL, NULL, 1), (73, 'Lead #73', 5, 599, 7, 1, 1);
    INSERT INTO contacts (contact_id, name, fetched_at) VALUES (31, 'Клиент', 1);";

#[test]
fn an_open_talk_shows_whose_client_it_is_and_where_to_open_it() {
    let mirror = Mirror::new();
    let names = "SELECT contact, lead, price, responsible_user_id, responsible_user, pipeline, lead_status, lead_url, chat_url
                   FROM open_talks ORDER BY talk_id";
    for talk_id in 1..5 {
        mirror.talk(talk_id, None, &[NEW]);
        mirror
            .0
            .execute("UPDATE talks SET lead_id = iif(?1 < 4, 70 + ?1, NULL) WHERE talk_id = ?1", [talk_id])
            .unwrap();
    }
    assert_eq!(mirror.rows(names), ["||||||||"; 4], "nothing is known yet");
    mirror.0.execute_batch(NAMES).unwrap();
    let urls = |talk: i64, lead: i64| {
        format!(
            "https://shop.amocrm.ru/leads/detail/{lead}|https://shop.amocrm.ru/chats/{talk}/leads/detail/{lead}"
        )
    };
    assert_eq!(
        mirror.rows(names),
        [
            format!("Клиент|Lead #71|900|501|Anna|Service|Done|{}", urls(1, 71)),
            format!("|||||||{}", urls(2, 72)),
            // A user and a stage whose name is not known.
            format!("Клиент|Lead #73|5|599||Sales||{}", urls(3, 73)),
            "||||||||".into(),
        ]
    );
}
