//! `completions` and `man`: generated from the command line's own definition.

use super::Cli;
use super::print::Out;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::process::ExitCode;

/// Prints the completion script.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "talkmirror", &mut script);
    print(&script)
}

/// Prints the manual page: the command's own, then each subcommand's.
pub(super) fn man() -> Result<ExitCode> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = clap_mangen::roff::Roff::new();
    roff.control("SH", ["COMMANDS"]);
    describe(&mut roff, &command, "");
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in [
        ("0", "done"),
        ("1", "failed; for sync: some talk could not be mirrored; for status: the mirror is not healthy"),
        ("2", "wrong usage"),
        ("75", "another instance holds the database"),
        ("78", "the configuration is wrong"),
    ] {
        roff.control("TP", []);
        roff.text([clap_mangen::roff::bold(code)]);
        roff.text([clap_mangen::roff::roman(meaning)]);
    }
    roff.control("SH", ["FILES"]);
    roff.text([clap_mangen::roff::roman(
        "/etc/talkmirror/config.toml, or what --config or $TALKMIRROR_CONFIG names.",
    )]);
    roff.to_writer(&mut page)?;
    print(&page)
}

fn describe(roff: &mut clap_mangen::roff::Roff, command: &clap::Command, path: &str) {
    use clap_mangen::roff::{bold, roman};
    for sub in command.get_subcommands() {
        let name = format!("{path}{}", sub.get_name());
        if sub.has_subcommands() {
            describe(roff, sub, &format!("{name} "));
            continue;
        }
        let arguments: Vec<String> = sub
            .get_arguments()
            .filter(|argument| !argument.is_global_set() && argument.get_id() != "help")
            .map(ToString::to_string)
            .collect();
        roff.control("TP", []);
        roff.text([bold(format!("{name} {}", arguments.join(" ")).trim_end())]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
}

fn print(bytes: &[u8]) -> Result<ExitCode> {
    let mut out = Out::new();
    out.writer().write_all(bytes).context("cannot write to stdout")?;
    out.done()
}
