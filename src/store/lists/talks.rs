//! Pages of talks: who waits, for how long, and whose client it is.

mod search;

pub(crate) use search::Search;

use super::{Page, ROWS_READ, rows_before};
use crate::clock::UnixSeconds;
use crate::named::named;
use crate::number;
use crate::store::queue::text;
use crate::store::{counts, local_time};
use crate::talk::TalkId;
use rusqlite::{Connection, Row};

named! {
    /// Which talks.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) enum TalkFilter {
        #[default]
        Open = "open",
        Waiting = "waiting",
        Missed = "missed",
        Failed = "failed",
        Gone = "gone",
        All = "all",
    }
}

/// The channel of talks without one, as the views name it.
pub(crate) const NO_CHANNEL: &str = "(none)";

/// Which talks, of which channel, found by what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TalkQuery {
    pub filter: TalkFilter,
    pub search: Option<Search>,
    /// As stored in `origin`, or [`NO_CHANNEL`].
    pub channel: Option<String>,
}

/// A talk of the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedTalk {
    pub talk_id: TalkId,
    /// `None` if it is not mirrored.
    pub mirrored: Option<Listed>,
    /// When its queue row failed.
    pub failed_at: Option<UnixSeconds>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it waits in the queue.
    pub queued: bool,
    /// The talk in the account, as the view `open_talks` has it.
    pub chat_url: Option<String>,
    /// The lead in the account.
    pub lead_url: Option<String>,
}

/// What the mirror knows of a listed talk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub contact_id: Option<i64>,
    /// The name of the client.
    pub contact: Option<String>,
    pub origin: Option<String>,
    pub lead_id: Option<i64>,
    /// The name of the lead.
    pub lead: Option<String>,
    pub responsible_user_id: Option<i64>,
    /// The name of that user.
    pub responsible_user: Option<String>,
    pub is_in_work: bool,
    pub missed_at: Option<UnixSeconds>,
    /// Since when the client waits: since it was missed, else since the last change if it is unread.
    pub waiting_since: Option<UnixSeconds>,
    /// How much of that was working time, in seconds. `None` if nobody said when the team works.
    pub work_seconds: Option<i64>,
    pub closed_at: Option<UnixSeconds>,
    pub gone_at: Option<UnixSeconds>,
    pub denied_at: Option<UnixSeconds>,
}

/// Since when the client of a talk waits, as the view `open_talks` counts it.
const WAITING_SINCE: &str =
    "iif(is_in_work = 1 AND gone_at IS NULL, coalesce(missed_at, iif(is_read = 0, updated_at, NULL)), NULL)";

