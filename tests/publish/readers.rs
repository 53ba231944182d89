//! Other databases read on from the server.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};

#[test]
fn a_logical_subscription_of_the_schema_has_every_row() {
    if Server::shared().is_none() {
        return;
    }
    let source: &'static Server = Box::leak(Box::new(Server::start("wal_level = logical")));
    let target: &'static Server = Box::leak(Box::new(Server::start("")));
    let (database, copy) = (source.database(), target.empty_database());
    let mirror = Mirror::new(account(40));
    mirror.configure(&database.config());
    // The script makes the same tables there.
    let (script, _) = mirror.ends(0, &["publish", "init", "--print"]);
    copy.sql(&script);
    database.sql("CREATE PUBLICATION talkmirror FOR TABLES IN SCHEMA talkmirror");
    // The script has put the version there already, and no two rows have one key.
    copy.sql("TRUNCATE talkmirror.schema_info");
    copy.sql(&format!(
        "CREATE SUBSCRIPTION warehouse CONNECTION 'host=127.0.0.1 port={} user=postgres dbname={}' PUBLICATION talkmirror",
        source.port, database.name
    ));
    mirror.ends(0, &["enqueue", "1..30"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("the first are mirrored", "SELECT count(*) FROM talks", 30);
    database.wait_until_published(&mirror);
    mirror.simulator.account().talks.values_mut().for_each(|talk| talk.updated_at += 60);
    mirror.ends(0, &["enqueue", "1..40"]);
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talk_queue", 0);
    copy.wait_until_published(&mirror);
    assert_same(&mirror, &copy);
    let state = |database: &Database| database.sql("SELECT count(state ->> 'mode') FROM talkmirror.accounts");
    mirror.wait("the copy has the account's state", || state(&copy) == "1");
    assert_eq!(copy.sql("SELECT count(*) FROM talkmirror.schema_info"), "1");
    daemon.stop();
    copy.sql("DROP SUBSCRIPTION warehouse");
}
