//! The events of the account: each is kept once, and one that is new queues its talk.

use super::{Fed, Feeder, Hint, hint};
use crate::clock::UnixSeconds;
use crate::policy::lanes::Lane;
use crate::store::changes::Marker;
use crate::talk::TalkEvent;
use rusqlite::Transaction;
use std::time::Duration;

/// The talks of the events of this length of time before the last may not have been fetched.
const LATELY: Duration = Duration::from_secs(10 * 60);

/// Keeps the events that are new. Those since `since` also queue their talks, because the talks may have changed since
/// they were mirrored.
pub(super) fn keep(
    tx: &Transaction<'_>,
    events: &[TalkEvent],
    (since, now): (UnixSeconds, UnixSeconds),
    mut marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<Fed> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO talk_events (event_id, talk_id, type, at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (event_id) DO NOTHING",
    )?;
    let mut queued = 0;
    for event in events {
        let TalkEvent { event_id, talk_id, kind, created_at, created_by } = event;
        if insert.execute((event_id, talk_id, kind, created_at, created_by))? == 0 {
            continue;
        }
        if let Some(marker) = &mut marker {
            marker.mark(*talk_id)?;
        }
        if *created_at >= since {
            let hinted = Hint { talk_id: *talk_id, lane: Lane::Hints, changed: true };
            queued += u64::from(hint(tx, Feeder::Events, hinted, now, now)?);
        }
    }
    Ok(Fed::Queued(queued))
}

/// A file that has taken over events, and has read none itself, reads on from the last of them. It has them already, so
/// the talks of the last of them are queued: the mirror that kept these may not have fetched the talks.
pub(in crate::store) fn begin(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO talk_queue (talk_id, reason, priority)
         SELECT DISTINCT talk_id, ?1, ?2 FROM talk_events
          WHERE at >= (SELECT max(at) FROM talk_events) - ?3
            AND talk_id NOT IN (SELECT talk_id FROM talk_queue)",
        (Feeder::Events, Lane::Hints.priority(), LATELY.as_secs().cast_signed()),
    )?;
    tx.execute(
        "INSERT INTO feeders (feeder, enabled, found, found_in_all, cursor)
         SELECT ?1, 1, 0, 0, json_object('until', max(at)) FROM talk_events HAVING max(at) IS NOT NULL
         ON CONFLICT (feeder) DO UPDATE SET cursor = coalesce(feeders.cursor, excluded.cursor)",
        [Feeder::Events],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::changes::{self, ChangesRequest};
    use crate::store::migrations::tests::in_memory;
    use crate::talk::TalkId;
    use rusqlite::Connection;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    fn event(id: &str, talk_id: i64, ago: i64) -> TalkEvent {
        TalkEvent {
            event_id: id.into(),
            talk_id: TalkId::new(talk_id),
            kind: "talk_closed".into(),
            created_at: NOW - ago,
            created_by: Some(31),
        }
    }

    fn kept(connection: &mut Connection, events: &[TalkEvent]) -> u64 {
        let tx = connection.transaction().unwrap();
        let fed = keep(&tx, events, (NOW - 60, NOW), Marker::new(&tx).unwrap().as_mut()).unwrap();
        tx.commit().unwrap();
        match fed {
            Fed::Queued(queued) => queued,
            other => panic!("{other:?}"),
        }
    }

    fn text(connection: &Connection, sql: &str) -> String {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_event_is_kept_once_and_queues_its_talk_once() {
        let mut connection = in_memory();
        assert_eq!(kept(&mut connection, &[event("a", 1, 0), event("b", 1, 0), event("c", 2, 60)]), 2);
        connection.execute("DELETE FROM talk_queue", []).unwrap();
        assert_eq!(kept(&mut connection, &[event("a", 1, 0), event("c", 2, 60), event("d", 3, 0)]), 1);
        assert_eq!(text(&connection, "SELECT group_concat(talk_id) FROM talk_queue"), "3");
        let kept = "SELECT group_concat(concat_ws(' ', event_id, talk_id, type, at, created_by)) FROM talk_events WHERE talk_id > 1";
        let expected = format!("c 2 talk_closed {} 31,d 3 talk_closed {NOW} 31", NOW - 60);
        assert_eq!(text(&connection, kept), expected);
    }

    #[test]
    fn a_past_event_queues_nothing() {
        let mut connection = in_memory();
        assert_eq!(kept(&mut connection, &[event("a", 1, 61), event("b", 2, 1_000_000)]), 0);
        assert_eq!(text(&connection, "SELECT group_concat(event_id) FROM talk_events"), "a,b");
    }

    #[test]
    fn a_new_event_is_a_change_of_its_talk_that_is_published() {
        let mut connection = in_memory();
        kept(&mut connection, &[event("a", 1, 0)]);
        assert_eq!(text(&connection, "SELECT json_group_array(talk_id) FROM changes"), "[]", "it is off");
        changes::work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
        changes::work(&mut connection, &ChangesRequest::SwitchOn { floor: 0 }).unwrap();
        assert_eq!(text(&connection, "SELECT json_group_array(talk_id) FROM changes"), "[1]", "it was there");
        kept(&mut connection, &[event("a", 1, 0), event("b", 7, 0)]);
        assert_eq!(text(&connection, "SELECT json_group_array(talk_id) FROM changes"), "[1,7]");
    }
}
