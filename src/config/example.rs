//! config.example.toml: every key with its default and a comment.

use serde_json::Value;

/// The whole file.
pub(crate) const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Their values in the file are examples. Nothing is their default.
const WITHOUT_DEFAULT: [&str; 2] = ["api.base_url", "api.token_file"];

/// A key of the file.
pub(super) struct ExampleKey {
    /// The dotted key.
    pub key: String,
    value: Value,
    /// What it does, line by line.
    pub comment: Vec<&'static str>,
}

impl ExampleKey {
    /// The default, if there is one.
    pub(super) fn default(&self) -> Option<&Value> {
        (!WITHOUT_DEFAULT.contains(&self.key.as_str())).then_some(&self.value)
    }
}

/// The keys in their order. A comment is on all keys below it, up to an empty line.
pub(super) fn keys() -> Vec<ExampleKey> {
    let (mut keys, mut section, mut comment, mut is_used) = (Vec::new(), "", Vec::new(), true);
    // The comment on the whole file ends with the first section.
    for line in EXAMPLE.lines().skip_while(|line| !line.starts_with('[')) {
        if let Some(text) = line.strip_prefix('#') {
            if std::mem::take(&mut is_used) {
                comment.clear();
            }
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            comment.clear();
        } else if let Some((name, value)) = line.split_once(" = ") {
            // The values of the file are written alike in TOML and JSON.
            let value = serde_json::from_str(value).unwrap_or(Value::Null);
            keys.push(ExampleKey { key: format!("{section}.{name}"), value, comment: comment.clone() });
            is_used = true;
        }
    }
    keys
}
