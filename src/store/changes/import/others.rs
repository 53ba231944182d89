//! Takes over exemptions and names: what no talk's row holds.
//!
//! No row of this file is lost. A name that this file has stays, because it fetches them itself. An exemption that it does not
//! have is added: at worst a talk stays open that need not.

use super::ImportedRows;
use rusqlite::{Transaction, params_from_iter};

/// Adds the rows that this file does not have.
pub(super) fn import(tx: &Transaction<'_>, table: &str, imported: &ImportedRows) -> rusqlite::Result<()> {
    match table {
        "close_exemptions" => exemptions(tx, imported),
        _ => names(tx, table, imported),
    }
}

/// They were fetched in 1970: so they are fetched again.
fn names(tx: &Transaction<'_>, table: &str, imported: &ImportedRows) -> rusqlite::Result<()> {
    let columns = imported.columns.join(", ");
    let values = vec!["?"; imported.columns.len()].join(", ");
    let sql = format!("INSERT OR IGNORE INTO {table} ({columns}, fetched_at) VALUES ({values}, 0)");
    let mut insert = tx.prepare_cached(&sql)?;
    for row in &imported.rows {
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}

/// The first column is `id`. A row whose number is taken by another gets a new one.
fn exemptions(tx: &Transaction<'_>, imported: &ImportedRows) -> rusqlite::Result<()> {
    let others = imported.columns.get(1..).unwrap_or_default();
    let same: Vec<String> =
        others.iter().enumerate().map(|(place, column)| format!("{column} IS ?{}", place + 2)).collect();
    let same = same.join(" AND ");
    let values: Vec<String> = (0..others.len()).map(|place| format!("?{}", place + 2)).collect();
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO close_exemptions (id, {})
         SELECT iif(EXISTS (SELECT 1 FROM close_exemptions WHERE id = ?1), NULL, ?1), {}
          WHERE NOT EXISTS (SELECT 1 FROM close_exemptions WHERE {same})",
        others.join(", "),
        values.join(", ")
    ))?;
    for row in &imported.rows {
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;
    use crate::store::migrations::tests::in_memory;

    const COLUMNS: [&str; 9] =
        ["id", "talk_id", "contact_id", "chat_id", "user_id", "pipeline_id", "reason", "until", "created_at"];

    fn exemption(id: i64, contact_id: i64, until: Option<i64>) -> Vec<Cell> {
        let mut row = vec![Cell::Null; COLUMNS.len()];
        row[0] = Cell::Integer(id);
        row[2] = Cell::Integer(contact_id);
        row[6] = Cell::Text("VIP".into());
        row[7] = until.map_or(Cell::Null, Cell::Integer);
        row[8] = Cell::Integer(5);
        row
    }

    #[test]
    fn no_exemption_of_either_side_is_lost_and_none_comes_twice() {
        let mut connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO close_exemptions (id, contact_id, reason, created_at) VALUES (1, 42, 'VIP', 5), (2, 43, 'ours', 6)",
            )
            .unwrap();
        let rows = vec![exemption(1, 42, None), exemption(2, 44, Some(900)), exemption(7, 45, None)];
        let imported = ImportedRows { columns: COLUMNS.to_vec(), rows };
        for _ in 0..2 {
            let tx = connection.transaction().unwrap();
            import(&tx, "close_exemptions", &imported).unwrap();
            tx.commit().unwrap();
            let found: String = connection
                .query_row(
                    "SELECT group_concat(contact_id || ' ' || reason || coalesce(' ' || until, ''), ', ' ORDER BY contact_id)
                       FROM close_exemptions",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(found, "42 VIP, 43 ours, 44 VIP 900, 45 VIP");
        }
    }

    #[test]
    fn a_name_that_this_file_has_stays_and_others_are_to_be_fetched_again() {
        let mut connection = in_memory();
        connection
            .execute_batch("INSERT INTO users (user_id, name, fetched_at) VALUES (1, 'Anna', 9)")
            .unwrap();
        let user =
            |id, name: &str| vec![Cell::Integer(id), Cell::Text(name.into()), Cell::Integer(1), Cell::Null];
        let rows = vec![user(1, "Old"), user(2, "Boris")];
        let imported = ImportedRows { columns: vec!["user_id", "name", "is_active", "gone_at"], rows };
        let tx = connection.transaction().unwrap();
        import(&tx, "users", &imported).unwrap();
        tx.commit().unwrap();
        let found: String = connection
            .query_row(
                "SELECT group_concat(name || ' ' || fetched_at, ', ' ORDER BY user_id) FROM users",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(found, "Anna 9, Boris 0");
    }
}
