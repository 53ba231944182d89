//! docs/troubleshooting.md has every message of `talkmirror status`, as the catalogue has it.

use crate::docs::root;
use std::collections::BTreeMap;
use std::fs;

/// How the names of messages begin that tell what is wrong.
const TOLD: [&str; 3] = ["what-", "reason-", "clock-"];

/// The texts of complaints and warnings, with their `{ $value }`; of those with a plural, the general form.
fn messages() -> BTreeMap<String, String> {
    let catalogue = fs::read_to_string(root().join("src/language/en/health.ftl")).unwrap();
    let (mut messages, mut id) = (BTreeMap::new(), "");
    for line in catalogue.lines() {
        if let Some((name, text)) = line.split_once('=').filter(|_| line.starts_with(char::is_alphabetic)) {
            id = name.trim();
            messages.insert(id.to_owned(), text.trim().to_owned());
        } else if let Some(text) = line.trim().strip_prefix("*[other]") {
            messages.insert(id.to_owned(), text.trim().to_owned());
        }
    }
    messages.retain(|id, _| TOLD.iter().any(|told| id.starts_with(told)));
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
    let missing: Vec<&String> = messages.values().filter(|message| !is_there(message)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not have these as they are: {missing:#?}");
}
