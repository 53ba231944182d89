//! What a reader of the source relies on: each room (a folder of `src` and the file of its name) uses only the rooms that
//! its first lines name, which crates each knows, where time is read, and that no two files use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Words of the code, and the rooms that alone may use them.
const ALONE: &[(&str, &[&str])] = &[
    ("rusqlite::", &["store", "sqlite"]),
    ("reqwest::", &["amocrm"]),
    ("clap::", &["cli"]),
    ("tokio_postgres::", &["publish"]),
    ("tokio_cron_scheduler::", &["daemon"]),
    ("use config::", &["config"]),
    ("toml::", &["config"]),
    ("rpassword::", &["cli"]),
    ("Instant::now", &["clock"]),
    ("SystemTime::now", &["clock"]),
    (".elapsed()", &["clock"]),
];

/// A source file without its tests and comments.
struct Source {
    /// `store::writer::commit`.
    module: String,
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        self.module.split("::").next().unwrap_or_default()
    }
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let module = module(&src, &path);
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !module.split("::").any(|part| ["tests", "mutated", "main", "lib"].contains(&part))
            {
                sources.push(Source { module, code: code(&fs::read_to_string(path).unwrap()) });
            }
        }
    }
    assert!(sources.len() > 100, "{} files", sources.len());
    sources
}

fn module(src: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(src).unwrap().with_extension("");
    path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("::")
}

fn code(text: &str) -> String {
    let tests = ["mod tests", "pub mod tests", "pub(crate) mod tests"]
        .iter()
        .filter_map(|module| text.find(&format!("#[cfg(test)]\n{module}")));
    let code = &text[..tests.min().unwrap_or(text.len())];
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths that the code names in its own crate: `crate::a::{b, c}` is `a::b` and `a::c`.
fn named(source: &Source) -> BTreeSet<String> {
    let is_of_path = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let mut named = BTreeSet::new();
    let parents = source.module.split("::").collect::<Vec<_>>();
    for (start, _) in source.code.match_indices("crate::").chain(source.code.match_indices("super::")) {
        let before = source.code[..start].chars().next_back();
        if before.is_some_and(is_of_path) {
            continue;
        }
        let rest = &source.code[start..];
        let end = rest.find(|letter| !is_of_path(letter)).unwrap_or(rest.len());
        let ups = rest[..end].matches("super::").count();
        let base = if ups == 0 {
            String::new()
        } else {
            parents[..parents.len() - ups.min(parents.len())].join("::")
        };
        let path =
            rest[..end].trim_start_matches("crate::").trim_start_matches("super::").trim_end_matches("::");
        let path =
            [base.as_str(), path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::");
        match rest[end..].strip_prefix('{').and_then(|group| group.split_once('}')) {
            Some((group, _)) => named.extend(group.split(',').map(|item| format!("{path}::{}", item.trim()))),
            None => drop(named.insert(path)),
        }
    }
    named
}

/// The rooms that a room may use, by the sentence `Uses …` at its top: by name, or every other one `but` some.
fn may_use(room: &str, rooms: &BTreeSet<String>) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).with_extension("rs");
    let text = fs::read_to_string(file).unwrap();
    let top: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let (_, rule) =
        top.rsplit_once("Uses ").unwrap_or_else(|| panic!("src/{room}.rs does not say what it uses"));
    let rule = rule.split('.').next().unwrap_or_default();
    let named: BTreeSet<String> = rule.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(
        named.iter().all(|name| rooms.contains(name)),
        "src/{room}.rs uses a room that is not there: {rule}"
    );
    match rule.starts_with("every other room") {
        true => rooms.difference(&named).cloned().collect(),
        false => named,
    }
}

#[test]
fn each_room_uses_only_those_that_it_names() {
    let sources = sources();
    let rooms: BTreeSet<String> = sources.iter().map(|source| source.room().to_owned()).collect();
    let rules: BTreeMap<&str, _> = rooms.iter().map(|room| (room.as_str(), may_use(room, &rooms))).collect();
    let mut broken = Vec::new();
    for source in sources {
        let room = source.room();
        for path in named(&source) {
            let used = path.split("::").next().unwrap_or_default();
            if used != room && rooms.contains(used) && !rules[room].contains(used) {
                broken.push(format!("{} uses {path}", source.module));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_their_rooms_know_the_crates_and_the_time() {
    let mut broken = Vec::new();
    for source in sources() {
        for (word, rooms) in ALONE {
            let uses = source.code.match_indices(word).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                !before.is_some_and(|letter| letter.is_alphanumeric() || "_:".contains(letter))
                    || word.starts_with(['.', 'I', 'S'])
            });
            if uses && !rooms.contains(&source.room()) {
                broken.push(format!("{} has {word}", source.module));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_two_files_use_each_other() {
    let sources = sources();
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        for path in named(source) {
            // The longest module that the path begins with is the file that it leads to.
            let led = modules
                .iter()
                .copied()
                .filter(|module| path == *module || path.starts_with(&format!("{module}::")));
            let Some(file) = led.max_by_key(|module| module.len()) else { continue };
            // A file and those in its folder are one piece.
            let is_kin = |one: &str, other: &str| one == other || other.starts_with(&format!("{one}::"));
            if !is_kin(file, &source.module) && !is_kin(&source.module, file) {
                uses.entry(&source.module).or_default().insert(file);
            }
        }
    }
    let reaches = |from: &str, to: &str| {
        let (mut open, mut seen) = (vec![from], BTreeSet::from([from]));
        while let Some(file) = open.pop() {
            for next in uses.get(file).into_iter().flatten() {
                if *next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    };
    let cycles: Vec<&str> = uses.keys().copied().filter(|file| reaches(file, file)).collect();
    assert!(cycles.is_empty(), "these use each other: {cycles:#?}");
}

/// Each text between backticks of a page that is a source file, with the functions that follow it: `` `a.rs`: `b`, `c` ``.
fn files_and_functions(page: &str) -> Vec<(String, Vec<String>)> {
    let quoted: Vec<&str> = page.split('`').collect();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    // Odd places are between backticks; what comes before one joins it to the last file, or does not.
    for place in (1..quoted.len()).step_by(2) {
        let (before, text) = (quoted[place - 1].trim(), quoted[place]);
        if text.ends_with(".rs") || text.ends_with(".sql") {
            found.push((text.to_owned(), Vec::new()));
        } else if let (":" | ",", Some((_, functions))) = (before, found.last_mut())
            && (before == ":" || !functions.is_empty())
            && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        {
            functions.push(text.to_owned());
        }
    }
    found
}

#[test]
fn the_architecture_names_files_and_functions_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let named = files_and_functions(&page);
    assert!(named.len() > 40 && named.iter().filter(|(_, functions)| !functions.is_empty()).count() > 15);
    for (file, functions) in named {
        let path = [root.join("src").join(&file), root.join(&file)].into_iter().find(|path| path.is_file());
        let text = fs::read_to_string(path.unwrap_or_else(|| panic!("there is no {file}"))).unwrap();
        for function in functions {
            let is_there = ["fn ", "TRIGGER "].iter().any(|kind| text.contains(&format!("{kind}{function}")));
            assert!(is_there, "{file} has no {function}");
        }
    }
}
