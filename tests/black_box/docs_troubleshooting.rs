//! docs/troubleshooting.md has every message of `talkmirror status`, as the sources have it.

use crate::docs::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use talkmirror::gate::Reason;

/// What stands in the code before a message.
const MARKS: [&str; 7] = ["what:", "what =", "what +=", "complain(", "push(format!(", "Some((", "then(|| {"];
/// Between such a mark and its message, in characters.
const NEAR: usize = 160;

fn sources() -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with("tests.rs") => {}
                false => files.push(path),
            }
        }
    }
    files
}

/// The string literals of a source, each with the code since the one before.
fn literals(source: &str) -> Vec<(String, String)> {
    let mut literals = Vec::new();
    let (mut code, mut letters) = (String::new(), source.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter != '"' || code.ends_with('\'') {
            code.push(letter);
            continue;
        }
        let mut text = String::new();
        while let Some(letter) = letters.next_if(|letter| *letter != '"') {
            match letter {
                '\\' => match letters.next() {
                    Some('\n') => while letters.next_if(|blank| blank.is_whitespace()).is_some() {},
                    escaped => text.extend(escaped),
                },
                letter => text.push(letter),
            }
        }
        letters.next();
        literals.push((std::mem::take(&mut code), text));
    }
    literals
}

/// The texts of complaints and warnings, with their `{}`.
fn messages() -> BTreeSet<String> {
    let mut messages: BTreeSet<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    for path in sources() {
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for (code, text) in literals(source).into_iter().filter(|_| source.contains("Complaint")) {
            let after_mark = MARKS.iter().filter_map(|mark| code.rsplit_once(mark)).map(|(_, after)| after);
            if after_mark
                .min_by_key(|after| after.len())
                .is_some_and(|after| after.len() < NEAR && !after.contains(';'))
            {
                messages.insert(text);
            }
        }
    }
    messages
}

/// The words of a message between what is filled in.
fn fixed_words(message: &str) -> impl Iterator<Item = &str> {
    let parts =
        message.split('{').flat_map(|part| part.split_once('}').map_or(Some(part), |(_, fixed)| Some(fixed)));
    parts
        .map(|part| part.trim_matches(|letter: char| !letter.is_alphanumeric()))
        .filter(|part| part.len() >= 8)
}

#[test]
fn every_message_of_status_is_on_the_page() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let page = page.replace(['`', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let messages = messages();
    assert!(messages.len() >= 35, "not all are found: {messages:#?}");
    let is_there = |message: &&String| fixed_words(message).all(|words| page.contains(words));
    let missing: Vec<&String> = messages.iter().filter(|message| !is_there(message)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not have these as they are: {missing:#?}");
}
