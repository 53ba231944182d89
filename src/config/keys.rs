//! Takes checked values from what the `config` crate has read, and collects all mistakes.

use super::kind::{Choices, Kind};
use super::settings::{Origin, Setting};
use super::syntax;
use super::value::{FoundValue, environment, flatten};
use super::{ConfigFile, Mistakes};
use config::{Environment, File, FileFormat, Source, ValueKind};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Only keys this much like an unknown one are named, …
const LIKE: f64 = 0.85;
/// … and only those that are nearly as much like it as the nearest one, …
const NEARLY_AS_LIKE: f64 = 0.03;
/// … and at most so many.
const MOST_NAMED: usize = 3;

/// The remaining values, by dotted key.
pub(super) struct Keys {
    file: String,
    /// The line of each key in the file.
    lines: BTreeMap<String, usize>,
    values: BTreeMap<String, FoundValue>,
    known: Vec<(&'static str, Kind)>,
    /// What was set, as it was found.
    set: Vec<Setting>,
    mistakes: Vec<(String, String)>,
}

impl Keys {
    /// Reads the file's text, overridden by the environment.
    pub(super) fn read(file: &ConfigFile) -> Result<Keys, Mistakes> {
        let name = file.path.display().to_string();
        let not_toml = |found: String| Mistakes(vec![format!("{name}: expected TOML, found: {found}")]);
        let lines = syntax::lines(&file.text).map_err(|error| not_toml(error.to_string()))?;
        let (environment, not_utf8) = environment(std::env::vars_os());
        let source = Environment::with_prefix("TALKMIRROR").prefix_separator("__").separator("__");
        let table = config::Config::builder()
            .add_source(File::from_str(&file.text, FileFormat::Toml))
            .add_source(source.source(Some(environment)))
            .build()
            .and_then(|config| config.collect())
            .map_err(|error| not_toml(without_source(&error.to_string())))?;
        let mut keys = Keys { file: name, lines, ..Keys::empty() };
        flatten("", table, &mut keys.values);
        for key in not_utf8 {
            keys.mistake_from(&key, "a value in UTF-8", "other bytes", true);
        }
        Ok(keys)
    }

    /// No file and no environment: to learn which keys there are.
    pub(super) fn empty() -> Keys {
        Keys {
            file: String::new(),
            lines: BTreeMap::new(),
            values: BTreeMap::new(),
            known: Vec::new(),
            set: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// The keys that were taken, and what each can be.
    pub(super) fn kinds(&self) -> &[(&'static str, Kind)] {
        &self.known
    }

    /// The keys that were set, as they were found.
    pub(super) fn set(&self) -> Vec<Setting> {
        self.set.clone()
    }

    /// Takes a key's value, if set. A value that `check` refuses is a mistake.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&FoundValue) -> Option<T>,
    ) -> Option<T> {
        self.take(key, Kind::Text, expected, check)
    }

    /// The same, for a value of this kind.
    fn take<T>(
        &mut self,
        key: &'static str,
        kind: Kind,
        expected: &str,
        check: impl FnOnce(&FoundValue) -> Option<T>,
    ) -> Option<T> {
        self.known.push((key, kind));
        let found = self.values.remove(key)?;
        let checked = check(&found);
        if checked.is_none() {
            let text = found.to_string();
            self.mistake_from(key, expected, &text, found.from_environment);
        }
        self.note(key, found);
        checked
    }

    /// Notes what the key that was just taken is set to, and where.
    fn note(&mut self, key: &'static str, found: FoundValue) {
        let kind = self.known.last().map_or(&Kind::Text, |(_, kind)| kind);
        let origin = match found.from_environment {
            true => Origin::Environment(variable(key)),
            false => Origin::File { line: self.lines.get(key).copied() },
        };
        self.set.push(Setting { key: key.to_owned(), value: found.json(kind), origin });
    }

    /// Takes an address. A missing one is a mistake.
    pub(super) fn required_address<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        check: impl FnOnce(&FoundValue) -> Option<T>,
    ) -> Option<T> {
        if !self.values.contains_key(key) {
            self.known.push((key, Kind::Address));
            self.mistake(key, expected, "nothing");
            return None;
        }
        self.take(key, Kind::Address, expected, check)
    }

    /// The text of a key that is not taken yet.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.values.get(key)?.string()
    }

    /// Takes one of several words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: Choices<'_, T>) -> Option<T> {
        let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
        let expected = either(&names);
        self.take(key, Kind::Choice(names), &expected, |found| {
            let word = found.string()?;
            choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
        })
    }

