//! Rows as they are published: what a table's own SELECT brings for the talks of a batch.

use crate::talk::TalkId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use serde_json::json;

/// A value of the mirror. Its tables have no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

/// A talk of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub talk_id: TalkId,
    /// Its versions from this number on.
    pub from_version: i64,
}

/// Runs each SELECT for these talks, all at one moment of the database. Its only parameter is a JSON list of
/// `[talk_id, from_version]`. Returns each one's rows, with their columns in its order.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read(
    connection: &Connection,
    selects: &[&str],
    wanted: &[Wanted],
) -> rusqlite::Result<Vec<Vec<Vec<Cell>>>> {
    let moment = connection.unchecked_transaction()?;
    let wanted: Vec<_> = wanted.iter().map(|wanted| json!([wanted.talk_id, wanted.from_version])).collect();
    let wanted = json!(wanted).to_string();
    let rows =
        |select: &&str| moment.prepare_cached(select).and_then(|mut select| rows(&mut select, &wanted));
    selects.iter().map(rows).collect()
}

fn rows(statement: &mut Statement<'_>, wanted: &str) -> rusqlite::Result<Vec<Vec<Cell>>> {
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| Ok(cell(row.get_ref(column)?))).collect();
    statement.query_map([wanted], row)?.collect()
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        // The tables are STRICT: neither occurs.
        ValueRef::Real(number) => Cell::Text(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
    }
}
