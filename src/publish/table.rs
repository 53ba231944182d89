//! A published table: its columns, how its rows are read from the mirror, and what the server does with them.
//!
//! All SQL of a table follows from its [`Table`]. So a further table is one more small file in `tables/`.

use std::fmt::Write;

/// The schema on the server.
pub(super) const SCHEMA: &str = "talkmirror";

/// A table, the same on the server and in the mirror but for `account_id`, which comes first and is in its key.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    /// What it holds, for `COMMENT ON`.
    pub comment: &'static str,
    pub columns: &'static [Column],
    /// Its key in the mirror.
    pub key: &'static [&'static str],
    /// Brings these columns: of the talks of a batch, where `?1` is a JSON list of `[talk_id, from_version, seq]`. Or all
    /// rows, of a table that is published whole.
    pub select: &'static str,
    pub on_conflict: OnConflict,
}

/// What happens if the server has a row of this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// It is replaced, unless its `seq` is higher.
    Newest,
    /// It is replaced if it differs.
    Replace,
    /// It stays: such a row never changes.
    Keep,
}

#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether there is always a value.
    pub required: bool,
    pub comment: &'static str,
}

/// How a value of the mirror becomes one of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// Unix seconds become `timestamptz`.
    Time,
    /// 0 or 1 becomes `boolean`.
    Flag,
    Text,
    /// `json`, because `jsonb` refuses `\u0000`, lone surrogates and 1e400.
    Json,
}

impl Kind {
    pub(super) fn sql_type(self) -> &'static str {
        match self {
            Kind::Integer => "bigint",
            Kind::Time => "timestamptz",
            Kind::Flag => "boolean",
            Kind::Text => "text",
            Kind::Json => "json",
        }
    }

    /// As it is sent: `json` as text.
    fn sent_type(self) -> &'static str {
        if self == Kind::Json { "text" } else { self.sql_type() }
    }
}

/// A column that always has a value.
pub(super) const fn required(name: &'static str, kind: Kind, comment: &'static str) -> Column {
    Column { name, kind, required: true, comment }
}

/// A column that may be NULL.
pub(super) const fn optional(name: &'static str, kind: Kind, comment: &'static str) -> Column {
    Column { name, kind, required: false, comment }
}

impl Table {
    /// Inserts the rows of a batch. `$1` is the account, and each column is an array, in the order of the columns.
    pub(super) fn insert(&self) -> String {
        let list = |of: &dyn Fn(usize, &Column) -> String| -> String {
            self.columns
                .iter()
                .enumerate()
                .map(|(place, column)| of(place, column))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let names = list(&|_, column| column.name.to_owned());
        let sent = list(&|place, column| format!("${}::{}[]", place + 2, column.kind.sent_type()));
        let values = list(&|_, column| match column.kind {
            Kind::Json => format!("r.{}::json", column.name),
            _ => format!("r.{}", column.name),
        });
        let mut sql = format!(
            "INSERT INTO {SCHEMA}.{name} AS t (account_id, {names}) SELECT $1, {values} FROM unnest({sent}) AS r ({names}) \
             ON CONFLICT (account_id, {key}) DO ",
            name = self.name,
            key = self.key.join(", "),
        );
        let others: Vec<&Column> =
            self.columns.iter().filter(|column| !self.key.contains(&column.name)).collect();
        match self.on_conflict {
            OnConflict::Newest => {
                let _ = write!(sql, "UPDATE SET {} WHERE t.seq <= excluded.seq", set(&others));
            }
            OnConflict::Replace => {
                let row = |of: &str| {
                    others.iter().map(|column| format!("{of}.{}", column.name)).collect::<Vec<_>>().join(", ")
                };
                let _ = write!(
                    sql,
                    "UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
                    set(&others),
                    row("t"),
                    row("excluded")
                );
            }
            OnConflict::Keep => sql.push_str("NOTHING"),
        }
        sql
    }

    /// Deletes the account's rows with other keys than these. `$1` is the account, and each column of the key is an array, in
    /// the order of the columns.
    pub(super) fn delete_others(&self) -> String {
        let key: Vec<&Column> =
            self.columns.iter().filter(|column| self.key.contains(&column.name)).collect();
        let list = |of: &dyn Fn(usize, &Column) -> String| {
            key.iter().enumerate().map(|(place, column)| of(place, column)).collect::<Vec<_>>()
        };
        let names = list(&|_, column| column.name.to_owned()).join(", ");
        let sent = list(&|place, column| format!("${}::{}[]", place + 2, column.kind.sent_type())).join(", ");
        let same = list(&|_, column| format!("r.{0} = t.{0}", column.name)).join(" AND ");
        format!(
            "DELETE FROM {SCHEMA}.{} AS t WHERE account_id = $1
                AND NOT EXISTS (SELECT 1 FROM unnest({sent}) AS r ({names}) WHERE {same})",
            self.name
        )
    }

    /// Creates the table, and adds the columns that an earlier version of it does not have.
    pub(super) fn create(&self) -> String {
        let name = format!("{SCHEMA}.{}", self.name);
        let mut sql = format!("CREATE TABLE IF NOT EXISTS {name} (\n    account_id bigint NOT NULL");
        for column in self.columns {
            let _ = write!(sql, ",\n    {} {}{}", column.name, column.kind.sql_type(), not_null(column));
        }
        let _ = writeln!(sql, ",\n    PRIMARY KEY (account_id, {})\n);", self.key.join(", "));
        for column in self.columns {
            // A table with rows takes no new column without a value.
            let _ = writeln!(
                sql,
                "ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {} {};",
                column.name,
                column.kind.sql_type()
            );
        }
        let _ = writeln!(sql, "COMMENT ON TABLE {name} IS '{}';", quoted(self.comment));
        let _ = writeln!(sql, "COMMENT ON COLUMN {name}.account_id IS 'the account';");
        for column in self.columns {
            let _ =
                writeln!(sql, "COMMENT ON COLUMN {name}.{} IS '{}';", column.name, quoted(column.comment));
        }
        sql
    }
}

fn set(columns: &[&Column]) -> String {
    let set = columns.iter().map(|column| format!("{0} = excluded.{0}", column.name));
    set.collect::<Vec<_>>().join(", ")
}

fn not_null(column: &Column) -> &'static str {
    if column.required { " NOT NULL" } else { "" }
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
