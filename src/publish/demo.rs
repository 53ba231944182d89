//! What the demo does on a server: makes the schema if it may, and shows what is there.

use super::connection::{ANSWER_TIMEOUT, Connection, Server, within};
use super::error::{Class, PublishError};
use super::schema;
use super::server_state::state;
use super::table::SCHEMA;
use super::tables;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// What the server has of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The account's row in the view `fleet`, as names and values.
    pub fleet: Vec<(String, String)>,
    /// How many rows each table has.
    pub rows: Vec<(&'static str, i64)>,
}

/// Creates the schema unless it is there. Returns whether it did.
///
/// # Errors
/// If the server cannot be reached, or the role may neither publish nor create the schema.
pub(crate) async fn prepare(server: &Server) -> Result<bool, PublishError> {
    match state(server, None).await {
        Ok(_) => return Ok(false),
        Err(error) if error.class() == Class::Refused && !is_of_login(&error) => {}
        Err(error) => return Err(error),
    }
    let connection = server.connect().await?;
    match within(ANSWER_TIMEOUT, "created the schema", schema::init(&connection, false)).await {
        Ok(_) => {}
        Err(PublishError::Server(error)) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let (user, database) = (server.address.user(), server.address.database());
            return Err(PublishError::Refused(format!(
                "the role {user} may not make the schema talkmirror there. Let the database's owner run `talkmirror \
                 publish init --server postgresql://OWNER@…/{database}`, then GRANT talkmirror_publisher TO {user}"
            )));
        }
        Err(error) => return Err(error),
    }
    state(server, None).await.map(|_| true)
}

/// Whether the password or the database is wrong, which the schema's owner cannot correct.
fn is_of_login(error: &PublishError) -> bool {
    match error {
        PublishError::Server(error) => error
            .code()
            .is_none_or(|state| state.code().starts_with("28") || *state == SqlState::INVALID_CATALOG_NAME),
        _ => false,
    }
}

/// Reads what the server has of an account.
///
/// # Errors
/// If it cannot be read.
pub(crate) async fn contents(server: &Server, account_id: i64) -> Result<Contents, PublishError> {
    let connection = server.connect().await?;
    within(ANSWER_TIMEOUT, "read what is published", read(&connection, account_id)).await
}

async fn read(connection: &Connection, account_id: i64) -> Result<Contents, PublishError> {
    let of_account = [(&account_id as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT8)];
    let sql = format!(
        "SELECT fields.key, fields.value FROM {SCHEMA}.fleet, json_each_text(row_to_json(fleet)) AS fields
          WHERE account_id = $1 AND fields.value IS NOT NULL"
    );
    let fleet = connection.query_typed(&sql, &of_account).await?;
    let fleet = fleet.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut rows = Vec::new();
    for table in tables::all() {
        let sql = format!("SELECT count(*) FROM {SCHEMA}.{} WHERE account_id = $1", table.name);
        rows.push((table.name, connection.query_typed_one(&sql, &of_account).await?.get(0)));
    }
    Ok(Contents { fleet, rows })
}
