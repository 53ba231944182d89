//! The configuration: a TOML file, overridden by the environment, checked as a whole.
//!
//! Nothing starts with a wrong configuration. All mistakes are reported at once, with the file, the key, what was
//! expected and what was found. `config.example.toml` explains each key; a test holds it equal to the defaults
//! here.
//!
//! Uses `amocrm`, `clock`, `files`, `language`, `number`, `policy`, `publish`. Alone knows the crates
//! `config` and `toml`.

mod address;
mod auto_close;
mod backup;
mod credentials;
mod example;
mod feeds;
mod file;
mod keys;
mod kind;
mod oauth;
mod publish;
mod report;
mod retention;
mod schedule;
mod schema;
mod settings;
mod syntax;
mod value;

pub(crate) use address::{Pasted, pasted};
pub(crate) use auto_close::AutoClose;
pub(crate) use backup::Backup;
pub(crate) use example::EXAMPLE;
pub(crate) use feeds::{DirectoryRules, MAX_SECRET_BYTES};
pub(crate) use file::ConfigFile;
pub(crate) use schedule::{either_day, next_tick};
pub(crate) use schema::schema;
pub(crate) use settings::{Origin, Setting, changes};

use crate::amocrm::{self, ClientConfig, Token, TokenSource, vendor_of};
use crate::language::Language;
use crate::number;
use crate::policy::RetryRules;
use crate::policy::hours::ReportRules;
use crate::policy::refresh::RefreshRules;
use crate::publish::PublishRules;
use keys::Keys;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The vendor's limit per integration, in requests a second.
const VENDOR_LIMIT_PER_SECOND: u32 = 7;

/// A checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub api: Api,
    /// `database.path`, absolute or relative to the working directory.
    pub database: PathBuf,
    pub queue: Queue,
    pub auto_close: AutoClose,
    /// `[refresh]`. Here and below, `None` means disabled.
    pub refresh: Option<RefreshRules>,
    /// `listing.schedule`: a cron expression of six fields, seconds first; UTC.
    pub listing: Option<String>,
    /// `events.schedule`, in the same format.
    pub events: Option<String>,
    /// `events.since`: past events of this length of time are read once. `None`: none are.
    pub events_since: Option<Duration>,
    pub directory: Option<DirectoryRules>,
    pub webhook: Option<Webhook>,
    pub report: ReportRules,
    /// `retention.versions`: older ended states are removed. `None` keeps all.
    pub retention: Option<Duration>,
    /// `http.listen`. `None` if nothing is served.
    pub http: Option<SocketAddr>,
    /// `http.hosts`, in the form used to compare.
    pub http_hosts: Vec<String>,
    /// `http.language`. `None`: that of the reader's browser.
    pub http_language: Option<Language>,
    pub backup: Option<Backup>,
    /// `[publish]`. For a command that [`Needs::Publish`], also if it is not enabled.
    pub publish: Option<PublishRules>,
    pub log: Log,
    /// Each key with its effective value, in the order of config.example.toml.
    pub settings: Vec<Setting>,
    /// The configuration file.
    pub file: PathBuf,
    /// Whether the file can be read again.
    pub file_is_regular: bool,
}

/// The maximum number of concurrent requests with `api.max_in_flight = "auto"`.
pub(crate) const AUTOMATIC_IN_FLIGHT: usize = 16;

/// `[api]`
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub base_url: Url,
    /// `None` if no token is configured; see [`Config::load`].
    pub token: Option<TokenSource>,
    /// The rate limit in every sliding second.
    pub requests_per_second: u32,
    /// The vendor has raised the limit of this integration.
    pub raised_limit: bool,
    /// The maximum number of concurrent requests: [`AUTOMATIC_IN_FLIGHT`] unless configured.
    pub max_in_flight: usize,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

/// `[queue]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queue {
    pub poll_interval: Duration,
    pub retry: RetryRules,
}

/// `[webhook]`
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// The content of `webhook.secret_file`: the last part of the webhook address.
    pub secret: SecretString,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    pub level: tracing::Level,
    pub format: LogFormat,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// journald under systemd, coloured text on a terminal, else plain text.
    Auto,
    Text,
    Json,
    Journald,
}

const LEVELS: [(&str, tracing::Level); 5] = [
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

const FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("journald", LogFormat::Journald),
];

