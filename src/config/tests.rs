use super::*;
use crate::policy::closing::CloseMode;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The mistakes of a configuration, in a folder with a token file.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    load(text, Needs::Webhook).map(|_| ()).unwrap_err().0
}

/// Writes a file that only its owner may read.
fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(super) fn load(text: &str, needs: Needs) -> Result<Config, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    private(&folder.path().join("token"), "secret-token\n");
    private(&folder.path().join("empty"), "\n");
    Config::load(&path, needs).map_err(|Mistakes(lines)| {
        let prefix = format!("{}/", folder.path().display());
        Mistakes(lines.into_iter().map(|line| line.replace(&prefix, "")).collect())
    })
}

pub(super) const LEAST: &str = "[api]\nbase_url = \"https://example.amocrm.ru\"\ntoken_file = \"token\"\n";

#[test]
fn the_example_file_shows_every_key_with_its_default() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
    let example = load(&example, Needs::DatabaseAlone).unwrap();
    let defaults = load(LEAST, Needs::Api).unwrap();
    assert_eq!(example.api.requests_per_second, defaults.api.requests_per_second);
    assert_eq!(example.api.max_in_flight, defaults.api.max_in_flight);
    assert_eq!(example.api.connect_timeout, defaults.api.connect_timeout);
    assert_eq!(example.api.timeout, defaults.api.timeout);
    assert_eq!(example.database.file_name(), defaults.database.file_name());
    assert_eq!(example.queue, defaults.queue);
    assert_eq!(example.auto_close, defaults.auto_close);
    assert_eq!(example.refresh, defaults.refresh);
    assert_eq!((&example.listing, &example.events), (&defaults.listing, &defaults.events));
    assert!(example.webhook.is_none() && defaults.webhook.is_none());
    assert_eq!((example.retention, defaults.retention), (None, None));
    assert_eq!((example.http, defaults.http), (None, None));
    assert_eq!((example.api.raised_limit, defaults.api.raised_limit), (false, false));
    assert_eq!((&example.http_hosts, &defaults.http_hosts), (&Vec::new(), &Vec::new()));
    assert_eq!((example.http_language, defaults.http_language), (None, None));
    assert_eq!((example.backup, defaults.backup), (None, None));
    assert_eq!(example.log, defaults.log);

    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
    for key in [
        "base_url",
        "token_file",
        "requests_per_second",
        "max_in_flight",
        "connect_timeout",
        "timeout",
        "path",
        "poll_interval",
        "max_attempts",
        "retry_base",
        "retry_max",
        "mode",
        "stale_after",
        "quiet_for",
        "force_close",
        "schedule",
        "max_per_sweep",
        "max_share",
        "only_origins",
        "enabled",
        "min_interval",
        "recheck",
        "closed_for",
        "contacts",
        "secret_file",
        "client_id",
        "client_secret_file",
        "redirect_uri",
        "store",
        "listen",
        "allow_remote",
        "hosts",
        "raised_limit",
        "except_origins",
        "versions",
        "keep",
        "server",
        "password_file",
        "ca_file",
        "interval",
        "payload",
        "adopt",
        "standby_after",
        "level",
        "format",
    ] {
        let shown = text.lines().filter(|line| line.starts_with(&format!("{key} = "))).count();
        let sections = match key {
            "enabled" => 6,
            "schedule" => 5,
            "path" | "interval" => 2,
            _ => 1,
        };
        assert_eq!(shown, sections, "{key}");
    }
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let config = load(LEAST, Needs::Api).unwrap();
    assert_eq!(config.api.requests_per_second, 6);
    assert_eq!(config.api.max_in_flight, 16);
    assert_eq!(config.api.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.api.timeout, Duration::from_secs(30));
    assert_eq!(config.queue.poll_interval, Duration::from_secs(1));
    assert_eq!(config.queue.retry.max_attempts, 8);
    assert_eq!(config.queue.retry.base, Duration::from_secs(5));
    assert_eq!(config.queue.retry.max, Duration::from_secs(3600));
    assert_eq!(config.log.level, tracing::Level::INFO);
    assert_eq!(config.log.format, LogFormat::Auto);
}

