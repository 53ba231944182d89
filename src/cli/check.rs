//! `check`: the configuration, the database, where backups go and the token, each with a verdict. It
//! changes nothing and makes one request.

use super::print::Out;
use super::run::runtime;
use super::table::Text;
use super::words;
use crate::amocrm::{Client, Kind, Token};
use crate::clock::unix_now;
use crate::config::{Backup, Config, Needs};
use crate::gate::Reason;
use crate::policy::tokens::Expiry;
use crate::store::backup::{self, BackupError};
use crate::store::report::{self, Overview};
use crate::store::schema::{self, Differences};
use crate::store::{self, StoreError};
use anyhow::Result;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

/// A verdict: what was found, or what is wrong.
type Verdict = Result<String, String>;

/// Prints the verdicts; 1 if one is bad, and 78 already where the configuration is wrong.
pub fn check(config_path: &Path) -> Result<ExitCode> {
    let config = Config::load(config_path, Needs::Hooks)?;
    let mut good = print("config", &Ok(format!("{} is right", config_path.display())))?;

    let (database, overview) = match database(&config) {
        Ok((text, overview)) => (Ok(text), overview),
        Err(error) => (Err(error), None),
    };
    good &= print("database", &database)?;
    good &= schema(&config)?;
    for unknown in store::open_read_only(&config.database)
        .and_then(|connection| super::stale::unknown(&connection, &config))
        .unwrap_or_default()
    {
        note("warning", "origins", &unknown.to_string())?;
    }
    if let Some(rules) = &config.backup {
        good &= print("backup", &backup(&config.database, rules))?;
    }
    good &= print("token", &token(&config, overview.as_ref()))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(name: &str, verdict: &Verdict) -> Result<bool> {
    let mut out = Out::new();
    out.line(match verdict {
        Ok(text) => format!("{name:<9} ok    {text}").into(),
        Err(text) => Text::from(format!("{name:<9} ")).then(Text::alarming("BAD")).then(format!("   {text}")),
    })?;
    out.done()?;
    Ok(verdict.is_ok())
}

/// A line that is no verdict: a `note` or a `warning`.
fn note(kind: &str, name: &str, text: &str) -> Result<()> {
    let mut out = Out::new();
    out.line(format!("{name:<9} {kind:<5} {text}"))?;
    out.done()?;
    Ok(())
}

/// Whether the database is as this version made it, each difference in a line of its own.
fn schema(config: &Config) -> Result<bool> {
    let connection = match store::open_read_only(&config.database) {
        Ok(connection) => connection,
        Err(StoreError::Older { path, found }) => {
            let broken = schema::older::look(&path, found)?;
            for broken in &broken {
                print("schema", &Err(format!("{broken}; until then it cannot be migrated")))?;
            }
            return Ok(broken.is_empty());
        }
        // Why it cannot be opened is said above.
        Err(_) => return Ok(true),
    };
    let Differences { mendable, broken, foreign } = schema::compare(&connection).map_err(StoreError::from)?;
    for broken in &broken {
        print("schema", &Err(format!("{broken}; until then `run`, `sync` and `close` refuse to start")))?;
    }
    for mendable in &mendable {
        let action = "start the daemon, or restart it: that mends it (so does `talkmirror sync`)";
        print("schema", &Err(format!("{mendable}: {action}")))?;
    }
    for foreign in &foreign {
        note("note", "schema", &foreign.to_string())?;
    }
    let good = broken.is_empty() && mendable.is_empty();
    if good && foreign.is_empty() {
        print("schema", &Ok("as this version makes it".into()))?;
    }
    Ok(good)
}

fn database(config: &Config) -> Result<(String, Option<Overview>), String> {
    let path = config.database.display();
    let words = |error: StoreError| format!("{:#}", anyhow::Error::from(error));
    if !config.database.exists() {
        return match config.database.parent() {
            Some(folder) if !folder.is_dir() => Err(words(StoreError::NoFolder(folder.to_owned()))),
            _ => Ok((format!("{path} is not there yet: `run` and `sync` make it"), None)),
        };
    }
    let connection = store::open_read_only(&config.database).map_err(words)?;
    let overview = report::overview(&connection, unix_now()).map_err(|error| words(error.into()))?;
    let account = overview.account_id.map_or("no account yet".into(), |id| format!("account {id}"));
    let talks = words::talks(overview.talks.total);
    Ok((format!("{path} mirrors {account}: {talks}, schema {}", store::SCHEMA_VERSION), Some(overview)))
}

/// Whether the next scheduled backup has where to go.
fn backup(database: &Path, Backup { schedule, folder, make, keep }: &Backup) -> Verdict {
    let shown = folder.display();
    let uid = |path: &Path| path.metadata().map(|metadata| metadata.uid()).ok();
    let other = match uid(database).zip(uid(Path::new("/proc/self"))) {
        Some((daemon, own)) if daemon != own => "; tried as this user, and the daemon's is another",
        _ => "",
    };
    let said = format!("at {schedule} (UTC), the newest {keep} are kept{other}");
    if *make && !folder.exists() {
        return Ok(format!("{shown} is not there yet: the first backup makes it; {said}"));
    }
    match backup::look(database, folder) {
        Ok(()) => Ok(format!("{shown} takes them: {said}")),
        // Nothing is there to be copied yet; else it is said above.
        Err(BackupError::Store(_)) => Ok(format!("{shown} can be written: {said}")),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
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
        return Err(format!("not tried: everything pauses ({}); ask again {when}", pause.detail));
    }
    let expected = overview.and_then(|overview| overview.account_id);
    let talk_id = store::open_read_only(&config.database)
        .ok()
        .and_then(|connection| report::known_talks(&connection).ok()?.first().copied())
        .unwrap_or(1);
    let Some(source) = config.api.token.clone() else {
        return Err("none".into());
    };
    let token = Token::read(source)?;
    if let Some(warning) = token.warnings().first() {
        return Err(warning.clone());
    }
    let expiry = token.expires_at().map(|at| Expiry::of(at, now));
    if token.pair().is_some()
        && let Some(over @ Expiry::Over(_)) = expiry
    {
        return Err(format!(
            "not tried: the access token {over}; the daemon renews it by itself, and so does `talkmirror sync`"
        ));
    }
    let by_itself = if token.pair().is_some() { " and is renewed by itself" } else { "" };
    let expiry = expiry.map_or(String::new(), |expiry| format!("; it {expiry}{by_itself}"));
    let client = Client::new(&config.api.client(), &token).map_err(|failure| failure.to_string())?;
    let runtime = runtime().map_err(|error| error.to_string())?;
    let answer = runtime.block_on(client.fetch_talk(talk_id, expected));
    runtime.shutdown_background();
    let accepted = |of: String| Ok(format!("{host} accepts it ({of}){expiry}"));
    match answer {
        Ok(fetched) => accepted(format!("talk {talk_id} of account {} was shown", fetched.talk.account_id)),
        Err(error) if error.other_account.is_some() => Err(format!(
            "{host} answers for account {}: this database mirrors another",
            error.other_account.unwrap_or_default()
        )),
        Err(error) => match error.failure.kind {
            Kind::Gone => accepted(format!("talk {talk_id}, asked for as a test, does not exist")),
            Kind::Denied => accepted(format!("talk {talk_id}, asked for as a test, is denied to it")),
            Kind::Unauthorized => Err(format!("{host}: {}{expiry}", error.failure)),
            _ => Err(format!("{host}: {}", error.failure)),
        },
    }
}
