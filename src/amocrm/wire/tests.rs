use super::*;
use crate::mutated::mutated_text;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The API page's own example.
fn example() -> Value {
    json!({
        "talk_id": 117, "created_at": 1631018291, "updated_at": 1631035929, "rate": 0,
        "contact_id": 3372695, "chat_id": "88278e98-2b8d-4ae2-a5f0-bfab511cd621",
        "entity_id": 667999637, "entity_type": "lead", "is_in_work": true, "is_read": true,
        "origin": "telegram", "missed_at": null, "account_id": 17029541,
        "_links": {"self": {"href": "https://example.amocrm.ru/api/v4/talks/117"}},
        "_embedded": {"contacts": [{"id": 3372695}], "leads": [{"id": 667999637}], "customers": []}
    })
}

const TALK: TalkId = TalkId::new(117);
const IDENTITY: [&str; 5] = ["talk_id", "created_at", "updated_at", "is_in_work", "account_id"];
const OPTIONAL: [&str; 11] = [
    "rate",
    "contact_id",
    "chat_id",
    "entity_id",
    "entity_type",
    "is_read",
    "origin",
    "missed_at",
    "status",
    "source_id",
    "_embedded",
];

/// The example as sent, and a sparse one as PHP writes it.
const EXAMPLE: &str = r#"{"talk_id":117,"created_at":1631018291,"updated_at":1631035929,"rate":0,"contact_id":3372695,
"chat_id":"88278e98-2b8d-4ae2-a5f0-bfab511cd621","entity_id":667999637,"entity_type":"lead","is_in_work":true,
"is_read":true,"origin":"telegram","missed_at":1631030000,"account_id":17029541,
"_links":{"self":{"href":"https://example.amocrm.ru/api/v4/talks/117"}},
"_embedded":{"contacts":[{"id":3372695}],"leads":[{"id":667999637}],"customers":[]}}"#;
const PHP: &str = r#"{"talk_id":"117","created_at":1631018291.0,"updated_at":"1631035929","rate":"","contact_id":false,
"chat_id":null,"entity_id":[],"entity_type":{},"is_in_work":"1","is_read":0,"origin":"Чат \u0438\u0306","missed_at":0,
"account_id":"17029541","_embedded":{"leads":{"1":{"id":"5"}},"customers":false}}"#;

fn whole(value: &Value) -> Result<ReadTalk, String> {
    talk(&value.to_string(), TALK, Some(17029541)).map_err(|error| error.to_string())
}

fn read(value: &Value) -> Result<Talk, String> {
    whole(value).map(|read| read.talk)
}

fn with(key: &str, value: Value) -> Value {
    let mut talk = example();
    talk[key] = value;
    talk
}

fn without(key: &str) -> Value {
    let mut talk = example();
    talk.as_object_mut().unwrap().remove(key);
    talk
}

#[test]
fn the_documented_example_is_read_field_by_field() {
    let ReadTalk { talk, odd } = whole(&example()).unwrap();
    assert_eq!(odd, [""; 0]);
    assert_eq!(
        talk,
        Talk {
            talk_id: TALK,
            created_at: UnixSeconds::new(1631018291),
            updated_at: UnixSeconds::new(1631035929),
            rate: Some(0),
            contact_id: Some(3372695),
            chat_id: Some("88278e98-2b8d-4ae2-a5f0-bfab511cd621".into()),
            entity_id: Some(667999637),
            entity_type: Some("lead".into()),
            is_in_work: true,
            is_read: Some(true),
            origin: Some("telegram".into()),
            missed_at: None,
            account_id: 17029541,
            status: None,
            source_id: None,
            lead_id: Some(667999637),
            customer_id: None,
        }
    );
}

