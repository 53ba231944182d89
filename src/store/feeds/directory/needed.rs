//! Which leads and contacts are to be asked for.
//!
//! Recording a talk looks nothing up. The writer remembers which talks changed, and the feeder's next look reads what they
//! name. What a restart forgets, and what other programs write, a walk over the index of leads or contacts finds.

use super::{NeededIds, Round};
use crate::clock::UnixSeconds;
use crate::directory::NameList;
use crate::store::record::{Effect, Outcome, Record};
use crate::talk::TalkId;
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::HashSet;

/// Talks that are remembered at most: some 2 MB. With more of them the feeder walks over all.
const MAX_TALKS: usize = 50_000;
/// How many entries of the index one step of the walk reads: some ten milliseconds.
const STEP_ENTRIES: usize = 10_000;
/// How many ids one step finds at most: those of a few requests.
const STEP_IDS: usize = 500;

/// The talks whose leads and contacts are asked for each day.
pub(super) const DAILY: &str = "\
    SELECT talk_id FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL
     UNION
    SELECT talk_id FROM talks INDEXED BY talks_closed WHERE is_in_work = 0 AND gone_at IS NULL AND updated_at >= ?1
     UNION
    SELECT talk_id FROM talks INDEXED BY talks_missed WHERE missed_at >= ?1
     ORDER BY talk_id DESC";
/// The leads that talks name after one, and whether each has a row.
pub(super) const NAMED_LEADS: &str = "\
    SELECT lead_id, EXISTS (SELECT 1 FROM leads WHERE leads.lead_id = talks.lead_id)
      FROM talks INDEXED BY talks_lead WHERE lead_id > ?1 ORDER BY lead_id";
/// The same of contacts.
pub(super) const NAMED_CONTACTS: &str = "\
    SELECT contact_id, EXISTS (SELECT 1 FROM contacts WHERE contacts.contact_id = talks.contact_id)
      FROM talks INDEXED BY talks_contact WHERE contact_id > ?1 ORDER BY contact_id";

/// The talks that were recorded with a change since the feeder last looked, in the writer's memory.
#[derive(Debug, Default)]
pub(in crate::store::feeds) struct NewTalks {
    /// The feeder is on.
    is_wanted: bool,
    talks: HashSet<TalkId>,
    has_overflowed: bool,
    /// Those that it looks at now. Others may be recorded in the same transaction.
    looked_at: HashSet<TalkId>,
    /// Those are not all.
    has_missed: bool,
}

impl NewTalks {
    /// The feeder is about to look, for the first time or once more.
    pub(in crate::store::feeds) fn look(&mut self) {
        self.is_wanted = true;
        self.looked_at.extend(self.talks.drain());
        self.has_missed |= std::mem::take(&mut self.has_overflowed);
    }

    /// The feeder has looked, and that is committed.
    pub(in crate::store::feeds) fn looked(&mut self) {
        self.looked_at.clear();
        self.has_missed = false;
    }

    /// The feeder is off.
    pub(in crate::store::feeds) fn forget(&mut self) {
        *self = NewTalks::default();
    }

    /// Follows a committed record and its effect.
    pub(in crate::store::feeds) fn recorded(&mut self, record: &Record, effect: Effect) {
        let is_new = matches!((&record.outcome, effect), (Outcome::Talk(_), Effect::New | Effect::Changed));
        if !self.is_wanted || !is_new {
            return;
        }
        match self.talks.len() < MAX_TALKS {
            true => drop(self.talks.insert(record.talk_id)),
            false => self.has_overflowed = true,
        }
    }

    pub(super) fn looked_at(&self) -> impl Iterator<Item = TalkId> {
        self.looked_at.iter().copied()
    }

    pub(super) fn has_missed(&self) -> bool {
        self.has_missed
    }
}

/// The talks whose leads and contacts are asked for each day, the newest first. All from indexes.
pub(super) fn daily(connection: &Connection, since: UnixSeconds) -> rusqlite::Result<Vec<TalkId>> {
    connection.prepare_cached(DAILY)?.query_map([since], |row| row.get(0))?.collect()
}

/// What these talks name that has no row. In a round also what has an older row: of an open talk always, else unless it is
/// gone, or was closed long ago.
pub(super) fn of_talks(
    tx: &Transaction<'_>,
    talks: impl Iterator<Item = TalkId>,
    with_contacts: bool,
    round: Option<Round>,
) -> rusqlite::Result<NeededIds> {
    let mut named = tx.prepare_cached(
        "SELECT lead_id, contact_id, is_in_work = 1 AND gone_at IS NULL FROM talks WHERE talk_id = ?1",
    )?;
    let mut lead =
        tx.prepare_cached("SELECT fetched_at, gone_at, closed_at FROM leads WHERE lead_id = ?1")?;
    let mut contact =
        tx.prepare_cached("SELECT fetched_at, gone_at, NULL FROM contacts WHERE contact_id = ?1")?;
    let (mut leads, mut contacts) = (HashSet::new(), HashSet::new());
    for talk_id in talks {
        let found: Option<(Option<i64>, Option<i64>, bool)> =
            named.query_row([talk_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let Some((lead_id, contact_id, is_open)) = found else { continue };
        let contact_id = contact_id.filter(|_| with_contacts);
        for (id, stored, needed) in
            [(lead_id, &mut lead, &mut leads), (contact_id, &mut contact, &mut contacts)]
        {
            let Some(id) = id.filter(|id| *id > 0 && !needed.contains(id)) else { continue };
            let row: Option<(UnixSeconds, Option<UnixSeconds>, Option<UnixSeconds>)> =
                stored.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            let is_needed = match (row, round) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some((fetched_at, gone_at, closed_at)), Some(Round { began_at, since, now })) => {
                    let may_change = gone_at.is_none() && closed_at.is_none_or(|at| at >= since);
                    // A time in the future comes from a wrong clock.
                    (fetched_at < began_at || fetched_at > now) && (is_open || may_change)
                }
            };
            if is_needed {
                needed.insert(id);
            }
        }
    }
    Ok(NeededIds { leads: leads.into_iter().collect(), contacts: contacts.into_iter().collect() })
}

/// What has no row among the next ids that talks name, and where to go on; `None` at the end.
pub(super) fn unknown(
    tx: &Transaction<'_>,
    list: NameList,
    after: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    // Only entries of these indexes are read, and rows of the table of names.
    let sql = match list {
        NameList::Leads => NAMED_LEADS,
        NameList::Contacts => NAMED_CONTACTS,
        NameList::Users | NameList::Pipelines => return Ok((Vec::new(), None)),
    };
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([after])?;
    let (mut ids, mut last): (Vec<i64>, i64) = (Vec::new(), after);
    let mut read = 0;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        // All talks of an id belong to the same step.
        if id != last && (read >= STEP_ENTRIES || ids.len() >= STEP_IDS) {
            return Ok((ids, Some(last)));
        }
        read += 1;
        let is_known: bool = row.get(1)?;
        if !is_known && id != last {
            ids.push(id);
        }
        last = id;
    }
    Ok((ids, None))
}
