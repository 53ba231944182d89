//! Pages of lists: the talks as the API lists them, and what happened to them.
//!
//! The address of the next page is made here, and never taken from an answer: the token goes to the
//! configured host alone.

use super::error::To;
use super::wire::{Bool, Int, Text, YEAR_2100};
use super::{Client, Date, Failure, Kind, body, named, request_id};
use crate::talk::{Listed, TalkEvent};
use reqwest::{StatusCode, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

/// The most talks that the API lists in a page.
pub const TALKS_PER_PAGE: u32 = 250;
/// The most events that the API lists in a page.
const EVENTS_PER_PAGE: u32 = 100;
/// A talk with its links comes to about 1 KiB; a page that is far larger is no list of talks.
const PAGE_CAP: usize = 4 * 1024 * 1024;
/// What happens to talks that is worth a fetch.
const EVENT_TYPES: &str = "talk_created,talk_closed,talk_missed_event,conversation_answered";

/// A page of a list. Pages are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// `GET /api/v4/talks`
    Talks { page: u32, only_in_work: bool },
    /// `GET /api/v4/events`, of what happened since this Unix second.
    Events { page: u32, since: i64 },
}

impl Query {
    fn no_rows(self) -> Rows {
        match self {
            Query::Talks { .. } => Rows::Talks(Vec::new()),
            Query::Events { .. } => Rows::Events(Vec::new()),
        }
    }
}

/// A page as it came.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Rows,
    /// There is another page after it, and this one is not empty.
    pub more: bool,
    /// When the server says that it answered.
    pub date: Date,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    Talks(Vec<Listed>),
    /// Those of the page that are about talks.
    Events(Vec<TalkEvent>),
}

impl Client {
    /// Asks for a page of a list.
    ///
    /// `account_id` is the account that the talks must be of, where known.
    ///
    /// # Errors
    /// Everything that is no such page, sorted: [`Kind::Talk`] where the account does not serve it.
    pub async fn page(&self, query: Query, account_id: Option<i64>) -> Result<Page, Failure> {
        let mut response = self.send(self.http.get(self.page_url(query))).await?;
        let request_id = request_id(&response);
        let named = |failure| named(failure, &request_id);
        if let Some(failure) = self.sorted(&mut response, To::List).await {
            return Err(named(failure));
        }
        let date = Date(response.headers().get(header::DATE).cloned());
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Page { rows: query.no_rows(), more: false, date });
        }
        let body = body(&mut response, PAGE_CAP).await.map_err(named)?;
        if body.is_empty() {
            // Taken for the end of the list it would have every open talk fetched.
            return Err(named(Failure::new(Kind::Transient, "the body is empty")));
        }
        let (rows, more) = match query {
            Query::Talks { .. } => talks(&body, account_id).map(|(rows, more)| (Rows::Talks(rows), more)),
            Query::Events { .. } => events(&body, account_id).map(|(rows, more)| (Rows::Events(rows), more)),
        }
        .map_err(|error| named(Failure::new(Kind::Talk, self.without_token(&error))))?;
        Ok(Page { rows, more, date })
    }

    fn page_url(&self, query: Query) -> Url {
        let mut url = self.talks_url.clone();
        match query {
            Query::Talks { page, only_in_work } => {
                url.set_path("/api/v4/talks");
                let mut pairs = url.query_pairs_mut();
                pairs
                    .append_pair("limit", &TALKS_PER_PAGE.to_string())
                    .append_pair("page", &page.to_string());
                if only_in_work {
                    pairs.append_pair("filter[only_in_work]", "1");
                }
            }
            Query::Events { page, since } => {
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

#[derive(Deserialize)]
#[serde(expecting = "a page of a list")]
struct RawPage<T> {
    #[serde(rename = "_embedded")]
    embedded: T,
    #[serde(rename = "_links")]
    links: Option<Links>,
}

#[derive(Deserialize)]
#[serde(expecting = "links")]
struct Links {
    next: Option<IgnoredAny>,
}

/// A row that is read, or one that is none: hints are not so dear that one odd row spoilt them all.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row<T> {
    Good(T),
    Odd(IgnoredAny),
}

#[derive(Deserialize)]
struct Talks {
    talks: Vec<Row<RawListed>>,
}

#[derive(Deserialize)]
struct RawListed {
    talk_id: Int,
    updated_at: Option<Int>,
    is_in_work: Option<Bool>,
    is_read: Option<Bool>,
    account_id: Option<Int>,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<Row<RawEvent>>,
}

#[derive(Deserialize)]
struct RawEvent {
    id: Text,
    #[serde(rename = "type")]
    kind: Option<String>,
    entity_type: Option<String>,
    entity_id: Option<Int>,
    created_at: Int,
    account_id: Option<Int>,
}

/// The rows that are read and of this account; an error where there are rows, and none is.
fn good<T>(
    rows: Vec<Row<T>>,
    account_id: Option<i64>,
    account_of: impl Fn(&T) -> &Option<Int>,
) -> Result<Vec<T>, String> {
    let all = rows.len();
    let ours = |row: &T| match (account_id, account_of(row)) {
        (Some(expected), Some(Int(found))) => expected == *found,
        _ => true,
    };
    let good: Vec<T> = rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Good(row) => Some(row),
            Row::Odd(IgnoredAny) => None,
        })
        .filter(ours)
        .collect();
    match good.is_empty() && all > 0 {
        true => Err(format!("none of its {all} rows is one of this account")),
        false => Ok(good),
    }
}

