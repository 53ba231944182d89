//! What `check` reports on the server of `[publish]`: whether it takes what this mirror would publish.

use super::{CheckResult, Fault, Report};
use crate::cli::publish::as_another_user;
use crate::cli::run::runtime;
use crate::publish::{self, PublishRules, ServerState};
use crate::report::humanize;
use crate::store::{self, changes};
use anyhow::Result;
use std::fmt::Display;
use std::path::Path;

/// Connects as the daemon does, and writes nothing. `account_id` is the account, if it is known.
pub(super) fn publish(
    database: &Path,
    rules: &PublishRules,
    account_id: Option<i64>,
    report: &mut Report,
) -> Result<()> {
    let address = &rules.server.address;
    let runtime = runtime()?;
    let found = runtime.block_on(publish::state(&rules.server, account_id));
    // A name that is still looked up must not delay the exit.
    runtime.shutdown_background();
    match found {
        Ok(there) => report.verdict("publish", verdict(database, rules, account_id, &there)),
        Err(error) => match as_another_user(address, error.label()) {
            Some(hint) => report.warning("publish", "warn", &format!("{address} was not tried: {hint}")),
            None => report.verdict("publish", Err(fault(rules, &error))),
        },
    }
}

fn fault(rules: &PublishRules, error: &impl Display) -> Fault {
    format!("{}: {error}", rules.server.address).into()
}

fn verdict(
    database: &Path,
    rules: &PublishRules,
    account_id: Option<i64>,
    there: &ServerState,
) -> CheckResult {
    let address = &rules.server.address;
    let tls = if address.uses_tls() { ", over TLS" } else { "" };
    let reached =
        format!("{address} accepts the role {}{tls}; schema version {}", address.user(), there.schema);
    let account = match (account_id, &there.account) {
        (None, _) => "the account is not known yet".to_owned(),
        (Some(account_id), None) => format!("account {account_id} is not published there yet"),
        (Some(account_id), Some(account)) => {
            // A database that cannot be read has its own verdict.
            let local = store::open_read_only(database)
                .ok()
                .and_then(|mirror| changes::local(&mirror).ok())
                .unwrap_or_default();
            let prospect = account.prospect(&local, account_id, (rules, database));
            let prospect = prospect.map_err(|error| fault(rules, &error))?;
            format!(
                "account {account_id} {prospect}; last sign of life {}",
                humanize::iso(account.published_at)
            )
        }
    };
    Ok(format!("{reached}; {account}"))
}
