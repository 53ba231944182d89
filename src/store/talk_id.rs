//! Binds the id of a talk to columns, as a number.

use crate::talk::TalkId;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

impl ToSql for TalkId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.get().into())
    }
}

impl FromSql for TalkId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<TalkId> {
        i64::column_result(value).map(TalkId::new)
    }
}
