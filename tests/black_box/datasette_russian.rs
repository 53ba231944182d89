//! `contrib/datasette.ru.yaml` is `contrib/datasette.yaml` with the texts of `datasette.ru.txt`: the same tables, columns,
//! charts and SQL.
//!
//! `UPDATE=1 cargo test --test black_box -- datasette` writes it anew. A text without a Russian one fails the test.
//! A title such as "Open talks (open_talks)" is one of these texts.

use crate::docs::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The Russian text of each English one: the line below it.
fn translations() -> BTreeMap<&'static str, &'static str> {
    let pairs = include_str!("datasette.ru.txt").split("\n\n").skip(1);
    pairs.map(|pair| pair.trim_end().split_once('\n').expect("two lines each")).collect()
}

/// Whether a quoted string is a text, and not a colour, an expression or the like.
fn is_text(string: &str) -> bool {
    let is_of_programs = string.starts_with(['#', '%']) || string == "-x" || string.contains("datum.");
    !is_of_programs && string.contains(|letter: char| letter.is_ascii_alphabetic())
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The file in Russian, and the texts that have no translation.
fn translated(english: &str) -> (String, BTreeSet<String>) {
    let translations = translations();
    let mut missing = BTreeSet::new();
    let mut in_russian = |text: &str| match translations.get(text) {
        Some(russian) => (*russian).to_owned(),
        None => {
            missing.insert(text.to_owned());
            text.to_owned()
        }
    };
    let (mut russian, mut lines) = (String::new(), english.lines().peekable());
    while let Some(line) = lines.next() {
        let mut below = || lines.next_if(|next| next.trim().is_empty() || depth(next) > depth(line));
        if line.ends_with("|-") {
            // SQL.
            russian += &format!("{line}\n");
            while let Some(sql) = below() {
                russian += &format!("{sql}\n");
            }
        } else if line.ends_with(": >-") {
            let text = std::iter::from_fn(below).map(str::trim).collect::<Vec<_>>().join(" ");
            russian += &format!("{line}\n{}  {}\n", " ".repeat(depth(line)), in_russian(&text));
        } else if line.trim_start().starts_with(['#']) || line.trim_start().starts_with("query: \"") {
            russian += &format!("{line}\n");
        } else {
            // Each second part is between quotes. No text has a quote of its own.
            let part = |(place, part): (usize, &str)| match place % 2 == 1 && is_text(part) {
                true => in_russian(part),
                false => part.to_owned(),
            };
            let parts: Vec<String> = line.split('"').enumerate().map(part).collect();
            russian += &format!("{}\n", parts.join("\""));
        }
    }
    (russian, missing)
}

/// Checks the Russian file against the English one, or writes it.
pub fn assert_up_to_date(english: &str) {
    let (should, missing) = translated(english);
    assert!(
        missing.is_empty(),
        "tests/black_box/datasette.ru.txt has no Russian text for these: {missing:#?}"
    );
    let idle: Vec<_> = translations().into_keys().filter(|text| !english_has(english, text)).collect();
    assert!(
        idle.is_empty(),
        "tests/black_box/datasette.ru.txt has more than contrib/datasette.yaml: {idle:#?}"
    );
    let path = root().join("contrib/datasette.ru.yaml");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &should).unwrap();
    }
    let is = fs::read_to_string(&path).unwrap();
    let differs = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    assert!(is == should, "contrib/datasette.ru.yaml is not up to date (UPDATE=1 writes it): {differs:?}");
}

/// Whether the file has a text, on one line or on several.
fn english_has(english: &str, text: &str) -> bool {
    english.contains(&format!("\"{text}\"")) || {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        words(english).contains(&words(text))
    }
}
