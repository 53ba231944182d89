//! What others have added to the database: left alone, and named where it is in the daemon's way.

use super::{Broken, Differences, Object, Objects, normal, quoted};
use rusqlite::Connection;

/// Looks through what is in `found` and not in `wanted`; `fresh` is an empty database that has what is wanted.
///
/// # Errors
/// When `fresh` is in a transaction.
pub fn look(
    differences: &mut Differences,
    fresh: &Connection,
    wanted: &Objects,
    found: &Objects,
) -> rusqlite::Result<()> {
    let theirs = || found.iter().filter(|(key, _)| !wanted.contains_key(*key)).map(|(_, object)| object);
    let is_ours = |table: &str| {
        let key = (false, table.to_ascii_lowercase());
        wanted.get(&key).is_some_and(|object| object.kind == "table")
    };
    for object in theirs().filter(|object| is_ours(&object.table)) {
        let Object { name, table, .. } = object;
        match object.kind.as_str() {
            "trigger" => differences.foreign.push(format!(
                "the trigger {name} on {table} is not talkmirror's: it runs within the daemon's transactions, and can \
                 stop them"
            )),
            "index" if normal(&object.sql).starts_with("create unique ") => differences.foreign.push(format!(
                "the unique index {name} on {table} is not talkmirror's: what it does not allow cannot be recorded"
            )),
            _ => {}
        }
    }
    // Tried there, and taken back.
    let trial = fresh.unchecked_transaction()?;
    for kind in ["table", "index"] {
        for object in theirs().filter(|object| object.kind == kind) {
            let Some(lacking) = lacking(&trial, object) else { continue };
            let Object { name, table, .. } = object;
            let what = format!(
                "the {kind} {name} is not talkmirror's, and needs what only another program has ({lacking})"
            );
            if kind == "index" && is_ours(table) {
                let what = format!("{what}: with it no row of {table} can be written");
                differences
                    .broken
                    .push(Broken { what, action: format!("drop it: `DROP INDEX {}`", quoted(name)) });
            } else {
                differences.foreign.push(format!("{what}: as long as it is there, no backup can be made"));
            }
        }
    }
    trial.rollback()
}

/// The collation or function that a table or an index needs, and this SQLite has not, in SQLite's words.
fn lacking(fresh: &Connection, Object { sql, .. }: &Object) -> Option<String> {
    // A virtual table is copied as it is described: its module is not asked.
    if normal(sql).starts_with("create virtual ") {
        return None;
    }
    let error = match fresh.execute_batch(sql).err()? {
        rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg)) => msg,
        _ => return None,
    };
    // Other errors tell of what is not in `fresh`: a column that somebody has added.
    ["no such collation sequence", "no such function"]
        .iter()
        .any(|lack| error.starts_with(lack))
        .then_some(error)
}
