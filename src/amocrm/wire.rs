//! The API's JSON, read tolerantly where real accounts differ and strictly where
//! a wrong value would corrupt the mirror. The facts are in the API's page on talks
//! and in what production clients cope with: unknown fields, numbers as strings,
//! 0 and 1 as booleans, nulls.

use crate::talk::Talk;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;

/// A time beyond is none: milliseconds, say. As `updated_at` it would make every later answer an older one.
pub(super) const YEAR_2100: i64 = 4_102_444_800;

/// Reads the body of `GET /api/v4/talks/{talk_id}`.
///
/// `account_id` is the account that the mirror holds, where that is known yet.
///
/// # Errors
/// One line that names the JSON path and what is wrong there.
pub fn talk(body: &str, talk_id: i64, account_id: Option<i64>) -> Result<Talk, WireError> {
    if body.trim_ascii().is_empty() {
        return Err(WireError::NoTalk("the body is empty".into()));
    }
    let raw: RawTalk = serde_json::from_str(body).map_err(|error| locate(body, &error))?;
    let Int(answered) = raw.talk_id;
    if answered != talk_id {
        return Err(WireError::NoTalk(format!("talk_id: expected {talk_id}, found {answered}")));
    }
    for (path, at) in [
        ("created_at", Some(&raw.created_at)),
        ("updated_at", Some(&raw.updated_at)),
        ("missed_at", raw.missed_at.as_ref()),
    ] {
        // A missed_at of 0 is none; a talk that was never updated would seem quiet for ages.
        let first = i64::from(path != "missed_at");
        if let Some(Int(at)) = at.filter(|Int(at)| !(first..YEAR_2100).contains(at)) {
            return Err(WireError::NoTalk(format!(
                "{path}: expected Unix seconds before the year 2100, found {at}"
            )));
        }
    }
    let Int(found) = raw.account_id;
    match account_id {
        Some(expected) if expected != found => Err(WireError::OtherAccount { expected, found }),
        _ => Ok(raw.into_talk()),
    }
}

/// Names the JSON path of an error. Only a body that is wrong is read a second time, with
/// its path: that costs as much again.
fn locate(body: &str, error: &serde_json::Error) -> WireError {
    let mut json = serde_json::Deserializer::from_str(body);
    WireError::NoTalk(match serde_path_to_error::deserialize::<_, RawTalk>(&mut json) {
        Err(located) if located.path().to_string() != "." => {
            format!("{}: {}", located.path(), located.inner())
        }
        _ => format!("the body: {error}"),
    })
}

/// Why a body is not the talk that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("no such talk in the answer: {0}")]
    NoTalk(String),
    #[error("no such talk in the answer: account_id: expected {expected}, found {found}")]
    OtherAccount { expected: i64, found: i64 },
}

/// The documented fields must be there; some may be null. A talk without `missed_at`, say, is a row of a
/// list or another answer, and would blank what is stored.
#[derive(serde::Deserialize)]
#[serde(expecting = "a talk")]
struct RawTalk {
    talk_id: Int,
    created_at: Int,
    updated_at: Int,
    #[serde(deserialize_with = "Option::deserialize")]
    rate: Option<Int>,
    contact_id: Int,
    #[serde(deserialize_with = "Option::deserialize")]
    chat_id: Option<Text>,
    #[serde(deserialize_with = "Option::deserialize")]
    entity_id: Option<Int>,
    #[serde(deserialize_with = "Option::deserialize")]
    entity_type: Option<Text>,
    is_in_work: Bool,
    is_read: Bool,
    #[serde(deserialize_with = "Option::deserialize")]
    origin: Option<Text>,
    #[serde(deserialize_with = "Option::deserialize")]
    missed_at: Option<Int>,
    account_id: Int,
    status: Option<Text>,
    source_id: Option<Text>,
    #[serde(rename = "_embedded")]
    embedded: Option<Embedded>,
}

#[derive(Default)]
struct Embedded {
    leads: Option<Vec<Linked>>,
    customers: Option<Vec<Linked>>,
}

