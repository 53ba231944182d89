//! Rows as they are published: what a table's own SELECT brings for the talks of a batch.

use crate::talk::TalkId;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A value of the mirror. Its tables have no others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// The number of its last change, as the batch has it.
    pub seq: i64,
}

/// Runs each SELECT for these talks, all at one moment of the database. Its only parameter is a JSON list of
/// `[talk_id, from_version, seq]`. Gives each row, with its columns in their order, to `take`, after its SELECT's place.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read(
    connection: &Connection,
    selects: &[&str],
    wanted: &[Wanted],
    mut take: impl FnMut(usize, Vec<Cell>),
) -> rusqlite::Result<()> {
    let moment = connection.unchecked_transaction()?;
    let wanted: Vec<_> =
        wanted.iter().map(|wanted| json!([wanted.talk_id, wanted.from_version, wanted.seq])).collect();
    let wanted = json!(wanted).to_string();
    for (place, select) in selects.iter().enumerate() {
        let mut statement = moment.prepare_cached(select)?;
        let columns = statement.column_count();
        let mut rows = statement.query([&wanted])?;
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| Ok(cell(row.get_ref(column)?)));
            take(place, cells.collect::<rusqlite::Result<_>>()?);
        }
    }
    Ok(())
}

/// Gives each row of a SELECT without parameters to `take`. Returns a digest of them all, for this process alone.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read_whole(
    connection: &Connection,
    select: &str,
    mut take: impl FnMut(Vec<Cell>),
) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(select)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut digest = DefaultHasher::new();
    while let Some(row) = rows.next()? {
        let cells: Vec<Cell> =
            (0..columns).map(|column| Ok(cell(row.get_ref(column)?))).collect::<rusqlite::Result<_>>()?;
        cells.hash(&mut digest);
        take(cells);
    }
    Ok(digest.finish())
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
