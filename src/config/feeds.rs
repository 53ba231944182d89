//! `[refresh]`, `[listing]`, `[events]`, `[directory]`, `[webhook]` and `[http]`.

use super::keys::Keys;
use super::{Needs, Webhook, credentials};
use crate::files::read_text;
use crate::language::Language;
use crate::policy::refresh::RefreshRules;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use url::Host;

/// Shorter webhook secrets can be guessed.
const MIN_SECRET_BYTES: usize = 16;
/// Longer secrets add nothing.
pub(crate) const MAX_SECRET_BYTES: usize = 200;

pub(super) fn refresh(keys: &mut Keys) -> Option<RefreshRules> {
    let enabled = keys.boolean("refresh.enabled", true);
    let rules = RefreshRules {
        min_interval: keys.duration("refresh.min_interval", "2m", "1s", "30d"),
        recheck: keys.duration("refresh.recheck", "1h", "1s", "30d"),
        closed_for: keys.duration("refresh.closed_for", "7d", "0s", "1000d"),
    };
    enabled.then_some(rules)
}

/// The schedule of an enabled feeder.
pub(super) fn schedule(
    keys: &mut Keys,
    enabled: &'static str,
    schedule: &'static str,
    default: &str,
) -> Option<String> {
    let enabled = keys.boolean(enabled, true);
    let schedule = keys.schedule(schedule, default);
    enabled.then_some(schedule)
}

/// `events.since`. `None` reads no past events.
pub(super) fn events_since(keys: &mut Keys) -> Option<Duration> {
    let (least, most) = (Duration::from_secs(60 * 60), Duration::from_secs(3650 * 24 * 60 * 60));
    let expected = "a duration such as \"90d\", from 1h to 3650d, or \"\" to read no past events";
    keys.optional_duration("events.since", expected, (least, most))
}

/// `[directory]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryRules {
    /// When a round begins: a cron expression of six fields, seconds first; UTC.
    pub schedule: String,
    /// For so long, ids are gathered that talks name for the first time.
    pub interval: Duration,
    /// Whether the names of clients are stored.
    pub contacts: bool,
}

/// `[directory]`. `None` if it is off.
pub(super) fn directory(keys: &mut Keys) -> Option<DirectoryRules> {
    let schedule = schedule(keys, "directory.enabled", "directory.schedule", "0 30 2 * * *");
    let interval = keys.duration("directory.interval", "1m", "100ms", "1d");
    let contacts = keys.boolean("directory.contacts", false);
    schedule.map(|schedule| DirectoryRules { schedule, interval, contacts })
}

/// `http.listen`: only this machine can reach it, unless configured otherwise.
pub(super) fn http(keys: &mut Keys) -> Option<SocketAddr> {
    let allow_remote = keys.boolean("http.allow_remote", false);
    let expected = match allow_remote {
        true => "an address and a port, such as \"0.0.0.0:9187\", or \"\" for none",
        false => {
            "an address on this machine and a port, such as \"127.0.0.1:9187\" (others need \
             http.allow_remote = true), or \"\" for none"
        }
    };
    keys.optional("http.listen", expected, |found| {
        let text = found.string()?;
        if text.is_empty() {
            return Some(None);
        }
        let address: SocketAddr = text.parse().ok()?;
        (allow_remote || address.ip().is_loopback()).then_some(Some(address))
    })
    .flatten()
}

/// `http.hosts`: names or addresses, in the form used to compare.
pub(super) fn hosts(keys: &mut Keys) -> Vec<String> {
    let expected = "a list of host names without ports: [\"mirror.example\"]";
    let mut hosts = Vec::new();
    for name in keys.string_list("http.hosts", expected) {
        match Host::parse(name.trim_end_matches('.')) {
            Ok(host) if !name.contains('*') => hosts.push(host.to_string()),
            _ => keys.mistake("http.hosts", expected, &format!("{name:?}")),
        }
    }
    hosts
}

/// `http.language`: the language of the status page. `None`: that of the reader's browser.
pub(super) fn language(keys: &mut Keys) -> Option<Language> {
    keys.optional("http.language", "auto, en, ru or pt-BR", |found| match found.string()?.as_str() {
        "auto" => Some(None),
        tag => Language::parse(tag).map(Some),
    })
    .flatten()
}

/// The webhook needs an address and a secret. The secret is read only if webhooks are received.
pub(super) fn webhook(
    keys: &mut Keys,
    folder: &Path,
    needs: Needs,
    listen: Option<SocketAddr>,
) -> Option<Webhook> {
    let enabled = keys.boolean("webhook.enabled", false);
    let file = keys.optional("webhook.secret_file", "the path of a file with a secret", |found| {
        found.string().map(|path| (!path.is_empty()).then(|| folder.join(path)))
    });
    if !enabled || needs != Needs::Webhook {
        return None;
    }
    if listen.is_none() && !keys.has_mistake("http.listen") {
        keys.mistake(
            "http.listen",
            "an address to receive webhooks at, as webhook.enabled is true",
            "nothing",
        );
    }
    let secret = match credentials::file_or(file.flatten(), "webhook-secret") {
        None if keys.has_mistake("webhook.secret_file") => None,
        None => {
            let expected = "the path of a file with a secret, as webhook.enabled is true";
            keys.mistake("webhook.secret_file", expected, "nothing");
            None
        }
        Some(file) => secret(keys, &file),
    };
    Some(Webhook { secret: secret? })
}

fn secret(keys: &mut Keys, file: &Path) -> Option<SecretString> {
    let found = match read_text(file) {
        Err(error) => error.to_string(),
        Ok(text) => {
            let secret = text.trim();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            match secret.len() {
                _ if !secret.bytes().all(plain) => "other characters in it".into(),
                MIN_SECRET_BYTES..=MAX_SECRET_BYTES => return Some(SecretString::from(secret)),
                length => format!("{length} of them"),
            }
        }
    };
    let expected =
        format!("{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} letters, digits, - and _ in {}", file.display());
    keys.mistake("webhook.secret_file", &expected, &found);
    None
}
