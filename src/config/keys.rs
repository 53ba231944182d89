//! Takes checked values from what the `config` crate has read, and collects all mistakes.

use super::{ConfigFile, Mistakes};
use crate::number;
use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The `config` crate's name for the source of environment variables.
const ENVIRONMENT: &str = "the environment";

/// The remaining values, by dotted key.
pub(super) struct Keys {
    file: String,
    values: BTreeMap<String, FoundValue>,
    known: Vec<&'static str>,
    mistakes: Vec<(String, String)>,
}

/// A value, and its source.
pub(super) struct FoundValue {
    kind: ValueKind,
    from_environment: bool,
}

impl Keys {
    /// Reads the file's text, overridden by the environment.
    pub(super) fn read(file: &ConfigFile) -> Result<Keys, Mistakes> {
        let name = file.path.display().to_string();
        let (environment, not_utf8) = environment(std::env::vars_os());
        let source = Environment::with_prefix("TALKMIRROR").prefix_separator("__").separator("__");
        let table = config::Config::builder()
            .add_source(File::from_str(&file.text, FileFormat::Toml))
            .add_source(source.source(Some(environment)))
            .build()
            .and_then(|config| config.collect())
            .map_err(|error| {
                let error = without_source(&error.to_string());
                Mistakes(vec![format!("{name}: expected TOML, found: {error}")])
            })?;
        let mut values = BTreeMap::new();
        flatten("", table, &mut values);
        let mut keys = Keys { file: name, values, known: Vec::new(), mistakes: Vec::new() };
        for key in not_utf8 {
            keys.mistake_from(&key, "a value in UTF-8", "other bytes", true);
        }
        Ok(keys)
    }

