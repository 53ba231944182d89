use super::*;
use proptest::prelude::*;

fn rules(zone: &str, hours: &str) -> ReportRules {
    let work_hours = (!hours.is_empty()).then(|| WorkHours::parse(hours).unwrap());
    ReportRules { zone: ReportRules::zone(zone).unwrap(), work_hours }
}

fn utc(text: &str) -> UnixSeconds {
    UnixSeconds::new(text.parse::<Timestamp>().unwrap().as_second())
}

/// The shifts that open from a day on, as `day: opens, hours`.
fn shifts(rules: &ReportRules, from: Date, days: i64) -> Vec<String> {
    let to = from.saturating_add((days - 1).days());
    let shifts = rules.shifts_between(from, to);
    let text = |shift: &Shift| {
        let opens = Timestamp::from_second(shift.opens_at.get()).unwrap();
        format!("{}: {}, {} min", shift.day, opens.strftime("%d %H:%M"), shift.seconds() / 60)
    };
    shifts.iter().map(text).collect()
}

#[test]
fn work_hours_are_read_as_people_write_them() {
    let read = |text: &str| WorkHours::parse(text).map(|hours| hours.to_string());
    assert_eq!(read("Mon-Tue 09:00-18:00").unwrap(), "Mon 09:00-18:00, Tue 09:00-18:00");
    assert_eq!(
        read(" sat-MONDAY 9:00-13:00   14:00-18:30 , Wed 22:00-6:00").unwrap(),
        "Mon 09:00-13:00 14:00-18:30, Wed 22:00-06:00, Sat 09:00-13:00 14:00-18:30, Sun 09:00-13:00 14:00-18:30"
    );
    assert_eq!(read("Sun 00:00-24:00").unwrap(), "Sun 00:00-24:00");
    for wrong in [
        "",
        "Mon",
        "09:00-18:00",
        "Mon 09:00",
        "Mon 09:00-09:00",
        "Mon 9-18",
        "Mon 24:00-25:00",
        "Mon 09:60-18:00",
        "Mo 09:00-18:00",
        "Mon-Fri 09:00-18:00,",
        "Mon- 09:00-18:00",
        "Пн 09:00-18:00",
        "Mon 24:00-08:00",
        "Mon +9:00-18:00",
        "Mon 09:00-18:00 Tue 09:00-18:00",
    ] {
        assert_eq!(read(wrong), Err(NoWorkHours), "{wrong}");
    }
}

#[test]
fn only_names_of_the_iana_database_are_zones() {
    for name in ["Europe/Moscow", "Asia/Kathmandu", "America/Sao_Paulo", "UTC", "Etc/GMT-3"] {
        assert!(ReportRules::zone(name).is_some(), "{name}");
    }
    for name in [
        "",
        "Moscow",
        "+03:00",
        "../../etc/passwd",
        "Europe/Moscow\n",
        "localtime",
        "right/Europe/Moscow",
        "Right/Europe/Moscow",
        "LOCALTIME",
        "MSK",
    ] {
        assert!(ReportRules::zone(name).is_none(), "{name}");
    }
}

#[test]
fn offsets_follow_a_zone_that_changed_its_rules_and_cover_all_time() {
    let moscow = rules("Europe/Moscow", "").utc_offsets();
    let at = |offsets: &[UtcOffset], time: &str| {
        let time = utc(time);
        offsets.iter().find(|offset| (offset.valid_from..offset.valid_to).contains(&time)).unwrap().seconds
            / 60
    };
    assert_eq!(
        [
            "2010-01-01T00:00:00Z",
            "2010-07-01T00:00:00Z",
            "2012-01-01T00:00:00Z",
            "2014-10-25T21:59:59Z",
            "2014-10-25T22:00:00Z",
            "2026-11-30T00:00:00Z",
            "2099-07-01T00:00:00Z"
        ]
        .map(|time| at(&moscow, time)),
        [180, 240, 240, 240, 180, 180, 180]
    );
    let (kathmandu, utc) = (rules("Asia/Kathmandu", "").utc_offsets(), rules("UTC", "").utc_offsets());
    assert_eq!((kathmandu.len(), kathmandu[0].seconds), (1, 5 * 3600 + 45 * 60));
    assert_eq!((utc.len(), utc[0].seconds), (1, 0));
    let berlin = rules("Europe/Berlin", "").utc_offsets();
    assert_eq!(berlin.len(), 221, "two a year");
    for offsets in [moscow, kathmandu, berlin] {
        assert_eq!(offsets[0].valid_from, UnixSeconds::MIN);
        assert_eq!(offsets.last().unwrap().valid_to, UnixSeconds::MAX);
        assert!(offsets.windows(2).all(|pair| pair[0].valid_to == pair[1].valid_from));
    }
}

