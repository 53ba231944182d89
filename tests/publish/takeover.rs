//! A file that was restored, and a host that takes an account over from another.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
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

#[test]
fn a_restored_backup_takes_over_what_it_lacks_and_what_it_saw_itself_comes_after() {
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
    change(&mirror, 11..=25);
    mirror.ends(0, &["sync", "11..25"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("it is whole again", "SELECT count(*) FROM talks", 40);
    publish_all(&mirror, &database, "1..40");
    assert_same(&mirror, &database);
    assert_eq!(database.sql("SELECT count(*) FROM talkmirror.talk_versions"), "75", "{}", mirror.log());
    mirror.assert_mirrors_the_account();
    daemon.stop();
}
