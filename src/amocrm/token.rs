//! The API token: where it is stored, read and checked. It is never shown.

use super::jwt::{account_id, base_domain, check, expiry, is_jwt};
use super::oauth::{Integration, Pair};
use crate::clock::UnixSeconds;
use crate::files::{Stamp, is_credential, read_secret};
use secrecy::{ExposeSecret, SecretString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the API token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file that may be replaced while talkmirror runs.
    File(PathBuf),
    /// `TALKMIRROR__API__TOKEN` in the environment.
    Environment(SecretString),
    /// The access token of a pair that `talkmirror login` stored.
    OAuth(Arc<Integration>),
}

impl TokenSource {
    /// Whether a token from one is a token from the other.
    fn is(&self, other: &TokenSource) -> bool {
        let same = |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
        match (self, other) {
            (TokenSource::File(one), TokenSource::File(other)) => one == other,
            (TokenSource::Environment(one), TokenSource::Environment(other)) => same(one, other),
            (TokenSource::OAuth(one), TokenSource::OAuth(other)) => {
                (&one.client_id, &one.redirect_uri, one.store.path())
                    == (&other.client_id, &other.redirect_uri, other.store.path())
                    && same(&one.client_secret, &other.client_secret)
            }
            _ => false,
        }
    }
}

/// The token in use, and the data to notice that its file was replaced.
#[derive(Debug)]
pub struct Token {
    source: TokenSource,
    secret: SecretString,
    stamp: Option<Stamp>,
    expires_at: Option<UnixSeconds>,
    /// Set with OAuth.
    pair: Option<Pair>,
    warnings: Vec<String>,
    read_error: Option<String>,
}

impl Token {
    /// Reads the token.
    ///
    /// # Errors
    /// The message says what to do and never contains the token.
    pub fn read(source: TokenSource) -> Result<Token, String> {
        match &source {
            TokenSource::Environment(secret) => {
                let secret = check(secret.expose_secret())?;
                Ok(Token::long_lived(source, secret, None))
            }
            TokenSource::File(path) => {
                let (secret, stamp) = read_file(path)?;
                Ok(Token::long_lived(source, secret, Some(stamp)))
            }
            TokenSource::OAuth(integration) => {
                let loaded = integration.store.load().map_err(|error| error.to_string())?;
                let mut token = Token::long_lived(source, loaded.pair.access_token.clone(), None);
                token.adopt(loaded.pair, loaded.stamp);
                token.warnings = loaded.warnings;
                Ok(token)
            }
        }
    }

    fn long_lived(source: TokenSource, secret: SecretString, stamp: Option<Stamp>) -> Token {
        let expires_at = expiry(secret.expose_secret());
        Token { source, secret, stamp, expires_at, pair: None, warnings: Vec::new(), read_error: None }
    }

    /// With OAuth, the token's pair and its integration.
    pub fn pair(&self) -> Option<(&Arc<Integration>, &Pair)> {
        match &self.source {
            TokenSource::OAuth(integration) => Some((integration, self.pair.as_ref()?)),
            TokenSource::File(_) | TokenSource::Environment(_) => None,
        }
    }

    /// Whether both come from the same place, so that they differ only if the token there was replaced.
    pub fn has_same_source(&self, other: &Token) -> bool {
        self.source.is(&other.source)
    }

