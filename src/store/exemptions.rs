//! `close_exemptions`: talks that auto-close never closes.
//!
//! It promises that a sweep ([`is_exempt`]) and the decision on one talk ([`of_talk`]) agree. A row with any content, which
//! anyone may insert, stops neither. Rows that no longer count stay.

use crate::clock::UnixSeconds;
use crate::policy::exemption::{Exempting, Exemption, ExemptionTarget};
use crate::policy::stale::Verdict;
use crate::talk::TalkId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

/// A decision names so much of a reason, in characters. Lists show all of it.
const REASON_NAMED: i64 = 200;

/// Whether a row counts at `:now`.
const COUNTS: &str = "(until IS NULL OR until > :now)";
/// The lead of a talk. `entity_id` has it too if `_embedded` was not readable.
const LEAD: &str = "coalesce(talks.lead_id, iif(talks.entity_type = 'lead', talks.entity_id, NULL))";
/// Whether a row of `leads` shows who is responsible for the lead now, and its pipeline. Not if it was last read before the
/// last two daily rounds, or by a clock that was ahead, nor if the API no longer shows it: to another user, it may.
const LEAD_IS_KNOWN: &str =
    "leads.gone_at IS NULL AND leads.fetched_at BETWEEN :now - 2 * 86400 AND :now + 60";
/// Whether a talk has a lead, known or not.
const HAS_LEAD: &str = "(talks.lead_id IS NOT NULL OR coalesce(talks.entity_type = 'lead', 0))";

/// Whether a row keeps the talk of a row of `talks` from being closed at `:now`, in SQL. What is not known matches
/// each row of its kind, because a talk that is closed wrongly cuts off a client. A test holds the view `stale_talks`
/// and [`of_talk`] equal.
pub(super) fn is_exempt() -> String {
    // Each list is made once for all talks.
    let counting = |column: &str| {
        format!("(SELECT {column} FROM close_exemptions WHERE {column} IS NOT NULL AND {COUNTS})")
    };
    let (talks, contacts, chats) =
        (counting("talk_id"), counting("contact_id"), counting("lower(trim(chat_id))"));
    let (users, pipelines) = (counting("user_id"), counting("pipeline_id"));
    let of_lead = |column: &str| {
        format!("(SELECT {column} FROM leads WHERE leads.lead_id = {LEAD} AND {LEAD_IS_KNOWN})")
    };
    let (user, pipeline) = (of_lead("responsible_user_id"), of_lead("pipeline_id"));
    // Mostly no row counts: then only the index of talks is read.
    format!(
        "((SELECT count(*) FROM close_exemptions WHERE {COUNTS}) > 0
          AND (talks.talk_id IN {talks}
               OR coalesce(talks.contact_id IN {contacts}, 1)
               OR coalesce(lower(trim(talks.chat_id)) IN {chats}, 0)
               OR {HAS_LEAD} AND (coalesce({user} IN {users}, 1) OR coalesce({pipeline} IN {pipelines}, 1))))"
    )
}

/// Whether a row `e` is about a talk, whose lead is `leads`.
fn matches() -> String {
    format!(
        "(e.talk_id = talks.talk_id
          OR e.contact_id = coalesce(talks.contact_id, e.contact_id)
          OR lower(trim(e.chat_id)) = lower(trim(talks.chat_id))
          OR {HAS_LEAD} AND (e.user_id = coalesce(leads.responsible_user_id, e.user_id)
                             OR e.pipeline_id = coalesce(leads.pipeline_id, e.pipeline_id)))"
    )
}

/// Whether what the row is for is known of the talk.
const IS_CERTAIN: &str = "NOT (e.contact_id IS NOT NULL AND talks.contact_id IS NULL
      OR e.user_id IS NOT NULL AND leads.responsible_user_id IS NULL
      OR e.pipeline_id IS NOT NULL AND leads.pipeline_id IS NULL)";

/// The row that exempts a talk at `now`: of those that certainly are about it the one with the lowest id, else of those
/// that may be.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn of_talk(
    connection: &Connection,
    talk_id: TalkId,
    now: UnixSeconds,
) -> rusqlite::Result<Option<Exempting>> {
    // Mostly there are none at all.
    if !connection.prepare_cached("SELECT 1 FROM close_exemptions")?.exists([])? {
        return Ok(None);
    }
    let matches = matches();
    let sql = format!(
        "SELECT {IS_CERTAIN} AS is_certain, e.id, e.talk_id, e.contact_id, e.chat_id, e.user_id, e.pipeline_id, e.until,
                substr(e.reason, 1, {REASON_NAMED}) AS reason
           FROM talks CROSS JOIN close_exemptions e LEFT JOIN leads ON leads.lead_id = {LEAD} AND {LEAD_IS_KNOWN}
          WHERE talks.talk_id = :talk_id AND {COUNTS} AND {matches}
          ORDER BY is_certain DESC, e.id LIMIT 1"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(named_params! {":talk_id": talk_id, ":now": now}, |row| {
            Ok(Exempting { is_certain: row.get("is_certain")?, exemption: read(row)? })
        })
        .optional()
}

