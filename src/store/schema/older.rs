//! What keeps a database of an earlier version from being migrated, found before anything is written: what is broken in
//! it, and names that the migration gives and an object of somebody else's has.

use super::migrations::current;
use super::{Broken, Differences, Object, fresh, objects, quoted, refuse, script};
use crate::store::{StoreError, connect};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// What keeps the database of schema `version` at `path` from being migrated; nothing is written.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn look(path: &Path, version: i64) -> Result<Vec<Broken>, StoreError> {
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
    let earlier = Connection::open_in_memory()?;
    current().make_tables(&earlier, version)?;
    let noted = script::noted(connection)?;
    let mut differences = Differences::default();
    let found = differences.compare(&earlier, connection, noted.as_ref())?;
    if differences.broken.is_empty() {
        differences.account(connection)?;
    }
    let (earlier, later) = (objects(&earlier)?, objects(&fresh()?)?);
    for (_, object) in found.iter().filter(|(key, _)| later.contains_key(*key) && !earlier.contains_key(*key))
    {
        let is_ours = match &noted {
            Some(noted) => noted.made(&object.kind, &object.name),
            None => matches!(object.kind.as_str(), "view" | "trigger"),
        };
        if !is_ours {
            differences.broken.push(taken(object));
        }
    }
    Ok(differences.broken)
}

/// Somebody else's object has the name of one of ours.
pub(super) fn taken(Object { name, kind, .. }: &Object) -> Broken {
    let action = match kind.as_str() {
        "table" => format!(
            "rename it: `ALTER TABLE {} RENAME TO {}`",
            quoted(name),
            quoted(&format!("other_{name}"))
        ),
        kind => format!(
            "create it under another name, or drop it: `DROP {} {}`",
            kind.to_uppercase(),
            quoted(name)
        ),
    };
    Broken {
        what: format!("the {kind} {name} is not talkmirror's, and this version creates one of that name"),
        action,
    }
}
