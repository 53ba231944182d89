//! Data that PostgreSQL does not take as it is: nothing of it stops an account.

use crate::compare::assert_same;
use crate::harness::{Mirror, account, response};
use crate::postgres::Server;
use std::fs;

const DAY: i64 = 86_400;

fn logged(mirror: &Mirror, text: &str) -> usize {
    mirror.log().lines().filter(|line| line.contains(text)).count()
}

/// A talk as the API shows it, with these fields, as JSON.
fn talk(talk_id: i64, fields: &str) -> String {
    format!(
        r#"{{"talk_id":{talk_id},"created_at":1631018291,"updated_at":1631035929,"is_in_work":true,"is_read":true,
            "account_id":17029541{fields}}}"#
    )
}

#[test]
fn odd_texts_and_json_are_published_and_what_is_converted_is_logged() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(20));
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    for (talk_id, fields) in [
        (1, r#","origin":"a\u0000b","chat_id":"\u0000","status":"\u0000in_work","source_id":"x\u0000"#.to_owned() + "\""),
        (2, r#","tags":"\u0000\ud800 \udc00\ud800","number":1e400,"small":-1e-400,"long":0.12345678901234567890"#.into()),
        (3, r#","origin":"\ud83d\ude00 \u202e\u0007'\"\\","twice":1,"twice":2,"":{"a\u0000":null}"#.into()),
        (4, format!(r#","deep":{nested}"#)),
        (5, format!(r#","big":"{}""#, "\u{1F600}x".repeat(150_000))),
    ] {
        mirror.simulator.account().script(talk_id, [response(talk(talk_id, &fields))]);
    }
    mirror.configure(&database.config());
    mirror.ends(0, &["enqueue", "1..20"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 20);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks WHERE instr(origin || '', char(0)) > 0"), 1);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    let origin = "SELECT origin || ' ' || chat_id FROM talkmirror.talks WHERE talk_id = 1";
    assert_eq!(database.sql(origin), "a\u{fffd}b \u{fffd}");
    mirror.wait("it is logged", || logged(&mirror, "the server does not take U+0000") == 1);
    assert_eq!(logged(&mirror, "the server refuses"), 0, "{}", mirror.log());
    daemon.stop();
}

#[test]
fn times_beyond_the_years_of_the_server_become_infinite() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(20));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..20"]);
    // Of the API, the mirror takes no such times. Others may have written them.
    let times =
        [i64::MIN, -210_866_803_201, -210_866_803_200, -1, 0, 9_224_318_015_999, 9_224_318_016_000, i64::MAX];
    for (talk_id, at) in (1..).zip(times) {
        mirror.execute(&format!(
            "UPDATE talks SET created_at = {at}, updated_at = {at}, missed_at = {at}, changed_at = {at}, gone_at = {at}
              WHERE talk_id = {talk_id}"
        ));
    }
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talks WHERE created_at = 'infinity'"), "2");
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talks WHERE missed_at = '-infinity'"), "2");
    // The views stand them.
    for view in ["fleet", "open_talks", "missed_by_day", "closures_by_day"] {
        database.sql(&format!("SELECT * FROM talkmirror.{view}"));
    }
    mirror.wait("it is logged", || logged(&mirror, "times beyond its years") == 1);
    daemon.stop();
}

#[test]
fn times_that_a_wrong_clock_put_into_the_future_are_published_again_once_they_are_repaired() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(3));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..3"]);
    // Two states that it saw while the clock was ahead.
    mirror.execute(&format!(
        "INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at, is_in_work, account_id)
         SELECT talk_id, n, changed_at + (n - 1) * {DAY}, changed_at + n * {DAY}, created_at, n, 1, account_id
           FROM talks, (SELECT 1 AS n UNION SELECT 2) WHERE talk_id = 1;
         UPDATE talks SET version = 3, changed_at = changed_at + 2 * {DAY} WHERE talk_id = 1"
    ));
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    let ahead = "SELECT count(*) FROM talkmirror.talk_versions WHERE valid_from > now() OR valid_to > now()";
    assert_eq!(database.sql(ahead), "3");
    mirror.simulator.account().talk(1).updated_at += 1;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("it is recorded", "SELECT version FROM talks WHERE talk_id = 1", 4);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    assert_eq!(database.sql(ahead), "0");
    daemon.stop();
}

#[test]
fn odd_closings_are_published() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(5));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..5"]);
    for (talk_id, error, at) in [
        (1, "'HTTP' || char(0) || ' 500'", DAY),
        (2, "char(27, 10, 8238, 65533, 1114109)", i64::MAX),
        (999, "NULL", i64::MIN),
    ] {
        mirror.execute(&format!(
            "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, requested_at, outcome,
                                   attempts, error)
             VALUES ({talk_id}, 'live', {at}, 'missed', 1, {at}, {at}, 'failed', 9223372036854775807, {error})"
        ));
    }
    mirror.execute("INSERT INTO tombstones (talk_id, gone_at) VALUES (1000, 9223372036854775807)");
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    assert_eq!(
        database.sql("SELECT count(*) FROM talkmirror.closures"),
        "3",
        "one of a talk that is not mirrored"
    );
    assert_eq!(logged(&mirror, "the server refuses"), 0, "{}", mirror.log());
    daemon.stop();
}

