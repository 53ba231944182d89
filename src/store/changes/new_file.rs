//! A new file for all that the server has of an account. A kill leaves nothing of it that counts, so it is written
//! without waiting for the disk, and its indexes are made at the end, each in one go.

use crate::store::{StoreError, open};
use rusqlite::Connection;
use std::path::Path;

/// Memory for the pages of the file while it is filled.
const CACHE_KIB: i64 = 64 * 1024;

/// The file while it is filled.
pub(crate) struct NewFile {
    connection: Connection,
    /// What makes its indexes.
    indexes: Vec<String>,
}

impl NewFile {
    /// Makes the file, which must not exist.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn make(path: &Path) -> Result<NewFile, StoreError> {
        let connection = open(path, true)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}"
        ))?;
        // Unique indexes stay: they decide which row replaces another.
        let indexes = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        for (name, _) in &indexes {
            connection.execute_batch(&format!("DROP INDEX {name}"))?;
        }
        let indexes = indexes.into_iter().map(|(_, sql)| sql).collect();
        Ok(NewFile { connection, indexes })
    }

    /// To fill it.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Makes its indexes, and leaves one file without a WAL.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        for index in &self.indexes {
            self.connection.execute_batch(index)?;
        }
        self.connection.execute_batch("PRAGMA journal_mode = DELETE")?;
        self.connection.close().map_err(|(_, error)| StoreError::Sql(error))
    }
}
