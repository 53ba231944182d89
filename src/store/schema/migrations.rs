//! The schema's versions: a new database is made whole, and an older one is brought to this version, step by step.
//!
//! Tables and indexes come by migrations, in order. Views and triggers hold no data: `views.sql` makes them all, and
//! [`script`] notes by which text a database has them.

use super::{script, unscripted};
use crate::store::{SCHEMA_VERSION, StoreError, identify};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};
use std::path::Path;

const _: () = assert!(SCHEMA.version() == SCHEMA_VERSION);

const SCHEMA: Schema = Schema {
    migrations: &[
        include_str!("../migrations/001.sql"),
        include_str!("../migrations/002.sql"),
        include_str!("../migrations/003.sql"),
        include_str!("../migrations/004.sql"),
    ],
    views: include_str!("../views.sql"),
};

/// What the databases of a version are made of.
#[derive(Clone, Copy)]
pub(in crate::store) struct Schema {
    /// In order; `user_version` counts how many a database has had.
    migrations: &'static [&'static str],
    /// All views and triggers.
    pub views: &'static str,
}

impl Schema {
    #[expect(clippy::cast_possible_wrap, reason = "there are few")]
    pub(in crate::store) const fn version(&self) -> i64 {
        self.migrations.len() as i64
    }

    /// Makes all of it in an empty database, in the caller's transaction.
    pub(in crate::store) fn make(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.make_tables(connection, self.version())?;
        connection.execute_batch(self.views)?;
        script::note(connection, connection, self.views)?;
        connection.pragma_update(None, "user_version", self.version())
    }

    /// Makes tables and indexes as a version has them, this one or an earlier.
    pub(in crate::store) fn make_tables(
        &self,
        connection: &Connection,
        version: i64,
    ) -> rusqlite::Result<()> {
        let count = usize::try_from(version).unwrap_or_default();
        self.migrations.iter().take(count).try_for_each(|script| connection.execute_batch(script))
    }
}

/// This version's.
pub(in crate::store) fn current() -> Schema {
    #[cfg(test)]
    if let Some(next) = tests::NEXT.get() {
        return next;
    }
    SCHEMA
}

/// Makes the schema in an empty file, in one transaction: whoever makes it at the same moment finds all of it, or none.
pub(in crate::store) fn create(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Migrate { path: path.to_owned(), source };
    let tx = connection.transaction().map_err(failed)?;
    if identify(&tx, path)? == 0 {
        current().make(&tx).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Brings tables and indexes to this version; views and triggers follow ([`schema::repair`]).
pub(in crate::store) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let migrations = Migrations::new(current().migrations.iter().map(|script| M::up(script)).collect());
    // Else a rename would have views and triggers of others follow the table that is then dropped, and fail where one
    // of them is broken.
    connection.pragma_update(None, "legacy_alter_table", true)?;
    let migrated = migrations.to_latest(connection);
    connection.pragma_update(None, "legacy_alter_table", false)?;
    migrated.map_err(unscripted)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rusqlite::TransactionBehavior;
    use std::cell::Cell;

    thread_local! {
        /// What a test has in the place of this version's schema.
        pub(crate) static NEXT: Cell<Option<Schema>> = const { Cell::new(None) };
    }

    /// A made-up version that comes after this one: a table made anew with one more column, a new table, index and view.
    const NEXT_MIGRATION: &str = "
        ALTER TABLE tombstones RENAME TO tombstones_before;
        CREATE TABLE tombstones (talk_id INTEGER PRIMARY KEY, gone_at INTEGER NOT NULL, asked_by TEXT) STRICT;
        INSERT INTO tombstones (talk_id, gone_at) SELECT talk_id, gone_at FROM tombstones_before;
        DROP TABLE tombstones_before;
        CREATE TABLE tags (talk_id INTEGER NOT NULL, tag TEXT NOT NULL) STRICT;
        CREATE INDEX tags_tag ON tags (tag);";

    /// Until the test ends, this program is of the made-up next version.
    pub(crate) fn upgrade() {
        let migrations = [SCHEMA.migrations, &[NEXT_MIGRATION]].concat();
        NEXT.set(Some(Schema { migrations: migrations.leak(), ..with_other_views() }));
    }

    /// Until the test ends, this program has other views: one goes, one comes, and one has another comment.
    pub(crate) fn upgrade_views() {
        NEXT.set(Some(with_other_views()));
    }

    fn with_other_views() -> Schema {
        let (mut views, others) = (
            SCHEMA.views.to_owned(),
            [
                ("CREATE VIEW chat_talks", "CREATE VIEW tagged_talks"),
                ("-- Who are our clients", "-- Which clients are ours"),
            ],
        );
        for (this, next) in others {
            assert_eq!(views.matches(this).count(), 1, "{this}");
            views = views.replace(this, next);
        }
        Schema { views: views.leak(), ..SCHEMA }
    }

    /// A new database that is nowhere.
    pub(crate) fn in_memory() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        let tx = connection.transaction().unwrap();
        current().make(&tx).unwrap();
        tx.commit().unwrap();
        connection
    }

    #[test]
    fn a_new_database_has_this_version_and_needs_no_migration() {
        let mut connection = in_memory();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, SCHEMA_VERSION);
        migrate(&mut connection).unwrap();
    }

    #[test]
    fn a_migration_that_fails_says_why_and_not_its_script() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE talks (a)").unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert_eq!(error.to_string(), "table talks already exists");
    }
}
