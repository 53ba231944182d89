//! Pages of lists: the talks, and the events that happened to them.
//!
//! The address of the next page is built here and never taken from a response, so the token goes to the configured
//! host only.

use super::error::RequestKind;
use super::loose::{self, Int, Loose, is_nothing};
use super::wire::YEAR_2100;
use super::{Client, Date, Failure, Shape, body, content_type, request_id, text_of, with_request_id};
use crate::clock::UnixSeconds;
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
/// An id or a type of an event that is longer is none of the API's: an id has 26 characters.
const MAX_NAME_CHARS: usize = 64;
/// The events that make a talk worth fetching.
const EVENT_TYPES: &str = "talk_created,talk_closed,talk_missed_event,conversation_answered";

/// A request for a page of a list. Pages count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum PageQuery {
    /// `GET /api/v4/talks`
    Talks { page: u32, only_in_work: bool },
    /// `GET /api/v4/events`, of the events since this time, and up to `until`, if given. Both count.
    Events { page: u32, since: UnixSeconds, until: Option<UnixSeconds> },
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
            PageQuery::Events { until, .. } => {
                events(&body, account_id, until.is_some()).map(|(rows, more)| (Rows::Events(rows), more))
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
            PageQuery::Events { page, since, until } => {
                url.set_path("/api/v4/events");
                let mut pairs = url.query_pairs_mut();
                pairs
                    .append_pair("limit", &EVENTS_PER_PAGE.to_string())
                    .append_pair("page", &page.to_string())
                    .append_pair("filter[type]", EVENT_TYPES)
                    // Documented, as is `[to]`; which order the events come in is not: the newest first, as seen.
                    .append_pair("filter[created_at][from]", &since.to_string());
                if let Some(until) = until {
                    pairs.append_pair("filter[created_at][to]", &until.to_string());
                }
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
    /// Documented: the id of the user. Seen: 0 for what no user did.
    #[serde(borrow)]
    created_by: Option<&'a RawValue>,
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
            updated_at: loose::int(row.updated_at).value().map(UnixSeconds::new),
            is_in_work: loose::boolean(row.is_in_work).value(),
            is_read: loose::boolean(row.is_read).value(),
        })
        .filter(|row| row.talk_id.get() > 0)
        .collect();
    require_usable(!listed.is_empty(), &rows, what)?;
    Ok((listed, more))
}

/// Reads a page of events, and whether another follows. Events that do not concern talks are left out. Of past events, a
/// page may have none that is usable: it would be the same the next time.
fn events(body: &str, account_id: Option<i64>, past: bool) -> Result<(Vec<TalkEvent>, bool), PageError> {
    let what = "the answer holds no valid list of events";
    let (rows, more) = page(body, "events", what)?;
    let (mut read, mut others) = (Vec::new(), false);
    for row in readable(&rows, account_id, |row: &RawEvent<'_>| row.account_id) {
        let text = |raw| loose::text(raw).value();
        let (kind, entity_type) = (text(row.kind), text(row.entity_type));
        let is_wanted = kind.as_ref().is_none_or(|kind| EVENT_TYPES.split(',').any(|wanted| wanted == kind));
        match entity_type.as_deref() {
            Some("talk") => {}
            // All requested types concern talks, so a row without an entity type does too.
            None if is_wanted => {}
            Some(_) if is_wanted => {
                others = true;
                continue;
            }
            // An account that ignores the filter would list its whole history.
            _ => {
                let detail = format!("{what}: it holds other types, so the API ignores filter[type]");
                return Err((Shape::WrongAt("type".into()), detail));
            }
        }
        let Int(created_at) = row.created_at;
        if let Some(talk_id) = loose::int(row.entity_id).value()
            && talk_id > 0
            && (0..YEAR_2100).contains(&created_at)
        {
            let kind: String = kind.unwrap_or_default().chars().take(MAX_NAME_CHARS).collect();
            // The id only distinguishes known events from new ones. The event's content does that too.
            let event_id = text(row.id)
                .filter(|id| id.len() <= MAX_NAME_CHARS)
                .unwrap_or_else(|| format!("{kind} of talk {talk_id} at {created_at}"));
            read.push(TalkEvent {
                event_id,
                talk_id: TalkId::new(talk_id),
                kind,
                created_at: UnixSeconds::new(created_at),
                created_by: loose::int(row.created_by).value().filter(|user_id| *user_id > 0),
            });
        }
    }
    require_usable(!read.is_empty() || others || past, &rows, what)?;
    Ok((read, more))
}

#[cfg(test)]
mod tests;
