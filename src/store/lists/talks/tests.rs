use super::*;
use crate::store::migrations::tests::in_memory;

const NOW: UnixSeconds = UnixSeconds::new(10_000);

/// Talks in each state, with their names.
fn mirror() -> Connection {
    let connection = in_memory();
    connection
        .execute_batch(
            "INSERT INTO mirror_info (key, value) VALUES ('account_url', 'https://example.amocrm.ru');
             INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, origin, missed_at,
                                account_id, lead_id, payload, first_fetched_at, fetched_at, changed_at, closed_at,
                                gone_at, denied_at) VALUES
               (1, 1, 5000, 41, 1, 0, 'telegram', 6000, 7, 601, '{}', 1, 1, 1, NULL, NULL, NULL),
               (2, 1, 4000, 42, 1, 0, 'viber', NULL, 7, 602, '{}', 1, 1, 1, NULL, NULL, NULL),
               (3, 1, 9000, 43, 1, 1, NULL, NULL, 7, NULL, '{}', 1, 1, 1, NULL, NULL, NULL),
               (4, 1, 9000, 41, 0, 1, 'telegram', 5000, 7, 601, '{}', 1, 1, 1, 9000, NULL, NULL),
               (5, 1, 9000, 44, 1, 0, 'telegram', NULL, 7, NULL, '{}', 1, 1, 1, NULL, 9500, NULL),
               (6, 1, 9000, 45, 1, 1, 'viber', NULL, 7, NULL, '{}', 1, 1, 1, NULL, NULL, 9600);
             INSERT INTO contacts (contact_id, name, fetched_at) VALUES (41, 'Пётр Семёнов', 1), (42, 'Ann', 1);
             INSERT INTO leads (lead_id, name, responsible_user_id, fetched_at) VALUES (601, 'Шкаф', 500, 1), (602, NULL, 501, 1);
             INSERT INTO users (user_id, name, fetched_at) VALUES (500, 'Anna', 1), (501, 'Boris', 1);
             INSERT INTO talk_queue (talk_id, failed_at, last_error) VALUES (2, 60, 'HTTP 500'), (99, 70, 'HTTP 400');",
        )
        .unwrap();
    connection
}

fn query(filter: TalkFilter, search: &str, channel: &str) -> TalkQuery {
    let channel = (!channel.is_empty()).then(|| channel.to_owned());
    TalkQuery { filter, search: Search::parse(search), channel }
}

fn ids(connection: &Connection, query: &TalkQuery) -> Vec<i64> {
    let page = page(connection, query, 1, NOW).unwrap();
    page.rows.iter().map(|talk| talk.talk_id.get()).collect()
}

