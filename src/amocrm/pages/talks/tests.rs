use super::*;
use crate::mutated::mutated_text;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_page_of_talks_is_read_tolerantly_and_without_what_it_does_not_hold() {
    let body = json!({"_page": 1, "_links": {"next": {"href": "https://elsewhere.example/"}}, "_embedded": {"talks": [
        {"talk_id": 5, "updated_at": 7, "is_in_work": true, "is_read": false, "account_id": 1},
        {"talk_id": "6", "updated_at": "8", "is_in_work": 0, "is_read": "1"},
        {"talk_id": 7, "missed_at": null},
    ]}});
    let (rows, more) = talks(&body.to_string(), Some(1)).unwrap();
    assert!(more);
    let row = |talk_id, updated_at: Option<i64>, is_in_work, is_read| Listed {
        talk_id: TalkId::new(talk_id),
        updated_at: updated_at.map(UnixSeconds::new),
        is_in_work,
        is_read,
    };
    assert_eq!(
        rows,
        [
            row(5, Some(7), Some(true), Some(false)),
            row(6, Some(8), Some(false), Some(true)),
            row(7, None, None, None)
        ]
    );
}

#[test]
fn what_is_no_list_of_ours_is_refused() {
    for body in [
        "",
        "<html>",
        "[5]",
        "{}",
        "7",
        "false",
        r#"{"error":"x","_total_items":0}"#,
        r#"{"title":"Internal error","status":500}"#,
        r#"{"_embedded":{"events":[]}}"#,
        r#"{"_embedded":{"talks":[{"id":5}]}}"#,
        r#"{"_embedded":"none"}"#,
        r#"{"_embedded":{"talks":{"id":5}}}"#,
        r#"{"_embedded":{"talks":7}}"#,
        r#"{"_embedded":{"talks":[{"talk_id":1,"account_id":2}]}}"#,
    ] {
        let (_, error) = talks(body, Some(1)).unwrap_err();
        assert!(error.starts_with("the answer holds no valid list of talks"), "{error}");
    }
}

