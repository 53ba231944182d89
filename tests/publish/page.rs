//! docs/publish.md says what is on the server, and each column there says what it holds.

use crate::harness::{Mirror, account};
use crate::postgres::Server;

const PAGE: &str = include_str!("../../docs/publish.md");

#[test]
fn each_table_view_and_column_has_a_comment_and_is_on_the_page() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let without = database.sql(
        "SELECT relname || coalesce('.' || attname, '')
           FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
          WHERE relnamespace = 'talkmirror'::regnamespace AND relkind IN ('r', 'v')
            AND (col_description(pg_class.oid, attnum) IS NULL OR obj_description(pg_class.oid) IS NULL)",
    );
    assert_eq!(without, "", "no comment");
    let names = database.sql(
        "SELECT relname FROM pg_class
          WHERE relnamespace = 'talkmirror'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'schema_info'",
    );
    assert!(names.lines().count() >= 9, "{names}");
    for name in names.lines() {
        assert!(PAGE.contains(&format!("| `{name}` |")), "docs/publish.md does not have {name}");
    }
}

#[test]
fn the_queries_on_the_page_run_on_a_server() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mirror = Mirror::new(account(3));
    mirror.configure(&database.config());
    mirror.ends(0, &["enqueue", "1..3"]);
    let daemon = mirror.daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 3);
    database.wait_until_published(&mirror);
    daemon.stop();
    let quoted = PAGE.lines().filter(|line| line.contains("psql")).filter_map(|line| line.split('"').nth(1));
    let queries: Vec<&str> = quoted.filter(|sql| sql.starts_with("SELECT")).collect();
    assert!(!queries.is_empty());
    for sql in queries {
        assert_ne!(database.sql(sql), "", "{sql}");
    }
}

#[test]
fn the_printed_script_is_what_init_runs_and_may_be_run_again_without_a_word() {
    let Some(server) = Server::shared() else { return };
    let database = server.empty_database();
    let mirror = Mirror::new(account(1));
    let (script, _) = mirror.ends(0, &["publish", "init", "--print"]);
    let file = mirror.path("init.sql");
    std::fs::write(&file, script).unwrap();
    for round in 0..2 {
        let run = std::process::Command::new("psql")
            .args(["-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"])
            .args(["-p", &server.port.to_string(), "-d", &database.name, "-f", file.to_str().unwrap()])
            .output()
            .unwrap();
        let (out, err) = crate::harness::text(&run);
        assert!(run.status.success() && err.is_empty() && out.trim().is_empty(), "{round}: {out}{err}");
    }
    mirror.configure(&database.config());
    database.sql("GRANT talkmirror_publisher TO talkmirror");
    mirror.ends(0, &["check"]);
}
