//! `man`: the manual page, generated from the command line's own definition.

use super::help::{self, EXAMPLES, GROUPS};
use super::print::Out;
use anyhow::{Context, Result};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::io::Write;
use std::process::ExitCode;

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "failed; for sync: some talk could not be mirrored; for status: the mirror is not healthy"),
    ("2", "wrong usage"),
    ("75", "another instance holds the database"),
    ("78", "the configuration, the account or the database is wrong, and a restart cannot help"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("TALKMIRROR_CONFIG", "the configuration file, unless --config names it"),
    (
        "TALKMIRROR__SECTION__KEY",
        "overrides a key of the configuration, such as TALKMIRROR__API__REQUESTS_PER_SECOND=5",
    ),
    ("TALKMIRROR__API__TOKEN", "the token, if no file has it"),
    ("CREDENTIALS_DIRECTORY", "of systemd: the folder with the file token"),
    ("STATE_DIRECTORY", "of systemd: where a relative database.path starts"),
    ("HTTPS_PROXY, ALL_PROXY, NO_PROXY", "the HTTP proxy, and the hosts that are reached without it"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "the CA certificates to trust, instead of the system's"),
    ("NO_COLOR", "if it is set, nothing is coloured"),
];

const FILES: &[(&str, &str)] = &[
    ("/etc/talkmirror/config.toml", "the configuration"),
    ("/etc/talkmirror/token", "the token: readable by root alone, and given to the daemon by systemd"),
    (
        "/var/lib/talkmirror/talks.db",
        "the database of the service; talks.db-wal, -shm and .lock are part of it",
    ),
    ("/usr/share/doc/talkmirror", "the documentation, and an example of the configuration with every key"),
];

/// Prints the page.
pub(super) fn man() -> Result<ExitCode> {
    let mut page = Vec::new();
    let mut command = help::command();
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for (group, names) in GROUPS {
        roff.control("SS", [*group]);
        for command in names.iter().filter_map(|name| command.find_subcommand(name)) {
            describe(&mut roff, command, "");
        }
    }
    list(&mut roff, "EXIT STATUS", EXIT_STATUS, |code| bold(code));
    list(&mut roff, "ENVIRONMENT", ENVIRONMENT, |name| bold(name));
    list(&mut roff, "FILES", FILES, |path| italic(path));
    roff.control("SH", ["EXAMPLES"]);
    for (line, what) in EXAMPLES {
        entry(&mut roff, roman(format!("{what}:")), vec![bold(format!("talkmirror {line}"))]);
    }
    roff.to_writer(&mut page)?;
    let mut out = Out::new();
    out.writer().write_all(&page).context("cannot write to stdout")?;
    out.done()
}

fn list(roff: &mut Roff, heading: &str, entries: &[(&str, &str)], name: impl Fn(&str) -> Inline) {
    roff.control("SH", [heading]);
    for (term, meaning) in entries {
        entry(roff, name(term), vec![roman(*meaning)]);
    }
}

fn entry(roff: &mut Roff, term: Inline, meaning: Vec<Inline>) {
    roff.control("TP", []);
    roff.text([term]);
    roff.text(meaning);
}

/// A command and its arguments, or the commands below it.
fn describe(roff: &mut Roff, command: &clap::Command, path: &str) {
    let name = format!("{path}{}", command.get_name());
    // That of `help` are all commands again.
    if command.has_subcommands() && name != "help" {
        command.get_subcommands().for_each(|sub| describe(roff, sub, &format!("{name} ")));
        return;
    }
    let mut heading = vec![bold(name)];
    let mut options = Vec::new();
    for argument in command.get_arguments() {
        if argument.is_global_set() || argument.is_hide_set() || argument.get_id() == "help" {
            continue;
        }
        let is_optional = !argument.is_positional() && !argument.is_required_set();
        heading.push(roman(if is_optional { format!(" [{argument}]") } else { format!(" {argument}") }));
        options
            .push((argument.to_string(), argument.get_help().map(ToString::to_string).unwrap_or_default()));
    }
    roff.control("TP", []);
    roff.text(heading);
    roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    roff.control("RS", []);
    for (option, help) in options.into_iter().filter(|(_, help)| !help.is_empty()) {
        entry(roff, roman(option), vec![roman(help)]);
    }
    roff.control("RE", []);
}
