//! Reads back what the server has of an account: for a host that takes it over, and for a file that is older than what
//! it has published.

use super::claim::{Claim, identity};
use super::connection::{Connection, within};
use super::error::PublishError;
use super::rows::{END_OF_TIME, FIRST_TIME};
use super::table::{Kind, SCHEMA, Table};
use super::tables::{TAKEN_OVER, WHOLE, closures, talk_events, talk_versions, talks};
use crate::store::changes::Cell;
use crate::store::changes::import::{ImportStep, ImportedRows, ImportedTalks};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Talks in one step. Two steps are in memory at a time, and a talk comes with its JSON and all its versions.
const STEP_TALKS: i64 = 200;
/// Closings in one step.
const STEP_CLOSINGS: i64 = 1000;
/// Events in one step: some 100 bytes each.
const STEP_EVENTS: i64 = 10_000;
/// Rows of other tables in one step.
const STEP_ROWS: i64 = 20_000;
/// The server may take so long for one statement. A step of the mirror takes as long as its disk does.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(60);
const READING: &str = "read back what is published";

/// Reads all at one moment of the server, whatever others write meanwhile.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '120s'";

/// What was read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Pulled {
    pub talks: u64,
    pub versions: u64,
    pub closures: u64,
    pub events: u64,
}

/// Reads the talks whose last change is above a position, with all of their versions, and all closings. Hands them on
/// step by step.
///
/// # Errors
/// If the server or `import` fails. What was handed on stays, and a repetition completes it.
pub(super) async fn pull(
    connection: &Connection,
    claim: &Claim,
    above: i64,
    mut import: impl AsyncFnMut(ImportStep) -> Result<(), PublishError>,
) -> Result<Pulled, PublishError> {
    within(STEP_TIMEOUT, READING, connection.batch_execute(BEGIN)).await?;
    let (account_id, position) = (claim.account_id, claim.position);
    let identity = crate::store::changes::Identity { seen: above, ..identity(claim) };
    import(ImportStep::Begin { identity, account_id, position, above }).await?;
    let mut pulled = Pulled::default();
    let mut next = next_talks(connection, account_id, above, i64::MIN).await?;
    while let Some((last, talks)) = next {
        pulled.talks += talks.talks.rows.len() as u64;
        pulled.versions += talks.versions.rows.len() as u64;
        // The server reads the next meanwhile.
        let following = next_talks(connection, account_id, above, last);
        let (imported, following) = tokio::join!(import(ImportStep::Talks(talks)), following);
        imported?;
        next = following?;
    }
    let mut last = i64::MIN;
    loop {
        let sql = format!(
            "{} WHERE account_id = $1 AND closure_id > $2 ORDER BY closure_id LIMIT $3",
            select(&closures::TABLE)
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&account_id, Type::INT8), (&last, Type::INT8), (&STEP_CLOSINGS, Type::INT8)];
        let closures = read(connection, &closures::TABLE, &sql, &parameters).await?;
        let Some(end) = closures.rows.last().and_then(|row| id(row)) else { break };
        last = end;
        pulled.closures += closures.rows.len() as u64;
        import(ImportStep::Closures(closures)).await?;
    }
    let mut next = next_events(connection, account_id, above, (i64::MIN, String::new())).await?;
    while let Some((last, events)) = next {
        pulled.events += events.rows.len() as u64;
        let following = next_events(connection, account_id, above, last);
        let (imported, following) = tokio::join!(import(ImportStep::Events(events)), following);
        imported?;
        next = following?;
    }
    pull_tables(connection, account_id, above, &mut import).await?;
    import(ImportStep::End { position }).await?;
    within(STEP_TIMEOUT, READING, connection.batch_execute("COMMIT")).await?;
    Ok(pulled)
}

