//! The READMEs and docs/: links lead somewhere, no page is forgotten, and commands, SQL and configuration keys on them
//! are those of the program.

use crate::harness::{Mirror, account, text};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md in each language.
const READMES: [&str; 3] = ["README.md", "README.pt-BR.md", "README.ru.md"];

/// The READMEs and all of docs/ by their path from the root, with their text.
pub fn pages() -> Vec<(String, String)> {
    let mut folders = vec![root().join("docs")];
    let mut paths: Vec<PathBuf> = READMES.map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension().and_then(|extension| extension.to_str()) {
                Some("md") => paths.push(entry),
                _ if entry.is_dir() => folders.push(entry),
                _ => {}
            }
        }
    }
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Parts a page into its prose and its code: each block with its language, which is empty for an indented one.
fn parts(page: &str) -> (String, Vec<(String, String)>) {
    let (mut prose, mut blocks) = (String::new(), Vec::<(String, String)>::new());
    let (mut fenced, mut indented) = (false, false);
    for line in page.lines() {
        let fence = line.trim_start().strip_prefix("```");
        if let Some(language) = fence {
            fenced = !fenced;
            if fenced {
                blocks.push((language.to_owned(), String::new()));
            }
        } else if fenced || line.starts_with("    ") {
            if !fenced && !indented {
                blocks.push((String::new(), String::new()));
            }
            let (_, block) = blocks.last_mut().unwrap();
            *block += &format!("{}\n", line.trim_start());
        } else {
            prose += &format!("{line}\n");
        }
        indented = !fenced && fence.is_none() && line.starts_with("    ");
    }
    assert!(!fenced, "a block without an end");
    (prose, blocks)
}

/// The `spans` of code in prose.
fn spans(prose: &str) -> impl Iterator<Item = String> {
    prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "))
}

/// What `[text](target)` names.
fn links(page: &str) -> Vec<String> {
    let prose = parts(page).0;
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(page: &str) -> Vec<String> {
    let prose = parts(page).0;
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut found = 0;
    for (name, page) in pages() {
        for link in links(&page).into_iter().filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = root().join(&name);
            let target = if file.is_empty() { path } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{name}: {link}");
            let is_there = anchor.is_empty()
                || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|known| known == anchor);
            assert!(is_there, "{name}: {link}: there is no such heading");
            // The book has nothing beside docs/.
            let in_docs =
                target.canonicalize().unwrap().starts_with(root().join("docs").canonicalize().unwrap());
            assert!(in_docs || READMES.contains(&name.as_str()), "{name}: {link} leads out of docs/");
            found += 1;
        }
    }
    assert!(found > 40, "{found} links");
}

#[test]
fn every_page_is_linked_from_the_readme_and_the_summary_and_the_readme_is_short() {
    let pages = pages();
    let text = |wanted: &str| &pages.iter().find(|(name, _)| name == wanted).expect(wanted).1;
    let readme = text("README.md");
    for name in READMES {
        assert!(text(name).lines().count() <= 200, "{name}");
        let first = text(name).lines().next().unwrap();
        let others = READMES.iter().filter(|other| **other != name);
        assert!(
            others.copied().all(|other| links(first).iter().any(|link| link == other)),
            "{name}: {first}"
        );
    }
    let (linked, listed) = (links(readme), links(text("docs/SUMMARY.md")));
    for (name, _) in &pages {
        let Some(in_docs) = name.strip_prefix("docs/").filter(|name| *name != "SUMMARY.md") else { continue };
        assert!(linked.contains(name), "README.md does not link {name}");
        assert!(listed.iter().any(|listed| listed == in_docs), "docs/SUMMARY.md does not list {in_docs}");
    }
}

/// The command lines of talkmirror in a block of shell, or a span.
fn commands(shell: &str) -> Vec<Vec<String>> {
    let shell = shell.replace("\\\n", " ");
    let lines = shell.lines().flat_map(|line| line.split(" #").next().unwrap_or_default().split(['|', ';']));
    let ours = lines
        .map(|line| line.trim().trim_start_matches("sudo "))
        .filter(|line| line.starts_with("talkmirror "));
    let words = |line: &str| {
        let words = line
            .split(' ')
            .filter(|word| !word.is_empty())
            .take_while(|word| !word.starts_with(['<', '>', '…']));
        words.skip(1).map(|word| word.replace("ID", "117").replace("SHELL", "bash")).collect()
    };
    ours.map(words).collect()
}

#[test]
fn every_command_line_is_one_that_the_program_knows() {
    let mut known = BTreeSet::new();
    for (name, page) in pages() {
        let (prose, blocks) = parts(&page);
        let blocks = blocks.into_iter().filter(|(language, _)| ["", "sh", "console"].contains(&&**language));
        let code = blocks.map(|(_, code)| code).chain(spans(&prose));
        for command in code.flat_map(|code| commands(&code)) {
            if !known.insert(command.clone()) {
                continue;
            }
            // An option, a subcommand or a value that is wrong is met before the --help behind it.
            let help = (command[0] != "help").then_some("--help");
            let output =
                Command::new(env!("CARGO_BIN_EXE_talkmirror")).args(&command).args(help).output().unwrap();
            assert!(output.status.success(), "{name}: talkmirror {}: {}", command.join(" "), text(&output).1);
        }
    }
    assert!(known.len() > 30, "{known:?}");
}

#[test]
fn every_query_is_one_that_sqlite_runs_on_a_mirror() {
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    let connection = mirror.connect();
    let mut found = 0;
    for (name, page) in pages() {
        for (language, code) in parts(&page).1 {
            let queries: Vec<&str> = match language.as_str() {
                "sql" => vec![&code],
                // sqlite3 … talks.db "SELECT …"
                "sh" => code.split("talks.db ").skip(1).filter_map(|rest| rest.split('"').nth(1)).collect(),
                _ => continue,
            };
            for sql in queries.into_iter().filter(|sql| !sql.starts_with('.')) {
                // A shell's continued line.
                let sql = sql.trim_start_matches('\\');
                connection.execute_batch(sql).unwrap_or_else(|error| panic!("{name}: {sql}: {error}"));
                found += 1;
            }
        }
    }
    assert!(found > 6, "{found} queries");
}

#[test]
fn every_configuration_key_is_one_of_the_example() {
    let (mut section, mut keys) = (String::new(), BTreeSet::from(["api.token".to_owned()]));
    let example = fs::read_to_string(root().join("config.example.toml")).unwrap();
    let mut read = |toml: &str, on_key: &mut dyn FnMut(String)| {
        for line in toml.lines() {
            if let Some(named) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
                named.clone_into(&mut section);
                on_key(section.clone());
            } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                on_key(format!("{section}.{key}"));
            }
        }
    };
    read(&example, &mut |key| {
        keys.insert(key);
    });
    for (name, page) in pages() {
        let (prose, blocks) = parts(&page);
        let mut check = |key: String| assert!(keys.contains(&key), "{name}: there is no key {key}");
        for (_, code) in blocks.into_iter().filter(|(language, _)| language == "toml") {
            read(&code, &mut check);
        }
        let of_a_section = |span: &String| {
            let key = span.split(" = ").next().unwrap_or_default();
            let letters = key.chars().all(|letter| letter.is_ascii_lowercase() || "._".contains(letter));
            letters && key.split_once('.').is_some_and(|(section, _)| keys.contains(section))
        };
        spans(&prose)
            .filter(of_a_section)
            .for_each(|span| check(span.split(" = ").next().unwrap().to_owned()));
    }
}
