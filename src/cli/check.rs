//! `check`: the configuration, the database, where backups go, `http.listen` and the token, each with a verdict. It
//! changes nothing and makes one request to the API.

mod database;
mod listen;

use super::run::runtime;
use super::surroundings::Input;
use super::{CANNOT_HELP, words};
use crate::amocrm::{Client, Kind, Token};
use crate::clock::unix_now;
use crate::config::{Config, Needs};
use crate::gate::Reason;
use crate::policy::tokens::Expiry;
use crate::store;
use crate::store::report::{self, Overview};
use anyhow::Result;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// What was found, or what is wrong.
type Verdict = Result<String, Bad>;

/// What is wrong, and the exit code for it.
#[derive(Debug)]
struct Bad {
    text: String,
    code: u8,
}

impl Bad {
    /// Nothing that a restart could help.
    fn for_good(text: String) -> Bad {
        Bad { text, code: CANNOT_HELP }
    }
}

impl From<String> for Bad {
    fn from(text: String) -> Bad {
        Bad { text, code: 1 }
    }
}

/// Prints the verdicts. 78 if the configuration, the account or the database is wrong, 1 if something else is.
pub fn check(input: &Input, as_json: bool) -> Result<ExitCode> {
    let mut report = Report { as_json, verdicts: Vec::new(), warnings: Vec::new(), code: 0 };
    let config = match input.file().and_then(|file| Config::of(file, Needs::Hooks)) {
        Ok(config) => config,
        Err(mistakes) => {
            let text = match mistakes.0.len() {
                _ if as_json => mistakes.to_string(),
                1 => "1 mistake".into(),
                count => format!("{count} mistakes"),
            };
            report.verdict("config", Err(Bad::for_good(text)))?;
            report.end()?;
            return Err(mistakes.into());
        }
    };
    report.verdict("config", Ok(format!("{} is right", input.path().display())))?;
    for warning in config.warnings() {
        report.warning("config", "warn", warning)?;
    }
    let (verdict, overview) = database::database(&config);
    report.verdict("database", verdict)?;
    database::schema(&config, &mut report)?;
    if let Some(rules) = &config.backup {
        report.verdict("backup", database::backup(&config.database, rules))?;
    }
    if let Some(address) = config.http {
        report.verdict("http", listen::listen(&config, address, overview.as_ref()))?;
    }
    report.verdict("token", token(&config, overview.as_ref()))?;
    report.end()
}

/// The verdicts: shown one by one as text, or together as JSON.
struct Report {
    as_json: bool,
    verdicts: Vec<Value>,
    warnings: Vec<Value>,
    /// The worst one's.
    code: u8,
}

impl Report {
    fn verdict(&mut self, name: &str, verdict: Verdict) -> Result<()> {
        let is_good = verdict.is_ok();
        let text = verdict.unwrap_or_else(|bad| {
            self.code = self.code.max(bad.code);
            bad.text
        });
        self.verdicts.push(json!({"name": name, "ok": is_good, "text": text}));
        let word = if is_good { "ok   ".to_owned() } else { format!("{}  ", words::alarming("BAD")) };
        self.line(name, &word, &text)
    }

    /// Something to know of that is no fault; `word` is shown in the place of the verdict.
    fn warning(&mut self, name: &str, word: &str, text: String) -> Result<()> {
        self.warnings.push(json!({"name": name, "text": text}));
        self.line(name, &format!("{word:<5}"), &text)
    }

    fn line(&self, name: &str, word: &str, text: &str) -> Result<()> {
        if !self.as_json {
            writeln!(io::stdout(), "{name:<9} {word} {text}")?;
        }
        Ok(())
    }

    fn end(self) -> Result<ExitCode> {
        if self.as_json {
            let all = json!({"ok": self.code == 0, "verdicts": self.verdicts, "warnings": self.warnings});
            writeln!(io::stdout(), "{all:#}")?;
        }
        Ok(ExitCode::from(self.code))
    }
}

fn token(config: &Config, overview: Option<&Overview>) -> Verdict {
    let now = unix_now();
    let host = config.api.base_url.as_str().trim_end_matches('/');
    // A pause that the vendor asked for is kept by every command.
    let pause = overview.and_then(|overview| overview.daemon.as_ref()?.pause.as_ref());
    if let Some(pause) = pause
        && Reason::parse(&pause.reason).is_some_and(Reason::survives_restart)
        && pause.until > now
    {
        let when = words::in_time(pause.until, now);
        return Err(format!("not tried: everything pauses ({}); ask again {when}", pause.detail).into());
    }
    let expected = overview.and_then(|overview| overview.account_id);
    let talk_id = store::open_read_only(&config.database)
        .ok()
        .and_then(|connection| report::some_talk(&connection).ok().flatten())
        .unwrap_or(1);
    let Some(source) = config.api.token.clone() else {
        return Err("none".to_owned().into());
    };
    let token = Token::read(source)?;
    if let Some(warning) = token.warnings().first() {
        return Err(warning.clone().into());
    }
    let expiry = token.expires_at().map(|at| Expiry::of(at, now));
    if token.pair().is_some()
        && let Some(over @ Expiry::Over(_)) = expiry
    {
        return Err(format!(
            "not tried: the access token {over}; the daemon renews it by itself, and so does `talkmirror sync`"
        )
        .into());
    }
    let by_itself = if token.pair().is_some() { " and is renewed by itself" } else { "" };
    let expiry = expiry.map_or(String::new(), |expiry| format!("; it {expiry}{by_itself}"));
    let client = Client::new(&config.api.client(), &token).map_err(|failure| failure.to_string())?;
    let runtime = runtime().map_err(|error| format!("{error:#}"))?;
    let answer = runtime.block_on(client.fetch_talk(talk_id, expected));
    runtime.shutdown_background();
    let accepted = |of: String| Ok(format!("{host} accepts it ({of}){expiry}"));
    match answer {
        Ok(fetched) => accepted(format!("talk {talk_id} of account {} was shown", fetched.talk.account_id)),
        Err(error) if error.other_account.is_some() => Err(Bad::for_good(format!(
            "{host} answers for account {}: this database mirrors another",
            error.other_account.unwrap_or_default()
        ))),
        Err(error) => match error.failure.kind {
            Kind::Gone => accepted(format!("talk {talk_id}, asked for as a test, does not exist")),
            Kind::Denied => accepted(format!("talk {talk_id}, asked for as a test, is denied to it")),
            Kind::Unauthorized => Err(format!("{host}: {}{expiry}", error.failure).into()),
            _ => Err(format!("{host}: {}", error.failure).into()),
        },
    }
}