/// The verdict on a stored talk that its exemptions leave at `now`.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn applied(
    connection: &Connection,
    talk_id: TalkId,
    verdict: Verdict,
    now: UnixSeconds,
) -> rusqlite::Result<Verdict> {
    match verdict.is_stale() {
        true => Ok(verdict.with_exemption(of_talk(connection, talk_id, now)?)),
        false => Ok(verdict),
    }
}

/// How many rows count at `now`.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn counting(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM close_exemptions WHERE until IS NULL OR until > ?1")?
        .query_row([now], |row| row.get(0))
}

/// How many open talks a row keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptTalks {
    /// Open talks that it certainly is about.
    pub certain: i64,
    /// Open talks that it may be about: what it is for is not known of them.
    pub possible: i64,
    /// Those of both whose close request may have left already.
    pub being_closed: i64,
}

/// How many open talks a row keeps at `now`, if it counts.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn kept_by(connection: &Connection, id: i64, now: UnixSeconds) -> rusqlite::Result<KeptTalks> {
    let matches = matches();
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {IS_CERTAIN}), count(*) FILTER (WHERE NOT ({IS_CERTAIN})),
                count(*) FILTER (WHERE EXISTS (SELECT 1 FROM closures c WHERE c.talk_id = talks.talk_id
                                                  AND c.outcome IN ('requested', 'accepted') AND c.attempts > 0))
           FROM close_exemptions e CROSS JOIN talks LEFT JOIN leads ON leads.lead_id = {LEAD} AND {LEAD_IS_KNOWN}
          WHERE e.id = :id AND talks.is_in_work = 1 AND talks.gone_at IS NULL AND {matches}"
    );
    connection.query_row(&sql, named_params! {":id": id, ":now": now}, |row| {
        Ok(KeptTalks { certain: row.get(0)?, possible: row.get(1)?, being_closed: row.get(2)? })
    })
}

/// Inserts a row at `now`, and returns its id.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn add(
    connection: &Connection,
    target: &ExemptionTarget,
    until: Option<UnixSeconds>,
    reason: Option<&str>,
    now: UnixSeconds,
) -> rusqlite::Result<i64> {
    let sql = format!(
        "INSERT INTO close_exemptions ({}, until, reason, created_at) VALUES (?1, ?2, ?3, ?4)",
        column(target)
    );
    let mut insert = connection.prepare(&sql)?;
    match target {
        ExemptionTarget::Talk(talk_id) => insert.insert((talk_id, until, reason, now)),
        ExemptionTarget::Chat(chat_id) => insert.insert((chat_id, until, reason, now)),
        ExemptionTarget::Contact(id) | ExemptionTarget::User(id) | ExemptionTarget::Pipeline(id) => {
            insert.insert((id, until, reason, now))
        }
    }
}

/// Removes a row. False if there is none of this id.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM close_exemptions WHERE id = ?1", [id])? == 1)
}

/// Calls `each` with every row, in the order of their ids, and when it was inserted.
///
/// # Errors
/// The error of `each`, or if the database cannot be read.
pub(crate) fn list<E: From<rusqlite::Error>>(
    connection: &Connection,
    mut each: impl FnMut(Exemption, UnixSeconds) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare(
        "SELECT id, talk_id, contact_id, chat_id, user_id, pipeline_id, until, reason, created_at
           FROM close_exemptions ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(read(row)?, row.get("created_at")?)?;
    }
    Ok(())
}

/// The column of `close_exemptions` that holds the target.
fn column(target: &ExemptionTarget) -> &'static str {
    match target {
        ExemptionTarget::Talk(_) => "talk_id",
        ExemptionTarget::Contact(_) => "contact_id",
        ExemptionTarget::Chat(_) => "chat_id",
        ExemptionTarget::User(_) => "user_id",
        ExemptionTarget::Pipeline(_) => "pipeline_id",
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Exemption> {
    let id = |column| row.get::<_, Option<i64>>(column);
    // The CHECK of the table allows exactly one.
    let target = if let Some(id) = id("talk_id")? {
        ExemptionTarget::Talk(TalkId::new(id))
    } else if let Some(id) = id("contact_id")? {
        ExemptionTarget::Contact(id)
    } else if let Some(id) = id("user_id")? {
        ExemptionTarget::User(id)
    } else if let Some(id) = id("pipeline_id")? {
        ExemptionTarget::Pipeline(id)
    } else {
        ExemptionTarget::Chat(text(row, "chat_id")?.unwrap_or_default())
    };
    Ok(Exemption { id: row.get("id")?, target, reason: text(row, "reason")?, until: row.get("until")? })
}

/// A text that another program inserted: it may be no UTF-8.
fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
