//! The talks of the last hours or days, counted by indexes alone: the page reads them often, and a mirror may hold
//! millions.

use super::local_time::{LocalDay, LocalTime};
use crate::clock::UnixSeconds;
use crate::named::named;
use crate::number;
use rusqlite::{Connection, Params, Row};
use std::time::Duration;

named! {
    /// How far back talks are counted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Range {
        /// The last 24 hours by hour, the current one included.
        Hours = "24h",
        /// The last days, today included.
        Week = "7d",
        Month = "30d",
        Quarter = "90d",
    }
}

impl Range {
    /// How many hours or days it has.
    pub(crate) const fn periods(self) -> usize {
        match self {
            Range::Hours => 24,
            Range::Week => 7,
            Range::Month => 30,
            Range::Quarter => 90,
        }
    }
}

const HOUR_SECONDS: i64 = 60 * 60;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A local day may begin this long before or after the same day in UTC, and the clocks may change meanwhile.
const ZONE_MARGIN: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Channels that are told apart. No account has nearly as many.
const MAX_CHANNELS: usize = 50;

/// The talks of one hour or local day, as currently mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Period {
    /// An hour's first second. Of a day, midnight of the same day in UTC, for printing it.
    pub begins: UnixSeconds,
    /// Open at its end. Of the last one: now.
    pub open: i64,
    /// Missed in it.
    pub missed: i64,
    /// Closed in it.
    pub closed: i64,
}

// As the view open_by_day. A talk counts as closed at its event. Without one, when the account last changed it, or when it
// was first seen closed if that is earlier: so a talk closed long before its first fetch does not count today, and a later
// rating does not move it. A talk that is gone without being seen closed ended when the API first reported that.
const OPEN: &str =
    "SELECT talk_id, created_at FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL";
const CLOSED: &str = "SELECT talk_id, created_at, coalesce((SELECT max(at) FROM talk_events AS event
                                   WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'), min(closed_at, updated_at))
       FROM talks INDEXED BY talks_closed
      WHERE is_in_work = 0 AND gone_at IS NULL AND updated_at >= ?1";
const GONE: &str = "SELECT talk_id, created_at, iif(closed_at IS NULL, NULL, coalesce((SELECT max(at) FROM talk_events AS event
                                   WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'), min(closed_at, updated_at))), gone_at
       FROM talks INDEXED BY talks_gone
      WHERE gone_at >= ?1";
const MISSED: &str = "SELECT talk_id, missed_at FROM talks INDEXED BY talks_missed WHERE missed_at >= ?1";
/// The indexes above do not know the channel. Its talks are read first, because each talk's row is wide.
const OF_CHANNEL: &str = "SELECT talk_id FROM talks INDEXED BY talks_origin WHERE origin = ?1";
/// One step of the index for each channel.
const CHANNELS: &str = "WITH RECURSIVE channels (origin) AS (
         SELECT min(origin) FROM talks WHERE origin > ''
         UNION ALL
         SELECT (SELECT min(origin) FROM talks WHERE origin > channels.origin) FROM channels WHERE origin IS NOT NULL)
     SELECT origin FROM channels WHERE origin IS NOT NULL LIMIT ?1";

/// The channels of the mirrored talks, in the order of their names. At most 50.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn channels(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(CHANNELS)?;
    statement.query_map([number::whole(MAX_CHANNELS)], |row| row.get(0))?.collect()
}

