//! What the API and the PHP behind it sometimes omit, or send in another shape: it is read anyway, and reported.

use crate::closing::LIVE;
use crate::feeders::{EVENTS, LISTING};
use crate::harness::{Mirror, account, response, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, complaints, part};
use serde_json::{Value, json};
use talkmirror_simulator::ACCOUNT_ID;

/// A talk with these fields replaced. `None` removes one.
fn talk(talk_id: i64, fields: &[(&str, Option<Value>)]) -> Value {
    let at = unix_now() - 90_000;
    let mut talk = json!({
        "talk_id": talk_id, "created_at": at, "updated_at": at, "rate": 0, "contact_id": 5, "chat_id": "c",
        "entity_id": 6, "entity_type": "lead", "is_in_work": true, "is_read": true, "origin": "telegram",
        "missed_at": at, "account_id": ACCOUNT_ID, "_embedded": {"leads": [{"id": 7}], "customers": []},
    });
    for (name, value) in fields {
        match value {
            Some(value) => talk[*name] = value.clone(),
            None => drop(talk.as_object_mut().unwrap().remove(*name)),
        }
    }
    talk
}

/// A mirror whose talk 1 always returns this.
fn answering(body: &Value) -> Mirror {
    let mirror = Mirror::new(account(3));
    mirror.simulator.account().script(1, vec![response(body); 9]);
    mirror
}

const OPTIONAL: [&str; 10] = [
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
];

#[test]
fn a_talk_without_any_optional_field_is_mirrored() {
    let nothings =
        [None, Some(json!(null)), Some(json!("")), Some(json!([])), Some(json!({})), Some(json!(false))];
    for nothing in nothings {
        let mut fields: Vec<_> = OPTIONAL.map(|name| (name, nothing.clone())).into();
        fields.push(("_embedded", nothing.clone()));
        let body = talk(1, &fields);
        let mirror = answering(&body);
        mirror.ends(0, &["sync", "1"]);
        for name in OPTIONAL {
            // Here false is a value.
            let expected = if name == "is_read" && nothing == Some(json!(false)) { "0" } else { "NULL" };
            let found: String = mirror.sql(&format!("SELECT quote({name}) FROM talks"));
            assert_eq!(found, expected, "{name} of {nothing:?}");
        }
        assert_eq!(
            mirror.sql::<String>("SELECT quote(lead_id) || quote(customer_id) FROM talks"),
            "NULLNULL"
        );
        assert_eq!(mirror.sql::<String>("SELECT payload FROM talks"), body.to_string(), "as received");
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM odd_fields"), 0, "{nothing:?} is not odd");
        mirror.ends(0, &["stale"]);
        mirror.ends(0, &["why", "1"]);
        mirror.assert_sound();
    }
}

