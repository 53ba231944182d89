//! `status --watch`: the screen on a page of its own of the terminal, drawn again every two seconds.

use super::{State, screen};
use crate::cli::print::Out;
use crate::clock::{UnixSeconds, unix_now, written};
use crate::config::Config;
use crate::language::{Language, Message};
use crate::report::humanize::causes;
use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use std::io::{self, IsTerminal, Read, Stdin, Stdout, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
/// The terminal's other page, without a cursor. Lines that are too long are cut, not wrapped.
const OPEN_PAGE: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const CLOSE_PAGE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Columns and lines of a terminal that does not say how large it is.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Shows the screen until q or a signal. Returns what the last screen means, as `status` does.
#[expect(clippy::disallowed_methods, reason = "the lines come from `Out`, which escapes them")]
pub(super) fn watch(config: &Config, language: Language) -> Result<ExitCode> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        bail!("status --watch needs a terminal; for programs there is `talkmirror status --json`");
    }
    // Read before the page opens, so that an error is shown as that of any command.
    let mut state: Result<State> = Ok(State::read(config)?);
    let signals = signals().context("cannot watch for signals")?;
    let mut terminal = Terminal::open(io::stdin(), stdout).context("cannot use the terminal")?;
    loop {
        let code = state.as_ref().map_or(ExitCode::FAILURE, State::exit_code);
        let (columns, lines) = terminal.size();
        let mut out = Out::for_terminal(columns);
        match &state {
            Ok(state) => screen::print_complaints_first(&mut out, state, config, language)?,
            // A backup may be put in place of the database meanwhile.
            Err(error) => out.line(format!("error: {}", causes(error.as_ref())))?,
        }
        terminal.draw(&fitted(out.into_lines(), lines.into(), unix_now(), language))?;
        if terminal.wait(&signals)? == Next::End {
            return Ok(code);
        }
        state = State::read(config);
    }
}

/// The signals that end or redraw the screen. None of them ends the process by itself any more.
fn signals() -> nix::Result<SignalFd> {
    let mut watched = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGWINCH] {
        watched.add(signal);
    }
    watched.thread_block()?;
    SignalFd::new(&watched)
}

/// What ends a wait.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Draw,
    End,
}

/// The terminal, as long as the page is open. Dropping this restores it.
struct Terminal {
    stdout: Stdout,
    stdin: Stdin,
    /// How stdin was, if it is a terminal.
    before: Option<Termios>,
}

impl Terminal {
    fn open(stdin: Stdin, stdout: Stdout) -> Result<Terminal> {
        let before = if stdin.is_terminal() { Some(termios::tcgetattr(&stdin)?) } else { None };
        let mut terminal = Terminal { stdout, stdin, before };
        if let Some(before) = &terminal.before {
            let mut keys = before.clone();
            keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            // A stopped process would leave its page open.
            keys.control_chars[SpecialCharacterIndices::VSUSP as usize] = 0;
            termios::tcsetattr(&terminal.stdin, SetArg::TCSANOW, &keys)?;
        }
        terminal.write(OPEN_PAGE)?;
        Ok(terminal)
    }

    fn size(&self) -> (u16, u16) {
        let size = terminal_size::terminal_size_of(&self.stdout);
        size.map_or(USUAL_SIZE, |(columns, lines)| (columns.0, lines.0))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }

    /// Writes over the last screen, which so does not flicker.
    fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
        self.write(&format!("\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    /// Waits for a key, a signal or the next screen.
    fn wait(&mut self, signals: &SignalFd) -> Result<Next> {
        let mut watched = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if self.before.is_some() {
            watched.push(PollFd::new(self.stdin.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut watched, PollTimeout::try_from(INTERVAL).unwrap_or(PollTimeout::MAX))?;
        let ready: Vec<bool> = watched.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        if ready[0] {
            let signal = signals.read_signal()?.map(|signal| signal.ssi_signo);
            let resized = signal.is_some_and(|signal| i64::from(signal) == Signal::SIGWINCH as i64);
            return Ok(if resized { Next::Draw } else { Next::End });
        }
        if ready.get(1) != Some(&true) {
            return Ok(Next::Draw);
        }
        let mut keys = [0; 64];
        let read = self.stdin.read(&mut keys)?;
        Ok(if ends(&keys[..read]) { Next::End } else { Next::Draw })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.write(CLOSE_PAGE);
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(&self.stdin, SetArg::TCSAFLUSH, before);
        }
    }
}

/// Whether these keys end the watch: q, also on a Russian keyboard, or the end of input.
fn ends(keys: &[u8]) -> bool {
    let text = String::from_utf8_lossy(keys);
    text.is_empty() || text.contains(['q', 'Q', 'й', 'Й', '\u{3}', '\u{4}'])
}

/// The lines that a terminal of this height holds. The last tells the time and how many do not fit.
fn fitted(mut lines: Vec<String>, height: usize, now: UnixSeconds, language: Language) -> Vec<String> {
    let foot = Message::new("status-watch-foot").with("time", written(now, "%H:%M:%S"));
    let room = height.saturating_sub(1);
    let left = lines.len().saturating_sub(room);
    let foot = match left {
        0 => foot,
        left => Message::new("status-watch-more").with("number", left).with("foot", foot),
    };
    lines.truncate(room);
    if lines.len() + 1 < height {
        lines.push(String::new());
    }
    lines.push(foot.to(language));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_in_the_last_line() {
        let shown = |height: usize| {
            let lines = ["a", "b", "c"].map(str::to_owned).to_vec();
            fitted(lines, height, UnixSeconds::EPOCH, Language::English).join("|")
        };
        assert_eq!(shown(9), "a|b|c||00:00:00 UTC; q quits");
        assert_eq!(shown(5), "a|b|c||00:00:00 UTC; q quits");
        assert_eq!(shown(4), "a|b|c|00:00:00 UTC; q quits");
        assert_eq!(shown(3), "a|b|… 1 more line; 00:00:00 UTC; q quits");
        assert_eq!(shown(1), "… 3 more lines; 00:00:00 UTC; q quits");
        assert_eq!(shown(0), shown(1));
    }

    #[test]
    fn q_ends_it_on_a_russian_keyboard_too_and_other_keys_do_not() {
        for keys in ["q", "Q", "й", "\u{3}", ""] {
            assert!(ends(keys.as_bytes()), "{keys:?}");
        }
        assert!(!ends(b" x\x1b[A"));
    }
}
