//! The query of an address: the keys that a page knows, each at most once.

use crate::language::Message;
use axum::http::Uri;
use url::form_urlencoded;

/// No value of ours is longer, in bytes.
const MAX_VALUE_BYTES: usize = 200;

/// The values of a query by key.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of an address. Empty values count as absent.
    ///
    /// # Errors
    /// A sentence for people if a key is unknown or there twice, or its value is too long.
    pub(super) fn parse(uri: &Uri, known: &[&str]) -> Result<Query, Message> {
        let mut query = Query::default();
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*key) {
                let known = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                return Err(match known.is_empty() {
                    true => Message::new("query-takes-none").with("key", &*key),
                    false => Message::new("query-unknown-key").with("key", &*key).with("known", known),
                });
            }
            if query.get(&key).is_some() || value.len() > MAX_VALUE_BYTES {
                return Err(Message::new("query-bad-value").with("key", &*key));
            }
            if !value.is_empty() {
                query.0.push((key.into_owned(), value.into_owned()));
            }
        }
        Ok(query)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }
}

/// That a key has a value other than these.
pub(super) fn unknown_value(key: &str, value: &str, known: &[&str]) -> Message {
    let known = known.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
    Message::new("query-unknown-value").with("key", key).with("value", value).with("known", known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn a_query_is_read_by_key_and_what_is_unknown_is_refused() {
        let parse = |query: &str| Query::parse(&format!("/talks?{query}").parse().unwrap(), &["q", "state"]);
        let query = parse("state=missed&q=a%26b+%D1%86").unwrap();
        assert_eq!((query.get("state"), query.get("q")), (Some("missed"), Some("a&b ц")));
        assert_eq!(parse("q=").unwrap().get("q"), None);
        let refused = |query: &str| parse(query).unwrap_err().to(Language::English);
        assert_eq!(refused("sate=1"), "`sate` is unknown here. This page knows `q`, `state`.");
        assert_eq!(refused("q=1&q=2"), "`q` is there twice or is too long.");
        assert_eq!(refused(&format!("q={}", "x".repeat(201))), "`q` is there twice or is too long.");
        let unknown = unknown_value("state", "old", &["open", "all"]).to(Language::English);
        assert_eq!(unknown, "`state` cannot be `old`. It can be `open`, `all`.");
    }
}
