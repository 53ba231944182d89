//! The talks of the last days, counted by indexes alone: the page reads them often, and a mirror may hold millions.

use super::local_time::{LocalDay, LocalTime};
use crate::clock::UnixSeconds;
use crate::number;
use rusqlite::{Connection, Params, Row};
use std::time::Duration;

/// How many days are counted, today included.
pub(crate) const DAYS: usize = 30;
/// A local day may begin this long before or after the same day in UTC, and the clocks may change meanwhile.
const ZONE_MARGIN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// The talks of one local day, as currently mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Day {
    /// The day.
    pub day: LocalDay,
    /// Open at its end. For today: now.
    pub open: i64,
    /// Missed on this day.
    pub missed: i64,
    /// Closed on this day.
    pub closed: i64,
}

// As the view open_by_day. A talk counts as closed at its event. Without one, when the account last changed it, or when it
// was first seen closed if that is earlier: so a talk closed long before its first fetch does not count today, and a later
// rating does not move it. A talk that is gone without being seen closed ended when the API first reported that.
const OPEN: &str =
    "SELECT created_at FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL";
const CLOSED: &str = "SELECT created_at, coalesce((SELECT max(at) FROM talk_events AS event
                                   WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'), min(closed_at, updated_at))
       FROM talks INDEXED BY talks_closed
      WHERE is_in_work = 0 AND gone_at IS NULL AND updated_at >= ?1";
const GONE: &str = "SELECT created_at, iif(closed_at IS NULL, NULL, coalesce((SELECT max(at) FROM talk_events AS event
                                   WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'), min(closed_at, updated_at))), gone_at
       FROM talks INDEXED BY talks_gone
      WHERE gone_at >= ?1";
const MISSED: &str = "SELECT missed_at FROM talks INDEXED BY talks_missed WHERE missed_at >= ?1";

