//! Tables and lines for people, made of pieces of text.
//!
//! Each piece is escaped and truncated here. Colours are added afterwards.

use crate::text::brief;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};
use unicode_width::UnicodeWidthStr;

/// The maximum width of a piece of text.
const MAX_TEXT_WIDTH: usize = 300;
/// The minimum width of a table.
const MIN_TABLE_WIDTH: u16 = 40;
/// Longer words may be broken.
const MAX_UNBROKEN_WORD: u16 = 16;
/// Blanks between two columns.
const COLUMN_GAP: u16 = 2;

/// Mark the start and end of red text until the table has its lines. They take no columns, and no shown text
/// contains them.
const RED_MARK: char = '\u{2066}';
const END_MARK: char = '\u{2069}';

/// Whether alarming text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colours,
}

/// A text in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    alarming: bool,
}

impl Text {
    /// A text in red and bold on a terminal.
    pub(super) fn alarming(text: impl Into<String>) -> Text {
        Text(vec![Piece { text: text.into(), alarming: true }])
    }

    /// This text and another.
    pub(super) fn then(mut self, more: impl Into<Text>) -> Text {
        self.0.extend(more.into().0);
        self
    }

    /// The text as a line.
    pub(super) fn painted(&self, paint: Paint) -> String {
        let escaped = |piece: &Piece| (crate::text::shown(&piece.text).into_owned(), piece.alarming);
        painted([marked(self.0.iter().map(escaped))], paint).remove(0)
    }

    fn cell(&self) -> String {
        marked(self.0.iter().map(|piece| (brief(&piece.text, MAX_TEXT_WIDTH), piece.alarming)))
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

/// Replaces the marks with colours. A colour ends with its line and resumes in the next.
fn painted(lines: impl IntoIterator<Item = String>, paint: Paint) -> Vec<String> {
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

/// A table without borders.
#[derive(Debug, Default)]
pub(super) struct Table {
    head: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    /// The first column of counts.
    counts: Option<usize>,
}

impl Table {
    /// A table of names and values.
    pub(super) fn new() -> Table {
        Table::default()
    }

    /// A table with column headings.
    pub(super) fn headed<const N: usize>(names: [&str; N]) -> Table {
        Table { head: Some(names.map(str::to_owned).into()), ..Table::default() }
    }

    /// Adds a row.
    #[expect(clippy::needless_pass_by_value, reason = "the cells are made for the row")]
    pub(super) fn row<const N: usize>(&mut self, cells: [Text; N]) {
        self.rows.push(cells.iter().map(Text::cell).collect());
    }

    /// Adds a row of a name and its value.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Text>) {
        self.row([name.into(), value.into()]);
    }

    /// Aligns the columns from `first` on to the right: they are counts.
    pub(super) fn align_counts(&mut self, first: usize) {
        self.counts = Some(first);
    }

    /// The table's lines, wrapped to `width` if there is a limit.
    pub(super) fn lines(&self, width: Option<u16>, paint: Paint) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).add_rows(&self.rows);
        if let Some(head) = &self.head {
            table.set_header(head);
        }
        let columns = table.column_count();
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if place + 1 < columns { COLUMN_GAP } else { 0 }));
            if self.counts.is_some_and(|first| place >= first) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if let Some(width) = width {
            let width = width.max(MIN_TABLE_WIDTH);
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            for (column, constraint) in table.column_iter_mut().zip(self.constraints(columns, width)) {
                column.set_constraint(constraint);
            }
        }
        painted(table.lines(), paint)
    }

    /// Names stay whole, and words too if there is room.
    fn constraints(&self, columns: usize, width: u16) -> Vec<ColumnConstraint> {
        if self.head.is_none() {
            return vec![ColumnConstraint::ContentWidth];
        }
        let longest_word = |place: usize| {
            let cells = self.head.iter().chain(&self.rows).filter_map(move |row| row.get(place));
            cells
                .flat_map(|cell| cell.split(' '))
                .map(|word| u16::try_from(word.width()).unwrap_or(u16::MAX))
                .max()
                .unwrap_or(0)
        };
        let least: Vec<u16> =
            (0..columns).map(|place| longest_word(place).min(MAX_UNBROKEN_WORD) + COLUMN_GAP).collect();
        if least.iter().sum::<u16>() > width {
            return Vec::new();
        }
        least.into_iter().map(|least| ColumnConstraint::LowerBoundary(Width::Fixed(least))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::headed(["TALK", "CHANNEL", "WHY"]);
        table.row(["1".into(), "a\x1b[2J\nb".into(), Text::from("so, ").then(Text::alarming("bad\nend"))]);
        table.row(["22".into(), "x".repeat(3000).into(), "so".into()]);
        table
    }

    #[test]
    fn what_cells_hold_is_escaped_and_cut_and_a_row_is_a_line() {
        let lines = table().lines(None, Paint::Plain);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with(r"1     a\u{1b}[2J\nb  "), "{lines:?}");
        assert!(lines[1].ends_with(r"so, bad\nend"), "{lines:?}");
        assert_eq!(lines[2], format!("22    {}…  so", "x".repeat(299)));
    }

    #[test]
    fn colours_are_put_around_what_alarms_and_no_text_brings_its_own() {
        let lines = table().lines(None, Paint::Colours);
        assert!(lines[1].ends_with("so, \x1b[1;31mbad\\nend\x1b[0m"), "{lines:?}");
        assert_eq!(lines.concat().matches('\x1b').count(), 2);
        let forged = Text::from("\u{2066}\x1b[31mred");
        assert_eq!(forged.painted(Paint::Colours), r"\u{2066}\u{1b}[31mred");
        assert_eq!(Text::alarming("BAD").then(" x").painted(Paint::Colours), "\x1b[1;31mBAD\x1b[0m x");
        assert_eq!(Text::alarming("BAD").painted(Paint::Plain), "BAD");
    }

    #[test]
    fn on_a_terminal_a_table_fits_and_its_colours_end_with_each_line() {
        let mut table = Table::new();
        table.fact("Mirror", Text::from("well, ").then(Text::alarming("but ".repeat(30))).then("end"));
        for width in [60, 80] {
            let lines = table.lines(Some(width), Paint::Colours);
            assert!(lines.len() > 1);
            for line in &lines {
                assert_eq!(line.matches("\x1b[1;31m").count(), line.matches("\x1b[0m").count(), "{line:?}");
                let plain = line.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
                assert!(plain.width() <= usize::from(width), "{line:?}");
            }
            assert!(lines[1].starts_with("        \x1b[1;31m"), "{lines:?}");
        }
    }

    #[test]
    fn a_very_narrow_terminal_works() {
        for width in [0, 1, 20, 39] {
            for line in table().lines(Some(width), Paint::Plain) {
                assert!(line.width() <= 60, "{line:?}");
            }
        }
    }
}
