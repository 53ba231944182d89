//! Where things are in a TOML text: the line of each key, and of a syntax error.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What follows a key with such a word in it may be a secret, unless it is the path of a file.
const SECRET_WORDS: [&str; 3] = ["token", "secret", "password"];
/// A word of so many letters may be a secret.
const SECRET_LETTERS: usize = 24;

/// Why a text is not TOML, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    message: String,
    line: usize,
    column: usize,
    /// The line, with asterisks in the place of what may be a secret.
    text: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> SyntaxError {
        let at = error.span().map_or(text.len(), |span| span.start).min(text.len());
        let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        SyntaxError {
            message: error.message().trim().replace('\n', ", "),
            line: line_of(text, at),
            column: text[begin..at].chars().count() + 1,
            text: without_secrets(line),
        }
    }

    /// The line, and below it a caret at the error.
    pub(super) fn snippet(&self) -> Vec<String> {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let caret = " ".repeat(self.column - 1);
        vec![
            format!("{margin} |"),
            format!("{number} | {}", self.text.replace('\t', " ")),
            format!("{margin} | {caret}^"),
        ]
    }
}

/// The line of each dotted key, from 1.
///
/// # Errors
/// If the text is not TOML.
pub(super) fn lines(text: &str) -> Result<BTreeMap<String, usize>, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| SyntaxError::new(text, &error))?;
    let mut lines = BTreeMap::new();
    collect("", table.get_ref(), text, &mut lines);
    Ok(lines)
}

fn collect(section: &str, table: &DeTable<'_>, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = if section.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{section}.{}", name.get_ref())
        };
        if let DeValue::Table(table) = value.get_ref() {
            collect(&key, table, text, lines);
        }
        let Range { start, .. } = name.span();
        lines.insert(key, line_of(text, start));
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The line with as many asterisks as letters in the place of what may be a secret.
fn without_secrets(line: &str) -> String {
    let hidden = |text: &str| -> String {
        text.chars().map(|letter| if letter.is_whitespace() { letter } else { '*' }).collect()
    };
    if let Some((key, value)) = line.split_once('=') {
        let name = key.trim().trim_matches(['"', '\'']).to_lowercase();
        let names_secret = SECRET_WORDS.iter().any(|word| name.contains(word)) && !name.ends_with("_file");
        // An address may contain a password.
        if names_secret || value.contains("://") && value.contains('@') {
            return format!("{key}={}", hidden(value));
        }
    }
    let is_of_word = |letter: char| letter.is_alphanumeric() || "-_.+".contains(letter);
    let mut shown = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_of_word) {
        let end =
            rest[start..].find(|letter| !is_of_word(letter)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        shown += &rest[..start];
        shown += &if word.chars().count() >= SECRET_LETTERS { hidden(word) } else { word.to_owned() };
        rest = &rest[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(text: &str) -> String {
        lines(text).unwrap_err().snippet().join("\n")
    }

    #[test]
    fn each_key_has_the_line_that_sets_it() {
        let text = "a.b = 1\n\n[api]\n# c\nbase_url = \"x\"\n[api.oauth]\nid = \"\"\n[q]\nlist = [\n 1\n]\nw = {x = 1}\n";
        let lines = lines(text).unwrap();
        let line = |key: &str| lines.get(key).copied();
        assert_eq!(line("a.b"), Some(1));
        assert_eq!(line("api.base_url"), Some(5));
        assert_eq!(line("api.oauth.id"), Some(7));
        assert_eq!((line("q.list"), line("q.w.x")), (Some(9), Some(12)));
    }

    #[test]
    fn a_syntax_error_has_its_line_and_a_caret() {
        assert_eq!(
            snippet("[api]\nbase_url = https://a.amocrm.ru\n"),
            "  |\n2 | base_url = https://a.amocrm.ru\n  |            ^"
        );
        assert_eq!(snippet("a = 1\n[api"), "  |\n2 | [api\n  |     ^");
        let error = lines("a = 1\n[api").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 5: "), "{error}");
    }

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for (line, shown) in [
            ("token = \"hush hush", "token = ***** ****".into()),
            ("api.tokn = hush\"", "api.tokn = hush\"".into()),
            ("Client_Secret=hush", "Client_Secret=****".into()),
            ("token_file = token", "token_file = token".into()),
            ("server = \"postgresql://u:hush@h/d", format!("server = {}", "*".repeat(24))),
            ("token_file = eyJ0eXAi.OiJKV1Q-LCJhbGciOi_x", format!("token_file = {}", "*".repeat(29))),
            ("0123456789abcdefghij0123", "*".repeat(24)),
            ("0123456789abcdefghij012", "0123456789abcdefghij012".into()),
            ("base_url = https://mycompany.amocrm.ru/x", "base_url = https://mycompany.amocrm.ru/x".into()),
        ] {
            assert_eq!(without_secrets(line), shown, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_lines_or_an_error_with_a_snippet(text in crate::mutated::mutated_text(&[
            "[api]\nbase_url = \"https://a.amocrm.ru\"\n[listing]\nenabled = tru\n",
            "a = [1, {b = 2}]\n\"é\" = '\n",
        ])) {
            if let Err(error) = lines(&text) {
                proptest::prop_assert_eq!(error.snippet().len(), 3);
            }
        }
    }
}
