//! The server's standby is promoted, without the last batches that the server confirmed.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server, config_of};

/// The mirror's position there.
fn position(database: &Database) -> i64 {
    database.sql("SELECT position FROM talkmirror.accounts").parse().unwrap()
}

#[test]
fn a_standby_that_lags_is_promoted_and_gets_what_it_missed() {
    if Server::shared().is_none() {
        return;
    }
    let primary: &'static Server = Box::leak(Box::new(Server::start("")));
    let database = primary.database();
    let standby: &'static Server = Box::leak(Box::new(primary.standby()));
    let promoted = Database { server: standby, name: database.name.clone(), role: database.role.clone() };
    let mirror = Mirror::new(account(60));
    mirror.configure(&config_of(&format!(
        "postgresql://talkmirror@127.0.0.1:{},127.0.0.1:{}/{}",
        primary.port, standby.port, database.name
    )));
    mirror.ends(0, &["enqueue", "1..20"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the first are mirrored", "SELECT count(*) FROM talks", 20);
    database.wait_until_published(&mirror);
    mirror.wait("the standby has them", || position(&promoted) == position(&database));

    standby.psql("postgres", "ALTER SYSTEM SET primary_conninfo = ''").unwrap();
    standby.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    mirror.wait("the standby gets nothing more", || {
        standby.psql("postgres", "SELECT count(*) FROM pg_stat_wal_receiver").unwrap() == "0"
    });
    mirror.simulator.account().talks.range_mut(1..=10).for_each(|(_, talk)| talk.updated_at += 60);
    mirror.ends(0, &["enqueue", "1..50"]);
    mirror.wait_sql("more is mirrored", "SELECT count(*) FROM talk_queue", 0);
    database.wait_until_published(&mirror);
    assert!(position(&promoted) < position(&database), "it loses what the server has confirmed");

    primary.stop("immediate");
    standby.psql("postgres", "SELECT pg_promote()").unwrap();
    mirror.ends(0, &["enqueue", "51..60"]);
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 60);
    promoted.wait_until_published(&mirror);
    assert_same(&mirror, &promoted);
    assert_eq!(promoted.sql("SELECT count(*) FROM talkmirror.talk_versions WHERE version = 2"), "10");
    daemon.stop();
}
