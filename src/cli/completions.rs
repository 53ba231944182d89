//! `completions`: generated from the command line's own definition, and completed by ids from the database.

use super::help;
use super::print::Out;
use crate::clock::unix_now;
use crate::store::{self, StoreError, exemptions, queue, story};
use anyhow::{Context, Result};
use clap::{Command, ValueEnum};
use clap_complete::Shell;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// More ids are of no help to somebody who types one.
const MOST_IDS: usize = 200;

/// Which ids a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IdKind {
    /// Open talks, the longest missed first.
    Open,
    /// Failed rows of the queue.
    Failed,
    /// All rows of the queue.
    Queued,
    /// Rows of `close_exemptions` that count now.
    Exempt,
}

/// The commands that take ids, the argument, and which. `ids.bash` has them too.
const TAKES_IDS: [(&[&str], &str, &str); 5] = [
    (&["why"], "talk_id", "open"),
    (&["close"], "ids", "open"),
    (&["queue", "retry"], "ids", "failed"),
    (&["queue", "drop"], "ids", "queued"),
    (&["exempt", "remove"], "ids", "exempt"),
];

/// Prints the completion script.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut out = Out::new();
    out.writer().write_all(script(shell).as_bytes()).context("cannot write to stdout")?;
    out.done()
}

fn script(shell: Shell) -> String {
    let mut command = help::command();
    if shell == Shell::Zsh {
        for (path, argument, kind) in TAKES_IDS {
            command = marked(command, path, argument, kind);
        }
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "talkmirror", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script.push_str(include_str!("completions/ids.bash")),
        Shell::Fish => {
            script.push_str(include_str!("completions/ids.fish"));
            for (path, _, kind) in TAKES_IDS {
                let below = path
                    .get(1)
                    .map_or(String::new(), |sub| format!("; and __fish_seen_subcommand_from {sub}"));
                script.push_str(&format!(
                    "complete -c talkmirror -n \"__fish_talkmirror_using_subcommand {}{below}\" -f -k -a \"(__fish_talkmirror_ids {kind})\"\n",
                    path[0],
                ));
            }
        }
        Shell::Zsh => {
            for (_, _, kind) in TAKES_IDS {
                script = script
                    .replace(&format!("{}:_default'", mark(kind)), &format!(":_talkmirror_ids {kind}'"));
            }
            // Before the last lines, which run the completion.
            let functions = include_str!("completions/ids.zsh");
            let end = script.rfind("if [ \"$funcstack[1]\"").unwrap_or(script.len());
            script.insert_str(end, functions);
        }
        _ => {}
    }
    script
}

/// Stands at the end of an argument's help until the script is there.
fn mark(kind: &str) -> String {
    format!(" @{kind}@")
}

fn marked(command: Command, path: &[&str], argument: &str, kind: &str) -> Command {
    match path {
        [] => command.mut_arg(argument, |argument| {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            argument.help(help + &mark(kind))
        }),
        [first, rest @ ..] => command.mut_subcommand(first, |sub| marked(sub, rest, argument, kind)),
    }
}

/// Prints ids, one a line.
pub(super) fn ids(database: &Path, kind: IdKind) -> Result<ExitCode> {
    let connection = store::open_read_only(database)?;
    let mut ids = Vec::new();
    match kind {
        IdKind::Open => story::open_talks(&connection, |talk, _| -> Result<(), StoreError> {
            ids.push(talk.talk_id.get());
            Ok(())
        })?,
        IdKind::Failed | IdKind::Queued => {
            let failed_only = kind == IdKind::Failed;
            queue::list(&connection, failed_only, Some(MOST_IDS as u64), |row| -> Result<(), StoreError> {
                ids.push(row.talk_id.get());
                Ok(())
            })?;
        }
        IdKind::Exempt => {
            let now = unix_now();
            exemptions::list(&connection, |exemption, _| -> Result<(), StoreError> {
                ids.extend(exemption.counts(now).then_some(exemption.id));
                Ok(())
            })?;
        }
    }
    let mut out = Out::new();
    for id in ids.iter().take(MOST_IDS) {
        out.exact(id)?;
    }
    out.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_asks_for_the_ids_of_each_command_that_takes_some() {
        let zsh = script(Shell::Zsh);
        assert_eq!(zsh.matches(":_talkmirror_ids ").count(), TAKES_IDS.len(), "{zsh}");
        assert!(!zsh.contains('@') || !TAKES_IDS.iter().any(|(_, _, kind)| zsh.contains(&mark(kind))));
        assert!(zsh.contains("\n_talkmirror_ids() {"));
        let fish = script(Shell::Fish);
        assert_eq!(fish.matches("(__fish_talkmirror_ids ").count(), TAKES_IDS.len());
        let bash = script(Shell::Bash);
        for (path, _, kind) in TAKES_IDS {
            let case = bash
                .lines()
                .find(|line| line.contains(&format!("\"{} ", path.join(" "))) && line.contains("kind="));
            assert!(case.is_some_and(|case| case.contains(&format!("kind={kind} "))), "{path:?}");
            assert!(IdKind::from_str(kind, false).is_ok());
        }
    }
}
