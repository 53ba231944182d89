//! Values as they were found, and where: in the file or in the environment.

use super::kind::Kind;
use crate::amocrm::is_jwt;
use crate::number;
use config::{Map, ValueKind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

/// The `config` crate's name for the source of environment variables.
const ENVIRONMENT: &str = "the environment";

/// A longer text is probably a secret in the wrong place. It is not shown.
const MAX_SHOWN_LETTERS: usize = 200;
/// Nor is one of letters and digits alone that has so many.
const SECRET_LETTERS: usize = 40;

/// Whether a text is probably a secret itself, where the path of its file is expected.
pub(super) fn may_be_secret(text: &str) -> bool {
    let letters = text.chars().count();
    let is_one_word = text.chars().all(char::is_alphanumeric);
    is_jwt(text) || letters > MAX_SHOWN_LETTERS || (is_one_word && letters >= SECRET_LETTERS)
}

/// A value, and its source.
pub(super) struct FoundValue {
    pub(super) kind: ValueKind,
    pub(super) from_environment: bool,
}

impl FoundValue {
    /// The value as text, the only type of the environment.
    pub(super) fn string(&self) -> Option<String> {
        match &self.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// As JSON of this kind. In the environment every value is a text.
    pub(super) fn json(self, kind: &Kind) -> Value {
        let ValueKind::String(text) = &self.kind else { return json(self.kind) };
        let read = match kind {
            Kind::List if self.from_environment => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                Some(words.collect())
            }
            Kind::Whole(_) | Kind::WholeOrAuto(_) => self.whole().map(Value::from),
            Kind::Boolean | Kind::Number(_) if self.from_environment => {
                serde_json::from_str(text.trim()).ok()
            }
            _ => None,
        };
        read.unwrap_or_else(|| json(self.kind))
    }

    pub(super) fn whole(&self) -> Option<i64> {
        match &self.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::Float(number) => whole(*number),
            ValueKind::String(text) if self.from_environment => {
                let text = text.trim();
                text.parse().ok().or_else(|| whole(text.parse().ok()?))
            }
            _ => None,
        }
    }
}

fn json(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::Float(number) => number.into(),
        ValueKind::Array(values) => values.into_iter().map(|value| json(value.kind)).collect(),
        other => other.to_string().into(),
    }
}

/// 6.0 is 6. Floats do not represent all larger numbers.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= 2_f64.powi(53)).then_some(number::truncated(number))
}

impl fmt::Display for FoundValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            // An address may contain a password.
            ValueKind::String(text) if text.contains("://") && text.contains('@') => {
                f.write_str("an address with a user or password in it")
            }
            ValueKind::String(text) if is_jwt(text) => f.write_str("a token"),
            ValueKind::String(text) if may_be_secret(text) => {
                write!(f, "a text of {} characters", text.chars().count())
            }
            ValueKind::String(text) => write!(f, "{text:?}"),
            ValueKind::Array(_) => f.write_str("a list"),
            ValueKind::Table(_) => f.write_str("a section"),
            kind => write!(f, "{kind}"),
        }
    }
}

/// Our variables by lower-case name, and the keys of those that are not UTF-8. The `config` crate would show their
/// bytes, which may be a secret.
pub(super) fn environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> (Map<String, String>, Vec<String>) {
    let (mut ours, mut not_utf8) = (Map::new(), Vec::new());
    for (name, value) in variables {
        let name = name.to_string_lossy().to_lowercase();
        let Some(key) = name.strip_prefix("talkmirror__").filter(|_| !value.is_empty()) else { continue };
        match value.into_string() {
            Ok(value) => {
                ours.insert(name, value);
            }
            Err(_) => not_utf8.push(key.replace("__", ".")),
        }
    }
    (ours, not_utf8)
}

/// Turns nested tables into dotted keys. An empty table is a key of its own.
pub(super) fn flatten(
    prefix: &str,
    table: Map<String, config::Value>,
    values: &mut BTreeMap<String, FoundValue>,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        let from_environment = value.origin() == Some(ENVIRONMENT);
        match value.kind {
            ValueKind::Table(table) if !table.is_empty() => flatten(&key, table, values),
            kind => {
                values.insert(key, FoundValue { kind, from_environment });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, mistakes};

    #[test]
    fn a_secret_in_the_place_of_its_file_is_refused_and_not_shown() {
        let secret = "0123456789abcdefghij0123456789abcdefghij0123456789abcdefghijKLMN";
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhY2NvdW50X2lkIjoxN30.c2ln";
        let section = |secret: &str| {
            format!(
                "[api]\nbase_url = \"https://example.amocrm.ru\"\n[api.oauth]\nclient_id = \"id\"\n\
                 redirect_uri = \"https://i.example\"\nclient_secret_file = \"{secret}\"\n"
            )
        };
        let token = mistakes(&LEAST.replace("\"token\"", &format!("\"{jwt}\"")));
        assert_eq!(
            token,
            ["config.toml: api.token_file: expected the path of a file with the token, found a token"]
        );
        let found = mistakes(&section(secret));
        assert!(
            found.iter().any(|line| line.ends_with("secret, found a text of 64 characters")),
            "{found:?}"
        );
        assert!(!found.join("").contains("abcdef"), "{found:?}");
    }
}
