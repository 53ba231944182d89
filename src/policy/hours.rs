//! `[report]`: the time zone and the working hours by which people count days and waiting.
//!
//! SQLite knows no time zones. So the mirror keeps what follows from these rules as rows: offsets from UTC, and the times of
//! work. This computes them, and counts working time in the same way.

use crate::clock::UnixSeconds;
use jiff::civil::{Date, Time, Weekday, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// The years whose offsets from UTC are kept. Before and after them the first and the last offset hold.
const OFFSET_YEARS: (i16, i16) = (1990, 2100);
/// The days whose working hours are kept: no talk is older, and none is so new for long.
const FIRST_WORK_DAY: Date = date(2010, 1, 1);
const LAST_WORK_DAY: Date = date(2060, 12, 31);
/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Working time is summed backwards by so many days at a time.
const BLOCK_DAYS: i64 = 32;

/// `report.timezone`, `report.work_hours` and `report.holidays`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "WrittenRules", try_from = "WrittenRules")]
pub struct ReportRules {
    /// The zone of days and of working hours.
    pub zone: TimeZone,
    /// `None`: nobody said when the team works.
    pub work_hours: Option<WorkHours>,
}

/// When the team works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkHours {
    /// From Monday to Sunday: minutes after midnight. An end above a day is on the next one.
    week: [Vec<(u16, u16)>; 7],
    /// Nobody begins to work on these days.
    pub holidays: BTreeSet<Date>,
}

/// [`ReportRules`], as they are written in the database.
#[derive(serde::Serialize, serde::Deserialize)]
struct WrittenRules {
    timezone: String,
    work_hours: Option<String>,
    holidays: Vec<String>,
}

impl From<ReportRules> for WrittenRules {
    fn from(rules: ReportRules) -> WrittenRules {
        let holidays = rules.work_hours.iter().flat_map(|hours| &hours.holidays);
        WrittenRules {
            timezone: rules.zone_name().to_owned(),
            holidays: holidays.map(ToString::to_string).collect(),
            work_hours: rules.work_hours.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<WrittenRules> for ReportRules {
    type Error = &'static str;

    fn try_from(written: WrittenRules) -> Result<ReportRules, &'static str> {
        let WrittenRules { timezone, work_hours, holidays } = written;
        let zone = ReportRules::zone(&timezone).ok_or("no such time zone")?;
        let mut work_hours = work_hours
            .map(|text| WorkHours::parse(&text))
            .transpose()
            .map_err(|NoWorkHours| "no working hours")?;
        for day in holidays {
            let day = day.parse().map_err(|_| "no day")?;
            if let Some(work_hours) = &mut work_hours {
                work_hours.holidays.insert(day);
            }
        }
        Ok(ReportRules { zone, work_hours })
    }
}

/// A stretch of time with one offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcOffset {
    /// Its first second.
    pub valid_from: UnixSeconds,
    /// The first second after it.
    pub valid_to: UnixSeconds,
    /// Local time less UTC.
    pub seconds: i64,
}

/// A stretch of working time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// The local day on which it begins.
    pub day: Date,
    /// Its first second.
    pub opens_at: UnixSeconds,
    /// The first second after it.
    pub closes_at: UnixSeconds,
}

impl Default for ReportRules {
    fn default() -> ReportRules {
        ReportRules { zone: TimeZone::UTC, work_hours: None }
    }
}

impl Shift {
    /// Its length in seconds.
    pub fn seconds(&self) -> i64 {
        self.closes_at.seconds_since(self.opens_at)
    }
}

