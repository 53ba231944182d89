//! What `check` says of the database: whether it can be read and written, is as it should be, and is backed up.

use super::{Bad, Report, Verdict};
use crate::cli::exit::{is_for_good, is_wrong_database};
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

/// Whether the daemon can work on it, and what is in it.
pub(super) fn database(config: &Config) -> (Verdict, Option<Overview>) {
    let database = &config.database;
    let (text, overview) = match read(database) {
        Ok((text, overview)) => (text, overview),
        Err(error) => return (Err(bad(error, database)), None),
    };
    let verdict = match trial::write(database) {
        Ok(()) => Ok(format!("{text}{}", as_another_user(database))),
        Err(error) => {
            let is_for_good = is_for_good(&error);
            let text = format!("{text}; but {}", in_words(error));
            Err(if is_for_good { Bad::for_good(text) } else { text.into() })
        }
    };
    (verdict, overview)
}

fn read(path: &Path) -> Result<(String, Option<Overview>), StoreError> {
    let shown = path.display();
    if !path.exists() {
        return match path.parent() {
            Some(folder) if !folder.is_dir() => Err(StoreError::NoFolder(folder.to_owned())),
            _ => Ok((format!("{shown} is not there yet: `run` and `sync` make it"), None)),
        };
    }
    let connection = match store::open_read_only(path) {
        // As good as none: whoever has made it left it so.
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

fn bad(error: StoreError, database: &Path) -> Bad {
    match is_wrong_database(&error) {
        true if busy_wait::is_damaged(&error) => {
            Bad::for_good(format!("{}; {}", in_words(error), busy_wait::of_damage(database)))
        }
        true => Bad::for_good(in_words(error)),
        false => in_words(error).into(),
    }
}

fn in_words(error: impl std::error::Error + 'static) -> String {
    let action = if limit::is_reached(&error) { format!("; {}", limit::REACHED) } else { String::new() };
    format!("{}{action}", humanize::causes(&error))
}

/// What root may do, the daemon's user may not.
fn as_another_user(database: &Path) -> &'static str {
    let uid = |path: &Path| path.metadata().map(|metadata| metadata.uid()).ok();
    match uid(database).zip(uid(Path::new("/proc/self"))) {
        Some((daemon, own)) if daemon != own => "; tried as this user, and the daemon's is another",
        _ => "",
    }
}

/// Whether the database is as this version made it, each difference in a line of its own.
pub(super) fn schema(config: &Config, report: &mut Report) -> Result<()> {
    let connection = match store::open_read_only(&config.database) {
        Ok(connection) => connection,
        Err(StoreError::Older { path, found }) => {
            let broken = schema::older::look(&path, found)?;
            for broken in &broken {
                let text = format!("{broken}; until then it cannot be migrated");
                report.verdict("schema", Err(Bad::for_good(text)))?;
            }
            return Ok(());
        }
        // Why it cannot be opened is said above.
        Err(_) => return Ok(()),
    };
    let Differences { mendable, broken, foreign, .. } =
        schema::compare(&connection).map_err(StoreError::from)?;
    for broken in &broken {
        let text = format!("{broken}; until then `run`, `sync` and `close` refuse to start");
        report.verdict("schema", Err(Bad::for_good(text)))?;
    }
    for mendable in &mendable {
        let action = "start the daemon, or restart it: that mends it (so does `talkmirror sync`)";
        report.verdict("schema", Err(format!("{mendable}: {action}").into()))?;
    }
    for foreign in &foreign {
        report.warning("schema", "note", foreign.to_string())?;
    }
    if broken.is_empty() && mendable.is_empty() && foreign.is_empty() {
        report.verdict("schema", Ok("as this version makes it".into()))?;
    }
    Ok(())
}

/// Whether the next scheduled backup has where to go.
pub(super) fn backup(database: &Path, Backup { schedule, folder, make, keep }: &Backup) -> Verdict {
    let shown = folder.display();
    let said = format!("at {schedule} (UTC), the newest {keep} are kept{}", as_another_user(database));
    if *make && !folder.exists() {
        return Ok(format!("{shown} is not there yet: the first backup makes it; {said}"));
    }
    match backup::look(database, folder) {
        Ok(()) => Ok(format!("{shown} takes them: {said}")),
        // Nothing is there to be copied yet; else it is said above.
        Err(BackupError::Store(_)) => Ok(format!("{shown} can be written: {said}")),
        Err(error) => Err(in_words(error).into()),
    }
}
