//! `[report]`: the time zone and the working hours of reports.

use super::keys::Keys;
use crate::policy::hours::{ReportRules, WorkHours};
use jiff::civil::Date;

pub(super) fn report(keys: &mut Keys) -> ReportRules {
    let zone = keys
        .optional("report.timezone", "a time zone's IANA name, such as \"Europe/Moscow\"", |found| {
            ReportRules::zone(found.string()?.trim())
        })
        .unwrap_or(ReportRules::default().zone);
    let expected = "days and times, such as \"Mon-Fri 09:00-18:00, Sat 10:00-15:00\"";
    let mut work_hours = keys
        .optional("report.work_hours", expected, |found| match found.string()?.trim() {
            "" => Some(None),
            text => WorkHours::parse(text).ok().map(Some),
        })
        .flatten();
    let hours_expected = expected;
    let expected = "a list of days, such as [\"2027-01-01\"]";
    let mut has_holidays = false;
    for text in keys.string_list("report.holidays", expected) {
        match text.parse::<Date>() {
            // Other forms of the crate's.
            Ok(day) if day.to_string() == text => {
                has_holidays = true;
                if let Some(work_hours) = &mut work_hours {
                    work_hours.holidays.insert(day);
                }
            }
            _ => keys.mistake("report.holidays", expected, &format!("{text:?}")),
        }
    }
    if has_holidays && work_hours.is_none() && !keys.has_mistake("report.work_hours") {
        keys.mistake("report.work_hours", &format!("{hours_expected}, as report.holidays is set"), "nothing");
    }
    ReportRules { zone, work_hours }
}

#[cfg(test)]
mod tests {
    use super::super::Needs;
    use super::super::tests::{load, mistakes};

    const REPORT: &str =
        "[api]\nbase_url = \"https://example.amocrm.ru\"\ntoken_file = \"token\"\n[report]\n";

    #[test]
    fn days_are_utc_and_nobody_said_when_the_team_works_by_default() {
        let rules = load(REPORT, Needs::Api).unwrap().report;
        assert_eq!((rules.zone_name(), &rules.work_hours), ("UTC", &None));
        let text =
            "timezone = \"Asia/Kathmandu\"\nwork_hours = \"Mon-Tue 9:00-18:00\"\nholidays = [\"2027-01-01\"]";
        let rules = load(&format!("{REPORT}{text}"), Needs::Api).unwrap().report;
        assert_eq!(rules.zone_name(), "Asia/Kathmandu");
        let work_hours = rules.work_hours.unwrap();
        assert_eq!(work_hours.to_string(), "Mon 09:00-18:00, Tue 09:00-18:00");
        assert_eq!(work_hours.holidays.first().unwrap().to_string(), "2027-01-01");
    }

    #[test]
    fn a_wrong_zone_time_or_day_is_named() {
        let zone = "report.timezone: expected a time zone's IANA name, such as \"Europe/Moscow\", found";
        let hours =
            "report.work_hours: expected days and times, such as \"Mon-Fri 09:00-18:00, Sat 10:00-15:00\"";
        let days = "report.holidays: expected a list of days, such as [\"2027-01-01\"], found";
        for (text, mistake) in [
            ("timezone = \"MSK\"", format!("{zone} \"MSK\"")),
            ("timezone = 3", format!("{zone} 3")),
            ("work_hours = \"9-18\"", format!("{hours}, found \"9-18\"")),
            (
                "work_hours = \"Mon 09:00-18:00\"\nholidays = [\"01.01.2027\"]",
                format!("{days} \"01.01.2027\""),
            ),
            (
                "work_hours = \"Mon 09:00-18:00\"\nholidays = [\"2027-02-29\"]",
                format!("{days} \"2027-02-29\""),
            ),
            ("holidays = [\"2027-01-01\"]", format!("{hours}, as report.holidays is set, found nothing")),
        ] {
            assert_eq!(mistakes(&format!("{REPORT}{text}")), [format!("config.toml: {mistake}")], "{text}");
        }
    }
}