/// A page of talks, the longest waiting first.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn page(
    connection: &Connection,
    query: &TalkQuery,
    number: usize,
    now: UnixSeconds,
) -> rusqlite::Result<Page<ListedTalk>> {
    let mut before = rows_before(number);
    let mut fits = search::Fits::new(connection, query)?;
    let mut ids = Vec::new();
    // The order comes from an index. So of a long list only the ids up to this page are looked at, and each only if a
    // search or a channel is given.
    search::each_in_order(connection, query, |talk_id| {
        if fits.fits(talk_id)? {
            match before.checked_sub(1) {
                Some(left) => before = left,
                None => ids.push(talk_id),
            }
        }
        Ok(ids.len() < ROWS_READ)
    })?;
    let worked = local_time::work_seconds_before(connection, now)?;
    let mut row = connection.prepare_cached(&format!(
        "SELECT ids.id, talks.talk_id IS NOT NULL, talks.contact_id, contacts.name, origin, talks.lead_id, leads.name,
                responsible_user_id, users.name, is_in_work, missed_at, {WAITING_SINCE},
                talks.closed_at, talks.gone_at, denied_at, failed_at, last_error, talk_queue.talk_id IS NOT NULL,
                account.value || '/chats/' || ids.id || '/leads/detail/' || talks.lead_id,
                account.value || '/leads/detail/' || talks.lead_id
           FROM (SELECT ?1 AS id) AS ids
           LEFT JOIN talks ON talks.talk_id = ids.id
           LEFT JOIN talk_queue ON talk_queue.talk_id = ids.id
           LEFT JOIN leads ON leads.lead_id = talks.lead_id
           LEFT JOIN users ON users.user_id = leads.responsible_user_id
           LEFT JOIN contacts ON contacts.contact_id = talks.contact_id
           LEFT JOIN mirror_info AS account ON account.key = 'account_url'",
        WAITING_SINCE = WAITING_SINCE.replace("gone_at", "talks.gone_at")
    ))?;
    let mut rows = Vec::with_capacity(ids.len());
    for talk_id in ids {
        let mut talk = row.query_row([talk_id], read)?;
        if let (Some(worked), Some(listed)) = (worked, &mut talk.mirrored)
            && let Some(since) = listed.waiting_since
        {
            let before = local_time::work_seconds_before(connection, since)?.unwrap_or(0);
            listed.work_seconds = Some((worked - before).max(0));
        }
        rows.push(talk);
    }
    Ok(Page::of(rows, number))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ListedTalk> {
    let mirrored = match row.get(1)? {
        false => None,
        true => Some(Listed {
            contact_id: row.get(2)?,
            contact: text(row, 3)?,
            origin: text(row, 4)?,
            lead_id: row.get(5)?,
            lead: text(row, 6)?,
            responsible_user_id: row.get(7)?,
            responsible_user: text(row, 8)?,
            is_in_work: row.get(9)?,
            missed_at: row.get(10)?,
            waiting_since: row.get(11)?,
            work_seconds: None,
            closed_at: row.get(12)?,
            gone_at: row.get(13)?,
            denied_at: row.get(14)?,
        }),
    };
    Ok(ListedTalk {
        talk_id: row.get(0)?,
        mirrored,
        failed_at: row.get(15)?,
        error: text(row, 16)?,
        queued: row.get(17)?,
        chat_url: text(row, 18)?,
        lead_url: text(row, 19)?,
    })
}

/// The channels of the mirrored talks, by name; so many at most.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn channels(connection: &Connection, most: usize) -> rusqlite::Result<Vec<String>> {
    // From one name to the next by the index.
    let mut names: Vec<String> = connection
        .prepare_cached(
            "WITH RECURSIVE names (name) AS (
                 SELECT min(origin) FROM talks
                 UNION ALL
                 SELECT (SELECT min(origin) FROM talks WHERE origin > name) FROM names WHERE name IS NOT NULL LIMIT ?1)
             SELECT name FROM names WHERE name IS NOT NULL",
        )?
        .query_map([number::whole(most)], |row| Ok(text(row, 0)?.unwrap_or_default()))?
        .collect::<rusqlite::Result<_>>()?;
    if connection.prepare_cached("SELECT 1 FROM talks WHERE origin IS NULL")?.exists([])? {
        names.push(NO_CHANNEL.to_owned());
    }
    Ok(names)
}

/// How many talks each filter has, in the order of [`TalkFilter::ALL`], and since when the longest waiting client waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TalkListCounts {
    pub by_filter: [i64; TalkFilter::ALL.len()],
    pub waiting_since: Option<UnixSeconds>,
}

impl TalkListCounts {
    /// How many talks a filter has.
    pub(crate) fn of(&self, filter: TalkFilter) -> i64 {
        self.by_filter[filter as usize]
    }
}

/// Counts the talks of each filter, from indexes alone.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<TalkListCounts> {
    let talks = counts::talks(connection)?;
    let failed = "SELECT count(*) FROM talk_queue WHERE failed_at IS NOT NULL";
    let denied =
        "SELECT count(*) FROM talks INDEXED BY talks_denied WHERE denied_at IS NOT NULL AND gone_at IS NULL";
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (waiting, waiting_since) = connection.query_row(
        "SELECT count(*), min(coalesce(missed_at, updated_at)) FROM talks INDEXED BY talks_open
          WHERE is_in_work = 1 AND gone_at IS NULL AND (missed_at IS NOT NULL OR is_read = 0)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let by_filter = TalkFilter::ALL.map(|filter| match filter {
        TalkFilter::Open => Ok(talks.in_work),
        TalkFilter::Waiting => Ok(waiting),
        TalkFilter::Missed => Ok(talks.missed),
        TalkFilter::Failed => count(failed),
        TalkFilter::Gone => Ok(talks.gone + count(denied)?),
        TalkFilter::All => Ok(talks.total),
    });
    let mut counts = TalkListCounts { waiting_since, ..TalkListCounts::default() };
    for (place, number) in by_filter.into_iter().enumerate() {
        counts.by_filter[place] = number?;
    }
    Ok(counts)
}

/// Whether the names of clients are stored: `directory.contacts`.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn has_contacts(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM contacts WHERE name IS NOT NULL")?.exists([])
}

#[cfg(test)]
mod tests;
