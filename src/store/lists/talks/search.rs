//! Which talks a search, a filter and a channel find, in the order of the list.

use super::{NO_CHANNEL, TalkFilter, TalkQuery, WAITING_SINCE};
use crate::number;
use crate::store::lists::{LAST_PAGE, PAGE_ROWS};
use crate::store::queue::text;
use crate::talk::TalkId;
use rusqlite::{CachedStatement, Connection, named_params};

/// A search among all talks looks at the talks of so many clients with a fitting name.
const MOST_CONTACTS: usize = 1000;

/// What somebody typed to find talks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// As typed.
    pub text: String,
    /// What the text may be besides a name.
    ids: Ids,
}

/// The ids of a number or of a pasted address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ids {
    talk: Option<i64>,
    contact: Option<i64>,
    lead: Option<i64>,
}

impl Search {
    /// Reads what was typed: a number, an address of the account, or a part of a name. `None` if it is blank.
    pub(crate) fn parse(typed: &str) -> Option<Search> {
        let text = typed.trim();
        let parts: Vec<&str> = text.split(['/', '?', '#']).collect();
        let after = |names: &[&str]| {
            let at = parts.windows(names.len() + 1).find(|window| window.starts_with(names))?;
            at.last()?.parse().ok()
        };
        let number = text.trim_start_matches(['#', '№', ' ']).parse().ok();
        let ids = match after(&["chats"]) {
            Some(talk) => Ids { talk: Some(talk), ..Ids::default() },
            None => Ids {
                talk: number,
                contact: after(&["contacts", "detail"]).or(number),
                lead: after(&["leads", "detail"]).or(number),
            },
        };
        (!text.is_empty()).then(|| Search { text: text.to_owned(), ids })
    }

    /// Whether it is a number or an address: such a talk is found in whichever state it is.
    pub(crate) fn has_id(&self) -> bool {
        self.ids != Ids::default()
    }

    /// The part of a name that is looked for. `None` for an address.
    fn name(&self) -> Option<String> {
        (!self.text.contains("://")).then(|| comparable(&self.text))
    }
}

/// Names are compared without regard to case and to the dots of ё, which people leave out.
fn comparable(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).map(|letter| if letter == 'ё' { 'е' } else { letter }).collect()
}

/// Calls `each` with the talks of a query, whether they fit its search and channel or not, until it returns false.
pub(super) fn each_in_order(
    connection: &Connection,
    query: &TalkQuery,
    mut each: impl FnMut(TalkId) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let by_waiting = format!("ORDER BY {WAITING_SINCE} IS NULL, {WAITING_SINCE}, talk_id DESC");
    let sql = match (query.filter, &query.search) {
        (TalkFilter::All, Some(search)) => return each_found(connection, search, &by_waiting, each),
        (TalkFilter::All, None) if query.channel.is_some() => {
            return each_of_channel(connection, query.channel.as_deref(), each);
        }
        (TalkFilter::All, None) => "SELECT talk_id FROM talks ORDER BY talk_id DESC".to_owned(),
        (TalkFilter::Open, _) => format!(
            "SELECT talk_id FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL {by_waiting}"
        ),
        (TalkFilter::Waiting, _) => format!(
            "SELECT talk_id FROM talks INDEXED BY talks_open
              WHERE is_in_work = 1 AND gone_at IS NULL AND (missed_at IS NOT NULL OR is_read = 0) {by_waiting}"
        ),
        (TalkFilter::Missed, _) => "SELECT talk_id FROM talks INDEXED BY talks_open_missed
              WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL ORDER BY missed_at, talk_id DESC"
            .to_owned(),
        (TalkFilter::Failed, _) => "SELECT talk_id FROM talk_queue INDEXED BY talk_queue_failed
              WHERE failed_at IS NOT NULL ORDER BY failed_at DESC"
            .to_owned(),
        (TalkFilter::Gone, _) => "SELECT talk_id FROM (
                 SELECT talk_id, gone_at AS at FROM talks INDEXED BY talks_gone WHERE gone_at IS NOT NULL
                 UNION ALL
                 SELECT talk_id, denied_at FROM talks INDEXED BY talks_denied
                  WHERE denied_at IS NOT NULL AND gone_at IS NULL)
              ORDER BY at DESC, talk_id DESC"
            .to_owned(),
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !each(row.get(0)?)? {
            break;
        }
    }
    Ok(())
}

