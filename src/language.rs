//! The languages that people read: the status page and `status`.
//!
//! A [`Message`] is a sentence of the catalogue with its values, in no language yet. [`Language`] turns it into text.
//! The journal, errors, metrics, configuration keys and SQL names are English and are not here.
//!
//! Uses `clock`, `number`.

mod catalogue;
mod choose;
mod format;

pub(crate) use format::{ago, in_time, lasting};

use crate::clock::UnixSeconds;
use catalogue::bundle;
use fluent_bundle::{FluentArgs, FluentValue};
use serde::{Serialize, Serializer};
use std::fmt;

/// A language of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    English,
    Russian,
    /// Portuguese as in Brazil.
    Portuguese,
}

impl Language {
    /// Each language.
    pub(crate) const ALL: [Language; 3] = [Language::English, Language::Russian, Language::Portuguese];

    /// The tag of BCP 47, as in `lang="ru"` and `http.language`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Russian => "ru",
            Language::Portuguese => "pt-BR",
        }
    }

    /// The text of a message without values.
    pub(crate) fn text(self, id: &'static str) -> String {
        Message::new(id).to(self)
    }
}

/// A value in a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MessageValue {
    /// A text that is the same in each language, such as one of the API.
    Text(String),
    /// A whole number. It also chooses the plural.
    Count(i64),
    /// A number with this many decimals.
    Decimal(f64, usize),
    /// A duration in seconds: `3 h`.
    Duration(i64),
    /// A size in bytes: `1.20 GiB`.
    Bytes(u64),
    /// A day, UTC: `2026-11-23`.
    Date(UnixSeconds),
    /// Several parts, with commas between them.
    List(Vec<Message>),
    /// A time to the second, UTC.
    Timestamp(UnixSeconds),
    /// Another message.
    Message(Box<Message>),
}

/// A sentence or a part of one, with its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    id: &'static str,
    values: Vec<(&'static str, MessageValue)>,
}

impl Message {
    /// A message of the catalogue. A test holds that each id exists in each language.
    pub(crate) fn new(id: &'static str) -> Message {
        Message { id, values: Vec::new() }
    }

    /// A text that is the same in each language.
    pub(crate) fn verbatim(text: impl Into<MessageValue>) -> Message {
        Message::new("verbatim").with("text", text)
    }

    /// Adds a value.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<MessageValue>) -> Message {
        self.values.push((name, value.into()));
        self
    }

    /// Its text in a language.
    pub(crate) fn to(&self, language: Language) -> String {
        let mut args = FluentArgs::with_capacity(self.values.len());
        for (name, value) in &self.values {
            args.set(*name, fluent_value(value, language));
        }
        let bundle = bundle(language);
        let pattern = bundle.get_message(self.id).and_then(|message| message.value());
        let Some(pattern) = pattern else { return self.id.to_owned() };
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }
}

fn fluent_value(value: &MessageValue, language: Language) -> FluentValue<'static> {
    match value {
        MessageValue::Text(text) => text.clone().into(),
        // A bundle writes numbers with the separators of its language.
        MessageValue::Count(number) => (*number).into(),
        MessageValue::Decimal(number, decimals) => language.decimal(*number, *decimals).into(),
        MessageValue::Duration(seconds) => language.duration(*seconds).into(),
        MessageValue::Bytes(number) => language.bytes(*number).into(),
        MessageValue::Date(day) => language.date(*day).into(),
        MessageValue::List(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| part.to(language)).collect();
            parts.join(", ").into()
        }
        MessageValue::Timestamp(at) => language.timestamp(*at).into(),
        MessageValue::Message(message) => message.to(language).into(),
    }
}

/// The English text, for the journal and for programs.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Language::English))
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<&String> for MessageValue {
    fn from(text: &String) -> MessageValue {
        MessageValue::Text(text.clone())
    }
}

impl From<String> for MessageValue {
    fn from(text: String) -> MessageValue {
        MessageValue::Text(text)
    }
}

impl From<&str> for MessageValue {
    fn from(text: &str) -> MessageValue {
        MessageValue::Text(text.to_owned())
    }
}

impl From<i64> for MessageValue {
    fn from(number: i64) -> MessageValue {
        MessageValue::Count(number)
    }
}

impl From<UnixSeconds> for MessageValue {
    fn from(at: UnixSeconds) -> MessageValue {
        MessageValue::Timestamp(at)
    }
}

impl From<usize> for MessageValue {
    fn from(number: usize) -> MessageValue {
        MessageValue::Count(crate::number::whole(number))
    }
}

impl From<u64> for MessageValue {
    fn from(number: u64) -> MessageValue {
        MessageValue::Count(crate::number::whole(number))
    }
}

impl From<Vec<Message>> for MessageValue {
    fn from(parts: Vec<Message>) -> MessageValue {
        MessageValue::List(parts)
    }
}

impl From<Message> for MessageValue {
    fn from(message: Message) -> MessageValue {
        MessageValue::Message(Box::new(message))
    }
}

#[cfg(test)]
mod tests;
