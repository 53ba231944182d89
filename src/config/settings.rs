//! Each key with its effective value, and where it is from.

use super::example::{self, ExampleKey};
use serde_json::Value;
use std::fmt;

/// A key with its effective value. Values are never secrets: those are in files of their own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// The dotted key.
    pub key: String,
    /// As in the file or the environment. Null for a secret.
    pub value: Value,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing sets it.
    Default,
    /// The configuration file, at this line.
    File { line: Option<usize> },
    /// This environment variable.
    Environment(String),
}

/// All keys in the order of config.example.toml: those in `set`, and the defaults of the rest.
pub(super) fn effective(mut set: Vec<Setting>) -> Vec<Setting> {
    let mut all = Vec::new();
    for example in example::keys() {
        let place = set.iter().position(|setting| setting.key == example.key);
        all.push(place.map_or_else(|| unset(&example), |place| set.swap_remove(place)));
    }
    all.extend(set);
    all
}

fn unset(example: &ExampleKey) -> Setting {
    let value = example.default().cloned().unwrap_or_else(|| "".into());
    Setting { key: example.key.clone(), value, origin: Origin::Default }
}

/// What differs, as `KEY: OLD → NEW`.
pub(crate) fn changes(old: &[Setting], new: &[Setting]) -> Vec<String> {
    let of = |settings: &[Setting], key: &str| settings.iter().find(|setting| setting.key == key).cloned();
    new.iter()
        .filter_map(|new| {
            let old = of(old, &new.key)?;
            (old.value != new.value).then(|| format!("{}: {} → {}", new.key, old.shown(), new.shown()))
        })
        .collect()
}

impl Setting {
    /// The value for people. A text has quotes only if it needs them.
    fn shown(&self) -> String {
        match &self.value {
            Value::Null => "(not shown)".into(),
            Value::Array(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
            value => shown(value),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([',', '[', ']', '"']) => text.clone(),
        value => value.to_string(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { line: Some(line) } => write!(f, "line {line}"),
            Origin::File { line: None } => f.write_str("the file"),
            Origin::Environment(variable) => f.write_str(variable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn setting(key: &str, value: Value) -> Setting {
        Setting { key: key.into(), value, origin: Origin::File { line: None } }
    }

    #[test]
    fn all_keys_are_there_and_what_is_not_set_has_its_default() {
        let all = effective(vec![setting("auto_close.stale_after", json!("48h"))]);
        let of = |key: &str| all.iter().find(|setting| setting.key == key).unwrap().clone();
        assert_eq!(of("auto_close.stale_after"), setting("auto_close.stale_after", json!("48h")));
        assert_eq!((of("api.timeout").value, of("api.timeout").origin), (json!("30s"), Origin::Default));
        assert_eq!(of("api.token_file").value, json!(""), "the example's is no default");
        assert!(all.len() > 50);
    }

    #[test]
    fn what_changed_is_told_with_both_values() {
        let old = effective(vec![]);
        let new = effective(vec![
            setting("auto_close.stale_after", json!("48h")),
            setting("auto_close.only_origins", json!(["telegram", "a, b"])),
            setting("backup.path", json!("backups")),
            setting("api.timeout", json!("30s")),
        ]);
        assert_eq!(
            changes(&old, &new),
            [
                "auto_close.stale_after: 24h → 48h",
                "auto_close.only_origins: [] → [telegram, \"a, b\"]",
                "backup.path: \"\" → backups",
            ]
        );
        assert_eq!(changes(&new, &new), [""; 0]);
    }
}
