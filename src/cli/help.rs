//! The help: commands by what people do with them, and examples. The manual page has both too.

use super::Cli;
use super::table::wrapped;
use clap::builder::Styles;
use clap::{Command, CommandFactory, FromArgMatches};

/// What people do, and the commands for it.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    ("Set up", &["init", "check", "login", "config"]),
    ("Run", &["run", "sync", "enqueue", "backfill", "resume"]),
    ("Look", &["status", "why", "stale", "queue"]),
    ("Close talks", &["close", "exempt"]),
    ("Keep and share", &["backup", "publish", "adopt"]),
    ("Learn", &["demo", "help", "man", "completions"]),
];

/// Command lines, and what they do.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("init", "Write the first configuration: asks for the address and the token"),
    ("config show", "See each setting, and where it is from"),
    ("status --watch", "Watch the mirror, until q"),
    ("check", "Test the configuration and the token before the daemon starts"),
    ("check --json", "The same for a script"),
    ("run -v", "Run the daemon in a terminal, with more in the log"),
    ("sync 117 --no-close", "Fetch one talk now"),
    ("sync 1..500", "Fetch 500 talks, and all else that is due"),
    ("enqueue 117 200..250", "Have the running daemon fetch these"),
    ("enqueue -", "The same for ids on stdin, one a line"),
    ("backfill", "Walk the account's past, from the highest known id down"),
    ("backfill --from 5000 --to 1", "Walk a range of it"),
    ("status", "See whether the mirror is healthy, and what to do if not"),
    ("why 117", "See all that is known about talk 117, and what comes next"),
    ("why 117 --json", "The same for a script"),
    ("stale", "See how many talks would be closed, and what keeps the others"),
    ("stale --all", "See the verdict on each open talk"),
    ("queue list --failed", "See what failed, and why"),
    ("queue retry", "Retry all that failed"),
    ("queue retry 117 118", "Retry these"),
    ("queue drop 117", "Forget this one"),
    ("close --dry-run", "Record what a sweep would close"),
    ("close 117", "Close talk 117 if it is stale; asks first"),
    ("exempt add --contact 42 --reason VIP", "Never close the talks of a client"),
    ("exempt add --talk 117 --until 30d", "Keep a talk open for a month"),
    ("exempt list", "See what is exempt"),
    ("exempt remove 3", "End an exemption, by its row"),
    ("backup /var/backups/talkmirror", "Copy the database into a folder, under a dated name"),
    ("backup --restore /var/backups/talkmirror/talks-2026-11-23T220000Z.db", "Put a copy in its place"),
    ("publish init --print", "Print the script that makes the schema, for an administrator"),
    ("publish status", "See how publishing goes, here and on the server"),
    ("demo", "See a simulated account mirrored in 20 seconds"),
    ("demo --serve", "The same, and then look at its status page"),
    ("man | man -l -", "Read the manual page"),
    (
        "completions bash > ~/.local/share/bash-completion/completions/talkmirror",
        "Install completions for bash",
    ),
];

/// Wider help is hard to read.
const MAX_WIDTH: usize = 100;

/// Parses the command line.
///
/// # Errors
/// If it is wrong usage, or asks for the help or the version.
pub(super) fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The command line's definition, with its help.
pub(super) fn command() -> Command {
    let command = with_examples(Cli::command(), "");
    let mut built = command.clone();
    built.build();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{}\n{}\n{{options}}{{after-help}}",
        grouped(&built, width()),
        heading("Options")
    );
    command.help_template(template).after_help(
        "`talkmirror help COMMAND` shows the options of a command, and examples. `talkmirror man | man -l -` is the manual.",
    )
}

/// The visible commands by their group.
fn grouped(command: &Command, width: usize) -> String {
    let commands =
        |names: &[&str]| names.iter().filter_map(|name| command.find_subcommand(name)).collect::<Vec<_>>();
    let longest = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or(0);
    let indent = longest + 4;
    let literal = Styles::styled().get_literal().to_owned();
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("\n{}\n", heading(group)));
        for command in commands(names) {
            let (name, about) =
                (command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default());
            let lines =
                wrapped(&about, width.saturating_sub(indent)).join(&format!("\n{}", " ".repeat(indent)));
            text.push_str(&format!(
                "  {literal}{name}{literal:#}{}{lines}\n",
                " ".repeat(indent - 2 - name.len())
            ));
        }
    }
    text
}

fn heading(name: &str) -> String {
    let style = Styles::styled().get_header().to_owned();
    format!("{style}{name}:{style:#}")
}

/// As clap finds it.
fn width() -> usize {
    let columns =
        terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| usize::from(columns));
    columns.map_or(MAX_WIDTH, |columns| columns.min(MAX_WIDTH))
}

/// The command and those below it, each with its examples.
fn with_examples(command: Command, path: &str) -> Command {
    command.mut_subcommands(|sub| {
        let path = format!("{path}{}", sub.get_name());
        let is_of_it = |line: &str| {
            line.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let examples: Vec<_> = EXAMPLES.iter().filter(|(line, _)| is_of_it(line)).collect();
        let sub = with_examples(sub, &format!("{path} "));
        if examples.is_empty() {
            return sub;
        }
        let example = |(line, what): &&(&str, &str)| format!("\n  {what}:\n    talkmirror {line}");
        let examples: String = examples.iter().map(example).collect();
        sub.after_help(format!("{}{examples}", heading("Examples")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_is_in_one_group() {
        let mut command = command();
        command.build();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&sub.get_name()));
            assert_eq!(groups.count(), 1, "{}", sub.get_name());
        }
    }

    #[test]
    fn every_example_is_a_command_line_that_the_program_knows() {
        for (line, what) in EXAMPLES {
            let words = line.split([' ']).take_while(|word| !["|", ">"].contains(word));
            let parsed = command().try_get_matches_from(["talkmirror"].into_iter().chain(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            assert!(what.starts_with(char::is_uppercase) && !what.ends_with('.'), "{what}");
        }
    }

    #[test]
    fn the_groups_fit_the_width() {
        let mut command = command();
        command.build();
        let style = Styles::styled();
        for width in [40, 80, 100] {
            for line in grouped(&command, width).lines() {
                let plain =
                    [style.get_literal(), style.get_header()].iter().fold(line.to_owned(), |line, style| {
                        line.replace(&style.render().to_string(), "")
                            .replace(&style.render_reset().to_string(), "")
                    });
                assert!(plain.len() <= width, "{width}: {plain}");
            }
        }
    }
}
