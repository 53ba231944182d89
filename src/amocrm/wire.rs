//! A talk in the API's JSON. Reading is strict if a wrong value would corrupt the mirror, and tolerant for optional
//! fields. The facts come from the API's page on talks, the vendor's own client, and production code.

use super::loose::{self, Bool, Int, Loose, is_nothing};
use crate::clock::UnixSeconds;
use crate::talk::{Talk, TalkId};
use serde_json::value::RawValue;

/// A later time is invalid: it may be in milliseconds.
pub(super) const YEAR_2100: i64 = 4_102_444_800;

/// A talk read from JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadTalk {
    pub talk: Talk,
    /// Optional fields with a value of another shape. The talk has no value there.
    pub odd: Vec<&'static str>,
}

/// Reads the body of `GET /api/v4/talks/{talk_id}`.
///
/// `account_id` is the account that the mirror holds, if it is known yet.
///
/// # Errors
/// One line that names the JSON path and the problem there.
pub(super) fn talk(body: &str, talk_id: TalkId, account_id: Option<i64>) -> Result<ReadTalk, WireError> {
    let raw: RawTalk<'_> = serde_json::from_str(body).map_err(|error| locate(body, &error))?;
    let answered = TalkId::new(raw.talk_id.0);
    if answered != talk_id {
        let detail = format!("talk_id: expected {talk_id}, found {answered}");
        return Err(WireError::NoTalk { path: "another talk_id".into(), detail });
    }
    for (path, Int(at)) in [("created_at", &raw.created_at), ("updated_at", &raw.updated_at)] {
        // Without this check a talk with no update time would seem quiet for ages.
        if !(1..YEAR_2100).contains(at) {
            let detail = format!("{path}: expected Unix seconds before the year 2100, found {at}");
            return Err(WireError::NoTalk { path: path.into(), detail });
        }
    }
    let Int(found) = raw.account_id;
    match account_id {
        Some(expected) if expected != found => Err(WireError::OtherAccount { expected, found }),
        _ => Ok(raw.into_talk()),
    }
}

/// The optional fields of a stored payload with a value of another shape.
pub fn odd_fields(payload: &str) -> Vec<&'static str> {
    serde_json::from_str(payload).map_or_else(|_| Vec::new(), |raw: RawTalk<'_>| raw.into_talk().odd)
}

/// Names the JSON path of an error. Only a wrong body is read a second time to find the path, because that doubles
/// the cost.
fn locate(body: &str, error: &serde_json::Error) -> WireError {
    let mut json = serde_json::Deserializer::from_str(body);
    match serde_path_to_error::deserialize::<_, RawTalk<'_>>(&mut json) {
        Err(located) if error.is_data() => {
            let (path, inner) = (located.path().to_string(), located.inner().to_string());
            match path.as_str() {
                "." if inner.starts_with("missing field `talk_id`") => {
                    WireError::OtherObject(format!("the body: {error}"))
                }
                // A missing key has no path of its own.
                "." => WireError::NoTalk {
                    path: inner.split(" at line").next().unwrap_or_default().to_owned(),
                    detail: format!("the body: {error}"),
                },
                _ => WireError::NoTalk { detail: format!("{path}: {inner}"), path },
            }
        }
        _ => WireError::NotJson(format!("the body: {error}")),
    }
}

/// Why a body is not the requested talk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum WireError {
    /// The body is not JSON.
    #[error("the answer holds no valid talk: {0}")]
    NotJson(String),
    /// A JSON object without a `talk_id`, such as an error.
    #[error("the answer holds no valid talk: {0}")]
    OtherObject(String),
    /// `path` is equal for responses that lack the same field.
    #[error("the answer holds no valid talk: {detail}")]
    NoTalk { path: String, detail: String },
    #[error("the answer holds no valid talk: account_id: expected {expected}, found {found}")]
    OtherAccount { expected: i64, found: i64 },
}

