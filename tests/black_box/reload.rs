//! SIGHUP: another configuration while work continues.

use crate::closing::LIVE;
use crate::feeders::{EVENTS, LISTING};
use crate::harness::{Daemon, Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;
use nix::sys::signal::Signal;
use std::time::Duration;

impl Mirror {
    /// Writes a configuration and sends the daemon SIGHUP. Returns once it is used.
    pub fn reload(&self, daemon: &Daemon, more: &str) {
        let before = self.logged(journal::CONFIG_APPLIED).len();
        self.configure(more);
        daemon.signal(Signal::SIGHUP);
        self.wait_logged_times(journal::CONFIG_APPLIED, before + 1);
    }
}

/// Reloads the daemon with this configuration, and waits until it is applied.
#[test]
fn a_new_rate_limit_holds_at_once_and_no_request_in_flight_is_lost() {
    let mut account = account(200);
    account.latency = Duration::from_millis(300);
    let mirror = Mirror::new(account);
    mirror.configure("api.requests_per_second = 4\n");
    mirror.ends(0, &["enqueue", "1..200"]);
    let daemon = mirror.running_daemon();
    mirror.wait("requests are under way", || mirror.simulator.account().requests() >= 6);
    assert!(mirror.simulator.account().most_in_a_second() <= 4);
    mirror.reload(&daemon, "api.requests_per_second = 1000\napi.max_in_flight = 32\napi.timeout = \"20s\"\n");
    mirror.wait_sql("all are mirrored", "SELECT count(*) FROM talks", 200);
    daemon.stop();
    let account = mirror.simulator.account();
    assert!(account.most_in_a_second() > 20, "{}", account.most_in_a_second());
    assert_eq!(account.requests(), 200, "each was fetched once: none was lost, none asked for twice");
    assert!(account.log.iter().all(|request| request.status == 200));
}

#[test]
fn a_bad_configuration_is_refused_with_all_its_mistakes_and_the_old_one_stays() {
    let mirror = Mirror::new(account(10));
    let daemon = mirror.running_daemon();
    mirror.configure("api.requests_per_second = 0\nauto_close.mode = \"on\"\napi.tokn = 1\n");
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged(journal::CONFIG_REFUSED);
    assert_said!(journal::faults(&mirror.log()), @r#"
    ERROR a mistake in the new configuration: [folder]/config.toml: api.requests_per_second: expected a whole number from 1 to 1000000, found 0
    ERROR a mistake in the new configuration: [folder]/config.toml: auto_close.mode: expected off, dry-run or live, found "on"
    ERROR a mistake in the new configuration: [folder]/config.toml: api.tokn: expected a known key: api.token_file?, found an unknown one
    ERROR refused the new configuration, the old one stays in force: 3 mistakes
    "#);
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1), (2)");
    mirror.wait_sql("it works on", "SELECT count(*) FROM talks", 2);
    std::fs::write(mirror.path("config.toml"), "[api\n").unwrap();
    daemon.signal(Signal::SIGHUP);
    assert_said!(mirror.wait_logged_times(journal::CONFIG_REFUSED, 2), @"ERROR refused the new configuration, the old one stays in force: 1 mistake");
    std::fs::remove_file(mirror.path("config.toml")).unwrap();
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged_times(journal::CONFIG_REFUSED, 3);
    mirror.reload(&daemon, "");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (3)");
    mirror.wait_sql("it works on", "SELECT count(*) FROM talks", 3);
    daemon.stop();
}

#[test]
fn a_reload_says_what_changed_and_of_a_secret_only_that_it_did() {
    let mirror = Mirror::new(account(1));
    let port = Mirror::free_port();
    mirror.write_secret("webhook-secret", "first-0123456789");
    let webhook = format!(
        "http.listen = \"127.0.0.1:{port}\"\nwebhook.enabled = true\nwebhook.secret_file = \"webhook-secret\"\n"
    );
    mirror.configure(&webhook);
    let daemon = mirror.running_daemon();
    mirror.reload(&daemon, &webhook);
    assert_said!(mirror.wait_logged(journal::CONFIG_APPLIED), @"INFO applied the new configuration: nothing changed");
    mirror.write_secret("webhook-secret", "second-0123456789");
    let more = "auto_close.stale_after = \"48h\"\nauto_close.only_origins = [\"viber\", \"телеграм\"]\n";
    mirror.reload(&daemon, &format!("{webhook}{more}"));
    assert_said!(mirror.logged_changes(), @"
    INFO auto_close.stale_after: 24h → 48h
    INFO auto_close.only_origins: [] → [viber, телеграм]
    INFO the secret in webhook.secret_file changed
    ");
    assert_said!(mirror.wait_logged_times(journal::CONFIG_APPLIED, 2), @"INFO applied the new configuration: 3 changes");
    assert!(!mirror.log().contains("0123456789"), "{}", mirror.log());
    daemon.stop();
}

#[test]
fn closing_is_switched_on_and_off_while_it_runs() {
    let mut account = account(0);
    for _ in 0..6 {
        account.create_missed(90_000);
    }
    let mirror = Mirror::new(account);
    mirror.ends(0, &["sync", "1..6"]);
    let daemon = mirror.running_daemon();
    mirror.reload(&daemon, &format!("{LIVE}auto_close.max_per_sweep = 2\n"));
    mirror.wait_sql("some are closed", "SELECT count(*) >= 2 FROM closures WHERE outcome = 'closed'", 1);
    mirror.reload(&daemon, "");
    let closes = mirror.simulator.account().closes.len();
    let mode = "SELECT value ->> 'mode' FROM mirror_info WHERE key = 'auto_close.rules'";
    mirror.wait_sql("it is written down", mode, "off".to_owned());
    // A talk missed for as long arrives, and all queued talks are worked.
    let talk_id = mirror.simulator.account().create_missed(90_000);
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_sql("the queue is empty", "SELECT count(*) FROM talk_queue WHERE due_at <= unixepoch()", 0);
    mirror.wait_sql("it is mirrored", "SELECT count(*) FROM talks", 7);
    assert_eq!(mirror.simulator.account().closes.len(), closes, "nothing was closed since");
    daemon.stop();
}

#[test]
fn what_the_new_rules_would_keep_is_not_closed_by_the_old_ones() {
    let mut account = account(0);
    for _ in 0..60 {
        account.create_missed(90_000);
    }
    let mirror = Mirror::new(account);
    mirror.ends(0, &["sync", "1..60"]);
    // Two fetches, then nothing may leave for a second: two decided close requests wait.
    let old = format!("{LIVE}api.requests_per_second = 2\napi.max_in_flight = 2\n");
    let new = format!("{old}auto_close.stale_after = \"48h\"\n");
    mirror.configure(&old);
    let daemon = mirror.running_daemon();
    let withdrawn = "SELECT count(*) FROM closures WHERE attempts = 0 AND error IS NOT NULL";
    for _ in 0..20 {
        mirror.wait("a decided request waits", || {
            let asked = mirror.simulator.account().closes.len() as i64;
            mirror.sql::<i64>("SELECT count(*) FROM closures WHERE outcome <> 'withdrawn'") > asked
        });
        mirror.reload(&daemon, &new);
        mirror.wait_sql(
            "all are decided on anew",
            "SELECT count(*) FROM talk_queue WHERE reason LIKE 'close%' AND due_at <= unixepoch()",
            0,
        );
        // The machine may have been too slow in that second.
        if mirror.sql::<i64>(withdrawn) > 0 {
            break;
        }
        mirror.reload(&daemon, &old);
    }
    let kept = "SELECT talk_id FROM closures WHERE attempts = 0 AND error IS NOT NULL LIMIT 1";
    let talk_id = mirror.sql::<i64>(kept);
    let error = "SELECT group_concat(DISTINCT error) FROM closures WHERE attempts = 0 AND error IS NOT NULL";
    let error: String = mirror.sql(error);
    assert_said!(error, @"not sent: the rules have changed");
    assert_eq!(mirror.simulator.account().closes_of(talk_id), (0, 0));
    assert!(mirror.simulator.account().talks[&talk_id].is_in_work);
    let (out, _) = mirror.ends(0, &["why", &talk_id.to_string()]);
    assert!(out.contains(&error), "{out}");
    daemon.stop();
}

#[test]
fn feeders_schedules_and_the_log_level_change_while_it_runs() {
    let mirror = Mirror::new(account(5));
    let daemon = mirror.running_daemon();
    assert!(!mirror.log().contains("DEBUG"));
    mirror.reload(
        &daemon,
        "log.level = \"debug\"\nlisting.enabled = true\nlisting.schedule = \"0 0 0 1 1 *\"\n",
    );
    // The first run comes at once, as at a start. The next one is in January.
    mirror.wait("a look", || mirror.simulator.account().list_requests() > 0);
    mirror.wait_sql("the list is mirrored", "SELECT count(*) FROM talks", 5);
    assert!(mirror.log().contains("DEBUG"), "{}", mirror.log());
    assert_eq!(mirror.simulator.account().events_requests(), 0);
    let looks = mirror.simulator.account().list_requests();
    mirror.reload(&daemon, &format!("{LISTING}{EVENTS}"));
    mirror.wait("by its new schedule", || mirror.simulator.account().list_requests() > looks + 1);
    mirror.wait("events too", || mirror.simulator.account().events_requests() > 1);
    mirror.reload(&daemon, "");
    mirror.wait_sql("both are off", "SELECT count(*) FROM feeders WHERE enabled = 1", 0);
    let asked = mirror.simulator.account().requests() + 1;
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    assert!(mirror.simulator.account().requests() <= asked, "no list was asked for any more");
    daemon.stop();
}

#[test]
fn another_token_file_is_used_and_what_takes_a_restart_is_named() {
    let mirror = Mirror::new(account(5));
    let daemon = mirror.running_daemon();
    mirror.simulator.account().token = "second".into();
    mirror.write_secret("second", "second");
    mirror.reload(&daemon, "api.token_file = \"second\"\nlog.format = \"json\"\n");
    assert_said!(mirror.logged_changes(), @"
    INFO api.token_file: token → second
    INFO log.format: auto → json
    ");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("the new token is used", "SELECT count(*) FROM talks", 1);
    assert_said!(mirror.wait_logged(journal::RESTART_NEEDED), @"WARN restart talkmirror to apply the other changes: log.format");
    daemon.stop();
}

#[test]
fn another_account_s_address_or_database_is_refused_and_its_token_goes_nowhere() {
    let mirror = Mirror::new(account(5));
    let other = talkmirror_simulator::Simulator::start(account(5)).unwrap();
    let daemon = mirror.running_daemon();
    mirror.write_secret("second", "of-another-account");
    mirror.configure(&format!(
        "api.base_url = \"{}\"\napi.token_file = \"second\"\ndatabase.path = \"other.db\"\n",
        other.base_url()
    ));
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged(journal::CONFIG_REFUSED);
    assert_said!(journal::faults(&mirror.log()), @"
    ERROR a mistake in the new configuration: [folder]/config.toml: api.base_url: expected http://127.0.0.1:[port]/ while talkmirror runs (restart it to change this), found http://127.0.0.1:[port]/
    ERROR a mistake in the new configuration: [folder]/config.toml: database.path: expected [folder]/talks.db while talkmirror runs (restart it to change this), found [folder]/other.db
    ERROR refused the new configuration, the old one stays in force: 2 mistakes
    ");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1), (2)");
    mirror.wait_sql("it works on with its own token", "SELECT count(*) FROM talks", 2);
    assert!(mirror.simulator.account().log.iter().all(|request| request.status == 200));
    assert!(other.account().log.is_empty() && !mirror.path("other.db").exists());
    daemon.stop();
}

#[test]
fn a_reload_goes_over_to_oauth_and_back() {
    let mirror = Mirror::new(account(5));
    let daemon = mirror.running_daemon();
    let file = std::fs::read_to_string(mirror.path("config.toml")).unwrap();
    let (integration, pair) = {
        let mut account = mirror.simulator.account();
        let (access, refresh) = account.oauth.issue();
        let pair = serde_json::json!({"access_token": access, "refresh_token": refresh});
        mirror.write_secret("client-secret", &account.oauth.client_secret);
        // Only a renewal gives an accepted token.
        account.token = "no longer the file's".into();
        let section = format!(
            "api.oauth.client_id = \"{}\"\napi.oauth.client_secret_file = \"client-secret\"\n\
             api.oauth.redirect_uri = \"{}\"\n",
            account.oauth.client_id, account.oauth.redirect_uri
        );
        (section, pair)
    };
    crate::oauth::keep_as(&mirror, pair, -1000, 80_000);
    let without: String =
        file.lines().filter(|line| !line.contains("token_file")).map(|line| format!("{line}\n")).collect();
    std::fs::write(mirror.path("config.toml"), without + &integration).unwrap();
    daemon.signal(Signal::SIGHUP);
    mirror.wait_logged(journal::CONFIG_APPLIED);
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (1)");
    mirror.wait_sql("by the integration's token", "SELECT count(*) FROM talks", 1);
    mirror.simulator.account().token = talkmirror_simulator::TOKEN.into();
    mirror.simulator.account().oauth.revoke();
    mirror.reload(&daemon, "");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (2)");
    mirror.wait_sql("by the file's again", "SELECT count(*) FROM talks", 2);
    mirror.wait_sql("no word of OAuth", "SELECT count(*) FROM mirror_info WHERE key = 'api.oauth'", 0);
    daemon.stop();
}