#[test]
fn an_odd_row_spoils_none_of_the_others() {
    let body = r#"{"_embedded":{"talks":[{"talk_id":null},{"talk_id":1,"account_id":2},{"talk_id":0},7,
                    {"talk_id":3,"account_id":1},{"talk_id":4,"is_read":"maybe"}]},
                    "_links":{"next":{"href":"x"}}}"#;
    let (rows, more) = talks(body, Some(1)).unwrap();
    assert_eq!((rows.iter().map(|row| row.talk_id.get()).collect::<Vec<_>>(), more), (vec![3, 4], true));
    let empty = r#"{"_embedded":{"talks":[]},"_links":{"next":{"href":"x"}}}"#;
    assert_eq!(talks(empty, None).unwrap(), (vec![], false), "a next page of nothing is none");
    let body = r#"{"_embedded":{"events":[{"id":"a","entity_type":"talk","entity_id":1,"created_at":1,"account_id":2},
                    {"entity_id":2},{"id":"c","entity_type":"talk","entity_id":3,"created_at":1,"account_id":1}]}}"#;
    let (events, _) = events(body, Some(1), false).unwrap();
    assert_eq!(events.iter().map(|event| event.talk_id.get()).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_page_is_read_in_every_shape_that_php_gives_it() {
    let ids = |body: &str| {
        let (rows, more) = talks(body, Some(1)).unwrap();
        (rows.iter().map(|row| row.talk_id.get()).collect::<Vec<_>>(), more)
    };
    for links in ["[]", "null", "{}", "false", "7", r#"{"next":false}"#, r#"{"next":[]}"#, r#"{"next":null}"#]
    {
        let page = format!(r#"{{"_links":{links},"_embedded":{{"talks":[{{"talk_id":1}}]}}}}"#);
        assert_eq!(ids(&page), (vec![1], false), "{links}");
    }
    assert_eq!(
        ids(r#"{"_embedded":{"talks":{"0":{"talk_id":3},"2":{"talk_id":"1"}}}}"#),
        (vec![3, 1], false)
    );
    let keyed = r#"{"_embedded":{"talks":{"4":{"talk_id":3}}},"_links":{"next":{"href":"x"}}}"#;
    assert_eq!(ids(keyed), (vec![3], true));
    for nothing in
        ["[]", "null", "{}", r#"{"talks":[]}"#, r#"{"talks":null}"#, r#"{"talks":{}}"#, r#"{"talks":false}"#]
    {
        let page = format!(r#"{{"_embedded":{nothing},"_links":{{"next":{{"href":"x"}}}}}}"#);
        assert_eq!(ids(&page), (vec![], false), "{nothing}");
    }
    for empty in
        ["[]", " [ ] ", "null", r#"{"_page":1}"#, r#"{"_links":[]}"#, r#"{"_page":1,"_links":{"next":7}}"#]
    {
        assert_eq!(ids(empty), (vec![], false), "{empty}");
        assert_eq!(events(empty, None, false).unwrap(), (vec![], false), "{empty}");
    }
    assert_eq!(ids(r#"{"_embedded":{"talks":{"-1":{"talk_id":3},"0":{"talk_id":4}}}}"#), (vec![3, 4], false));
}

#[test]
fn events_of_talks_are_read_and_others_left_out() {
    let body = json!({"_embedded": {"events": [
        {"id": "01abc", "type": "talk_closed", "entity_type": "talk", "entity_id": 5, "created_at": 7, "created_by": "31"},
        {"id": 12, "type": "talk_merged", "entity_type": "talk", "entity_id": "6", "created_at": 8, "created_by": 0},
        {"id": "x", "type": "talk_closed", "entity_type": "lead", "entity_id": 5, "created_at": 7},
    ]}});
    let event = |id: &str, kind: &str, talk_id, created_at, created_by| TalkEvent {
        event_id: id.into(),
        talk_id: TalkId::new(talk_id),
        kind: kind.into(),
        created_at: UnixSeconds::new(created_at),
        created_by,
    };
    let read = events(&body.to_string(), Some(1), false).unwrap();
    // A type of talks that is not known is kept by its name.
    let expected =
        vec![event("01abc", "talk_closed", 5, 7, Some(31)), event("12", "talk_merged", 6, 8, None)];
    assert_eq!(read, (expected, false));
    for useless in [
        r#"{"created_at":9}"#,
        r#"{"id":"a","created_at":9,"entity_type":"talk"}"#,
        r#"{"id":"a","entity_id":5}"#,
    ] {
        assert!(
            events(&format!(r#"{{"_embedded":{{"events":[{useless}]}}}}"#), None, false).is_err(),
            "{useless}"
        );
        let past = events(&format!(r#"{{"_embedded":{{"events":[{useless}]}}}}"#), None, true);
        assert_eq!(past.unwrap(), (vec![], false), "{useless}");
    }
    let other = r#"{"_embedded":{"events":[{"id":"x","type":"lead_added","created_at":7}]}}"#;
    assert!(events(other, None, false).unwrap_err().1.contains("ignores filter[type]"));
}

#[test]
fn an_event_without_id_or_entity_type_is_one_of_its_talk() {
    let read = |row: serde_json::Value| {
        let body = json!({"_embedded": {"events": [row]}}).to_string();
        events(&body, Some(1), false)
            .unwrap()
            .0
            .into_iter()
            .map(|event| (event.event_id, event.talk_id.get()))
            .next()
    };
    let known = |id: &str| Some((id.to_owned(), 5));
    for nothing in [json!(null), json!(""), json!([]), json!({}), json!(false)] {
        let row = json!({"id": nothing, "type": "talk_closed", "entity_type": nothing, "entity_id": 5, "created_at": 7});
        assert_eq!(read(row), known("talk_closed of talk 5 at 7"), "{nothing}");
    }
    assert_eq!(read(json!({"id": "01abc", "entity_id": 5, "created_at": 7})), known("01abc"));
    assert_eq!(read(json!({"entity_id": 5, "created_at": 7})), known(" of talk 5 at 7"));
    assert_eq!(read(json!({"entity_type": "lead", "entity_id": 5, "created_at": 7})), None);
    let long = json!({"id": "x".repeat(65), "type": "y".repeat(200), "entity_type": "talk", "entity_id": 5, "created_at": 7});
    assert_eq!(read(long), known(&format!("{} of talk 5 at 7", "y".repeat(64))));
}

const PAGES: &[&str] = &[
    r#"{"_page":1,"_links":{"self":{"href":"https://example.amocrm.ru/api/v4/talks?page=1"},"next":{"href":"https://example.amocrm.ru/api/v4/talks?page=2"}},"_embedded":{"talks":[{"talk_id":117,"updated_at":1631035929,"is_in_work":true,"is_read":true,"account_id":17029541},{"talk_id":"118","is_in_work":1}]}}"#,
    r#"{"_page":"2","_links":[],"_embedded":{"talks":{"0":{"talk_id":119},"3":{"talk_id":120,"is_read":""}}}}"#,
    r#"{"_page":1,"_links":{"next":[]},"_embedded":{"events":[{"id":"01fevents0000000000000000","type":"talk_closed","entity_id":117,"entity_type":"talk","created_by":0,"created_at":1631035929,"value_after":[{"talk":{"id":117}}],"account_id":17029541},{"id":7,"type":"talk_created","entity_id":"118","entity_type":"talk","created_at":"1631035930"}]}}"#,
];

proptest! {
    #[test]
    fn a_spoilt_page_holds_rows_of_talks_or_is_none(body in mutated_text(PAGES)) {
        if let Ok((rows, _)) = talks(&body, Some(17029541)) {
            prop_assert!(rows.iter().all(|row| row.talk_id.get() > 0));
        }
        if let Ok((rows, _)) = events(&body, Some(17029541), false) {
            prop_assert!(rows.iter().all(|row| row.talk_id.get() > 0 && (0..YEAR_2100).contains(&row.created_at.get())));
        }
    }
}
