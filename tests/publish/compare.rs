//! Compares the server with the mirror, row by row and column by column.

use crate::harness::Mirror;
use crate::postgres::Database;
use serde_json::Value;
use std::collections::BTreeSet;

/// The server's table, and what stands for it in the mirror.
const TABLES: [(&str, &str); 13] = [
    ("talks", "talks JOIN changes USING (talk_id)"),
    ("talk_versions", "talk_versions"),
    ("closures", "closures"),
    ("tombstones", "tombstones"),
    ("talk_events", "talk_events"),
    ("leads", "leads WHERE lead_id IN (SELECT lead_id FROM talks)"),
    ("contacts", "contacts WHERE contact_id IN (SELECT contact_id FROM talks)"),
    ("users", "users"),
    ("pipelines", "pipelines"),
    ("statuses", "statuses"),
    ("close_exemptions", "close_exemptions"),
    ("utc_offsets", "utc_offsets"),
    ("work_time", "work_time"),
];

/// Checks that every row of the account is the same on both sides, in every table.
pub fn assert_same(mirror: &Mirror, database: &Database) {
    for (table, of_mirror) in TABLES {
        let (there, here) = both(mirror, database, table, of_mirror);
        let differing: Vec<_> = there.symmetric_difference(&here).take(10).collect();
        assert!(differing.is_empty(), "{table} differs: {differing:#?}\nlog:\n{}", mirror.log());
    }
}

/// The rows of a table on the server and in the mirror, each as a JSON list.
fn both(
    mirror: &Mirror,
    database: &Database,
    table: &str,
    of_mirror: &str,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let columns = database.sql(&format!(
        "SELECT column_name || ' ' || data_type FROM information_schema.columns
          WHERE table_schema = 'talkmirror' AND table_name = '{table}' AND column_name <> 'account_id'
          -- A fetch that found nothing new is not published.
          AND (table_name, column_name) <> ('talks', 'fetched_at')
          ORDER BY ordinal_position"
    ));
    let columns: Vec<(&str, &str)> = columns.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let on_server = |(name, kind): &(&str, &str)| match *kind {
        "timestamp with time zone" => format!(
            "CASE WHEN isfinite({name}) THEN to_json(extract(epoch FROM {name})::bigint) ELSE to_json({name}::text) END"
        ),
        "boolean" => format!("{name}::integer"),
        "json" => format!("{name}::text"),
        _ => (*name).to_owned(),
    };
    // The server's years end, and begin.
    let in_mirror = |(name, kind): &(&str, &str)| match *kind {
        "timestamp with time zone" => format!(
            "CASE WHEN {name} >= 9224318016000 THEN 'infinity' WHEN {name} < -210866803200 THEN '-infinity' ELSE {name} END"
        ),
        _ => (*name).to_owned(),
    };
    let in_mirror: Vec<String> = columns.iter().map(in_mirror).collect();
    let on_server = columns.iter().map(on_server).collect::<Vec<_>>().join(", ");
    // A talk that turned up has a tombstone on the server still.
    let turned_up =
        "AND NOT EXISTS (SELECT 1 FROM talkmirror.talks WHERE talks.talk_id = tombstones.talk_id)";
    let only = if table == "tombstones" { turned_up } else { "" };
    let account_id = mirror.simulator.account().account_id;
    let there = database.sql(&format!(
        "SELECT json_build_array({on_server}) FROM talkmirror.{table} WHERE account_id = {account_id} {only}"
    ));
    let mut here = BTreeSet::new();
    let connection = mirror.connect();
    let mut rows =
        connection.prepare(&format!("SELECT json_array({}) FROM {of_mirror}", in_mirror.join(", "))).unwrap();
    for row in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        here.insert(plain(&row.unwrap()));
    }
    (there.lines().map(plain).collect(), here)
}

/// Without the spaces that only one of the two writes, and without U+0000, which is no character of the server's.
fn plain(row: &str) -> String {
    let mut row: Vec<Value> = serde_json::from_str(row).unwrap_or_else(|error| panic!("{error}: {row}"));
    for value in &mut row {
        if let Value::String(text) = value {
            *text = text.replace('\0', "\u{fffd}");
        }
    }
    Value::from(row).to_string()
}
