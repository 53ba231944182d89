//! `backfill`: asks the daemon to walk the account's past ids.

use super::print::Out;
use crate::clock::unix_now;
use crate::report::humanize;
use crate::report::humanize::looked_at;
use crate::store::feeds::{self, Begun};
use crate::store::status::DaemonStatus;
use crate::store::{self, StoreError, lock};
use crate::talk::TalkId;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;

/// Stores a walk in the database, or ends the current one.
pub(super) fn backfill(
    database: &Path,
    from: Option<TalkId>,
    to: Option<TalkId>,
    stop: bool,
) -> Result<ExitCode> {
    // Checked before this process opens the database.
    let holder = lock::lock_holder(database);
    let daemon =
        holder.as_deref().map(|holder| DaemonStatus::of_daemon(database, holder)).transpose()?.flatten();
    let mut connection = store::open(database, false)?;
    let mut out = Out::new();
    if stop {
        let summary = match feeds::end_backfill(&mut connection, unix_now()).map_err(StoreError::from)? {
            Some(walk) => format!("stopped: {}", looked_at(&walk)),
            None => "no backfill is running".into(),
        };
        out.line(summary)?;
        return out.done();
    }
    let begun = feeds::begin_backfill(&mut connection, from, to, unix_now()).map_err(StoreError::from)?;
    let Begun::Walk(walk, before) = begun else {
        bail!(
            "no talk is mirrored yet, so the highest id is not known: give it with --from, or mirror a talk \
             first (`talkmirror enqueue ID`)"
        );
    };
    if let Some(before) = before {
        out.line(format!("this replaces the running backfill: {}", looked_at(&before)))?;
    }
    let (_, ids) = walk.progress();
    let who = match daemon {
        Some(_) => "the daemon fetches them",
        None => "no daemon runs: `talkmirror run` fetches them",
    };
    out.line(format!(
        "backfill of {} ids, from {} to {}: {who}, before it refreshes mirrored talks; `talkmirror status` \
         shows the progress",
        humanize::count(ids),
        walk.from,
        walk.to
    ))?;
    out.done()
}
