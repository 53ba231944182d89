//! Pages of lists: the talks, and the events that happened to them.
//!
//! The address of the next page is built here and never taken from a response, so the token goes to the configured
//! host only.

use super::error::RequestKind;
use super::loose::{self, Int, Loose, is_nothing};
use super::wire::YEAR_2100;
use super::{Client, Date, Failure, Shape, body, content_type, request_id, text_of, with_request_id};
use crate::talk::{Listed, TalkEvent, TalkId};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

/// The most talks that the API lists in a page.
pub(super) const TALKS_PER_PAGE: u32 = 250;
/// The most events that the API lists in a page.
const EVENTS_PER_PAGE: u32 = 100;
/// A talk with its links takes about 1 KiB, so a far larger page is not a list of talks.
const PAGE_CAP: usize = 4 * 1024 * 1024;
/// The events that make a talk worth fetching.
const EVENT_TYPES: &str = "talk_created,talk_closed,talk_missed_event,conversation_answered";

/// A request for a page of a list. Pages count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum PageQuery {
    /// `GET /api/v4/talks`
    Talks { page: u32, only_in_work: bool },
    /// `GET /api/v4/events`, of the events since this Unix second.
    Events { page: u32, since: i64 },
}

impl PageQuery {
    fn no_rows(self) -> Rows {
        match self {
            PageQuery::Talks { .. } => Rows::Talks(Vec::new()),
            PageQuery::Events { .. } => Rows::Events(Vec::new()),
        }
    }
}

/// A page as the API returned it.
#[derive(Debug, Clone)]
pub struct Page {
    /// What the page lists.
    pub rows: Rows,
    /// Another page follows, and this one is not empty.
    pub more: bool,
    /// The server's time of the response.
    pub date: Date,
}

/// The rows of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Of the list of talks.
    Talks(Vec<Listed>),
    /// The page's events that concern talks.
    Events(Vec<TalkEvent>),
}

impl Client {
    /// Fetches a page of a list.
    ///
    /// `account_id` is the account that the rows must belong to, if it is known.
    ///
    /// # Errors
    /// Every response that is not such a page, classified: [`super::Kind::NotServed`] if the account does not offer
    /// it.
    pub async fn page(&self, query: PageQuery, account_id: Option<i64>) -> Result<Page, Failure> {
        let mut response = self.send(self.http.get(self.page_url(query))).await?;
        let request_id = request_id(&response);
        let with_request_id = |failure| with_request_id(failure, request_id.as_ref());
        if let Some(failure) = self.classify(&mut response, RequestKind::List).await {
            return Err(with_request_id(failure));
        }
        let (date, content_type) = (Date::of(&response), content_type(&response));
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Page { rows: query.no_rows(), more: false, date });
        }
        let body = body::read(&mut response, PAGE_CAP).await.map_err(with_request_id)?;
        // An empty body is not the end of the list. Treated as the end, it would cause every open talk to be
        // fetched.
        let body = text_of(body, content_type.as_deref(), "list").map_err(with_request_id)?;
        let (rows, more) = match query {
            PageQuery::Talks { .. } => talks(&body, account_id).map(|(rows, more)| (Rows::Talks(rows), more)),
            PageQuery::Events { .. } => {
                events(&body, account_id).map(|(rows, more)| (Rows::Events(rows), more))
            }
        }
        .map_err(|(shape, error)| with_request_id(Failure::unexpected(shape, self.without_token(&error))))?;
        Ok(Page { rows, more, date })
    }

    fn page_url(&self, query: PageQuery) -> Url {
        let mut url = self.talks_url.clone();
        match query {
            PageQuery::Talks { page, only_in_work } => {
                url.set_path("/api/v4/talks");
                let mut pairs = url.query_pairs_mut();
                pairs
                    .append_pair("limit", &TALKS_PER_PAGE.to_string())
                    .append_pair("page", &page.to_string());
                if only_in_work {
                    pairs.append_pair("filter[only_in_work]", "1");
                }
            }
            PageQuery::Events { page, since } => {
                url.set_path("/api/v4/events");
                url.query_pairs_mut()
                    .append_pair("limit", &EVENTS_PER_PAGE.to_string())
                    .append_pair("page", &page.to_string())
                    .append_pair("filter[type]", EVENT_TYPES)
                    .append_pair("filter[created_at][from]", &since.to_string());
            }
        }
        url
    }
}

/// Why a body is not a page of a list.
type PageError = (Shape, String);

