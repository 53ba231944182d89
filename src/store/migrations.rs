//! The schema's versions: a new database is made whole, and an older one is brought to this version, step by step.

use super::schema;
use super::{StoreError, identify};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};
use std::path::Path;

/// The schema version that this program knows.
pub const SCHEMA_VERSION: i64 = 6;

/// In order; `user_version` counts how many a database has had.
pub(super) static MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
pub(super) const STEPS: &[M<'_>] = &[
    M::up(SCRIPTS[0]),
    M::up(SCRIPTS[1]),
    M::up(SCRIPTS[2]),
    M::up(SCRIPTS[3]),
    M::up(SCRIPTS[4]),
    M::up(SCRIPTS[5]),
];
const SCRIPTS: [&str; SCHEMA_VERSION as usize] = [
    include_str!("migrations/001-mirror.sql"),
    include_str!("migrations/002-closures.sql"),
    include_str!("migrations/003-feeders.sql"),
    include_str!("migrations/004-service.sql"),
    include_str!("migrations/005-analysts.sql"),
    include_str!("migrations/006-tolerance.sql"),
];

/// Makes the schema in an empty file, in one transaction: whoever makes it at the same moment finds all of it, or none.
pub(super) fn create(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Migrate { path: path.to_owned(), source };
    let tx = connection.transaction().map_err(failed)?;
    if identify(&tx, path)? == 0 {
        for script in SCRIPTS {
            tx.execute_batch(script).map_err(failed)?;
        }
        tx.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Brings a database to the schema of this version.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    // Else a rename would have views and triggers of others follow the table that is then dropped, and fail where one
    // of them is broken.
    connection.pragma_update(None, "legacy_alter_table", true)?;
    let migrated = MIGRATIONS.to_latest(connection);
    connection.pragma_update(None, "legacy_alter_table", false)?;
    migrated.map_err(schema::unscripted)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::status::DaemonStatus;
    use rusqlite::TransactionBehavior;

    /// A migrated database that is nowhere.
    pub(crate) fn in_memory() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        connection
    }

    /// A file as an earlier version left it.
    pub(crate) fn earlier(path: &Path, schema: usize) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        Migrations::from_slice(&STEPS[..schema]).to_latest(&mut connection).unwrap();
        connection
    }

    #[test]
    fn the_migrations_are_valid_and_all_counted() {
        MIGRATIONS.validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, SCHEMA_VERSION);
    }

    #[test]
    fn an_earlier_database_keeps_its_pause_and_its_talks() {
        let mut connection = Connection::open_in_memory().unwrap();
        Migrations::from_slice(&STEPS[..1]).to_latest(&mut connection).unwrap();
        connection
            .execute_batch(
                "INSERT INTO daemon_status VALUES (1, 'run', '0.1.0', 7, 1, NULL, 2, 3, 4, 'HTTP 402', 'unpaid',
                                                   'HTTP 402', 5, 900, 6.0, 0.5);
                 INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, missed_at,
                                    account_id, payload, first_fetched_at, fetched_at, changed_at)
                 VALUES (1, 1, 1, 1, 1, 0, 1, 1, '{}', 1, 1, 1);",
            )
            .unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let status = DaemonStatus::read(&connection).unwrap().unwrap();
        assert_eq!(status.pause.unwrap().until, 900);
        assert_eq!((status.pid, status.request_rate, status.clock_skew), (7, 0.5, None));
        let stale = connection.query_row("SELECT talk_id FROM stale_talks", [], |row| row.get(0));
        assert_eq!(stale, Ok(1), "by the defaults, where no daemon has said its rules");
    }
}
