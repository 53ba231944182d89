//! All output of commands. Text from outside is escaped ([`crate::text::shown`]) and each line stays one line. JSON
//! and scripts for programs are exact.

use super::progress;
use super::table::{Paint, Table, Text};
use crate::config::Mistakes;
use crate::daemon::DaemonError;
use crate::report::humanize;
use crate::text::shown;
use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;
use unicode_width::UnicodeWidthStr;

/// The output of a command.
#[derive(Debug)]
pub(super) struct Out<W: Write = BufWriter<StdoutLock<'static>>> {
    writer: W,
    paint: Paint,
    /// Columns of the terminal, if it is one.
    width: Option<u16>,
}

impl Out {
    /// Stdout.
    #[expect(clippy::disallowed_methods, reason = "here it is escaped")]
    pub(super) fn new() -> Out {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let width = terminal_size::terminal_size_of(&stdout).filter(|_| is_terminal);
        Out {
            writer: BufWriter::new(stdout.lock()),
            paint: if is_terminal { terminal_paint() } else { Paint::Plain },
            width: width.map(|(terminal_size::Width(columns), _)| columns),
        }
    }
}

impl Out<Vec<u8>> {
    /// A buffer for a terminal with so many columns.
    pub(super) fn for_terminal(columns: u16) -> Out<Vec<u8>> {
        Out { writer: Vec::new(), paint: terminal_paint(), width: Some(columns) }
    }

    /// The lines written so far.
    pub(super) fn into_lines(self) -> Vec<String> {
        String::from_utf8_lossy(&self.writer).lines().map(str::to_owned).collect()
    }
}

/// Colours, unless `NO_COLOR` forbids them.
fn terminal_paint() -> Paint {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    if no_color { Paint::Plain } else { Paint::Colours }
}

impl<W: Write> Out<W> {
    /// A line. A terminal that is narrower gets it broken between words.
    ///
    /// # Errors
    /// Here and below: if it cannot be written.
    pub(super) fn line(&mut self, text: impl Into<Text>) -> io::Result<()> {
        let lines = text.into().painted(self.width, self.paint);
        lines.iter().try_for_each(|line| writeln!(self.writer, "{line}"))
    }

    /// A line that begins in this column, after its `lead`. If it is broken, its further lines begin there too.
    pub(super) fn line_at(&mut self, column: u16, lead: &Text, text: impl Into<Text>) -> io::Result<()> {
        let indent = usize::from(column);
        let used = lead.painted(None, Paint::Plain).concat().width();
        let lead = lead.painted(None, self.paint).concat();
        let mut before = format!("{lead}{}", " ".repeat(indent.saturating_sub(used)));
        for line in text.into().painted(self.width.map(|width| width.saturating_sub(column)), self.paint) {
            writeln!(self.writer, "{before}{line}")?;
            before = " ".repeat(indent);
        }
        Ok(())
    }

    /// A line to be copied whole, such as a command.
    pub(super) fn unbroken(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{}", shown(text))
    }

    /// A table. Prints nothing if it is empty.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        table.lines(self.width, self.paint).iter().try_for_each(|line| writeln!(self.writer, "{line}"))
    }

    /// A text for programs, unchanged.
    pub(super) fn exact(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.writer, "{text}")
    }

    /// For a program's text that is written piece by piece.
    pub(super) fn writer(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Ends a command that succeeded.
    pub(super) fn done(mut self) -> Result<ExitCode> {
        self.writer.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an error with its causes and the `hint`: one line, or one for each mistake of a configuration. Below a
/// configuration's mistakes comes its `snippet`.
pub(super) fn error(error: &anyhow::Error, hint: Option<String>, snippet: &[String]) {
    let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
    let lines = lines(error);
    let last = lines.len().saturating_sub(1);
    for (place, line) in lines.iter().enumerate() {
        let before = if place == 0 { "error: " } else { "" };
        let after = if place == last { &*hint } else { "" };
        progress::eprint_line(&format!("{before}{line}{after}"));
    }
    if mistakes(error).is_some() {
        snippet.iter().for_each(|line| progress::eprint_line(line));
    }
}

fn lines(error: &anyhow::Error) -> Vec<String> {
    match mistakes(error) {
        Some(mistakes) if !mistakes.is_empty() => mistakes.clone(),
        _ => vec![humanize::causes(error.as_ref())],
    }
}

/// The mistakes of a configuration, if that is the error.
fn mistakes(error: &anyhow::Error) -> Option<&Vec<String>> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(Mistakes(mistakes)), _) | (_, Some(DaemonError::Config(Mistakes(mistakes)))) => Some(mistakes),
        _ => None,
    }
}

/// Exits with clap's usage error. The typed text is escaped too.
pub(super) fn usage(mut error: clap::Error) -> ! {
    let escaped = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(shown(text).into_owned()))),
        _ => None,
    };
    for (kind, value) in error.context().filter_map(escaped).collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    error.exit()
}

/// Asks on stderr and returns the typed text. All but the last of the `lines` end in a line break.
///
/// # Errors
/// If the terminal cannot be written or read.
pub(super) fn ask(lines: &[String]) -> io::Result<String> {
    let (last, before) = lines.split_last().expect("a question");
    before.iter().for_each(|line| progress::eprint_line(line));
    // Not locked while it waits, so that an error can still be printed.
    write!(io::stderr(), "{}", shown(last))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// Whether the answer means yes.
pub(super) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_keeps_its_line_and_no_line_break_within_one() {
        let mistakes = || Mistakes(vec!["a: found \"x\ny\"".into(), "b".into()]);
        for error in [anyhow::Error::from(mistakes()), DaemonError::Config(mistakes()).into()] {
            assert_eq!(lines(&error), ["a: found \"x\ny\"", "b"]);
        }
        let error = anyhow::anyhow!("cause\nforged").context("cannot do it");
        assert_eq!(lines(&error), ["cannot do it: cause\nforged"], "escaped as one line");
    }

    #[test]
    fn a_line_stays_one_and_a_text_for_programs_is_exact() {
        let mut out = Out { writer: Vec::new(), paint: Paint::Plain, width: None };
        out.line("a\n\x1b[2Jb").unwrap();
        out.exact("{\n}").unwrap();
        assert_eq!(String::from_utf8(out.writer).unwrap(), "a\\n\\u{1b}[2Jb\n{\n}\n");
    }
}