#[test]
fn a_field_of_another_shape_is_null_and_reported_by_name() {
    let odd: Vec<_> = OPTIONAL
        .map(|name| (name, Some(json!({"news": [1, 2]}))))
        .into_iter()
        .chain([("_embedded", Some(json!("x")))])
        .collect();
    let mirror = answering(&talk(1, &odd));
    mirror.ends(0, &["sync", "1"]);
    for name in OPTIONAL {
        assert_eq!(mirror.sql::<String>(&format!("SELECT quote({name}) FROM talks")), "NULL", "{name}");
        let counted =
            format!("SELECT answers = 1 AND last_talk_id = 1 FROM odd_fields WHERE field = '{name}'");
        assert!(mirror.sql::<bool>(&counted), "{name}");
    }
    let (out, _) = mirror.ends(0, &["why", "1"]);
    assert_said!(part(&out, "Odd"), @"Odd  _embedded, rate, contact_id, chat_id, entity_id, entity_type, is_read, origin, missed_at, status, source_id: of another shape than the API documents, stored as NULL");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(complaints(&out), @"
    ! optional fields came in another shape than the API documents, and are NULL: _embedded (1 answers), chat_id (1 answers), contact_id (1 answers), entity_id (1 answers), entity_type (1 answers), is_read (1 answers), missed_at (1 answers), origin (1 answers), rate (1 answers), source_id (1 answers), status (1 answers)
      → `talkmirror why 1` shows the last one; its payload has the value. `DELETE FROM odd_fields` clears this message
    ");
    let (out, _) = mirror.ends(0, &["status", "--json"]);
    let status: Value = serde_json::from_str(&out).unwrap();
    let fields: Vec<_> =
        status["odd_fields"].as_array().unwrap().iter().map(|row| row["field"].clone()).collect();
    assert!(fields.contains(&json!("chat_id")) && fields.contains(&json!("_embedded")), "{fields:?}");
}

#[test]
fn each_odd_field_is_in_the_log_once_a_day_and_in_the_metrics() {
    let mirror = Mirror::new(account(3));
    let port = Mirror::free_port();
    mirror.configure(&format!("http.listen = \"127.0.0.1:{port}\"\n"));
    let are_odd = |fields: &[&str]| {
        let fields: Vec<_> = fields.iter().map(|field| (*field, Some(json!(["telegram"])))).collect();
        for talk_id in 1..=3 {
            mirror
                .simulator
                .account()
                .scripted
                .insert(talk_id, vec![response(talk(talk_id, &fields)); 9].into());
        }
    };
    let origins = |answers: i64| {
        mirror.ends(0, &["enqueue", "1..3"]);
        let counted = "SELECT answers FROM odd_fields WHERE field = 'origin'";
        mirror.wait_sql("they are counted", counted, answers);
    };
    let lines = |field: &str| {
        let is_of_it = |line: &&String| line.split(' ').any(|word| word == field);
        mirror.logged(journal::ODD_FIELD).iter().filter(is_of_it).count()
    };
    are_odd(&["origin"]);
    let daemon = mirror.running_daemon();
    origins(3);
    origins(6);
    let (_, metrics) = mirror.get(port, "/metrics");
    assert!(metrics.contains("talkmirror_odd_fields_total{field=\"origin\"} 6"), "{metrics}");
    // Another field is reported without waiting for a day.
    are_odd(&["origin", "chat_id", "rate"]);
    origins(9);
    daemon.stop();
    are_odd(&["origin", "chat_id", "rate", "contact_id"]);
    let daemon = mirror.running_daemon();
    origins(12);
    daemon.stop();
    for field in ["origin", "chat_id", "rate", "contact_id"] {
        assert_eq!(lines(field), 1, "{field}: {}", mirror.log());
    }
    // A day has passed for one of them.
    mirror.execute("UPDATE mirror_info SET value = value - 86400 WHERE key = 'odd_fields.reported_at.rate'");
    let daemon = mirror.running_daemon();
    origins(15);
    daemon.stop();
    assert_eq!((lines("rate"), lines("origin")), (2, 1), "{}", mirror.log());
}

#[test]
fn a_talk_whose_missed_at_cannot_be_read_is_not_stale() {
    for missed_at in [json!("yesterday"), json!({"at": 1}), json!(-5), json!(true)] {
        let body = talk(1, &[("missed_at", Some(missed_at.clone()))]);
        let mirror = answering(&body);
        mirror.configure(LIVE);
        mirror.ends(0, &["sync", "1", "2", "3"]);
        assert!(mirror.simulator.account().closes_of(1).0 == 0, "{missed_at}");
        assert_eq!(mirror.sql::<String>("SELECT quote(missed_at) FROM talks WHERE talk_id = 1"), "NULL");
    }
}

#[test]
fn talks_without_the_key_missed_at_leave_auto_close_nothing_to_go_by_and_status_says_so() {
    let mirror = Mirror::new(account(30));
    mirror.configure(LIVE);
    for talk_id in 1..=30 {
        mirror.simulator.account().script(talk_id, vec![response(talk(talk_id, &[("missed_at", None)])); 5]);
    }
    mirror.ends(0, &["sync", "1..30"]);
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(complaints(&out), @"
    ! 30 of the newest 30 talks came without the field missed_at, which auto-close needs
      → ask the vendor's support why GET /api/v4/talks/{id} does not send it in this account
    ");
    assert!(mirror.simulator.account().closes.is_empty());
}

#[test]
fn a_few_talks_that_all_lack_the_key_missed_at_are_enough_for_status() {
    for (lacking, is_said) in [(1, false), (2, true), (3, true)] {
        let mirror = Mirror::new(account(4));
        for talk_id in 1..=lacking {
            mirror.simulator.account().script(talk_id, [response(talk(talk_id, &[("missed_at", None)]))]);
        }
        mirror.ends(0, &["sync", &format!("1..{lacking}")]);
        let said = || mirror.status()["warnings"].as_array().unwrap().len();
        assert_eq!(said(), usize::from(is_said), "{lacking}");
        mirror.ends(0, &["sync", "4"]);
        assert_eq!(said(), 0, "{lacking} of a few more");
    }
}

#[test]
fn what_identifies_a_talk_stays_required() {
    for name in ["talk_id", "account_id", "created_at", "updated_at", "is_in_work"] {
        for value in [None, Some(json!(null)), Some(json!("")), Some(json!([])), Some(json!("x"))] {
            let mirror = answering(&talk(1, &[(name, value.clone())]));
            mirror.configure("queue.max_attempts = 1\n");
            mirror.ends(1, &["sync", "1", "2"]);
            assert_eq!(
                mirror.sql::<i64>("SELECT group_concat(talk_id) = '2' FROM talks"),
                1,
                "{name}: {value:?}"
            );
            let error: String = mirror.sql("SELECT last_error FROM talk_queue");
            assert!(error.contains(name), "{name}: {error}");
        }
    }
    let mirror = answering(&talk(
        1,
        &[("is_in_work", Some(json!(1.0))), ("updated_at", Some(json!(1_700_000_000.0)))],
    ));
    mirror.ends(0, &["sync", "1"]);
    assert!(mirror.sql::<bool>("SELECT is_in_work AND updated_at = 1700000000 FROM talks"));
}

/// Pages as PHP writes them.
fn pages(name: &str, rows: &[Value]) -> Vec<Value> {
    let keyed: serde_json::Map<_, _> =
        rows.iter().enumerate().map(|(place, row)| ((place + 3).to_string(), row.clone())).collect();
    vec![
        json!({"_page": 1, "_links": [], "_embedded": {name: rows}}),
        json!({"_page": "1", "_links": null, "_embedded": {name: keyed}}),
        json!({"_page": 1, "_links": {"next": []}, "_embedded": {name: rows}}),
        json!({"_page": 1, "_embedded": {name: rows}}),
        json!({"_page": 1, "_embedded": {name: {"-1": rows[0], "0": rows[1]}}}),
    ]
}

#[test]
fn the_listing_and_the_events_are_read_in_every_shape_of_php() {
    let listed = [
        json!({"talk_id": "2", "updated_at": unix_now(), "is_in_work": 1, "is_read": ""}),
        json!({"talk_id": 3}),
    ];
    let happened = [2, 3].map(|id| {
        json!({"id": format!("01j{id}"), "type": "talk_created", "entity_id": id, "entity_type": "talk",
               "created_at": unix_now().to_string()})
    });
    let without = |names: &[&str]| {
        let mut rows = happened.clone();
        for row in &mut rows {
            names.iter().for_each(|name| drop(row.as_object_mut().unwrap().remove(*name)));
        }
        json!({"_page": 1, "_links": [], "_embedded": {"events": rows}})
    };
    let sparse = [without(&["id"]), without(&["entity_type"]), without(&["id", "entity_type", "type"])];
    let of_talks = pages("talks", &listed).into_iter().map(|page| (LISTING, page));
    let of_events = pages("events", &happened).into_iter().chain(sparse).map(|page| (EVENTS, page));
    for (feeder, page) in of_talks.chain(of_events) {
        let mirror = Mirror::new(account(3));
        mirror.configure(feeder);
        {
            let mut account = mirror.simulator.account();
            (account.list_fault, account.events_fault) = (Some(response(&page)), Some(response(&page)));
        }
        let daemon = mirror.running_daemon();
        mirror.wait_sql(&format!("{page} is read"), "SELECT count(*) FROM talks WHERE talk_id IN (2, 3)", 2);
        daemon.stop();
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM feeders WHERE trouble IS NOT NULL"), 0, "{page}");
    }
}

#[test]
fn an_empty_page_is_an_empty_page_in_every_shape_of_php() {
    for page in [
        json!({"_page": 1, "_links": [], "_embedded": []}),
        json!({"_page": 1, "_links": {}, "_embedded": null}),
        json!({"_page": 1, "_embedded": {"talks": null, "events": null}}),
        json!({"_page": 1, "_embedded": {"talks": {}, "events": {}}}),
        json!({"_page": 1, "_embedded": {"talks": false, "events": false}}),
        json!({"_page": 1, "_links": []}),
        json!({"_links": {"self": {"href": "x"}}}),
        json!([]),
        json!(null),
    ] {
        let mirror = Mirror::new(account(3));
        mirror.configure(&format!("{LISTING}{EVENTS}"));
        {
            let mut account = mirror.simulator.account();
            (account.list_fault, account.events_fault) = (Some(response(&page)), Some(response(&page)));
        }
        let daemon = mirror.running_daemon();
        let ran = "SELECT count(*) FROM feeders WHERE feeder IN ('listing', 'events') AND ran_at IS NOT NULL";
        mirror.wait_sql("both are read", ran, 2);
        daemon.stop();
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM feeders WHERE trouble IS NOT NULL"), 0, "{page}");
    }
}
