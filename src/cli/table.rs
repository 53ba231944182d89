//! Tables for people. Each cell is escaped here. On a terminal a table fits its width.

mod text;

pub(super) use text::{Paint, Text, wrapped};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};
use unicode_width::UnicodeWidthStr;

/// The maximum width of a piece of text. Only an endless text is longer.
const MAX_TEXT_WIDTH: usize = 300;
/// On a terminal, a cell takes about so many lines at most.
const MAX_CELL_LINES: usize = 6;
/// The minimum width of a table.
const MIN_TABLE_WIDTH: usize = 40;
/// A column that is wider may be wrapped, to no less than this. So only longer words are broken.
const MIN_WRAPPED_WIDTH: usize = 20;
/// Blanks between two columns.
const COLUMN_GAP: usize = 2;

/// A table without borders.
#[derive(Debug, Default)]
pub(super) struct Table {
    head: Option<Vec<&'static str>>,
    rows: Vec<Vec<Text>>,
    /// The first column of counts.
    counts: Option<usize>,
    /// The columns that a narrow terminal leaves out, the first of these first.
    optional: Vec<&'static str>,
}

impl Table {
    /// A table of names and values.
    pub(super) fn new() -> Table {
        Table::default()
    }

    /// A table with column headings.
    pub(super) fn headed<const N: usize>(names: [&'static str; N]) -> Table {
        Table { head: Some(names.into()), ..Table::default() }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [Text; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a row of a name and its value.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Text>) {
        self.row([name.into(), value.into()]);
    }

    /// Aligns the columns from `first` on to the right: they are counts.
    pub(super) fn align_counts(&mut self, first: usize) {
        self.counts = Some(first);
    }

    /// Names the columns that are left out if the terminal is too narrow for all, the first of them first.
    pub(super) fn leave_out<const N: usize>(&mut self, names: [&'static str; N]) {
        self.optional = names.into();
    }

    /// The table's lines, within `width` if there is a limit.
    pub(super) fn lines(&self, width: Option<u16>, paint: Paint) -> Vec<String> {
        let cells = self.cells(&|_| MAX_TEXT_WIDTH);
        let natural = widths(self.head.as_deref(), &cells);
        let all: Vec<usize> = (0..natural.len()).collect();
        let Some(width) = width.map(|width| usize::from(width).max(MIN_TABLE_WIDTH)) else {
            return self.drawn(&cells, &all, None, paint);
        };
        if self.head.is_none() {
            let value = width.saturating_sub(natural.first().map_or(0, |name| name + COLUMN_GAP));
            let columns: Vec<usize> = natural
                .iter()
                .enumerate()
                .map(|(place, &width)| if place == 0 { width } else { value })
                .collect();
            return self.drawn(&cells, &all, Some(&columns), paint);
        }
        let mut left = all;
        let mut optional = self.optional.iter();
        loop {
            if let Some(columns) = fitted(&natural, &left, width) {
                let cells = self.cells(&|place| match left.iter().position(|kept| *kept == place) {
                    Some(place) => columns[place] * MAX_CELL_LINES,
                    None => MAX_TEXT_WIDTH,
                });
                return self.drawn(&cells, &left, Some(&columns), paint);
            }
            match optional.next() {
                Some(name) => {
                    left.retain(|place| self.head.as_ref().is_none_or(|head| head[*place] != *name));
                }
                None => return self.records(width, paint),
            }
        }
    }

    /// The escaped cells, those of a column cut to `most`.
    fn cells(&self, most: &dyn Fn(usize) -> usize) -> Vec<Vec<String>> {
        let row = |row: &Vec<Text>| {
            row.iter().enumerate().map(|(place, cell)| cell.cell(most(place).min(MAX_TEXT_WIDTH))).collect()
        };
        self.rows.iter().map(row).collect()
    }

    /// Each row as lines of heading and value, for a terminal that is too narrow for columns.
    fn records(&self, width: usize, paint: Paint) -> Vec<String> {
        let mut records = Table::new();
        for (place, row) in self.rows.iter().enumerate() {
            if place > 0 {
                records.fact("", "");
            }
            for (name, cell) in self.head.iter().flatten().zip(row) {
                records.fact(name, cell.clone());
            }
        }
        records.lines(Some(u16::try_from(width).unwrap_or(u16::MAX)), paint)
    }

    /// Draws these columns, each as wide as said.
    fn drawn(
        &self,
        cells: &[Vec<String>],
        columns: &[usize],
        widths: Option<&[usize]>,
        paint: Paint,
    ) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.add_rows(cells.iter().map(|row| columns.iter().filter_map(|place| row.get(*place))));
        if let Some(head) = &self.head {
            table.set_header(columns.iter().map(|place| head[*place]));
        }
        let last = columns.len().saturating_sub(1);
        if widths.is_some() {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            let gap = if place < last { COLUMN_GAP } else { 0 };
            column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
            if self.counts.is_some_and(|first| columns[place] >= first) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(width) = widths.and_then(|widths| widths.get(place)) {
                let width = u16::try_from(width + gap).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            }
        }
        text::painted(table.lines(), paint)
    }
}

/// How wide each of these columns is within `width`. `None` if they do not fit.
fn fitted(natural: &[usize], columns: &[usize], width: usize) -> Option<Vec<usize>> {
    let mut fitted: Vec<usize> = columns.iter().map(|&place| natural[place].min(MIN_WRAPPED_WIDTH)).collect();
    let gaps = COLUMN_GAP * columns.len().saturating_sub(1);
    let mut rest = width.checked_sub(fitted.iter().sum::<usize>() + gaps)?;
    // Column by column, so that all wrapped ones get their share.
    while rest > 0 {
        let before = rest;
        for (fitted, &place) in fitted.iter_mut().zip(columns) {
            if *fitted < natural[place] && rest > 0 {
                *fitted += 1;
                rest -= 1;
            }
        }
        if rest == before {
            break;
        }
    }
    Some(fitted)
}

/// The width of each column's widest cell.
fn widths(head: Option<&[&'static str]>, cells: &[Vec<String>]) -> Vec<usize> {
    let columns = cells.iter().map(Vec::len).chain(head.map(<[_]>::len)).max().unwrap_or(0);
    let of = |place: usize| {
        let heading = head.and_then(|head| head.get(place)).map_or(0, |name| name.width());
        let cells = cells.iter().filter_map(|row| row.get(place)).map(|cell| cell.width());
        cells.max().unwrap_or(0).max(heading)
    };
    (0..columns).map(of).collect()
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
        let lines = table().lines(None, Paint::Colours);
        assert!(lines[1].ends_with("so, \x1b[1;31mbad\\nend\x1b[0m"), "{lines:?}");
        assert_eq!(lines.concat().matches('\x1b').count(), 2);
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

    /// A queue with long Cyrillic texts.
    fn queue() -> Table {
        let mut table = Table::headed(["TALK", "REASON", "PRIORITY", "DUE", "LAST ERROR"]);
        let error = "сервер отвечает ошибкой, беседа пропущена, попробуйте ещё раз позже";
        for talk_id in ["17", "123456"] {
            table.row([talk_id, "webhook", "50", "failed 12 min ago", error].map(Text::from));
        }
        table.leave_out(["PRIORITY", "REASON"]);
        table
    }

    #[test]
    fn a_narrow_terminal_leaves_columns_out_and_breaks_no_word() {
        let head = |width| {
            queue().lines(Some(width), Paint::Plain)[0].split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(head(120), "TALK REASON PRIORITY DUE LAST ERROR");
        assert_eq!(head(60), "TALK REASON DUE LAST ERROR");
        assert_eq!(head(50), "TALK DUE LAST ERROR");
        for width in [40, 50, 60, 80, 120, 200] {
            let lines = queue().lines(Some(width), Paint::Plain);
            for line in &lines {
                assert!(line.width() <= usize::from(width), "{width}: {line:?}");
            }
            for word in ["отвечает", "пропущена,", "попробуйте"] {
                assert!(lines.iter().any(|line| line.contains(word)), "{width}: {lines:#?}");
            }
        }
        assert_eq!(queue().lines(Some(300), Paint::Plain), queue().lines(None, Paint::Plain));
    }

    #[test]
    fn if_no_columns_fit_each_row_is_a_list_of_its_cells() {
        let mut table = Table::headed(["DECIDED", "MODE", "SEEN CLOSED"]);
        table.row(["2026-11-30 20:04:17", "live", "2026-11-30 20:04:27"].map(Text::from));
        table.row(["2026-11-30 21:04:17", "live", "-"].map(Text::from));
        assert_eq!(
            table.lines(Some(40), Paint::Plain),
            [
                "DECIDED      2026-11-30 20:04:17",
                "MODE         live",
                "SEEN CLOSED  2026-11-30 20:04:27",
                "",
                "DECIDED      2026-11-30 21:04:17",
                "MODE         live",
                "SEEN CLOSED  -",
            ]
        );
    }

    #[test]
    fn a_very_narrow_terminal_works() {
        for width in [0, 1, 20, 39] {
            for line in table().lines(Some(width), Paint::Plain) {
                assert!(line.width() <= MIN_TABLE_WIDTH, "{line:?}");
            }
        }
    }
}
