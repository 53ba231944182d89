//! What puts rows of the queue right again: after a pause, after a wrong clock, after talks that were taken for gone.

use super::CHUNK;
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::DENIED_RETRY;
use crate::policy::lanes::Lane;
use crate::store::changes::Marker;
use crate::store::closures;
use crate::talk::TalkId;
use rusqlite::{Transaction, named_params};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

/// Clocks may differ by so many seconds.
const TOLERANCE: i64 = 60;
/// A row that failed so shortly before a pause failed for the same reason.
const BEFORE: Duration = Duration::from_secs(60);

/// How the `last_error` of a row ends whose answer was ignored: another account may have given it, …
pub const UNCONFIRMED: &str = "; ignored: the account that answers is not confirmed";
/// … or the API reported so of too many talks.
pub const TOO_MANY: &str = "; ignored: too many talks are reported as missing";

/// What is to be put right.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum Repair {
    /// These attempts were not the talks' own: as is known now, every request failed.
    Refund { attempts: HashMap<TalkId, u32>, now: UnixSeconds },
    /// A pause since `since` has ended: what failed in it is due again, and attempts around it do not count, `except`
    /// those of talks that fail by themselves.
    PauseEnded { since: UnixSeconds, except: Vec<TalkId>, now: UnixSeconds },
    /// Answers are believed again, as the account is confirmed or a person has looked: what was ignored until then is due.
    Ignored { now: UnixSeconds },
    /// Rows that a wrong clock has put into the future are due as by the right one. The clock was set back by `back`
    /// seconds, as far as that is known; `retry_max` is the longest backoff.
    Clock { back: i64, retry_max: Duration, now: UnixSeconds },
    /// These talks were taken for gone and perhaps are not: they are as before, and fetched again.
    NotGone { talk_ids: Vec<TalkId>, now: UnixSeconds },
}

impl Repair {
    /// When rows are due by it.
    pub fn due_at(&self) -> UnixSeconds {
        match self {
            Repair::Refund { now, .. }
            | Repair::PauseEnded { now, .. }
            | Repair::Ignored { now }
            | Repair::Clock { now, .. }
            | Repair::NotGone { now, .. } => *now,
        }
    }
}

/// Puts it right; the caller commits. Returns how many rows were changed.
///
/// # Errors
/// When the database cannot be written.
pub(in crate::store) fn repair(
    tx: &Transaction<'_>,
    repair: &Repair,
    marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<usize> {
    match repair {
        Repair::Refund { attempts, now } => refund(tx, attempts, *now),
        Repair::PauseEnded { since, except, now } => pause_ended(tx, *since, except, *now),
        Repair::Ignored { now } => ignored(tx, *now),
        Repair::Clock { back, retry_max, now } => clock(tx, *back, *retry_max, *now),
        Repair::NotGone { talk_ids, now } => not_gone(tx, talk_ids, *now, marker),
    }
}

fn refund(
    tx: &Transaction<'_>,
    attempts: &HashMap<TalkId, u32>,
    now: UnixSeconds,
) -> rusqlite::Result<usize> {
    let mut update = tx.prepare_cached(
        "UPDATE talk_queue
            SET attempts = max(attempts - ?2, 0),
                due_at = iif(failed_at IS NULL, due_at, ?3), failed_at = NULL
          WHERE talk_id = ?1 AND attempts > 0",
    )?;
    let mut changed = 0;
    for (talk_id, attempts) in attempts {
        changed += update.execute((talk_id, attempts, now))?;
    }
    Ok(changed)
}

fn pause_ended(
    tx: &Transaction<'_>,
    since: UnixSeconds,
    except: &[TalkId],
    now: UnixSeconds,
) -> rusqlite::Result<usize> {
    let except = json!(except).to_string();
    let failed = tx
        .prepare_cached(
            "UPDATE talk_queue SET failed_at = NULL, attempts = 0, due_at = ?2, ticket = random()
              WHERE failed_at BETWEEN ?1 AND ?2 AND talk_id NOT IN (SELECT value FROM json_each(?3))",
        )?
        .execute((since - BEFORE, now, &except))?;
    let retried = tx
        .prepare_cached(
            "UPDATE talk_queue SET attempts = 0
              WHERE failed_at IS NULL AND attempts > 0 AND talk_id NOT IN (SELECT value FROM json_each(?1))",
        )?
        .execute([&except])?;
    Ok(failed + retried)
}

fn ignored(tx: &Transaction<'_>, now: UnixSeconds) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "UPDATE talk_queue SET due_at = ?1
          WHERE failed_at IS NULL AND due_at > ?1
            AND (substr(last_error, -length(?2)) = ?2 OR substr(last_error, -length(?3)) = ?3)",
    )?
    .execute((now, UNCONFIRMED, TOO_MANY))
}

