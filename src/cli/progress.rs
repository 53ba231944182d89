//! Progress on stderr: a bar on a terminal, else a plain line now and then. Log lines are printed around the bar.
//! Text from outside is escaped here.

use crate::clock;
use crate::text::shown;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// The progress of long work.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    in_bytes: bool,
    line_at: Instant,
    last_line: String,
}

impl ProgressDisplay {
    /// Starts at 0 of `total` talks.
    pub(super) fn new(total: u64) -> ProgressDisplay {
        ProgressDisplay::begin(total, "{human_pos}/{human_len} talks, {per_sec:.1}, {eta} left", false)
    }

    /// Starts at 0 of `total` bytes.
    pub(super) fn in_bytes(total: u64) -> ProgressDisplay {
        ProgressDisplay::begin(total, "{bytes}/{total_bytes}, {bytes_per_sec}, {eta} left", true)
    }

    fn begin(total: u64, figures: &str, in_bytes: bool) -> ProgressDisplay {
        let bar = io::stderr().is_terminal().then(|| {
            let template = format!("{{bar:30.cyan/dim}} {figures}{{wide_msg}}");
            let style = ProgressStyle::with_template(&template).expect("a valid template");
            BARS.add(ProgressBar::new(total).with_style(style))
        });
        ProgressDisplay { bar, in_bytes, line_at: clock::mono() + LINE_INTERVAL, last_line: String::new() }
    }

    /// Shows how much of `total` is done, and a note.
    pub(super) fn set(&mut self, done: u64, total: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(done));
            bar.set_position(done);
            bar.set_message(if note.is_empty() { String::new() } else { format!(" · {}", shown(note)) });
            // A thread would tick more evenly, but indicatif panics if it cannot start one.
            bar.tick();
        } else if clock::mono() >= self.line_at {
            self.line_at = clock::mono() + LINE_INTERVAL;
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            let total = total.max(done);
            let line = match self.in_bytes {
                true => format!("{} of {} written{note}", HumanBytes(done), HumanBytes(total)),
                false => format!("{done} of {total} talks done{note}"),
            };
            if line != self.last_line {
                eprint_line(&line);
                self.last_line = line;
            }
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line on stderr, around a bar if there is one. It stays one line.
pub(super) fn eprint_line(line: &str) {
    let _ = Stderr.write_all(format!("{}\n", shown(line)).as_bytes());
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
