//! OAuth 2: token pairs, and how the account issues them.
//!
//! The integration's secret and the tokens go to the configured host only. No redirect is followed, and no error
//! contains a secret. The worker decides when a pair is renewed.

mod store;

pub(crate) use store::{Held, Saved, TokenStore};

use super::connection::{self, transport};
use super::error::{Failure, Kind, RequestKind, Shape};
use super::jwt::{check, expiry};
use super::{BODY_CAP, ClientConfig, body, failure, request_id, text, with_request_id};
use crate::clock::UnixSeconds;
use crate::files::Stamp;
use crate::number;
use reqwest::header::{self, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// An integration of the account, as configured in `[api.oauth]`, and where its tokens are stored.
#[derive(Debug, Clone)]
pub struct Integration {
    pub client_id: String,
    pub client_secret: SecretString,
    /// Exactly as in the integration's settings.
    pub redirect_uri: String,
    pub store: TokenStore,
}

/// An access token, and a refresh token to get the next pair.
#[derive(Debug, Clone)]
pub struct Pair {
    pub access_token: SecretString,
    pub refresh_token: SecretString,
    /// When the access token expires.
    pub expires_at: UnixSeconds,
    pub obtained_at: UnixSeconds,
}

impl Pair {
    /// Whether both are the same pair.
    pub fn is(&self, other: &Pair) -> bool {
        self.access_token.expose_secret() == other.access_token.expose_secret()
            && self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
    }
}

/// What a pair is issued in exchange for.
#[derive(Debug, Clone)]
pub enum Grant {
    /// The code that the account shows to a person. Valid once, for 20 min.
    Code(SecretString),
    /// The refresh token of an earlier pair.
    RefreshToken(SecretString),
}

/// The result of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// A new pair, already stored.
    Renewed(Saved),
    /// Another process has renewed it: the stored pair.
    Elsewhere(Pair, Option<Stamp>),
    /// Another process is renewing it.
    Busy,
    /// The account issued none.
    Failed(Failure),
    /// Why the new pair could not be stored. It is not used.
    NotStored(String),
}

/// Requests token pairs for an integration.
#[derive(Debug, Clone)]
pub struct Issuer {
    http: reqwest::Client,
    url: Url,
    integration: Arc<Integration>,
}

impl Issuer {
    /// Builds an issuer. Sends nothing.
    ///
    /// # Errors
    /// If the system's TLS set-up cannot be used.
    pub fn new(config: &ClientConfig, integration: Arc<Integration>) -> Result<Issuer, Failure> {
        Issuer::with_http(connection::http(config)?, &config.base_url, integration)
    }

    pub(super) fn with_http(
        http: reqwest::Client,
        base: &Url,
        integration: Arc<Integration>,
    ) -> Result<Issuer, Failure> {
        let url = base
            .join("/oauth2/access_token")
            .map_err(|error| Failure::new(Kind::Rejected, error.to_string()))?;
        Ok(Issuer { http, url, integration })
    }

    /// Where its pairs are stored.
    pub fn store(&self) -> &TokenStore {
        &self.integration.store
    }

    /// `POST /oauth2/access_token`. The lifetime in the response counts from `now`.
    ///
    /// # Errors
    /// Every response that is not a pair, classified: [`Kind::Unauthorized`] if a person must act.
    pub async fn issue(&self, grant: &Grant, now: UnixSeconds) -> Result<Pair, Failure> {
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
        let redacted = |text: &str| redacted(text, &[secret, client_secret]);
        let mut response =
            sent.map_err(|error| Failure::new(Kind::NoAnswer, redacted(&transport(&error))))?;
        let request_id = request_id(&response);
        let location = text(response.headers(), header::LOCATION.as_str()).map(redacted);
        if let Some(failure) = failure(&mut response, RequestKind::Token, location.as_deref()).await {
            return Err(with_request_id(failure, request_id.as_ref()));
        }
        let body = body::read(&mut response, BODY_CAP)
            .await
            .map_err(|failure| with_request_id(failure, request_id.as_ref()))?;
        let old = match grant {
            Grant::Code(_) => None,
            Grant::RefreshToken(token) => Some(token),
        };
        pair(&body, old, now).ok_or_else(|| {
            // The response may hold tokens, so it is never quoted.
            let failure = Failure::unexpected(Shape::OtherObject, "the answer holds no pair of tokens");
            with_request_id(failure, request_id.as_ref())
        })
    }
}

/// The lifetime that the vendor documents, used if the response does not give one.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// No access token lives longer.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads a response; `None` if it has no usable token.
///
/// A missing refresh token means the `old` one stays valid (RFC 6749, 6). A missing lifetime is read from the
/// token, else the usual one (5.1). An issued pair must be used, because the account no longer accepts the old one.
fn pair(body: &[u8], old: Option<&SecretString>, now: UnixSeconds) -> Option<Pair> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = |key: &str| check(answer.get(key)?.as_str()?).ok();
    let access_token = token("access_token")?;
    let life = match answer.get("expires_in") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(number) => number.as_f64(),
        None => None,
    };
    let life = life
        .filter(|life: &f64| *life >= 1.0)
        .map(|life| number::truncated(life).min(number::seconds(MAX_LIFETIME)));
    let expires_at = match life {
        Some(life) => now.later_by(life),
        None => expiry(access_token.expose_secret())
            .filter(|at| *at > now && *at < now + MAX_LIFETIME)
            .unwrap_or(now + DEFAULT_LIFETIME),
    };
    let refresh_token = token("refresh_token").or_else(|| old.cloned())?;
    Some(Pair { access_token, refresh_token, expires_at, obtained_at: now })
}