/// What a command needs of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    DatabaseAlone,
    /// A readable token.
    Api,
    /// A readable token, and the webhook secret if webhooks are enabled.
    Webhook,
    /// An OAuth section. There may be no tokens yet.
    Login,
    /// The server to publish to, also while publishing is off. No token.
    Publish,
}

/// All mistakes of a configuration, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct Mistakes(pub Vec<String>);

impl Api {
    /// The settings of the API client.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            base_url: self.base_url.clone(),
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
            max_in_flight: self.max_in_flight,
        }
    }
}

impl Config {
    /// Reads and checks the file at `path` and `TALKMIRROR__…` in the environment.
    ///
    /// # Errors
    /// All mistakes at once. A missing or unreadable secret is a mistake if the command [`Needs`] it.
    pub(crate) fn load(path: &Path, needs: Needs) -> Result<Config, Mistakes> {
        Config::of(&ConfigFile::read(path)?, needs)
    }

    /// Checks a file's text, and `TALKMIRROR__…` in the environment.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub(crate) fn of(file: &ConfigFile, needs: Needs) -> Result<Config, Mistakes> {
        let mut keys = Keys::read(file)?;
        let config = Config::take(&mut keys, file, needs);
        let mistakes = keys.finish();
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
    }

    /// The configuration for a command that needs only `database.path`, and the mistakes in the rest, which are
    /// replaced by defaults.
    ///
    /// # Errors
    /// All mistakes, if they leave the database's path uncertain.
    pub(crate) fn for_database(file: &ConfigFile) -> Result<(Config, Vec<String>), Mistakes> {
        let mut keys = Keys::read(file)?;
        let config = Config::take(&mut keys, file, Needs::DatabaseAlone);
        let is_certain = keys.is_certain("database.path");
        let mistakes = keys.finish();
        if is_certain { Ok((config, mistakes)) } else { Err(Mistakes(mistakes)) }
    }

    /// Allowed settings that are probably mistakes.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Api { base_url, requests_per_second, raised_limit, .. } = &self.api;
        let host = base_url.host_str().unwrap_or_default();
        let over =
            *requests_per_second > VENDOR_LIMIT_PER_SECOND && !raised_limit && vendor_of(host).is_some();
        let warning = || {
            format!(
                "api.requests_per_second is {requests_per_second}, and {host} allows {VENDOR_LIMIT_PER_SECOND} to an integration: \
                 repeated excess blocks the account's whole API; lower it, or set api.raised_limit = true if the vendor \
                 has raised your limit"
            )
        };
        over.then(warning).into_iter().collect()
    }

    /// Logs the [`Config::warnings`].
    pub(crate) fn warn(&self) {
        for warning in self.warnings() {
            tracing::warn!("{warning}");
        }
    }

    /// Takes all known keys.
    fn take(keys: &mut Keys, file: &ConfigFile, needs: Needs) -> Config {
        let folder = &file.folder();
        let base_url = address::base_url(keys);
        if let Some(base_url) = &base_url
            && needs != Needs::DatabaseAlone
            && let Err(line) = amocrm::proxy(base_url)
        {
            keys.mistake_line(line);
        }
        let token = token(keys, folder);
        let oauth = oauth::section(keys, folder);
        let mut api = Api {
            base_url: base_url.unwrap_or_else(|| Url::parse("http://localhost").expect("a valid URL")),
            token: None,
            requests_per_second: keys.whole("api.requests_per_second", 6, 1..=1_000_000),
            raised_limit: keys.boolean("api.raised_limit", false),
            max_in_flight: keys
                .whole_or_auto("api.max_in_flight", 1..=256)
                .map_or(AUTOMATIC_IN_FLIGHT, number::size),
            connect_timeout: keys.duration("api.connect_timeout", "10s", "100ms", "10m"),
            timeout: keys.duration("api.timeout", "30s", "100ms", "10m"),
        };

        let database = keys
            .optional("database.path", "the path of a file", |value| {
                value.string().filter(|path| !path.is_empty()).map(PathBuf::from)
            })
            .unwrap_or_else(|| PathBuf::from("talks.db"));
        let state =
            std::env::var_os("STATE_DIRECTORY").and_then(|folders| std::env::split_paths(&folders).next());
        let database = state.unwrap_or_else(|| folder.clone()).join(database);

        api.token = with_oauth(keys, token, oauth, (&database, needs));

        let queue = Queue {
            poll_interval: keys.duration("queue.poll_interval", "1s", "10ms", "1h"),
            retry: RetryRules {
                max_attempts: keys.whole("queue.max_attempts", 8, 1..=1000),
                base: keys.duration("queue.retry_base", "5s", "1ms", "1d"),
                max: keys.duration("queue.retry_max", "1h", "1ms", "30d"),
            },
        };
        if queue.retry.max < queue.retry.base {
            let base = humantime::format_duration(queue.retry.base);
            let max = humantime::format_duration(queue.retry.max);
            keys.mistake("queue.retry_max", &format!("at least queue.retry_base ({base})"), &max.to_string());
        }

        let report = report::report(keys);
        let auto_close = auto_close::auto_close(keys, &report);
        let refresh = feeds::refresh(keys);
        let listing = feeds::schedule(keys, "listing.enabled", "listing.schedule", "0 */10 * * * *");
        let events = feeds::schedule(keys, "events.enabled", "events.schedule", "0 * * * * *");
        let events_since = feeds::events_since(keys).filter(|_| events.is_some());
        let directory = feeds::directory(keys);
        let http = feeds::http(keys);
        let http_hosts = feeds::hosts(keys);
        let http_language = feeds::language(keys);
        let webhook = feeds::webhook(keys, folder, needs, http);
        let retention = retention::versions(keys);
        let backup = backup::backup(keys, &database);
        let publish = publish::publish(keys, folder, needs);
        let log = Log {
            level: keys.choice("log.level", &LEVELS).unwrap_or(tracing::Level::INFO),
            format: keys.choice("log.format", &FORMATS).unwrap_or(LogFormat::Auto),
        };
        Config {
            api,
            database,
            queue,
            auto_close,
            refresh,
            listing,
            events,
            events_since,
            directory,
            webhook,
            report,
            retention,
            http,
            http_hosts,
            http_language,
            backup,
            publish,
            log,
            settings: settings::effective(keys.set()),
            file: file.path().to_owned(),
            file_is_regular: file.is_regular(),
        }
    }
}

