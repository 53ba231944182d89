//! The JSON of a talk as the API sent it, folded and indented.

use crate::http::page::shell::Frame;
use crate::language::Message;
use crate::talk::TalkId;
use maud::{Markup, html};

/// So much of the indented JSON is shown, in characters. A usual talk has about two thousand.
const MAX_CHARACTERS: usize = 20_000;
/// Indented no deeper, so that the text keeps its place on the page.
const MAX_INDENT: usize = 24;

/// The section.
pub(super) fn section(frame: &Frame<'_>, talk_id: TalkId, payload: &str) -> Markup {
    let language = frame.language;
    let (lines, is_cut) = indented(payload, MAX_CHARACTERS);
    html! {
        details id="payload" {
            summary id="payload-open" { (language.text("talk-payload")) }
            div.wide {
                pre tabindex="0" aria-labelledby="payload-open" lang="en" { @for line in lines { (line) br; } }
            }
            @if is_cut {
                p.note {
                    (Message::new("talk-payload-cut").with("characters", MAX_CHARACTERS).to(language)) " "
                    code { "SELECT payload FROM talks WHERE talk_id = " (talk_id) }
                }
            }
        }
    }
}

/// JSON in lines, with all of its characters outside of texts but blanks, and whether it was cut. Anything else is
/// shown too, in whatever lines.
fn indented(json: &str, most: usize) -> (Vec<String>, bool) {
    let mut lines = vec![String::new()];
    let (mut depth, mut in_text, mut is_escaped, mut characters) = (0_usize, false, false, 0);
    for letter in json.chars() {
        if characters >= most {
            return (lines, true);
        }
        let (mut before, mut after) = (false, false);
        if in_text {
            in_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
        } else {
            match letter {
                ' ' | '\t' | '\n' | '\r' => continue,
                '"' => in_text = true,
                '{' | '[' => (depth, after) = (depth + 1, true),
                '}' | ']' => (depth, before) = (depth.saturating_sub(1), true),
                ',' => after = true,
                _ => {}
            }
        }
        let indent = || "  ".repeat(depth.min(MAX_INDENT));
        let last = lines.len() - 1;
        if before {
            // Nothing between the brackets.
            match lines[last].trim().is_empty() && last > 0 && lines[last - 1].ends_with(['{', '[']) {
                true => drop(lines.pop()),
                false => lines.push(indent()),
            }
        }
        let last = lines.len() - 1;
        characters += 1 + if lines[last].trim().is_empty() { lines[last].len() } else { 0 };
        lines[last].push(letter);
        if !in_text && letter == ':' {
            lines[last].push(' ');
        }
        if after {
            lines.push(indent());
        }
    }
    (lines, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        indented(json, 1000).0.join("\n")
    }

    #[test]
    fn json_is_indented_and_its_texts_stay_as_they_are() {
        let json = r#"{"a":1,"b":[],"c":{"d":"x, {\"y\": [1]}\\"},"e":[1, 2.50,null], "f":{}}"#;
        let shown = [
            "{",
            "  \"a\": 1,",
            "  \"b\": [],",
            "  \"c\": {",
            r#"    "d": "x, {\"y\": [1]}\\""#,
            "  },",
            "  \"e\": [",
            "    1,",
            "    2.50,",
            "    null",
            "  ],",
            "  \"f\": {}",
            "}",
        ];
        assert_eq!(text(json), shown.join("\n"));
        assert_eq!(text("not JSON } ] ,"), "notJSON\n}\n],\n");
        assert_eq!(text(""), "");
    }

    #[test]
    fn a_long_or_deep_one_is_cut() {
        assert!(indented("[1,2]", 5).1);
        assert_eq!(indented("1234", 4), (vec!["1234".into()], false));
        let deep = "[".repeat(100_000);
        let (lines, is_cut) = indented(&deep, MAX_CHARACTERS);
        let characters: usize = lines.iter().map(String::len).sum();
        assert!(is_cut && characters < 2 * MAX_CHARACTERS, "{characters}");
    }
}