/// The text without the request's secrets: a server may quote them.
fn redacted(text: &str, secrets: &[&SecretString]) -> String {
    secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()).fold(
        text.to_owned(),
        |text, secret| {
            // As the secret appears in an address.
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text.replace(secret, "[secret]").replace(&encoded, "[secret]")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1000);

    fn read(body: &str, old: Option<&str>) -> Option<Pair> {
        pair(body.as_bytes(), old.map(SecretString::from).as_ref(), NOW)
    }

    #[test]
    fn a_pair_is_read_with_its_end() {
        let body = r#"{"token_type":"Bearer","expires_in":86400,"access_token":"a","refresh_token":"r"}"#;
        let pair = read(body, None).unwrap();
        assert_eq!((pair.obtained_at, pair.expires_at), (NOW, NOW + 86_400));
        assert_eq!(pair.refresh_token.expose_secret(), "r");
    }

    #[test]
    fn a_life_comes_in_every_form_and_is_the_usual_one_where_it_is_none() {
        let end = |life: &str| {
            let body = format!(r#"{{{life}"access_token":"a","refresh_token":"r"}}"#);
            read(&body, None).unwrap().expires_at.duration_since(NOW).as_secs()
        };
        for (life, seconds) in
            [("60", 60), ("60.0", 60), ("\"60\"", 60), ("\" 60.5 \"", 60), ("1e300", MAX_LIFETIME.as_secs())]
        {
            assert_eq!(end(&format!("\"expires_in\":{life},")), seconds, "{life}");
        }
        for none in ["null", "0", "-5", "\"soon\"", "[]", "false"] {
            assert_eq!(end(&format!("\"expires_in\":{none},")), DEFAULT_LIFETIME.as_secs(), "{none}");
        }
        assert_eq!(end(""), DEFAULT_LIFETIME.as_secs());
        // Its `exp` says that it expires at this very second, as with a wrong clock.
        let body = r#"{"access_token":"eyJ0eXAiOiJKV1Qi.eyJleHAiOjEwMDB9.c2ln","refresh_token":"r"}"#;
        assert_eq!(read(body, None).unwrap().expires_at, NOW + DEFAULT_LIFETIME);
    }

    #[test]
    fn a_refresh_token_that_is_not_sent_is_the_old_one() {
        for none in ["", r#""refresh_token":null,"#, r#""refresh_token":"","#, r#""refresh_token":[],"#] {
            let body = format!(r#"{{{none}"expires_in":60,"access_token":"a"}}"#);
            assert_eq!(read(&body, Some("old")).unwrap().refresh_token.expose_secret(), "old", "{none}");
            assert!(read(&body, None).is_none(), "there is none to renew with");
        }
    }

    #[test]
    fn what_holds_no_token_is_no_pair() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"expires_in":60,"refresh_token":"r"}"#,
            r#"{"access_token":"a b","refresh_token":"r"}"#,
            r#"{"access_token":"","refresh_token":"r"}"#,
            r#"{"access_token":7,"refresh_token":"r"}"#,
        ] {
            assert!(read(body, Some("old")).is_none(), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_a_panic_or_a_token_that_cannot_be_one(answer in crate::amocrm::tests::any_json(), key in "access_token|refresh_token|expires_in") {
            let mut body = serde_json::json!({"access_token": "a", "refresh_token": "r", "expires_in": 60});
            body[key] = answer;
            if let Some(pair) = pair(body.to_string().as_bytes(), None, NOW) {
                proptest::prop_assert!(pair.expires_at > NOW);
                proptest::prop_assert!(pair.access_token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn a_spoilt_answer_is_a_pair_that_can_be_sent_or_none(body in crate::mutated::mutated(&[
            r#"{"token_type":"Bearer","expires_in":86400,"access_token":"eyJ0eXAiOiJKV1Qi.eyJleHAiOjE4OTM0NTYwMDB9.c2ln","refresh_token":"def50200"}"#,
            r#"{"expires_in":"86400.5","access_token":"eyJ0eXAiOiJKV1Qi.eyJleHAiOjE4OTM0NTYwMDB9.c2ln","refresh_token":null}"#,
        ])) {
            if let Some(pair) = pair(&body, Some(&SecretString::from("old")), NOW) {
                proptest::prop_assert!(pair.expires_at > NOW);
                for token in [&pair.access_token, &pair.refresh_token] {
                    let token = token.expose_secret();
                    proptest::prop_assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
                }
            }
        }
    }

    #[test]
    fn no_secret_is_left_in_a_text() {
        let secrets = [&SecretString::from("hush/hush"), &SecretString::from("quiet")];
        assert_eq!(
            redacted("to https://x.example/hush/hush and hush%2Fhush, quiet", &secrets),
            "to https://x.example/[secret] and [secret], [secret]"
        );
    }
}
