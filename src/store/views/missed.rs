//! Missed talks: when, on which channel, for how long, and who leaves them waiting.

use super::talks::NAMES;
use super::{Mirror, NEW, TalkState};

#[test]
fn a_missed_talk_has_its_response_when_it_is_answered_or_closed_and_not_when_it_is_read() {
    let mirror = Mirror::new();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    // Read, then closed.
    let read = TalkState { seen: 110, read: true, ..missed };
    mirror.talk(1, Some("viber"), &[NEW, missed, read, TalkState { seen: 500, open: false, ..read }]);
    // Answered: missed_at is cleared.
    mirror.talk(2, Some("viber"), &[missed, TalkState { seen: 210, missed: None, ..missed }]);
    // Closed, and still marked as missed.
    mirror.talk(3, Some("viber"), &[missed, TalkState { seen: 7_210, open: false, ..missed }]);
    // It waits. Other changes are not a response.
    mirror.talk(4, Some("viber"), &[missed, TalkState { seen: 300, rate: Some(5), read: true, ..missed }]);
    let sla = "SELECT day, origin, missed, responses, waiting, p50, p95, max, within_hour, within_day, read FROM response_sla";
    assert_eq!(mirror.rows(sla), ["2023-11-14|viber|4|3|1|490|7200|7200|2|3|1"]);
    // A gone talk no longer waits. Its response, if any, counts.
    mirror.0.execute("UPDATE talks SET gone_at = 1 WHERE talk_id IN (3, 4)", []).unwrap();
    assert_eq!(mirror.rows(sla), ["2023-11-14|viber|3|3|0|490|7200|7200|2|3|0"]);
    // First fetched long after it was closed.
    mirror.talk(5, Some("avito"), &[TalkState { seen: 9_000, open: false, ..missed }]);
    assert_eq!(mirror.rows("SELECT count(*) FROM responses WHERE origin = 'avito'"), ["0"]);
}

#[test]
fn a_talk_that_is_missed_again_counts_again_and_one_still_missed_counts_as_open() {
    let mirror = Mirror::new();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    let again = TalkState { missed: Some(90_000), seen: 90_010, ..NEW };
    mirror.talk(1, Some("viber"), &[missed, TalkState { seen: 50, missed: None, ..missed }, again]);
    mirror.talk(2, Some("avito"), &[missed, TalkState { seen: 60, ..again }]);
    mirror.talk(3, Some("avito"), &[NEW]);
    mirror.talk(4, Some("avito"), &[missed, TalkState { seen: 50, missed: None, open: false, ..missed }]);
    assert_eq!(mirror.rows("SELECT * FROM missed_by_day"), ["2023-11-14|3|0|", "2023-11-15|2|2|"]);
    assert_eq!(
        mirror.rows(
            "SELECT origin, talks, missed, missed_talks, missed_percent, still_open FROM missed_by_origin"
        ),
        ["avito|3|3|2|66.7|1", "viber|1|2|1|100|1"]
    );
    // Being missed again ends the first wait: it was answered in between.
    assert_eq!(
        mirror.rows("SELECT day, origin, missed, responses, max FROM response_sla"),
        [
            "2023-11-14|avito|2|2|50",
            "2023-11-14|viber|1|1|40",
            "2023-11-15|avito|1|0|",
            "2023-11-15|viber|1|0|"
        ]
    );
}

#[test]
fn misses_count_for_the_user_and_the_pipeline_of_their_lead() {
    let mirror = Mirror::new();
    mirror.0.execute_batch(NAMES).unwrap();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    let answered = |seen| TalkState { seen, missed: None, ..missed };
    for (talk_id, lead, states) in [
        (1, Some(71), vec![missed, answered(110)]),
        (
            2,
            Some(71),
            vec![missed, answered(3_710), TalkState { missed: Some(5_000), seen: 5_000, ..missed }],
        ),
        (3, Some(73), vec![missed]),
        (4, Some(79), vec![missed, answered(60)]),
        (5, None, vec![missed]),
    ] {
        for state in states {
            mirror.talk(talk_id, None, &[state]);
            let lead = (talk_id, lead);
            mirror.0.execute("UPDATE talks SET lead_id = ?2 WHERE talk_id = ?1", lead).unwrap();
        }
    }
    let by = |columns: &str, view: &str| {
        mirror.rows(&format!(
            "SELECT {columns}, missed, missed_talks, responses, waiting, p50, p95, within_hour FROM {view}"
        ))
    };
    assert_eq!(
        by("responsible_user_id, responsible_user", "missed_by_user"),
        ["||2|2|1|1|50|50|1", "501|Anna|3|2|2|1|100|3700|1", "599||1|1|0|1|||0"]
    );
    assert_eq!(
        by("pipeline_id, pipeline", "missed_by_pipeline"),
        ["||2|2|1|1|50|50|1", "7|Sales|1|1|0|1|||0", "8|Service|3|2|2|1|100|3700|1"]
    );
    let longest = "SELECT longest_seconds - (unixepoch() - 1700000000) FROM missed_by_user ORDER BY responsible_user_id";
    assert_eq!(mirror.rows(longest), ["-10", "-5000", "-10"]);
    let named =
        "SELECT talk_id, lead_id, responsible_user, pipeline, user_name FROM responses WHERE talk_id = 1";
    assert_eq!(mirror.rows(named), ["1|71|Anna|Service|"]);
    mirror
        .0
        .execute("INSERT INTO talk_events VALUES ('a', 1, 'conversation_answered', 1700000100, 502)", [])
        .unwrap();
    assert_eq!(mirror.rows(named), ["1|71|Anna|Service|Boris"]);
    let timeline = "SELECT what FROM talk_timeline WHERE talk_id = 1 AND event = 'answered'";
    assert_eq!(mirror.rows(timeline), ["answered by Boris"]);
}
