//! SIGHUP: reads the configuration again and applies it while work continues.

use super::feeders::{self, FeederState};
use super::running::Running;
use super::{DaemonError, worker_config};
use crate::amocrm::{Client, Token, TokenSource};
use crate::clock;
use crate::config::{Config, Mistakes, Needs, changes};
use crate::policy::closing::CloseMode;
use crate::report::humanize::causes;
use crate::report::talk::TalkRules;
use crate::store;
use crate::text::shown;
use crate::worker::Mode;
use secrecy::ExposeSecret;
use std::fmt::Display;
use std::sync::Arc;

/// The changed keys that only take effect after a restart.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    [("http.listen", old.http != new.http), ("log.format", old.log.format != new.log.format)]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect()
}

/// Each key that differs, with both values. Of a secret only that it changed.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    let webhook =
        |config: &Config| config.webhook.as_ref().map(|webhook| webhook.secret.expose_secret().to_owned());
    let client = |config: &Config| match &config.api.token {
        Some(TokenSource::OAuth(integration)) => Some(integration.client_secret.expose_secret().to_owned()),
        _ => None,
    };
    let secret = |key: &str, old: Option<String>, new: Option<String>| {
        (old.is_some() && new.is_some() && old != new).then(|| format!("the secret in {key} changed"))
    };
    let mut changed = changes(&old.settings, &new.settings);
    changed.extend(secret("webhook.secret_file", webhook(old), webhook(new)));
    changed.extend(secret("api.oauth.client_secret_file", client(old), client(new)));
    changed
}

fn count(changes: usize) -> String {
    match changes {
        0 => "nothing changed".into(),
        1 => "1 change".into(),
        changes => format!("{changes} changes"),
    }
}

/// A new configuration, and all that is needed to apply it.
struct Prepared {
    config: Config,
    token: Token,
    /// A client with the new deadlines, if they changed.
    client: Option<Client>,
    feeder_state: FeederState,
    /// Changed keys that need a restart.
    restart_keys: Vec<&'static str>,
}

impl Running<'_> {
    /// Reads the configuration again. One with mistakes is refused and the old one stays. The token is read again
    /// in any case.
    ///
    /// # Errors
    /// If the schedules cannot be set.
    pub(super) async fn reload(&mut self) -> Result<(), DaemonError> {
        tracing::info!("SIGHUP: reading {} anew", shown(&self.config.file.display().to_string()));
        self.service.reloading();
        match self.prepare() {
            Ok(prepared) => self.apply(prepared).await?,
            Err(error) => {
                let mistakes = match error {
                    DaemonError::Config(Mistakes(mistakes)) => mistakes,
                    error => vec![causes(&error)],
                };
                for mistake in &mistakes {
                    tracing::error!("a mistake in the new configuration: {}", shown(mistake));
                }
                let count = mistakes.len();
                let plural = if count == 1 { "mistake" } else { "mistakes" };
                tracing::error!(
                    "refused the new configuration, the old one stays in force: {count} {plural}"
                );
                self.refused = Some(mistakes.join("; "));
            }
        }
        self.worker.reload_token();
        self.tick(clock::now());
        let status = self.status();
        self.service.ready(&status);
        Ok(())
    }

    fn prepare(&self) -> Result<Prepared, DaemonError> {
        if !self.config.file_is_regular {
            let file = self.config.file.display();
            return Err(Mistakes(vec![format!(
                "{file}: expected a file, which can be read again, found a pipe or the like: restart talkmirror with the \
                 new configuration"
            )])
            .into());
        }
        let mut config = Config::load(&self.config.file, Needs::Webhook)?;
        let token = super::token(&config)?;
        self.refuse_another_account(&config)?;
        let restart_keys = needs_restart(&self.config, &config);
        config.http = self.config.http;
        // Without a server no webhook can arrive.
        config.webhook = config.webhook.filter(|_| config.http.is_some());
        config.log.format = self.config.log.format;
        let client = (self.config.api.client() != config.api.client())
            .then(|| Client::new(&config.api.client(), &token))
            .transpose()
            .map_err(DaemonError::Client)?;
        let feeder_state = FeederState::read(&store::open_read_only(&config.database)?)?;
        Ok(Prepared { config, token, client, feeder_state, restart_keys })
    }

    /// Another address or database is another mirror. Its token must not go to the old address, nor the talks of
    /// one account into the other's database.
    fn refuse_another_account(&self, new: &Config) -> Result<(), Mistakes> {
        let old = &self.config;
        let mut mistakes = Vec::new();
        let mut keep = |key: &str, old: &dyn Display, new: &dyn Display| {
            let file = self.config.file.display();
            mistakes.push(format!(
                "{file}: {key}: expected {old} while talkmirror runs (restart it to change this), found {new}"
            ));
        };
        if old.api.base_url != new.api.base_url {
            keep("api.base_url", &old.api.base_url, &new.api.base_url);
        }
        if old.database != new.database {
            keep("database.path", &old.database.display(), &new.database.display());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }

    async fn apply(&mut self, prepared: Prepared) -> Result<(), DaemonError> {
        let Prepared { config, token, client, feeder_state, restart_keys } = prepared;
        let now = clock::now();
        let changed = changed(&self.config, &config);
        (self.set_level)(config.log.level);
        self.worker.reconfigure(worker_config(&config, Mode::Run), token, client, now);
        self.backups.apply(&config, &self.schedule).await?;
        self.publishing.apply(&config).await?;
        self.feeders.apply(&config, &feeder_state, &self.worker, &self.schedule).await?;
        self.hosts.send_replace(config.http_hosts.clone());
        self.language.send_replace(config.http_language);
        self.talk_rules.send_replace(Arc::new(TalkRules::new(&config)));
        let (rules, report) = (config.auto_close.rules.clone(), config.report.clone());
        self.worker.writer().configure(rules, report, feeders::enabled(&config));
        self.config = config;
        self.config.warn();
        self.set_sweeps().await?;
        self.refused = None;
        self.configured_at = now.secs();
        for change in &changed {
            tracing::info!("{}", shown(change));
        }
        tracing::info!("applied the new configuration: {}", count(changed.len()));
        if !restart_keys.is_empty() {
            tracing::warn!("restart talkmirror to apply the other changes: {}", restart_keys.join(", "));
        }
        self.log_auto_close();
        Ok(())
    }

    /// Sets the schedule of the sweeps, if there are any.
    pub(super) async fn set_sweeps(&mut self) -> Result<(), DaemonError> {
        let auto_close = &self.config.auto_close;
        let cron = (auto_close.rules.mode != CloseMode::Off).then_some(auto_close.schedule.as_str());
        self.schedule.set(&mut self.sweeps, cron).await?;
        Ok(())
    }
}
