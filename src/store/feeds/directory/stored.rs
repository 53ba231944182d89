//! Stores what the lists of names showed.

use crate::clock::UnixSeconds;
use crate::directory::{Contact, Lead, Pipeline, User};
use crate::store::changes::Marker;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, named_params};
use std::collections::HashSet;

/// Stores users. If these are all, the others are gone.
pub(super) fn users(
    tx: &Transaction<'_>,
    users: &[User],
    all: bool,
    now: UnixSeconds,
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO users (user_id, name, is_active, fetched_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id) DO UPDATE
            SET name = coalesce(excluded.name, name), is_active = excluded.is_active,
                fetched_at = excluded.fetched_at, gone_at = NULL",
    )?;
    for User { user_id, name, is_active } in users {
        upsert.execute((user_id, name, is_active, now))?;
    }
    let shown: HashSet<i64> = users.iter().map(|user| user.user_id).collect();
    // The account has at least the user of the token, so an empty list shows nothing.
    if all && !shown.is_empty() {
        let mut gone = tx.prepare_cached("UPDATE users SET gone_at = ?2 WHERE user_id = ?1")?;
        for user_id in ids(tx, "SELECT user_id FROM users WHERE gone_at IS NULL")? {
            if !shown.contains(&user_id) {
                gone.execute((user_id, now))?;
            }
        }
    }
    Ok(())
}

