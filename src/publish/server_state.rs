//! What people ask of the server: its schema, the account's row, and whether this program may publish.

use super::claim::{self, Claimant, Decision, ServerRow};
use super::connection::{ANSWER_TIMEOUT, Connection, Server, within};
use super::error::PublishError;
use super::rules::{PublishRules, publisher_name};
use super::schema;
use super::table::SCHEMA;
use super::tables;
use crate::clock::UnixSeconds;
use crate::store::changes::Local;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tokio_postgres::types::Type;

/// Creating the schema may take so long: on Citus, rows that are there are moved.
const INIT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What the server has of an account. Times are by its clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServerState {
    /// The schema's version.
    pub schema: i32,
    /// `None` if the server does not know the account.
    pub account: Option<ServerAccount>,
}

/// The account's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServerAccount {
    /// The mirror that publishes it, …
    pub mirror: String,
    /// … with its host and file, …
    pub publisher: String,
    /// … and version.
    pub version: String,
    pub position: i64,
    pub epoch: i64,
    /// No other mirror may claim the account before this time, …
    pub held_until: UnixSeconds,
    /// … and whether it is still to come.
    pub is_held: bool,
    pub published_at: UnixSeconds,
}

impl ServerAccount {
    /// What a daemon of this mirror finds there, to follow the account's name. `database` is the mirror's file.
    ///
    /// # Errors
    /// If another mirror has the account.
    pub(crate) fn prospect(
        &self,
        local: &Local,
        account_id: i64,
        (rules, database): (&PublishRules, &Path),
    ) -> Result<&'static str, PublishError> {
        let row = ServerRow {
            mirror: self.mirror.clone(),
            position: self.position,
            epoch: self.epoch,
            publisher: self.publisher.clone(),
            published_at: UNIX_EPOCH + self.published_at.duration_since(UnixSeconds::EPOCH),
            is_held: self.is_held,
        };
        let claimant = Claimant {
            account_id,
            base_url: String::new(),
            publisher: publisher_name(database),
            hold: Duration::ZERO,
            adopt: rules.adopt,
            has_rival: false,
        };
        match claim::decide(Some(&row), local, &claimant) {
            Decision::Begin | Decision::Continue { .. } => Ok("is published there by this mirror"),
            Decision::CatchUp { .. } => Ok(
                "is published there by this mirror, which is older than the server and takes over what it lacks",
            ),
            Decision::Adopt => Ok("is there, its mirror is gone, and this one takes it over"),
            Decision::Wait(_) if rules.standby_after.is_some() => {
                Ok("is published there by another host, and this one stands by")
            }
            Decision::Wait(why) | Decision::Refuse(why) => Err(PublishError::Refused(why)),
        }
    }
}

/// Creates the schema, or adds what it lacks. Returns its version.
///
/// # Errors
/// If the role may not, or the server cannot be reached.
pub(crate) async fn init(server: &Server, distribute: bool) -> Result<i32, PublishError> {
    let connection = server.connect().await?;
    within(INIT_TIMEOUT, "created the schema", schema::init(&connection, distribute)).await
}

/// Reads what the server has of an account, and whether this program's role may publish it.
///
/// # Errors
/// If the server cannot be reached, its schema has another version, or the role lacks a right.
pub(crate) async fn state(server: &Server, account_id: Option<i64>) -> Result<ServerState, PublishError> {
    let connection = server.connect().await?;
    let reading = async {
        let schema = schema::require(&connection).await?;
        rights(&connection, server).await?;
        let account = match account_id {
            Some(account_id) => account(&connection, account_id).await?,
            None => None,
        };
        Ok::<_, PublishError>(ServerState { schema, account })
    };
    within(ANSWER_TIMEOUT, "read the account's state", reading).await
}

async fn account(connection: &Connection, account_id: i64) -> Result<Option<ServerAccount>, PublishError> {
    let sql = format!(
        "SELECT mirror_id::text, publisher, version, position, epoch, extract(epoch FROM held_until)::bigint,
                held_until > now(), extract(epoch FROM published_at)::bigint
           FROM {SCHEMA}.accounts WHERE account_id = $1"
    );
    let row = connection.query_typed_opt(&sql, &[(&account_id, Type::INT8)]).await?;
    Ok(row.map(|row| ServerAccount {
        mirror: row.get(0),
        publisher: row.get(1),
        version: row.get(2),
        position: row.get(3),
        epoch: row.get(4),
        held_until: UnixSeconds::new(row.get(5)),
        is_held: row.get(6),
        published_at: UnixSeconds::new(row.get(7)),
    }))
}

/// Whether the role may read and write each table.
async fn rights(connection: &Connection, server: &Server) -> Result<(), PublishError> {
    for table in tables::all().map(|table| table.name).chain(["accounts"]) {
        let name = format!("{SCHEMA}.{table}");
        let sql = "SELECT has_table_privilege($1::text, 'SELECT') AND has_table_privilege($1::text, 'INSERT')
                          AND has_table_privilege($1::text, 'UPDATE')";
        let row = connection.query_typed_one(sql, &[(&name, Type::TEXT)]).await?;
        if !row.get::<_, bool>(0) {
            let user = server.address.user();
            return Err(PublishError::Refused(format!(
                "the role {user} may not read and write {name}: GRANT talkmirror_publisher TO {user}"
            )));
        }
    }
    Ok(())
}