/// The rows of a page, and whether it names a next one.
///
/// PHP writes an empty object as `[]`, a list with gaps as an object keyed by numbers, and nothing in several ways.
fn page<'a>(body: &'a str, name: &str, what: &str) -> Result<(Vec<&'a RawValue>, bool), PageError> {
    let wrong = |path: &str, found: &str| (Shape::WrongAt(path.into()), format!("{what}: {found}"));
    let refused = |error: serde_json::Error| {
        let shape = if error.is_data() { Shape::OtherObject } else { Shape::NotJson };
        (shape, format!("{what}: {error}"))
    };
    let whole: &RawValue = serde_json::from_str(body).map_err(refused)?;
    // An empty object is refused below: nothing in it shows that it is a page.
    if is_nothing(whole.get()) && whole.get().starts_with(['[', 'n']) {
        return Ok((Vec::new(), false));
    }
    let found: Members<'a> = serde_json::from_str(whole.get()).map_err(refused)?;
    let embedded = match found.get("_embedded") {
        Some(embedded) if is_nothing(embedded.get()) => return Ok((Vec::new(), false)),
        Some(embedded) => *embedded,
        // An error object has neither.
        None if found.contains_key("_page") || found.contains_key("_links") => {
            return Ok((Vec::new(), false));
        }
        None => return Err((Shape::OtherObject, format!("{what}: it has no _embedded, _page or _links"))),
    };
    let links = found.get("_links").copied();
    let embedded: Members<'a> =
        members(embedded).ok_or_else(|| wrong("_embedded", "_embedded: expected an object"))?;
    let rows =
        embedded.get(name).ok_or_else(|| wrong("_embedded", &format!("_embedded: it has no {name}")))?;
    let rows = match loose::rows(Some(rows)) {
        Loose::Value(rows) => rows,
        Loose::Nothing => Vec::new(),
        Loose::Odd => return Err(wrong("_embedded", &format!("_embedded.{name}: expected a list"))),
    };
    let next = links.and_then(members).and_then(|links| links.get("next").copied());
    let more = !rows.is_empty() && next.is_some_and(|next| !is_nothing(next.get()));
    Ok((rows, more))
}

type Members<'a> = std::collections::HashMap<String, &'a RawValue>;

/// The members of an object.
fn members(raw: &RawValue) -> Option<Members<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A row of the listing as sent.
#[derive(Deserialize)]
struct RawListed<'a> {
    talk_id: Int,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
    #[serde(borrow)]
    is_in_work: Option<&'a RawValue>,
    #[serde(borrow)]
    is_read: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// A row of the events as sent.
