//! What others have added to the database: left alone, and named if it is in the daemon's way.

use super::{Broken, Differences, Object, Objects, columns, normal, quoted};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Looks through what is in `found`, the objects of `connection`, and not in `wanted`.
///
/// Whether this SQLite has the functions and collations that they need is known once a statement is prepared that uses
/// them. None is run.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn look(
    differences: &mut Differences,
    connection: &Connection,
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
                "the trigger {name} on {table} is not talkmirror's: it runs within the daemon's \
                 transactions, and can make them fail"
            )),
            "index" if normal(&object.sql).starts_with("create unique ") => differences.foreign.push(format!(
                "the unique index {name} on {table} is not talkmirror's: what it does not allow cannot be recorded"
            )),
            _ => {}
        }
    }
    for object @ Object { name, kind, table, .. } in theirs() {
        let lacking = match kind.as_str() {
            "table" => {
                // A copy has the triggers too, and does not run them.
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
                let lacking = lacking(connection, &using_table(object));
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
                lacking
            }
            "index" => lacking(connection, &[format!("REINDEX {}", quoted(name))]),
            "trigger" if is_ours(table) => lacking(connection, &changing(connection, table)?),
            _ => None,
        };
        let Some(lacking) = lacking else { continue };
        let what = format!(
            "the {kind} {name} is not talkmirror's, and uses something that only another program has \
             ({lacking})"
        );
        if is_ours(table) {
            differences.broken.push(Broken {
                what: format!("{what}: with it no row of {table} can be written"),
                action: format!("drop it: `DROP {} {}`", kind.to_uppercase(), quoted(name)),
            });
        } else {
            differences.foreign.push(format!("{what}: as long as it is there, no backup can be made"));
        }
    }
    Ok(())
}

/// Statements that need what a table's columns and checks need.
fn using_table(Object { name, sql, .. }: &Object) -> Vec<String> {
    // A virtual table is copied as it is described: its module is not asked.
    if normal(sql).starts_with("create virtual ") {
        return Vec::new();
    }
    let table = quoted(name);
    vec![format!("SELECT DISTINCT * FROM {table}"), format!("INSERT INTO {table} DEFAULT VALUES")]
}

/// Statements that each trigger on a table of ours is part of.
fn changing(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let columns: Vec<String> = columns(connection, table)?
        .iter()
        .filter(|(_, (.., hidden))| *hidden == 0)
        .map(|(column, _)| format!("{column} = {column}", column = quoted(column)))
        .collect();
    let table = quoted(table);
    Ok(vec![
        format!("INSERT INTO {table} DEFAULT VALUES"),
        format!("UPDATE {table} SET {}", columns.join(", ")),
        format!("DELETE FROM {table}"),
    ])
}

/// The first collation or function that the statements need and this SQLite does not have, in SQLite's words.
fn lacking(connection: &Connection, statements: &[String]) -> Option<String> {
    statements.iter().find_map(|sql| {
        let (rusqlite::Error::SqlInputError { msg: error, .. }
        | rusqlite::Error::SqliteFailure(_, Some(error))) = connection.prepare(sql).err()?
        else {
            return None;
        };
        // Other errors are about what is missing for now: a start makes it again, or names it.
        ["no such collation sequence", "no such function", "unknown function"]
            .iter()
            .any(|lack| error.starts_with(lack))
            .then_some(error)
    })
}
