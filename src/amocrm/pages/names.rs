//! The lists that name things: users, pipelines with their statuses, leads and contacts.
//!
//! Only what is stored is read. A row without a readable id is passed over, and counts as unread.

use super::super::loose::{self, Int, Loose};
use super::super::wire::YEAR_2100;
use super::{Members, PageError, members, page, readable, require_usable};
use crate::clock::UnixSeconds;
use crate::directory::{Contact, Lead, Pipeline, Status, User};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Names are free text. Seen: an account takes 255 letters.
const MAX_NAME_CHARS: usize = 300;

/// A page of a list that names things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamePage<T> {
    pub rows: Vec<T>,
    /// Whether it names a next page.
    pub more: bool,
    /// How many of its rows could not be read, or are of another account.
    pub unread: usize,
}

/// A user as sent. Documented: `rights[is_active]`.
#[derive(Deserialize)]
struct RawUser<'a> {
    id: Int,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    rights: Option<&'a RawValue>,
    /// Not documented here.
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawPipeline<'a> {
    id: Int,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    sort: Option<&'a RawValue>,
    #[serde(borrow)]
    is_main: Option<&'a RawValue>,
    #[serde(borrow)]
    is_archive: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "_embedded")]
    embedded: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawStatus<'a> {
    id: Int,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    sort: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawLead<'a> {
    id: Int,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    responsible_user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pipeline_id: Option<&'a RawValue>,
    #[serde(borrow)]
    status_id: Option<&'a RawValue>,
    #[serde(borrow)]
    closed_at: Option<&'a RawValue>,
    /// Documented: deleted leads are listed on request only.
    #[serde(borrow)]
    is_deleted: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawContact<'a> {
    id: Int,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// Reads the rows of `name` that belong to this account.
fn rows_of<'a, T: Deserialize<'a>>(
    body: &'a str,
    name: &str,
    account_id: Option<i64>,
    account_of: impl Fn(&T) -> Option<&'a RawValue>,
    id_of: impl Fn(&T) -> i64,
) -> Result<NamePage<T>, PageError> {
    let what = format!("the answer holds no valid list of {name}");
    let (raw, more) = page(body, name, &what)?;
    let rows: Vec<T> = readable(&raw, account_id, account_of).filter(|row| id_of(row) > 0).collect();
    require_usable(!rows.is_empty(), &raw, &what)?;
    let unread = raw.len() - rows.len();
    Ok(NamePage { rows, more, unread })
}

impl<T> NamePage<T> {
    fn map<U>(self, each: impl FnMut(T) -> Option<U>) -> NamePage<U> {
        let NamePage { rows, more, unread } = self;
        NamePage { rows: rows.into_iter().filter_map(each).collect(), more, unread }
    }
}

fn name(raw: Option<&RawValue>) -> Option<String> {
    loose::text(raw).value().map(|name| name.chars().take(MAX_NAME_CHARS).collect())
}

/// An id that something names. Seen: 0 for none.
fn id(raw: Option<&RawValue>) -> Option<i64> {
    loose::int(raw).value().filter(|id| *id > 0)
}

/// A list in `_embedded`.
fn embedded<'a>(raw: Option<&'a RawValue>, name: &str) -> Loose<Vec<&'a RawValue>> {
    let found: Option<Members<'a>> = raw.and_then(members);
    loose::rows(found.and_then(|found| found.get(name).copied()))
}

/// Reads a page of users.
pub(super) fn users(body: &str, account_id: Option<i64>) -> Result<NamePage<User>, PageError> {
    let read = |row: RawUser<'_>| {
        let right = |name| row.rights.and_then(members).and_then(|rights| rights.get(name).copied());
        let is_active = loose::boolean(right("is_active")).value();
        Some(User { user_id: row.id.0, name: name(row.name), is_active })
    };
    rows_of(body, "users", account_id, |row: &RawUser<'_>| row.account_id, |row| row.id.0)
        .map(|page| page.map(read))
}

/// Reads the pipelines.
pub(super) fn pipelines(body: &str, account_id: Option<i64>) -> Result<NamePage<Pipeline>, PageError> {
    let read = |row: RawPipeline<'_>| {
        let raw = embedded(row.embedded, "statuses").value().unwrap_or_default();
        let statuses: Vec<Status> = raw.iter().filter_map(|row| status(row)).collect();
        Some(Pipeline {
            pipeline_id: row.id.0,
            name: name(row.name),
            sort: loose::int(row.sort).value(),
            is_main: loose::boolean(row.is_main).value(),
            is_archive: loose::boolean(row.is_archive).value(),
            // Each pipeline has at least the two that end it.
            has_all_statuses: !statuses.is_empty() && statuses.len() == raw.len(),
            statuses,
        })
    };
    rows_of(body, "pipelines", account_id, |row: &RawPipeline<'_>| row.account_id, |row| row.id.0)
        .map(|page| page.map(read))
}

fn status(row: &RawValue) -> Option<Status> {
    let row: RawStatus<'_> = serde_json::from_str(row.get()).ok()?;
    let status_id = row.id.0;
    (status_id > 0).then(|| Status { status_id, name: name(row.name), sort: loose::int(row.sort).value() })
}

/// Reads a page of leads. One that is deleted is none.
pub(super) fn leads(body: &str, account_id: Option<i64>) -> Result<NamePage<Lead>, PageError> {
    let read = |row: RawLead<'_>| {
        let closed_at = loose::int(row.closed_at).value().filter(|at| (1..YEAR_2100).contains(at));
        (loose::boolean(row.is_deleted).value() != Some(true)).then(|| Lead {
            lead_id: row.id.0,
            name: name(row.name),
            price: loose::int(row.price).value(),
            responsible_user_id: id(row.responsible_user_id),
            pipeline_id: id(row.pipeline_id),
            status_id: id(row.status_id),
            closed_at: closed_at.map(UnixSeconds::new),
        })
    };
    rows_of(body, "leads", account_id, |row: &RawLead<'_>| row.account_id, |row| row.id.0)
        .map(|page| page.map(read))
}

/// Reads a page of contacts.
pub(super) fn contacts(body: &str, account_id: Option<i64>) -> Result<NamePage<Contact>, PageError> {
    let read = |row: RawContact<'_>| Some(Contact { contact_id: row.id.0, name: name(row.name) });
    rows_of(body, "contacts", account_id, |row: &RawContact<'_>| row.account_id, |row| row.id.0)
        .map(|page| page.map(read))
}

#[cfg(test)]
mod tests;
