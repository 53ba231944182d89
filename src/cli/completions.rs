//! `completions`: generated from the command line's own definition.

use super::help;
use super::print::Out;
use anyhow::{Context, Result};
use clap_complete::Shell;
use std::io::Write;
use std::process::ExitCode;

/// Prints the completion script.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(), "talkmirror", &mut script);
    let mut out = Out::new();
    out.writer().write_all(&script).context("cannot write to stdout")?;
    out.done()
}
