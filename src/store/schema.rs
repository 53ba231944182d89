//! Is the database as this version made it? Analysts may write to it, and tools drop and alter what they like.
//!
//! What holds no data (views, triggers, indexes) is made again at a start. Where a table or a column is missing, or the
//! account is another than that of the talks, a start is refused before anything is written. What others have added for
//! themselves is left alone, and said where it takes part in the daemon's own transactions.

mod foreign;
mod normal;
pub mod older;

use super::StoreError;
use super::migrations::STEPS;
use crate::text::shown;
use normal::normal;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use rusqlite_migration::Migrations;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Keys of `mirror_info` that hold a JSON object, or a number.
const JSON_KEYS: [&str; 4] = ["auto_close.", "api.", "backup.", "retention."];

/// What differs from the database that this version makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// What a start makes again, in words: `the view stale_talks is missing`.
    pub mendable: Vec<Mendable>,
    /// What a start is refused for.
    pub broken: Vec<Broken>,
    /// What others have added that takes part in the daemon's transactions, in words.
    pub foreign: Vec<String>,
}

/// What holds no data and is made again at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mendable {
    what: What,
    name: String,
    /// What was found in its place.
    found: Option<String>,
    /// That makes it.
    sql: String,
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

impl fmt::Display for Mendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mendable { what, name, found, .. } = self;
        match (what, found) {
            (What::Key, _) => write!(f, "the value of {name} in mirror_info cannot be read"),
            (what, None) => write!(f, "the {} {name} is missing", what.as_str()),
            (what, Some(_)) => write!(f, "the {} {name} is not as it should be", what.as_str()),
        }
    }
}

/// What a start is refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
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
pub fn compare(connection: &Connection) -> rusqlite::Result<Differences> {
    compare_with(&fresh()?, connection)
}

/// `fresh` is an empty database of the version that `connection`'s has.
fn compare_with(fresh: &Connection, connection: &Connection) -> rusqlite::Result<Differences> {
    let (wanted, found) = (objects(fresh)?, objects(connection)?);
    let mut differences = Differences::default();
    for (key, object) in &wanted {
        let (name, there) = (&object.name, found.get(key));
        if there.is_some_and(|there| there.kind == object.kind && normal(&there.sql) == normal(&object.sql)) {
            continue;
        }
        let what = match object.kind.as_str() {
            "table" => {
                differences.table(fresh, connection, name, there)?;
                continue;
            }
            "view" => What::View,
            "trigger" => What::Trigger,
            _ => What::Index,
        };
        match there {
            Some(other) if other.kind == "table" => differences.broken.push(Broken {
                what: format!("there is a table {name} where a {} is to be", what.as_str()),
                action: format!("rename it: `ALTER TABLE {name} RENAME TO other_{name}`"),
            }),
            _ => differences.mendable.push(Mendable {
                what,
                name: name.clone(),
                found: there.map(|there| there.kind.clone()),
                sql: object.sql.clone(),
            }),
        }
    }
    foreign::look(&mut differences, fresh, &wanted, &found)?;
    if differences.broken.is_empty() {
        differences.account(connection)?;
        differences.keys(connection)?;
    }
    Ok(differences)
}

/// Makes again what holds no data, in one transaction, and logs it; also what others have added.
///
/// # Errors
/// [`StoreError::Broken`] where that would not do: nothing was changed then.
pub fn mend(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let Differences { mendable, broken, foreign } = compare(connection)?;
    refuse(&broken, path)?;
    if !mendable.is_empty() {
        make_again(connection, &mendable, path)?;
    }
    for foreign in foreign {
        tracing::warn!("{}", shown(&foreign.to_string()));
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

fn make_again(connection: &mut Connection, mendable: &[Mendable], path: &Path) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for Mendable { name, found, sql, .. } in mendable {
        let failed = |source| StoreError::Mend { path: path.to_owned(), name: name.clone(), source };
        if let Some(kind) = found {
            tx.execute_batch(&format!("DROP {kind} {}", quoted(name))).map_err(failed)?;
        }
        tx.execute_batch(sql).map_err(failed)?;
    }
    tx.commit()?;
    for mendable in mendable {
        match mendable.what {
            What::Key => tracing::warn!("{}: removed", shown(&mendable.to_string())),
            _ => tracing::warn!("{}: made again", shown(&mendable.to_string())),
        }
    }
    Ok(())
}

/// An empty database of this version.
fn fresh() -> rusqlite::Result<Connection> {
    made(STEPS.len())
}

/// An empty database of a version, up to this one.
fn made(version: usize) -> rusqlite::Result<Connection> {
    let mut made = Connection::open_in_memory()?;
    Migrations::from_slice(&STEPS[..version.min(STEPS.len())]).to_latest(&mut made).map_err(unscripted)?;
    Ok(made)
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

/// A column with all that is told of it but its place.
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
                Some((_, found)) if found != wanted => "is not as it should be",
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
            [] => broken(format!("the table {name} is not as it should be")),
            added => self.foreign.push(format!(
                "{name} has columns that are not talkmirror's ({}): a later version may not migrate it; keep them in a \
                 table of your own",
                added.join(", ")
            )),
        }
        Ok(())
    }

    /// The account that the mirror says is its own, and that of the talks.
    fn account(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        // The same in every row: two of them tell, and no index is needed.
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
        let noted = super::info(connection, "account_id")?;
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
                format!("the talks are of account {first}, and mirror_info says {noted:?}"),
                format!("UPDATE mirror_info SET value = '{first}' WHERE key = 'account_id'"),
            ),
        };
        self.broken.push(Broken { what, action: format!("mend it by `{sql}`") });
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
                self.mendable.push(Mendable { what: What::Key, name, found: None, sql });
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
