//! Which channels auto-close closes: origins are compared as people read them.

use crate::closing::{LIVE, missed};
use crate::harness::Mirror;
use crate::snapshots::{assert_said, verdicts};

/// The spelling of an origin in the configuration, and in the account.
const SPELT: [(&str, &str); 5] = [
    ("Телеграмм й", "телеграмм и\u{306}"),
    ("my shop", "My\u{a0}Shop "),
    ("STRASSE", "straße"),
    ("istanbul", "İstanbul"),
    ("avito", "a\u{200b}vi\u{ad}to"),
];

/// Stale talks of these origins and of telegram.
fn account(more: &str) -> Mirror {
    let mirror = missed(0, "");
    let mut account = mirror.simulator.account();
    for origin in SPELT.iter().map(|(_, spelt)| *spelt).chain(["telegram"]) {
        let talk_id = account.create_missed(200_000);
        account.talk(talk_id).origin = Some(origin.into());
    }
    drop(account);
    mirror.ends(0, &["sync", "--no-close", "1..6"]);
    let named: Vec<&str> = SPELT.iter().map(|(named, _)| *named).collect();
    mirror.configure(&format!("{LIVE}{}", more.replace("NAMED", &format!("{named:?}"))));
    mirror
}

const CLOSED: &str =
    "SELECT group_concat(talk_id) FROM (SELECT talk_id FROM talks WHERE is_in_work = 0 ORDER BY 1)";

#[test]
fn an_excluded_channel_is_not_closed_however_it_is_spelt() {
    let mirror = account("auto_close.except_origins = NAMED\n");
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_said!(out, @r"
    1 of 6 open talks would be closed: missed for over 24h and unchanged for over 15m, except Телеграмм й, my shop, STRASSE, istanbul, avito (auto_close.mode is live).

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    6  telegram  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    1  телеграмм й  2 d ago  2 d ago  kept: its origin, телеграмм й, is excluded
    2  My Shop  2 d ago  2 d ago  kept: its origin, My Shop , is excluded
    3  straße  2 d ago  2 d ago  kept: its origin, straße, is excluded
    4  İstanbul  2 d ago  2 d ago  kept: its origin, İstanbul, is excluded
    5  a\u{200b}vi\u{ad}to  2 d ago  2 d ago  kept: its origin, a\u{200b}vi\u{ad}to, is excluded

    Next: the next sweeps close them, if a fetch just before shows the same.
    ");
    mirror.ends(0, &["sync"]);
    mirror.ends(0, &["sync", "1..6"]);
    // Nor by hand.
    mirror.ends(0, &["close", "1", "2", "3", "4", "5", "--yes"]);
    assert_eq!(mirror.sql::<String>(CLOSED), "6");
    assert_eq!(mirror.simulator.account().closes.len(), 1);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM stale_talks"), 0, "the view agrees");
}

#[test]
fn channels_that_are_named_alone_are_closed_however_they_are_spelt() {
    let mirror = account("auto_close.only_origins = NAMED\n");
    mirror.ends(0, &["sync"]);
    assert_eq!(mirror.sql::<String>(CLOSED), "1,2,3,4,5");
    assert!(mirror.simulator.account().talks[&6].is_in_work);
}

#[test]
fn an_origin_in_both_lists_is_a_mistake_however_it_is_spelt() {
    let mirror =
        account("auto_close.only_origins = [\"straße\"]\nauto_close.except_origins = [\"STRASSE\"]\n");
    let (_, err) = mirror.ends(78, &["sync"]);
    assert_said!(err, @r#"error: [folder]/config.toml: auto_close.except_origins: expected origins that are not in auto_close.only_origins, found "STRASSE""#);
}

#[test]
fn an_origin_that_no_stored_talk_has_is_warned_of_with_the_nearest() {
    let mirror = account("auto_close.except_origins = [\"telegramm\", \"STRASSE\"]\n");
    let (out, _) = mirror.ends(0, &["stale", "--all"]);
    assert_said!(out, @r#"
    5 of 6 open talks would be closed: missed for over 24h and unchanged for over 15m, except telegramm, STRASSE (auto_close.mode is live).
    warning: auto_close.except_origins: no stored talk has the origin "telegramm": did you mean "telegram"?

    TALK  CHANNEL  MISSED  CHANGED  VERDICT
    1  телеграмм й  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    2  My Shop  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    4  İstanbul  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    5  a\u{200b}vi\u{ad}to  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    6  telegram  2 d ago  2 d ago  stale: missed 2 d ago, unchanged for 2 d
    3  straße  2 d ago  2 d ago  kept: its origin, straße, is excluded

    Next: the next sweeps close them, if a fetch just before shows the same.
    "#);
    let (out, _) = mirror.ends(0, &["stale", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all["unknown_origins"][0]["nearest"], "telegram", "{out}");
    let (out, _) = mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["origins"]), @r#"origins  warn  auto_close.except_origins: no stored talk has the origin "telegramm": did you mean "telegram"?"#);
    // An empty mirror knows no origins.
    let empty = missed(0, "auto_close.except_origins = [\"telegramm\"]\n");
    empty.ends(0, &["sync"]);
    let (out, _) = empty.ends(0, &["stale"]);
    assert_said!(out, @"0 of 0 open talks would be closed: missed for over 24h and unchanged for over 15m, except telegramm (auto_close.mode is off).");
}
