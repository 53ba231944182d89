//! A file that was restored, and a host that takes an account over from another.

use crate::compare::assert_same;
use crate::harness::{Mirror, account, text};
use crate::postgres::Server;
use std::fs;

/// Changes talks in the account, by turns.
fn change(mirror: &Mirror, talk_ids: std::ops::RangeInclusive<i64>) {
    let mut account = mirror.simulator.account();
    for talk_id in talk_ids {
        let Some(talk) = account.talks.get_mut(&talk_id) else { continue };
        talk.updated_at += 1;
        talk.is_read = Some(talk.is_read != Some(true));
    }
}

fn publish_all(mirror: &Mirror, database: &crate::postgres::Database, ids: &str) {
    mirror.ends(0, &["enqueue", ids]);
    mirror.wait_sql("all is fetched", "SELECT count(*) FROM talk_queue", 0);
    database.wait_until_published(mirror);
}

/// Restores a backup, after which so many syncs see changes before the file meets the server again.
fn assert_takes_over_what_it_lacks(syncs: i64) {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(40));
    mirror.configure(&database.config());
    let daemon = mirror.daemon();
    publish_all(&mirror, &database, "1..30");
    let backup = mirror.path("week-old.db");
    mirror.ends(0, &["backup", backup.to_str().unwrap()]);
    // New talks, and new states of old ones, of which the backup knows nothing.
    change(&mirror, 1..=20);
    publish_all(&mirror, &database, "1..40");
    daemon.stop();
    let versions = database.sql("SELECT count(*) FROM talkmirror.talk_versions");
    assert_eq!(versions, "60");

    let aside = mirror.path("lost.db");
    fs::rename(mirror.database(), &aside).unwrap();
    mirror.ends(0, &["backup", "--restore", "--yes", backup.to_str().unwrap()]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 30);
    // It works on before it meets the server again.
    for _ in 0..syncs {
        change(&mirror, 11..=25);
        mirror.ends(0, &["sync", "11..25"]);
    }
    let daemon = mirror.daemon();
    mirror.wait_sql("it is whole again", "SELECT count(*) FROM talks", 40);
    publish_all(&mirror, &database, "1..40");
    assert_same(&mirror, &database);
    let versions = database.sql("SELECT count(*) FROM talkmirror.talk_versions");
    assert_eq!(versions, (60 + 15 * syncs).to_string(), "{}", mirror.log());
    mirror.assert_mirrors_the_account();
    daemon.stop();
}

#[test]
fn a_restored_backup_takes_over_what_it_lacks_and_what_it_saw_itself_comes_after() {
    assert_takes_over_what_it_lacks(1);
}

#[test]
fn a_restored_backup_takes_over_what_it_lacks_also_after_it_has_marked_more_changes_than_were_lost() {
    assert_takes_over_what_it_lacks(3);
}

/// A mirror of the same account on another host: its own folder and file.
fn another(first: &Mirror, config: &str) -> Mirror {
    let second = Mirror::new(account(1));
    second.configure(&format!("api.base_url = \"{}\"\n{config}", first.simulator.base_url()));
    second
}

