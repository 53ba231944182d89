//! `[api.oauth]`

use super::address::is_loopback;
use super::keys::Keys;
use super::value::may_be_secret;
use super::{Needs, credentials};
use crate::amocrm::oauth::{Integration, TokenStore};
use crate::files::read_secret;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The section as written.
pub(super) struct Section {
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    redirect_uri: Option<String>,
    store: PathBuf,
}

/// As shown in the integration's settings.
const CLIENT_ID: &str = "the integration's id";
const SECRET_FILE: &str = "the path of a file with the integration's secret";
const REDIRECT_URI: &str =
    "the address as in the integration's settings, https://… (or http to a loopback address)";

/// Reads the section. Paths are relative to `folder`, except the store, which is relative to the database's folder.
pub(super) fn section(keys: &mut Keys, folder: &Path) -> Section {
    let mut text = |key, expected: &str, check: fn(&str) -> bool| {
        keys.optional(key, expected, |found| {
            let text = found.string()?;
            (text.is_empty() || check(&text)).then_some(text)
        })
        .filter(|text| !text.is_empty())
    };
    let client_id =
        text("api.oauth.client_id", CLIENT_ID, |id| id.bytes().all(|byte| byte.is_ascii_graphic()));
    let client_secret_file = text("api.oauth.client_secret_file", SECRET_FILE, |path| !may_be_secret(path));
    let redirect_uri = text("api.oauth.redirect_uri", REDIRECT_URI, is_redirect_uri);
    let store = text("api.oauth.store", "the path of a file", |_| true);
    Section {
        client_id,
        client_secret_file: client_secret_file.map(|path| folder.join(path)),
        redirect_uri,
        store: PathBuf::from(store.unwrap_or_else(|| "secrets/oauth.json".into())),
    }
}

impl Section {
    /// Whether the tokens come from OAuth. An incomplete section counts as off and is a mistake.
    pub(super) fn is_on(&self, keys: &Keys) -> bool {
        self.client_id.is_some() || keys.has_mistake("api.oauth.client_id")
    }

    /// Checks the section as a whole. `None` if it is off or wrong.
    ///
    /// `other` is a key that configures another token, if any.
    pub(super) fn integration(
        self,
        keys: &mut Keys,
        database: &Path,
        needs: Needs,
        other: Option<&str>,
    ) -> Option<Arc<Integration>> {
        let on = self.is_on(keys);
        if !on {
            let set = [
                ("api.oauth.client_secret_file", self.client_secret_file.is_some()),
                ("api.oauth.redirect_uri", self.redirect_uri.is_some()),
            ];
            if let Some((set, _)) = set.into_iter().find(|(_, is_set)| *is_set) {
                keys.mistake("api.oauth.client_id", &format!("{CLIENT_ID}, as {set} is set"), "nothing");
            } else if needs == Needs::Login {
                keys.mistake("api.oauth.client_id", &format!("{CLIENT_ID}, to log in with"), "nothing");
            }
            return None;
        }
        if let Some(other) = other {
            keys.mistake("api.oauth.client_id", "no other token beside it", other);
        }
        let as_on = |what: &str| format!("{what}, as api.oauth.client_id is set");
        if self.redirect_uri.is_none() && !keys.has_mistake("api.oauth.redirect_uri") {
            keys.mistake("api.oauth.redirect_uri", &as_on(REDIRECT_URI), "nothing");
        }
        let secret = match credentials::file_or(self.client_secret_file, "oauth-secret") {
            _ if keys.has_mistake("api.oauth.client_secret_file") => None,
            None => {
                keys.mistake("api.oauth.client_secret_file", &as_on(SECRET_FILE), "nothing");
                None
            }
            // A command that needs no token need not be able to read it.
            Some(_) if needs == Needs::DatabaseAlone => None,
            Some(file) => secret(keys, &file),
        };
        let beside = database.parent().unwrap_or(Path::new(""));
        let like = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
        Some(Arc::new(Integration {
            client_id: self.client_id?,
            client_secret: secret?,
            redirect_uri: self.redirect_uri?,
            store: TokenStore::new(beside.join(self.store), like.to_owned()),
        }))
    }
}

