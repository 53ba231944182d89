//! Text in pieces, escaped here, with the colours added once its lines are known.

use crate::text::{brief, shown};
use unicode_width::UnicodeWidthStr;

/// Mark the start and end of red text until the lines are known. They take no columns, and no shown text contains
/// them.
const RED_MARK: char = '\u{2066}';
const END_MARK: char = '\u{2069}';

/// Whether alarming text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Paint {
    Plain,
    Colours,
}

/// A text in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    alarming: bool,
}

impl Text {
    /// A text in red and bold on a terminal.
    pub(in crate::cli) fn alarming(text: impl Into<String>) -> Text {
        Text(vec![Piece { text: text.into(), alarming: true }])
    }

    /// This text and another.
    pub(in crate::cli) fn then(mut self, more: impl Into<Text>) -> Text {
        self.0.extend(more.into().0);
        self
    }

    /// The text as a line, or as several if it is wider than `columns`: broken between words, and indented as the first.
    pub(in crate::cli) fn painted(&self, columns: Option<u16>, paint: Paint) -> Vec<String> {
        let whole = |piece: &Piece| (shown(&piece.text).into_owned(), piece.alarming);
        let line = marked(self.0.iter().map(whole));
        let lines = match columns {
            Some(columns) => wrapped(&line, usize::from(columns)),
            None => vec![line],
        };
        painted(lines, paint)
    }

    /// The escaped text of a cell with its marks; each piece is cut to `columns`.
    pub(super) fn cell(&self, columns: usize) -> String {
        marked(self.0.iter().map(|piece| (brief(&piece.text, columns), piece.alarming)))
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Text {
        Text(vec![Piece { text: text.into(), alarming: false }])
    }
}

fn marked(pieces: impl Iterator<Item = (String, bool)>) -> String {
    pieces
        .map(|(text, alarming)| if alarming { format!("{RED_MARK}{text}{END_MARK}") } else { text })
        .collect()
}

/// Breaks a line between its words. A word that is wider than a line stays whole, so that it can be copied.
pub(in crate::cli) fn wrapped(line: &str, columns: usize) -> Vec<String> {
    if line.width() <= columns {
        return vec![line.to_owned()];
    }
    let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
    let mut lines = vec![String::new()];
    for (place, word) in line.split(' ').enumerate() {
        let last = lines.last_mut().expect("at least one line");
        if place == 0 {
            last.push_str(word);
        } else if last.width() + 1 + word.width() <= columns || last.trim_start().is_empty() {
            last.push(' ');
            last.push_str(word);
        } else if !word.is_empty() {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines
}

/// Replaces the marks with colours. A colour ends with its line and resumes in the next.
pub(super) fn painted(lines: impl IntoIterator<Item = String>, paint: Paint) -> Vec<String> {
    let (red, end) = if paint == Paint::Colours { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    let mut is_red = false;
    let line = |line: String| {
        let text = line.trim_end();
        let (blanks, text) = text.split_at(text.len() - text.trim_start().len());
        let begins = if is_red && !text.is_empty() { red } else { "" };
        is_red = text.rfind([RED_MARK, END_MARK]).map_or(is_red, |place| text[place..].starts_with(RED_MARK));
        let ends = if is_red { end } else { "" };
        format!("{blanks}{begins}{}{ends}", text.replace(RED_MARK, red).replace(END_MARK, end))
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_between_words_and_keeps_its_indent() {
        assert_eq!(wrapped("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrapped("беседа закрыта вчера", 14), ["беседа закрыта", "вчера"]);
        assert_eq!(wrapped("see http://127.0.0.1:9187/ now", 12), ["see", "http://127.0.0.1:9187/", "now"]);
        assert_eq!(wrapped("short", 3), ["short"]);
        assert_eq!(wrapped("", 3), [""]);
    }

    #[test]
    fn colours_are_put_around_what_alarms_and_no_text_brings_its_own() {
        let line = |text: Text| text.painted(None, Paint::Colours).concat();
        assert_eq!(line(Text::from("\u{2066}\x1b[31mred")), r"\u{2066}\u{1b}[31mred");
        assert_eq!(line(Text::alarming("BAD").then(" x")), "\x1b[1;31mBAD\x1b[0m x");
        assert_eq!(Text::alarming("BAD").painted(None, Paint::Plain), ["BAD"]);
        assert_eq!(
            Text::alarming("so bad").then(" x").painted(Some(4), Paint::Colours),
            ["\x1b[1;31mso\x1b[0m", "\x1b[1;31mbad\x1b[0m", "x"]
        );
    }
}