impl ReportRules {
    /// The zone of an IANA name, such as `Europe/Moscow`. `None` if there is none.
    pub fn zone(name: &str) -> Option<TimeZone> {
        // Other files in the system's folder of zones: this machine's own zone, and copies with leap seconds.
        let is_other =
            |name: &str| ["localtime", "posix", "right/"].iter().any(|other| name.starts_with(other));
        // Some systems have no old names, such as Europe/Kiev, or lose them with an update. A start is not to fail for that.
        let zone = TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).ok()?;
        let is_zone = zone.iana_name().is_some_and(|name| !is_other(name));
        is_zone.then_some(zone)
    }

    /// The IANA name of the zone.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The offsets of the zone, without a gap.
    pub fn utc_offsets(&self) -> Vec<UtcOffset> {
        let [first, end] = [OFFSET_YEARS.0, OFFSET_YEARS.1]
            .map(|year| TimeZone::UTC.to_timestamp(date(year, 1, 1).at(0, 0, 0, 0)).unwrap_or_default());
        let mut offsets = vec![UtcOffset {
            valid_from: UnixSeconds::MIN,
            valid_to: UnixSeconds::MAX,
            seconds: self.zone.to_offset(first).seconds().into(),
        }];
        for change in self.zone.following(first).take_while(|change| change.timestamp() < end) {
            let (at, seconds) = (unix(change.timestamp()), i64::from(change.offset().seconds()));
            if let Some(last) = offsets.last_mut().filter(|last| last.seconds != seconds) {
                last.valid_to = at;
                offsets.push(UtcOffset { valid_from: at, valid_to: UnixSeconds::MAX, seconds });
            }
        }
        offsets
    }

    /// The first second of a local day.
    pub fn start_of_day(&self, day: Date) -> Option<UnixSeconds> {
        self.at(day, 0)
    }

    /// All shifts that are kept, in order. Empty without `work_hours`.
    pub fn shifts(&self) -> Vec<Shift> {
        self.shifts_between(FIRST_WORK_DAY, LAST_WORK_DAY)
    }

    /// The working time from one moment to another, in seconds; negative if that is earlier. `None` without `work_hours`.
    pub fn work_seconds(&self, from: UnixSeconds, to: UnixSeconds) -> Option<i64> {
        self.work_hours.as_ref()?;
        if to < from {
            return self.work_seconds(to, from).map(|seconds| -seconds);
        }
        let shifts = self.shifts_between(self.day_before(from), self.day_before(to).saturating_add(1.day()));
        let within = |shift: Shift| shift.closes_at.min(to).seconds_since(shift.opens_at.max(from)).max(0);
        Some(shifts.into_iter().map(within).sum())
    }

    /// What happened before this is longer ago than `length` of working time, and what happened since is not. `None` without
    /// `work_hours`.
    pub fn before_work_time(&self, now: UnixSeconds, length: Duration) -> Option<UnixSeconds> {
        self.work_hours.as_ref()?;
        let mut left = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        let mut until = self.day_before(now).saturating_add(1.day());
        while until >= FIRST_WORK_DAY {
            let from = until.saturating_sub((BLOCK_DAYS - 1).days());
            for shift in self.shifts_between(from, until).into_iter().rev() {
                let closes_at = shift.closes_at.min(now);
                let seconds = closes_at.seconds_since(shift.opens_at);
                if seconds > left {
                    return Some(closes_at.later_by(-left));
                }
                left -= seconds.max(0);
            }
            until = from.saturating_sub(1.day());
        }
        Some(UnixSeconds::MIN)
    }

    /// The shifts of a day and of those before it.
    #[cfg(test)]
    pub(crate) fn shifts_of_days_before(&self, at: UnixSeconds, days: i64) -> Vec<Shift> {
        let today = self.day_before(at).saturating_add(1.day());
        self.shifts_between(today.saturating_sub(days.days()), today)
    }

    /// The local day before that of a time. Its shifts may still last.
    fn day_before(&self, at: UnixSeconds) -> Date {
        let at = Timestamp::from_second(at.get()).unwrap_or(match at.get() {
            ..0 => Timestamp::MIN,
            0.. => Timestamp::MAX,
        });
        self.zone.to_datetime(at).date().saturating_sub(1.day())
    }

    /// The shifts that begin on these local days, in order and without an overlap.
    fn shifts_between(&self, first: Date, last: Date) -> Vec<Shift> {
        let Some(WorkHours { week, holidays }) = &self.work_hours else { return Vec::new() };
        let (first, last) = (first.max(FIRST_WORK_DAY), last.min(LAST_WORK_DAY));
        let mut shifts: Vec<Shift> = Vec::new();
        // One of the day before may last into the first day.
        let mut day = first.saturating_sub(1.day()).max(FIRST_WORK_DAY);
        while day <= last {
            let hours = &week[day.weekday().to_monday_zero_offset().unsigned_abs() as usize];
            for (from, to) in hours.iter().filter(|_| !holidays.contains(&day)) {
                let (Some(opens_at), Some(closes_at)) = (self.at(day, *from), self.at(day, *to)) else {
                    continue;
                };
                let opens_at = shifts.last().map_or(opens_at, |last| last.closes_at.max(opens_at));
                // An hour that the clocks skip is none of work.
                if opens_at < closes_at {
                    shifts.push(Shift { day, opens_at, closes_at });
                }
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        shifts.retain(|shift| shift.day >= first);
        shifts
    }

    /// So many minutes after the midnight with which a local day begins, by the clock on the wall. A time that the clocks skip
    /// is the moment at which they do.
    fn at(&self, day: Date, minute: u16) -> Option<UnixSeconds> {
        let day = day.checked_add(i64::from(minute / DAY).days()).ok()?;
        let minute = i8::try_from(minute % DAY / 60).ok().zip(i8::try_from(minute % 60).ok())?;
        let local = day.to_datetime(Time::new(minute.0, minute.1, 0, 0).ok()?);
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let at = match ambiguous.offset() {
            jiff::tz::AmbiguousOffset::Gap { .. } => {
                let later = ambiguous.later().ok()?;
                self.zone.preceding(later.saturating_add(1.second()).ok()?).next()?.timestamp()
            }
            _ => ambiguous.earlier().ok()?,
        };
        Some(unix(at))
    }
}

fn unix(at: Timestamp) -> UnixSeconds {
    UnixSeconds::new(at.as_second())
}

/// Why a text is no working hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoWorkHours;

impl WorkHours {
    /// Parses `Mon-Fri 09:00-18:00, Sat 10:00-15:00`: parts with days and one or more times of each.
    ///
    /// # Errors
    /// If it is written otherwise.
    pub fn parse(text: &str) -> Result<WorkHours, NoWorkHours> {
        let mut week: [Vec<(u16, u16)>; 7] = Default::default();
        for part in text.split(',') {
            let mut words = part.split_whitespace();
            let days = days(words.next().ok_or(NoWorkHours)?)?;
            let times = words.map(times).collect::<Result<Vec<_>, _>>()?;
            if times.is_empty() {
                return Err(NoWorkHours);
            }
            for day in days {
                week[day].extend(&times);
            }
        }
        week.iter_mut().for_each(|hours| hours.sort_unstable());
        Ok(WorkHours { week, holidays: BTreeSet::new() })
    }
}

/// `Mon` or `Sat-Mon`: places in the week from Monday on.
fn days(text: &str) -> Result<Vec<usize>, NoWorkHours> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + 7 - first) % 7 + 1;
    Ok((0..count).map(|nth| (first + nth) % 7).collect())
}