    /// Takes a whole number in a range that its type has.
    pub(super) fn whole<T: TryFrom<i64> + TryInto<i64> + Copy + PartialOrd + fmt::Display>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let kind = Kind::Whole(crate::number::whole(*range.start())..=crate::number::whole(*range.end()));
        let fitting = |found: &FoundValue| T::try_from(found.whole()?).ok().filter(|n| range.contains(n));
        self.take(key, kind, &expected, fitting).unwrap_or(default)
    }

    /// Takes a whole number within `range`. `None` if it is unset or "auto".
    pub(super) fn whole_or_auto(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let expected = format!("a whole number from {} to {}, or \"auto\"", range.start(), range.end());
        self.take(key, Kind::WholeOrAuto(range.clone()), &expected, |found| match found.string() {
            Some(text) if text.trim() == "auto" => Some(None),
            _ => found.whole().filter(|n| range.contains(n)).map(Some),
        })
        .flatten()
    }

    /// Takes a duration from `least` to `most`. All three are in the file's format.
    pub(super) fn duration(&mut self, key: &'static str, default: &str, least: &str, most: &str) -> Duration {
        let parse = |text: &str| humantime::parse_duration(text).ok();
        let expected = format!("a duration such as \"{default}\", from {least} to {most}");
        self.take(key, Kind::Duration, &expected, |found| {
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
        self.take(key, Kind::OptionalDuration, expected, |found| {
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
        self.take(key, Kind::Schedule, &expected, |found| {
            let schedule = found.string()?;
            super::next_tick(&schedule, crate::clock::unix_now()).map(|_| schedule)
        })
        .unwrap_or_else(|| default.into())
    }

    /// Takes true or false.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key, Kind::Boolean, "true or false", |found| match &found.kind {
            ValueKind::Boolean(value) => Some(*value),
            ValueKind::String(text) if found.from_environment => text.trim().parse().ok(),
            _ => None,
        })
        .unwrap_or(default)
    }

    /// Takes a number in a range.
    pub(super) fn number(&mut self, key: &'static str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.take(key, Kind::Number(range.clone()), &expected, |found| {
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
        self.take(key, Kind::List, expected, |found| {
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
        self.known.push((key, Kind::Secret));
        let found = self.values.remove(key)?;
        match found.kind {
            ValueKind::String(secret) if found.from_environment => {
                let origin = Origin::Environment(variable(key));
                self.set.push(Setting { key: key.to_owned(), value: serde_json::Value::Null, origin });
                Some(SecretString::from(secret))
            }
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
        let place = if from_environment { variable(key) } else { self.file.clone() };
        let line = format!("{place}: {key}: expected {expected}, found {found}");
        self.mistakes.push((key.to_owned(), line));
    }

    /// Ends the reading and returns all mistakes. Keys not taken are unknown; their values are not shown, because
    /// they may be secrets.
    pub(super) fn finish(mut self) -> Vec<String> {
        for (key, found) in std::mem::take(&mut self.values) {
            let section = format!("{key}.");
            if self.known.iter().any(|(known, _)| known.starts_with(&section)) {
                if !matches!(found.kind, ValueKind::Table(_)) {
                    let text = match found.kind {
                        ValueKind::String(_) => "a text".to_owned(),
                        _ => found.to_string(),
                    };
                    self.mistake_from(&key, &format!("a section, [{key}]"), &text, found.from_environment);
                }
                continue;
            }
            let expected = match self.nearest(&key).as_slice() {
                [] => "a known key (`talkmirror config example` shows them all)".to_owned(),
                near => format!("a known key: {}?", either(near)),
            };
            self.mistake_from(&key, &expected, "an unknown one", found.from_environment);
        }
        self.mistakes.into_iter().map(|(_, line)| line).collect()
    }

    /// Whether this key's value is certain: it has no mistake, and no unknown key may be a misspelling of it.
    pub(super) fn is_certain(&self, key: &str) -> bool {
        let section = key.split('.').next().unwrap_or(key);
        let like = |unknown: &String| {
            unknown.split('.').next() == Some(section) || self.nearest(unknown).contains(&key)
        };
        !self.has_mistake(key) && !self.values.keys().any(like)
    }

    /// The known keys that an unknown one is probably meant to be, the nearest first.
    fn nearest(&self, key: &str) -> Vec<&'static str> {
        let in_file = || self.known.iter().filter(|(_, kind)| *kind != Kind::Secret).map(|(known, _)| *known);
        let mut like: Vec<(f64, &'static str)> = in_file()
            .map(|known| (strsim::jaro_winkler(known, key), known))
            .filter(|(likeness, _)| *likeness > LIKE)
            .collect();
        like.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let nearest = like.first().map_or(0.0, |(likeness, _)| *likeness);
        like.retain(|(likeness, _)| nearest - likeness < NEARLY_AS_LIKE);
        let mut near: Vec<&'static str> = like.into_iter().map(|(_, known)| known).collect();
        if near.is_empty() {
            // The key is right, and its section is not.
            let name = key.rsplit('.').next();
            near.extend(in_file().filter(|known| known.rsplit('.').next() == name));
        }
        near.truncate(MOST_NAMED);
        near
    }
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("TALKMIRROR__{}", key.to_uppercase().replace('.', "__"))
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => words.concat(),
    }
}

/// An error of the `config` crate without the quoted lines, which may contain a token.
fn without_source(error: &str) -> String {
    let quoted = |line: &&str| !line.contains('|');
    error.lines().filter(quoted).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, mistakes};

    #[test]
    fn an_unknown_key_is_told_the_nearest_ones() {
        let told = |lines: &str| {
            let found = mistakes(&format!("{lines}\n{LEAST}"));
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].split("expected ").nth(1).unwrap().split(", found").next().unwrap().to_owned()
        };
        assert_eq!(told("auto_clsoe.mode = 1"), "a known key: auto_close.mode?");
        assert_eq!(told("http.allow-remote = 1"), "a known key: http.allow_remote?");
        // Without its section, or in a wrong one.
        assert_eq!(told("mode = 1"), "a known key: auto_close.mode?");
        assert_eq!(told("talks.timezone = 1"), "a known key: report.timezone?");
        assert_eq!(told("path = 1"), "a known key: database.path or backup.path?");
        assert_eq!(told("metrics.colour = 1"), "a known key (`talkmirror config example` shows them all)");
    }
}
