use super::*;
use crate::policy::hours::WorkHours;
use crate::talk::tests::open_talk;
use proptest::prelude::*;

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
const DAY: i64 = 86_400;

pub(crate) fn rules() -> StaleRules {
    StaleRules {
        stale_after: Duration::from_secs(DAY as u64),
        quiet_for: Duration::from_secs(900),
        only_origins: Vec::new(),
        except_origins: Vec::new(),
        work_time: None,
    }
}

/// A talk that is stale by a second under [`rules`] at `now`.
pub(crate) fn just_stale(now: UnixSeconds) -> Talk {
    Talk {
        updated_at: now - 901,
        is_read: Some(false),
        origin: Some("telegram".into()),
        missed_at: Some(now - DAY - 1),
        ..open_talk(1, now - 3 * DAY)
    }
}

fn for_seconds(seconds: i64) -> MissedFor {
    MissedFor { seconds, work_seconds: None }
}

fn verdict(change: impl FnOnce(&mut Talk)) -> Verdict {
    let mut talk = just_stale(NOW);
    change(&mut talk);
    stale(&talk, Reach::default(), NOW, &rules())
}

#[test]
fn a_talk_missed_and_quiet_for_a_second_more_than_wanted_is_stale() {
    assert_eq!(verdict(|_| {}), Verdict::Stale { missed_for: for_seconds(DAY + 1), quiet_for: 901 });
}

#[test]
fn missed_exactly_as_long_ago_is_kept() {
    let kept = verdict(|talk| talk.missed_at = Some(NOW - DAY));
    assert_eq!(
        kept,
        Verdict::Kept(KeptReason::MissedLately { missed_for: for_seconds(DAY), stale_after: DAY })
    );
    assert_eq!(verdict(|talk| talk.missed_at = None), Verdict::Kept(KeptReason::NotMissed));
    assert!(verdict(|talk| talk.missed_at = Some(NOW + 5)).to_string().contains("future"));
}

#[test]
fn in_work_time_nights_and_weekends_do_not_count() {
    let report = |hours: &str| {
        Some(Arc::new(ReportRules { work_hours: WorkHours::parse(hours).ok(), ..ReportRules::default() }))
    };
    let rules = StaleRules {
        stale_after: Duration::from_secs(9 * 3600),
        work_time: report("Mon-Fri 09:00-18:00"),
        ..rules()
    };
    // 2023-11-13 17:00 UTC, a Monday.
    let missed_at = UnixSeconds::new(1_699_894_800);
    let talk = Talk { missed_at: Some(missed_at), updated_at: missed_at, ..just_stale(NOW) };
    let at = |later| stale(&talk, Reach::default(), missed_at + later, &rules);
    // An hour on Monday, and eight on Tuesday.
    let just = 24 * 3600;
    assert_eq!(at(just).to_string(), "missed 24 h ago (9 h of work): not over 9 h yet");
    assert_eq!(at(just + 1).to_string(), "stale: missed 24 h ago (9 h of work), unchanged for 24 h");
    assert_eq!(rules.missed_before(missed_at + just), missed_at);
    assert_eq!(rules.missed_before(missed_at + just + 1), missed_at + 1);
    assert_eq!(rules.to_string(), "missed for over 9h of work and unchanged for over 15m");
    // Other hours may count more, and none count all.
    let with = |work_time| StaleRules { work_time, ..rules.clone() };
    assert!(with(None).wider_than(&rules) && with(report("Mon 09:00-18:00")).wider_than(&rules));
    assert!(!rules.wider_than(&rules) && !rules.wider_than(&with(None)));
}

#[test]
fn changed_exactly_as_long_ago_is_kept() {
    let kept = verdict(|talk| talk.updated_at = NOW - 900);
    assert_eq!(kept, Verdict::Kept(KeptReason::ChangedLately { quiet_for: 900, wanted: 900 }));
    assert!(verdict(|talk| talk.updated_at = NOW + 5).to_string().contains("future"));
}

#[test]
fn only_an_open_talk_is_stale_whatever_closed_it() {
    assert_eq!(verdict(|talk| talk.is_in_work = false), Verdict::Kept(KeptReason::Closed));
    for status in ["", "in_work", "with_error"] {
        assert!(verdict(|talk| talk.status = Some(status.into())).is_stale(), "{status}");
    }
    for status in ["closed", "nps_scheduled", "nps_in_progress", "anything"] {
        assert!(!verdict(|talk| talk.status = Some(status.into())).is_stale(), "{status}");
    }
    let talk = just_stale(NOW);
    let gone = Reach { gone: true, denied: false };
    let denied = Reach { gone: false, denied: true };
    assert_eq!(stale(&talk, gone, NOW, &rules()), Verdict::Kept(KeptReason::Gone));
    assert_eq!(stale(&talk, denied, NOW, &rules()), Verdict::Kept(KeptReason::Denied));
}

