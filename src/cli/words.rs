//! Tables as people read them, and the words that the commands share.

pub use crate::clock::span;
pub use crate::words::{ago, count, in_time, moment, moment_ago, talks};
use comfy_table::{CellAlignment, Table, presets};
use std::io::IsTerminal;

/// A table without lines: columns aligned by blanks.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// The table's text, two blanks between columns and none at the end of a line.
pub fn rendered(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Aligns a table's columns, from `first` on, to the right: counts.
pub fn align_counts(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Text in red and bold on a terminal, plain elsewhere.
pub fn alarming(text: &str) -> String {
    let colour =
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    if colour { format!("\u{1b}[1;31m{text}\u{1b}[0m") } else { text.to_owned() }
}
