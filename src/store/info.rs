//! `mirror_info`: what there is one of, each by a key that knows the type of its value.

use crate::clock::UnixSeconds;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A key, and how its value is written as text.
pub(super) struct InfoKey<T> {
    name: &'static str,
    print: fn(&T) -> String,
    parse: fn(&str) -> Option<T>,
}

impl InfoKey<String> {
    /// The value is the text itself.
    pub(super) const fn text(name: &'static str) -> InfoKey<String> {
        InfoKey { name, print: String::clone, parse: |text| Some(text.to_owned()) }
    }
}

impl InfoKey<i64> {
    /// The value is a decimal number.
    pub(super) const fn number(name: &'static str) -> InfoKey<i64> {
        InfoKey { name, print: i64::to_string, parse: |text| text.parse().ok() }
    }
}

impl InfoKey<UnixSeconds> {
    /// The value is a time, as a decimal number of Unix seconds.
    pub(super) const fn time(name: &'static str) -> InfoKey<UnixSeconds> {
        InfoKey { name, print: UnixSeconds::to_string, parse: |text| text.parse().ok().map(UnixSeconds::new) }
    }
}

impl<T: Serialize + DeserializeOwned> InfoKey<T> {
    /// The value is JSON.
    pub(super) const fn json(name: &'static str) -> InfoKey<T> {
        InfoKey {
            name,
            print: |value| serde_json::to_string(value).expect("our own types are JSON"),
            parse: |text| serde_json::from_str(text).ok(),
        }
    }
}

impl<T> InfoKey<T> {
    /// The value, if there is one that can be read.
    pub(super) fn get(&self, connection: &Connection) -> rusqlite::Result<Option<T>> {
        Ok(text(connection, self.name)?.and_then(|text| (self.parse)(&text)))
    }

    /// Sets the value, or removes it.
    pub(super) fn put(&self, connection: &Connection, value: Option<&T>) -> rusqlite::Result<()> {
        match value {
            Some(value) => self.set(connection, value),
            None => self.remove(connection),
        }
    }

    /// Sets the value.
    pub(super) fn set(&self, connection: &Connection, value: &T) -> rusqlite::Result<()> {
        set_text(connection, self.name, &(self.print)(value))
    }

    /// Sets the value unless there is one.
    pub(super) fn set_once(&self, connection: &Connection, value: &T) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT OR IGNORE INTO mirror_info (key, value) VALUES (?1, ?2)")?
            .execute((self.name, (self.print)(value)))?;
        Ok(())
    }

    /// Removes the value.
    pub(super) fn remove(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([self.name])?;
        Ok(())
    }
}

/// The text of a key as it stands there, whoever wrote it.
pub(super) fn text(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM mirror_info WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Sets the text of a key that is made at run time.
pub(super) fn set_text(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
        .execute((key, value))?;
    Ok(())
}