#[test]
fn an_empty_host_adopts_the_account_of_one_that_died_and_requests_nothing_before() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let first = Mirror::new(account(40));
    first.configure(&format!(
        "{}auto_close.mode = \"live\"\nauto_close.schedule = \"* * * * * *\"\nauto_close.max_share = 1.0\n",
        database.config()
    ));
    let daemon = first.daemon();
    publish_all(&first, &database, "1..40");
    first.wait_sql("closings have ended", "SELECT min(outcome = 'closed') FROM closures", 1);
    change(&first, 1..=20);
    publish_all(&first, &database, "1..40");
    daemon.kill_hard();

    let second = another(&first, &format!("{}publish.adopt = true\n", database.config()));
    let before = first.simulator.account().log.len();
    let daemon = second.daemon();
    second.wait("it waits for the account", || second.log().contains("is published by"));
    assert_eq!(first.simulator.account().log.len(), before, "nothing is requested: {}", second.log());
    database.sql("UPDATE talkmirror.accounts SET held_until = now()");
    daemon.stop();
    let daemon = second.daemon();
    second.wait_sql("all is taken over", "SELECT count(*) FROM talks", 40);
    second.wait_sql("the open ones are fetched", "SELECT count(*) FROM talk_queue", 0);
    database.wait_until_published(&second);
    assert_same(&second, &database);
    for sql in [
        "SELECT group_concat(talk_id || ' ' || version || ' ' || valid_from || ' ' || is_read) FROM
            (SELECT * FROM talk_versions ORDER BY talk_id, version)",
        "SELECT group_concat(closure_id || ' ' || talk_id || ' ' || outcome || ' ' || verified_at) FROM
            (SELECT * FROM closures ORDER BY closure_id)",
    ] {
        assert_eq!(second.sql::<String>(sql), first.sql::<String>(sql), "as the first had it");
    }
    let overlapping = "SELECT count(*) FROM talk_versions a JOIN talk_versions b ON a.talk_id = b.talk_id AND a.version < b.version
              WHERE a.valid_to IS NULL OR a.valid_to > b.valid_from";
    assert_eq!(second.sql::<i64>(overlapping), 0);
    daemon.stop();

    // The first comes back: its file is a copy of what another host has published since.
    let returned = first.daemon();
    change(&first, 5..=9);
    first.wait("it finds out", || first.log().contains("compared with"));
    publish_all(&first, &database, "1..40");
    assert_same(&first, &database);
    returned.stop();
}

#[test]
fn a_standby_takes_over_when_the_holder_is_gone_and_gives_way_while_it_is_there() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let config = format!("{}publish.adopt = true\npublish.standby_after = \"5s\"\n", database.config());
    let first = Mirror::new(account(30));
    first.configure(&config);
    let holder = first.daemon();
    publish_all(&first, &database, "1..20");
    let second = another(&first, &config);
    let standby = second.daemon();
    second.wait("it stands by", || second.log().contains("standing by"));
    second.wait("it says so, and is healthy", || {
        let (out, _) = text(&second.output(&["status"]));
        out.contains("standing by for 127.0.0.1")
    });
    let (out, _) = second.ends(0, &["status"]);
    assert!(out.contains("standing by for 127.0.0.1"), "{out}");
    publish_all(&first, &database, "1..30");
    assert_eq!(second.sql::<i64>("SELECT count(*) FROM talks"), 0);
    holder.kill_hard();
    second.wait_sql("it has taken over", "SELECT count(*) FROM talks", 30);
    publish_all(&second, &database, "1..30");
    assert_same(&second, &database);

    // The first comes back and stands by, with its old file. Then the second stops and gives the account free.
    let standby_now = first.daemon();
    first.wait("it stands by", || first.log().contains("standing by for 127.0.0.1"));
    change(&first, 1..=10);
    publish_all(&second, &database, "1..10");
    standby.stop();
    first.wait("it takes over", || first.log().contains("compared with"));
    publish_all(&first, &database, "1..30");
    assert_same(&first, &database);
    assert_eq!(first.sql::<i64>("SELECT max(version) FROM talk_versions WHERE talk_id = 3"), 2);
    standby_now.stop();
    let (_, err) = first.ends(1, &["sync"]);
    assert!(err.contains("only the daemon knows whether another host works the account"), "{err}");
}

