//! Is the database as this version made it? Analysts may write to it, and tools drop and alter what they like.
//!
//! What holds no data (views, triggers, indexes) is created again at a start, even if another version's script made it
//! (`script`). If a table or a column is missing, or the account is another than that of the talks, a start is refused
//! before anything is written. What others have added for themselves is left alone, and reported if it takes part in the
//! daemon's own transactions.

mod foreign;
pub(crate) mod migrations;
mod normal;
pub(crate) mod older;
pub(super) mod script;

use super::StoreError;
use crate::text::shown;
use migrations::current;
use normal::normal;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use script::Noted;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Keys of `mirror_info` that hold a JSON object, or a number.
const JSON_KEYS: [&str; 5] = ["auto_close.", "api.", "backup.", "publish.", "retention."];

/// What differs from the database that this version makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// What a start makes again, in words: `the view stale_talks is missing`.
    pub repairable: Vec<Repairable>,
    /// What a start is refused for.
    pub broken: Vec<Broken>,
    /// What others have added that takes part in the daemon's transactions, in words.
    pub foreign: Vec<String>,
    /// Another version's script made the views and triggers.
    is_outdated: bool,
}

/// What holds no data and is repaired at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repairable {
    what: What,
    name: String,
    /// What was found in its place.
    found: Option<String>,
    /// That makes it; `None` if this version has none of it.
    sql: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    View,
    Trigger,
    Index,
    /// A key of `mirror_info` whose value cannot be read.
    Key,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            What::View => "view",
            What::Trigger => "trigger",
            What::Index => "index",
            What::Key => "key",
        }
    }
}

impl fmt::Display for Repairable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repairable { what, name, found, sql } = self;
        match (what, found, sql) {
            (What::Key, ..) => write!(f, "the value of {name} in mirror_info cannot be read"),
            (what, None, _) => write!(f, "the {} {name} is missing", what.as_str()),
            (what, Some(_), None) => write!(f, "the {} {name} is of another version", what.as_str()),
            (what, Some(_), Some(_)) => write!(f, "the {} {name} was changed", what.as_str()),
        }
    }
}

/// What a start is refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// What is wrong, in a sentence without an end.
    pub what: String,
    /// What a person can do about it.
    pub action: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.action)
    }
}

/// Compares a database with one that is made anew.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn compare(connection: &Connection) -> rusqlite::Result<Differences> {
    let noted = script::noted(connection)?;
    let mut differences = Differences {
        is_outdated: noted.as_ref().is_none_or(|noted| noted.is_outdated(current().views)),
        ..Differences::default()
    };
    let fresh = fresh()?;
    let found = differences.compare(&fresh, connection, noted.as_ref())?;
    if let Some(noted) = &noted {
        differences.dropped(noted, &objects(&fresh)?, &found);
    }
    if differences.broken.is_empty() {
        differences.account(connection)?;
        differences.keys(connection)?;
    }
    Ok(differences)
}

/// Repairs what holds no data, in one transaction, and logs it; also logs what others have added.
///
/// # Errors
/// [`StoreError::Broken`] if that is not enough: nothing was changed then.
pub(crate) fn repair(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let differences = compare(connection)?;
    refuse(&differences.broken, path)?;
    if differences.is_outdated || !differences.repairable.is_empty() {
        recreate(connection, &differences, path)?;
    }
    for foreign in differences.foreign {
        tracing::warn!("{}", shown(&foreign));
    }
    Ok(())
}

fn refuse(broken: &[Broken], path: &Path) -> Result<(), StoreError> {
    if broken.is_empty() {
        return Ok(());
    }
    let broken = broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(StoreError::Broken { path: path.to_owned(), broken })
}