#[test]
fn numbers_as_strings_and_floats_and_zero_and_one_are_read() {
    let mut talk = example();
    talk["talk_id"] = json!("117");
    talk["updated_at"] = json!(1631035929.0);
    talk["is_in_work"] = json!(1.0);
    talk["is_read"] = json!("0");
    talk["missed_at"] = json!("1631030000");
    talk["source_id"] = json!(77);
    talk["status"] = json!("in_work");
    talk["news"] = json!({"of": ["another", "release"]});
    let ReadTalk { talk, odd } = whole(&talk).unwrap();
    assert_eq!(odd, [""; 0]);
    assert!(talk.is_in_work && talk.is_read == Some(false));
    assert_eq!(talk.updated_at, UnixSeconds::new(1631035929));
    assert_eq!(talk.missed_at, Some(UnixSeconds::new(1631030000)));
    assert_eq!(talk.source_id.as_deref(), Some("77"));
}

#[test]
fn an_optional_field_may_be_missing_or_what_php_writes_for_nothing() {
    for key in OPTIONAL {
        let mut talks = vec![without(key)];
        talks.extend([json!(null), json!(""), json!([]), json!({})].map(|nothing| with(key, nothing)));
        if key != "is_read" {
            talks.push(with(key, json!(false)));
        }
        for talk in talks {
            let ReadTalk { talk, odd } = whole(&talk).unwrap();
            assert_eq!(odd, [""; 0], "{key}");
            let kept = match key {
                "rate" => talk.rate.is_some(),
                "contact_id" => talk.contact_id.is_some(),
                "chat_id" => talk.chat_id.is_some(),
                "entity_id" => talk.entity_id.is_some(),
                "entity_type" => talk.entity_type.is_some(),
                "is_read" => talk.is_read.is_some(),
                "origin" => talk.origin.is_some(),
                "missed_at" => talk.missed_at.is_some(),
                "status" => talk.status.is_some(),
                "source_id" => talk.source_id.is_some(),
                _ => talk.lead_id.is_some(),
            };
            assert!(!kept, "{key}");
        }
    }
}

#[test]
fn an_optional_field_of_another_shape_is_none_and_named_and_the_rest_is_read() {
    for key in OPTIONAL {
        let odd_values: &[Value] = match key {
            "chat_id" | "entity_type" | "origin" | "status" | "source_id" => {
                &[json!({"id": 7}), json!([1]), json!(true)]
            }
            "is_read" => &[json!(2), json!("maybe"), json!([true])],
            "_embedded" => &[json!("x"), json!([1]), json!(7)],
            _ => &[json!("soon"), json!({"id": 7}), json!([7]), json!(true), json!(0.5)],
        };
        for value in odd_values {
            let ReadTalk { talk, odd } = whole(&with(key, value.clone())).unwrap();
            assert_eq!(odd, [key], "{value}");
            assert_eq!(talk.updated_at, UnixSeconds::new(1631035929), "{key}: {value}");
            assert_eq!(odd_fields(&with(key, value.clone()).to_string()), [key]);
        }
    }
    for missed_at in [json!(-1), json!(1_631_035_929_000_i64), json!(YEAR_2100)] {
        let ReadTalk { talk, odd } = whole(&with("missed_at", missed_at)).unwrap();
        assert_eq!((talk.missed_at, odd), (None, vec!["missed_at"]));
    }
}

#[test]
fn leads_and_customers_are_read_in_every_shape_that_php_gives_a_list() {
    let lead = |leads: Value| {
        let ReadTalk { talk, odd } = whole(&with("_embedded", json!({"leads": leads}))).unwrap();
        (talk.lead_id, odd)
    };
    assert_eq!(lead(json!([{"id": "5"}, {"id": 6}])), (Some(5), vec![]));
    assert_eq!(lead(json!({"1": {"id": 5}})), (Some(5), vec![]));
    for nothing in [json!([]), json!({}), json!(null), json!(false), json!("")] {
        assert_eq!(lead(nothing), (None, vec![]));
    }
    for odd in [
        json!({"id": 5}),
        json!([{"_links": {}}]),
        json!([{"id": null}]),
        json!([5]),
        json!("5"),
        json!([[5]]),
    ] {
        assert_eq!(lead(odd.clone()), (None, vec!["_embedded.leads"]), "{odd}");
    }
    let ReadTalk { talk, odd } = whole(&with("_embedded", json!({"customers": {"0": {"id": 9}}}))).unwrap();
    assert_eq!((talk.customer_id, talk.lead_id, odd), (Some(9), None, vec![]));
}