fn secret(keys: &mut Keys, file: &Path) -> Option<SecretString> {
    let found = match read_secret(file) {
        Err(why) => why,
        Ok((text, _)) => match text.trim() {
            "" => "nothing in it".into(),
            secret if secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Some(SecretString::from(secret));
            }
            _ => "spaces, line breaks or other characters that no secret has".into(),
        },
    };
    let expected = format!("the integration's secret, readable, at {}", file.display());
    keys.mistake("api.oauth.client_secret_file", &expected, &found);
    None
}

fn is_redirect_uri(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    safe && url.host().is_some() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load, mistakes};
    use super::*;
    use crate::amocrm::TokenSource;

    /// A section. The file "token" in its folder serves as a secret.
    fn with(more: &str) -> String {
        format!("[api]\nbase_url = \"https://example.amocrm.ru\"\n{more}")
    }

    const WHOLE: &str = "[api.oauth]\nclient_id = \"id\"\nclient_secret_file = \"token\"\n\
                         redirect_uri = \"https://i.example/oauth?x=1\"\n";

    #[test]
    fn the_tokens_are_stored_beside_the_database_unless_configured() {
        let store = |more: &str| {
            let config = load(&with(more), Needs::Login).unwrap();
            let Some(TokenSource::OAuth(integration)) = &config.api.token else { panic!("{more}") };
            let beside = config.database.parent().unwrap().to_owned();
            integration.store.path().strip_prefix(beside).map(Path::to_owned).ok()
        };
        assert_eq!(store(WHOLE), Some("secrets/oauth.json".into()));
        assert_eq!(store(&format!("{WHOLE}store = \"keys/a.json\"\n")), Some("keys/a.json".into()));
        let elsewhere = format!("{WHOLE}[database]\npath = \"below/talks.db\"\n");
        assert_eq!(store(&elsewhere), Some("secrets/oauth.json".into()));
        assert_eq!(store(&format!("{WHOLE}store = \"/etc/keys/a.json\"\n")), None);
    }

    #[test]
    fn half_a_section_names_what_is_missing() {
        let found = mistakes(&with("[api.oauth]\nclient_id = \"id\"\n"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0]
                .contains("api.oauth.redirect_uri: expected the address as in the integration's settings")
        );
        assert!(found[0].ends_with("as api.oauth.client_id is set, found nothing"));
        assert!(found[1].contains("api.oauth.client_secret_file: expected the path of a file"));
        let found =
            mistakes(&with("token_file = \"token\"\n[api.oauth]\nredirect_uri = \"https://i.example\"\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(
            "api.oauth.client_id: expected the integration's id, as api.oauth.redirect_uri is set, found nothing"
        ));
    }

    #[test]
    fn every_mistake_of_the_section_is_named_at_once() {
        let found = mistakes(&with(
            "token_file = \"token\"\n[api.oauth]\nclient_id = \"two words\"\nclient_secret_file = \"empty\"\n\
             redirect_uri = \"http://i.example\"\nstore = 3\n",
        ));
        for part in [
            "api.oauth.client_id: expected the integration's id, found \"two words\"",
            "api.oauth.redirect_uri: expected the address as in the integration's settings, https://… (or http to a \
             loopback address), found \"http://i.example\"",
            "api.oauth.store: expected the path of a file, found 3",
            "api.oauth.client_id: expected no other token beside it, found a long-lived one at token",
            "api.oauth.client_secret_file: expected the integration's secret, readable, at empty, found nothing in it",
        ] {
            assert!(found.iter().any(|line| line.ends_with(part)), "{part}\n{found:#?}");
        }
        assert_eq!(found.len(), 5, "{found:#?}");
    }

    #[test]
    fn without_tokens_only_what_needs_none_goes_on() {
        let found = mistakes(&with(WHOLE));
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .contains("api.oauth.store: expected the tokens that `talkmirror login` stores, found no")
        );
        assert!(found[0].ends_with("run `talkmirror login`"), "{found:?}");
        assert!(load(&with(WHOLE), Needs::DatabaseAlone).is_ok());
        assert!(load(&with(""), Needs::Login).is_err(), "nothing to log in with");
    }

    #[test]
    fn a_redirect_goes_to_https_or_stays_on_this_machine() {
        for good in
            ["https://i.example", "https://i.example/a?b=c", "http://localhost:8080/x", "http://127.0.0.1/"]
        {
            assert!(is_redirect_uri(good), "{good}");
        }
        for bad in ["http://i.example", "i.example", "https://u:p@i.example", "ftp://i.example", ""] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }
}
