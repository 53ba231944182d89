//! Enums that a column holds by name: SQL binds what `as_str` prints, and reads what `parse` knows.

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
                <$type>::parse(name).ok_or_else(|| {
                    rusqlite::types::FromSqlError::Other(format!("no such value: {name}").into())
                })
            }
        }
    };
}
pub(super) use bind_by_name;

use crate::policy::closing::{CloseMode, ClosingOutcome};
use crate::policy::lanes::Lane;

bind_by_name!(CloseMode);
bind_by_name!(ClosingOutcome);
bind_by_name!(Lane);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    /// The texts that the `CHECK` of a column allows.
    fn allowed(table: &str, column: &str) -> Vec<String> {
        let sql: String = in_memory()
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
            .unwrap();
        let (_, check) = sql.split_once(&format!("CHECK ({column} IN (")).unwrap();
        let (list, _) = check.split_once("))").unwrap();
        let code = list.lines().map(|line| line.split("--").next().unwrap_or_default());
        code.flat_map(|line| line.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn the_checks_of_the_schema_allow_what_the_enums_print_and_nothing_else() {
        assert_eq!(allowed("closures", "outcome"), ClosingOutcome::ALL.map(ClosingOutcome::as_str));
        // A mode that closes nothing decides nothing.
        assert_eq!(allowed("closures", "mode"), [CloseMode::DryRun, CloseMode::Live].map(CloseMode::as_str));
    }
}
