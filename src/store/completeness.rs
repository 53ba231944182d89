//! How much of the account is mirrored: columns of `daemon_status`, counted by the process that works the queue.
//!
//! A talk is known if it is mirrored, or waits in the queue for its first fetch. The account's counts are too low
//! until every known talk is mirrored, the list was read to its end once, and no backfill is running. A complete
//! mirror stays complete while new talks wait for less than a minute: each day brings some, and they are fetched
//! within seconds.

use super::feeds::{self, Feeder};
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::lanes::Lane;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::time::Duration;

/// A talk that waits for its first fetch no longer than this does not make a complete mirror incomplete.
const NEW_TALK_GRACE: Duration = Duration::from_secs(60);

/// See the module documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Completeness {
    /// Talks that are known to exist.
    pub known: i64,
    /// How many of them are mirrored.
    pub mirrored: i64,
    pub complete: bool,
    /// When it will be complete at this pace. `None` if unknown, or if it is complete.
    pub complete_at: Option<UnixSeconds>,
}

impl Completeness {
    /// Seconds until it is complete, if known.
    pub(crate) fn seconds_left(&self, now: UnixSeconds) -> Option<i64> {
        self.complete_at.map(|at| at.seconds_since(now).max(1))
    }
}

/// Reads the last count.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Completeness>> {
    connection
        .prepare_cached(
            "SELECT known_talks, mirrored_talks, complete, complete_at FROM daemon_status
              WHERE known_talks IS NOT NULL AND mirrored_talks IS NOT NULL AND complete IS NOT NULL",
        )?
        .query_row([], |row| {
            let (known, mirrored) = (row.get(0)?, row.get(1)?);
            Ok(Completeness { known, mirrored, complete: row.get(2)?, complete_at: row.get(3)? })
        })
        .optional()
}

/// Counts, and stores changes. `pace` is the allowed requests per second, if any.
///
/// # Errors
/// If the database cannot be read or written.
pub(super) fn note(connection: &Connection, pace: Option<f64>, now: UnixSeconds) -> rusqlite::Result<()> {
    let before = read(connection)?;
    let counted = count(connection, before, pace, now)?;
    if before != Some(counted) {
        connection
            .prepare_cached(
                "UPDATE daemon_status
                    SET known_talks = ?1, mirrored_talks = ?2, complete = ?3, complete_at = ?4",
            )?
            .execute((counted.known, counted.mirrored, counted.complete, counted.complete_at))?;
    }
    Ok(())
}

