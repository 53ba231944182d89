//! What happened to one talk, as the view `talk_timeline` tells it.

use crate::clock::UnixSeconds;
use crate::number;
use crate::talk::TalkId;
use rusqlite::Connection;

/// A timeline has at most so many entries.
pub(crate) const ENTRIES_SHOWN: usize = 200;

/// The latest entries of a talk's timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Timeline {
    /// Oldest first.
    pub entries: Vec<TimelineEntry>,
    /// How many older ones there are.
    pub earlier: i64,
}

/// A row of `talk_timeline`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct TimelineEntry {
    pub at: UnixSeconds,
    /// `opened`, `missed`, …, or a type of the API.
    pub event: String,
    /// The description, in English.
    pub what: String,
    /// `event` or `fetch`: see [`TimelineEntry::is_exact`].
    pub source: String,
    /// Who did it, if an event says so, …
    pub user_id: Option<i64>,
    /// … and the name of that user, if it is known.
    pub user: Option<String>,
}

impl TimelineEntry {
    /// Whether it happened at this time. Otherwise a fetch saw it then, and it happened before.
    pub(crate) fn is_exact(&self) -> bool {
        self.source == "event" || ["opened", "missed", "auto-close"].contains(&&*self.event)
    }
}

/// Reads the timeline of a talk. What happened in the same second comes before its closing.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn timeline(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<Timeline> {
    let mut all_entries = 0;
    let entries = connection
        .prepare(
            "SELECT at, event, what, source, user_id, users.name, all_entries
               FROM (SELECT *, row_number() OVER (ORDER BY at, event = 'closed') AS place, count(*) OVER () AS all_entries
                       FROM talk_timeline WHERE talk_id = ?1)
               LEFT JOIN users USING (user_id)
              WHERE place > all_entries - ?2 ORDER BY place",
        )?
        .query_map((talk_id, number::whole(ENTRIES_SHOWN)), |row| {
            all_entries = row.get(6)?;
            Ok(TimelineEntry {
                at: row.get(0)?,
                event: row.get(1)?,
                what: row.get(2)?,
                source: row.get(3)?,
                user_id: row.get(4)?,
                user: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let earlier = all_entries - number::whole(entries.len());
    Ok(Timeline { entries, earlier })
}
