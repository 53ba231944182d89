//! Rows of the mirror as the server takes them: an array for each column.
//!
//! Nothing that the mirror can hold is refused by the server for its value alone. U+0000 becomes U+FFFD, and a time
//! beyond the server's years becomes infinity. Both are counted.

use super::table::{Kind, Table};
use crate::store::changes::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::types::{Timestamp, ToSql, Type};

/// The years of `timestamptz`, in Unix seconds: from 4713 BC to before the year 294277.
pub(super) const FIRST_TIME: i64 = -210_866_803_200;
pub(super) const END_OF_TIME: i64 = 9_224_318_016_000;

type Time = Timestamp<SystemTime>;

/// The values of one column.
#[derive(Debug)]
enum Values {
    Integers(Vec<Option<i64>>),
    Times(Vec<Option<Time>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
}

/// The rows of one table, column by column.
#[derive(Debug)]
pub(super) struct Rows {
    table: &'static Table,
    payload: bool,
    columns: Vec<Values>,
    /// How many rows.
    pub count: usize,
    /// How many values were converted to what the server takes.
    pub converted: usize,
}

impl Rows {
    /// No rows of a table yet. Without `payload`, JSON is left out.
    pub(super) fn new(table: &'static Table, payload: bool) -> Rows {
        let columns = table.columns.iter().map(|column| match column.kind {
            Kind::Integer => Values::Integers(Vec::new()),
            Kind::Time => Values::Times(Vec::new()),
            Kind::Flag => Values::Flags(Vec::new()),
            Kind::Text | Kind::Json => Values::Texts(Vec::new()),
        });
        Rows { table, payload, columns: columns.collect(), count: 0, converted: 0 }
    }

    /// Converts a row that the table's SELECT brought.
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.count += 1;
        for ((cell, column), values) in row.into_iter().zip(self.table.columns).zip(&mut self.columns) {
            match values {
                Values::Integers(values) => values.push(integer(&cell)),
                Values::Times(values) => {
                    let time = integer(&cell).map(time);
                    self.converted +=
                        usize::from(time.is_some_and(|time| !matches!(time, Timestamp::Value(_))));
                    values.push(time);
                }
                Values::Flags(values) => values.push(integer(&cell).map(|flag| flag != 0)),
                Values::Texts(values) if column.kind == Kind::Json && !self.payload => values.push(None),
                Values::Texts(values) => {
                    let (text, was_converted) = text(cell);
                    self.converted += usize::from(was_converted);
                    values.push(text);
                }
            }
        }
    }

    /// The arrays, with their types, in the order of the columns.
    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.columns
            .iter()
            .map(|values| match values {
                Values::Integers(values) => (values as &(dyn ToSql + Sync), Type::INT8_ARRAY),
                Values::Times(values) => (values as &(dyn ToSql + Sync), Type::TIMESTAMPTZ_ARRAY),
                Values::Flags(values) => (values as &(dyn ToSql + Sync), Type::BOOL_ARRAY),
                Values::Texts(values) => (values as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
            })
            .collect()
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(number) => Some(*number),
        // The mirror's tables are STRICT: no text stands in a column of numbers.
        Cell::Null | Cell::Text(_) => None,
    }
}

fn text(cell: Cell) -> (Option<String>, bool) {
    match cell {
        Cell::Null => (None, false),
        Cell::Integer(number) => (Some(number.to_string()), false),
        Cell::Text(text) if text.contains('\0') => (Some(text.replace('\0', "\u{fffd}")), true),
        Cell::Text(text) => (Some(text), false),
    }
}

/// A Unix second.
fn time(at: i64) -> Time {
    let distance = Duration::from_secs(at.unsigned_abs());
    match at {
        END_OF_TIME.. => Timestamp::PosInfinity,
        0.. => Timestamp::Value(UNIX_EPOCH + distance),
        FIRST_TIME.. => Timestamp::Value(UNIX_EPOCH - distance),
        _ => Timestamp::NegInfinity,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables;
    use super::*;

    #[test]
    fn a_time_beyond_the_years_of_the_server_is_infinite() {
        assert_eq!(time(0), Timestamp::Value(UNIX_EPOCH));
        assert!(matches!(time(i64::MAX), Timestamp::PosInfinity));
        assert!(matches!(time(i64::MIN), Timestamp::NegInfinity));
        for at in [FIRST_TIME, -1, END_OF_TIME - 1] {
            assert!(matches!(time(at), Timestamp::Value(_)), "{at}");
        }
        assert!(matches!(
            (time(FIRST_TIME - 1), time(END_OF_TIME)),
            (Timestamp::NegInfinity, Timestamp::PosInfinity)
        ));
    }

    #[test]
    fn what_the_server_does_not_take_is_converted_and_counted_and_json_is_left_out_if_it_is_not_wanted() {
        let talks = tables::BY_TALK.iter().find(|table| table.name == "talks").unwrap();
        let row: Vec<Cell> = talks
            .columns
            .iter()
            .map(|column| match column.kind {
                Kind::Integer | Kind::Flag => Cell::Integer(1),
                Kind::Time => Cell::Integer(if column.name == "updated_at" { i64::MAX } else { 1 }),
                Kind::Text => Cell::Text(if column.name == "origin" { "a\0b".into() } else { "text".into() }),
                Kind::Json => Cell::Text(r#"{"a":"\u0000"}"#.into()),
            })
            .collect();
        let with = |payload| {
            let mut rows = Rows::new(talks, payload);
            rows.push(row.clone());
            rows.push(row.clone());
            rows
        };
        assert_eq!((with(true).count, with(true).converted), (2, 4), "an escape in JSON is no U+0000");
        let texts = |rows: &Rows, name| {
            let place = talks.columns.iter().position(|column| column.name == name).unwrap();
            match &rows.columns[place] {
                Values::Texts(values) => values[0].clone(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(texts(&with(true), "origin").unwrap(), "a\u{fffd}b");
        assert_eq!(texts(&with(true), "payload").unwrap(), r#"{"a":"\u0000"}"#);
        assert_eq!(texts(&with(false), "payload"), None);
        assert_eq!(with(true).parameters().len(), talks.columns.len());
    }
}
