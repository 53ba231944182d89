//! `talk_timeline`: each change of a talk once, by the best source.

use super::{Mirror, NEW, NOW, TalkState};

#[test]
fn a_timeline_shows_each_change_and_who_closed_the_talk() {
    let mirror = Mirror::new();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    let read = TalkState { seen: 30, read: true, ..missed };
    let answered = TalkState { seen: 40, missed: None, ..read };
    let wrote = TalkState { seen: 50, read: false, ..answered };
    let rated = TalkState { seen: 60, rate: Some(9), ..wrote };
    mirror.talk(
        1,
        None,
        &[NEW, missed, read, answered, wrote, rated, TalkState { seen: 70, open: false, ..rated }],
    );
    let timeline = |talk_id: i64| {
        mirror.rows(&format!(
            "SELECT at - {NOW}, event, what FROM talk_timeline WHERE talk_id = {talk_id} ORDER BY at"
        ))
    };
    assert_eq!(
        timeline(1),
        [
            "-60|opened|opened",
            "10|missed|missed: nobody answered in time",
            "30|read|read",
            "40|answered|no longer missed: answered",
            "50|unread|unread: the client wrote",
            "60|rated|rated 9 by the client",
            "70|closed|closed in the account",
        ]
    );
    mirror.talk(2, None, &[missed, TalkState { seen: 100, open: false, ..missed }]);
    mirror
        .0
        .execute(
            "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                                   requested_at, outcome, verified_at, attempts)
             VALUES (2, 'live', ?1, ?1, 'missed 1 day ago', 1, ?1 + 70, ?1 + 70, 'closed', ?1 + 80, 1)",
            [NOW + 20],
        )
        .unwrap();
    assert_eq!(
        timeline(2),
        [
            "-60|opened|opened",
            "10|missed|missed: nobody answered in time",
            "90|auto-close|talkmirror decided to close it: missed 1 day ago",
            "100|closed|closed by talkmirror",
        ]
    );
    // As after a restore: the state was fetched again, after the verification of the closing.
    mirror.0.execute("UPDATE talks SET changed_at = ?1 WHERE talk_id = 2", [NOW + 900]).unwrap();
    assert_eq!(timeline(2)[3], "900|closed|closed by talkmirror");
    // Open again, and closed by another person.
    let reopened = TalkState { seen: 1000, ..missed };
    mirror.talk(2, None, &[reopened, TalkState { seen: 1100, open: false, ..missed }]);
    assert_eq!(timeline(2)[4..], ["1000|reopened|opened again", "1100|closed|closed in the account"]);
    // Closed, and rated, before it was first fetched.
    mirror.talk(3, None, &[TalkState { seen: -30, open: false, rate: Some(1), ..NEW }]);
    mirror.0.execute("UPDATE talks SET changed_at = changed_at + 1000 WHERE talk_id = 3", []).unwrap();
    assert_eq!(
        timeline(3),
        ["-60|opened|opened", "-30|rated|rated 1 by the client", "-30|closed|closed in the account"]
    );
    // What retention has removed.
    mirror.0.execute("DELETE FROM talk_history WHERE talk_id = 1 AND version < 6", []).unwrap();
    assert_eq!(
        timeline(1),
        ["60|trimmed|what was before is no longer kept", "70|closed|closed in the account"]
    );
}

#[test]
fn a_timeline_has_what_events_say_once_with_its_exact_time_and_its_user() {
    let mirror = Mirror::new();
    let missed = TalkState { missed: Some(10), seen: 20, ..NEW };
    let read = TalkState { seen: 30, read: true, ..missed };
    let answered = TalkState { seen: 300, missed: None, ..read };
    mirror.talk(1, None, &[NEW, missed, read, answered, TalkState { seen: 900, open: false, ..answered }]);
    let tell = |kind: &str, at: i64, user_id: Option<i64>| {
        let event = (format!("{kind} {at}"), kind, NOW + at, user_id);
        mirror.0.execute("INSERT INTO talk_events VALUES (?1, 1, ?2, ?3, ?4)", event).unwrap();
    };
    tell("talk_created", -61, None);
    tell("talk_missed_event", 12, None);
    tell("conversation_answered", 250, Some(31));
    tell("conversation_answered", 400, None);
    tell("talk_merged", 500, Some(31));
    tell("talk_closed", 800, Some(32));
    let timeline = || {
        mirror.rows(&format!(
            "SELECT at - {NOW}, event, what, source, user_id FROM talk_timeline WHERE talk_id = 1 ORDER BY at"
        ))
    };
    assert_eq!(
        timeline(),
        [
            "-61|opened|opened|event|",
            "12|missed|missed: nobody answered in time|event|",
            "30|read|read|fetch|",
            "250|answered|answered by user 31|event|31",
            "400|answered|answered|event|",
            "500|talk_merged|talk_merged|event|31",
            "800|closed|closed by user 32|event|32",
        ]
    );
    let closure = "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at,
                                         requested_at, outcome, verified_at, attempts)
                   VALUES (1, 'live', 0, 0, 'missed 1 day ago', 1, ?1 + 790, ?1 + 799, 'closed', ?1 + 806, 1)";
    mirror.0.execute(closure, [NOW]).unwrap();
    assert_eq!(timeline().last().unwrap(), "800|closed|closed by talkmirror|event|32");
    // An account that does not send some types has the times of the fetches.
    mirror.0.execute("DELETE FROM talk_events WHERE type <> 'talk_missed_event'", []).unwrap();
    let times: Vec<String> =
        timeline().iter().map(|row| row.split('|').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(times, ["-60 opened", "12 missed", "30 read", "300 answered", "790 auto-close", "900 closed"]);
    // Nor is anything of a talk that is not mirrored lost.
    mirror.0.execute("INSERT INTO talk_events VALUES ('x', 7, 'talk_closed', 1, 31)", []).unwrap();
    assert_eq!(mirror.rows("SELECT what FROM talk_timeline WHERE talk_id = 7"), ["closed by user 31"]);
}