#[test]
fn requests_under_way_are_automatic_or_a_number() {
    let set = |value: &str| {
        load(&format!("{LEAST}max_in_flight = {value}\n"), Needs::Api).map(|config| config.api.max_in_flight)
    };
    assert_eq!((set("\"auto\"").unwrap(), set("3").unwrap(), set("256").unwrap()), (16, 3, 256));
    for (value, shown) in [("0", "0"), ("257", "257"), ("\"many\"", "\"many\""), ("true", "true")] {
        let error = set(value).unwrap_err().to_string();
        let expected =
            format!("max_in_flight: expected a whole number from 1 to 256, or \"auto\", found {shown}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_key_expected_and_found() {
    let found = mistakes(
        "[api]
         base_url = \"http://example.amocrm.ru\"
         token_file = \"missing\"
         requests_per_second = 0
         max_in_fligth = 3
         timeout = \"soon\"
         [queue]
         retry_base = \"2h\"
         retry_max = \"1h\"
         [log]
         level = \"loud\"
         format = 3
         [metrics]
         secret = \"hush\"",
    );
    assert_eq!(
        found,
        [
            "config.toml: api.base_url: expected the address as https://example.amocrm.ru, found \"http://example.amocrm.ru\"",
            "config.toml: api.requests_per_second: expected a whole number from 1 to 1000000, found 0",
            "config.toml: api.timeout: expected a duration such as \"30s\", from 100ms to 10m, found \"soon\"",
            "config.toml: api.token_file: expected a readable token at missing, found No such file or directory (os error 2)",
            "config.toml: queue.retry_max: expected at least queue.retry_base (2h), found 1h",
            "config.toml: log.level: expected error, warn, info, debug or trace, found \"loud\"",
            "config.toml: log.format: expected auto, text, json or journald, found 3",
            "config.toml: api.max_in_fligth: expected a known key: api.max_in_flight?, found an unknown one",
            "config.toml: metrics.secret: expected a known key (`talkmirror config example` shows them all), found an unknown one",
        ]
    );
}

#[test]
fn a_missing_address_or_token_a_section_as_a_value_and_broken_toml_are_named() {
    assert_eq!(mistakes("")[0].split(", found").nth(1), Some(" nothing"));
    assert!(mistakes("").iter().any(|line| line.starts_with("config.toml: api.token_file:")));
    assert!(mistakes("api = 3").iter().any(|line| line.contains("api: expected a section, [api], found 3")));
    assert!(mistakes("[api\nx")[0].starts_with("config.toml: expected TOML, found: "));
    let empty = LEAST.replace("\"token\"", "\"empty\"");
    assert!(mistakes(&empty)[0].contains("expected a readable token at empty, found nothing in it"));
}

#[test]
fn a_token_among_the_settings_is_refused_and_not_shown() {
    let found = mistakes(&LEAST.replace("token_file = \"token\"", "token = \"hush-hush\"")).join("\n");
    assert!(found.contains("api.token: expected the token in a file of its own"), "{found}");
    assert!(!found.contains("hush"), "{found}");
    let found = mistakes(&LEAST.replace("token_file = \"token\"", "tokn = \"hush-hush\"")).join("\n");
    assert!(found.contains("api.tokn") && !found.contains("hush"), "{found}");
}

#[test]
fn a_command_that_needs_the_database_alone_needs_no_token() {
    assert!(load("[api]\nbase_url = \"https://a.amocrm.ru\"", Needs::DatabaseAlone).is_ok());
}

#[test]
fn a_password_in_an_address_is_not_shown() {
    let found = mistakes("[api]\nbase_url = \"https://u:hush@a.ru\"\ntoken_file = \"token\"\n").join("\n");
    assert!(found.contains("found an address with a user or password in it"), "{found}");
    assert!(!found.contains("hush"), "{found}");
}

#[test]
fn a_syntax_error_shows_no_line_of_the_file() {
    let found = mistakes("[api]\ntoken = \"hush-hush\n").join("\n");
    assert!(found.contains("line 2") && !found.contains("hush"), "{found}");
}

#[test]
fn an_empty_section_is_known_or_a_mistake_like_any_other() {
    assert!(load(&format!("{LEAST}[queue]\n[log]\n"), Needs::Api).is_ok());
    assert!(mistakes(&format!("{LEAST}[metrics]\n"))[0].contains("metrics: expected a known key"));
}

#[test]
fn without_a_word_about_it_nothing_is_closed() {
    let config = load(LEAST, Needs::Api).unwrap();
    assert_eq!(config.auto_close.rules.mode, CloseMode::Off);
}

#[test]
fn every_mistake_about_closing_is_named() {
    let found = mistakes(&format!(
        "{LEAST}[auto_close]\nmode = \"on\"\nstale_after = \"0s\"\nquiet_for = 15\nforce_close = \"yes\"\n\
         schedule = \"*/5 * * * *\"\nmax_per_sweep = 0\nmax_share = 1.5\nonly_origins = [\"viber\", \"\"]\n\
         except_origins = \"viber\"\n"
    ));
    for part in [
        "auto_close.mode: expected off, dry-run or live, found \"on\"",
        "auto_close.stale_after: expected a duration such as \"24h\", from 1s to 1000d, found \"0s\"",
        "auto_close.quiet_for: expected a duration such as \"15m\", from 0s to 1000d, found 15",
        "auto_close.force_close: expected true or false, found \"yes\"",
        "auto_close.schedule: expected a cron expression of six fields, seconds first, such as \"0 */5 * * * *\", found \"*/5 * * * *\"",
        "auto_close.max_per_sweep: expected a whole number from 1 to 100000, found 0",
        "auto_close.max_share: expected a number from 0 to 1, found 1.5",
        "auto_close.only_origins: expected a list of words: [\"telegram\", \"viber\"], found a list",
        "auto_close.except_origins: expected a list of words: [\"telegram\", \"viber\"], found \"viber\"",
    ] {
        assert!(found.iter().any(|line| line.ends_with(part)), "{part}\n{found:#?}");
    }
    assert_eq!(found.len(), 9);
    let both = format!("{LEAST}[auto_close]\nonly_origins = [\"Viber\"]\nexcept_origins = [\"viber\"]\n");
    assert!(mistakes(&both)[0].contains("expected origins that are not in auto_close.only_origins"));
    let never = format!("{LEAST}[auto_close]\nschedule = \"0 0 0 30 2 *\"\n");
    assert!(mistakes(&never)[0].contains("auto_close.schedule"), "a day that never comes");
}

#[test]
fn a_whole_number_may_be_written_as_a_float() {
    let requests = |value: &str| {
        load(&format!("{LEAST}requests_per_second = {value}\n"), Needs::Api)
            .map(|config| config.api.requests_per_second)
            .map_err(|Mistakes(found)| found)
    };
    assert_eq!(requests("6.0"), Ok(6));
    assert_eq!(requests("1e1"), Ok(10));
    for (value, shown) in
        [("6.5", "6.5"), ("0.0", "0"), ("-6.0", "-6"), ("nan", "NaN"), ("inf", "inf"), ("1e300", "1000")]
    {
        let found = requests(value).unwrap_err().join("\n");
        assert!(
            found.contains(&format!(
                "requests_per_second: expected a whole number from 1 to 1000000, found {shown}"
            )),
            "{found}"
        );
    }
}

#[test]
fn more_than_7_requests_a_second_are_warned_of_on_the_vendor_s_hosts_alone() {
    let warned = |host: &str, more: &str| {
        let text = format!("[api]\nbase_url = \"{host}\"\ntoken_file = \"token\"\n{more}\n");
        !load(&text, Needs::Api).unwrap().warnings().is_empty()
    };
    let eight = "requests_per_second = 8";
    for host in ["https://a.amocrm.ru", "https://A.KOMMO.com", "https://x.a.amocrm.com.", "https://kommo.com"]
    {
        assert!(warned(host, eight), "{host}");
        assert!(!warned(host, "requests_per_second = 7.0"), "{host}");
        assert!(!warned(host, "requests_per_second = 8\nraised_limit = true"), "{host}");
    }
    for host in ["http://127.0.0.1:1", "https://notamocrm.ru", "https://amocrm.ru.example"] {
        assert!(!warned(host, eight), "{host}");
    }
}

#[test]
fn feeders_are_on_but_for_the_webhook_and_can_be_switched_off() {
    let config = load(LEAST, Needs::Api).unwrap();
    assert!(config.refresh.is_some() && config.listing.is_some() && config.events.is_some());
    let directory = DirectoryRules {
        schedule: "0 30 2 * * *".into(),
        interval: Duration::from_secs(60),
        contacts: false,
    };
    assert_eq!(config.directory, Some(directory), "names of clients are not asked for");
    let off = "[refresh]\nenabled = false\n[listing]\nenabled = false\n[events]\nenabled = false\n\
               [directory]\nenabled = false\ncontacts = true\n";
    let config = load(&format!("{LEAST}{off}"), Needs::Api).unwrap();
    assert!(config.refresh.is_none() && config.listing.is_none() && config.events.is_none());
    assert_eq!(config.directory, None);
    let since = |lines: &str| load(&format!("{LEAST}[events]\n{lines}"), Needs::Api).unwrap().events_since;
    assert_eq!(
        (since("since = \"\""), since("since = \"90d\"")),
        (None, Some(Duration::from_secs(90 * 86_400)))
    );
    assert_eq!(since("since = \"90d\"\nenabled = false"), None);
}

#[test]
fn every_mistake_about_feeders_is_named() {
    let found = mistakes(&format!(
        "{LEAST}[refresh]\nmin_interval = \"0s\"\nclosed_for = 7\n[listing]\nenabled = \"on\"\n\
         schedule = \"hourly\"\n[events]\nschedule = \"* * * * *\"\nsince = \"59m\"\n\
         [directory]\ncontacts = 1\ninterval = \"2d\"\n[webhook]\nenabled = true\n"
    ));
    for part in [
        "refresh.min_interval: expected a duration such as \"2m\", from 1s to 30d, found \"0s\"",
        "refresh.closed_for: expected a duration such as \"7d\", from 0s to 1000d, found 7",
        "listing.enabled: expected true or false, found \"on\"",
        "such as \"0 */10 * * * *\", found \"hourly\"",
        "such as \"0 * * * * *\", found \"* * * * *\"",
        "events.since: expected a duration such as \"90d\", from 1h to 3650d, or \"\" to read no past events, found \"59m\"",
        "directory.contacts: expected true or false, found 1",
        "directory.interval: expected a duration such as \"1m\", from 100ms to 1d, found \"2d\"",
        "http.listen: expected an address to receive webhooks at, as webhook.enabled is true, found nothing",
        "webhook.secret_file: expected the path of a file with a secret, as webhook.enabled is true, found nothing",
    ] {
        assert!(found.iter().any(|line| line.ends_with(part)), "{part}\n{found:#?}");
    }
    assert_eq!(found.len(), 10);
}

#[test]
fn webhooks_are_received_on_this_machine_alone_and_with_a_secret_that_cannot_be_guessed() {
    let with = |listen: &str, secret: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{LEAST}[http]\nlisten = \"{listen}\"\n[webhook]\nenabled = true\nsecret_file = \"secret\"\n"
        );
        fs::write(folder.path().join("config.toml"), text).unwrap();
        private(&folder.path().join("token"), "secret-token");
        fs::write(folder.path().join("secret"), secret).unwrap();
        Config::load(&folder.path().join("config.toml"), Needs::Webhook)
            .map_err(|mistakes| mistakes.to_string())
    };
    let config = with("127.0.0.1:9187", "0123456789abcdef\n").unwrap();
    assert!(config.webhook.is_some());
    assert_eq!(config.http.unwrap().port(), 9187);
    assert!(with("[::1]:9187", &"s".repeat(200)).is_ok());
    for (listen, secret, part) in [
        ("0.0.0.0:9187", "0123456789abcdef", "http.listen: expected an address on this machine"),
        ("9187", "0123456789abcdef", "http.listen: expected an address on this machine"),
        ("127.0.0.1:9187", "0123456789abcde", "found 15 of them"),
        ("127.0.0.1:9187", "", "found 0 of them"),
        ("127.0.0.1:9187", "0123456789/abcdef", "found other characters in it"),
    ] {
        let found = with(listen, secret).unwrap_err();
        assert!(found.contains(part) && found.lines().count() == 1, "{found}");
        assert!(!found.contains("0123456789"), "the secret is not shown: {found}");
    }
}