/// Counts the talks of a range, earliest period first. The last period is not over. With a channel, only its talks.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn course(
    connection: &Connection,
    range: Range,
    channel: Option<&str>,
    now: UnixSeconds,
) -> rusqlite::Result<Vec<Period>> {
    let tx = connection.unchecked_transaction()?;
    let last = number::whole(range.periods()) - 1;
    let (clock, first, since) = match range {
        Range::Hours => {
            let first = hour(now) - last;
            (PeriodClock::Hours, first, UnixSeconds::new(first.saturating_mul(HOUR_SECONDS)))
        }
        Range::Week | Range::Month | Range::Quarter => {
            let span = DAY * u32::try_from(range.periods()).unwrap_or(u32::MAX);
            let local = LocalTime::read(&tx, now - span - ZONE_MARGIN)?;
            let first = LocalDay(local.day(now).0 - last);
            let since = local.start(first);
            (PeriodClock::Days(local), first.0, since)
        }
    };
    let begins = |place| match range {
        Range::Hours => since + HOUR * place,
        Range::Week | Range::Month | Range::Quarter => LocalDay(first).as_utc() + DAY * place,
    };
    let periods =
        (0..).take(range.periods()).map(|place| Period { begins: begins(place), ..Period::default() });
    let of_channel = channel.map(|channel| talks_of(&tx, channel)).transpose()?;
    let counts = |talk_id: i64| of_channel.as_ref().is_none_or(|talks| talks.binary_search(&talk_id).is_ok());
    let mut count = PeriodCounts { clock, first, periods: periods.collect() };
    scan(&tx, OPEN, [], counts, |row| {
        count.open(row.get(1)?, UnixSeconds::MAX);
        Ok(())
    })?;
    scan(&tx, CLOSED, [since], counts, |row| {
        count.closed(row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    scan(&tx, GONE, [since], counts, |row| {
        match row.get(2)? {
            Some(closed_at) => count.closed(row.get(1)?, closed_at),
            None => count.open(row.get(1)?, row.get(3)?),
        }
        Ok(())
    })?;
    scan(&tx, MISSED, [since], counts, |row| {
        count.missed(row.get(1)?);
        Ok(())
    })?;
    Ok(count.summed())
}

/// The ids of a channel's talks, in their order.
fn talks_of(connection: &Connection, channel: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(OF_CHANNEL)?;
    let mut talks: Vec<i64> =
        statement.query_map([channel], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    talks.sort_unstable();
    Ok(talks)
}

/// Gives `each` the rows whose talk `counts`.
fn scan(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    counts: impl Fn(i64) -> bool,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        if counts(row.get(0)?) {
            each(row)?;
        }
    }
    Ok(())
}

/// The number of the hour of a time, since 1970.
fn hour(at: UnixSeconds) -> i64 {
    at.get().div_euclid(HOUR_SECONDS)
}

/// Numbers the periods since 1970.
enum PeriodClock {
    Hours,
    Days(LocalTime),
}

struct PeriodCounts {
    clock: PeriodClock,
    /// The number of the first period.
    first: i64,
    /// While counting, `open` is the difference from the period before.
    periods: Vec<Period>,
}

impl PeriodCounts {
    /// The period of a time. A time in the future counts in the last one.
    fn period(&self, at: UnixSeconds) -> Option<usize> {
        let period = match &self.clock {
            PeriodClock::Hours => hour(at),
            PeriodClock::Days(local) => local.day(at).0,
        };
        let place = usize::try_from(period.saturating_sub(self.first)).ok()?;
        Some(place.min(self.periods.len() - 1))
    }

    /// Counts a talk as open at the end of each period from `from` until `until`.
    fn open(&mut self, from: UnixSeconds, until: UnixSeconds) {
        let first = self.period(from).unwrap_or(0);
        let end = match until {
            UnixSeconds::MAX => self.periods.len(),
            until => self.period(until).unwrap_or(0),
        };
        if first < end {
            self.periods[first].open += 1;
            if let Some(period) = self.periods.get_mut(end) {
                period.open -= 1;
            }
        }
    }

    fn closed(&mut self, from: UnixSeconds, at: UnixSeconds) {
        let at = at.max(from);
        self.open(from, at);
        if let Some(period) = self.period(at) {
            self.periods[period].closed += 1;
        }
    }

    fn missed(&mut self, at: UnixSeconds) {
        if let Some(period) = self.period(at) {
            self.periods[period].missed += 1;
        }
    }

    fn summed(mut self) -> Vec<Period> {
        let mut open = 0;
        for period in &mut self.periods {
            open += period.open;
            period.open = open;
        }
        self.periods
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
    const DAYS: usize = Range::Month.periods();
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
    fn steps(days: &[Period], figure: fn(&Period) -> i64) -> Vec<(usize, i64)> {
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
        let days = course(&connection, Range::Month, None, NOW).unwrap();
        assert_eq!(steps(&days, |day| day.open), [(29, 1), (10, 2), (8, 3), (7, 4), (6, 3), (5, 2)]);
        assert_eq!(steps(&days, |day| day.closed), [(5, 1), (4, 0), (3, 1), (2, 0)]);
        assert_eq!([days[29], days[0]].map(|day| day.begins), [TODAY, TODAY - 29 * DAY]);
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
        let days = course(&connection, Range::Month, None, NOW).unwrap();
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
        let days = course(&connection, Range::Month, None, NOW).unwrap();
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
        let days = course(&connection, Range::Month, None, now).unwrap();
        assert_eq!(steps(&days, |day| day.missed), [(2, 1), (1, 2), (0, 1)]);
        assert_eq!(crate::clock::written(days[29].begins, "%Y-%m-%d"), "2026-10-26");
    }

    #[test]
    fn a_range_has_its_hours_or_days_and_the_last_is_not_over() {
        let connection = in_memory();
        let hour = NOW - 13 * 60 - 20;
        for missed_at in [hour - 23 * 3600 - 1, hour - 23 * 3600, hour - 1, hour] {
            missed(&connection, missed_at);
        }
        let hours = course(&connection, Range::Hours, None, NOW).unwrap();
        let missed = |periods: &[Period]| periods.iter().map(|one| one.missed).collect::<Vec<_>>();
        assert_eq!((hours.len(), hours[23].begins, hours[0].begins), (24, hour, hour - 23 * 3600));
        let (first, between, last) = (1, [0; 21], [1, 1]);
        assert_eq!(missed(&hours), [&[first][..], &between, &last].concat());
        assert_eq!(hours[23].open, 4, "open for long");
        for (range, days) in [(Range::Week, 7), (Range::Month, 30), (Range::Quarter, 90)] {
            let periods = course(&connection, range, None, NOW).unwrap();
            assert_eq!((periods.len(), periods[days - 1].begins), (days, TODAY));
            assert_eq!(missed(&periods)[days - 2..], [2, 2], "today began 22 hours ago");
        }
    }

    #[test]
    fn a_channel_has_its_own_talks_alone() {
        let connection = in_memory();
        for days in 1..=6 {
            talk(&connection, days, None, None);
            missed(&connection, NOW - days * DAY);
        }
        connection
            .execute("UPDATE talks SET origin = CASE talk_id % 3 WHEN 0 THEN 'vk' WHEN 1 THEN 'а&b' END", [])
            .unwrap();
        assert_eq!(channels(&connection).unwrap(), ["vk", "а&b"]);
        let of = |channel| course(&connection, Range::Week, channel, NOW).unwrap();
        let missed = |days: &[Period]| days.iter().map(|day| day.missed).sum::<i64>();
        assert_eq!((of(None)[6].open, missed(&of(None))), (12, 6));
        assert_eq!((of(Some("vk"))[6].open, missed(&of(Some("vk")))), (4, 2));
        assert_eq!((of(Some("viber"))[6].open, missed(&of(Some("viber")))), (0, 0));
    }

    #[test]
    fn the_days_read_no_talk_itself() {
        let connection = in_memory();
        for sql in [OPEN, CLOSED, GONE, MISSED, OF_CHANNEL] {
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