/// An object; an empty one may come as `[]`, which is how PHP writes it.
impl<'de> Deserialize<'de> for Embedded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Object {
            leads: Option<Vec<Linked>>,
            customers: Option<Vec<Linked>>,
        }
        struct EmbeddedVisitor;
        impl<'de> Visitor<'de> for EmbeddedVisitor {
            type Value = Embedded;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Embedded, A::Error> {
                let Object { leads, customers } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Embedded { leads, customers })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Embedded, A::Error> {
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(Embedded::default()),
                    Some(_) => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
                }
            }
        }
        deserializer.deserialize_any(EmbeddedVisitor)
    }
}

#[derive(serde::Deserialize)]
struct Linked {
    id: Int,
}

impl RawTalk {
    fn into_talk(self) -> Talk {
        let int = |value: Option<Int>| value.map(|Int(value)| value);
        let text = |value: Option<Text>| value.map(|Text(value)| value);
        let first = |linked: Option<Vec<Linked>>| {
            let Int(id) = linked?.into_iter().next()?.id;
            Some(id)
        };
        let embedded = self.embedded.unwrap_or_default();
        Talk {
            talk_id: self.talk_id.0,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            rate: int(self.rate),
            contact_id: self.contact_id.0,
            chat_id: text(self.chat_id),
            entity_id: int(self.entity_id),
            entity_type: text(self.entity_type),
            is_in_work: self.is_in_work.0,
            is_read: self.is_read.0,
            origin: text(self.origin),
            // A 0 would read as "missed in 1970", the most overdue talk there is.
            missed_at: int(self.missed_at).filter(|at| *at > 0),
            account_id: self.account_id.0,
            status: text(self.status),
            source_id: text(self.source_id),
            lead_id: first(embedded.leads),
            customer_id: first(embedded.customers),
        }
    }
}

