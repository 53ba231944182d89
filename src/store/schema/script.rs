//! Which text of `views.sql` made a database's views and triggers.
//!
//! With it a start knows that another version made them, which of them are no longer talkmirror's, and that a view by
//! the name of a new one is somebody else's.

use crate::store::info::InfoKey;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// Its key in `mirror_info`.
const KEY: InfoKey<Noted> = InfoKey::json("schema.views");

/// What a database notes of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Noted {
    hash: String,
    /// What it made, each as `view open_talks`.
    names: Vec<String>,
}

impl Noted {
    /// It was another text than this.
    pub(super) fn is_outdated(&self, script: &str) -> bool {
        self.hash != hash(script)
    }

    pub(super) fn made(&self, kind: &str, name: &str) -> bool {
        self.names.iter().any(|made| {
            made.split_once(' ')
                .is_some_and(|(made_kind, made)| made_kind == kind && made.eq_ignore_ascii_case(name))
        })
    }

    /// Kind and name of each.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().filter_map(|made| made.split_once(' '))
    }
}

/// The note, if there is one that can be read.
pub(super) fn noted(connection: &Connection) -> rusqlite::Result<Option<Noted>> {
    KEY.get(connection)
}

/// Notes that the views and triggers of a database are those of `script`, which made all of `fresh`'s.
///
/// # Errors
/// When the database cannot be written.
pub(in crate::store) fn note(
    connection: &Connection,
    fresh: &Connection,
    script: &str,
) -> rusqlite::Result<()> {
    let names = fresh
        .prepare(
            "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY 1",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    KEY.set(connection, &Noted { hash: hash(script), names })
}

/// FNV-1a: the same in each build, which the standard library's hashes do not promise.
fn hash(script: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", script.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_in_each_build() {
        assert_eq!(hash(""), "cbf29ce484222325");
        assert_eq!(hash("foobar"), "85944171f73967e8");
    }
}