/// The fields that identify a talk are required. The others are read only if these are right.
#[derive(serde::Deserialize)]
#[serde(expecting = "a talk")]
struct RawTalk<'a> {
    talk_id: Int,
    created_at: Int,
    updated_at: Int,
    is_in_work: Bool,
    account_id: Int,
    #[serde(borrow)]
    rate: Option<&'a RawValue>,
    #[serde(borrow)]
    contact_id: Option<&'a RawValue>,
    #[serde(borrow)]
    chat_id: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_id: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_type: Option<&'a RawValue>,
    #[serde(borrow)]
    is_read: Option<&'a RawValue>,
    #[serde(borrow)]
    origin: Option<&'a RawValue>,
    #[serde(borrow)]
    missed_at: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    source_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "_embedded")]
    embedded: Option<&'a RawValue>,
}

impl RawTalk<'_> {
    fn into_talk(self) -> ReadTalk {
        let mut odd = OddFields::default();
        let (lead_id, customer_id) =
            self.embedded.map_or((None, None), |embedded| linked(embedded, &mut odd));
        let talk = Talk {
            talk_id: TalkId::new(self.talk_id.0),
            created_at: UnixSeconds::new(self.created_at.0),
            updated_at: UnixSeconds::new(self.updated_at.0),
            rate: odd.value("rate", loose::int(self.rate)),
            contact_id: odd.value("contact_id", loose::int(self.contact_id)),
            chat_id: odd.value("chat_id", loose::text(self.chat_id)),
            entity_id: odd.value("entity_id", loose::int(self.entity_id)),
            entity_type: odd.value("entity_type", loose::text(self.entity_type)),
            is_in_work: self.is_in_work.0,
            is_read: odd.value("is_read", loose::boolean(self.is_read)),
            origin: odd.value("origin", loose::text(self.origin)),
            missed_at: odd.value("missed_at", missed_at(self.missed_at)),
            account_id: self.account_id.0,
            status: odd.value("status", loose::text(self.status)),
            source_id: odd.value("source_id", loose::text(self.source_id)),
            lead_id,
            customer_id,
        };
        ReadTalk { talk, odd: odd.0 }
    }
}

/// The fields with a value of another shape.
#[derive(Default)]
struct OddFields(Vec<&'static str>);

impl OddFields {
    fn value<T>(&mut self, field: &'static str, loose: Loose<T>) -> Option<T> {
        if matches!(loose, Loose::Odd) {
            self.0.push(field);
        }
        loose.value()
    }
}

/// 0 means none. It would read as "missed in 1970", the most overdue talk of all.
fn missed_at(raw: Option<&RawValue>) -> Loose<UnixSeconds> {
    match loose::int(raw) {
        Loose::Nothing | Loose::Value(0) => Loose::Nothing,
        Loose::Value(at) if (1..YEAR_2100).contains(&at) => Loose::Value(UnixSeconds::new(at)),
        Loose::Odd | Loose::Value(_) => Loose::Odd,
    }
}

/// The first lead and the first customer of `_embedded`.
fn linked(embedded: &RawValue, odd: &mut OddFields) -> (Option<i64>, Option<i64>) {
    #[derive(serde::Deserialize)]
    struct Embedded<'a> {
        #[serde(borrow)]
        leads: Option<&'a RawValue>,
        #[serde(borrow)]
        customers: Option<&'a RawValue>,
    }
    if is_nothing(embedded.get()) {
        return (None, None);
    }
    let Some(Embedded { leads, customers }) = object(embedded.get()) else {
        odd.0.push("_embedded");
        return (None, None);
    };
    (odd.value("_embedded.leads", first_id(leads)), odd.value("_embedded.customers", first_id(customers)))
}

fn first_id(list: Option<&RawValue>) -> Loose<i64> {
    #[derive(serde::Deserialize)]
    struct Linked<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let first = match loose::rows(list) {
        Loose::Value(rows) => rows.into_iter().next(),
        Loose::Nothing => None,
        Loose::Odd => return Loose::Odd,
    };
    let Some(first) = first else { return Loose::Nothing };
    let id = object(first.get()).map(|Linked { id }| loose::int(id));
    match id {
        Some(id @ Loose::Value(_)) => id,
        _ => Loose::Odd,
    }
}

/// Reads an object. A derived struct would accept an array too.
fn object<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Option<T> {
    json.starts_with('{').then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests;
