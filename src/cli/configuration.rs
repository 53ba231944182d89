//! `config`: the effective configuration, the example, and the schema of the file.

use super::print::Out;
use super::surroundings::Input;
use crate::config::{Config, EXAMPLE, Needs, Origin, Setting, schema};
use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Columns of a key and its value, if they do not need more.
const WIDTH: usize = 34;

/// What to print.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show each key's effective value and where it is from: the file's line, the environment, or its default
    Show {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print config.example.toml: every key with its default and what it does
    Example,
    /// Print the JSON schema of the file, with which editors complete and check it
    Schema,
}

/// Runs the command. Secrets are never shown.
pub(super) fn run(command: &ConfigCommand, input: &Input) -> Result<ExitCode> {
    let mut out = Out::new();
    match command {
        ConfigCommand::Show { json } => return show(&input.config(Needs::DatabaseAlone)?, *json),
        ConfigCommand::Example => out.exact(EXAMPLE.trim_end())?,
        ConfigCommand::Schema => out.exact(format!("{:#}", schema()))?,
    }
    out.done()
}

fn show(config: &Config, as_json: bool) -> Result<ExitCode> {
    let mut out = Out::new();
    if as_json {
        let settings: Vec<Value> = config.settings.iter().map(as_value).collect();
        out.exact(format!(
            "{:#}",
            json!({"file": config.file, "database": config.database, "settings": settings})
        ))?;
        return out.done();
    }
    // As TOML, so that parts of it can be copied into a file.
    out.line(format!("# The file: {}", config.file.display()))?;
    out.line(format!("# The database: {}", config.database.display()))?;
    let mut section = "";
    for Setting { key, value, origin } in &config.settings {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", key));
        if value.is_null() {
            out.line("")?;
            out.line(format!("# {key} is set by {origin}, and not shown."))?;
            continue;
        }
        if of != section {
            out.line("")?;
            out.line(format!("[{of}]"))?;
            section = of;
        }
        out.line(format!("{:<WIDTH$}  # {origin}", format!("{name} = {value}")))?;
    }
    out.done()
}

fn as_value(setting: &Setting) -> Value {
    let Setting { key, value, origin } = setting;
    match origin {
        Origin::Default => json!({"key": key, "value": value, "source": "default"}),
        Origin::File { line } => json!({"key": key, "value": value, "source": "file", "line": line}),
        Origin::Environment(variable) => {
            json!({"key": key, "value": value, "source": "environment", "variable": variable})
        }
    }
}