fn recreate(connection: &mut Connection, differences: &Differences, path: &Path) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for Repairable { name, found, sql, .. } in &differences.repairable {
        let failed = |source| StoreError::Repair { path: path.to_owned(), name: name.clone(), source };
        if let Some(kind) = found {
            tx.execute_batch(&format!("DROP {kind} {}", quoted(name))).map_err(failed)?;
        }
        tx.execute_batch(sql.as_deref().unwrap_or_default()).map_err(failed)?;
    }
    if differences.is_outdated {
        script::note(&tx, &fresh()?, current().views)?;
    }
    tx.commit()?;
    for repairable in &differences.repairable {
        let what = repairable.to_string();
        match repairable {
            Repairable { what: What::Key, .. } | Repairable { sql: None, .. } => {
                tracing::warn!("{}: removed", shown(&what));
            }
            _ => tracing::warn!("{}: repaired", shown(&what)),
        }
    }
    Ok(())
}

/// An empty database of this version.
fn fresh() -> rusqlite::Result<Connection> {
    let fresh = Connection::open_in_memory()?;
    current().make(&fresh)?;
    Ok(fresh)
}

/// Why a migration failed, in SQLite's words, without the script of many pages.
pub(super) fn unscripted(error: rusqlite_migration::Error) -> rusqlite::Error {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => match err {
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                rusqlite::Error::SqliteFailure(error, Some(msg))
            }
            err => err,
        },
        error => rusqlite::Error::ToSqlConversionFailure(error.into()),
    }
}

/// A row of `sqlite_schema`.
#[derive(Debug)]
struct Object {
    name: String,
    kind: String,
    table: String,
    sql: String,
}

/// By whether it is a trigger, and its name without its case: a trigger may have the name of a table.
type Objects = BTreeMap<(bool, String), Object>;

/// All but what SQLite makes for itself.
fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    connection
        .prepare(
            "SELECT name, type, tbl_name, sql FROM sqlite_schema
              WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?
        .query_map([], |row| {
            let object =
                Object { name: row.get(0)?, kind: row.get(1)?, table: row.get(2)?, sql: row.get(3)? };
            Ok(((object.kind == "trigger", object.name.to_ascii_lowercase()), object))
        })?
        .collect()
}

/// A column with all of its properties but its place.
type Column = (String, (String, bool, Option<String>, i64, i64));

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    connection
        .prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)")?
        .query_map([table], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
        })?
        .collect()
}

impl Differences {
    /// Compares with `fresh`, an empty database that has what is wanted; returns what was found.
    fn compare(
        &mut self,
        fresh: &Connection,
        connection: &Connection,
        noted: Option<&Noted>,
    ) -> rusqlite::Result<Objects> {
        let (wanted, found) = (objects(fresh)?, objects(connection)?);
        for (key, object) in &wanted {
            let Object { name, kind, sql, .. } = object;
            let there = found.get(key);
            let what = match kind.as_str() {
                "table" => {
                    if there.is_none_or(|there| there.kind != *kind || normal(&there.sql) != normal(sql)) {
                        self.table(fresh, connection, name, there)?;
                    }
                    continue;
                }
                "view" => What::View,
                "trigger" => What::Trigger,
                _ => What::Index,
            };
            match there {
                Some(there) if there.kind == *kind && self.is_same(what, &there.sql, sql) => {}
                Some(other) if other.kind == "table" => self.broken.push(Broken {
                    what: format!("a table has the name {name}, which a {} needs", what.as_str()),
                    action: format!("rename it: `ALTER TABLE {name} RENAME TO other_{name}`"),
                }),
                Some(other) if what != What::Index && noted.is_some_and(|noted| !noted.made(kind, name)) => {
                    self.broken.push(older::taken(other));
                }
                there => self.repairable.push(Repairable {
                    what,
                    name: name.clone(),
                    found: there.map(|there| there.kind.clone()),
                    sql: Some(sql.clone()),
                }),
            }
        }
        foreign::look(self, connection, &wanted, &found)?;
        Ok(found)
    }

    /// Whether two texts mean the same object. Of another version's views the comments count too: people read them.
    fn is_same(&self, what: What, found: &str, wanted: &str) -> bool {
        found == wanted || (!self.is_outdated || what == What::Index) && normal(found) == normal(wanted)
    }

