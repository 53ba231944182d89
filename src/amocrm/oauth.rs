//! OAuth 2: pairs of tokens, and how the account issues them.
//!
//! It promises that the integration's secret and the tokens go to the configured host alone, that no
//! redirect is followed, and that no error holds a secret. When a pair is renewed is the worker's business.

mod store;

pub use store::{Held, Loaded, Saved, Store, StoreError};

use super::error::{Answer, Failure, Kind, To};
use super::token::check;
use super::{BODY_CAP, ClientConfig, body, named, request_id, retry_after, text, transport};
use crate::files::Stamp;
use reqwest::header::{self, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

/// An integration of the account, as `[api.oauth]` names it, and where its tokens lie.
#[derive(Debug, Clone)]
pub struct Integration {
    pub client_id: String,
    pub client_secret: SecretString,
    /// As it stands in the integration's settings, to the letter.
    pub redirect_uri: String,
    pub store: Store,
}

/// What the account issues: a token for requests, and one for the next pair. Times are Unix seconds.
#[derive(Debug, Clone)]
pub struct Pair {
    pub access_token: SecretString,
    pub refresh_token: SecretString,
    /// When the access token ends.
    pub expires_at: i64,
    pub obtained_at: i64,
}

impl Pair {
    /// Whether it is that pair.
    pub fn is(&self, other: &Pair) -> bool {
        self.access_token.expose_secret() == other.access_token.expose_secret()
            && self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
    }
}

/// For what a pair is issued.
#[derive(Debug, Clone)]
pub enum Grant {
    /// The code that the account shows a person; valid once, for 20 min.
    Code(SecretString),
    /// The refresh token of an earlier pair.
    RefreshToken(SecretString),
}

/// What came of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// A new pair, on the disk by now.
    Renewed(Saved),
    /// Somebody else has renewed it: this is what lies there.
    Elsewhere(Pair, Option<Stamp>),
    /// Somebody else is renewing it.
    Busy,
    /// The account issued none.
    Failed(Failure),
    /// Why a pair could not be put on the disk: it is not used.
    NotStored(String),
}

/// Has pairs issued to an integration.
#[derive(Debug, Clone)]
pub struct Issuer {
    http: reqwest::Client,
    url: Url,
    integration: Arc<Integration>,
}

impl Issuer {
    /// Builds one; no request leaves yet.
    ///
    /// # Errors
    /// When the system's TLS set-up cannot be used.
    pub fn new(config: &ClientConfig, integration: Arc<Integration>) -> Result<Issuer, Failure> {
        Issuer::over(super::http(config)?, &config.base_url, integration)
    }

    pub(super) fn over(
        http: reqwest::Client,
        base: &Url,
        integration: Arc<Integration>,
    ) -> Result<Issuer, Failure> {
        let url =
            base.join("/oauth2/access_token").map_err(|error| Failure::new(Kind::Talk, error.to_string()))?;
        Ok(Issuer { http, url, integration })
    }

    /// Where its pairs lie.
    pub fn store(&self) -> &Store {
        &self.integration.store
    }

    /// `POST /oauth2/access_token`. The answer's time is counted from `now`, in Unix seconds.
    ///
    /// # Errors
    /// Everything that is no pair, sorted; [`Kind::Unauthorized`] where a person is needed.
    pub async fn issue(&self, grant: &Grant, now: i64) -> Result<Pair, Failure> {
        let Integration { client_id, client_secret, redirect_uri, .. } = &*self.integration;
        let (kind, key, secret) = match grant {
            Grant::Code(code) => ("authorization_code", "code", code),
            Grant::RefreshToken(token) => ("refresh_token", "refresh_token", token),
        };
        let request = json!({
            "client_id": client_id,
            "client_secret": client_secret.expose_secret(),
            "grant_type": kind,
            key: secret.expose_secret(),
            "redirect_uri": redirect_uri,
        });
        let sent = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .body(request.to_string())
            .send()
            .await;
        let wiped = |text: &str| wiped(text, &[secret, client_secret]);
        let mut response = sent.map_err(|error| Failure::new(Kind::Transient, wiped(&transport(&error))))?;
        let request_id = request_id(&response);
        let status = response.status().as_u16();
        let content_type = text(response.headers(), header::CONTENT_TYPE.as_str());
        let location = text(response.headers(), header::LOCATION.as_str()).map(wiped);
        let answer = Answer { to: To::Token, status, content_type, location: location.as_deref() };
        if let Some(mut failure) = answer.failure() {
            failure.http_status = Some(status);
            if failure.kind == Kind::RateLimited {
                failure.retry_after = retry_after(&mut response).await;
            }
            return Err(named(failure, &request_id));
        }
        let body = body(&mut response, BODY_CAP).await.map_err(|failure| named(failure, &request_id))?;
        pair(&body, now).ok_or_else(|| {
            // What came may hold tokens: none of it is quoted.
            named(Failure::new(Kind::Talk, "no pair of tokens in the answer"), &request_id)
        })
    }
}

/// Reads an answer; `None` where a part is missing or cannot be a token or a life.
fn pair(body: &[u8], now: i64) -> Option<Pair> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = |key: &str| check(answer.get(key)?.as_str()?).ok();
    let life = match answer.get("expires_in")? {
        Value::String(text) => text.trim().parse().ok()?,
        number => number.as_i64()?,
    };
    // A life that overflows is no life.
    let expires_at = now.checked_add(life).filter(|_| life > 0)?;
    Some(Pair {
        access_token: token("access_token")?,
        refresh_token: token("refresh_token")?,
        expires_at,
        obtained_at: now,
    })
}

/// A text without what is secret of the request: a server may quote it.
fn wiped(text: &str, secrets: &[&SecretString]) -> String {
    secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()).fold(
        text.to_owned(),
        |text, secret| {
            // As it may stand in an address.
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text.replace(secret, "[secret]").replace(&encoded, "[secret]")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_with_its_end() {
        let body = br#"{"token_type":"Bearer","expires_in":86400,"access_token":"a","refresh_token":"r"}"#;
        let read = pair(body, 1000).unwrap();
        assert_eq!((read.obtained_at, read.expires_at), (1000, 87_400));
        assert_eq!(read.refresh_token.expose_secret(), "r");
        let text = br#"{"expires_in":"60","access_token":"a","refresh_token":"r","news":[1]}"#;
        assert_eq!(pair(text, 0).unwrap().expires_at, 60);
    }

    #[test]
    fn what_is_no_whole_pair_is_none() {
        for body in [
            r"",
            r#"<html>"#,
            r#"{"expires_in":60,"access_token":"a"}"#,
            r#"{"expires_in":60,"access_token":"a","refresh_token":""}"#,
            r#"{"expires_in":60,"access_token":"a b","refresh_token":"r"}"#,
            r#"{"expires_in":0,"access_token":"a","refresh_token":"r"}"#,
            r#"{"expires_in":9223372036854775807,"access_token":"a","refresh_token":"r"}"#,
            r#"{"access_token":"a","refresh_token":"r"}"#,
        ] {
            assert!(pair(body.as_bytes(), 1000).is_none(), "{body}");
        }
    }

    #[test]
    fn no_secret_is_left_in_a_text() {
        let secrets = [&SecretString::from("hush/hush"), &SecretString::from("quiet")];
        assert_eq!(
            wiped("to https://x.example/hush/hush and hush%2Fhush, quiet", &secrets),
            "to https://x.example/[secret] and [secret], [secret]"
        );
    }
}
