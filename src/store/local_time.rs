//! Local days and working time, as rows: `utc_offsets` and `work_time`, by which the views and the page count.
//!
//! A change of `[report]` replaces the rows. No talk changes.

use super::info::InfoKey;
use crate::clock::{UnixSeconds, written};
use crate::policy::hours::{ReportRules, UtcOffset};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params_from_iter};
use std::fmt;
use std::time::Duration;

/// `mirror_info`: the IANA name of the zone, …
const ZONE: InfoKey<String> = InfoKey::text("report.timezone");
/// … and the working hours, if anybody said them.
const WORK_HOURS: InfoKey<String> = InfoKey::text("report.work_hours");

/// Seconds of a day without a change of the clocks.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Stores what follows from these rules, if it is not stored yet.
///
/// # Errors
/// If the database cannot be written.
pub fn store(connection: &Connection, rules: &ReportRules) -> rusqlite::Result<()> {
    let tx = connection.unchecked_transaction()?;
    let offsets = rules.utc_offsets();
    let offsets = offsets.iter().map(|offset| {
        [offset.valid_from.get(), offset.valid_to.get(), offset.seconds].map(rusqlite::types::Value::from)
    });
    replace(&tx, "utc_offsets", &["valid_from", "valid_to", "seconds"], &offsets.collect::<Vec<_>>())?;
    let mut before = 0;
    let shifts = rules.shifts().into_iter().map(|shift| {
        let row = [
            shift.opens_at.get().into(),
            shift.closes_at.get().into(),
            shift.day.to_string().into(),
            shift.seconds().into(),
            before.into(),
        ];
        before += shift.seconds();
        row
    });
    replace(
        &tx,
        "work_time",
        &["opens_at", "closes_at", "day", "seconds", "seconds_before"],
        &shifts.collect::<Vec<_>>(),
    )?;
    let work_hours = rules.work_hours.as_ref().map(ToString::to_string);
    if ZONE.get(&tx)?.as_deref() != Some(rules.zone_name()) {
        ZONE.set(&tx, &rules.zone_name().to_owned())?;
    }
    if WORK_HOURS.get(&tx)? != work_hours {
        WORK_HOURS.put(&tx, work_hours.as_ref())?;
    }
    tx.commit()
}

/// Makes these the rows of a table, unless they are.
fn replace<const N: usize>(
    tx: &Connection,
    table: &str,
    columns: &[&str; N],
    rows: &[[rusqlite::types::Value; N]],
) -> rusqlite::Result<()> {
    let columns = columns.join(", ");
    let found: Vec<[rusqlite::types::Value; N]> = tx
        .prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1"))?
        .query_map([], values)?
        .collect::<rusqlite::Result<_>>()?;
    if found == rows {
        return Ok(());
    }
    tx.execute(&format!("DELETE FROM {table}"), [])?;
    let values = vec!["?"; N].join(", ");
    let mut insert = tx.prepare(&format!("INSERT INTO {table} ({columns}) VALUES ({values})"))?;
    for row in rows {
        insert.execute(params_from_iter(row.iter().map(|value| value as &dyn ToSql)))?;
    }
    // Otherwise SQLite reads all rows for each time: it takes the table for as small as it was.
    tx.execute_batch(&format!("ANALYZE {table}"))
}

fn values<const N: usize>(row: &Row<'_>) -> rusqlite::Result<[rusqlite::types::Value; N]> {
    let values: Vec<rusqlite::types::Value> = (0..N).map(|place| row.get(place)).collect::<Result<_, _>>()?;
    values.try_into().map_err(|_| rusqlite::Error::InvalidQuery)
}

/// The IANA name of the zone of local days.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn zone_name(connection: &Connection) -> rusqlite::Result<String> {
    Ok(ZONE.get(connection)?.unwrap_or_else(|| "UTC".into()))
}

/// The first second of the local day of a time.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn start_of_day(connection: &Connection, at: UnixSeconds) -> rusqlite::Result<UnixSeconds> {
    let local = LocalTime::read(connection, at - Duration::from_secs(2 * DAY_SECONDS.unsigned_abs()))?;
    Ok(local.start(local.day(at)))
}

/// The local day of a time.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn day(connection: &Connection, at: UnixSeconds) -> rusqlite::Result<LocalDay> {
    let since = at - Duration::from_secs(2 * DAY_SECONDS.unsigned_abs());
    Ok(LocalTime::read(connection, since)?.day(at))
}

/// The first second of a local day.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn start(connection: &Connection, day: LocalDay) -> rusqlite::Result<UnixSeconds> {
    let since = day.as_utc() - Duration::from_secs(2 * DAY_SECONDS.unsigned_abs());
    Ok(LocalTime::read(connection, since)?.start(day))
}

/// The working time before a moment, in seconds. `None` if nobody said when the team works.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn work_seconds_before(connection: &Connection, at: UnixSeconds) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT seconds_before + min(?1, closes_at) - opens_at FROM work_time
              WHERE opens_at <= ?1 ORDER BY opens_at DESC LIMIT 1",
        )?
        .query_row([at], |row| row.get(0))
        .optional()
}

/// A local day: the number of days since 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalDay(pub i64);

impl LocalDay {
    /// Midnight of the same day in UTC, for printing it.
    pub(crate) fn as_utc(self) -> UnixSeconds {
        UnixSeconds::new(self.0.saturating_mul(DAY_SECONDS))
    }

