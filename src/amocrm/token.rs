//! The long-lived token: where it lies, read and checked, never shown.

use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the API token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file that may be replaced while talkmirror runs.
    File(PathBuf),
    /// `TALKMIRROR__API__TOKEN` in the environment.
    Environment(SecretString),
}

/// A token in use, with what is needed to notice that its file was replaced.
#[derive(Debug)]
pub struct Token {
    source: TokenSource,
    secret: SecretString,
    stamp: Option<Stamp>,
}

/// What changes when a file is replaced or written: when, and how long it is.
type Stamp = (SystemTime, u64);

impl Token {
    /// Reads the token.
    ///
    /// # Errors
    /// In words that say what to do; they never hold the token.
    pub fn read(source: TokenSource) -> Result<Token, String> {
        match &source {
            TokenSource::Environment(secret) => {
                let secret = check(secret.expose_secret())?;
                Ok(Token { source, secret, stamp: None })
            }
            TokenSource::File(path) => {
                let (secret, stamp) = read_file(path)?;
                Ok(Token { source, secret, stamp })
            }
        }
    }

    /// The value of the `Authorization` header's credentials.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Reads the file again if it was replaced; true if there is a new token.
    /// A file that is missing or unreadable for a moment changes nothing.
    pub fn refresh(&mut self) -> bool {
        let TokenSource::File(path) = &self.source else {
            return false;
        };
        let stamp = stamp(path);
        if stamp.is_none() || stamp == self.stamp {
            return false;
        }
        let Ok((secret, stamp)) = read_file(path) else {
            return false;
        };
        self.stamp = stamp;
        self.secret = secret;
        true
    }
}

fn read_file(path: &Path) -> Result<(SecretString, Option<Stamp>), String> {
    // Taken before the read: a file replaced in between is then read again.
    let stamp = stamp(path);
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok((check(&text)?, stamp))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A token goes into a header: one word of visible ASCII.
fn check(text: &str) -> Result<SecretString, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err("nothing in it".into());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("spaces, line breaks or letters that no token has".into());
    }
    Ok(SecretString::from(token))
}