#[test]
fn a_missed_at_of_zero_is_not_missed() {
    assert_eq!(read(&with("missed_at", json!(0))).unwrap().missed_at, None);
    assert_eq!(read(&with("missed_at", json!(1))).unwrap().missed_at, Some(UnixSeconds::new(1)));
}

#[test]
fn what_identifies_a_talk_is_required_and_named() {
    for key in IDENTITY {
        let error = read(&without(key)).unwrap_err();
        assert!(error.contains(&format!("`{key}`")), "{error}");
        let error = read(&with(key, Value::Null)).unwrap_err();
        assert!(error.contains(&format!("{key}: invalid type: null")), "{error}");
    }
    let path = |body: Value| match talk(&body.to_string(), TALK, None) {
        Err(WireError::NoTalk { path, .. }) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path(without("updated_at")), "missing field `updated_at`");
    let error = talk(r#"{"title":"Error","status":500}"#, TALK, None).unwrap_err();
    assert!(matches!(error, WireError::OtherObject(_)), "{error}");
    assert_eq!(path(with("updated_at", json!(0))), "updated_at");
    assert_eq!(path(with("is_in_work", json!(2))), "is_in_work");
    assert_eq!(path(with("talk_id", json!(5))), "another talk_id");
}

#[test]
fn a_time_that_is_no_unix_seconds_is_refused() {
    for (key, bad) in [("updated_at", 1631035929000), ("updated_at", 0), ("created_at", YEAR_2100)] {
        assert!(read(&with(key, json!(bad))).unwrap_err().contains(&format!("{key}: expected Unix seconds")));
    }
    assert!(read(&with("updated_at", json!(YEAR_2100 - 1))).is_ok());
}

#[test]
fn another_talk_another_account_and_what_is_no_json_are_refused() {
    let text = example().to_string();
    let error = |body: &str, id| talk(body, id, Some(17029541)).unwrap_err().to_string();
    assert!(error(&text, TalkId::new(118)).contains("talk_id: expected 118, found 117"));
    assert_eq!(
        talk(&text, TALK, Some(1)).unwrap_err(),
        WireError::OtherAccount { expected: 1, found: 17029541 }
    );
    assert!(talk(&text, TALK, None).is_ok());
    assert!(matches!(talk("<html>", TALK, None), Err(WireError::NotJson(_))));
    assert!(error("<html>", TALK).contains("the body: expected value"));
    assert!(error(&text[..40], TALK).contains("EOF"));
    assert!(error(&format!("{text} x"), TALK).contains("trailing characters"));
    assert!(error("[]", TALK).contains("the body: "));
}

proptest! {
    #[test]
    fn a_talk_with_any_optional_field_replaced_is_still_that_talk(
        key in proptest::sample::select(OPTIONAL.to_vec()),
        value in crate::amocrm::tests::any_json(),
    ) {
        let ReadTalk { talk, odd } = whole(&with(key, value)).unwrap();
        prop_assert_eq!((talk.talk_id, talk.account_id, talk.is_in_work), (TALK, 17029541, true));
        prop_assert!(odd.iter().all(|field| field.starts_with(key)));
    }

    #[test]
    fn a_spoilt_talk_is_that_talk_or_none(body in mutated_text(&[EXAMPLE, PHP])) {
        let _ = odd_fields(&body);
        if let Ok(ReadTalk { talk, .. }) = talk(&body, TALK, Some(17029541)) {
            prop_assert_eq!((talk.talk_id, talk.account_id), (TALK, 17029541));
            for time in [Some(talk.created_at), Some(talk.updated_at), talk.missed_at].into_iter().flatten() {
                prop_assert!((1..YEAR_2100).contains(&time.get()));
            }
        }
    }
}