/// A row that a clock ahead of ours has put in, or that backs off longer than it can, is due now. What else backs off is
/// due that much earlier. One that somebody has scheduled for later stays.
fn clock(tx: &Transaction<'_>, back: i64, retry_max: Duration, now: UnixSeconds) -> rusqlite::Result<usize> {
    // Not so long that the sum in SQL would be a fraction.
    let longest = number::seconds(retry_max.max(DENIED_RETRY)).min(i64::MAX / 4);
    let backs_off = "(attempts > 0 OR last_error IS NOT NULL OR priority >= :closing)";
    let due_now =
        format!("(enqueued_at > :now + :tolerance OR {backs_off} AND due_at > :now + :longest + :tolerance)");
    let hurried = tx
        .prepare_cached(&format!(
            "UPDATE talk_queue SET due_at = min(due_at, :now), enqueued_at = min(enqueued_at, :now)
              WHERE failed_at IS NULL AND {due_now}"
        ))?
        .execute(named_params! {
            ":now": now, ":tolerance": TOLERANCE, ":longest": longest, ":closing": Lane::Closing.priority(),
        })?;
    if back <= TOLERANCE {
        return Ok(hurried);
    }
    let earlier = tx
        .prepare_cached(&format!(
            "UPDATE talk_queue SET due_at = max(due_at - :back, :now)
              WHERE failed_at IS NULL AND due_at > :now AND {backs_off}"
        ))?
        .execute(named_params! {":now": now, ":back": back, ":closing": Lane::Closing.priority()})?;
    Ok(hurried + earlier)
}

