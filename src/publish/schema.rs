//! The schema on the server: `publish init` creates it, and adds what an earlier version of it lacks. It removes nothing.

use super::connection::Connection;
use super::error::PublishError;
use super::table::SCHEMA;
use super::tables;
use std::fmt::Write;
use tokio_postgres::types::Type;

/// The version of the schema that this program makes. It grows with each addition.
pub(crate) const VERSION: i32 = 3;
/// A publisher below this version would write what the schema no longer means. Additions never raise it.
const MIN_PUBLISHER: i32 = 1;

/// The accounts, the version, the roles.
const BASE: &str = include_str!("schema/base.sql");
/// What readers query.
const VIEWS: &str = include_str!("schema/views.sql");

/// The script that creates the schema, or brings an earlier version up to date. `distribute`: on Citus, by account.
pub(crate) fn script(distribute: bool) -> String {
    // Without notices about what exists already.
    let mut script = format!("BEGIN;\nSET LOCAL client_min_messages = warning;\n\n{BASE}\n");
    for table in tables::all() {
        script.push_str(&table.create());
        script.push('\n');
    }
    if distribute {
        script.push_str(&distributed());
    }
    let _ = writeln!(script, "{VIEWS}");
    let _ = writeln!(
        script,
        "GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO talkmirror_publisher, talkmirror_reader;"
    );
    let all: Vec<String> = ["accounts"]
        .into_iter()
        .chain(tables::all().map(|table| table.name))
        .map(|name| format!("{SCHEMA}.{name}"))
        .collect();
    let _ = writeln!(script, "GRANT INSERT, UPDATE ON {} TO talkmirror_publisher;", all.join(", "));
    let whole: Vec<String> = tables::WHOLE.iter().map(|table| format!("{SCHEMA}.{}", table.name)).collect();
    let _ = writeln!(script, "GRANT DELETE ON {} TO talkmirror_publisher;\n", whole.join(", "));
    let _ = writeln!(
        script,
        "INSERT INTO {SCHEMA}.schema_info (id, version, min_publisher) VALUES (1, {VERSION}, {MIN_PUBLISHER})\n\
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, min_publisher = excluded.min_publisher\n \
         WHERE schema_info.version < excluded.version;\n\nCOMMIT;"
    );
    script
}

/// All tables by account, on the nodes of a Citus cluster. A table that is distributed already stays as it is.
fn distributed() -> String {
    let mut sql = String::new();
    let mut each = |name: &str, call: &str| {
        let _ = writeln!(
            sql,
            "SELECT {call} WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = '{SCHEMA}.{name}'::regclass);"
        );
    };
    each("schema_info", &format!("create_reference_table('{SCHEMA}.schema_info')"));
    each("accounts", &format!("create_distributed_table('{SCHEMA}.accounts', 'account_id')"));
    for table in tables::all() {
        let name = table.name;
        let colocated = format!("colocate_with => '{SCHEMA}.accounts'");
        each(name, &format!("create_distributed_table('{SCHEMA}.{name}', 'account_id', {colocated})"));
    }
    sql.push('\n');
    sql
}

/// Runs the script. Returns the version that the server has now.
///
/// # Errors
/// If the role may not, or the server has no such database.
pub(super) async fn init(connection: &Connection, distribute: bool) -> Result<i32, PublishError> {
    connection.batch_execute(&script(distribute)).await?;
    Ok(version(connection).await?.0)
}

/// The server's version, and the lowest version of a publisher that it takes.
async fn version(connection: &Connection) -> Result<(i32, i32), PublishError> {
    let sql = format!("SELECT version, min_publisher FROM {SCHEMA}.schema_info WHERE id = 1");
    let row = connection
        .query_typed_opt(&sql, &[] as &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)])
        .await?;
    let row = row.ok_or_else(|| {
        PublishError::Refused(format!("{SCHEMA}.schema_info is empty: run `talkmirror publish init`"))
    })?;
    Ok((row.get(0), row.get(1)))
}

/// Whether this program may publish into the server's schema.
///
/// # Errors
/// If the schema is older than this program's, or takes no publisher as old as this one.
pub(super) async fn require(connection: &Connection) -> Result<i32, PublishError> {
    let (version, min_publisher) = version(connection).await?;
    if version < VERSION {
        return Err(PublishError::Refused(format!(
            "the schema on the server has version {version}, and this talkmirror publishes version {VERSION}: run \
             `talkmirror publish init` with a role that owns the schema. The changes wait meanwhile"
        )));
    }
    if min_publisher > VERSION {
        return Err(PublishError::Refused(format!(
            "the schema on the server takes publishers of version {min_publisher} and later, and this talkmirror has \
             version {VERSION}: upgrade talkmirror"
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_needs_nothing_that_a_pooler_or_citus_refuses() {
        let script = script(true).to_lowercase();
        for word in [
            "foreign key",
            "references",
            "serial",
            "sequence",
            "trigger",
            "temporary",
            "create unique index",
            "listen",
        ] {
            assert!(!script.contains(word), "{word}");
        }
        assert_eq!(script.matches("create_distributed_table").count(), tables::all().count() + 1);
    }
}