    /// The day of a text such as `2027-01-31`.
    pub(crate) fn parse(text: &str) -> Option<LocalDay> {
        let midnight = TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok()?;
        // Other spellings of a day, such as `20270131`, are not for addresses.
        let day = LocalDay(midnight.as_second().div_euclid(DAY_SECONDS));
        (day.to_string() == text).then_some(day)
    }

    /// The day after it.
    pub(crate) fn next(self) -> LocalDay {
        LocalDay(self.0.saturating_add(1))
    }

    /// The day before it.
    pub(crate) fn previous(self) -> LocalDay {
        LocalDay(self.0.saturating_sub(1))
    }
}

/// `2027-01-31`.
impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.as_utc(), "%Y-%m-%d"))
    }
}

/// The stored offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalTime(Vec<UtcOffset>);

impl LocalTime {
    /// Reads the offsets that hold at `since` or later.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn read(connection: &Connection, since: UnixSeconds) -> rusqlite::Result<LocalTime> {
        let mut statement = connection.prepare_cached(
            "SELECT valid_from, valid_to, seconds FROM utc_offsets WHERE valid_to > ?1 ORDER BY valid_from",
        )?;
        let offsets = statement.query_map([since], |row| {
            Ok(UtcOffset { valid_from: row.get(0)?, valid_to: row.get(1)?, seconds: row.get(2)? })
        })?;
        offsets.collect::<rusqlite::Result<_>>().map(LocalTime)
    }

    /// The local day of a time.
    pub(crate) fn day(&self, at: UnixSeconds) -> LocalDay {
        let later = self.0.partition_point(|offset| offset.valid_from <= at);
        // An empty table, which somebody emptied, means UTC.
        let offset = self.0.get(later.saturating_sub(1)).map_or(0, |offset| offset.seconds);
        LocalDay(at.later_by(offset).get().div_euclid(DAY_SECONDS))
    }

    /// The first second of a local day.
    pub(crate) fn start(&self, day: LocalDay) -> UnixSeconds {
        let midnight = day.as_utc();
        self.0
            .iter()
            .map(|offset| (offset, midnight.later_by(-offset.seconds).max(offset.valid_from)))
            .filter(|(offset, at)| *at < offset.valid_to)
            .map(|(_, at)| at)
            .min()
            .unwrap_or(midnight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::hours::WorkHours;
    use crate::store::migrations::tests::in_memory;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn rules(zone: &str, hours: &str) -> ReportRules {
        let work_hours = (!hours.is_empty()).then(|| WorkHours::parse(hours).unwrap());
        ReportRules { zone: ReportRules::zone(zone).unwrap(), work_hours }
    }

    fn one(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn rows_are_written_when_the_rules_change_and_not_again() {
        let connection = in_memory();
        let rows = "SELECT (SELECT count(*) FROM utc_offsets) * 100000 + (SELECT count(*) FROM work_time)";
        assert_eq!(one(&connection, rows), 100_000, "a new database counts in UTC");
        store(&connection, &rules("UTC", "")).unwrap();
        assert_eq!((one(&connection, rows), zone_name(&connection).unwrap().as_str()), (100_000, "UTC"));
        let berlin = rules("Europe/Berlin", "Mon 09:00-18:00");
        store(&connection, &berlin).unwrap();
        assert_eq!(one(&connection, rows), 22_102_661);
        let last = "SELECT seconds_before + seconds = (SELECT sum(seconds) FROM work_time)
                      FROM work_time ORDER BY opens_at DESC LIMIT 1";
        assert_eq!(one(&connection, last), 1);
        let before = one(&connection, "SELECT total_changes()");
        store(&connection, &berlin).unwrap();
        assert_eq!(one(&connection, "SELECT total_changes()"), before);
        connection.execute("UPDATE utc_offsets SET seconds = 1 WHERE valid_from > 0", []).unwrap();
        store(&connection, &berlin).unwrap();
        assert_eq!(one(&connection, "SELECT count(*) FROM utc_offsets WHERE seconds = 1"), 0, "repaired");
        store(&connection, &rules("UTC", "")).unwrap();
        assert_eq!(one(&connection, rows), 100_000);
        assert_eq!(one(&connection, "SELECT count(*) FROM mirror_info WHERE key = 'report.work_hours'"), 0);
    }

    #[test]
    fn a_day_is_read_as_it_is_written_and_in_no_other_way() {
        assert_eq!(LocalDay::parse("1970-01-02"), Some(LocalDay(1)));
        assert_eq!(LocalDay::parse("2027-01-31").map(|day| day.to_string()), Some("2027-01-31".into()));
        for no_day in
            ["", "2027-02-29", "20270131", "2027-1-31", "2027-01-31T00:00", "-009999-01-01", "today"]
        {
            assert_eq!(LocalDay::parse(no_day), None, "{no_day}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn days_are_those_of_the_zone(
            zone in prop::sample::select(vec!["Europe/Moscow", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo", "America/Havana"]),
            at in 1_200_000_000i64..1_900_000_000,
        ) {
            let (connection, rules) = (in_memory(), rules(zone, ""));
            store(&connection, &rules).unwrap();
            let local = LocalTime::read(&connection, UnixSeconds::new(at - 40 * DAY_SECONDS)).unwrap();
            let day = local.day(UnixSeconds::new(at));
            let civil = date(1970, 1, 1).saturating_add(jiff::Span::new().days(day.0));
            prop_assert_eq!(rules.zone.to_datetime(jiff::Timestamp::from_second(at).unwrap()).date(), civil);
            let start = local.start(day);
            prop_assert_eq!(Some(start), rules.start_of_day(civil));
            prop_assert_eq!((local.day(start), local.day(start - 1)), (day, LocalDay(day.0 - 1)));
        }
    }
}
