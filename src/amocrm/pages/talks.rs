//! The listing of talks, and the events that happened to them.

use super::super::loose::{self, Int};
use super::super::wire::YEAR_2100;
use super::query::EVENT_TYPES;
use super::{MAX_ID_CHARS, PageError, page, readable, require_usable};
use crate::amocrm::Shape;
use crate::clock::UnixSeconds;
use crate::talk::{Listed, TalkEvent, TalkId};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A row of the listing as sent.
#[derive(Deserialize)]
struct RawListed<'a> {
    talk_id: Int,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
    #[serde(borrow)]
    is_in_work: Option<&'a RawValue>,
    #[serde(borrow)]
    is_read: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// A row of the events as sent.
#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    created_at: Int,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_type: Option<&'a RawValue>,
    #[serde(borrow)]
    entity_id: Option<&'a RawValue>,
    /// Documented: the id of the user. Seen: 0 for what no user did.
    #[serde(borrow)]
    created_by: Option<&'a RawValue>,
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
}

/// Reads a page of talks, and whether there is another.
pub(super) fn talks(body: &str, account_id: Option<i64>) -> Result<(Vec<Listed>, bool), PageError> {
    let what = "the answer holds no valid list of talks";
    let (rows, more) = page(body, "talks", what)?;
    let listed: Vec<Listed> = readable(&rows, account_id, |row: &RawListed<'_>| row.account_id)
        .map(|row| Listed {
            talk_id: TalkId::new(row.talk_id.0),
            updated_at: loose::int(row.updated_at).value().map(UnixSeconds::new),
            is_in_work: loose::boolean(row.is_in_work).value(),
            is_read: loose::boolean(row.is_read).value(),
        })
        .filter(|row| row.talk_id.get() > 0)
        .collect();
    require_usable(!listed.is_empty(), &rows, what)?;
    Ok((listed, more))
}

/// Reads a page of events, and whether another follows. Events that do not concern talks are left out. Of past events, a
/// page may have none that is usable: it would be the same the next time.
pub(super) fn events(
    body: &str,
    account_id: Option<i64>,
    past: bool,
) -> Result<(Vec<TalkEvent>, bool), PageError> {
    let what = "the answer holds no valid list of events";
    let (rows, more) = page(body, "events", what)?;
    let (mut read, mut others) = (Vec::new(), false);
    for row in readable(&rows, account_id, |row: &RawEvent<'_>| row.account_id) {
        let text = |raw| loose::text(raw).value();
        let (kind, entity_type) = (text(row.kind), text(row.entity_type));
        let is_wanted = kind.as_ref().is_none_or(|kind| EVENT_TYPES.split(',').any(|wanted| wanted == kind));
        match entity_type.as_deref() {
            Some("talk") => {}
            // All requested types concern talks, so a row without an entity type does too.
            None if is_wanted => {}
            Some(_) if is_wanted => {
                others = true;
                continue;
            }
            // An account that ignores the filter would list its whole history.
            _ => {
                let detail = format!("{what}: it holds other types, so the API ignores filter[type]");
                return Err((Shape::WrongAt("type".into()), detail));
            }
        }
        let Int(created_at) = row.created_at;
        if let Some(talk_id) = loose::int(row.entity_id).value()
            && talk_id > 0
            && (0..YEAR_2100).contains(&created_at)
        {
            let kind: String = kind.unwrap_or_default().chars().take(MAX_ID_CHARS).collect();
            // The id only distinguishes known events from new ones. The event's content does that too.
            let event_id = text(row.id)
                .filter(|id| id.len() <= MAX_ID_CHARS)
                .unwrap_or_else(|| format!("{kind} of talk {talk_id} at {created_at}"));
            read.push(TalkEvent {
                event_id,
                talk_id: TalkId::new(talk_id),
                kind,
                created_at: UnixSeconds::new(created_at),
                created_by: loose::int(row.created_by).value().filter(|user_id| *user_id > 0),
            });
        }
    }
    require_usable(!read.is_empty() || others || past, &rows, what)?;
    Ok((read, more))
}

#[cfg(test)]
mod tests;
