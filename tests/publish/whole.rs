//! Small tables are published whole, and go to a host that takes the account over.

use crate::compare::assert_same;
use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use nix::sys::signal::Signal;

const EXEMPTIONS: &str = "SELECT coalesce(string_agg(contact_id || ' ' || reason, ', ' ORDER BY id), '') FROM talkmirror.close_exemptions";

fn wait(mirror: &Mirror, database: &Database, sql: &str, expected: &str) {
    mirror.wait_long(expected, || database.sql(sql) == expected);
}

#[test]
fn what_is_inserted_changed_or_deleted_in_a_small_table_is_so_on_the_server() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(3));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..3"]);
    mirror.execute("INSERT INTO close_exemptions (contact_id, reason) VALUES (42, 'VIP'), (43, 'test')");
    let daemon = mirror.daemon();
    database.wait_until_published(&mirror);
    assert_eq!(database.sql(EXEMPTIONS), "42 VIP, 43 test");
    assert_same(&mirror, &database);
    mirror.execute(
        "DELETE FROM close_exemptions WHERE contact_id = 42; UPDATE close_exemptions SET reason = 'why?';
         INSERT INTO close_exemptions (contact_id, reason) VALUES (44, 'new')",
    );
    wait(&mirror, &database, EXEMPTIONS, "43 why?, 44 new");
    assert_same(&mirror, &database);
    mirror.configure(&format!(
        "{}\n[report]\ntimezone = \"Europe/Berlin\"\nwork_hours = \"Mon 09:00-10:00\"\n",
        database.config()
    ));
    daemon.signal(Signal::SIGHUP);
    let rows = "SELECT (SELECT count(*) FROM talkmirror.utc_offsets) || ' ' || (SELECT count(*) FROM talkmirror.work_time)";
    wait(&mirror, &database, rows, "221 2661");
    assert_same(&mirror, &database);
    mirror.configure(&database.config());
    daemon.signal(Signal::SIGHUP);
    wait(&mirror, &database, rows, "1 0");
    daemon.stop();
    assert_same(&mirror, &database);
}

#[test]
fn a_host_that_takes_an_account_over_knows_its_exemptions_and_names() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(3));
    mirror.configure(&database.config());
    mirror.ends(0, &["sync", "1..3"]);
    mirror.execute(
        "INSERT INTO close_exemptions (contact_id, reason, until) VALUES (42, 'VIP', 4000000000);
         INSERT INTO users (user_id, name, fetched_at) VALUES (501, 'Anna', 1);
         INSERT INTO leads (lead_id, name, responsible_user_id, fetched_at) SELECT DISTINCT lead_id, 'Lead', 501, 1 FROM talks",
    );
    let daemon = mirror.daemon();
    wait(&mirror, &database, EXEMPTIONS, "42 VIP");
    daemon.stop();
    let kept =
        "SELECT group_concat(contact_id || ' ' || reason || ' ' || until) || ' ' || (SELECT name FROM users)
                  FROM close_exemptions";
    std::fs::rename(mirror.database(), mirror.path("lost.db")).unwrap();
    mirror.ends(0, &["adopt"]);
    assert_eq!(mirror.sql::<String>(kept), "42 VIP 4000000000 Anna");
    // A file that never heard of it does not remove it, and keeps what it has itself.
    mirror.execute(
        "DELETE FROM close_exemptions;
         INSERT INTO close_exemptions (contact_id, reason, until) VALUES (43, 'ours', 4000000001)",
    );
    mirror.ends(0, &["adopt", "--take-over", "--yes"]);
    let both = "SELECT group_concat(contact_id, ' ' ORDER BY contact_id) FROM close_exemptions";
    assert_eq!(mirror.sql::<String>(both), "42 43");
}