fn not_gone(
    tx: &Transaction<'_>,
    talk_ids: &[TalkId],
    now: UnixSeconds,
    mut marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<usize> {
    let mut back = tx.prepare_cached("UPDATE talks SET gone_at = NULL WHERE talk_id = ?1")?;
    let mut queue = tx.prepare_cached(
        "INSERT INTO talk_queue (talk_id, reason, priority, enqueued_at, due_at)
         SELECT ?1, 'refresh', ?2, ?3, ?3 WHERE NOT EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = ?1)",
    )?;
    let mut changed = 0;
    for &talk_id in talk_ids.iter().take(CHUNK) {
        changed += back.execute([talk_id])?;
        closures::not_gone(tx, talk_id)?;
        if let Some(marker) = &mut marker {
            marker.mark(talk_id)?;
        }
    }
    // A closing that is under way is verified; the others are fetched.
    closures::requeue_open(tx)?;
    for talk_id in talk_ids.iter().take(CHUNK) {
        queue.execute((talk_id, Lane::Hints.priority(), now))?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;
    use rusqlite::Connection;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: i64 = 86_400;

    /// Queues talk 1 so, and puts it right.
    fn repaired(sql: &str, repair: &Repair) -> (i64, i64, Option<i64>) {
        let mut connection = in_memory();
        connection.execute_batch(&sql.replace("NOW", &NOW.to_string())).unwrap();
        run(&mut connection, repair);
        connection
            .query_row(
                "SELECT attempts, due_at - ?1, failed_at - ?1 FROM talk_queue WHERE talk_id = 1",
                [NOW],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap()
    }

    fn run(connection: &mut Connection, wanted: &Repair) {
        let tx = connection.transaction().unwrap();
        repair(&tx, wanted, None).unwrap();
        tx.commit().unwrap();
    }

    fn row(columns: &str, values: &str) -> String {
        format!("INSERT INTO talk_queue (talk_id, {columns}) VALUES (1, {values})")
    }

    #[test]
    fn an_attempt_that_was_everybody_s_is_given_back_and_a_failure_with_it() {
        let refund =
            Repair::Refund { attempts: HashMap::from([(TalkId::new(1), 1), (TalkId::new(2), 5)]), now: NOW };
        let waits = row("due_at, attempts", "NOW + 30, 3");
        assert_eq!(repaired(&waits, &refund), (2, 30, None), "it backs off as before");
        let failed = row("due_at, attempts, failed_at", "NOW - 5, 8, NOW - 1");
        assert_eq!(repaired(&failed, &refund), (7, 0, None));
        let anew = row("due_at, attempts", "NOW, 0");
        assert_eq!(repaired(&anew, &refund), (0, 0, None), "queued anew meanwhile");
    }

    #[test]
    fn what_failed_in_a_pause_or_just_before_is_due_again_and_what_failed_earlier_is_not() {
        let ended = Repair::PauseEnded { since: NOW - 100, except: vec![TalkId::new(2)], now: NOW };
        let failed = |ago: i64| row("due_at, attempts, failed_at", &format!("NOW - 500, 8, NOW - {ago}"));
        assert_eq!(repaired(&failed(160), &ended), (0, 0, None));
        assert_eq!(repaired(&failed(161), &ended), (8, -500, Some(-161)));
        let retried = row("due_at, attempts", "NOW + 900, 7");
        assert_eq!(repaired(&retried, &ended), (0, 900, None));
        let own =
            Repair::PauseEnded { since: NOW - 100, except: vec![TalkId::new(3), TalkId::new(1)], now: NOW };
        assert_eq!(repaired(&retried, &own), (7, 900, None), "it fails by itself");
        assert_eq!(repaired(&failed(10), &own), (8, -500, Some(-10)));
    }

    #[test]
    fn what_was_ignored_is_due_once_answers_are_believed() {
        let due = |error: &str| {
            let waits = row("due_at, last_error", &format!("NOW + 900, '{error}'"));
            repaired(&waits, &Repair::Ignored { now: NOW }).1
        };
        assert_eq!(due(&format!("HTTP 404{UNCONFIRMED}")), 0);
        assert_eq!(due(&format!("HTTP 404{TOO_MANY}")), 0);
        assert_eq!(due("HTTP 404"), 900);
    }

    #[test]
    fn a_row_that_a_wrong_clock_queued_is_due_now_and_one_that_is_scheduled_stays() {
        let clock = |back: i64| Repair::Clock { back, retry_max: Duration::from_secs(3600), now: NOW };
        let due = |columns: &str, values: &str| repaired(&row(columns, values), &clock(0)).1;
        assert_eq!(due("enqueued_at, due_at", "NOW + 10800, NOW + 10800"), 0);
        assert_eq!(due("enqueued_at, due_at", "NOW + 60, NOW + 60"), 60, "clocks differ");
        assert_eq!(due("enqueued_at, due_at", "NOW + 61, NOW + 61"), 0);
        assert_eq!(due("enqueued_at, due_at", "NOW, NOW + 9999999"), 9_999_999, "somebody scheduled it");
        let retried = row("enqueued_at, due_at, attempts, last_error", "NOW, NOW + 10830, 2, 'x'");
        assert_eq!(repaired(&retried, &clock(60)).1, 10_830, "clocks differ");
        assert_eq!(repaired(&retried, &clock(10_800)).1, 30, "the clock was set back by 3 h");
        assert_eq!(repaired(&retried, &clock(20_000)).1, 0);
        let scheduled = row("enqueued_at, due_at", "NOW, NOW + 10830");
        assert_eq!(repaired(&scheduled, &clock(10_800)).1, 10_830, "somebody scheduled it");
        let denied = |in_seconds: i64| {
            due("enqueued_at, due_at, last_error", &format!("NOW, NOW + {in_seconds}, 'HTTP 403'"))
        };
        assert_eq!((denied(DAY + 60), denied(DAY + 61)), (DAY + 60, 0));
    }

    #[test]
    fn a_talk_that_is_not_gone_is_as_before_and_looked_at_again() {
        let mut connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO talks (talk_id, created_at, updated_at, is_in_work, account_id, payload,
                                    first_fetched_at, fetched_at, changed_at, gone_at)
                 VALUES (7, 1, 1, 1, 1, '{}', 1, 1, 1, 5)",
            )
            .unwrap();
        // Its closing was accepted, and ended as it seemed gone; an older one failed for another reason.
        connection
            .execute_batch(
                "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, decided_at, requested_at, http_status,
                                       outcome, reason, force_close, attempts, error)
                 VALUES (7, 'live', 1, 1, 1, 1, 403, 'failed', 'stale', 1, 1, 'the API reports that the talk does not exist'),
                        (7, 'live', 1, 1, 2, 2, 202, 'accepted', 'stale', 1, 1, NULL)",
            )
            .unwrap();
        let tx = connection.transaction().unwrap();
        closures::end_gone(&tx, TalkId::new(7)).unwrap();
        tx.commit().unwrap();
        run(&mut connection, &Repair::NotGone { talk_ids: vec![TalkId::new(7)], now: NOW });
        let outcomes = "SELECT group_concat(outcome || coalesce(error, '-')) FROM closures";
        assert_eq!(
            connection.query_row(outcomes, [], |row| row.get(0)),
            Ok("failedthe API reports that the talk does not exist,accepted-".to_owned())
        );
        let reason = "SELECT reason FROM talk_queue WHERE talk_id = 7";
        assert_eq!(connection.query_row(reason, [], |row| row.get(0)), Ok("verify".to_owned()));
        let sql =
            "SELECT gone_at IS NULL AND (SELECT due_at FROM talk_queue WHERE talk_id = 7) >= ?1 FROM talks";
        assert_eq!(connection.query_row(sql, [NOW], |row| row.get(0)), Ok(true));
    }
}