#[test]
fn the_command_adopts_into_a_new_file_and_keeps_one_that_has_talks_of_its_own() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let first = Mirror::new(account(25));
    first.configure(&database.config());
    first.ends(0, &["sync", "1"]);
    // Of a mirrored talk, and of one that is not.
    first.execute(
        "INSERT INTO talk_events VALUES ('a', 1, 'conversation_answered', unixepoch() - 100, 31),
                                        ('b', 999, 'talk_created', 1700000000, NULL)",
    );
    let daemon = first.daemon();
    publish_all(&first, &database, "1..20");
    let second = another(&first, &database.config());
    let (_, err) = second.ends(1, &["adopt"]);
    assert!(err.contains("is published by"), "{err}");
    daemon.stop();
    let (out, _) = second.ends(0, &["adopt"]);
    assert!(
        out.contains("account 17029541, 20 talks with 20 states, 0 decisions to close and 2 events"),
        "{out}"
    );
    let daemon = second.daemon();
    second.wait_sql("the open ones are fetched", "SELECT count(*) FROM talk_queue", 0);
    publish_all(&second, &database, "21..25");
    assert_same(&second, &database);
    daemon.stop();

    // A file that was made anew meanwhile, for the same account.
    let third = another(&first, &database.config());
    third.ends(0, &["sync", "1..3"]);
    let daemon = third.daemon();
    third.wait("it is refused", || third.log().contains("`talkmirror adopt --take-over` takes over"));
    let (_, err) = third.ends(75, &["adopt", "--take-over", "--yes"]);
    assert!(err.contains("stop the daemon first"), "{err}");
    daemon.stop();
    let (_, err) = third.ends(1, &["adopt"]);
    assert!(err.contains("has talks of its own"), "{err}");
    let (out, _) = third.ends(0, &["adopt", "--take-over", "--yes"]);
    assert!(out.contains("The old database is now"), "{out}");
    let daemon = third.daemon();
    publish_all(&third, &database, "1..25");
    assert_same(&third, &database);
    daemon.stop();
}

#[test]
fn a_column_that_has_another_type_is_named_and_nothing_is_taken_over_until_it_has_its_own_again() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let first = Mirror::new(account(5));
    first.configure(&database.config());
    let daemon = first.daemon();
    publish_all(&first, &database, "1..5");
    daemon.stop();
    database.sql("ALTER TABLE talkmirror.talk_versions ALTER COLUMN customer_id TYPE integer");
    let second = another(&first, &database.config());
    let (_, err) = second.ends(1, &["adopt"]);
    assert!(
        err.contains(
            "talkmirror.talk_versions.customer_id is of the type int4: give it back the type bigint"
        ),
        "{err}"
    );
    database.sql("ALTER TABLE talkmirror.talk_versions ALTER COLUMN customer_id TYPE bigint");
    second.ends(0, &["adopt"]);
    assert_eq!(second.sql::<i64>("SELECT count(*) FROM talks"), 5);
}

#[test]
fn a_file_of_another_account_is_not_replaced_and_the_account_stays_unclaimed() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let first = Mirror::new(account(5));
    first.configure(&database.config());
    let daemon = first.daemon();
    publish_all(&first, &database, "1..5");
    daemon.stop();
    let mut simulated = account(5);
    simulated.account_id = 8;
    simulated.talks.values_mut().for_each(|talk| talk.account_id = 8);
    let other = Mirror::new(simulated);
    other.ends(0, &["sync", "1..5"]);
    other.configure(&format!("api.base_url = \"{}\"\n{}", first.simulator.base_url(), database.config()));
    let claims = "SELECT epoch || publisher FROM talkmirror.accounts";
    let before = database.sql(claims);
    let (_, err) = other.ends(1, &["adopt", "--take-over", "--yes"]);
    assert!(err.contains("is 17029541, and the database") && err.contains("mirrors account 8"), "{err}");
    assert_eq!(database.sql(claims), before);
    assert_eq!(other.sql::<i64>("SELECT max(account_id) FROM talks"), 8);
}

#[test]
fn with_a_standby_a_host_that_cannot_reach_the_server_requests_nothing_until_it_can() {
    if Server::shared().is_none() {
        return;
    }
    let server: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = server.database();
    let mirror = Mirror::new(account(20));
    mirror.configure(&format!("{}publish.standby_after = \"5s\"\n", database.config()));
    let daemon = mirror.daemon();
    publish_all(&mirror, &database, "1..10");
    server.stop("immediate");
    // Once before it knew that it may work the account.
    let stands_by = || mirror.log().matches("standing by, nothing is requested or closed").count();
    mirror.wait("it stands by", || stands_by() >= 2);
    let before = mirror.simulator.account().log.len();
    mirror.ends(0, &["enqueue", "11..20"]);
    mirror.wait("it says so", || {
        let (out, _) = text(&mirror.output(&["status"]));
        out.contains("because another host may work the account")
    });
    mirror.ends(1, &["status"]);
    assert_eq!(mirror.simulator.account().log.len(), before, "{}", mirror.log());
    server.run();
    mirror.wait_sql("it works on", "SELECT count(*) FROM talks", 20);
    publish_all(&mirror, &database, "1..20");
    assert_same(&mirror, &database);
    mirror.ends(0, &["status"]);
    daemon.stop();
}