#[test]
fn origins_are_named_or_excepted() {
    let with = |only: &[&str], except: &[&str], origin: Option<&str>| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let rules = StaleRules { only_origins: list(only), except_origins: list(except), ..rules() };
        let talk = Talk { origin: origin.map(str::to_owned), ..just_stale(NOW) };
        stale(&talk, Reach::default(), NOW, &rules).is_stale()
    };
    assert!(with(&["viber", "Telegram"], &[], Some("telegram")));
    assert!(!with(&["viber"], &[], Some("telegram")));
    assert!(!with(&["viber"], &[], None));
    assert!(!with(&[], &["TELEGRAM"], Some("telegram")));
    assert!(!with(&[], &["вконтакте"], Some("ВКонтакте ")));
    assert!(with(&["вконтакте"], &[], Some("ВКонтакте")));
    assert!(with(&[], &["viber"], Some("telegram")));
    assert!(with(&[], &["viber"], None));
    assert!(!with(&["telegram"], &["telegram"], Some("telegram")));
}

#[test]
fn rules_are_shown_as_they_are_written() {
    assert_eq!(rules().to_string(), "missed for over 24h and unchanged for over 15m");
    assert_eq!(
        [172_800, 90_000, 90, 60, 0].map(|seconds| written(seconds).to_string()),
        ["2d", "25h", "90s", "1m", "0s"]
    );
}

#[test]
fn rules_are_wider_when_more_talks_may_be_stale() {
    let with = |change: &dyn Fn(&mut StaleRules)| {
        let mut rules = rules();
        rules.only_origins = vec!["viber".into(), "telegram".into()];
        rules.except_origins = vec!["avito".into()];
        change(&mut rules);
        rules
    };
    let before = with(&|_| {});
    assert!(!before.wider_than(&before));
    assert!(with(&|rules| rules.stale_after = Duration::from_secs(1)).wider_than(&before));
    assert!(!with(&|rules| rules.stale_after *= 2).wider_than(&before));
    assert!(with(&|rules| rules.quiet_for = Duration::ZERO).wider_than(&before));
    assert!(with(&|rules| rules.only_origins.clear()).wider_than(&before));
    assert!(with(&|rules| rules.only_origins.push("avito".into())).wider_than(&before));
    assert!(!with(&|rules| rules.only_origins.truncate(1)).wider_than(&before));
    assert!(with(&|rules| rules.except_origins.clear()).wider_than(&before));
    assert!(!with(&|rules| rules.except_origins.push("x".into())).wider_than(&before));
}

proptest! {
    #[test]
    fn whatever_is_stale_is_open_missed_and_quiet(
        is_in_work: bool,
        missed_ago in proptest::option::of(-10i64..2 * DAY),
        changed_ago in -10i64..2000,
        gone: bool,
        denied: bool,
    ) {
        let talk = Talk {
            is_in_work,
            missed_at: missed_ago.map(|ago| NOW - ago),
            updated_at: NOW - changed_ago,
            ..just_stale(NOW)
        };
        let is_stale = stale(&talk, Reach { gone, denied }, NOW, &rules()).is_stale();
        let expected = is_in_work && !gone && !denied
            && missed_ago.is_some_and(|ago| ago > DAY) && changed_ago > 900;
        prop_assert_eq!(is_stale, expected);
    }

    #[test]
    fn under_rules_that_are_not_wider_nothing_becomes_stale(
        a in (1u64..5, 1u64..5, 0usize..4, 0usize..4),
        b in (1u64..5, 1u64..5, 0usize..4, 0usize..4),
        missed_ago in 0i64..6, changed_ago in 0i64..6, origin in 0usize..4,
    ) {
        let names = ["viber", "telegram", "avito"];
        let list = |n: usize| names.iter().take(n).map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let rules = |(stale, quiet, only, except): (u64, u64, usize, usize)| StaleRules {
            stale_after: Duration::from_secs(stale),
            quiet_for: Duration::from_secs(quiet),
            only_origins: list(only),
            except_origins: list(except),
            work_time: None,
        };
        let (before, after) = (rules(a), rules(b));
        let talk = Talk {
            missed_at: Some(NOW - missed_ago),
            updated_at: NOW - changed_ago,
            origin: names.get(origin).map(|n| (*n).to_owned()),
            ..just_stale(NOW)
        };
        let is_stale = |rules: &StaleRules| stale(&talk, Reach::default(), NOW, rules).is_stale();
        if !after.wider_than(&before) && is_stale(&after) {
            prop_assert!(is_stale(&before));
        }
    }
}