#[test]
fn each_filter_has_its_talks_and_the_longest_waiting_comes_first() {
    let connection = mirror();
    let of = |filter| ids(&connection, &query(filter, "", ""));
    assert_eq!(of(TalkFilter::Open), [2, 1, 6, 3], "unread since 4000, missed at 6000, not waiting");
    assert_eq!(of(TalkFilter::Waiting), [2, 1]);
    assert_eq!(of(TalkFilter::Missed), [1]);
    assert_eq!(of(TalkFilter::Failed), [99, 2]);
    assert_eq!(of(TalkFilter::Gone), [6, 5]);
    assert_eq!(of(TalkFilter::All), [6, 5, 4, 3, 2, 1]);
    let counts = counts(&connection).unwrap();
    assert_eq!(counts.by_filter, [4, 2, 1, 2, 2, 6]);
    assert_eq!(counts.waiting_since, Some(UnixSeconds::new(4000)));
    // The views count waiting in the same way.
    let view: Vec<i64> = connection
        .prepare(
            "SELECT talk_id FROM open_talks WHERE waiting_seconds IS NOT NULL ORDER BY waiting_seconds DESC",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(view, of(TalkFilter::Waiting));
}

#[test]
fn a_search_finds_numbers_addresses_and_names() {
    let connection = mirror();
    let of = |filter, search| ids(&connection, &query(filter, search, ""));
    assert_eq!(of(TalkFilter::All, "4"), [4], "a talk");
    assert_eq!(of(TalkFilter::All, " #41 "), [1, 4], "a contact; the open talk waits");
    assert_eq!(of(TalkFilter::All, "601"), [1, 4], "a lead");
    assert_eq!(of(TalkFilter::All, "99"), [99], "one that is only queued");
    assert_eq!(of(TalkFilter::All, "https://example.amocrm.ru/chats/2/leads/detail/602"), [2]);
    assert_eq!(of(TalkFilter::All, "https://example.amocrm.ru/leads/detail/601?tab=1"), [1, 4]);
    assert_eq!(of(TalkFilter::All, "https://example.amocrm.ru/contacts/detail/42"), [2]);
    assert_eq!(of(TalkFilter::All, "семенов"), [1, 4]);
    assert_eq!(of(TalkFilter::Waiting, "СЕМЁНОВ"), [1]);
    assert_eq!(
        of(TalkFilter::Open, "ann"),
        [2, 1],
        "the client of one, and who is responsible for the other"
    );
    assert_eq!(of(TalkFilter::Open, "шкаф"), [1]);
    assert_eq!(of(TalkFilter::Open, "viber"), [2, 6]);
    connection.execute("UPDATE contacts SET name = '7 916 41' WHERE contact_id = 42", []).unwrap();
    assert_eq!(of(TalkFilter::All, "916"), [2], "a number may be a part of a name");
    assert_eq!(of(TalkFilter::All, "41"), [1, 4], "if it is no id");
    assert_eq!(of(TalkFilter::Open, "%"), [] as [i64; 0], "it is no pattern");
    assert!(Search::parse("117").unwrap().has_id() && !Search::parse("7 days").unwrap().has_id());
    assert_eq!(Search::parse(" \t"), None);
}

#[test]
fn a_channel_is_a_filter_in_each_state() {
    let connection = mirror();
    let of = |filter, channel| ids(&connection, &query(filter, "", channel));
    assert_eq!(of(TalkFilter::Open, "telegram"), [1]);
    assert_eq!(of(TalkFilter::All, "telegram"), [5, 4, 1]);
    assert_eq!(of(TalkFilter::Gone, "viber"), [6]);
    assert_eq!(of(TalkFilter::All, NO_CHANNEL), [3]);
    assert_eq!(ids(&connection, &query(TalkFilter::All, "41", "viber")), [] as [i64; 0]);
    assert_eq!(channels(&connection, 10).unwrap(), ["telegram", "viber", NO_CHANNEL]);
    assert_eq!(channels(&connection, 1).unwrap(), ["telegram", NO_CHANNEL]);
}

#[test]
fn a_talk_is_listed_with_names_links_and_working_time() {
    let connection = mirror();
    connection
        .execute_batch(
            "INSERT INTO work_time (opens_at, closes_at, day, seconds, seconds_before) VALUES
               (3000, 3500, '1970-01-01', 500, 0), (7000, 8000, '1970-01-01', 1000, 500)",
        )
        .unwrap();
    let page = page(&connection, &query(TalkFilter::Waiting, "", ""), 1, NOW).unwrap();
    let first = page.rows[1].mirrored.as_ref().unwrap();
    assert_eq!((first.contact.as_deref(), first.lead.as_deref()), (Some("Пётр Семёнов"), Some("Шкаф")));
    assert_eq!((first.responsible_user.as_deref(), first.work_seconds), (Some("Anna"), Some(1000)));
    assert_eq!(first.waiting_since, Some(UnixSeconds::new(6000)));
    assert_eq!(page.rows[1].chat_url.as_deref(), Some("https://example.amocrm.ru/chats/1/leads/detail/601"));
    let page = super::page(&connection, &query(TalkFilter::Failed, "", ""), 1, NOW).unwrap();
    assert_eq!((page.rows[0].error.as_deref(), &page.rows[0].mirrored), (Some("HTTP 400"), &None));
}

#[test]
fn a_read_that_takes_too_long_is_ended() {
    let connection = mirror();
    let endless = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let read = || connection.query_row(endless, [], |row| row.get::<_, i64>(0));
    let found = crate::store::lists::within(&connection, std::time::Duration::from_millis(1), read).unwrap();
    assert_eq!(found, None);
}
