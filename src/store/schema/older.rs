//! What keeps a database of an earlier version from being migrated, found before anything is written: what is broken in
//! it, and names that the migration gives and an object of somebody else's has.

use super::{Broken, Object, compare_with, fresh, made, objects, quoted, refuse};
use crate::store::{StoreError, connect};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A table that is there while a migration is under way.
const INTERIM: &str = "daemon_status_before";

/// What keeps the database of schema `version` at `path` from being migrated; nothing is written.
///
/// # Errors
/// When the database cannot be read.
pub fn look(path: &Path, version: i64) -> Result<Vec<Broken>, StoreError> {
    Ok(hindrances(&connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?, version)?)
}

/// Whether a database of schema `version` can be migrated.
///
/// # Errors
/// [`StoreError::Broken`] where it cannot.
pub(in crate::store) fn may_migrate(
    connection: &Connection,
    path: &Path,
    version: i64,
) -> Result<(), StoreError> {
    refuse(&hindrances(connection, version)?, path)
}

fn hindrances(connection: &Connection, version: i64) -> rusqlite::Result<Vec<Broken>> {
    let earlier = made(usize::try_from(version).unwrap_or_default())?;
    let mut broken = compare_with(&earlier, connection)?.broken;
    let (earlier, later) = (objects(&earlier)?, objects(&fresh()?)?);
    for (key, object) in objects(connection)? {
        let (is_trigger, name) = &key;
        let is_made = later.contains_key(&key) || (!is_trigger && name == INTERIM);
        if is_made && !earlier.contains_key(&key) {
            broken.push(taken(&object));
        }
    }
    Ok(broken)
}

fn taken(Object { name, kind, .. }: &Object) -> Broken {
    let action = match kind.as_str() {
        "table" => format!(
            "rename it: `ALTER TABLE {} RENAME TO {}`",
            quoted(name),
            quoted(&format!("other_{name}"))
        ),
        kind => format!(
            "make it anew by another name, or drop it: `DROP {} {}`",
            kind.to_uppercase(),
            quoted(name)
        ),
    };
    Broken {
        what: format!("the {kind} {name} is not talkmirror's, and this version makes one of that name"),
        action,
    }
}
