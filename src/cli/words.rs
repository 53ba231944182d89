//! Times, counts and tables as people read them.

pub use crate::clock::span;
use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use std::io::IsTerminal;

/// When something was: `3 h ago`.
pub fn ago(at: i64, now: i64) -> String {
    format!("{} ago", span(now - at))
}

/// When something will be: `in 3 min`, or `now`.
pub fn in_time(at: i64, now: i64) -> String {
    match at - now {
        ..=0 => "now".into(),
        left => format!("in {}", span(left)),
    }
}

/// A moment, to the second, UTC: `2026-11-23 09:34:00`.
pub fn moment(at: i64) -> String {
    Timestamp::from_second(at)
        .map_or_else(|_| at.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A moment and how long ago it was.
pub fn moment_ago(at: i64, now: i64) -> String {
    format!("{} ({})", moment(at), ago(at, now))
}

/// A count with its thousands apart: `1,234,567`.
pub fn count(number: i64) -> String {
    indicatif::HumanCount(number.max(0) as u64).to_string()
}

/// `1 talk`, `2 talks`.
pub fn talks(number: i64) -> String {
    match number {
        1 => "1 talk".into(),
        number => format!("{} talks", count(number)),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_their_largest_unit() {
        let spans = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]);
        assert_eq!(ago(100, 100 + 3 * 3600), "3 h ago");
        assert_eq!(in_time(100, 100), "now");
        assert_eq!(in_time(160, 100), "in 1 min");
        assert_eq!(moment(0), "1970-01-01 00:00:00");
    }
}
