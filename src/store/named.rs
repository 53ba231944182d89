//! Enums that a column holds by name: SQL binds and reads what `as_str` prints and `parse` reads.

/// An enum with one printer and one parser.
pub trait Named: Copy + Sized + 'static {
    /// All of its values.
    const ALL: &'static [Self];

    /// The name, as it is in the database and in JSON.
    fn as_str(self) -> &'static str;

    /// The value of a name, if it is one.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == name)
    }
}

/// Binds an enum to columns by its name.
macro_rules! bind_by_name {
    ($type:ty) => {
        impl rusqlite::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::from(self.as_str()))
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                let name = value.as_str()?;
                $crate::store::named::Named::parse(name).ok_or_else(|| {
                    rusqlite::types::FromSqlError::Other(format!("no such value: {name}").into())
                })
            }
        }
    };
}
pub(super) use bind_by_name;