/// Stores pipelines with their statuses. If these are all, the others are gone. So are the other statuses of a pipeline
/// that shows all of its own, and those of a pipeline that is gone.
pub(super) fn pipelines(
    tx: &Transaction<'_>,
    pipelines: &[Pipeline],
    all: bool,
    now: UnixSeconds,
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO pipelines (pipeline_id, name, sort, is_main, is_archive, fetched_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (pipeline_id) DO UPDATE
            SET name = coalesce(excluded.name, name), sort = excluded.sort, is_main = excluded.is_main,
                is_archive = excluded.is_archive, fetched_at = excluded.fetched_at, gone_at = NULL",
    )?;
    let mut upsert_status = tx.prepare_cached(
        "INSERT INTO statuses (pipeline_id, status_id, name, sort, fetched_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (pipeline_id, status_id) DO UPDATE
            SET name = coalesce(excluded.name, name), sort = excluded.sort,
                fetched_at = excluded.fetched_at, gone_at = NULL",
    )?;
    let mut status_gone =
        tx.prepare_cached("UPDATE statuses SET gone_at = ?3 WHERE pipeline_id = ?1 AND status_id = ?2")?;
    let mut stored_statuses =
        tx.prepare_cached("SELECT status_id FROM statuses WHERE pipeline_id = ?1 AND gone_at IS NULL")?;
    let mut without = |pipeline_id: i64, shown: &HashSet<i64>| -> rusqlite::Result<()> {
        let stored: Vec<i64> =
            stored_statuses.query_map([pipeline_id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for status_id in stored.into_iter().filter(|status_id| !shown.contains(status_id)) {
            status_gone.execute((pipeline_id, status_id, now))?;
        }
        Ok(())
    };
    for Pipeline { pipeline_id, name, sort, is_main, is_archive, statuses, has_all_statuses } in pipelines {
        upsert.execute((pipeline_id, name, sort, is_main, is_archive, now))?;
        for status in statuses {
            upsert_status.execute((pipeline_id, status.status_id, &status.name, status.sort, now))?;
        }
        if *has_all_statuses {
            without(*pipeline_id, &statuses.iter().map(|status| status.status_id).collect())?;
        }
    }
    let shown: HashSet<i64> = pipelines.iter().map(|pipeline| pipeline.pipeline_id).collect();
    // An account has at least one.
    if all && !shown.is_empty() {
        let mut gone = tx.prepare_cached("UPDATE pipelines SET gone_at = ?2 WHERE pipeline_id = ?1")?;
        for pipeline_id in ids(tx, "SELECT pipeline_id FROM pipelines WHERE gone_at IS NULL")? {
            if !shown.contains(&pipeline_id) {
                gone.execute((pipeline_id, now))?;
                without(pipeline_id, &HashSet::new())?;
            }
        }
    }
    Ok(())
}

fn ids(tx: &Transaction<'_>, sql: &str) -> rusqlite::Result<Vec<i64>> {
    tx.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Stores leads that were asked for. `asked`: which, and whether the others of them are gone. One that changed is a change
/// of its talks.
pub(super) fn leads(
    tx: &Transaction<'_>,
    (asked, all): (&[i64], bool),
    leads: &[Lead],
    now: UnixSeconds,
    mut marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<()> {
    let asked: HashSet<i64> = asked.iter().copied().collect();
    let mut talks = tx.prepare_cached("SELECT talk_id FROM talks WHERE lead_id = ?1")?;
    let mut stored = tx.prepare_cached(
        "SELECT name, price, responsible_user_id, pipeline_id, status_id, closed_at, gone_at IS NOT NULL
           FROM leads WHERE lead_id = ?1",
    )?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO leads (lead_id, name, price, responsible_user_id, pipeline_id, status_id, closed_at, fetched_at)
         VALUES (:lead_id, :name, :price, :responsible_user_id, :pipeline_id, :status_id, :closed_at, :now)
         ON CONFLICT (lead_id) DO UPDATE
            SET name = :name, price = :price, responsible_user_id = :responsible_user_id,
                pipeline_id = :pipeline_id, status_id = :status_id, closed_at = :closed_at, fetched_at = :now,
                gone_at = NULL",
    )?;
    let mut shown = HashSet::new();
    for lead in leads.iter().filter(|lead| asked.contains(&lead.lead_id)) {
        shown.insert(lead.lead_id);
        let before = stored
            .query_row([lead.lead_id], |row| {
                let before = Lead {
                    lead_id: lead.lead_id,
                    name: row.get(0)?,
                    price: row.get(1)?,
                    responsible_user_id: row.get(2)?,
                    pipeline_id: row.get(3)?,
                    status_id: row.get(4)?,
                    closed_at: row.get(5)?,
                };
                Ok((before, row.get::<_, bool>(6)?))
            })
            .optional()?;
        let last_name = || before.as_ref().and_then(|(before, _)| before.name.clone());
        let lead = Lead { name: lead.name.clone().or_else(last_name), ..lead.clone() };
        upsert.execute(named_params! {
            ":lead_id": lead.lead_id, ":name": lead.name, ":price": lead.price,
            ":responsible_user_id": lead.responsible_user_id, ":pipeline_id": lead.pipeline_id,
            ":status_id": lead.status_id, ":closed_at": lead.closed_at, ":now": now,
        })?;
        if before.is_none_or(|(before, was_gone)| was_gone || before != lead) {
            mark(lead.lead_id, &mut talks, marker.as_deref_mut())?;
        }
    }
    if all {
        let mut note_gone = tx.prepare_cached(
            "INSERT INTO leads (lead_id, fetched_at, gone_at) VALUES (?1, ?2, ?2)
             ON CONFLICT (lead_id) DO UPDATE SET fetched_at = ?2, gone_at = coalesce(gone_at, ?2)
             RETURNING gone_at",
        )?;
        for lead_id in asked.difference(&shown) {
            if gone(*lead_id, now, &mut note_gone)? {
                mark(*lead_id, &mut talks, marker.as_deref_mut())?;
            }
        }
    }
    Ok(())
}

/// Whether these leads name users, and pipelines or statuses, that have no row.
pub(super) fn unknown_names(tx: &Transaction<'_>, leads: &[Lead]) -> rusqlite::Result<(bool, bool)> {
    let mut user = tx.prepare_cached("SELECT 1 FROM users WHERE user_id = ?1")?;
    let mut status = tx.prepare_cached("SELECT 1 FROM statuses WHERE pipeline_id = ?1 AND status_id = ?2")?;
    let (mut users, mut pipelines) = (false, false);
    for Lead { responsible_user_id, pipeline_id, status_id, .. } in leads {
        if let Some(user_id) = responsible_user_id {
            users = users || !user.exists([user_id])?;
        }
        if let (Some(pipeline_id), Some(status_id)) = (pipeline_id, status_id) {
            pipelines = pipelines || !status.exists((pipeline_id, status_id))?;
        }
    }
    Ok((users, pipelines))
}

/// Stores contacts that were asked for, as [`leads`] does.
pub(super) fn contacts(
    tx: &Transaction<'_>,
    (asked, all): (&[i64], bool),
    contacts: &[Contact],
    now: UnixSeconds,
    mut marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<()> {
    let asked: HashSet<i64> = asked.iter().copied().collect();
    let mut talks = tx.prepare_cached("SELECT talk_id FROM talks WHERE contact_id = ?1")?;
    let mut stored =
        tx.prepare_cached("SELECT name, gone_at IS NOT NULL FROM contacts WHERE contact_id = ?1")?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO contacts (contact_id, name, fetched_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (contact_id) DO UPDATE SET name = ?2, fetched_at = ?3, gone_at = NULL",
    )?;
    let mut shown = HashSet::new();
    for Contact { contact_id, name } in contacts.iter().filter(|row| asked.contains(&row.contact_id)) {
        shown.insert(*contact_id);
        let before: Option<(Option<String>, bool)> =
            stored.query_row([contact_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let last_name = || before.as_ref().and_then(|(name, _)| name.clone());
        let name = name.clone().or_else(last_name);
        upsert.execute((contact_id, &name, now))?;
        if before.is_none_or(|(before, was_gone)| was_gone || before != name) {
            mark(*contact_id, &mut talks, marker.as_deref_mut())?;
        }
    }
    if all {
        let mut note_gone = tx.prepare_cached(
            "INSERT INTO contacts (contact_id, fetched_at, gone_at) VALUES (?1, ?2, ?2)
             ON CONFLICT (contact_id) DO UPDATE SET fetched_at = ?2, gone_at = coalesce(gone_at, ?2)
             RETURNING gone_at",
        )?;
        for contact_id in asked.difference(&shown) {
            if gone(*contact_id, now, &mut note_gone)? {
                mark(*contact_id, &mut talks, marker.as_deref_mut())?;
            }
        }
    }
    Ok(())
}

/// Notes that the API does not show it. True if it did so far.
fn gone(id: i64, now: UnixSeconds, note_gone: &mut CachedStatement<'_>) -> rusqlite::Result<bool> {
    let gone_at: UnixSeconds = note_gone.query_row((id, now), |row| row.get(0))?;
    Ok(gone_at == now)
}

/// Marks the talks of a lead or a contact as changed.
fn mark(id: i64, talks: &mut CachedStatement<'_>, marker: Option<&mut Marker<'_>>) -> rusqlite::Result<()> {
    let Some(marker) = marker else { return Ok(()) };
    let mut rows = talks.query([id])?;
    while let Some(row) = rows.next()? {
        marker.mark(row.get(0)?)?;
    }
    Ok(())
}