fn day(text: &str) -> Result<usize, NoWorkHours> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_ascii_lowercase();
    DAYS.iter().position(|day| text == *day || text == day[..3]).ok_or(NoWorkHours)
}

/// `09:00-18:00`. An end that is not after the start is on the next day.
fn times(text: &str) -> Result<(u16, u16), NoWorkHours> {
    let (from, to) = text.split_once('-').ok_or(NoWorkHours)?;
    match (minute(from)?, minute(to)?) {
        (DAY, _) => Err(NoWorkHours),
        (from, to) if from == to => Err(NoWorkHours),
        (from, to) if to < from => Ok((from, to + DAY)),
        times => Ok(times),
    }
}

/// `09:00`, up to `24:00`.
fn minute(text: &str) -> Result<u16, NoWorkHours> {
    let (hours, minutes) = text.split_once(':').ok_or(NoWorkHours)?;
    let number = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<u16>().map_err(|_| NoWorkHours)
        }
        _ => Err(NoWorkHours),
    };
    match (number(hours)?, number(minutes)?) {
        (24, 0) => Ok(DAY),
        (hours @ ..24, minutes @ ..60) => Ok(hours * 60 + minutes),
        _ => Err(NoWorkHours),
    }
}

/// As it is read, in one form.
impl fmt::Display for WorkHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (place, hours) in self.week.iter().enumerate().filter(|(_, hours)| !hours.is_empty()) {
            let day = i8::try_from(place).ok().and_then(|place| Weekday::from_monday_zero_offset(place).ok());
            write!(f, "{separator}{:.3}", day.map(|day| format!("{day:?}")).unwrap_or_default())?;
            for (from, to) in hours {
                let to = if *to > DAY { to - DAY } else { *to };
                write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
            }
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
