//! `contrib/datasette.yaml` documents tables, views and columns as the schema's comments do.
//!
//! `UPDATE=1 cargo test --test black_box -- datasette` brings the file up to date.

use crate::datasette_russian;
use crate::harness::{Mirror, account};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The line that the generated part begins with, to the end of the file.
const MARK: &str = "    # From here on generated";

/// What analysts look at, in the order in which the database's page lists it. All other tables are internal: hidden.
const FOR_ANALYSTS: [&str; 26] = [
    "open_talks",
    "responses",
    "missed_by_user",
    "missed_by_pipeline",
    "missed_by_origin",
    "missed_by_day",
    "open_by_day",
    "response_sla",
    "ratings",
    "talk_timeline",
    "talks",
    "talks_iso",
    "talk_versions",
    "talk_events",
    "leads",
    "contacts",
    "users",
    "pipelines",
    "statuses",
    "contact_talks",
    "chat_talks",
    "closures",
    "closures_by_day",
    "stale_talks",
    "close_exemptions",
    "mirror_freshness",
];

/// The columns of a table or view, with their comments.
type Columns = Vec<(String, String)>;

/// The code and the comment of a line of SQL.
fn split(line: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '-' if !quoted && line[at..].starts_with("--") => {
                return (line[..at].trim(), Some(line[at + 2..].trim()));
            }
            _ => {}
        }
    }
    (line.trim(), None)
}

/// Adds a comment's next line.
fn extend(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

/// Reads a statement's comments: on the whole in its first lines, and on each column at the end of its line. A
/// table's column comment may continue below its line, a view's may start above it.
fn comments(sql: &str, names: &[String]) -> (String, Columns) {
    let is_view = sql.starts_with("CREATE VIEW");
    let (mut about, mut columns, mut said_before) = (String::new(), Columns::new(), String::new());
    // A table's columns start lines inside its brackets. A view's end lines outside of brackets, from SELECT to
    // FROM.
    let (mut depth, mut is_headed, mut is_listing) = (0, false, !is_view);
    for (code, comment) in sql.lines().skip(1).map(split) {
        is_headed |= !code.is_empty();
        if !is_headed {
            extend(&mut about, comment.unwrap_or_default());
            continue;
        }
        let level = depth;
        depth = (depth + code.matches('(').count()).saturating_sub(code.matches(')').count());
        if is_view && level == 0 {
            is_listing |= code.starts_with("SELECT");
            if is_listing && code.starts_with("FROM") {
                break;
            }
        }
        let name = match is_view {
            true if depth == 0 => code.trim_end_matches(',').rsplit([' ', '.']).next(),
            false if level == 0 => code.split(' ').next(),
            _ => None,
        };
        if !is_listing {
            continue;
        }
        if let Some(name) = name.filter(|name| names.iter().any(|known| known == name)) {
            let mut said = std::mem::take(&mut said_before);
            extend(&mut said, comment.unwrap_or_default());
            columns.push((name.to_owned(), said));
        } else if let Some(comment) = comment {
            match columns.last_mut() {
                // A possible value of the column before.
                Some((_, text)) if code.starts_with('\'') => {
                    extend(text, &format!("{}: {comment};", code.trim_end_matches([',', ')'])));
                }
                Some((_, text)) if !is_view => extend(text, comment),
                _ => extend(&mut said_before, comment),
            }
        }
    }
    (about, columns)
}

/// A name as a title: `missed_by_day` is "Missed by day".
fn title(name: &str) -> String {
    let words = name.replace('_', " ").replace("iso", "ISO").replace("sla", "SLA");
    let (first, rest) = words.split_at(1);
    format!("{}{rest} ({name})", first.to_uppercase())
}

/// A string that YAML reads unchanged. JSON strings are.
fn quoted(text: &str) -> String {
    serde_json::to_string(text.trim_end_matches([',', ';'])).unwrap()
}

/// The generated part of the file, and the names without a comment in the schema.
fn generated(connection: &Connection) -> (String, Vec<String>) {
    let mut text = format!(
        "{MARK} from the schema's comments; after a change of these:\n    \
         #   UPDATE=1 cargo test --test black_box -- datasette\n    tables:\n"
    );
    let mut statement = connection
        .prepare(
            "SELECT name, sql FROM sqlite_schema
              WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
        )
        .unwrap();
    let mut things: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for known in FOR_ANALYSTS {
        assert!(things.iter().any(|(name, _)| name == known), "{known} is neither a table nor a view");
    }
    let place = |name: &str| FOR_ANALYSTS.iter().position(|known| *known == name);
    for (name, sql) in &things {
        let is_placed = sql.starts_with("CREATE TABLE") || place(name).is_some();
        assert!(is_placed, "views are for analysts: give {name} its place in FOR_ANALYSTS");
    }
    things.sort_by_key(|(name, _)| place(name).unwrap_or(FOR_ANALYSTS.len()));
    let mut silent = Vec::new();
    let mut of_talks = BTreeMap::new();
    for (name, sql) in things.iter().filter(|(name, _)| name == "talks") {
        of_talks.extend(comments(sql, &names(connection, name)).1);
    }
    for (name, sql) in &things {
        let names = names(connection, name);
        let (about, mut columns) = comments(sql, &names);
        for (column, said) in &mut columns {
            // Its schema says "as in talks".
            if name == "talk_history" && (said.is_empty() || said.contains("as in talks")) {
                said.clone_from(&of_talks[column.as_str()]);
            }
        }
        let said = |name: &String| columns.iter().any(|(column, said)| column == name && !said.is_empty());
        silent.extend(names.iter().filter(|column| !said(column)).map(|column| format!("{name}.{column}")));
        silent.extend(about.is_empty().then(|| name.clone()));
        writeln!(text, "      {name}:\n        title: {}", quoted(&title(name))).unwrap();
        let hidden = if place(name).is_none() { "        hidden: true\n" } else { "" };
        writeln!(text, "        description: {}\n{hidden}        columns:", quoted(&about)).unwrap();
        for (column, said) in columns {
            writeln!(text, "          {column}: {}", quoted(&said)).unwrap();
        }
    }
    (text, silent)
}

fn names(connection: &Connection, thing: &str) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    statement.query_map([thing], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn datasette_is_told_what_the_schema_says_of_each_table_and_column() {
    let mirror = Mirror::new(account(0));
    mirror.ends(0, &["enqueue", "1"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/datasette.yaml");
    let is = std::fs::read_to_string(&path).unwrap();
    let by_hand = &is[..is.find(MARK).expect("the mark of the generated part")];
    let (generated, silent) = generated(&mirror.connect());
    let should = format!("{by_hand}{generated}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &should).unwrap();
    }
    assert!(silent.is_empty(), "the schema does not say what these are: {silent:?}");
    datasette_russian::assert_up_to_date(&should);
    let differs = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    assert!(
        is == should || std::env::var_os("UPDATE").is_some(),
        "contrib/datasette.yaml is not what the schema says (UPDATE=1 brings it up to date): {differs:?}"
    );
}
