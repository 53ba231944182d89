//! Small tables, such as users and exemptions: each is compared with what was sent last, and published whole if it differs.
//!
//! They have no numbers of changes. What the server lost of them is sent again when the next session begins.

use super::batch_limit::SINGLE_TIMEOUT;
use super::claim::Claim;
use super::connection::Connection;
use super::error::{Class, PublishError};
use super::rows::Rows;
use super::table::Table;
use super::tables::WHOLE;
use super::turn::{Source, advance};
use crate::clock;
use crate::store::{self, changes};
use crate::text::shown;
use std::time::{Duration, Instant};
use tokio_postgres::types::{ToSql, Type};

/// They are compared this often: reading them takes some milliseconds.
pub(super) const COMPARE_INTERVAL: Duration = Duration::from_secs(10);

/// What one session has sent.
#[derive(Debug, Default)]
pub(super) struct WholeTables {
    compared_at: Option<Instant>,
    /// A digest of each table, as last sent or refused.
    digests: [Option<u64>; WHOLE.len()],
}

impl WholeTables {
    /// Whether one of them differs from what was sent.
    ///
    /// # Errors
    /// If the mirror cannot be read.
    pub(super) fn differ(&self, mirror: &store::Connection) -> Result<bool, PublishError> {
        for (table, sent) in WHOLE.iter().zip(self.digests) {
            if sent != Some(changes::read_whole(mirror, table.select, |_| {})?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Publishes those that changed since, if it is time to look. Each in a transaction of its own.
    ///
    /// # Errors
    /// If the claim no longer holds, or the server or the mirror fails.
    pub(super) async fn publish(
        &mut self,
        connection: &Connection,
        claim: &Claim,
        source: &Source<'_>,
    ) -> Result<(), PublishError> {
        let now = clock::mono();
        if self.compared_at.is_some_and(|compared_at| now < compared_at + COMPARE_INTERVAL) {
            return Ok(());
        }
        for (table, sent) in WHOLE.iter().zip(&mut self.digests) {
            let mut rows = Rows::new(table, true);
            let digest = changes::read_whole(source.mirror, table.select, |row| rows.push(row))?;
            if *sent == Some(digest) {
                continue;
            }
            match replace(connection, claim, source, (table, &rows)).await {
                Err(error) if error.class() == Class::OfRows => {
                    connection.batch_execute("ROLLBACK").await?;
                    tracing::error!(
                        "the server refuses the table {}, and it is left out until its next change: {}",
                        table.name,
                        shown(&error.to_string())
                    );
                }
                replaced => replaced?,
            }
            *sent = Some(digest);
        }
        self.compared_at = Some(now);
        Ok(())
    }
}

/// Makes these the rows of a table. What is the same stays as it is.
async fn replace(
    connection: &Connection,
    claim: &Claim,
    source: &Source<'_>,
    (table, rows): (&Table, &Rows),
) -> Result<(), PublishError> {
    connection.batch_execute(&super::begin(SINGLE_TIMEOUT)).await?;
    advance(connection, claim, claim.position, source).await?;
    let all = rows.parameters();
    let account: (&(dyn ToSql + Sync), Type) = (&claim.account_id, Type::INT8);
    let mut of_key = vec![account.clone()];
    let is_of_key = |place: usize| table.key.contains(&table.columns[place].name);
    of_key.extend(
        all.iter().enumerate().filter(|(place, _)| is_of_key(*place)).map(|(_, values)| values.clone()),
    );
    connection.execute_typed(&table.delete_others(), &of_key).await?;
    if rows.count > 0 {
        let parameters: Vec<_> = std::iter::once(account).chain(all).collect();
        connection.execute_typed(&table.insert(), &parameters).await?;
    }
    Ok(connection.batch_execute("COMMIT").await?)
}
