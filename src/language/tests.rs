use super::*;
use crate::clock::UnixSeconds;
use fluent_bundle::FluentResource;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const CATALOGUES: [(Language, &[&str]); 3] = [
    (Language::English, &catalogue::ENGLISH),
    (Language::Russian, &catalogue::RUSSIAN),
    (Language::Portuguese, &catalogue::PORTUGUESE),
];

/// Each message of a language, with the values that its text names.
fn messages(language: Language, files: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut messages = BTreeMap::new();
    for file in files {
        if let Err((_, errors)) = FluentResource::try_new((*file).to_owned()) {
            panic!("{}: {errors:?}", language.tag());
        }
        let mut id = String::new();
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
                line.split('=').next().unwrap().trim().clone_into(&mut id);
                let before = messages.insert(id.clone(), BTreeSet::new());
                assert!(before.is_none(), "{}: {id} is there twice", language.tag());
            }
            for value in line.split('$').skip(1) {
                let end =
                    value.find(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_');
                messages.get_mut(&id).unwrap().insert(value[..end.unwrap_or(value.len())].to_owned());
            }
        }
    }
    messages
}

#[test]
fn each_message_is_in_each_language_with_the_same_values() {
    let english = messages(Language::English, &catalogue::ENGLISH);
    for (language, files) in CATALOGUES {
        let other = messages(language, files);
        let ids = |messages: &BTreeMap<String, _>| messages.keys().cloned().collect::<BTreeSet<_>>();
        let differ: Vec<_> = ids(&english).symmetric_difference(&ids(&other)).cloned().collect();
        assert!(differ.is_empty(), "{} and English: {differ:?}", language.tag());
        for (id, values) in &english {
            assert_eq!(values, &other[id], "{}: {id}", language.tag());
        }
    }
}

#[test]
fn each_message_that_the_code_names_exists_and_each_one_is_named() {
    let mut named = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut code = String::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let known = messages(Language::English, &catalogue::ENGLISH);
    for call in ["Message::new(\"", ".text(\""] {
        named.extend(code.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    // A key of the configuration has a dot.
    let is_id = |id: &str| !id.contains(['{', ' ', '\\', '.']);
    let missing: Vec<_> = named.iter().filter(|id| !known.contains_key(*id) && is_id(id)).collect();
    assert!(missing.is_empty(), "no catalogue has {missing:?}");
    let idle: Vec<_> = known.keys().filter(|id| !code.contains(&format!("\"{id}\""))).collect();
    assert!(idle.is_empty(), "nothing uses {idle:?}");
}

/// Names that are the same in each language.
const NAMES: &[&str] = &[
    "API",
    "CSV",
    "Citus",
    "Date",
    "GET",
    "HTTP",
    "ID",
    "JSON",
    "Kommo",
    "NPS",
    "NTP",
    "NULL",
    "PostgreSQL",
    "SIGHUP",
    "SQL",
    "SQLite",
    "URL",
    "UTC",
    "WAL",
    "amoCRM",
    "root",
    "systemd",
    "talkmirror",
];

#[test]
fn no_english_word_is_left_in_a_russian_message() {
    let files = catalogue::RUSSIAN.join("\n");
    let lines = files.lines().filter(|line| !line.starts_with('#') && !line.trim_start().starts_with("{ $"));
    let mut left = BTreeSet::new();
    for line in lines {
        let text = line.split_once('=').map_or(line, |(_, text)| text);
        // Commands and keys stand between ticks, or have a dot or a slash in them.
        let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let text: String =
            text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
        let plural = |word: &&str| !word.starts_with('[') && !word.starts_with("*[");
        for word in text.split([' ', '(', ')', ',', ';', ':']).filter(plural) {
            let is_of_programs = word.contains(['.', '/', '_']) && word.len() > 3 || word.starts_with('p');
            let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
            if word.len() > 1 && word.is_ascii() && word.contains(char::is_alphabetic) && !is_of_programs {
                left.insert(word.to_owned());
            }
        }
    }
    left.retain(|word| !NAMES.contains(&&**word));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn plurals_and_numbers_follow_each_language() {
    let texts = |language| {
        [1, 2, 5, 11, 21, 22, 25, 1_234_567]
            .map(|number: i64| Message::new("talks").with("number", number).to(language))
    };
    assert_eq!(
        texts(Language::Russian),
        [
            "1 беседа",
            "2 беседы",
            "5 бесед",
            "11 бесед",
            "21 беседа",
            "22 беседы",
            "25 бесед",
            "1\u{a0}234\u{a0}567 бесед"
        ]
    );
    assert_eq!(texts(Language::English)[..2], ["1 talk", "2 talks"]);
    assert_eq!(texts(Language::English)[7], "1,234,567 talks");
    assert_eq!(texts(Language::Portuguese)[0], "1 conversa");
    assert_eq!(texts(Language::Portuguese)[7], "1.234.567 conversas");
    let zero = |language| Message::new("talks").with("number", 0_i64).to(language);
    assert_eq!(Language::ALL.map(zero), ["0 talks", "0 бесед", "0 conversa"]);
}

#[test]
fn times_follow_each_language() {
    let (epoch, now) = (UnixSeconds::EPOCH, UnixSeconds::new(3 * 3600));
    let at = |language: Language| {
        (language.ago(epoch, now), language.timestamp(epoch), language.day(epoch), language.decimal(1.25, 1))
    };
    let texts = |ago: &str, timestamp: &str, day: &str, decimal: &str| {
        (ago.to_owned(), timestamp.to_owned(), day.to_owned(), decimal.to_owned())
    };
    assert_eq!(at(Language::English), texts("3 h ago", "1970-01-01 00:00:00", "1 Jan", "1.2"));
    assert_eq!(at(Language::Russian), texts("3 ч назад", "01.01.1970 00:00:00", "1 янв.", "1,2"));
    assert_eq!(at(Language::Portuguese), texts("há 3 h", "01/01/1970 00:00:00", "1 de jan.", "1,2"));
    for language in Language::ALL {
        for absurd in [UnixSeconds::MIN, UnixSeconds::MAX] {
            assert!(!language.ago(absurd, now).is_empty() && !language.day(absurd).is_empty());
            assert!(!language.lasting(absurd, now).is_empty() && !language.in_time(absurd, now).is_empty());
        }
    }
}

#[test]
fn sizes_follow_each_language_and_durations_that_of_the_journal() {
    let sizes = [0, 1023, 1536, 5 << 30].map(|bytes| Language::English.bytes(bytes));
    assert_eq!(sizes, ["0 B", "1023 B", "1.50 KiB", "5.00 GiB"]);
    assert_eq!(Language::Russian.bytes(1536), "1,50 КиБ");
    assert_eq!(Language::Portuguese.bytes(u64::MAX), "16777216,00 TiB");
    for seconds in [-1, 0, 59, 60, 3600, 172_799, 172_800, i64::MAX] {
        assert_eq!(Language::English.duration(seconds).replace(',', ""), crate::clock::duration(seconds));
    }
}

#[test]
fn a_message_keeps_text_from_outside_as_it_is() {
    let hostile = "{ $number } </b> \u{202e}";
    for language in Language::ALL {
        assert_eq!(Message::verbatim(hostile).to(language), hostile);
    }
}
