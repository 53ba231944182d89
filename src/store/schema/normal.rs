//! Texts of SQL that say the same: apart from comments, blanks, the case of words and quotes that need not be there.

/// The text, so that two that mean the same object are equal.
pub(super) fn normal(sql: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = sql;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            letter if letter.is_whitespace() => letter.len_utf8(),
            '\'' | '"' | '`' | '[' => {
                let length = quoted(rest, if letter == '[' { ']' } else { letter });
                words.push(word(&rest[..length]));
                length
            }
            letter if is_part(letter) => {
                let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
                words.push(rest[..length].to_ascii_lowercase());
                length
            }
            letter => {
                words.push(letter.into());
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    words.join(" ")
}

/// Of a word or a number.
fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$' | '.')
}

/// How long the quoted text is that comes first; one that is doubled is part of it.
fn quoted(text: &str, end: char) -> usize {
    let mut from = 1;
    while let Some(at) = text[from..].find(end) {
        from += at + end.len_utf8();
        if !text[from..].starts_with(end) || end == ']' {
            return from;
        }
        from += end.len_utf8();
    }
    text.len()
}

/// A quoted name as it is without quotes, where it could be.
fn word(quoted: &str) -> String {
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    let plain = inner.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && inner.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if plain && !quoted.starts_with('\'') { inner.to_ascii_lowercase() } else { quoted.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_case_and_needless_quotes_say_nothing() {
        let plain = "CREATE VIEW open AS SELECT a, 'It''s -- A' AS b FROM t WHERE a <> 5";
        for same in [
            "create  view \"open\" as -- all of them\nselect a , 'It''s -- A' as b\n from [t] where a<>5",
            "CREATE VIEW `open` AS /* what -- is 'this */ SELECT a, 'It''s -- A' AS b FROM t WHERE a <> 5 -- end",
        ] {
            assert_eq!(normal(same), normal(plain), "{same}");
        }
        for other in [
            "CREATE VIEW open AS SELECT a, 'it''s -- A' AS b FROM t WHERE a <> 5",
            "CREATE VIEW open AS SELECT a, 'It''s -- A' AS b FROM t WHERE a <> 6",
            "CREATE VIEW open AS SELECT a, 'It''s -- A' AS b FROM t WHERE a <> '5'",
            "CREATE VIEW open AS SELECT aa, 'It''s -- A' AS b FROM t WHERE a <> 5",
        ] {
            assert_ne!(normal(other), normal(plain), "{other}");
        }
    }

    #[test]
    fn a_text_that_is_cut_off_is_no_panic() {
        for cut in ["'", "\"", "[", "'a", "/*", "/*/", "--", "ж'ж", "a'", "''", "`\"`"] {
            normal(cut);
        }
    }
}
