//! PgBouncer in transaction mode stands before the server: each transaction may get another of its connections.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::pgbouncer::Pooler;
use crate::postgres::{Server, config_of};

/// Connections to the server.
const POOL_SIZE: usize = 2;
const PUBLISHERS: i64 = 20;

#[test]
fn a_mirror_is_published_through_a_pooler_in_transaction_mode_row_by_row() {
    let Some(server) = Server::shared() else { return };
    let Some(pooler) = Pooler::start(server, POOL_SIZE) else { return };
    let database = server.database();
    let mirror = Mirror::new(account(60));
    mirror.configure(&format!(
        "{}auto_close.mode = \"live\"\nauto_close.schedule = \"* * * * * *\"\nauto_close.max_share = 1.0\n",
        config_of(&pooler.address(&database))
    ));
    mirror.ends(0, &["enqueue", "1..60"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 60);
    mirror.wait_sql("no closing is under way", "SELECT count(*) FROM talk_queue", 0);
    database.wait_until_published(&mirror);
    // Their sessions end, and those that wait for one get another.
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE usename = 'talkmirror' AND datname = current_database()",
    );
    mirror.simulator.account().talks.values_mut().for_each(|talk| talk.updated_at += 60);
    mirror.ends(0, &["enqueue", "1..60"]);
    mirror.wait_sql("all are mirrored again", "SELECT count(*) FROM talk_queue", 0);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    mirror.ends(0, &["publish", "status"]);
    daemon.stop();
}

#[test]
fn many_mirrors_share_few_connections_of_a_pooler() {
    let Some(server) = Server::shared() else { return };
    let Some(pooler) = Pooler::start(server, POOL_SIZE) else { return };
    let database = server.database();
    let mirrors: Vec<Mirror> = (1..=PUBLISHERS)
        .map(|account_id| {
            let mut simulated = account(10);
            simulated.account_id = account_id;
            simulated.talks.values_mut().for_each(|talk| talk.account_id = account_id);
            let mirror = Mirror::new(simulated);
            mirror.configure(&config_of(&pooler.address(&database)));
            mirror.ends(0, &["enqueue", "1..10"]);
            mirror
        })
        .collect();
    let daemons: Vec<_> = mirrors.iter().map(Mirror::daemon).collect();
    for mirror in &mirrors {
        mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 10);
        database.wait_until_published(mirror);
    }
    let connections =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'talkmirror' AND datname = current_database()";
    assert!(database.sql(connections).parse::<usize>().unwrap() <= POOL_SIZE);
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.fleet WHERE is_held"), PUBLISHERS.to_string());
    for mirror in &mirrors {
        assert_same(mirror, &database);
    }
    daemons.into_iter().for_each(crate::harness::Daemon::stop);
}
