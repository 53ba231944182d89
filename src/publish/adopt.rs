//! Takes an account over into a new file, for a host whose daemon does not run.

use super::claim::{self, Claimant, Claimed};
use super::connection::{ANSWER_TIMEOUT, within};
use super::error::PublishError;
use super::pull::{Pulled, STEP_TIMEOUT, pull};
use super::rules::{PublishRules, publisher_name};
use super::schema;
use crate::store::StoreError;
use crate::store::changes::Local;
use crate::store::changes::import::{ImportStep, import};
use crate::store::changes::new_file::NewFile;
use std::path::Path;
use tokio::task::spawn_blocking;

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub account_id: i64,
    pub pulled: Pulled,
}

/// Claims the account of an address whose mirror is gone, and writes all that the server has of it to a new file, which
/// is to replace `database`. `present` is the account that this mirrors, if known. Calls `observe` with the number of talks
/// so far and of all.
///
/// # Errors
/// If the server does not know the account, it is not the present one, or another mirror holds it. If only the writing fails, the account is held
/// for this place, and the command may be repeated.
pub(crate) async fn adopt(
    rules: &PublishRules,
    base_url: &str,
    (database, present): (&Path, Option<i64>),
    file: &Path,
    mut observe: impl FnMut(u64, u64),
) -> Result<Adopted, PublishError> {
    let connection = rules.server.connect().await?;
    within(ANSWER_TIMEOUT, "read the schema's version", schema::require(&connection)).await?;
    let account = claim::account_at(&connection, base_url);
    let Some(account_id) = within(ANSWER_TIMEOUT, "looked the account up", account).await? else {
        return Err(PublishError::Refused(format!(
            "the server has no account at {base_url}: nothing was published from there, or under another address"
        )));
    };
    // The closings and queue rows of the present one are copied into the new file.
    if let Some(present) = present.filter(|present| *present != account_id) {
        return Err(PublishError::Refused(format!(
            "the account at {base_url} is {account_id}, and the database {} mirrors account {present}: adopt under \
             another database.path, or move that database away first",
            database.display()
        )));
    }
    let claimant = Claimant {
        account_id,
        base_url: base_url.to_owned(),
        publisher: publisher_name(database),
        hold: rules.hold(),
        adopt: true,
        has_rival: false,
    };
    let nothing = Local { identity: None, top: 0, is_captured: false, has_talks: false };
    let claiming = claim::claim(&connection, &nothing, &claimant, None);
    let Claimed::Behind { claim, above } = within(ANSWER_TIMEOUT, "claimed the account", claiming).await?
    else {
        return Err(PublishError::Refused("the account was removed from the server meanwhile".into()));
    };
    let unwritable = |error| match error {
        StoreError::Sql(error) => PublishError::Mirror(error),
        error => PublishError::Refused(error.to_string()),
    };
    let mut mirror = Some(NewFile::make(file).map_err(unwritable)?);
    let all = within(STEP_TIMEOUT, "counted the talks", claim::talks(&connection, account_id)).await?;
    let mut talks = 0;
    let import = async |step: ImportStep| {
        if let ImportStep::Talks(imported) = &step {
            talks += imported.talks.rows.len() as u64;
        }
        let Some(mut file) = mirror.take() else { return Err(PublishError::Stopped) };
        // In a thread of its own, so that rows of the server arrive meanwhile.
        let imported = spawn_blocking(move || import(file.connection(), &step).map(|()| file)).await;
        mirror = Some(imported.map_err(|_| PublishError::Stopped)??);
        observe(talks, all);
        Ok(())
    };
    let pulled = pull(&connection, &claim, above, import).await?;
    if let Some(file) = mirror {
        file.finish().map_err(unwritable)?;
    }
    Ok(Adopted { account_id, pulled })
}
