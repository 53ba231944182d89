use super::*;
use crate::mutated::mutated_text;
use proptest::prelude::*;
use serde_json::json;

fn page_of(name: &str, rows: &serde_json::Value) -> String {
    json!({"_page": 1, "_links": {}, "_embedded": {name: rows}}).to_string()
}

#[test]
fn a_user_is_read_with_its_name_and_without_its_address() {
    let rows = json!([
        {"id": 31, "name": "Anna", "email": "anna@example.com", "rights": {"is_active": true, "is_admin": false}},
        {"id": "32", "name": null, "rights": []},
        {"id": 33, "name": 7, "rights": {"is_active": "0"}},
    ]);
    let read = users(&page_of("users", &rows), Some(1)).unwrap();
    let user =
        |user_id, name: Option<&str>, is_active| User { user_id, name: name.map(Into::into), is_active };
    let expected =
        vec![user(31, Some("Anna"), Some(true)), user(32, None, None), user(33, Some("7"), Some(false))];
    assert_eq!(read, NamePage { rows: expected, more: false, unread: 0 });
}

#[test]
fn a_row_that_cannot_be_read_or_is_another_account_s_counts_as_unread() {
    let rows = json!([{"id": 1}, {"id": null}, {"id": 0}, {"id": -3}, 7, {"id": 2, "account_id": 5}]);
    let read = contacts(&page_of("contacts", &rows), Some(1)).unwrap();
    assert_eq!((read.rows, read.unread), (vec![Contact { contact_id: 1, name: None }], 5));
    let others = json!([{"id": 2, "account_id": 5}]);
    assert!(contacts(&page_of("contacts", &others), Some(1)).is_err());
}

#[test]
fn pipelines_are_read_with_their_statuses_in_every_shape_that_php_gives_them() {
    let statuses =
        json!([{"id": 142, "name": "Won", "sort": 10000}, {"id": "143", "name": "Lost", "sort": "11000"}]);
    let keyed = json!({"1": {"id": 142, "name": "Won", "sort": 10000}, "2": {"id": 143, "name": "Lost", "sort": 11000}});
    for statuses in [statuses, keyed] {
        let rows = json!([{"id": 5, "name": "Sales", "sort": 1, "is_main": 1, "is_archive": false, "account_id": 1,
                           "_embedded": {"statuses": statuses}}]);
        let read = pipelines(&page_of("pipelines", &rows), Some(1)).unwrap();
        let status =
            |status_id, name: &str, sort| Status { status_id, name: Some(name.into()), sort: Some(sort) };
        let expected = Pipeline {
            pipeline_id: 5,
            name: Some("Sales".into()),
            sort: Some(1),
            is_main: Some(true),
            is_archive: Some(false),
            statuses: vec![status(142, "Won", 10_000), status(143, "Lost", 11_000)],
            has_all_statuses: true,
        };
        assert_eq!(read, NamePage { rows: vec![expected], more: false, unread: 0 });
    }
    for nothing in
        [json!([]), json!(null), json!({"statuses": []}), json!({"statuses": 7}), json!({"statuses": [{}]})]
    {
        let rows = json!([{"id": 5, "_embedded": nothing}]);
        let read = pipelines(&page_of("pipelines", &rows), Some(1)).unwrap();
        assert_eq!((read.rows[0].statuses.len(), read.rows[0].has_all_statuses), (0, false), "{nothing}");
    }
}

#[test]
fn a_lead_is_read_without_what_nobody_is_and_a_deleted_one_is_none() {
    let rows = json!([
        {"id": 7, "name": "Chairs", "price": "500", "responsible_user_id": 31, "pipeline_id": 5, "status_id": 142,
         "closed_at": 1_631_035_929, "is_deleted": false, "custom_fields_values": [{"field_id": 1}]},
        {"id": 8, "name": "", "price": null, "responsible_user_id": 0, "pipeline_id": false, "status_id": [], "closed_at": 0},
        {"id": 9, "is_deleted": true},
    ]);
    let read = leads(&page_of("leads", &rows), Some(1)).unwrap();
    let open = Lead {
        lead_id: 8,
        name: None,
        price: None,
        responsible_user_id: None,
        pipeline_id: None,
        status_id: None,
        closed_at: None,
    };
    let closed = Lead {
        lead_id: 7,
        name: Some("Chairs".into()),
        price: Some(500),
        responsible_user_id: Some(31),
        pipeline_id: Some(5),
        status_id: Some(142),
        closed_at: Some(UnixSeconds::new(1_631_035_929)),
    };
    assert_eq!(read, NamePage { rows: vec![closed, open], more: false, unread: 0 });
}

#[test]
fn a_long_name_is_cut() {
    let rows = json!([{"id": 7, "name": "й".repeat(10_000)}]);
    let read = leads(&page_of("leads", &rows), None).unwrap();
    assert_eq!(read.rows[0].name.as_ref().unwrap().chars().count(), MAX_NAME_CHARS);
}

const PAGES: &[&str] = &[
    r#"{"_total_items":1,"_page":1,"_links":{"next":{"href":"x"}},"_embedded":{"users":[{"id":31,"name":"Anna","email":"a@example.com","rights":{"is_active":true,"status_rights":[{"entity_type":"leads"}]}}]}}"#,
    r#"{"_embedded":{"pipelines":[{"id":5,"name":"Sales","sort":1,"is_main":true,"is_archive":false,"account_id":17029541,"_embedded":{"statuses":[{"id":142,"name":"Won","sort":10000},{"id":143}]}}]}}"#,
    r#"{"_embedded":{"leads":{"0":{"id":7,"name":"Chairs","price":500,"responsible_user_id":31,"closed_at":1631035929},"3":{"id":"8","closed_at":null}}}}"#,
    r#"{"_embedded":{"contacts":[{"id":7,"name":"Client","account_id":17029541}]}}"#,
];

proptest! {
    #[test]
    fn a_spoilt_page_holds_names_or_is_none(body in mutated_text(PAGES)) {
        let account = Some(17_029_541);
        let short = |name: &Option<String>| name.as_ref().is_none_or(|name| name.chars().count() <= MAX_NAME_CHARS);
        if let Ok(read) = users(&body, account) {
            prop_assert!(read.rows.iter().all(|user| user.user_id > 0 && short(&user.name)));
        }
        if let Ok(read) = pipelines(&body, account) {
            prop_assert!(read.rows.iter().all(|pipeline| pipeline.pipeline_id > 0 && short(&pipeline.name)));
        }
        if let Ok(read) = leads(&body, account) {
            prop_assert!(read.rows.iter().all(|lead| lead.lead_id > 0 && short(&lead.name)));
        }
        if let Ok(read) = contacts(&body, account) {
            prop_assert!(read.rows.iter().all(|contact| contact.contact_id > 0 && short(&contact.name)));
        }
    }
}