#[test]
fn a_holder_that_gathers_changes_for_long_still_gives_signs_of_life() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let slow = database.config().replace("publish.interval = \"100ms\"", "publish.interval = \"1h\"");
    let config = format!("{slow}publish.adopt = true\npublish.standby_after = \"5s\"\n");
    let first = Mirror::new(account(10));
    first.configure(&config);
    let holder = first.daemon();
    publish_all(&first, &database, "1..10");
    let claims = || database.sql("SELECT epoch, publisher FROM talkmirror.accounts");
    let (claimed, began) = (claims(), database.sql("SELECT now()"));
    let second = another(&first, &config);
    let standby = second.daemon();
    second.wait("it stands by", || second.log().contains("standing by for 127.0.0.1"));
    let later =
        format!("SELECT published_at > '{began}'::timestamptz + interval '8 s' FROM talkmirror.accounts");
    first.wait("more time has passed than a hold lasts", || database.sql(&later) == "t");
    assert_eq!(claims(), claimed, "{}", second.log());
    holder.stop();
    standby.stop();
}

#[test]
fn a_host_that_claims_under_the_same_name_is_reported_instead_of_fought() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(10));
    mirror.configure(&format!("{}publish.standby_after = \"5s\"\n", database.config()));
    let daemon = mirror.daemon();
    publish_all(&mirror, &database, "1..10");
    let epoch = || database.sql("SELECT epoch FROM talkmirror.accounts").parse::<i64>().unwrap();
    let refused = || mirror.log().contains("is published by another process under the name of this one");
    // As the other host does: it is a copy of the machine, its file too.
    let claim_as_rival = || {
        let until = "now() + interval '1 h'";
        database.sql(&format!("UPDATE talkmirror.accounts SET epoch = epoch + 1, held_until = {until}"));
        epoch()
    };
    for _ in 0..2 {
        let claimed = claim_as_rival();
        mirror.wait("it claims anew", || epoch() > claimed);
        publish_all(&mirror, &database, "1..10");
    }
    let claimed = claim_as_rival();
    mirror.wait("it is refused", refused);
    assert_eq!(epoch(), claimed, "{}", mirror.log());
    mirror.wait("it requests nothing", || {
        let (out, _) = text(&mirror.output(&["status"]));
        out.contains("give each host its own name, or its database another path, or stop one of the two")
    });
    mirror.ends(1, &["status"]);
    let before = mirror.simulator.account().log.len();
    mirror.ends(0, &["enqueue", "1..10"]);
    assert_eq!(mirror.simulator.account().log.len(), before, "{}", mirror.log());
    // The other one is stopped.
    database.sql("UPDATE talkmirror.accounts SET held_until = now()");
    publish_all(&mirror, &database, "1..10");
    assert_same(&mirror, &database);
    mirror.ends(0, &["status"]);
    daemon.stop();
}

#[test]
fn an_account_of_many_steps_is_taken_over_whole() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let first = Mirror::new(account(450));
    first.configure(&database.config());
    let daemon = first.daemon();
    publish_all(&first, &database, "1..450");
    change(&first, 100..=300);
    publish_all(&first, &database, "100..300");
    daemon.stop();
    let second = another(&first, &database.config());
    let (out, _) = second.ends(0, &["adopt"]);
    assert!(
        out.contains("account 17029541, 450 talks with 651 states, 0 decisions to close and 0 events"),
        "{out}"
    );
    let states = "SELECT count(*) || ' ' || sum(talk_id * version * valid_from) FROM talk_versions";
    assert_eq!(second.sql::<String>(states), first.sql::<String>(states));
}