#[test]
fn a_day_begins_at_midnight_or_when_the_clocks_skip_it() {
    let start = |zone: &str, day: Date| {
        Timestamp::from_second(rules(zone, "").start_of_day(day).unwrap().get()).unwrap().to_string()
    };
    assert_eq!(start("Asia/Kathmandu", date(2026, 11, 30)), "2026-11-29T18:15:00Z");
    assert_eq!(start("America/Sao_Paulo", date(2018, 11, 4)), "2018-11-04T03:00:00Z", "there is no midnight");
    assert_eq!(start("America/Havana", date(2025, 11, 2)), "2025-11-02T04:00:00Z", "there are two");
}

#[test]
fn a_shift_has_the_length_that_the_clocks_leave_it() {
    let berlin = rules("Europe/Berlin", "Sat 22:00-06:00");
    // Forward on 2026-03-29, back on 2026-10-25, both Sundays.
    assert_eq!(shifts(&berlin, date(2026, 3, 22), 8), ["2026-03-28: 28 21:00, 420 min"]);
    assert_eq!(shifts(&berlin, date(2026, 10, 24), 1), ["2026-10-24: 24 20:00, 540 min"]);
    // From or to an hour that is skipped.
    let early = rules("Europe/Berlin", "Sun 02:30-04:00, Sun 01:00-02:15");
    assert_eq!(
        shifts(&early, date(2026, 3, 29), 1),
        ["2026-03-29: 29 00:00, 60 min", "2026-03-29: 29 01:00, 60 min"]
    );
    assert_eq!(shifts(&rules("Europe/Berlin", "Sun 02:10-02:50"), date(2026, 3, 29), 1), [""; 0]);
    let kathmandu = rules("Asia/Kathmandu", "Mon-Sun 00:00-24:00");
    assert_eq!(
        shifts(&kathmandu, date(2026, 11, 30), 2),
        ["2026-11-30: 29 18:15, 1440 min", "2026-12-01: 30 18:15, 1440 min"]
    );
}

#[test]
fn shifts_do_not_overlap_and_nobody_begins_on_a_holiday() {
    let mut rules = rules("UTC", "Fri-Sat 20:00-10:00, Sat 08:00-22:00");
    assert_eq!(
        shifts(&rules, date(2026, 11, 27), 3),
        ["2026-11-27: 27 20:00, 840 min", "2026-11-28: 28 10:00, 720 min", "2026-11-28: 28 22:00, 720 min"]
    );
    rules.work_hours.as_mut().unwrap().holidays.insert(date(2026, 11, 28));
    assert_eq!(shifts(&rules, date(2026, 11, 27), 3), ["2026-11-27: 27 20:00, 840 min"]);
    let all = rules.shifts();
    assert!((7_900..8_000).contains(&all.len()), "{}", all.len());
    assert!(all.windows(2).all(|pair| pair[0].closes_at <= pair[1].opens_at));
}

