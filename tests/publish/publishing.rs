//! What is mirrored is on the server, and stays the same there.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};

#[test]
fn what_is_mirrored_and_closed_is_on_the_server_row_by_row() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut simulated = account(60);
    simulated.talks.retain(|talk_id, _| *talk_id != 7);
    let mirror = Mirror::new(simulated);
    mirror.configure(&format!(
        "{}auto_close.mode = \"live\"\nauto_close.schedule = \"* * * * * *\"\nauto_close.max_share = 1.0\n",
        database.config()
    ));
    mirror.ends(0, &["enqueue", "1..40"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the first are mirrored", "SELECT count(*) FROM talks", 39);
    mirror.wait("some are closed", || {
        mirror.try_sql::<i64>("SELECT count(*) FROM closures WHERE outcome = 'closed'").unwrap_or(0) > 2
    });
    mirror.ends(0, &["enqueue", "41..60"]);
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 59);
    // Otherwise the next sweep may begin between the two reads of the comparison.
    mirror.configure(&database.config());
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait("no sweep begins", || logged(&mirror, "applied the new configuration") == 1);
    // A request that the new rules kept from leaving is decided on again in five minutes.
    mirror.wait_sql(
        "no closing goes on",
        "SELECT count(*) FROM talk_queue WHERE due_at < unixepoch() + 100",
        0,
    );
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
    assert_eq!(
        database.sql("SELECT held_until <= now() FROM talkmirror.accounts"),
        "t",
        "given free by the stop"
    );
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.tombstones"), "1");
}

/// The lines of the log with this text.
fn logged(mirror: &Mirror, text: &str) -> usize {
    mirror.log().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_server_that_dies_gets_what_it_missed_and_the_mirror_works_on_meanwhile() {
    if Server::shared().is_none() {
        return;
    }
    let server: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = server.database();
    let mirror = Mirror::new(account(50));
    mirror.configure(&database.config());
    mirror.ends(0, &["enqueue", "1..10"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the first are mirrored", "SELECT count(*) FROM talks", 10);
    database.wait_until_published(&mirror);
    server.stop("immediate");
    mirror.ends(0, &["enqueue", "11..50"]);
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 50);
    mirror.wait("the trouble is known", || logged(&mirror, "for now, and nothing is lost") == 1);
    server.run();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    mirror.wait("the end is known", || logged(&mirror, "works again") == 1);
    assert_eq!(logged(&mirror, "nothing is published"), 1, "once: {}", mirror.log());
    daemon.stop();
}

#[test]
fn a_second_mirror_of_an_account_is_refused_by_the_first_ones_name_and_mirrors_on() {
    let Some(server) = Server::shared() else { return };
    let database: Database = server.database();
    let (first, second) = (Mirror::new(account(5)), Mirror::new(account(5)));
    for mirror in [&first, &second] {
        mirror.configure(&database.config());
        mirror.ends(0, &["enqueue", "1..5"]);
    }
    let holder = first.daemon();
    first.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 5);
    database.wait_until_published(&first);
    let refused = second.daemon();
    second.wait("it is refused", || logged(&second, "account 17029541 is published by") == 1);
    let path = first.database().canonicalize().unwrap();
    assert!(second.log().contains(path.to_str().unwrap()), "{}", second.log());
    second.wait_sql("it mirrors on", "SELECT count(*) FROM talks", 5);
    let (out, _) = second.ends(1, &["publish", "status"]);
    assert!(out.contains("account 17029541 is published by"), "{out}");
    first.ends(0, &["publish", "status"]);
    refused.stop();
    holder.stop();
    assert_same(&first, &database);
}

#[test]
fn what_was_switched_off_is_forgotten_and_switched_on_again_it_is_all_there() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(30));
    mirror.ends(0, &["sync", "1..10"]);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM changes"), 0, "off");
    mirror.configure(&database.config());
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    mirror.ends(0, &["publish", "all"]);
    mirror.wait_sql("all are marked again", "SELECT min(seq) FROM changes", 11);
    database.wait_until_published(&mirror);

    mirror.configure("");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait_sql("nothing is marked", "SELECT count(*) FROM changes", 0);
    mirror.ends(0, &["enqueue", "11..20"]);
    mirror.wait_sql("more is mirrored", "SELECT count(*) FROM talks", 20);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM changes"), 0, "off");
    mirror.configure(&database.config());
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait_sql("all are marked", "SELECT count(*) FROM changes", 20);
    mirror.ends(0, &["enqueue", "21..30"]);
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 30);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    daemon.stop();
}
