//! What `check` reports on the database: whether it can be read and written, is intact, and is backed up.

use super::{CheckResult, Fault, Report};
use crate::cli::exit::{is_permanent, is_wrong_database};
use crate::clock::unix_now;
use crate::config::{Backup, Config};
use crate::report::humanize;
use crate::report::{self, Overview};
use crate::sqlite::{busy_wait, limit};
use crate::store::backup::{self, BackupError};
use crate::store::schema::{self, Differences};
use crate::store::trial;
use crate::store::{self, StoreError};
use anyhow::Result;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether the daemon can work on it, and its contents.
pub(super) fn database(config: &Config) -> (CheckResult, Option<Overview>) {
    let database = &config.database;
    let (text, overview) = match read(database) {
        Ok((text, overview)) => (text, overview),
        Err(error) => return (Err(bad(error, database)), None),
    };
    let verdict = match trial::write(database) {
        Ok(()) => Ok(format!("{text}{}", root_note(database))),
        Err(error) => {
            let is_permanent = is_permanent(&error);
            let text = format!("{text}; but {}", describe(error));
            Err(if is_permanent { Fault::permanent(text) } else { text.into() })
        }
    };
    (verdict, overview)
}

fn read(path: &Path) -> Result<(String, Option<Overview>), StoreError> {
    let shown = path.display();
    if !path.exists() {
        return match path.parent() {
            Some(folder) if !folder.is_dir() => Err(StoreError::NoFolder(folder.to_owned())),
            _ => Ok((format!("{shown} does not exist yet: `run` and `sync` create it"), None)),
        };
    }
    let connection = match store::open_read_only(path) {
        // An empty file counts as no database. Whoever made it left it empty on purpose.
        Err(StoreError::Missing(_)) => {
            return Ok((format!("{shown} is empty: `run` and `sync` fill it"), None));
        }
        opened => opened?,
    };
    let overview = report::overview(&connection, unix_now())?;
    let account = overview.account_id.map_or("no account yet".into(), |id| format!("account {id}"));
    let talks = humanize::talks(overview.talks.total);
    Ok((format!("{shown} mirrors {account}: {talks}, schema {}", store::SCHEMA_VERSION), Some(overview)))
}

fn bad(error: StoreError, database: &Path) -> Fault {
    match is_wrong_database(&error) {
        true if busy_wait::is_damaged(&error) => {
            Fault::permanent(format!("{}; {}", describe(error), busy_wait::of_damage(database)))
        }
        true => Fault::permanent(describe(error)),
        false => describe(error).into(),
    }
}

fn describe(error: impl std::error::Error + 'static) -> String {
    let action = if limit::is_reached(&error) { format!("; {}", limit::REACHED) } else { String::new() };
    format!("{}{action}", humanize::causes(&error))
}

/// Root may do what the daemon's user may not.
fn root_note(database: &Path) -> &'static str {
    let uid = |path: &Path| path.metadata().map(|metadata| metadata.uid()).ok();
    match uid(database).zip(uid(Path::new("/proc/self"))) {
        Some((daemon, own)) if daemon != own => "; tested as this user, but the daemon runs as another",
        _ => "",
    }
}

/// Whether the database is as this version made it. Each difference is one line.
pub(super) fn schema(config: &Config, report: &mut Report) -> Result<()> {
    let connection = match store::open_read_only(&config.database) {
        Ok(connection) => connection,
        Err(StoreError::Older { path, found }) => {
            let broken = schema::older::look(&path, found)?;
            for broken in &broken {
                let text = format!("{broken}; until then it cannot be migrated");
                report.verdict("schema", Err(Fault::permanent(text)))?;
            }
            return Ok(());
        }
        // The verdict above explains why it cannot be opened.
        Err(_) => return Ok(()),
    };
    let Differences { repairable, broken, foreign, .. } =
        schema::compare(&connection).map_err(StoreError::from)?;
    for broken in &broken {
        let text = format!("{broken}; until then `run`, `sync` and `close` refuse to start");
        report.verdict("schema", Err(Fault::permanent(text)))?;
    }
    for repairable in &repairable {
        let action = "start or restart the daemon, or run `talkmirror sync`: each repairs it";
        report.verdict("schema", Err(format!("{repairable}: {action}").into()))?;
    }
    for foreign in &foreign {
        report.warning("schema", "note", foreign)?;
    }
    if broken.is_empty() && repairable.is_empty() && foreign.is_empty() {
        report.verdict("schema", Ok("as this version creates it".into()))?;
    }
    Ok(())
}

/// Whether the next scheduled backup has a usable folder.
pub(super) fn backup(database: &Path, Backup { schedule, folder, make, keep }: &Backup) -> CheckResult {
    let shown = folder.display();
    let settings = format!("at {schedule} (UTC), the newest {keep} are kept{}", root_note(database));
    if *make && !folder.exists() {
        return Ok(format!("{shown} does not exist yet: the first backup creates it; {settings}"));
    }
    match backup::check_folder(database, folder) {
        Ok(()) => Ok(format!("{shown} can be used: {settings}")),
        // There is nothing to copy yet, or the verdict above explains it.
        Err(BackupError::Store(_)) => Ok(format!("{shown} can be written: {settings}")),
        Err(error) => Err(describe(error).into()),
    }
}
