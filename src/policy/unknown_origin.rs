//! Configured origins that no stored talk has: probably misspelt.

use super::origin::origin_key;
use super::stale::StaleRules;
use std::fmt;

/// An origin in the configuration that no stored talk has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct UnknownOrigin {
    /// `only_origins` or `except_origins`.
    pub key: &'static str,
    pub origin: String,
    /// The most similar origin of a stored talk, if any is similar.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auto_close.{}: no stored talk has the origin \"{}\"", self.key, self.origin)?;
        match &self.nearest {
            Some(nearest) => write!(f, ": did you mean \"{nearest}\"?"),
            None => Ok(()),
        }
    }
}

/// The configured origins that are not in `stored`. None if nothing is stored yet.
pub(crate) fn unknown_origins(rules: &StaleRules, stored: &[String]) -> Vec<UnknownOrigin> {
    if stored.is_empty() {
        return Vec::new();
    }
    let keys: Vec<String> = stored.iter().map(|origin| origin_key(origin)).collect();
    let lists = [("only_origins", &rules.only_origins), ("except_origins", &rules.except_origins)];
    let named = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |origin| (key, origin)));
    named
        .map(|(key, origin)| (key, origin, origin_key(origin)))
        .filter(|(_, _, wanted)| !keys.contains(wanted))
        .map(|(key, origin, wanted)| {
            let nearest = nearest(&wanted, &keys).map(|place| stored[place].clone());
            UnknownOrigin { key, origin: origin.clone(), nearest }
        })
        .collect()
}

/// The index of the most similar key.
fn nearest(wanted: &str, keys: &[String]) -> Option<usize> {
    /// The same value as for unknown configuration keys.
    const MIN_SIMILARITY: f64 = 0.85;
    let scored = keys.iter().map(|key| strsim::jaro_winkler(key, wanted)).enumerate();
    scored
        .filter(|(_, likeness)| *likeness > MIN_SIMILARITY)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::stale::tests::rules;

    fn with(only: &[&str], except: &[&str]) -> StaleRules {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        StaleRules { only_origins: list(only), except_origins: list(except), ..rules() }
    }

    fn messages(rules: &StaleRules, stored: &[&str]) -> Vec<String> {
        let stored: Vec<String> = stored.iter().map(|origin| (*origin).to_owned()).collect();
        unknown_origins(rules, &stored).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_origin_that_no_stored_talk_has_is_named_with_the_nearest() {
        let stored = ["viber", "Telegram", "ВКонтакте"];
        assert_eq!(
            messages(&with(&[], &["telegramm"]), &stored),
            [
                "auto_close.except_origins: no stored talk has the origin \"telegramm\": did you mean \"Telegram\"?"
            ]
        );
        assert_eq!(
            messages(&with(&["Вконтакт", "avito"], &[]), &stored),
            [
                "auto_close.only_origins: no stored talk has the origin \"Вконтакт\": did you mean \"ВКонтакте\"?",
                "auto_close.only_origins: no stored talk has the origin \"avito\"",
            ]
        );
    }

    #[test]
    fn an_origin_that_some_stored_talk_has_is_not_named_however_it_is_spelt() {
        assert_eq!(messages(&with(&["VIBER "], &["вконтакте"]), &["viber", "ВКонтакте"]), [""; 0]);
        assert_eq!(messages(&with(&["viber"], &[]), &[]), [""; 0], "nothing is known yet");
    }
}