/// Counts the talks of the last days, earliest first. The last day is today.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn days(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<[Day; DAYS]> {
    let tx = connection.unchecked_transaction()?;
    let mut days = [Day::default(); DAYS];
    let last = number::whole(DAYS) - 1;
    let local = LocalTime::read(&tx, now - Duration::from_secs(DAYS as u64 * 24 * 60 * 60) - ZONE_MARGIN)?;
    let today = local.day(now);
    for (place, day) in (0..).zip(&mut days) {
        day.day = LocalDay(today.0 - last + place);
    }
    let first = local.start(days[0].day);
    let mut count = DayCounts { local, days };
    scan(&tx, OPEN, [], |row| {
        count.open(row.get(0)?, UnixSeconds::MAX);
        Ok(())
    })?;
    scan(&tx, CLOSED, [first], |row| {
        count.closed(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    scan(&tx, GONE, [first], |row| {
        match row.get(1)? {
            Some(closed_at) => count.closed(row.get(0)?, closed_at),
            None => count.open(row.get(0)?, row.get(2)?),
        }
        Ok(())
    })?;
    scan(&tx, MISSED, [first], |row| {
        count.missed(row.get(0)?);
        Ok(())
    })?;
    Ok(count.summed())
}

fn scan(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

struct DayCounts {
    local: LocalTime,
    /// While counting, `open` is the difference from the day before.
    days: [Day; DAYS],
}

impl DayCounts {
    /// The day of a time. A time in the future counts as today.
    fn day(&self, at: UnixSeconds) -> Option<usize> {
        let day = self.local.day(at).0.saturating_sub(self.days[0].day.0);
        Some(usize::try_from(day).ok()?.min(DAYS - 1))
    }

    /// Counts a talk as open at the end of each day from `from` until `until`.
    fn open(&mut self, from: UnixSeconds, until: UnixSeconds) {
        let first = self.day(from).unwrap_or(0);
        let end = match until {
            UnixSeconds::MAX => DAYS,
            until => self.day(until).unwrap_or(0),
        };
        if first < end {
            self.days[first].open += 1;
            if let Some(day) = self.days.get_mut(end) {
                day.open -= 1;
            }
        }
    }

    fn closed(&mut self, from: UnixSeconds, at: UnixSeconds) {
        let at = at.max(from);
        self.open(from, at);
        if let Some(day) = self.day(at) {
            self.days[day].closed += 1;
        }
    }

    fn missed(&mut self, at: UnixSeconds) {
        if let Some(day) = self.day(at) {
            self.days[day].missed += 1;
        }
    }

    fn summed(mut self) -> [Day; DAYS] {
        let mut open = 0;
        for day in &mut self.days {
            open += day.open;
            day.open = open;
        }
        self.days
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::ReportRules;
    use crate::store::local_time;
    use crate::store::migrations::tests::in_memory;

    /// 2023-11-14 22:13:20 UTC.
    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: i64 = 86_400;
    const TODAY: UnixSeconds = NOW.start_of_day();

    /// A mirrored talk. Times are days before now. Closed means last changed, and first seen closed.
    fn talk(connection: &Connection, created: i64, closed: Option<(i64, i64)>, gone: Option<i64>) {
        let at = |days: i64| NOW - days * DAY;
        connection
            .execute(
                "INSERT INTO talks (created_at, updated_at, closed_at, gone_at, is_in_work, contact_id, is_read,
                                    account_id, payload, first_fetched_at, fetched_at, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?3 IS NULL, 1, 0, 1, '{}', 1, 1, 1)",
                (
                    at(created),
                    at(closed.map_or(created, |(changed, _)| changed)),
                    closed.map(|(_, seen)| at(seen)),
                    gone.map(at),
                ),
            )
            .unwrap();
    }

    fn missed(connection: &Connection, missed_at: UnixSeconds) {
        connection
            .execute(
                "INSERT INTO talks (created_at, updated_at, missed_at, is_in_work, contact_id, is_read,
                                    account_id, payload, first_fetched_at, fetched_at, changed_at)
                 VALUES (1, 1, ?1, 1, 1, 0, 1, '{}', 1, 1, 1)",
                [missed_at],
            )
            .unwrap();
    }

    /// Days before today and their counts, without days that equal the day before.
    fn steps(days: &[Day], figure: fn(&Day) -> i64) -> Vec<(usize, i64)> {
        let mut steps: Vec<(usize, i64)> = Vec::new();
        for (place, day) in days.iter().enumerate() {
            if steps.last().map_or(0, |(_, last)| *last) != figure(day) {
                steps.push((DAYS - 1 - place, figure(day)));
            }
        }
        steps
    }

    #[test]
    fn a_talk_is_open_at_the_end_of_each_day_from_its_begin_to_its_end() {
        let connection = in_memory();
        talk(&connection, 400, None, None); // open for long
        talk(&connection, 10, None, None);
        talk(&connection, 8, Some((5, 5)), None);
        talk(&connection, 3, Some((3, 3)), None); // never open at a day's end
        talk(&connection, 7, None, Some(6)); // gone without being closed
        talk(&connection, 400, Some((399, 398)), None);
        talk(&connection, 400, Some((399, 398)), Some(2));
        let days = days(&connection, NOW).unwrap();
        assert_eq!(steps(&days, |day| day.open), [(29, 1), (10, 2), (8, 3), (7, 4), (6, 3), (5, 2)]);
        assert_eq!(steps(&days, |day| day.closed), [(5, 1), (4, 0), (3, 1), (2, 0)]);
        assert_eq!([days[29], days[0]].map(|day| day.day.as_utc()), [TODAY, TODAY - 29 * DAY]);
        let open: i64 =
            connection.query_row("SELECT count(*) FROM open_talks", [], |row| row.get(0)).unwrap();
        assert_eq!(days[29].open, open, "what is open today is what the mirror says is");
    }

    #[test]
    fn talks_that_were_closed_before_they_were_first_fetched_count_when_they_last_changed() {
        let connection = in_memory();
        for _ in 0..1000 {
            talk(&connection, 90, Some((80, 0)), None);
        }
        talk(&connection, 20, Some((12, 0)), None);
        // Rated three days after it was seen closed.
        talk(&connection, 20, Some((6, 9)), None);
        let days = days(&connection, NOW).unwrap();
        assert_eq!(steps(&days, |day| day.closed), [(12, 1), (11, 0), (9, 1), (8, 0)]);
        assert_eq!(steps(&days, |day| day.open), [(20, 2), (12, 1), (9, 0)]);
    }

    #[test]
    fn a_day_begins_at_midnight_utc_and_the_first_is_29_days_before_today() {
        let connection = in_memory();
        let first = TODAY - 29 * DAY;
        for missed_at in [first - 1, first, TODAY - 1, TODAY, NOW + 2 * DAY] {
            missed(&connection, missed_at);
        }
        let days = days(&connection, NOW).unwrap();
        assert_eq!(steps(&days, |day| day.missed), [(29, 1), (28, 0), (1, 1), (0, 2)]);
    }

    #[test]
    fn days_are_those_of_the_zone_also_when_the_clocks_change() {
        let connection = in_memory();
        let zone = ReportRules::zone("Europe/Berlin").unwrap();
        local_time::store(&connection, &ReportRules { zone, work_hours: None }).unwrap();
        // 2026-10-26 00:30 in Berlin. The day before has 25 hours: it began at 2026-10-24 22:00 UTC.
        let now = UnixSeconds::new(1_792_971_000);
        let today = now - 30 * 60;
        for missed_at in [today - 25 * 3600 - 1, today - 25 * 3600, today - 1, today] {
            missed(&connection, missed_at);
        }
        let days = days(&connection, now).unwrap();
        assert_eq!(steps(&days, |day| day.missed), [(2, 1), (1, 2), (0, 1)]);
        assert_eq!(crate::clock::written(days[29].day.as_utc(), "%Y-%m-%d"), "2026-10-26");
    }

    #[test]
    fn the_days_read_no_talk_itself() {
        let connection = in_memory();
        for sql in [OPEN, CLOSED, GONE, MISSED] {
            let sql = sql.replace("?1", "1");
            let plan: Vec<String> = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map([], |row| row.get("detail"))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let reads: Vec<&String> = plan.iter().filter(|step| !step.contains("SCALAR SUBQUERY")).collect();
            assert!(reads.iter().all(|step| step.contains("COVERING INDEX")), "{sql}: {plan:?}");
            assert!(sql == OPEN || reads.iter().all(|step| step.starts_with("SEARCH")), "{sql}: {plan:?}");
        }
    }
}
