//! Progress on stderr: a bar on a terminal, else a plain line now and then. Log lines are printed around the bar.
//! Text from outside is escaped here.

use super::table::wrapped;
use crate::clock;
use crate::report::humanize;
use crate::text::{brief, shown};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// A time left is shown from here on: below it, an end that is late would stand at zero.
const LEAST_TIME_LEFT: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Talks,
    Bytes,
    /// The total is known, and each second is one.
    Seconds,
}

/// The progress of long work.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    counted: Counted,
    line_at: Instant,
    last_line: String,
}

impl ProgressDisplay {
    /// Starts at 0 of `total`.
    pub(super) fn new(total: u64, counted: Counted) -> ProgressDisplay {
        let bar = io::stderr().is_terminal().then(|| BARS.add(ProgressBar::new(total)));
        ProgressDisplay { bar, counted, line_at: clock::mono() + LINE_INTERVAL, last_line: String::new() }
    }

    /// Shows how much of `total` is done, and a note.
    pub(super) fn set(&mut self, done: u64, total: u64, note: &str) {
        let total = total.max(done);
        let figures = self.counted.figures(done, total);
        if let Some(bar) = &self.bar {
            let columns = columns().unwrap_or(80);
            let bar_columns = match columns {
                ..60 => 10,
                60..100 => 20,
                _ => 30,
            };
            let template = format!("{{bar:{bar_columns}.cyan/dim}} {{msg}}");
            bar.set_style(ProgressStyle::with_template(&template).expect("a valid template"));
            bar.set_length(total);
            bar.set_position(done);
            let left = Some(bar.eta()).filter(|left| done < total && *left >= LEAST_TIME_LEFT);
            // A blank follows the bar, and one stays at the end of the line.
            let room = columns.saturating_sub(bar_columns + 2);
            let [left, rate] = match self.counted {
                Counted::Seconds => [None, None],
                counted => [
                    left.map(|left| {
                        format!("{} left", humanize::duration(crate::number::whole(left.as_secs())))
                    }),
                    counted.rate(bar.per_sec()),
                ],
            };
            bar.set_message(fitted(&figures, &[left, rate], note, room));
            // A thread would tick more evenly, but indicatif panics if it cannot start one.
            bar.tick();
        } else if clock::mono() >= self.line_at {
            self.line_at = clock::mono() + LINE_INTERVAL;
            let done = match self.counted {
                Counted::Talks => " done",
                Counted::Bytes => " written",
                Counted::Seconds => "",
            };
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            let line = format!("{figures}{done}{note}");
            if line != self.last_line {
                eprint_line(&line);
                self.last_line = line;
            }
        }
    }
}

impl Counted {
    fn figures(self, done: u64, total: u64) -> String {
        match self {
            Counted::Talks => format!("{} of {}", humanize::count(done), humanize::talks(total)),
            Counted::Bytes => format!("{} of {}", HumanBytes(done), HumanBytes(total)),
            Counted::Seconds => format!("{done} of {total} s"),
        }
    }

    /// How fast it goes. `None` if it stands still.
    fn rate(self, per_second: f64) -> Option<String> {
        match self {
            Counted::Bytes => {
                let bytes = crate::number::positive(crate::number::truncated(per_second));
                (bytes > 0).then(|| format!("{} a second", HumanBytes(bytes)))
            }
            _ => (per_second >= 0.1).then(|| format!("{per_second:.1} a second")),
        }
    }
}

/// As much as fits `room` columns: a note comes before the further figures, of which the first matter most.
fn fitted(figures: &str, further: &[Option<String>; 2], note: &str, room: usize) -> String {
    let note = if note.is_empty() { String::new() } else { format!(" · {}", shown(note)) };
    let parts: Vec<&str> =
        [figures].into_iter().chain(further.iter().flatten().map(String::as_str)).collect();
    let line = |count: usize| format!("{}{note}", parts[..count].join(", "));
    let fits = (1..=parts.len()).rev().map(line).find(|line| line.width() <= room);
    fits.unwrap_or_else(|| brief(&line(1), room))
}

/// The columns of the terminal at stderr.
fn columns() -> Option<usize> {
    let stderr = io::stderr();
    let size = terminal_size::terminal_size_of(&stderr).filter(|_| stderr.is_terminal());
    size.map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line on stderr, around a bar if there is one. Only a terminal that is narrower gets it broken, between words.
pub(super) fn eprint_line(line: &str) {
    let line = shown(line);
    let line = columns().map_or(line.to_string(), |columns| wrapped(&line, columns).join("\n"));
    let _ = Stderr.write_all(format!("{line}\n").as_bytes());
}

/// Stderr, around a bar if there is one. Errors are ignored, because there is no place left to report them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Stderr for log events in text format. Each event arrives whole and is printed as one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        Stderr.write_all(one_line(&text).as_bytes()).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Stderr.flush()
    }
}

/// An event's text, escaped except for its line end and the formatter's colours. The formatter has already escaped
/// each ESC in the event's own text.
fn one_line(event: &str) -> String {
    let mut parts = event.trim_end_matches('\n').split("\u{1b}[");
    let mut line = shown(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let after = part.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ';');
        match after.strip_prefix('m') {
            Some(text) => {
                line.push_str("\u{1b}[");
                line.push_str(&part[..part.len() - text.len()]);
                line.push_str(&shown(text));
            }
            None => line.push_str(&shown(&format!("\u{1b}[{part}"))),
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_line_keeps_what_matters() {
        let further = [Some("4 s left".to_owned()), Some("4.2 a second".to_owned())];
        let line = |note, room| fitted("18 of 36 talks", &further, note, room);
        assert_eq!(line("", 80), "18 of 36 talks, 4 s left, 4.2 a second");
        assert_eq!(line("", 28), "18 of 36 talks, 4 s left");
        assert_eq!(line("3 retries", 48), "18 of 36 talks, 4 s left · 3 retries");
        assert_eq!(line("paused for 3 s: the API is\nbusy", 40), "18 of 36 talks · paused for 3 s: the AP…");
        assert_eq!(line("x", 5), "18 o…");
        assert_eq!(Counted::Talks.rate(0.0), None);
        assert_eq!(Counted::Talks.rate(4.1651), Some("4.2 a second".into()));
    }

    #[test]
    fn an_event_is_one_line_and_keeps_the_formatters_colours() {
        assert_eq!(
            one_line("\x1b[2mtime\x1b[0m \x1b[31mERROR\x1b[0m a\nb\u{9b}c\n"),
            "\x1b[2mtime\x1b[0m \x1b[31mERROR\x1b[0m a\\nb\\u{9b}c\n"
        );
        assert_eq!(one_line("a\x1b[2Jb\x1b[1;c\x1b"), "a\\u{1b}[2Jb\\u{1b}[1;c\\u{1b}\n");
        assert_eq!(one_line(""), "\n");
        assert_eq!(one_line("\r\n"), "\\r\n");
    }
}
