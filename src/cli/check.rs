//! `check`: tests the configuration, the database, the backup folder, `http.listen`, the token, the account and the
//! server of `[publish]`, and gives a verdict on each. It changes nothing. It makes a few requests to the API even
//! during a pause, and then reports on the pause too.

mod api;
mod database;
mod listen;
mod publish;

use super::exit::EXIT_PERMANENT;
use super::print::Out;
use super::surroundings::Input;
use super::table::Text;
use crate::config::{Config, Needs};
use crate::store;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Where the text after a verdict begins.
const TEXT_COLUMN: u16 = 16;

/// What was found, or the fault.
type CheckResult = Result<String, Fault>;

/// A fault, and its exit code.
#[derive(Debug)]
struct Fault {
    text: String,
    code: u8,
}

impl Fault {
    /// A fault that a restart cannot fix.
    fn permanent(text: String) -> Fault {
        Fault { text, code: EXIT_PERMANENT }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault { text, code: 1 }
    }
}

/// Prints the verdicts. Returns 78 if the configuration, the account or the database is wrong, 1 for other faults.
pub(super) fn check(input: &Input, as_json: bool) -> Result<ExitCode> {
    let mut report =
        Report { as_json, mistakes: Vec::new(), verdicts: Vec::new(), warnings: Vec::new(), code: 0 };
    let config = match input.file().and_then(|file| Config::of(file, Needs::Webhook)) {
        Ok(config) => config,
        Err(mistakes) => {
            let text = match mistakes.0.len() {
                _ if as_json => mistakes.to_string(),
                1 => "1 mistake".into(),
                count => format!("{count} mistakes"),
            };
            report.mistakes.clone_from(&mistakes.0);
            report.verdict("config", Err(Fault::permanent(text)))?;
            report.end()?;
            return Err(mistakes.into());
        }
    };
    report.verdict("config", Ok(format!("{} is valid", input.path().display())))?;
    for warning in config.warnings() {
        report.warning("config", "warn", &warning)?;
    }
    let (verdict, overview) = database::database(&config);
    report.verdict("database", verdict)?;
    database::schema(&config, &mut report)?;
    for unknown in store::open_read_only(&config.database)
        .and_then(|connection| super::stale::unknown(&connection, &config))
        .unwrap_or_default()
    {
        report.warning("origins", "warn", &unknown.to_string())?;
    }
    if let Some(rules) = &config.backup {
        report.verdict("backup", database::backup(&config.database, rules))?;
    }
    if let Some(address) = config.http {
        report.verdict("http", listen::listen(&config, address, overview.as_ref()))?;
    }
    let answering = api::api(&config, overview.as_ref(), &mut report)?;
    if let Some(rules) = &config.publish {
        let account_id = overview.as_ref().and_then(|overview| overview.account_id).or(answering);
        publish::publish(&config.database, rules, account_id, &mut report)?;
    }
    report.end()
}

/// Prints the verdicts one by one as text, or together as JSON.
struct Report {
    as_json: bool,
    /// Those of the configuration.
    mistakes: Vec<String>,
    verdicts: Vec<Value>,
    warnings: Vec<Value>,
    /// The exit code of the worst fault.
    code: u8,
}

impl Report {
    fn verdict(&mut self, name: &str, verdict: CheckResult) -> Result<()> {
        let is_good = verdict.is_ok();
        let text = verdict.unwrap_or_else(|bad| {
            self.code = self.code.max(bad.code);
            bad.text
        });
        self.verdicts.push(json!({"name": name, "ok": is_good, "text": text}));
        let word = if is_good { "ok".into() } else { Text::alarming("BAD") };
        self.line(name, word, &text)
    }

    /// A remark that is not a fault. `word` is shown instead of a verdict.
    fn warning(&mut self, name: &str, word: &str, text: &str) -> Result<()> {
        self.warnings.push(json!({"name": name, "text": text}));
        self.line(name, word.into(), text)
    }

    fn line(&self, name: &str, word: Text, text: &str) -> Result<()> {
        if !self.as_json {
            let mut out = Out::new();
            out.line_at(TEXT_COLUMN, &Text::from(format!("{name:<9} ")).then(word), text)?;
            out.done()?;
        }
        Ok(())
    }

    fn end(self) -> Result<ExitCode> {
        if self.as_json {
            let all = json!({"ok": self.code == 0, "exit_code": self.code, "mistakes": self.mistakes,
                             "verdicts": self.verdicts, "warnings": self.warnings});
            let mut out = Out::new();
            out.exact(format!("{all:#}"))?;
            out.done()?;
        }
        Ok(ExitCode::from(self.code))
    }
}