    /// Takes a key's value, if set. A value that `check` refuses is a mistake.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&FoundValue) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let found = self.values.remove(key)?;
        let checked = check(&found);
        if checked.is_none() {
            let text = found.to_string();
            self.mistake_from(key, expected, &text, found.from_environment);
        }
        checked
    }

    /// Takes a key's value. A missing one is a mistake.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&FoundValue) -> Option<T>,
    ) -> Option<T> {
        if !self.values.contains_key(key) {
            self.known.push(key);
            self.mistake(key, expected, "nothing");
            return None;
        }
        self.optional(key, expected, check)
    }

    /// Takes a whole number in a range that its type has.
    pub(super) fn whole<T: TryFrom<i64> + PartialOrd + fmt::Display>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let fitting = |found: &FoundValue| T::try_from(found.whole()?).ok().filter(|n| range.contains(n));
        self.optional(key, &expected, fitting).unwrap_or(default)
    }

    /// Takes a whole number within `range`. `None` if it is unset or "auto".
    pub(super) fn whole_or_auto(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let expected = format!("a whole number from {} to {}, or \"auto\"", range.start(), range.end());
        self.optional(key, &expected, |found| match found.string() {
            Some(text) if text.trim() == "auto" => Some(None),
            _ => found.whole().filter(|n| range.contains(n)).map(Some),
        })
        .flatten()
    }

    /// Takes a duration from `least` to `most`. All three are in the file's format.
    pub(super) fn duration(&mut self, key: &'static str, default: &str, least: &str, most: &str) -> Duration {
        let parse = |text: &str| humantime::parse_duration(text).ok();
        let expected = format!("a duration such as \"{default}\", from {least} to {most}");
        self.optional(key, &expected, |found| {
            let duration = parse(&found.string()?)?;
            (parse(least)? <= duration && duration <= parse(most)?).then_some(duration)
        })
        .unwrap_or_else(|| parse(default).expect("defaults are valid"))
    }

    /// Takes a duration from `least` to `most`. `None` if the key is missing or "".
    pub(super) fn optional_duration(
        &mut self,
        key: &'static str,
        expected: &str,
        (least, most): (Duration, Duration),
    ) -> Option<Duration> {
        self.optional(key, expected, |found| {
            let text = found.string()?;
            if text.is_empty() {
                return Some(None);
            }
            let duration = humantime::parse_duration(&text).ok()?;
            (least..=most).contains(&duration).then_some(Some(duration))
        })
        .flatten()
    }

    /// Takes a cron expression of six fields, seconds first.
    pub(super) fn schedule(&mut self, key: &'static str, default: &str) -> String {
        let expected = format!("a cron expression of six fields, seconds first, such as \"{default}\"");
        self.optional(key, &expected, |found| {
            let schedule = found.string()?;
            super::next_tick(&schedule, crate::clock::unix_now()).map(|_| schedule)
        })
        .unwrap_or_else(|| default.into())
    }

    /// Takes true or false.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.optional(key, "true or false", |found| match &found.kind {
            ValueKind::Boolean(value) => Some(*value),
            ValueKind::String(text) if found.from_environment => text.trim().parse().ok(),
            _ => None,
        })
        .unwrap_or(default)
    }

    /// Takes a number in a range.
    pub(super) fn number(&mut self, key: &'static str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.optional(key, &expected, |found| {
            let number = match &found.kind {
                ValueKind::Float(number) => *number,
                ValueKind::I64(number) => *number as f64,
                ValueKind::String(text) if found.from_environment => text.trim().parse().ok()?,
                _ => return None,
            };
            range.contains(&number).then_some(number)
        })
        .unwrap_or(default)
    }

    /// Takes a list of strings. In the environment they are separated by commas.
    pub(super) fn string_list(&mut self, key: &'static str, expected: &str) -> Vec<String> {
        self.optional(key, expected, |found| {
            let string_list: Vec<String> = match &found.kind {
                ValueKind::Array(values) => values
                    .iter()
                    .map(|value| match &value.kind {
                        ValueKind::String(word) => Some(word.trim().to_owned()),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
                ValueKind::String(text) if found.from_environment => text
                    .split(',')
                    .map(|word| word.trim().to_owned())
                    .filter(|word| !word.is_empty())
                    .collect(),
                _ => return None,
            };
            string_list.iter().all(|word| !word.is_empty()).then_some(string_list)
        })
        .unwrap_or_default()
    }

    /// Takes a secret, which is only allowed in the environment.
    pub(super) fn secret_from_environment(&mut self, key: &'static str) -> Option<SecretString> {
        self.known.push(key);
        let found = self.values.remove(key)?;
        match found.kind {
            ValueKind::String(secret) if found.from_environment => Some(SecretString::from(secret)),
            _ => {
                let expected = "the token in a file of its own, named by api.token_file";
                self.mistake(key, expected, "a token among settings that others may read");
                None
            }
        }
    }

    /// Adds a mistake in the file.
    pub(super) fn mistake(&mut self, key: &str, expected: &str, found: &str) {
        self.mistake_from(key, expected, found, false);
    }

    /// Adds a mistake that belongs to no key.
    pub(super) fn mistake_line(&mut self, line: String) {
        self.mistakes.push((String::new(), line));
    }

    /// Whether this key has a mistake.
    pub(super) fn has_mistake(&self, key: &str) -> bool {
        self.mistakes.iter().any(|(of, _)| of == key)
    }

    fn mistake_from(&mut self, key: &str, expected: &str, found: &str, from_environment: bool) {
        let place = if from_environment {
            format!("TALKMIRROR__{}", key.to_uppercase().replace('.', "__"))
        } else {
            self.file.clone()
        };
        let line = format!("{place}: {key}: expected {expected}, found {found}");
        self.mistakes.push((key.to_owned(), line));
    }

    /// Ends the reading and returns all mistakes. Keys not taken are unknown; their values are not shown, because
    /// they may be secrets.
    pub(super) fn finish(mut self) -> Vec<String> {
        for (key, found) in std::mem::take(&mut self.values) {
            let section = format!("{key}.");
            if self.known.iter().any(|known| known.starts_with(&section)) {
                if !matches!(found.kind, ValueKind::Table(_)) {
                    let text = match found.kind {
                        ValueKind::String(_) => "a text".to_owned(),
                        _ => found.to_string(),
                    };
                    self.mistake_from(&key, &format!("a section, [{key}]"), &text, found.from_environment);
                }
                continue;
            }
            let expected = match self.nearest(&key) {
                Some(known) => format!("a known key: {known}?"),
                None => format!("a known key: {}", self.known.join(", ")),
            };
            self.mistake_from(&key, &expected, "an unknown one", found.from_environment);
        }
        self.mistakes.into_iter().map(|(_, line)| line).collect()
    }

    /// Whether this key's value is certain: it has no mistake, and no unknown key may be a misspelling of it.
    pub(super) fn is_certain(&self, key: &str) -> bool {
        let section = key.split('.').next().unwrap_or(key);
        let like = |unknown: &String| {
            unknown.split('.').next() == Some(section)
                || self.nearest(unknown).is_some_and(|near| near == key)
        };
        !self.has_mistake(key) && !self.values.keys().any(like)
    }

    fn nearest(&self, key: &str) -> Option<&'static str> {
        self.known
            .iter()
            .map(|known| (strsim::jaro_winkler(known, key), *known))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, known)| known)
    }
}

impl FoundValue {
    /// The value as text, the only type of the environment.
    pub(super) fn string(&self) -> Option<String> {
        match &self.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn whole(&self) -> Option<i64> {
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
            ValueKind::String(text) => write!(f, "{text:?}"),
            ValueKind::Array(_) => f.write_str("a list"),
            ValueKind::Table(_) => f.write_str("a section"),
            kind => write!(f, "{kind}"),
        }
    }
}

/// Our variables by lower-case name, and the keys of those that are not UTF-8. The `config` crate would show their
/// bytes, which may be a secret.
fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> (Map<String, String>, Vec<String>) {
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
fn flatten(prefix: &str, table: Map<String, Value>, values: &mut BTreeMap<String, FoundValue>) {
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

/// A syntax error without the quoted lines, which may contain a token.
fn without_source(error: &str) -> String {
    let quoted = |line: &&str| !line.contains('|');
    error.lines().filter(quoted).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}
