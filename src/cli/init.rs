//! `init`: writes a first configuration and its secret, runs `check`, and names the next command. It overwrites
//! nothing.

mod files;
mod place;
mod questions;
mod text;

use super::print::Out;
use super::surroundings::Input;
use super::{check, login};
use crate::config::Needs;
use anyhow::Result;
use clap::Args;
use place::Place;
use questions::{Access, Answers, Secret};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is not given is asked for on the terminal.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The account's address, such as mycompany.amocrm.ru or mycompany.kommo.com
    #[arg(long, value_name = "ADDRESS")]
    base_url: Option<String>,
    /// The file with the long-lived token, or - for stdin; the token is copied to its place
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_id", "client_secret_file", "redirect_uri"])]
    token_file: Option<PathBuf>,
    /// OAuth instead of a token: the integration's id
    #[arg(long, value_name = "ID", requires_all = ["client_secret_file", "redirect_uri"])]
    client_id: Option<String>,
    /// OAuth: the file with the integration's secret, or - for stdin
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// OAuth: the redirect address in the integration's settings
    #[arg(long, value_name = "ADDRESS", requires = "client_id")]
    redirect_uri: Option<String>,
    /// A folder for everything [default: for root /etc/talkmirror, and /var/lib/talkmirror for the database; else
    /// talkmirror in the current folder]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
}

/// Asks, writes the files, and checks them. `config` is the path of --config, if given.
pub(super) fn init(arguments: &InitArguments, config: Option<&Path>) -> Result<ExitCode> {
    let place = Place::choose(arguments.dir.as_deref(), config)?;
    let is_oauth = arguments.client_id.is_some();
    let given = arguments.token_file.as_deref().or(arguments.client_secret_file.as_deref());
    place.refuse_existing(given, is_oauth)?;
    let answers = questions::ask(arguments, &place)?;
    let written = files::write(&place, &answers)?;
    let mut out = Out::new();
    for path in &written {
        out.line(format!("wrote     {}", path.display()))?;
    }
    out.done()?;
    let (command, start) = (place.command(), place.start_command());
    let input = Input::new(place.config.clone());
    if let Access::OAuth { .. } = answers.access {
        let (login_command, check_command) = (format!("{command} login"), format!("{command} check"));
        if !io::stdin().is_terminal() || arguments.reads_stdin() {
            return steps("Next:", &[login_command, check_command, start], ExitCode::SUCCESS);
        }
        let config = input.config(Needs::Login).map_err(Into::into);
        if let Err(error) = config.and_then(|config| login::login(&config, None)) {
            steps("The files stay. To go on:", &[login_command, check_command, start], ExitCode::FAILURE)?;
            return Err(error);
        }
    }
    match check::check(&input, false) {
        Ok(code) if code == ExitCode::SUCCESS => {
            let text = "Auto-close is in dry-run: talkmirror records what it would close, and closes nothing.\nNext:";
            let page = input.config(Needs::DatabaseAlone).ok().and_then(|config| config.http);
            let status = page.map_or(String::new(), |page| format!("     # or its page: http://{page}/"));
            steps(text, &[start, format!("{command} status{status}")], code)
        }
        checked => {
            let text = format!(
                "The files stay. The address is in {},\nthe secret in {}.\nCorrect what is BAD, then check again:",
                place.config.display(),
                place.secret(&answers).display()
            );
            steps(&text, &[format!("{command} check")], ExitCode::FAILURE)?;
            checked
        }
    }
}

/// Prints what to do next: sentences, and a command on each line.
fn steps(sentence: &str, commands: &[String], code: ExitCode) -> Result<ExitCode> {
    let mut out = Out::new();
    out.line("")?;
    for line in sentence.lines() {
        out.line(line)?;
    }
    for command in commands {
        out.line(format!("  {command}"))?;
    }
    out.done()?;
    Ok(code)
}

impl InitArguments {
    /// Whether a secret is read from stdin, so that nothing can be asked there.
    fn reads_stdin(&self) -> bool {
        let files = [&self.token_file, &self.client_secret_file];
        files.into_iter().flatten().any(|path| path == Path::new("-"))
    }
}

impl Place {
    /// The path of the token or of the integration's secret.
    fn secret(&self, answers: &Answers) -> PathBuf {
        match answers.access {
            Access::Token(_) => self.token(),
            Access::OAuth { .. } => self.client_secret(),
        }
    }
}

impl Access {
    fn secret(&self) -> &Secret {
        match self {
            Access::Token(secret) | Access::OAuth { secret, .. } => secret,
        }
    }
}
