//! Binds a point in time to columns, as its number of seconds.

use crate::clock::UnixSeconds;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

impl ToSql for UnixSeconds {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.get().into())
    }
}

impl FromSql for UnixSeconds {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<UnixSeconds> {
        i64::column_result(value).map(UnixSeconds::new)
    }
}