/// `api.token_file`, else systemd's credential `token`, else `api.token` from the environment; and whether a file
/// is named.
fn token(keys: &mut Keys, folder: &Path) -> (Option<TokenSource>, bool) {
    let file = keys.optional("api.token_file", "the path of a file with the token", |value| {
        let path = value.string().filter(|path| !value::may_be_secret(path))?;
        Some((!path.is_empty()).then(|| folder.join(path)))
    });
    let file = file.flatten();
    let inline = keys.secret_from_environment("api.token");
    let is_named = file.is_some();
    let file = credentials::file_or(file, "token");
    (file.map(TokenSource::File).or(inline.map(TokenSource::Environment)), is_named)
}

/// That token, or the one of `[api.oauth]`. Reports a missing token if it is needed.
fn with_oauth(
    keys: &mut Keys,
    (token, is_named): (Option<TokenSource>, bool),
    oauth: oauth::Section,
    (database, needs): (&Path, Needs),
) -> Option<TokenSource> {
    // A lone credential may be left over, and the units always pass it.
    let other = token.as_ref().and_then(|token| match token {
        TokenSource::File(_) if !is_named => None,
        TokenSource::File(path) => Some(format!("a long-lived one at {}", path.display())),
        _ => Some("api.token".to_owned()),
    });
    let on = oauth.is_on(keys);
    let integration = oauth.integration(keys, database, needs, other.as_deref());
    let source = if on { integration.map(TokenSource::OAuth) } else { token };
    if matches!(needs, Needs::DatabaseAlone | Needs::Login | Needs::Publish) {
        return source;
    }
    match &source {
        None if on || keys.has_mistake("api.token") || keys.has_mistake("api.token_file") => {}
        None => keys.mistake("api.token_file", "the path of a file with the token", "nothing"),
        Some(source) => {
            if let Err(found) = Token::read(source.clone()) {
                let (key, what) = match source {
                    TokenSource::File(path) => {
                        ("api.token_file", format!("a readable token at {}", path.display()))
                    }
                    TokenSource::Environment(_) => ("api.token", "a readable token".to_owned()),
                    TokenSource::OAuth(_) => {
                        ("api.oauth.store", "the tokens that `talkmirror login` stores".to_owned())
                    }
                };
                keys.mistake(key, &what, &found);
            }
        }
    }
    source
}

#[cfg(test)]
mod tests;