/// A whole number, or a string of one.
pub(super) struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Int, E> {
                Ok(Int(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Int, E> {
                i64::try_from(value)
                    .map(Int)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Int, E> {
                value.parse().map(Int).map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(IntVisitor)
    }
}

/// A boolean, or 0 or 1, or a string of one of them.
pub(super) struct Bool(pub bool);

impl<'de> Deserialize<'de> for Bool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolVisitor;
        impl Visitor<'_> for BoolVisitor {
            type Value = Bool;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Bool, E> {
                Ok(Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Bool, E> {
                Err(E::invalid_value(Unexpected::Signed(value), &self))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Bool, E> {
                match value {
                    0 => Ok(Bool(false)),
                    1 => Ok(Bool(true)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Bool, E> {
                match value {
                    "0" | "false" => Ok(Bool(false)),
                    "1" | "true" => Ok(Bool(true)),
                    _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(BoolVisitor)
    }
}

/// A string, or a whole number written as one.
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Text, E> {
                Ok(Text(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Text, E> {
                Ok(Text(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn read(value: &Value) -> Result<Talk, String> {
        talk(&value.to_string(), 117, Some(17029541)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_example_is_read_field_by_field() {
        let read = read(&example()).unwrap();
        assert_eq!(
            read,
            Talk {
                talk_id: 117,
                created_at: 1631018291,
                updated_at: 1631035929,
                rate: Some(0),
                contact_id: 3372695,
                chat_id: Some("88278e98-2b8d-4ae2-a5f0-bfab511cd621".into()),
                entity_id: Some(667999637),
                entity_type: Some("lead".into()),
                is_in_work: true,
                is_read: true,
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
    fn numbers_as_strings_zero_and_one_and_nulls_are_read() {
        let mut odd = example();
        odd["talk_id"] = json!("117");
        odd["updated_at"] = json!("1631035929");
        odd["is_in_work"] = json!(1);
        odd["is_read"] = json!("0");
        odd["missed_at"] = json!("1631030000");
        odd["source_id"] = json!(77);
        odd["status"] = json!("in_work");
        odd["news"] = json!({"of": ["another", "release"]});
        for key in ["rate", "chat_id", "entity_id", "entity_type", "origin", "_embedded"] {
            odd[key] = Value::Null;
        }
        let talk = read(&odd).unwrap();
        assert!(talk.is_in_work && !talk.is_read);
        assert_eq!(talk.missed_at, Some(1631030000));
        assert_eq!(talk.source_id.as_deref(), Some("77"));
        assert_eq!(talk.chat_id, None);
        assert_eq!(talk.lead_id, None);
    }

    #[test]
    fn a_missed_at_of_zero_is_not_missed() {
        let mut odd = example();
        odd["missed_at"] = json!(0);
        assert_eq!(read(&odd).unwrap().missed_at, None);
        odd["missed_at"] = json!(1);
        assert_eq!(read(&odd).unwrap().missed_at, Some(1));
    }

    #[test]
    fn each_required_field_is_required_and_named() {
        for key in
            ["talk_id", "created_at", "updated_at", "contact_id", "is_in_work", "is_read", "account_id"]
        {
            let mut without = example();
            without.as_object_mut().unwrap().remove(key);
            let error = read(&without).unwrap_err();
            assert!(error.contains(&format!("`{key}`")), "{error}");

            let mut null = example();
            null[key] = Value::Null;
            let error = read(&null).unwrap_err();
            assert!(error.contains(&format!("{key}: invalid type: null")), "{error}");
        }
    }

    #[test]
    fn a_documented_field_that_may_be_null_must_still_be_there() {
        for key in ["rate", "chat_id", "entity_id", "entity_type", "origin", "missed_at"] {
            let mut without = example();
            without.as_object_mut().unwrap().remove(key);
            assert!(read(&without).unwrap_err().contains(&format!("missing field `{key}`")));
        }
        let mut without = example();
        without.as_object_mut().unwrap().remove("_embedded");
        assert_eq!(read(&without).unwrap().lead_id, None);
        without["_embedded"] = json!([]);
        assert_eq!(read(&without).unwrap().lead_id, None);
    }

    #[test]
    fn a_time_that_is_no_unix_seconds_is_refused() {
        for (key, bad) in
            [("updated_at", 1631035929000), ("updated_at", 0), ("missed_at", -1), ("created_at", YEAR_2100)]
        {
            let mut odd = example();
            odd[key] = json!(bad);
            assert!(read(&odd).unwrap_err().contains(&format!("{key}: expected Unix seconds")));
        }
        let mut odd = example();
        odd["updated_at"] = json!(YEAR_2100 - 1);
        assert!(read(&odd).is_ok());
    }

    #[test]
    fn an_error_names_the_json_path() {
        let mut bad = example();
        bad["_embedded"]["leads"][0]["id"] = json!("six");
        let error = read(&bad).unwrap_err();
        assert!(error.contains("_embedded.leads[0].id: invalid value: string \"six\""), "{error}");

        let mut bad = example();
        bad["is_in_work"] = json!(2);
        assert!(
            read(&bad)
                .unwrap_err()
                .contains("is_in_work: invalid value: integer `2`, expected true or false")
        );
    }

    #[test]
    fn another_talk_another_account_and_what_is_no_json_are_refused() {
        let text = example().to_string();
        let error = |body: &str, id| talk(body, id, Some(17029541)).unwrap_err().to_string();
        assert!(error(&text, 118).contains("talk_id: expected 118, found 117"));
        assert_eq!(
            talk(&text, 117, Some(1)).unwrap_err(),
            WireError::OtherAccount { expected: 1, found: 17029541 }
        );
        assert!(talk(&text, 117, None).is_ok());
        assert!(error("", 117).contains("the body is empty"));
        assert!(error("<html>", 117).contains("the body: expected value"));
        assert!(error(&text[..40], 117).contains("EOF"));
        assert!(error(&format!("{text} x"), 117).contains("trailing characters"));
        assert!(error("[]", 117).contains("the body: "));
    }
}