    /// When the token expires, if it says so: by its `exp` if it is long-lived.
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        self.expires_at
    }

    /// The account in a long-lived token's claim `account_id`.
    pub fn account_id(&self) -> Option<i64> {
        account_id(self.secret.expose_secret())
    }

    /// The vendor's domain in a long-lived token's claim `base_domain`, such as `amocrm.ru`.
    pub(crate) fn base_domain(&self) -> Option<String> {
        base_domain(self.secret.expose_secret())
    }

    /// Whether it is a JWT, as the vendor's long-lived tokens are.
    pub(crate) fn is_jwt(&self) -> bool {
        is_jwt(self.secret.expose_secret())
    }

    /// Warnings about its files.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where to put a new token, for messages.
    pub fn place(&self) -> String {
        match &self.source {
            TokenSource::File(path) if is_credential(path) => {
                "the file that the unit loads as the credential \"token\"; then restart the service".into()
            }
            TokenSource::File(path) => path.display().to_string(),
            TokenSource::Environment(_) => "TALKMIRROR__API__TOKEN".into(),
            TokenSource::OAuth(integration) => integration.store.path().display().to_string(),
        }
    }

    /// Uses a pair from the store that has this stamp.
    pub fn adopt(&mut self, pair: Pair, stamp: Option<Stamp>) {
        self.secret = pair.access_token.clone();
        self.stamp = stamp;
        self.expires_at = Some(pair.expires_at);
        self.pair = Some(pair);
    }

    /// The value of the `Authorization` header's credentials.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Why the token file cannot be read now. The previous token stays in use.
    pub fn read_error(&self) -> Option<&str> {
        self.read_error.as_deref()
    }

    /// Reads the file again if it may have changed. Returns true if there is a new token. A file that is briefly
    /// missing or unreadable changes nothing.
    pub fn refresh(&mut self) -> bool {
        self.read_again(false)
    }

    /// [`Token::refresh`], even if the file looks unchanged.
    pub fn reread(&mut self) -> bool {
        self.read_again(true)
    }

    fn read_again(&mut self, force: bool) -> bool {
        let path = match &self.source {
            TokenSource::File(path) => path,
            TokenSource::OAuth(integration) => integration.store.path(),
            TokenSource::Environment(_) => return false,
        };
        let stamp = match Stamp::at(path) {
            Ok(stamp) => stamp,
            Err(error) => {
                self.read_error = Some(match error.kind() {
                    io::ErrorKind::NotFound => "the file no longer exists".into(),
                    _ => error.to_string(),
                });
                return false;
            }
        };
        if !force && self.stamp.is_some_and(|read| read.is_unchanged(&stamp)) {
            self.read_error = None;
            return false;
        }
        if let Some((integration, current)) = self.pair() {
            // A broken store is ignored: the pair in use is better.
            let loaded = match integration.store.load() {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.read_error = Some(error.to_string());
                    return false;
                }
            };
            let is_new = !loaded.pair.is(current);
            self.read_error = None;
            self.adopt(loaded.pair, loaded.stamp);
            self.warnings = loaded.warnings;
            return is_new;
        }
        let (secret, stamp) = match read_file(path) {
            Ok(read) => read,
            Err(why) => {
                self.read_error = Some(why);
                return false;
            }
        };
        self.read_error = None;
        self.stamp = Some(stamp);
        let is_new = secret.expose_secret() != self.secret.expose_secret();
        self.expires_at = expiry(secret.expose_secret());
        self.secret = secret;
        is_new
    }
}

fn read_file(path: &Path) -> Result<(SecretString, Stamp), String> {
    let (text, stamp) = read_secret(path)?;
    Ok((check(&text)?, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token file that only its owner can read.
    fn put(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, private).unwrap();
    }

    #[test]
    fn a_file_that_was_written_again_is_a_new_token_only_if_it_holds_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        put(&path, "one");
        let mut token = Token::read(TokenSource::File(path.clone())).unwrap();
        std::fs::remove_file(&path).unwrap();
        put(&path, "\u{feff}one\r\n");
        assert!(!token.refresh() && !token.reread());
        put(&path, "two");
        assert!(token.refresh());
        assert!(!token.refresh() && !token.reread());
        assert_eq!((token.secret().expose_secret(), token.read_error()), ("two", None));
    }

    #[test]
    fn what_hinders_a_look_is_reported_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder/token");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        put(&path, "one");
        let mut token = Token::read(TokenSource::File(path.clone())).unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(!token.refresh());
        assert_eq!(token.read_error(), Some("the file no longer exists"));
        std::fs::write(path.parent().unwrap(), "no folder").unwrap();
        assert!(!token.refresh());
        assert!(token.read_error().unwrap().starts_with("Not a directory"), "{:?}", token.read_error());
        assert_eq!(token.secret().expose_secret(), "one");
    }
}
