//! `publish`: makes the server's schema, shows how publishing goes, and publishes everything again.

use super::print::Out;
use super::run::runtime;
use super::table::Text;
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::publish::{self, PublishRules, Server, ServerAddress, schema};
use crate::report::humanize;
use crate::store::changes::state::PublishState;
use crate::store::{self, StoreError, account, changes};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the text after a name begins.
const FACT_COLUMN: u16 = 11;

/// How the schema is made.
pub(super) struct InitArguments {
    /// Only print the script.
    pub print: bool,
    /// On Citus: by account.
    pub distribute: bool,
    /// The schema's owner, instead of `publish.server`.
    pub server: Option<ServerAddress>,
    pub password_file: Option<PathBuf>,
}

/// Creates the schema on the server, or adds what it lacks.
pub(super) fn init(config: impl FnOnce() -> Result<Config>, arguments: InitArguments) -> Result<ExitCode> {
    let InitArguments { print, distribute, server, password_file } = arguments;
    let mut out = Out::new();
    if print {
        out.exact(schema::script(distribute).trim_end())?;
        return out.done();
    }
    let server = match server {
        Some(address) => {
            // The certificates are those of the configuration, if there is one.
            let ca_file =
                config().ok().and_then(|config| config.publish).and_then(|rules| rules.server.ca_file);
            Server { address, password_file, ca_file }
        }
        None => rules(&config()?)?.server.clone(),
    };
    let made = runtime()?.block_on(publish::init(&server, distribute));
    let version = made.with_context(|| format!("cannot make the schema on {}", server.address))?;
    out.line(format!("{}: the schema talkmirror has version {version}", server.address))?;
    out.done()
}

/// Shows how publishing goes, here and on the server. Returns 1 if it does not go well.
pub(super) fn status(config: &Config, as_json: bool) -> Result<ExitCode> {
    let rules = rules(config)?;
    let mirror = store::open_read_only(&config.database)?;
    let account = account::name(&mirror).map_err(StoreError::from)?;
    let here = changes::state::now(&mirror).map_err(StoreError::from)?;
    let account_id = account.as_ref().map(|account| account.account_id);
    let there = runtime()?.block_on(publish::state(&rules.server, account_id));
    let now = unix_now();
    let goes_well = there.is_ok() && here.as_ref().is_some_and(|here| here.trouble.is_none());
    let mut out = Out::new();
    if as_json {
        let lag = here.as_ref().map(|here| here.lag(now));
        let error = there.as_ref().err().map(ToString::to_string);
        let all = json!({"here": here, "lag_seconds": lag, "server": there.ok(), "error": error});
        out.exact(serde_json::to_string_pretty(&all)?)?;
    } else {
        fact(&mut out, "server", rules.server.address.to_string())?;
        match &there {
            Ok(there) => {
                fact(&mut out, "schema", format!("version {}", there.schema))?;
                let account = there.account.as_ref().map_or("not known there yet".into(), |account| {
                    format!(
                        "published by {} ({}), last sign of life {}",
                        account.publisher,
                        account.version,
                        humanize::iso(account.published_at),
                    )
                });
                fact(&mut out, "account", account)?;
            }
            Err(error) => {
                let hint = as_another_user(&rules.server.address, error.label());
                fact(&mut out, Text::alarming("error"), hint.unwrap_or_else(|| error.to_string()))?;
            }
        }
        match &here {
            Some(here) => shown(&mut out, here, now)?,
            None => fact(
                &mut out,
                "here",
                "nothing is published yet: does the daemon run with publish.enabled = true?".into(),
            )?,
        }
    }
    out.done()?;
    Ok(if goes_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to do if the server refuses root at a socket, where it may know the role's own user by name (peer). `label` is
/// the error's.
pub(super) fn as_another_user(address: &ServerAddress, label: &str) -> Option<String> {
    let is_root = Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0);
    let user = address.user();
    (is_root && address.is_socket() && label == PEER_REFUSED).then(|| {
        format!(
            "it knows who connects by the user's name, and this is root; `sudo -u {user} talkmirror publish status` tries it"
        )
    })
}

/// The SQLSTATE of a user with another name than the role, and of a role that does not exist.
const PEER_REFUSED: &str = "28000";

fn fact(out: &mut Out, name: impl Into<Text>, text: String) -> io::Result<()> {
    out.line_at(FACT_COLUMN, &name.into(), text)
}

fn shown(out: &mut Out, here: &PublishState, now: UnixSeconds) -> Result<()> {
    let backlog = match here.backlog {
        0 => "all changes are published".to_owned(),
        backlog => format!(
            "{} talks wait, for {} at most",
            humanize::count(backlog),
            humanize::duration(here.lag(now))
        ),
    };
    fact(out, "here", format!("{backlog} (position {})", here.position))?;
    if let Some(trouble) = &here.trouble {
        let since = humanize::iso(trouble.since);
        fact(out, Text::alarming("failing"), format!("since {since}: {}", trouble.error))?;
    }
    for set_aside in &here.set_aside {
        fact(out, "left out", format!("talk {}: {}", set_aside.talk_id, set_aside.error))?;
    }
    Ok(())
}

/// Marks everything as changed, so that it is published again.
pub(super) fn all(config: &Config) -> Result<ExitCode> {
    let mut connection = store::open(&config.database, false)?;
    if !changes::local(&connection).map_err(StoreError::from)?.is_captured {
        bail!(
            "nothing is published yet, so nothing can be published again: set publish.enabled = true and start the daemon"
        );
    }
    changes::mark_all(&mut connection).map_err(StoreError::from)?;
    let mut out = Out::new();
    out.line("all talks are published again; `talkmirror publish status` shows how many wait")?;
    out.done()
}

fn rules(config: &Config) -> Result<&PublishRules> {
    config.publish.as_ref().context("publish.server is not set")
}
