//! Cron expressions of six fields, seconds first; UTC.

/// Places in a cron expression.
const DAY_OF_MONTH: usize = 3;
const DAY_OF_WEEK: usize = 5;

/// The expressions whose ticks together are those of a cron schedule. If both the day of the month and the day of
/// the week are restricted, either one is enough, as in crontab(5); the parser of tokio-cron-scheduler wants both.
pub fn either_day(schedule: &str) -> Vec<String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    // A leading + is the parser's own way to ask for both.
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

/// The first moment of a cron schedule after `now`, in Unix seconds; `None` if it is wrong or never comes.
pub fn next_tick(schedule: &str, now: i64) -> Option<i64> {
    // As tokio-cron-scheduler reads it.
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Required)
        .dom_and_dow(true)
        .build();
    parser.parse(schedule).ok()?;
    let now = chrono::DateTime::from_timestamp(now, 0)?;
    let next = |schedule: String| {
        let cron = parser.parse(&schedule).ok()?;
        Some(cron.find_next_occurrence(&now, false).ok()?.timestamp())
    };
    either_day(schedule).into_iter().filter_map(next).min()
}
