//! Shows text from outside (the API, queue rows, other programs, file names) to people.
//!
//! Such text must not control a terminal, start a new log line, hide parts of itself or change its direction.
//! Everything that shows text uses [`shown`]. Stored text, and JSON for programs, stays exact.
//!
//! Uses no other room.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Escapes each control character, line break and invisible character: `\n`, `\u{1b}`.
///
/// A text without any is returned unchanged.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_unshowable) else { return Cow::Borrowed(text) };
    let mut escaped = text[..first].to_owned();
    for letter in text[first..].chars() {
        match letter {
            '\n' | '\r' | '\t' => escaped.extend(letter.escape_default()),
            _ if is_unshowable(letter) => escaped.extend(letter.escape_unicode()),
            _ => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// The text as [`shown`], truncated with `…` to this many terminal columns.
pub(crate) fn brief(text: &str, columns: usize) -> String {
    let text = shown(text);
    // Combining letters take no columns, so their number is limited too.
    let most = columns * 2;
    if text.width() <= columns && text.chars().nth(most).is_none() {
        return text.into_owned();
    }
    let mut width = 0;
    let cut = text.chars().take(most.saturating_sub(1)).take_while(|letter| {
        width += columns_of(*letter);
        width < columns
    });
    cut.chain(['…']).collect()
}

/// How many columns a character takes at most.
fn columns_of(letter: char) -> usize {
    // This character makes the narrow sign before it a wide emoji.
    if letter == '\u{fe0f}' { 1 } else { letter.width().unwrap_or(0) }
}

/// Whether a character must be escaped.
fn is_unshowable(letter: char) -> bool {
    match letter {
        // Joiners and these variation selectors shape letters and emoji.
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => false,
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' => true,
        _ => letter.is_control() || is_ignorable(letter),
    }
}

/// Whether a character is invisible in any text: Unicode's `Default_Ignorable_Code_Point`.
pub(crate) fn is_ignorable(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::char::range;
    use proptest::prelude::*;

    #[test]
    fn what_drives_a_terminal_or_hides_text_is_escaped() {
        assert_eq!(shown("a\x1b[2J\u{9b}2J\0\x07\x7f"), r"a\u{1b}[2J\u{9b}2J\u{0}\u{7}\u{7f}");
        assert_eq!(shown("a\r\nb\tc\u{85}\u{2028}\u{2029}"), r"a\r\nb\tc\u{85}\u{2028}\u{2029}");
        assert_eq!(shown("\u{202e}txt.\u{2066}\u{61c}\u{200e}"), r"\u{202e}txt.\u{2066}\u{61c}\u{200e}");
        assert_eq!(
            shown("ad\u{ad}min\u{200b}\u{2060}\u{feff}\u{e0041}"),
            r"ad\u{ad}min\u{200b}\u{2060}\u{feff}\u{e0041}"
        );
    }

    #[test]
    fn plain_text_in_any_script_is_returned_as_it_is() {
        for text in
            ["", "телеграм и̇", "a\\n b", "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}", "می\u{200c}خواهم", "\u{a0}"]
        {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_text_that_fits_is_whole_and_a_longer_one_ends_in_a_mark() {
        assert_eq!(brief("telegram", 8), "telegram");
        assert_eq!(brief("telegrams", 8), "telegra…");
        assert_eq!(brief("日本語", 6), "日本語");
        assert_eq!(brief("日本語x", 6), "日本…");
        assert_eq!(brief("a\nbcd", 5), "a\\nb…");
        assert_eq!(brief("x", 0), "…");
    }

    /// Texts with many characters that must be escaped.
    fn outside() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            any::<char>(),
            range('\0', '\u{250}'),
            range('\u{2000}', '\u{2070}'),
            Just('\u{e0041}')
        ];
        proptest::collection::vec(letter, 0..30).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_holds_what_must_be_escaped(text in outside()) {
            let shown = shown(&text);
            prop_assert!(!shown.contains(is_unshowable));
            prop_assert_eq!(&super::shown(&shown), &shown, "escaped once");
        }

        #[test]
        fn a_cut_text_fits_its_columns(text in "(\\PC|[a❤☎\u{fe0f}\u{301}日👩\u{200d}]){0,40}", columns in 1usize..30) {
            let cut = brief(&text, columns);
            prop_assert!(!cut.contains(is_unshowable));
            prop_assert!(cut.width() <= columns && cut.chars().count() <= columns * 2, "{cut:?}");
            prop_assert!(cut == shown(&text) || cut.ends_with('…'));
        }

        #[test]
        fn combining_letters_do_not_go_on_without_end(marks in 0usize..500) {
            let cut = brief(&format!("x{}", "\u{301}".repeat(marks)), 10);
            prop_assert!(cut.chars().count() <= 20);
        }
    }
}
