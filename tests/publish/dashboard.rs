//! The dashboards in `contrib/` show what a server and a publishing daemon have.

use crate::harness::{Mirror, account};
use crate::postgres::{Database, Server};
use serde_json::Value;

const FLEET: &str = include_str!("../../contrib/grafana-fleet.json");
const ACCOUNT: &str = include_str!("../../contrib/grafana-dashboard.json");
const RULES: &str = include_str!("../../contrib/prometheus-rules.yml");

/// Talks with one that was missed, and auto-close in dry run.
fn published(database: &Database) -> (Mirror, crate::harness::Daemon, u16) {
    let mut simulated = account(10);
    simulated.create_missed(90_000);
    let (mirror, port) = (Mirror::new(simulated), Mirror::free_port());
    mirror.configure(&format!(
        "{}http.listen = \"127.0.0.1:{port}\"\nauto_close.mode = \"dry-run\"\nauto_close.schedule = \"* * * * * *\"\n\
         auto_close.max_share = 1.0\n",
        database.config()
    ));
    mirror.ends(0, &["enqueue", "1..11"]);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 11);
    mirror.wait_sql("one would be closed", "SELECT count(*) > 0 FROM closures", 1);
    database.wait_until_published(&mirror);
    (mirror, daemon, port)
}

/// As Grafana fills it in, with all accounts or one.
fn filled(sql: &str, accounts: &str) -> String {
    let sql = sql.replace("${account:csv}", accounts);
    let sql = sql.replace("$__timeFrom()", "'2020-01-01T00:00:00Z'");
    let sql = sql.replace("$__timeTo()", "'2100-01-01T00:00:00Z'");
    assert!(!sql.contains('$'), "a macro that this test does not know: {sql}");
    sql
}

#[test]
fn each_query_of_the_fleet_s_dashboard_runs_as_a_reader_and_finds_something() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let (mirror, daemon, _) = published(&database);
    daemon.stop();
    drop(mirror);
    // Its mirror is silent for an hour, and paused.
    database.sql(
        "UPDATE talkmirror.accounts SET published_at = now() - interval '1 hour',
                state = '{\"complete\": 0, \"pause_reason\": \"unpaid\", \"last_success_at\": 1700000000}'",
    );
    let dashboard: Value = serde_json::from_str(FLEET).unwrap();
    let variable = &dashboard["templating"]["list"][1];
    let all = variable["allValue"].as_str().unwrap();
    let accounts = database.sql(variable["query"].as_str().unwrap());
    assert!(accounts.ends_with("|17029541"), "{accounts}");
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels {
        let title = &panel["title"];
        let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
        for accounts in [all, "17029541"] {
            let sql = filled(sql, accounts);
            let rows =
                database.sql(&format!("SET ROLE talkmirror_reader; SELECT row_to_json(t) FROM ({sql}) AS t"));
            let row: Value = serde_json::from_str(rows.lines().next().unwrap_or_default())
                .unwrap_or_else(|error| panic!("{title}: {error}: {rows}"));
            for column in panel["fieldConfig"]["overrides"].as_array().unwrap() {
                let column = column["matcher"]["options"].as_str().unwrap();
                assert!(row.get(column).is_some(), "{title} formats {column}: {row}");
            }
        }
        let none = database.sql(&format!("SELECT count(*) FROM ({}) AS t", filled(sql, "1")));
        assert_eq!(none == "0", panel["type"] != "stat", "{title}: of another account nothing");
    }
}

#[test]
fn the_metrics_of_publishing_in_dashboard_and_alerts_are_those_of_a_daemon_that_publishes() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let (mirror, daemon, port) = published(&database);
    database.sql("REVOKE UPDATE ON talkmirror.accounts FROM talkmirror_publisher");
    let talk_id = mirror.simulator.account().create_talk().to_string();
    mirror.ends(0, &["enqueue", &talk_id]);
    let of_publishing = |text: &str| -> std::collections::BTreeSet<String> {
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .filter(|word| word.starts_with("talkmirror_publish_"))
            .map(str::to_owned)
            .collect()
    };
    let wanted = &of_publishing(ACCOUNT) | &of_publishing(RULES);
    assert_eq!(wanted.len(), 6, "{wanted:?}");
    mirror.wait("each is shown", || wanted.is_subset(&of_publishing(&mirror.get(port, "/metrics").1)));
    daemon.stop();
}