/// Hands on the exemptions and the names. Those of leads and clients only to a new file: another one fetches what it lacks.
async fn pull_tables(
    connection: &Connection,
    account_id: i64,
    above: i64,
    import: &mut impl AsyncFnMut(ImportStep) -> Result<(), PublishError>,
) -> Result<(), PublishError> {
    for table in TAKEN_OVER {
        if above > 0 && !WHOLE.iter().any(|whole| whole.name == table.name) {
            continue;
        }
        // Ids may be missing in between, and the stages of pipelines have no id of their own.
        let key = table.key.join(", ");
        let sql = format!("{} WHERE account_id = $1 ORDER BY {key} LIMIT $2 OFFSET $3", select(table));
        for step in 0.. {
            let offset = step * STEP_ROWS;
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&account_id, Type::INT8), (&STEP_ROWS, Type::INT8), (&offset, Type::INT8)];
            let rows = read(connection, table, &sql, &parameters).await?;
            let is_last = rows.rows.len() < usize::try_from(STEP_ROWS).unwrap_or(usize::MAX);
            import(ImportStep::Table { name: table.name, rows }).await?;
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// The next talks after an id, and the id of the last of them. `None` after the end.
async fn next_talks(
    connection: &Connection,
    account_id: i64,
    above: i64,
    after: i64,
) -> Result<Option<(i64, ImportedTalks)>, PublishError> {
    let sql = format!(
        "{} WHERE account_id = $1 AND seq > $2 AND talk_id > $3 ORDER BY talk_id LIMIT $4",
        select(&talks::TABLE)
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [(&account_id, Type::INT8), (&above, Type::INT8), (&after, Type::INT8), (&STEP_TALKS, Type::INT8)];
    let talks = read(connection, &talks::TABLE, &sql, &parameters).await?;
    let ids: Vec<i64> = talks.rows.iter().filter_map(|row| id(row)).collect();
    let Some(last) = ids.last().copied() else { return Ok(None) };
    // A subquery for each talk always uses the key. With `= ANY`, a server that has no statistics yet reads the whole
    // account for each step. `OFFSET 0` keeps the subquery from becoming a join.
    let sql = format!(
        "SELECT versions.* FROM unnest($2) AS wanted (talk_id),
                LATERAL ({} WHERE account_id = $1 AND talk_versions.talk_id = wanted.talk_id OFFSET 0) AS versions
          ORDER BY versions.talk_id, versions.version",
        select(&talk_versions::TABLE)
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&account_id, Type::INT8), (&ids, Type::INT8_ARRAY)];
    let versions = read(connection, &talk_versions::TABLE, &sql, &parameters).await?;
    Ok(Some((last, ImportedTalks { talks, versions })))
}

/// The next events after a key, of talks that changed above a position or are not mirrored, and the key of the last of
/// them. `None` after the end.
async fn next_events(
    connection: &Connection,
    account_id: i64,
    above: i64,
    (talk_id, event_id): (i64, String),
) -> Result<Option<((i64, String), ImportedRows)>, PublishError> {
    let sql = format!(
        "{} AS event WHERE account_id = $1 AND (talk_id, event_id) > ($2, $3)
            AND NOT EXISTS (SELECT 1 FROM {SCHEMA}.talks
                             WHERE talks.account_id = $1 AND talks.talk_id = event.talk_id AND talks.seq <= $4)
          ORDER BY talk_id, event_id LIMIT $5",
        select(&talk_events::TABLE)
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&account_id, Type::INT8),
        (&talk_id, Type::INT8),
        (&event_id, Type::TEXT),
        (&above, Type::INT8),
        (&STEP_EVENTS, Type::INT8),
    ];
    let events = read(connection, &talk_events::TABLE, &sql, &parameters).await?;
    let last = events.rows.last().and_then(|row| match row.get(..2)? {
        [Cell::Integer(talk_id), Cell::Text(event_id)] => Some((*talk_id, event_id.clone())),
        _ => None,
    });
    Ok(last.map(|last| (last, events)))
}

async fn read(
    connection: &Connection,
    table: &Table,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<ImportedRows, PublishError> {
    let rows = within(STEP_TIMEOUT, READING, connection.query_typed(sql, parameters)).await?;
    Ok(ImportedRows {
        columns: table.columns.iter().map(|column| column.name).collect(),
        rows: rows.iter().map(|row| cells(table, row)).collect::<Result<_, _>>()?,
    })
}

/// Selects a table's columns as numbers and texts.
fn select(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| match column.kind {
            Kind::Integer | Kind::Text => column.name.to_owned(),
            Kind::Flag => format!("{}::integer::bigint", column.name),
            Kind::Json => format!("{}::text", column.name),
            Kind::Time => format!(
                "CASE WHEN isfinite({0}) THEN extract(epoch FROM {0})::bigint
                      WHEN {0} > now() THEN {END_OF_TIME} WHEN {0} < now() THEN {FIRST_TIME} - 1 END",
                column.name
            ),
        })
        .collect();
    format!("SELECT {} FROM {SCHEMA}.{}", columns.join(", "), table.name)
}

/// A row's values. A column may have got another type since its creation.
fn cells(table: &Table, row: &Row) -> Result<Vec<Cell>, PublishError> {
    let cell = |(place, column): (usize, &super::table::Column)| {
        let cell = match column.kind {
            Kind::Text | Kind::Json => {
                row.try_get::<_, Option<String>>(place).map(|text| text.map_or(Cell::Null, Cell::Text))
            }
            _ => row.try_get::<_, Option<i64>>(place).map(|number| number.map_or(Cell::Null, Cell::Integer)),
        };
        cell.map_err(|_| {
            PublishError::Refused(format!(
                "{SCHEMA}.{}.{} is of the type {}: give it back the type {}",
                table.name,
                column.name,
                row.columns()[place].type_(),
                column.kind.sql_type()
            ))
        })
    };
    table.columns.iter().enumerate().map(cell).collect()
}

fn id(row: &[Cell]) -> Option<i64> {
    match row.first() {
        Some(Cell::Integer(id)) => Some(*id),
        _ => None,
    }
}