#[test]
fn http_is_served_to_this_machine_unless_configured_otherwise() {
    let with =
        |http: &str| load(&format!("{LEAST}[http]\n{http}\n"), Needs::Webhook).map(|config| config.http);
    let address = |text: &str| Some(text.parse().unwrap());
    assert_eq!(with("listen = \"127.0.0.1:9187\"").unwrap(), address("127.0.0.1:9187"));
    assert_eq!(with("listen = \"\"\nallow_remote = true").unwrap(), None);
    let open = "listen = \"0.0.0.0:9187\"";
    let Mistakes(found) = with(open).unwrap_err();
    assert!(found[0].contains("http.allow_remote = true") && found.len() == 1, "{found:?}");
    assert!(with("listen = \"192.0.2.1:9187\"\nallow_remote = false").is_err());
    assert_eq!(with(&format!("{open}\nallow_remote = true")).unwrap(), address("0.0.0.0:9187"));
    let Mistakes(found) = with("listen = \"9187\"\nallow_remote = true").unwrap_err();
    assert!(found[0].contains("http.listen: expected an address and a port"), "{found:?}");
}

const WHOLE: &str = r#"
[api]
base_url = "https://example.amocrm.ru"
token_file = "token"
requests_per_second = 6.0
connect_timeout = "10s"
[database]
path = "talks.db"
[queue]
poll_interval = "1s"
max_attempts = 8
[auto_close]
mode = "live"
stale_after = "24h"
only_origins = ["telegram", "Ünïcode чат"]
max_share = 0.5
schedule = "0 */5 * * * *"
[backup]
path = "backups"
schedule = "0 0 3 1,15 * MON"
keep = 7
[http]
listen = "127.0.0.1:9187"
hosts = ["mirror.example"]
[log]
level = "info"
"#;

proptest::proptest! {
    #[test]
    fn a_spoilt_configuration_is_checked_whole_or_refused_with_a_message(text in crate::mutated::mutated_text(&[WHOLE])) {
        let file = ConfigFile::of_text(Path::new("/nowhere/config.toml"), text);
        let _ = Config::for_database(&file);
        match Config::of(&file, Needs::DatabaseAlone) {
            Ok(config) => {
                proptest::prop_assert!(config.api.requests_per_second >= 1 && config.api.max_in_flight >= 1);
                proptest::prop_assert!((0.0..=1.0).contains(&config.auto_close.rules.max_share));
            }
            Err(Mistakes(mistakes)) => proptest::prop_assert!(!mistakes.is_empty()),
        }
    }
}