fn count(
    connection: &Connection,
    before: Option<Completeness>,
    pace: Option<f64>,
    now: UnixSeconds,
) -> rusqlite::Result<Completeness> {
    let tx = connection.unchecked_transaction()?;
    let mirrored: i64 = tx.prepare_cached("SELECT count(*) FROM talks")?.query_row([], |row| row.get(0))?;
    // Failed and denied talks are reported elsewhere, and may never be mirrored. Joined by id, the order of both
    // tables.
    let (unmirrored, since): (i64, Option<UnixSeconds>) = tx
        .prepare_cached(
            "SELECT count(*), min(enqueued_at) FROM talk_queue AS queued NOT INDEXED
              WHERE failed_at IS NULL AND last_error IS NULL AND priority < ?1
                AND NOT EXISTS (SELECT 1 FROM talks WHERE talks.talk_id = queued.talk_id)
                AND NOT EXISTS (SELECT 1 FROM tombstones WHERE tombstones.talk_id = queued.talk_id)",
        )?
        .query_row([Lane::Closing.priority()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let listing = feeds::row(&tx, Feeder::Listing)?.filter(|row| row.enabled && row.trouble.is_none());
    let read_to_its_end =
        |row: feeds::FeederRow| row.cursor.is_some_and(|cursor| cursor["whole_at"].is_i64());
    let ids_left = feeds::backfill(&tx)?.map_or(0, |walk| walk.ids_left());
    let left = unmirrored + ids_left;
    let was_complete = before.is_some_and(|before| before.complete);
    let none_waits = since.is_none_or(|since| was_complete && (now - NEW_TALK_GRACE..=now).contains(&since));
    let complete = none_waits && ids_left == 0 && listing.is_none_or(read_to_its_end);
    // Refreshes keep their share.
    let rate = pace.map(|pace| pace * (1.0 - Lane::Refresh.share())).filter(|rate| *rate > 0.0);
    let seconds = rate.filter(|_| left > 0 && !complete).map(|rate| (left as f64 / rate).ceil());
    let complete_at = seconds.map(|seconds| now.later_by(number::truncated(seconds)));
    Ok(Completeness { known: mirrored + unmirrored, mirrored, complete, complete_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;
    use crate::talk::TalkId;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    /// The count after `sql`, at two requests a second.
    fn counted(connection: &Connection, sql: &str) -> Completeness {
        connection.execute_batch(sql).unwrap();
        note(connection, Some(2.0), NOW).unwrap();
        read(connection).unwrap().unwrap()
    }

    /// A mirror of talks 1 to 5, with a process's status.
    fn mirror() -> Connection {
        let connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO daemon_status (id, mode, version, pid, started_at, seen_at, requests_per_second, request_rate)
                 VALUES (1, 'run', '0', 1, 1, 1, 2, 0);
                 WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 5)
                 INSERT INTO talks (talk_id, created_at, updated_at, is_in_work, account_id, payload,
                                    first_fetched_at, fetched_at, changed_at)
                 SELECT id, 1, 1, 0, 1, '{}', 1, 1, 1 FROM n;",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_talk_is_known_once_it_is_mirrored_or_waits_for_its_first_fetch() {
        let connection = mirror();
        assert_eq!(read(&connection).unwrap(), None, "nobody has counted");
        let complete = Completeness { known: 5, mirrored: 5, complete: true, complete_at: None };
        assert_eq!(counted(&connection, ""), complete);
        let refresh = "INSERT INTO talk_queue (talk_id) VALUES (1), (5)";
        assert_eq!(counted(&connection, refresh), complete, "they are mirrored");
        let failed =
            "INSERT INTO talk_queue (talk_id, failed_at, last_error) VALUES (7, 1, 'x'), (8, NULL, 'x');
                      INSERT INTO tombstones VALUES (9, 1); INSERT INTO talk_queue (talk_id) VALUES (9);";
        assert_eq!(counted(&connection, failed), complete, "nor may those ever be mirrored");
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id, priority)
                 VALUES (10, 0), (11, -1000000), (12, -2000000), (13, 1000000000)",
            )
            .unwrap();
        let since = |seconds| format!("UPDATE talk_queue SET enqueued_at = {}", NOW + seconds);
        let new = Completeness { known: 8, ..complete };
        assert_eq!(counted(&connection, &since(0)), new, "they are fetched in a moment");
        assert_eq!(counted(&connection, &since(-60)), new, "what is to be closed is mirrored");
        // 3 talks at nine tenths of two requests a second.
        let incomplete = Completeness { known: 8, mirrored: 5, complete: false, complete_at: Some(NOW + 2) };
        assert_eq!(counted(&connection, &since(-61)), incomplete);
        assert_eq!(counted(&connection, &since(0)), incomplete, "it was not complete before");
        let ahead = format!("UPDATE daemon_status SET complete = 1; {}", since(1));
        assert_eq!(counted(&connection, &ahead), incomplete, "queued by a clock that was ahead");
        note(&connection, None, NOW).unwrap();
        assert_eq!(read(&connection).unwrap().unwrap().complete_at, None, "in a pause nobody knows");
    }

    #[test]
    fn it_is_not_complete_before_the_list_is_read_to_its_end_and_while_a_backfill_runs() {
        let mut connection = mirror();
        let listing = |enabled, trouble: &str, cursor: &str| {
            format!(
                "INSERT OR REPLACE INTO feeders (feeder, enabled, found, found_in_all, trouble, cursor)
                 VALUES ('listing', {enabled}, 0, 0, {trouble}, {cursor})"
            )
        };
        let begun = "'{\"whole_at\":null,\"whole_page\":3}'";
        assert!(!counted(&connection, &listing(1, "NULL", "NULL")).complete);
        assert!(!counted(&connection, &listing(1, "NULL", begun)).complete);
        assert!(counted(&connection, &listing(0, "NULL", begun)).complete);
        assert!(counted(&connection, &listing(1, "'not served'", begun)).complete);
        assert!(counted(&connection, &listing(1, "NULL", "'{\"whole_at\":5}'")).complete);
        feeds::begin_backfill(&mut connection, Some(TalkId::new(24)), Some(TalkId::new(7)), NOW).unwrap();
        let walked = Completeness { known: 5, mirrored: 5, complete: false, complete_at: Some(NOW + 10) };
        assert_eq!(counted(&connection, ""), walked);
        feeds::end_backfill(&mut connection, NOW).unwrap();
        assert!(counted(&connection, "").complete);
    }
}
