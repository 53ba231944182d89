//! What a restored database takes over from the one that it replaces.
//!
//! The talks and their versions are the copy's. But what talkmirror did and was asked to do since is kept:
//! closings, queue rows, exemptions, and a pause. A talk that differs in the old database, or is unknown to the copy, is
//! fetched again.

use crate::number;
use crate::policy::lanes::Lane;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use std::path::Path;

/// How much was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Carried {
    /// Closings: new ones, and those that continued since.
    pub closures: usize,
    /// Rows of the queue.
    pub queued: usize,
    /// Talks to fetch again because they differ.
    pub differing: usize,
    /// Exemptions: all of the old database in place of a backup's, or those that the server does not have.
    pub exemptions: usize,
}

/// Where the file is from that replaces the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is an earlier moment of the database.
    Backup,
    /// It was published, perhaps from another host, and may be newer.
    Server,
}

/// The reason of rows that are queued because the old database differs.
const REASON: &str = "restore";

/// Columns that every version has.
const STATUS: &str =
    "id, mode, version, pid, started_at, stopped_at, seen_at, last_success_at, last_failure_at,
                      last_failure, pause_reason, pause_detail, paused_at, pause_until, requests_per_second,
                      request_rate";
const QUEUE: &str = "talk_id, reason, priority, enqueued_at, due_at, attempts, last_error, failed_at";
const CLOSURE: &str =
    "talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, requested_at,
                       http_status, outcome, verified_at, attempts, error";
const EXEMPTION: &str = "id, talk_id, contact_id, chat_id, user_id, pipeline_id, reason, until, created_at";
/// The first version of the schema that has the table.
const FIRST_WITH_EXEMPTIONS: i64 = 4;
/// Rows `o` and `n` are the same closing.
const SAME: &str = "o.talk_id = n.talk_id AND o.decided_at = n.decided_at AND o.mode = n.mode";
/// Row `o` is at least as far as row `n`.
const AS_FAR: &str = "(n.outcome IN ('requested', 'accepted') OR o.outcome NOT IN ('requested', 'accepted'))";

/// Takes over from `old`, in one transaction. If that fails, the copy is unchanged.
pub(super) fn carry(old: &Connection, new: &Path, origin: Origin) -> rusqlite::Result<Carried> {
    let carried = attached(old, new, origin);
    if carried.is_err() {
        // Fails if it was not attached.
        let _ = old.execute_batch("DETACH new");
    }
    carried
}

fn attached(old: &Connection, new: &Path, origin: Origin) -> rusqlite::Result<Carried> {
    let schema: i64 = old.query_row("PRAGMA main.user_version", [], |row| row.get(0))?;
    if schema == 0 {
        return nothing(new);
    }
    old.execute("ATTACH ?1 AS new", [new.to_string_lossy()])?;
    let tx = old.unchecked_transaction()?;
    let closures = closures(&tx)?;
    let queued =
        tx.execute(&format!("INSERT INTO new.talk_queue ({QUEUE}) SELECT {QUEUE} FROM main.talk_queue"), [])?;
    let differing = differing(&tx)?;
    mark_closures(&tx)?;
    let exemptions = if schema >= FIRST_WITH_EXEMPTIONS { exemptions(&tx, origin)? } else { 0 };
    conditions(&tx)?;
    tx.commit()?;
    old.execute_batch("DETACH new")?;
    Ok(Carried { closures, queued, differing, exemptions })
}

/// Closings that the copy does not know, and later states of those that it knows.
fn closures(tx: &Connection) -> rusqlite::Result<usize> {
    let later: usize = tx.query_row(
        &format!(
            "SELECT count(*) FROM main.closures o
              WHERE NOT EXISTS (SELECT 1 FROM new.closures n
                                 WHERE {SAME} AND n.outcome = o.outcome AND n.attempts = o.attempts)"
        ),
        [],
        |row| row.get(0).map(number::size),
    )?;
    tx.execute(
        &format!(
            "DELETE FROM new.closures AS n
              WHERE EXISTS (SELECT 1 FROM main.closures o WHERE {SAME} AND {AS_FAR})"
        ),
        [],
    )?;
    let missing = format!("NOT EXISTS (SELECT 1 FROM new.closures n WHERE {SAME})");
    // They keep their ids unless taken. What is left out exists already: a talk has one closing under way, and in a
    // dry run one row for each `missed_at`.
    tx.execute(
        &format!(
            "INSERT OR IGNORE INTO new.closures (closure_id, {CLOSURE})
             SELECT closure_id, {CLOSURE} FROM main.closures o WHERE {missing} ORDER BY closure_id"
        ),
        [],
    )?;
    tx.execute(
        &format!(
            "INSERT OR IGNORE INTO new.closures ({CLOSURE})
             SELECT {CLOSURE} FROM main.closures o WHERE {missing} ORDER BY closure_id"
        ),
        [],
    )?;
    Ok(later)
}