#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    created_at: Int,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_type: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_id: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// The rows that can be read and belong to this account.
fn readable<'a, T: Deserialize<'a>>(
    rows: &[&'a RawValue],
    account_id: Option<i64>,
    account_of: impl Fn(&T) -> Option<&'a RawValue>,
) -> impl Iterator<Item = T> {
    rows.iter().filter_map(|row| serde_json::from_str(row.get()).ok()).filter(move |row| {
        match (account_id, loose::int(account_of(row)).value()) {
            (Some(expected), Some(found)) => expected == found,
            _ => true,
        }
    })
}

/// One odd row does not spoil the others: rows are hints. If no row is usable, the page is refused.
fn require_usable(of_use: bool, rows: &[&RawValue], what: &str) -> Result<(), PageError> {
    match of_use || rows.is_empty() {
        true => Ok(()),
        false => {
            Err((Shape::WrongAt("rows".into()), format!("{what}: none of its rows belongs to this account")))
        }
    }
}

/// Reads a page of talks, and whether there is another.
fn talks(body: &str, account_id: Option<i64>) -> Result<(Vec<Listed>, bool), PageError> {
    let what = "the answer holds no valid list of talks";
    let (rows, more) = page(body, "talks", what)?;
    let listed: Vec<Listed> = readable(&rows, account_id, |row: &RawListed<'_>| row.account_id)
        .map(|row| Listed {
            talk_id: TalkId::new(row.talk_id.0),
            updated_at: loose::int(row.updated_at).value(),
            is_in_work: loose::boolean(row.is_in_work).value(),
            is_read: loose::boolean(row.is_read).value(),
        })
        .filter(|row| row.talk_id.get() > 0)
        .collect();
    require_usable(!listed.is_empty(), &rows, what)?;
    Ok((listed, more))
}

/// Reads a page of events, and whether another follows. Events that do not concern talks are left out.
fn events(body: &str, account_id: Option<i64>) -> Result<(Vec<TalkEvent>, bool), PageError> {
    let what = "the answer holds no valid list of events";
    let (rows, more) = page(body, "events", what)?;
    let (mut read, mut others) = (Vec::new(), false);
    for row in readable(&rows, account_id, |row: &RawEvent<'_>| row.account_id) {
        let text = |raw| loose::text(raw).value();
        let kind = text(row.kind);
        // An account that ignores the filter would list its whole history.
        if kind.as_ref().is_some_and(|kind| !EVENT_TYPES.split(',').any(|wanted| wanted == kind)) {
            let detail = format!("{what}: it holds other types, so the API ignores filter[type]");
            return Err((Shape::WrongAt("type".into()), detail));
        }
        // All requested types concern talks, so a row without an entity type does too.
        if text(row.entity_type).is_some_and(|entity_type| entity_type != "talk") {
            others = true;
            continue;
        }
        let Int(created_at) = row.created_at;
        if let Some(talk_id) = loose::int(row.entity_id).value()
            && talk_id > 0
            && (0..YEAR_2100).contains(&created_at)
        {
            // The id only distinguishes known events from new ones. The event's content does that too.
            let event_id = text(row.id)
                .unwrap_or_else(|| format!("{} of talk {talk_id} at {created_at}", kind.unwrap_or_default()));
            read.push(TalkEvent { event_id, talk_id: TalkId::new(talk_id), created_at });
        }
    }
    require_usable(!read.is_empty() || others, &rows, what)?;
    Ok((read, more))
}

#[cfg(test)]
mod tests {
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
        let row = |talk_id, updated_at, is_in_work, is_read| Listed {
            talk_id: TalkId::new(talk_id),
            updated_at,
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
        let (events, _) = events(body, Some(1)).unwrap();
        assert_eq!(events.iter().map(|event| event.talk_id.get()).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_page_is_read_in_every_shape_that_php_gives_it() {
        let ids = |body: &str| {
            let (rows, more) = talks(body, Some(1)).unwrap();
            (rows.iter().map(|row| row.talk_id.get()).collect::<Vec<_>>(), more)
        };
        for links in
            ["[]", "null", "{}", "false", "7", r#"{"next":false}"#, r#"{"next":[]}"#, r#"{"next":null}"#]
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
        for nothing in [
            "[]",
            "null",
            "{}",
            r#"{"talks":[]}"#,
            r#"{"talks":null}"#,
            r#"{"talks":{}}"#,
            r#"{"talks":false}"#,
        ] {
            let page = format!(r#"{{"_embedded":{nothing},"_links":{{"next":{{"href":"x"}}}}}}"#);
            assert_eq!(ids(&page), (vec![], false), "{nothing}");
        }
        for empty in [
            "[]",
            " [ ] ",
            "null",
            r#"{"_page":1}"#,
            r#"{"_links":[]}"#,
            r#"{"_page":1,"_links":{"next":7}}"#,
        ] {
            assert_eq!(ids(empty), (vec![], false), "{empty}");
            assert_eq!(events(empty, None).unwrap(), (vec![], false), "{empty}");
        }
        assert_eq!(
            ids(r#"{"_embedded":{"talks":{"-1":{"talk_id":3},"0":{"talk_id":4}}}}"#),
            (vec![3, 4], false)
        );
    }

    #[test]
    fn events_of_talks_are_read_and_others_left_out() {
        let body = json!({"_embedded": {"events": [
            {"id": "01abc", "type": "talk_closed", "entity_type": "talk", "entity_id": 5, "created_at": 7},
            {"id": 12, "type": "talk_closed", "entity_type": "talk", "entity_id": "6", "created_at": 8},
            {"id": "x", "type": "talk_closed", "entity_type": "lead", "entity_id": 5, "created_at": 7},
        ]}});
        let event = |id: &str, talk_id, created_at| TalkEvent {
            event_id: id.into(),
            talk_id: TalkId::new(talk_id),
            created_at,
        };
        let read = events(&body.to_string(), Some(1)).unwrap();
        assert_eq!(read, (vec![event("01abc", 5, 7), event("12", 6, 8)], false));
        for useless in [
            r#"{"created_at":9}"#,
            r#"{"id":"a","created_at":9,"entity_type":"talk"}"#,
            r#"{"id":"a","entity_id":5}"#,
        ] {
            assert!(
                events(&format!(r#"{{"_embedded":{{"events":[{useless}]}}}}"#), None).is_err(),
                "{useless}"
            );
        }
        let other = r#"{"_embedded":{"events":[{"id":"x","type":"lead_added","created_at":7}]}}"#;
        assert!(events(other, None).unwrap_err().1.contains("ignores filter[type]"));
    }

    #[test]
    fn an_event_without_id_or_entity_type_is_one_of_its_talk() {
        let read = |row: serde_json::Value| {
            let body = json!({"_embedded": {"events": [row]}}).to_string();
            events(&body, Some(1))
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
            if let Ok((rows, _)) = events(&body, Some(17029541)) {
                prop_assert!(rows.iter().all(|row| row.talk_id.get() > 0 && (0..YEAR_2100).contains(&row.created_at)));
            }
        }
    }
}