/// Of all talks: those with an id that was typed. If there is none, those of clients with such a name. The names of each
/// talk of a long history would take too long.
fn each_found(
    connection: &Connection,
    search: &Search,
    order: &str,
    mut each: impl FnMut(TalkId) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT ids.id FROM (
             SELECT talk_id AS id FROM talks WHERE talk_id = :talk
             UNION SELECT talk_id FROM talk_queue WHERE talk_id = :talk
             UNION SELECT talk_id FROM tombstones WHERE talk_id = :talk
             UNION SELECT talk_id FROM talks WHERE contact_id = :contact
             UNION SELECT talk_id FROM talks WHERE lead_id = :lead
             UNION SELECT talk_id FROM talks WHERE contact_id IN (SELECT value FROM json_each(:contacts))) AS ids
           LEFT JOIN talks ON talks.talk_id = ids.id {order}"
    ))?;
    let mut find = |Ids { talk, contact, lead }: Ids, contacts: &[i64]| {
        let contacts = serde_json::json!(contacts).to_string();
        let values = named_params! {":talk": talk, ":contact": contact, ":lead": lead, ":contacts": contacts};
        let rows = statement.query_map(values, |row| row.get(0))?;
        rows.collect::<rusqlite::Result<Vec<TalkId>>>()
    };
    let mut found = find(search.ids, &[])?;
    if let (true, Some(name)) = (found.is_empty(), search.name()) {
        found = find(Ids::default(), &contacts(connection, &name)?)?;
    }
    for talk_id in found {
        if !each(talk_id)? {
            break;
        }
    }
    Ok(())
}

/// Of all talks: those of a channel, the newest first.
fn each_of_channel(
    connection: &Connection,
    channel: Option<&str>,
    mut each: impl FnMut(TalkId) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    // Only so many are sorted as there are pages.
    let mut statement = connection.prepare_cached(
        "SELECT talk_id FROM talks INDEXED BY talks_origin WHERE origin IS ?1 ORDER BY talk_id DESC LIMIT ?2",
    )?;
    let origin = channel.filter(|channel| *channel != NO_CHANNEL);
    let mut rows = statement.query((origin, number::whole(LAST_PAGE * PAGE_ROWS + 1)))?;
    while let Some(row) = rows.next()? {
        if !each(row.get(0)?)? {
            break;
        }
    }
    Ok(())
}

/// The clients whose name has this part.
fn contacts(connection: &Connection, name: &str) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut statement =
        connection.prepare_cached("SELECT contact_id, name FROM contacts WHERE name IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && found.len() < MOST_CONTACTS
    {
        if text(row, 1)?.is_some_and(|client| comparable(&client).contains(name)) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// Whether a talk fits the search and the channel of a query.
pub(super) struct Fits<'a> {
    /// The text that a name of the talk must have. Not for all talks, which are found by it already.
    name: Option<String>,
    channel: Option<&'a str>,
    names: CachedStatement<'a>,
}

impl<'a> Fits<'a> {
    pub(super) fn new(connection: &'a Connection, query: &'a TalkQuery) -> rusqlite::Result<Fits<'a>> {
        let names = connection.prepare_cached(
            "SELECT origin, contacts.name, leads.name, users.name
               FROM talks
               LEFT JOIN contacts ON contacts.contact_id = talks.contact_id
               LEFT JOIN leads ON leads.lead_id = talks.lead_id
               LEFT JOIN users ON users.user_id = leads.responsible_user_id
              WHERE talk_id = ?1",
        )?;
        let search = query.search.as_ref().filter(|_| query.filter != TalkFilter::All);
        Ok(Fits { name: search.and_then(Search::name), channel: query.channel.as_deref(), names })
    }

    pub(super) fn fits(&mut self, talk_id: TalkId) -> rusqlite::Result<bool> {
        if self.name.is_none() && self.channel.is_none() {
            return Ok(true);
        }
        let mut rows = self.names.query([talk_id])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let origin = text(row, 0)?;
        if self.channel.is_some_and(|channel| channel != origin.as_deref().unwrap_or(NO_CHANNEL)) {
            return Ok(false);
        }
        let Some(name) = &self.name else { return Ok(true) };
        for column in 0..4 {
            if text(row, column)?.is_some_and(|text| comparable(&text).contains(name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