/// Closings that were taken over are published, if the copy is: under numbers above those that the server may have.
fn mark_closures(tx: &Connection) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO new.changes (talk_id, seq)
         SELECT talk_id, row_number() OVER (ORDER BY talk_id)
                         + max(value ->> 'floor', (SELECT coalesce(max(seq), 0) FROM new.changes))
           FROM (SELECT DISTINCT talk_id FROM new.closures), new.mirror_info
          WHERE key = 'publish.capture'
         ON CONFLICT (talk_id) DO UPDATE SET seq = excluded.seq",
        [],
    )?;
    Ok(())
}

/// What people last wanted: a row that was removed since a backup stays removed. Of those on the server none is removed,
/// because another host's people wanted them.
fn exemptions(tx: &Connection, origin: Origin) -> rusqlite::Result<usize> {
    if origin == Origin::Backup {
        tx.execute("DELETE FROM new.close_exemptions", [])?;
    }
    let columns: Vec<&str> = EXEMPTION.split(", ").collect();
    let (id, others) = columns.split_first().expect("there are several");
    let same: Vec<String> = others.iter().map(|column| format!("n.{column} IS o.{column}")).collect();
    // A row whose number is taken gets a new one, after the others.
    tx.execute(
        &format!(
            "INSERT INTO new.close_exemptions ({EXEMPTION})
             SELECT iif({id} IN (SELECT {id} FROM new.close_exemptions), NULL, {id}), {}
               FROM main.close_exemptions o
              WHERE NOT EXISTS (SELECT 1 FROM new.close_exemptions n WHERE {})
              ORDER BY {id} IN (SELECT {id} FROM new.close_exemptions), {id}",
            others.join(", "),
            same.join(" AND ")
        ),
        [],
    )
}

/// Queues the talks that differ.
fn differing(tx: &Connection) -> rusqlite::Result<usize> {
    tx.execute(
        "INSERT INTO new.talk_queue (talk_id, reason, priority)
         SELECT o.talk_id, ?1, ?2
           FROM main.talks o LEFT JOIN new.talks n ON n.talk_id = o.talk_id
          WHERE n.talk_id IS NULL OR n.changed_at <> o.changed_at
             OR n.gone_at IS NOT o.gone_at OR n.denied_at IS NOT o.denied_at",
        // After the hints of its lane, which are about now.
        (REASON, Lane::Hints.priority() - 1),
    )
}

/// The newer state of the daemon, the token and the backups.
fn conditions(tx: &Connection) -> rusqlite::Result<()> {
    tx.execute(
        &format!(
            "INSERT OR REPLACE INTO new.daemon_status ({STATUS}) SELECT {STATUS} FROM main.daemon_status o
              WHERE o.seen_at >= coalesce((SELECT n.seen_at FROM new.daemon_status n), 0)"
        ),
        [],
    )?;
    const LATER: &str = "key LIKE 'backup.%' OR key IN ('api.token_expires_at', 'api.oauth')";
    tx.execute(&format!("DELETE FROM new.mirror_info WHERE {LATER}"), [])?;
    tx.execute(
        &format!(
            "INSERT INTO new.mirror_info (key, value) SELECT key, value FROM main.mirror_info WHERE {LATER}"
        ),
        [],
    )?;
    Ok(())
}

/// If nothing is taken over: marks the daemon that ran when the copy was made as no longer running.
pub(super) fn nothing(new: &Path) -> rusqlite::Result<Carried> {
    let connection = Connection::open_with_flags(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("UPDATE daemon_status SET stopped_at = seen_at WHERE stopped_at IS NULL", [])?;
    Ok(Carried::default())
}