    /// Views and triggers of another version that this one has no more.
    fn dropped(&mut self, noted: &Noted, wanted: &Objects, found: &Objects) {
        for (kind, name) in noted.all() {
            let key = (kind == "trigger", name.to_ascii_lowercase());
            if found.get(&key).is_some_and(|there| there.kind == kind) && !wanted.contains_key(&key) {
                self.repairable.push(Repairable {
                    what: if kind == "trigger" { What::Trigger } else { What::View },
                    name: name.to_owned(),
                    found: Some(kind.to_owned()),
                    sql: None,
                });
            }
        }
    }

    /// A table that is missing, or not as it should be.
    fn table(
        &mut self,
        fresh: &Connection,
        connection: &Connection,
        name: &str,
        there: Option<&Object>,
    ) -> rusqlite::Result<()> {
        let mut broken = |what: String| {
            self.broken.push(Broken { what, action: "restore a backup, or sync into a new database".into() });
        };
        if there.is_none_or(|there| there.kind != "table") {
            broken(format!("the table {name} is missing"));
            return Ok(());
        }
        let (wanted, found) = (columns(fresh, name)?, columns(connection, name)?);
        let mut altered = 0;
        for (column, wanted) in &wanted {
            let state = match found.iter().find(|(found, _)| found == column) {
                None => "is missing",
                Some((_, found)) if found != wanted => "was changed",
                Some(_) => continue,
            };
            altered += 1;
            broken(format!("the column {column} of {name} {state}"));
        }
        if altered > 0 {
            return Ok(());
        }
        let added: Vec<&str> = found
            .iter()
            .filter(|(column, _)| !wanted.iter().any(|(wanted, _)| wanted == column))
            .map(|(column, _)| column.as_str())
            .collect();
        match added.as_slice() {
            [] => broken(format!("the table {name} was changed")),
            added => self.foreign.push(format!(
                "{name} has columns that are not talkmirror's ({}): a later version may not migrate it; keep them in a \
                 table of your own",
                added.join(", ")
            )),
        }
        Ok(())
    }

    /// Compares the account that the mirror notes with that of the talks.
    fn account(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        // It is the same in every row: two rows are enough, and no index is needed.
        let talk = |order| {
            connection
                .query_row(
                    &format!("SELECT account_id FROM talks ORDER BY talk_id {order} LIMIT 1"),
                    [],
                    |row| row.get(0),
                )
                .optional()
        };
        let (first, last): (Option<i64>, Option<i64>) = (talk("ASC")?, talk("DESC")?);
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let noted = super::info::text(connection, "account_id")?;
        if first == last && noted.as_deref() == Some(first.to_string().as_str()) {
            return Ok(());
        }
        if first != last {
            self.broken.push(Broken {
                what: format!("the talks are of several accounts ({first}, {last})"),
                action: "restore a backup".into(),
            });
            return Ok(());
        }
        let (what, sql) = match noted {
            None => (
                format!("the talks are of account {first}, and mirror_info has no account_id"),
                format!("INSERT INTO mirror_info (key, value) VALUES ('account_id', '{first}')"),
            ),
            Some(noted) => (
                format!("the talks are of account {first}, and mirror_info has {noted:?}"),
                format!("UPDATE mirror_info SET value = '{first}' WHERE key = 'account_id'"),
            ),
        };
        self.broken.push(Broken { what, action: format!("repair it with `{sql}`") });
        Ok(())
    }

    /// Keys whose value is read as JSON and is none, or of another type: without it what is kept there is begun anew.
    fn keys(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT key FROM mirror_info
              WHERE CASE WHEN json_valid(value)
                         THEN json_type(value) <> iif(key = 'api.token_expires_at', 'integer', 'object')
                         ELSE TRUE END
              ORDER BY key",
        )?;
        for key in statement.query_map([], |row| row.get::<_, String>(0))? {
            let name = key?;
            if JSON_KEYS.iter().any(|ours| name.starts_with(ours)) {
                let sql = format!("DELETE FROM mirror_info WHERE key = '{}'", name.replace('\'', "''"));
                self.repairable.push(Repairable { what: What::Key, name, found: None, sql: Some(sql) });
            }
        }
        Ok(())
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