/// The talks that `publish status` names as left out.
fn left_out(mirror: &Mirror) -> Vec<String> {
    let (out, _) = crate::harness::text(&mirror.output(&["publish", "status"]));
    out.lines().filter(|line| line.starts_with("left out")).map(str::to_owned).collect()
}

#[test]
fn a_talk_that_the_server_refuses_is_left_out_by_name_until_it_takes_it() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    database.sql("ALTER TABLE talkmirror.talks ADD CONSTRAINT taboo CHECK (talk_id NOT IN (3, 17))");
    let mirror = Mirror::new(account(40));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..40"]);
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talks"), "38", "all others");
    assert_eq!(
        database.sql("SELECT count(*) FROM talkmirror.talk_versions WHERE talk_id IN (3, 17)"),
        "0",
        "nothing of it"
    );
    mirror.wait("both are named", || left_out(&mirror).len() == 2);
    let named = left_out(&mirror);
    assert!(named[0].contains("talk 3: ") && named[1].contains("talk 17: "), "{named:?}");
    assert!(named.iter().all(|line| line.contains("taboo") && line.contains("SQLSTATE 23514")), "{named:?}");
    assert_eq!(logged(&mirror, "the server refuses talk 3, and"), 1, "{}", mirror.log());

    daemon.stop();
    let daemon = mirror.running_daemon();
    database.sql("ALTER TABLE talkmirror.talks DROP CONSTRAINT taboo");
    {
        let mut account = mirror.simulator.account();
        account.talk(3).updated_at += 1;
    }
    mirror.ends(0, &["enqueue", "3"]);
    mirror.wait("one is published", || left_out(&mirror).len() == 1);
    assert!(left_out(&mirror)[0].contains("talk 17: "), "the other has not changed");
    mirror.ends(0, &["publish", "all"]);
    mirror.wait("the other is, too", || left_out(&mirror).is_empty());
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
}

#[test]
fn a_talk_that_is_left_out_is_named_also_if_the_turn_fails_then_and_not_once_it_is_sent_again() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    database.sql(
        "ALTER TABLE talkmirror.talks ADD CONSTRAINT taboo CHECK (talk_id <> 3);
         CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END $$;
         CREATE TRIGGER fails BEFORE INSERT ON talkmirror.talks FOR EACH ROW WHEN (new.talk_id = 4)
            EXECUTE FUNCTION fails()",
    );
    let mirror = Mirror::new(account(10));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..10"]);
    let daemon = mirror.running_daemon();
    mirror.wait("it is named", || left_out(&mirror).iter().any(|line| line.contains("talk 3: ")));
    database.sql("DROP FUNCTION fails CASCADE; ALTER TABLE talkmirror.talks DROP CONSTRAINT taboo");
    database.wait_until_published(&mirror);
    assert_eq!(left_out(&mirror).len(), 1, "it has not changed");
    // As after the restore of an earlier state.
    database.sql("UPDATE talkmirror.accounts SET position = 0");
    mirror.simulator.account().talk(5).updated_at += 1;
    mirror.ends(0, &["enqueue", "5"]);
    mirror.wait("it is published", || left_out(&mirror).is_empty());
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
}

#[test]
fn a_talk_that_the_server_refuses_is_found_by_halves() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    // A sequence keeps what a transaction that was rolled back counted.
    database.sql(
        "ALTER TABLE talkmirror.talks ADD CONSTRAINT taboo CHECK (talk_id <> 16);
         CREATE SEQUENCE attempts;
         CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            $$ BEGIN PERFORM nextval('attempts'); RETURN null; END $$;
         CREATE TRIGGER counts BEFORE INSERT ON talkmirror.talks EXECUTE FUNCTION counted()",
    );
    let mirror = Mirror::new(account(16));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..16"]);
    let daemon = mirror.running_daemon();
    database.wait_until_published(&mirror);
    mirror.wait("it is named", || left_out(&mirror).len() == 1);
    assert_eq!(database.sql("SELECT last_value FROM attempts"), "9", "16, twice 8, 4, 2 and 1");
    daemon.stop();
}

#[test]
fn json_that_is_none_leaves_out_its_talk_alone() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(10));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..10"]);
    mirror.execute("UPDATE talks SET payload = '{\"half\":' WHERE talk_id = 10");
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    mirror.wait("it is named", || left_out(&mirror).iter().any(|line| line.contains("talk 10: ")));
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talks"), "9");
    mirror.simulator.account().talk(10).updated_at += 1;
    mirror.ends(0, &["enqueue", "10"]);
    mirror.wait("it is published", || left_out(&mirror).is_empty());
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
}

/// The most memory that a process had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn much_json_and_many_versions_are_published_in_batches_that_fit_into_memory() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(20));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..20"]);
    // 60 MiB of JSON, and 100,000 versions.
    mirror.execute(
        "UPDATE talks SET payload = json_object('big', hex(zeroblob(1572864))), version = 5001, changed_at = 5001;
         INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at, is_in_work, account_id)
         WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 5000)
         SELECT talk_id, n, n, n + 1, 1, n, 1, account_id FROM talks, counted",
    );
    let daemon = mirror.running_daemon();
    database.wait_until_published(&mirror);
    let peak = peak(daemon.child.id());
    assert!(peak < 100, "{peak} MiB");
    let sizes = "SELECT count(*) || ' ' || min(length(payload::text)) FROM talkmirror.talks";
    assert_eq!(database.sql(sizes), format!("20 {}", 3 * 1024 * 1024 + 10));
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talk_versions"), "100020");
    daemon.stop();
}
