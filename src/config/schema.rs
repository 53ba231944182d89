//! The JSON schema of the configuration file, for editors.

use super::kind::Kind;
use super::{Config, ConfigFile, Needs, example, keys::Keys};
use serde_json::{Value, json};
use std::path::Path;

/// As `humantime` reads them.
const DURATION: &str = r"^\s*(0|([0-9]+\s*(nanos|nsec|ns|usec|us|µs|micros|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\s*)+)$";
/// Six fields, or a seventh for the year; or a name such as @daily.
const SCHEDULE: &str = r"^\s*(@[a-z]+|\S+(\s+\S+){5,6})\s*$";

/// The schema: every key with its kind, default and comment.
pub(crate) fn schema() -> Value {
    let mut known = Keys::empty();
    let nowhere = ConfigFile::of_text(Path::new(""), String::new());
    let _ = Config::take(&mut known, &nowhere, Needs::DatabaseAlone);
    let mut root = section();
    for example in example::keys() {
        let kind = known.kinds().iter().find(|(key, _)| *key == example.key).map(|(_, kind)| kind);
        let mut value = kind.map_or_else(|| json!({}), of_kind);
        value["description"] = prose(&example.comment).into();
        if let Some(default) = example.default() {
            value["default"] = default.clone();
        }
        insert(&mut root, &example.key, value);
    }
    root["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    root["title"] = "The configuration of talkmirror".into();
    root
}

fn section() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

fn insert(section_of: &mut Value, key: &str, value: Value) {
    let properties = &mut section_of["properties"];
    match key.split_once('.') {
        None => properties[key] = value,
        Some((name, rest)) => {
            if properties[name].is_null() {
                properties[name] = section();
            }
            insert(&mut properties[name], rest, value);
        }
    }
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Address => json!({"type": "string", "pattern": "^https?://"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Whole(range) => json!({"type": "integer", "minimum": range.start(), "maximum": range.end()}),
        Kind::WholeOrAuto(range) => {
            json!({"anyOf": [of_kind(&Kind::Whole(range.clone())), {"enum": ["auto"]}]})
        }
        Kind::Number(range) => json!({"type": "number", "minimum": range.start(), "maximum": range.end()}),
        Kind::Duration => json!({"type": "string", "pattern": DURATION}),
        Kind::OptionalDuration => json!({"anyOf": [of_kind(&Kind::Duration), {"enum": [""]}]}),
        Kind::Schedule => json!({"type": "string", "pattern": SCHEDULE}),
        Kind::List => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Choice(words) => json!({"enum": words}),
    }
}

/// A comment without its line breaks, except around lines that are set in.
fn prose(comment: &[&str]) -> String {
    let mut text = String::new();
    for line in comment {
        let is_apart = line.is_empty() || line.starts_with("  ");
        let ends_apart = text.is_empty() || text.ends_with('\n');
        if !ends_apart {
            text.push(if is_apart { '\n' } else { ' ' });
        }
        text += line;
        if is_apart {
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dotted keys of a schema.
    fn keys(section: &Value, before: &str) -> Vec<String> {
        let properties = section["properties"].as_object().into_iter().flatten();
        properties
            .flat_map(|(name, value)| match value["properties"].is_object() {
                true => keys(value, &format!("{before}{name}.")),
                false => vec![format!("{before}{name}")],
            })
            .collect()
    }

    #[test]
    fn every_key_of_the_program_is_in_the_schema_and_in_the_example_and_nothing_else() {
        let mut known = Keys::empty();
        let _ = Config::take(
            &mut known,
            &ConfigFile::of_text(Path::new(""), String::new()),
            Needs::DatabaseAlone,
        );
        let mut of_file: Vec<String> = known
            .kinds()
            .iter()
            .filter(|(_, kind)| *kind != Kind::Secret)
            .map(|(key, _)| (*key).to_owned())
            .collect();
        let mut of_schema = keys(&schema(), "");
        let mut of_example: Vec<String> = example::keys().into_iter().map(|key| key.key).collect();
        for keys in [&mut of_file, &mut of_schema, &mut of_example] {
            keys.sort();
        }
        assert_eq!(of_schema, of_file);
        assert_eq!(of_example, of_file);
    }

    #[test]
    fn every_key_is_described_and_says_what_it_can_be() {
        let schema = schema();
        for key in keys(&schema, "") {
            let value = key.split('.').fold(&schema, |section, name| &section["properties"][name]);
            assert!(value["description"].as_str().is_some_and(|text| !text.is_empty()), "{key}");
            assert!(["type", "enum", "anyOf"].iter().any(|kind| !value[kind].is_null()), "{key}");
        }
        let of = |section: &str, key: &str| schema["properties"][section]["properties"][key].clone();
        assert_eq!(of("auto_close", "mode")["enum"], json!(["off", "dry-run", "live"]));
        assert_eq!(of("auto_close", "mode")["default"], "off");
        assert_eq!(of("api", "requests_per_second")["maximum"], 1_000_000);
        assert!(of("api", "base_url")["default"].is_null());
    }

    /// Whether a value fits the schema: of JSON Schema what this one uses.
    fn fits(schema: &Value, value: &Value) -> bool {
        let bound = |name: &str, holds: fn(f64, f64) -> bool| match (schema[name].as_f64(), value.as_f64()) {
            (Some(bound), Some(number)) => holds(number, bound),
            _ => true,
        };
        let is_of_type = match schema["type"].as_str() {
            None => true,
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("number") => value.is_number(),
            Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Some(other) => panic!("{other}"),
        };
        let has_pattern = schema["pattern"].as_str().is_none_or(|pattern| {
            value.as_str().is_some_and(|text| regex::Regex::new(pattern).unwrap().is_match(text))
        });
        is_of_type
            && has_pattern
            && bound("minimum", |number, least| number >= least)
            && bound("maximum", |number, most| number <= most)
            && schema["enum"].as_array().is_none_or(|words| words.contains(value))
            && schema["anyOf"].as_array().is_none_or(|kinds| kinds.iter().any(|kind| fits(kind, value)))
            && value.as_array().into_iter().flatten().all(|item| fits(&schema["items"], item))
            && value
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| schema["properties"].get(name).is_some_and(|schema| fits(schema, value)))
    }

    fn file_fits(toml: &str) -> bool {
        let file = config::File::from_str(toml, config::FileFormat::Toml);
        let value = config::Config::builder().add_source(file).build().unwrap().try_deserialize::<Value>();
        fits(&schema(), &value.unwrap())
    }

    #[test]
    fn the_example_and_the_package_s_files_fit_the_schema() {
        for file in [
            example::EXAMPLE,
            include_str!("../../packaging/debian/config.toml"),
            include_str!("../../packaging/debian/fleet.toml"),
        ] {
            assert!(file_fits(file), "{file}");
            assert_eq!(file.lines().next(), Some("#:schema /usr/share/talkmirror/config.schema.json"));
        }
    }

    #[test]
    fn what_the_program_refuses_does_not_fit_and_what_it_takes_does() {
        for (good, bad) in [
            ("api.requests_per_second = 6.0", "api.requests_per_second = 6.5"),
            ("api.requests_per_second = 1", "api.requests_per_second = 0"),
            ("api.max_in_flight = \"auto\"", "api.max_in_flight = \"many\""),
            ("api.max_in_flight = 256", "api.max_in_flight = 257"),
            ("api.timeout = \"1m 30s\"", "api.timeout = 30"),
            ("api.timeout = \"1min\"", "api.timeout = \"soon\""),
            ("retention.versions = \"\"", "retention.versions = \"730\""),
            ("auto_close.quiet_for = \"0\"", "auto_close.quiet_for = \"\""),
            ("auto_close.mode = \"dry-run\"", "auto_close.mode = \"on\""),
            ("auto_close.max_share = 1", "auto_close.max_share = 1.5"),
            ("auto_close.only_origins = [\"viber\"]", "auto_close.only_origins = \"viber\""),
            ("listing.schedule = \"@daily\"", "listing.schedule = \"* * * * *\""),
            ("listing.schedule = \"0 0 3 1,15 * MON\"", "listing.schedule = \"hourly\""),
            ("listing.enabled = false", "listing.enabled = \"no\""),
            ("log.level = \"warn\"", "log.levle = \"warn\""),
            ("api.oauth.client_id = \"\"", "api = 3"),
            ("api.base_url = \"http://localhost:1\"", "api.base_url = \"mycompany.amocrm.ru\""),
        ] {
            let is_taken = |line: &str| {
                let sets_it = line.starts_with("api = ") || line.starts_with("api.base_url");
                let base = if sets_it { "" } else { "api.base_url = \"https://a.amocrm.ru\"\n" };
                let file = ConfigFile::of_text(Path::new("/config.toml"), format!("{base}{line}\n"));
                Config::of(&file, Needs::DatabaseAlone).is_ok()
            };
            assert!(file_fits(good) && is_taken(good), "{good}");
            assert!(!file_fits(bad) && !is_taken(bad), "{bad}");
        }
    }
}
