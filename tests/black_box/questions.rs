//! The questions of docs/cookbook.md, asked of the demo's database with the sqlite3 shell.

use crate::harness::{skip, text};
use std::path::Path;
use std::process::Command;

/// A question of that page, its query, and the result as shown there.
struct Question {
    text: String,
    sql: String,
    shown: Vec<String>,
}

fn questions() -> Vec<Question> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cookbook.md")).unwrap();
    let mut questions: Vec<Question> = Vec::new();
    for line in page.lines() {
        let numbered = line.split_once(". **").filter(|(number, _)| number.parse::<usize>().is_ok());
        if let Some((number, question)) = numbered {
            assert_eq!(number.parse(), Ok(questions.len() + 1), "{line}");
            let text = question.trim_end_matches("**").to_owned();
            questions.push(Question { text, sql: String::new(), shown: Vec::new() });
        } else if let (Some(code), Some(question)) = (line.strip_prefix("       "), questions.last_mut()) {
            match question.sql.trim_end().ends_with(';') {
                false => question.sql += &format!("{code}\n"),
                true => question.shown.push(code.to_owned()),
            }
        }
    }
    questions
}

/// Queries like an analyst.
fn ask(database: &Path, sql: &str) -> Vec<String> {
    let output = Command::new("sqlite3")
        .args(["-readonly", "-column", "-header"])
        .arg(database)
        .arg(sql)
        .output()
        .expect("the sqlite3 shell is installed");
    let (out, err) = text(&output);
    assert!(output.status.success() && err.is_empty(), "{sql}: {err}");
    out.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The kind of a cell: figures and times differ between demos, kinds do not.
fn kind(cell: &str) -> &'static str {
    let digits = cell.chars().all(|letter| letter.is_ascii_digit() || "-.".contains(letter));
    match cell {
        "" => "nothing",
        _ if digits && cell.parse::<f64>().is_ok() => "number",
        _ if cell.starts_with("20") && cell.contains('-') => "time",
        _ => "text",
    }
}

/// The kinds of a row's cells. The rule under the header shows where columns begin.
fn kinds(rule: &str, row: &str) -> Vec<&'static str> {
    let row: Vec<char> = row.chars().collect();
    let mut at = 0;
    let mut kinds = Vec::new();
    for dashes in rule.split("  ") {
        let end = (at + dashes.len()).min(row.len());
        let cell: String = row[at.min(end)..end].iter().collect();
        kinds.push(kind(cell.trim()));
        at += dashes.len() + 2;
    }
    kinds
}

#[test]
fn every_question_of_the_cookbook_is_answered_by_the_demo_s_database() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        skip("there is no sqlite3 shell");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    let demo = demo.arg("demo").arg("--dir").arg(folder.path()).output().unwrap();
    assert!(demo.status.success(), "{:?}", text(&demo));
    let questions = questions();
    assert_eq!(questions.len(), 30);
    for Question { text, sql, shown } in &questions {
        assert!(text.ends_with('?') || text.ends_with(')'), "{text}");
        let rows = ask(&folder.path().join("talks.db"), sql);
        assert!(rows.len() > 2, "{text} has an answer");
        let names = |row: &str| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&shown[0]), names(&rows[0]), "{text}: as it is shown");
        // Only the first rows are compared: a NULL in one may be a figure in another.
        for (shown, now) in kinds(&shown[1], &shown[2]).iter().zip(kinds(&rows[1], &rows[2])) {
            assert!(*shown == now || *shown == "nothing" || now == "nothing", "{text}: {shown}, {now}");
        }
    }
}
