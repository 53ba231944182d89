//! The command line: parses arguments, runs the command, and sets the exit code.
//!
//! Uses every other room. Alone knows `clap`.

mod adopt;
mod backfill;
mod backup;
mod check;
mod close;
mod completions;
mod configuration;
#[cfg(feature = "demo")]
mod demo;
mod enqueue;
mod exempt;
mod exit;
mod help;
mod init;
mod logging;
mod login;
mod man;
mod print;
mod progress;
mod publish;
mod queue;
mod resume;
mod run;
mod stale;
mod status;
mod surroundings;
mod sync;
mod table;
mod talk_ids;
mod why;

use crate::config::{Config, LogFormat, Needs};
use crate::publish::ServerAddress;
use crate::store::lock;
use crate::talk::TalkId;
use anyhow::{Context, Result};
use clap::{ArgAction, Parser, Subcommand};
use clap_complete::Shell;
use configuration::ConfigCommand;
use exempt::ExemptCommand;
use init::InitArguments;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use surroundings::Input;
use talk_ids::{IdsOrStdin, ids_or_stdin, talk_ids};

/// After the options of a command come those that all have, and then `--help`.
const LAST: usize = 900;

/// A local SQLite mirror of an amoCRM (Kommo) account's talks.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: $TALKMIRROR_CONFIG, else /etc/talkmirror/config.toml]
    #[arg(long, global = true, value_name = "PATH", display_order = LAST)]
    config: Option<PathBuf>,
    /// Log more; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = LAST)]
    verbose: u8,
    /// Log only errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = LAST)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first configuration: asks for the account's address and its token, then runs `check`
    Init(InitArguments),
    /// Show the effective configuration, the example, or the schema
    #[command(subcommand, disable_help_subcommand = true)]
    Config(ConfigCommand),
    /// Run the daemon until SIGTERM or SIGINT
    Run,
    /// Queue the given ids, process everything that is due, and exit
    Sync {
        /// Talk ids, or ranges A..B with both ends
        #[arg(value_name = "ID", value_parser = talk_ids)]
        ids: Vec<RangeInclusive<TalkId>>,
        /// Close no talk
        #[arg(long)]
        no_close: bool,
        /// Print the summary as JSON
        #[arg(long)]
        json: bool,
    },
    /// Put talk ids in the queue
    Enqueue {
        /// Talk ids, ranges A..B with both ends, or - to read them from stdin, one per line
        #[arg(value_name = "ID", required = true, value_parser = ids_or_stdin)]
        ids: Vec<IdsOrStdin>,
        /// Print the counts as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the queue and repair it
    #[command(subcommand, disable_help_subcommand = true)]
    Queue(QueueCommand),
    /// Show the state of the mirror; exit code 1 if it is not healthy
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Show it on the terminal again every 2 s, until q or Ctrl-C
        #[arg(long, conflicts_with = "json")]
        watch: bool,
    },
    /// Show what auto-close would close now, by the mirror alone, and why it keeps the rest
    Stale {
        /// Show every open talk, with the verdict on it
        #[arg(long)]
        all: bool,
        /// Print every open talk as JSON
        #[arg(long)]
        json: bool,
    },
    /// Close stale talks by hand: one sweep past the max_share guard, or only these ids
    Close {
        /// The talks' ids; without any, what a sweep finds
        #[arg(value_name = "ID")]
        ids: Vec<TalkId>,
        /// Decide and record, close nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Keep talks from being closed
    #[command(subcommand, disable_help_subcommand = true)]
    Exempt(ExemptCommand),
    /// Show all that is known about one talk, and what happens to it next
    Why {
        /// The talk's id
        #[arg(value_name = "ID")]
        talk_id: TalkId,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// End a pause now, with one probe; exit code 1 if the pause continues
    Resume,
    /// Fetch a range of older ids, for an account without the listing; the daemon does it
    Backfill {
        /// The id to begin with [default: the highest that is known]
        #[arg(long, value_name = "ID")]
        from: Option<TalkId>,
        /// The id to end with; if it is higher than the first, the ids go up [default: 1]
        #[arg(long, value_name = "ID")]
        to: Option<TalkId>,
        /// Stop the running backfill
        #[arg(long, conflicts_with_all = ["from", "to"])]
        stop: bool,
    },
    /// Copy the database, even while the daemon runs; or restore a copy
    Backup {
        /// A new file, or a folder for a dated one: talks-2026-11-23T220000Z.db; nothing is overwritten
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Replace the database with the backup at PATH, and keep the old file; the daemon must be stopped
        #[arg(long)]
        restore: bool,
        /// Do not ask
        #[arg(short, long, requires = "restore")]
        yes: bool,
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Test the configuration, the database, the backup folder, http.listen and the API token; changes nothing
    Check {
        /// Print the verdicts as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give talkmirror access to the account by OAuth: shows the address to open, and asks for the code
    Login {
        /// The code, or the whole address that contains it; without it, talkmirror asks on the terminal
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Publish the mirror to a PostgreSQL server
    #[command(subcommand, disable_help_subcommand = true)]
    Publish(PublishCommand),
    /// Take the account over from the server of [publish], if its mirror is gone; the daemon must be stopped
    Adopt {
        /// Replace a database that has talks, and keep the old file
        #[arg(long)]
        take_over: bool,
        /// Do not ask
        #[arg(short, long, requires = "take_over")]
        yes: bool,
    },
    /// Run a simulated account on loopback, mirrored and auto-closed before your eyes
    #[cfg(feature = "demo")]
    Demo {
        /// The folder for the database [default: a new temporary folder]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Publish it to this PostgreSQL server too, such as postgresql://me@%2Frun%2Fpostgresql/warehouse; creates the
        /// schema there if that role may
        #[arg(long, value_name = "ADDRESS")]
        publish: Option<String>,
        /// The file with that role's password
        #[arg(long, value_name = "FILE", requires = "publish")]
        password_file: Option<PathBuf>,
        /// Keep running after the course, with the status page, until Ctrl-C; opens the page if there is a display
        #[arg(long)]
        serve: bool,
        /// Only print the page's address
        #[arg(long, requires = "serve")]
        no_open: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(required_unless_present = "ids")]
        shell: Option<Shell>,
        /// Print ids, for these scripts
        #[arg(long, value_name = "KIND", hide = true, exclusive = true)]
        ids: Option<completions::IdKind>,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Show the rows, in the order in which they are fetched
    List {
        /// Only failed rows
        #[arg(long)]
        failed: bool,
        /// Print every row as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make rows due now and reset their attempts; every failed row if no id is given
    Retry {
        /// The talks' ids
        #[arg(value_name = "ID")]
        ids: Vec<TalkId>,
    },
    /// Remove ids from the queue without fetching them
    Drop {
        /// The talks' ids
        #[arg(value_name = "ID", required = true)]
        ids: Vec<TalkId>,
    },
}

#[derive(Debug, Subcommand)]
enum PublishCommand {
    /// Create the schema on the server, or add what an earlier version of it lacks; removes nothing
    Init {
        /// Print the script, for somebody else to run
        #[arg(long)]
        print: bool,
        /// On Citus: distribute the tables by account
        #[arg(long)]
        distribute: bool,
        /// Another address with the schema's owner as its user, such as postgresql://postgres@%2Frun%2Fpostgresql/warehouse
        #[arg(long, value_name = "ADDRESS", conflicts_with = "print")]
        server: Option<ServerAddress>,
        /// The file with that user's password
        #[arg(long, value_name = "FILE", requires = "server")]
        password_file: Option<PathBuf>,
    },
    /// Show how publishing goes, here and on the server; exit code 1 if it does not go well
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Publish everything again
    All,
}

/// Runs the command.
pub fn main() -> ExitCode {
    surroundings::prepare_process();
    let cli = help::parse().unwrap_or_else(|error| print::usage(error));
    let input = Input::new(cli.config_path());
    match cli.dispatch(&input) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error, exit::hint(&error, &input), &input.snippet());
            ExitCode::from(exit::code(&error))
        }
    }
}

impl Cli {
    fn dispatch(self, input: &Input) -> Result<ExitCode> {
        surroundings::require_files(surroundings::FILES_TO_READ)?;
        let level = |level| logging::adjusted(level, self.verbose, self.quiet);
        let config = |needs| -> Result<Config> {
            let config = input.config(needs)?;
            let _ = logging::start(config.log.format, level(config.log.level))?;
            config.warn();
            Ok(config)
        };
        // Short commands log warnings and errors only.
        let plain = || logging::start(LogFormat::Text, level(tracing::Level::WARN)).map(drop);
        let for_database = || -> Result<Config> {
            let config = input.for_database()?;
            plain()?;
            Ok(config)
        };
        let database = || -> Result<PathBuf> {
            let config = input.config(Needs::DatabaseAlone)?;
            plain()?;
            Ok(config.database)
        };
        if matches!(
            self.command,
            Command::Run
                | Command::Sync { .. }
                | Command::Close { .. }
                | Command::Check { .. }
                | Command::Login { .. }
                | Command::Init(_)
        ) {
            // Read first: /dev/fd is closed to a process that may not be dumped.
            let _ = input.file();
            // These commands hold the token, so no core dump and no other process of this user may read the memory.
            nix::sys::prctl::set_dumpable(false).context("cannot keep the token out of core dumps")?;
        }
        match self.command {
            Command::Init(ref arguments) => {
                plain()?;
                init::init(arguments, self.config.as_deref())
            }
            Command::Config(ref command) => {
                plain()?;
                configuration::run(command, input)
            }
            Command::Run => {
                let config = input.config(Needs::Webhook)?;
                let set_level = logging::start(config.log.format, level(config.log.level))?;
                config.warn();
                run::run(&config, &|configured| set_level(level(configured)))
            }
            Command::Sync { ref ids, no_close, json } => {
                sync::sync(&config(Needs::Api)?, ids, no_close, json)
            }
            Command::Enqueue { ref ids, json } => enqueue::enqueue(&database()?, ids, json),
            Command::Queue(QueueCommand::List { failed, json }) => {
                queue::list(&for_database()?.database, failed, json)
            }
            Command::Queue(QueueCommand::Retry { ref ids }) => queue::retry(&for_database()?.database, ids),
            Command::Queue(QueueCommand::Drop { ref ids }) => queue::drop_ids(&for_database()?.database, ids),
            Command::Status { json, watch } => {
                let shown = match (json, watch) {
                    (true, _) => status::Shown::AsJson,
                    (false, true) => status::Shown::Watched,
                    (false, false) => status::Shown::Once,
                };
                status::status(&for_database()?, shown)
            }
            Command::Stale { all, json } => stale::stale(&for_database()?, all, json),
            Command::Close { ref ids, dry_run, yes } => {
                let request = close::CloseArguments { ids, dry_run, yes };
                let known = input.config(Needs::DatabaseAlone)?;
                // If a process works on the database, it does the closing.
                if let Some(holder) = lock::lock_holder(&known.database) {
                    plain()?;
                    return close::queue_for_daemon(&known, holder, &request);
                }
                close::close(&config(Needs::Api)?, &request)
            }
            Command::Exempt(ref command) => exempt::exempt(&for_database()?.database, command),
            Command::Why { talk_id, json } => why::why(&for_database()?, talk_id, json),
            Command::Resume => resume::resume(&for_database()?.database),
            Command::Backfill { from, to, stop } => backfill::backfill(&database()?, from, to, stop),
            Command::Backup { ref path, restore: false, json, .. } => {
                backup::backup(&for_database()?.database, path, json)
            }
            // It replaces the database, so it needs a configuration without mistakes.
            Command::Backup { ref path, restore: true, yes, json } => {
                backup::restore(&database()?, path, yes, json)
            }
            Command::Check { json } => {
                plain()?;
                check::check(input, json)
            }
            Command::Login { ref code } => {
                let config = input.config(Needs::Login)?;
                plain()?;
                login::login(&config, code.as_deref())
            }
            Command::Publish(PublishCommand::Init { print, distribute, ref server, ref password_file }) => {
                plain()?;
                let (server, password_file) = (server.clone(), password_file.clone());
                let arguments = publish::InitArguments { print, distribute, server, password_file };
                publish::init(|| Ok(input.config(Needs::Publish)?), arguments)
            }
            Command::Publish(PublishCommand::Status { json }) => {
                let config = input.config(Needs::Publish)?;
                plain()?;
                publish::status(&config, json)
            }
            Command::Adopt { take_over, yes } => {
                let config = input.config(Needs::Publish)?;
                plain()?;
                adopt::adopt(&config, take_over, yes)
            }
            Command::Publish(PublishCommand::All) => publish::all(&for_database()?),
            #[cfg(feature = "demo")]
            Command::Demo { ref dir, ref publish, ref password_file, serve, no_open } => {
                // Its first screen shows no warning about what the demo does on purpose.
                let _ = logging::start(LogFormat::Auto, level(tracing::Level::ERROR))?;
                let password_file = password_file.clone();
                let publish = publish.clone().map(|address| demo::Target { address, password_file });
                demo::demo(&demo::DemoArguments { dir: dir.as_deref(), publish, serve, no_open })
            }
            Command::Completions { ids: Some(kind), .. } => completions::ids(&for_database()?.database, kind),
            Command::Completions { shell, ids: None } => {
                completions::completions(shell.context("expected the name of a shell")?)
            }
            Command::Man => man::man(),
        }
    }

    fn config_path(&self) -> PathBuf {
        let named = self.config.clone().or_else(surroundings::named_config);
        named.unwrap_or_else(|| Path::new(surroundings::SYSTEM_CONFIG).to_owned())
    }
}

/// `talkmirror queue list | head` ends silently.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}
