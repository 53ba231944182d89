//! Cron expressions of six fields, seconds first; UTC.

use crate::clock::UnixSeconds;

/// Indexes of fields in a cron expression.
const DAY_OF_MONTH: usize = 3;
const DAY_OF_WEEK: usize = 5;

/// The expressions that together have the ticks of a cron schedule. If both the day of the month and the day of the
/// week are restricted, either is enough, as in crontab(5). The parser of tokio-cron-scheduler requires both.
pub(crate) fn either_day(schedule: &str) -> Vec<String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    // A leading + is the parser's own syntax to require both.
    let is_restricted = |field: Option<&&str>| field.is_some_and(|field| !field.starts_with(['*', '?', '+']));
    if !is_restricted(fields.get(DAY_OF_MONTH)) || !is_restricted(fields.get(DAY_OF_WEEK)) {
        return vec![schedule.to_owned()];
    }
    [DAY_OF_MONTH, DAY_OF_WEEK]
        .into_iter()
        .map(|any| {
            let mut fields = fields.clone();
            fields[any] = "*";
            fields.join(" ")
        })
        .collect()
}

/// The first tick of a cron schedule after `now`. `None` if it is invalid or never ticks.
pub(crate) fn next_tick(schedule: &str, now: UnixSeconds) -> Option<UnixSeconds> {
    // Configured like tokio-cron-scheduler's parser.
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Required)
        .dom_and_dow(true)
        .build();
    parser.parse(schedule).ok()?;
    let now = chrono::DateTime::from_timestamp(now.get(), 0)?;
    let next = |schedule: String| {
        let cron = parser.parse(&schedule).ok()?;
        Some(UnixSeconds::new(cron.find_next_occurrence(&now, false).ok()?.timestamp()))
    };
    either_day(schedule).into_iter().filter_map(next).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_ticks_in_utc() {
        let now = UnixSeconds::new(1_700_000_000);
        assert_eq!(next_tick("0 */5 * * * *", now), Some(now + 100));
        assert_eq!(next_tick("* * * * * *", now), Some(now + 1));
        let epoch = UnixSeconds::EPOCH;
        assert_eq!(next_tick("0 30 3 * * *", epoch), Some(epoch + 3 * 3600 + 30 * 60));
    }

    #[test]
    fn of_two_restricted_days_either_is_enough_as_in_crontab() {
        // 2023-11-14 22:13:20 UTC, a Tuesday.
        let now = UnixSeconds::new(1_700_000_000);
        let day = |schedule: &str| next_tick(schedule, now).map(|at| at.seconds_since(now) / 86_400 + 14);
        assert_eq!(day("0 0 3 1,20 * THU"), Some(15), "the Thursday is the 16th: it is 28 h 46 min away");
        assert_eq!(day("0 0 3 15 * SUN"), Some(14), "the 15th, 4 h 46 min away");
        assert_eq!(day("0 0 3 1,15 * *"), Some(14));
        assert_eq!(day("0 0 3 * * MON"), Some(19));
        assert_eq!(day("0 0 3 ? * MON"), Some(19));
        assert_eq!(
            day("0 0 3 */2 * MON"),
            Some(26),
            "what begins with * restricts nothing: an odd day, and a Monday"
        );
        assert_eq!(day("0 0 3 30 2 MON"), Some(14 + 82), "the first Monday of February");
        assert_eq!(next_tick("0 0 3 30 2 *", now), None);
        assert_eq!(next_tick("0 0 3 32 * MON", now), None, "both must be right");
        assert_eq!(either_day("0  0 3 1 * MON"), ["0 0 3 * * MON", "0 0 3 1 * *"]);
        assert_eq!(either_day("0 0 3 13 * +FRI"), ["0 0 3 13 * +FRI"]);
    }

    const CRON: &[&str] = &[
        "0 */5 * * * *",
        "0 0 3 1,15 * MON",
        "30 0-59/10 8-18 L * MON-FRI",
        "0 0 0 30 2 *",
        "0 0 12 1W 1 ?",
        "0 0 0 * * MON#5,FRI#L",
        "@daily",
    ];

    proptest::proptest! {
        #[test]
        fn a_spoilt_schedule_ticks_later_than_now_or_never(schedule in crate::mutated::mutated_text(CRON), now in 0..4_000_000_000_i64) {
            let now = UnixSeconds::new(now);
            if let Some(tick) = next_tick(&schedule, now) {
                proptest::prop_assert!(tick > now);
                // The scheduler accepts what is accepted here.
                for cron in either_day(&schedule).iter().filter(|cron| next_tick(cron, now).is_some()) {
                    let job = tokio_cron_scheduler::Job::new_async(cron.as_str(), |_, _| Box::pin(std::future::ready(())));
                    proptest::prop_assert!(job.is_ok(), "{cron}");
                }
            }
        }
    }
}
