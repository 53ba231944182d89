//! docs/configuration.md shows each key of config.example.toml with its default and its comment.
//!
//! `UPDATE=1 cargo test --test black_box -- docs_configuration` brings the page up to date.

use crate::docs::root;
use std::fmt::Write;
use std::fs;

/// The line that the generated part begins with, to the end of the page.
const MARK: &str = "<!-- From here on generated from config.example.toml:";

/// A comment of the file, as Markdown: lines that are set in are code.
fn markdown(comment: &[&str]) -> String {
    let mut text = String::new();
    for (index, line) in comment.iter().enumerate() {
        let is_code = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("  "));
        let before = index.checked_sub(1).and_then(|before| comment.get(before));
        match (is_code(before), is_code(Some(line))) {
            (false, true) => text += "\n```text\n",
            (true, false) => text += "```\n\n",
            _ => {}
        }
        writeln!(text, "{}", line.trim()).unwrap();
        if is_code(Some(line)) && index + 1 == comment.len() {
            text += "```\n";
        }
    }
    text
}

/// The generated part.
fn generated(example: &str) -> String {
    let mut page = format!("{MARK}\n     UPDATE=1 cargo test --test black_box -- docs_configuration -->\n");
    let (mut section, mut comment, mut keys) = ("", Vec::new(), Vec::<(&str, &str)>::new());
    // The comment on the whole file ends with the first section.
    for line in example.lines().skip_while(|line| !line.starts_with('[')).chain([""]) {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            write!(page, "\n## [{section}]\n").unwrap();
        } else if let Some((key, value)) = line.split_once(" = ") {
            keys.push((key, value));
        } else if !keys.is_empty() {
            let names: Vec<String> = keys.iter().map(|(key, _)| format!("{section}.{key}")).collect();
            write!(page, "\n### {}\n\n", names.join(", ")).unwrap();
            let values: Vec<String> = keys.iter().map(|(_, value)| format!("`{value}`")).collect();
            let what = match names[0].as_str() {
                "api.base_url" | "api.token_file" => "For example",
                _ => "Default:",
            };
            write!(page, "{what} {}\n\n", values.join(", ")).unwrap();
            page += &markdown(&comment);
            keys.clear();
            comment.clear();
        }
    }
    page
}

#[test]
fn the_page_on_the_configuration_shows_every_key_with_its_default_and_comment() {
    let example = fs::read_to_string(root().join("config.example.toml")).unwrap();
    let path = root().join("docs/configuration.md");
    let is = fs::read_to_string(&path).unwrap();
    let by_hand = &is[..is.find(MARK).expect("the mark of the generated part")];
    let should = format!("{by_hand}{}", generated(&example));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &should).unwrap();
        return;
    }
    let differs = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    assert!(
        is == should,
        "docs/configuration.md is not what config.example.toml says (UPDATE=1 brings it up to date): {differs:?}"
    );
}