/// Reads a page of talks, and whether there is another.
fn talks(body: &[u8], account_id: Option<i64>) -> Result<(Vec<Listed>, bool), String> {
    let what = "no such list of talks in the answer";
    let RawPage { embedded: Talks { talks }, links } = read(body, what)?;
    let more = !talks.is_empty() && has_next(links);
    let rows = good(talks, account_id, |row: &RawListed| &row.account_id);
    let listed = rows.map_err(|error| format!("{what}: {error}"))?.into_iter().map(|row| Listed {
        talk_id: row.talk_id.0,
        updated_at: row.updated_at.map(|Int(at)| at),
        is_in_work: row.is_in_work.map(|Bool(value)| value),
        is_read: row.is_read.map(|Bool(value)| value),
    });
    Ok((listed.filter(|row| row.talk_id > 0).collect(), more))
}

/// Reads a page of events, and whether there is another. Events of anything but a talk are left out.
fn events(body: &[u8], account_id: Option<i64>) -> Result<(Vec<TalkEvent>, bool), String> {
    let what = "no such list of events in the answer";
    let RawPage { embedded: Events { events }, links } = read(body, what)?;
    let more = !events.is_empty() && has_next(links);
    let rows = good(events, account_id, |row: &RawEvent| &row.account_id);
    let mut read = Vec::new();
    for row in rows.map_err(|error| format!("{what}: {error}"))? {
        // Read on, it would be the whole account's life.
        if let Some(kind) = row.kind.filter(|kind| !EVENT_TYPES.split(',').any(|wanted| wanted == kind)) {
            return Err(format!("{what}: it holds {kind}, and ignores filter[type]"));
        }
        let (Text(event_id), Int(created_at)) = (row.id, row.created_at);
        if let (Some("talk"), Some(Int(talk_id))) = (row.entity_type.as_deref(), row.entity_id)
            && talk_id > 0
            && (0..YEAR_2100).contains(&created_at)
        {
            read.push(TalkEvent { event_id, talk_id, created_at });
        }
    }
    Ok((read, more))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<RawPage<T>, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| format!("{what}: {error}"))
}

fn has_next(links: Option<Links>) -> bool {
    links.is_some_and(|links| links.next.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_of_talks_is_read_tolerantly_and_without_what_it_does_not_hold() {
        let body = json!({"_page": 1, "_links": {"next": {"href": "https://elsewhere.example/"}}, "_embedded": {"talks": [
            {"talk_id": 5, "updated_at": 7, "is_in_work": true, "is_read": false, "account_id": 1},
            {"talk_id": "6", "updated_at": "8", "is_in_work": 0, "is_read": "1"},
            {"talk_id": 7, "missed_at": null},
        ]}});
        let (rows, more) = talks(body.to_string().as_bytes(), Some(1)).unwrap();
        assert!(more);
        let row =
            |talk_id, updated_at, is_in_work, is_read| Listed { talk_id, updated_at, is_in_work, is_read };
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
            "[]",
            "{}",
            r#"{"_embedded":{}}"#,
            r#"{"_embedded":{"talks":[{"id":5}]}}"#,
            r#"{"_embedded":{"talks":{}}}"#,
            r#"{"_embedded":{"talks":[{"talk_id":1,"account_id":2}]}}"#,
        ] {
            let error = talks(body.as_bytes(), Some(1)).unwrap_err();
            assert!(error.starts_with("no such list of talks in the answer"), "{error}");
        }
    }

    #[test]
    fn an_odd_row_spoils_none_of_the_others() {
        let body = br#"{"_embedded":{"talks":[{"talk_id":null},{"talk_id":1,"account_id":2},{"talk_id":0},7,
                        {"talk_id":3,"account_id":1},{"talk_id":4,"is_read":"maybe"}]},
                        "_links":{"next":{"href":"x"}}}"#;
        let (rows, more) = talks(body, Some(1)).unwrap();
        assert_eq!((rows.iter().map(|row| row.talk_id).collect::<Vec<_>>(), more), (vec![3], true));
        let empty = br#"{"_embedded":{"talks":[]},"_links":{"next":{"href":"x"}}}"#;
        assert_eq!(talks(empty, None).unwrap(), (vec![], false), "a next page of nothing is none");
        let body = br#"{"_embedded":{"events":[{"id":"a","entity_type":"talk","entity_id":1,"created_at":1,"account_id":2},
                        {"entity_id":2},{"id":"c","entity_type":"talk","entity_id":3,"created_at":1,"account_id":1}]}}"#;
        let (events, _) = events(body, Some(1)).unwrap();
        assert_eq!(events.iter().map(|event| event.talk_id).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn events_of_talks_are_read_and_others_left_out() {
        let body = json!({"_embedded": {"events": [
            {"id": "01abc", "type": "talk_closed", "entity_type": "talk", "entity_id": 5, "created_at": 7},
            {"id": 12, "type": "talk_closed", "entity_type": "talk", "entity_id": "6", "created_at": 8},
            {"id": "x", "type": "talk_closed", "entity_type": "lead", "entity_id": 5, "created_at": 7},
        ]}});
        let event = |id: &str, talk_id, created_at| TalkEvent { event_id: id.into(), talk_id, created_at };
        let read = events(body.to_string().as_bytes(), Some(1)).unwrap();
        assert_eq!(read, (vec![event("01abc", 5, 7), event("12", 6, 8)], false));
        assert!(events(br#"{"_embedded":{"events":[{"created_at":9}]}}"#, None).is_err());
        let other = br#"{"_embedded":{"events":[{"id":"x","type":"lead_added","created_at":7}]}}"#;
        assert!(events(other, None).unwrap_err().contains("ignores filter[type]"));
    }
}
