//! `adopt`: takes an account over from the server of `[publish]`.

use super::print::{self, Out};
use super::progress::{Counted, ProgressDisplay, eprint_line};
use super::run::runtime;
use crate::clock::unix_now;
use crate::config::Config;
use crate::daemon::DaemonError;
use crate::publish::{self, Adopted};
use crate::report::humanize;
use crate::sqlite;
use crate::store::restore::{Restore, Restored};
use crate::store::{self, StoreError, changes, lock};
use anyhow::{Context, Result, bail, ensure};
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// Makes a database of what the server has, and puts it in place. A database with talks is only replaced with
/// `take_over`, and kept beside it. `yes` skips the question.
pub(super) fn adopt(config: &Config, take_over: bool, yes: bool) -> Result<ExitCode> {
    let database = &config.database;
    let rules = config.publish.as_ref().context("publish.server is not set")?;
    sqlite::require_file(database)?;
    let _lock = lock::acquire_to_replace(database)
        .map_err(DaemonError::from)
        .context("stop the daemon first (`systemctl stop talkmirror`), then adopt again")?;
    let has_talks = database.exists() && {
        let mirror = store::open_read_only(database)?;
        changes::local(&mirror).map_err(StoreError::from)?.has_talks
    };
    if has_talks && !take_over {
        bail!(
            "{} has talks of its own: `talkmirror adopt --take-over` puts what the server has in its place, and keeps \
             this file beside it",
            database.display()
        );
    }
    if has_talks && !yes {
        ensure!(io::stdin().is_terminal(), "there is no terminal to ask on: --yes takes over without asking");
        let question = format!(
            "Replace {} with what {} has? The file is kept beside it. [y/N] ",
            database.display(),
            rules.server.address
        );
        if !print::ask(&[question]).map(|answer| print::is_yes(&answer))? {
            eprint_line("Nothing was replaced.");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let new = Restore::with_new_file(database)?;
    let base_url = config.api.base_url.as_str().trim_end_matches('/').to_owned();
    let mut progress: Option<ProgressDisplay> = None;
    let (file, present) = (new.file(), new.present_account());
    let adopted =
        runtime()?.block_on(publish::adopt(rules, &base_url, (database, present), &file, |talks, all| {
            progress.get_or_insert_with(|| ProgressDisplay::new(all, Counted::Talks)).set(talks, all, "");
        }));
    drop(progress);
    let Adopted { account_id, pulled } =
        adopted.with_context(|| format!("nothing was taken over from {}", rules.server.address))?;
    let restored = new.ready()?.put_in_place(unix_now())?;
    let mut out = Out::new();
    out.line(format!(
        "{}: account {account_id}, {} with {} states, {} decisions to close and {} events, from {}",
        database.display(),
        humanize::talks(i64::try_from(pulled.talks).unwrap_or(i64::MAX)),
        humanize::count(pulled.versions),
        humanize::count(pulled.closures),
        humanize::count(pulled.events),
        rules.server.address,
    ))?;
    let Restored { kept, carried } = restored;
    if let Some(kept) = &kept {
        out.line(format!("The old database is now {}", kept.display()))?;
    }
    out.line("The open talks are fetched when the daemon starts. With OAuth, run `talkmirror login` first")?;
    let done = out.done()?;
    if let Err(why) = carried {
        eprint_line(&format!("warning: nothing could be copied from the old database: {why}"));
    }
    Ok(done)
}