#[test]
fn working_time_passes_only_while_people_work() {
    let rules = rules("Europe/Moscow", "Mon-Fri 09:00-18:00");
    let work = |from, to| rules.work_seconds(utc(from), utc(to)).unwrap() / 60;
    // 2026-11-27 is a Friday. Moscow is three hours ahead.
    assert_eq!(work("2026-11-27T14:00:00Z", "2026-11-27T14:59:00Z"), 59);
    assert_eq!(work("2026-11-27T14:00:00Z", "2026-11-30T06:00:00Z"), 60);
    assert_eq!(work("2026-11-27T14:00:00Z", "2026-11-30T06:01:00Z"), 61);
    assert_eq!(work("2026-11-28T14:00:00Z", "2026-11-29T14:00:00Z"), 0);
    assert_eq!(work("2026-11-30T06:01:00Z", "2026-11-27T14:00:00Z"), -61);
    let before = |hours: u64| {
        let at =
            rules.before_work_time(utc("2026-11-30T07:00:00Z"), Duration::from_secs(hours * 3600)).unwrap();
        Timestamp::from_second(at.get()).unwrap().to_string()
    };
    assert_eq!(before(0), "2026-11-30T07:00:00Z");
    assert_eq!(
        before(1),
        "2026-11-27T15:00:00Z",
        "the end of the last shift: since then just an hour passed"
    );
    assert_eq!(before(2), "2026-11-27T14:00:00Z");
    let never = rules.before_work_time(utc("2026-11-30T07:00:00Z"), Duration::from_secs(u64::MAX));
    assert_eq!(never, Some(UnixSeconds::MIN));
    assert_eq!(ReportRules::default().work_seconds(UnixSeconds::EPOCH, UnixSeconds::MAX), None);
}

fn any_rules() -> impl Strategy<Value = ReportRules> {
    let zone = prop::sample::select(vec![
        "Europe/Moscow",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "UTC",
    ]);
    let hours = prop::sample::select(vec![
        "Mon-Fri 09:00-18:00",
        "Mon-Sun 00:00-24:00",
        "Sun 02:30-02:45 01:30-03:30",
        "Fri-Mon 22:00-06:00 05:00-07:00",
    ]);
    (zone, hours, prop::collection::btree_set(0i64..2000, 0..20)).prop_map(|(zone, hours, holidays)| {
        let mut rules = rules(zone, hours);
        let holidays = holidays.into_iter().map(|days| date(2009, 12, 30).saturating_add(days.days()));
        rules.work_hours.as_mut().unwrap().holidays.extend(holidays);
        rules
    })
}

proptest! {
    #[test]
    fn rules_that_are_written_are_read_the_same(rules in any_rules()) {
        let written = serde_json::to_string(&rules).unwrap();
        prop_assert_eq!(serde_json::from_str::<ReportRules>(&written).unwrap(), rules);
    }

    #[test]
    fn what_was_before_the_bound_is_longer_ago_in_working_time(
        rules in any_rules(), now in 1_262_000_000i64..1_400_000_000, length in 0u64..400 * 3600, around in -200_000i64..200_000,
    ) {
        let now = UnixSeconds::new(now);
        let bound = rules.before_work_time(now, Duration::from_secs(length)).unwrap();
        for at in [bound, bound.later_by(-1), bound.later_by(1), now.later_by(around)] {
            let passed = rules.work_seconds(at, now).unwrap();
            prop_assert_eq!(at < bound, passed > length as i64, "{} {}", at, passed);
        }
    }

    #[test]
    fn working_time_adds_up(rules in any_rules(), times in prop::array::uniform3(1_262_000_000i64..1_500_000_000)) {
        let [a, b, c] = times.map(UnixSeconds::new);
        let work = |from, to| rules.work_seconds(from, to).unwrap();
        prop_assert_eq!(work(a, b) + work(b, c), work(a, c));
        let within = |shift: &Shift| shift.closes_at.min(a.max(b)).seconds_since(shift.opens_at.max(a.min(b))).max(0);
        prop_assert_eq!(work(a.min(b), a.max(b)), rules.shifts().iter().map(within).sum::<i64>());
    }

    #[test]
    fn spoilt_work_hours_are_refused_or_read_the_same_again(
        text in crate::mutated::mutated_text(&["Mon-Fri 09:00-18:00, Sat 10:00-15:00", "Sun 22:00-24:00", "Wed 23:00-07:30 12:00-13:00"]),
    ) {
        if let Ok(hours) = WorkHours::parse(&text) {
            prop_assert_eq!(WorkHours::parse(&hours.to_string()), Ok(hours));
        }
    }
}
