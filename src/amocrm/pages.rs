//! Pages of lists: the talks, the events that happened to them, and what names things.
//!
//! The address of the next page is built here and never taken from a response, so the token goes to the configured
//! host only.

mod names;
mod query;
mod talks;

pub(crate) use query::IDS_PER_REQUEST;
pub use query::PageQuery;

use super::error::RequestKind;
use super::loose::{self, Loose, is_nothing};
use super::{Client, Date, Failure, Shape, body, content_type, request_id, text_of, with_request_id};
use crate::directory::{Contact, Lead, Pipeline, User};
use crate::talk::{Listed, TalkEvent};
use names::NamePage;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A talk with its links takes about 1 KiB, and a lead or a user with what is not read some 20 KiB. So a far larger page
/// is none of these lists.
const PAGE_CAP: usize = 4 * 1024 * 1024;
/// An id or a type of an event that is longer is none of the API's: an id has 26 characters.
const MAX_ID_CHARS: usize = 64;

/// A page as the API returned it.
#[derive(Debug, Clone)]
pub struct Page {
    /// What the page lists.
    pub rows: Rows,
    /// Another page follows, and this one is not empty.
    pub more: bool,
    /// How many of its rows could not be read, or are of another account. Only counted in lists that name things.
    pub unread: usize,
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
    /// Of the list of users.
    Users(Vec<User>),
    /// Of the list of pipelines.
    Pipelines(Vec<Pipeline>),
    /// The leads of the page, whether asked for or not.
    Leads(Vec<Lead>),
    /// The contacts of the page, whether asked for or not.
    Contacts(Vec<Contact>),
}

impl Client {
    /// Fetches a page of a list.
    ///
    /// `account_id` is the account that the rows must belong to, if it is known.
    ///
    /// # Errors
    /// Every response that is not such a page, classified: [`super::Kind::NotServed`] if the account does not offer
    /// it.
    pub async fn page(&self, query: &PageQuery, account_id: Option<i64>) -> Result<Page, Failure> {
        let mut response = self.send(self.http.get(query.url(self.talks_url.clone()))).await?;
        let request_id = request_id(&response);
        let with_request_id = |failure| with_request_id(failure, request_id.as_ref());
        if let Some(failure) = self.classify(&mut response, RequestKind::List).await {
            return Err(with_request_id(failure));
        }
        let (date, content_type) = (Date::of(&response), content_type(&response));
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Page { rows: query.no_rows(), more: false, unread: 0, date });
        }
        let body = body::read(&mut response, PAGE_CAP).await.map_err(with_request_id)?;
        // An empty body is not the end of the list. Treated as the end, it would cause every open talk to be
        // fetched.
        let body = text_of(body, content_type.as_deref(), "list").map_err(with_request_id)?;
        let (rows, more, unread) = rows(&body, query, account_id).map_err(|(shape, error)| {
            with_request_id(Failure::unexpected(shape, self.without_token(&error)))
        })?;
        Ok(Page { rows, more, unread, date })
    }
}

/// Reads the rows of a page: whether another follows, and how many could not be read.
fn rows(body: &str, query: &PageQuery, account_id: Option<i64>) -> Result<(Rows, bool, usize), PageError> {
    fn named<T>(page: NamePage<T>, rows: fn(Vec<T>) -> Rows) -> (Rows, bool, usize) {
        (rows(page.rows), page.more, page.unread)
    }
    Ok(match query {
        PageQuery::Talks { .. } => {
            let (rows, more) = talks::talks(body, account_id)?;
            (Rows::Talks(rows), more, 0)
        }
        PageQuery::Events { until, .. } => {
            let (rows, more) = talks::events(body, account_id, until.is_some())?;
            (Rows::Events(rows), more, 0)
        }
        PageQuery::Users { .. } => named(names::users(body, account_id)?, Rows::Users),
        PageQuery::Pipelines => named(names::pipelines(body, account_id)?, Rows::Pipelines),
        PageQuery::Leads { .. } => named(names::leads(body, account_id)?, Rows::Leads),
        PageQuery::Contacts { .. } => named(names::contacts(body, account_id)?, Rows::Contacts),
    })
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
