//! The amoCRM API: one client, and the answers it can give.
//!
//! It promises that every request ends within its deadline, that no body over
//! [`BODY_CAP`] is held, that no redirect is followed and that the token goes to
//! the configured host alone. When a request may leave is the gate's business;
//! what an answer leads to is the worker's.

mod error;
pub mod oauth;
mod pages;
mod proxy;
mod token;
mod wire;

pub use error::{Failure, Kind};
pub use pages::{Page, Query, Rows};
pub use proxy::proxy;
pub use token::{Token, TokenSource};
pub use wire::WireError;

use crate::talk::Talk;
use error::{Answer, To};
use oauth::{Integration, Issuer};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use secrecy::ExposeSecret;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// No talk comes near this; a larger body is an error, not a load on memory.
pub const BODY_CAP: usize = 1024 * 1024;

/// Idle connections are closed by us before a server would (commonly after 60 s
/// or 75 s), so that a request seldom meets a connection that is just closing.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);

/// A hint beyond this is a mistake: nothing waits for it.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 60 * 60);

/// The vendor's own name that a host is or belongs to, `amocrm.ru` for `example.amocrm.ru`.
pub fn vendor_of(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["amocrm.ru", "amocrm.com", "kommo.com"].into_iter().find(|vendor| {
        host.strip_suffix(vendor).is_some_and(|account| account.is_empty() || account.ends_with('.'))
    })
}

/// How to reach the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    pub base_url: Url,
    pub connect_timeout: Duration,
    /// For a whole request, from the connection to the body's last byte.
    pub timeout: Duration,
    /// Connections kept open at most.
    pub max_in_flight: usize,
}

/// A talk as it came.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub talk: Talk,
    /// The body as received.
    pub payload: String,
    /// When the server says that it answered.
    pub date: Date,
}

/// The answer's `Date` header, as it came.
#[derive(Debug, Clone)]
pub struct Date(Option<HeaderValue>);

impl Date {
    /// In Unix seconds; `None` where there is none, or none that can be read.
    pub fn unix(&self) -> Option<i64> {
        let text = self.0.as_ref()?.to_str().ok()?;
        Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second())
    }
}

/// The client for one account.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    talks_url: Url,
    timeout: Duration,
    authorization: HeaderValue,
}

impl Client {
    /// Builds a client; no request leaves yet.
    ///
    /// # Errors
    /// When the system's TLS set-up cannot be used.
    pub fn new(config: &ClientConfig, token: &Token) -> Result<Client, Failure> {
        let http = http(config)?;
        let talks_url = config
            .base_url
            .join("/api/v4/talks/")
            .map_err(|error| Failure::new(Kind::Talk, error.to_string()))?;
        Ok(Client { http, talks_url, timeout: config.timeout, authorization: authorization(token) })
    }

    /// What has pairs of tokens issued, over the same connections.
    ///
    /// # Errors
    /// None with an address that was checked.
    pub fn issuer(&self, integration: Arc<Integration>) -> Result<Issuer, Failure> {
        Issuer::over(self.http.clone(), &self.talks_url, integration)
    }

    /// The same client and connections with another token.
    pub fn with_token(&self, token: &Token) -> Client {
        Client {
            http: self.http.clone(),
            talks_url: self.talks_url.clone(),
            timeout: self.timeout,
            authorization: authorization(token),
        }
    }

    /// `GET /api/v4/talks/{talk_id}`.
    ///
    /// `account_id` is the account that the answer must be of, where known.
    ///
    /// # Errors
    /// Everything that is not this talk, sorted.
    pub async fn fetch_talk(&self, talk_id: i64, account_id: Option<i64>) -> Result<Fetched, FetchError> {
        let mut response = self.send(self.http.get(self.talk_url(talk_id, ""))).await?;
        let request_id = request_id(&response);
        let named = |failure| named(failure, &request_id);
        if response.status() != StatusCode::OK
            && let Some(failure) = self.sorted(&mut response, To::Fetch).await
        {
            return Err(named(failure).into());
        }

        let date = Date(response.headers().get(header::DATE).cloned());
        let body = body(&mut response, BODY_CAP).await.map_err(named)?;
        let payload = String::from_utf8(body).map_err(|_| {
            named(Failure::new(Kind::Talk, "no such talk in the answer: the body is not UTF-8"))
        })?;
        match wire::talk(&payload, talk_id, account_id) {
            Ok(talk) => Ok(Fetched { talk, payload, date }),
            Err(error) => {
                let failure = named(Failure::new(Kind::Talk, self.without_token(&error.to_string())));
                Err(match error {
                    WireError::OtherAccount { found, .. } => {
                        FetchError { failure, other_account: Some(found) }
                    }
                    WireError::NoTalk(_) => failure.into(),
                })
            }
        }
    }
}

impl Client {
    /// `POST /api/v4/talks/{talk_id}/close`; returns the status of an answer that took it.
    ///
    /// With `force_close` the talk is closed at once; else the NPS bot may be started first. After `within`
    /// it is given up, so that it does not leave later than that.
    ///
    /// # Errors
    /// Every answer that did not take it, sorted; without an answer nothing is known.
    pub async fn close_talk(
        &self,
        talk_id: i64,
        force_close: bool,
        within: Duration,
    ) -> Result<u16, Failure> {
        let request = self
            .http
            .post(self.talk_url(talk_id, "/close"))
            .timeout(within.min(self.timeout))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(if force_close { r#"{"force_close":true}"# } else { r#"{"force_close":false}"# });
        let mut response = self.send(request).await?;
        let request_id = request_id(&response);
        match self.sorted(&mut response, To::Close).await {
            Some(failure) => Err(named(failure, &request_id)),
            None => Ok(response.status().as_u16()),
        }
    }

    fn talk_url(&self, talk_id: i64, then: &str) -> Url {
        let mut url = self.talks_url.clone();
        url.set_path(&format!("{}{talk_id}{then}", self.talks_url.path()));
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, HeaderValue::from_static("application/hal+json"))
            .send()
            .await
            .map_err(|error| Failure::new(Kind::Transient, transport(&error)))
    }

    /// The failure that a status and its headers tell of.
    async fn sorted(&self, response: &mut Response, to: To) -> Option<Failure> {
        let status = response.status().as_u16();
        let mut content_type = text(response.headers(), header::CONTENT_TYPE.as_str()).map(str::to_owned);
        if status == 404 && content_type.is_none() {
            // Whether it is a gateway's page shows in the body alone.
            let page =
                body(response, BODY_CAP).await.unwrap_or_default().trim_ascii_start().starts_with(b"<");
            content_type = page.then(|| "text/html".to_owned());
        }
        let location = text(response.headers(), header::LOCATION.as_str()).map(|to| self.without_token(to));
        let answer =
            Answer { to, status, content_type: content_type.as_deref(), location: location.as_deref() };
        let mut failure = answer.failure()?;
        failure.http_status = Some(status);
        if failure.kind == Kind::RateLimited {
            failure.retry_after = retry_after(response).await;
        }
        Some(failure)
    }

    /// What the server sent may quote our own request.
    fn without_token(&self, text: &str) -> String {
        let token = self.authorization.to_str().unwrap_or_default().trim_start_matches("Bearer ");
        text.replace(token, "[token]")
    }
}

/// The HTTP client for the configured host; no redirect is followed.
fn http(config: &ClientConfig) -> Result<reqwest::Client, Failure> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("talkmirror/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .redirect(redirect::Policy::none())
        // The worker tries again, through the gate; nothing else does.
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(config.max_in_flight)
        .tcp_nodelay(true)
        // The library's own reading of the environment passes over what it cannot use.
        .no_proxy()
        .https_only(config.base_url.scheme() == "https");
    if config.base_url.scheme() == "http" {
        // Only a loopback address may be plain http: no certificate is asked for.
        builder = builder.tls_certs_only([]);
    }
    if let Some(proxy) = proxy(&config.base_url).map_err(|why| Failure::new(Kind::Transient, why))? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| Failure::new(Kind::Transient, chain(&error)))
}

/// A fetch that brought no talk of this account.
#[derive(Debug)]
pub struct FetchError {
    pub failure: Failure,
    /// The answer was a talk, but of this account.
    pub other_account: Option<i64>,
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        FetchError { failure, other_account: None }
    }
}

/// The server's name for the request, to be read only when it failed.
fn request_id(response: &Response) -> Option<HeaderValue> {
    response.headers().get("x-request-id").cloned()
}

fn named(failure: Failure, request_id: &Option<HeaderValue>) -> Failure {
    let text = request_id.as_ref().and_then(|id| id.to_str().ok());
    Failure { request_id: text.map(|id| id.chars().take(100).collect()), ..failure }
}

fn authorization(token: &Token) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret().expose_secret()))
        .expect("a token is checked to be visible ASCII when it is read");
    value.set_sensitive(true);
    value
}

/// The body, up to `cap` bytes after decompression.
async fn body(response: &mut Response, cap: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let mebibytes = cap / (1024 * 1024);
        Failure::new(Kind::Talk, format!("the body is over {mebibytes} MiB"))
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(announced as usize);
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Failure::new(Kind::Transient, transport(&error)))?
    {
        if body.len() + chunk.len() > cap {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How long a 429 asks to wait: the longer of its header and its body.
///
/// The header is in seconds or a date.
async fn retry_after(response: &mut Response) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Problem {
        retry_after: Option<serde_json::Value>,
    }
    let seconds = |value: f64| {
        (value.is_finite() && value >= 0.0)
            .then(|| Duration::from_secs_f64(value.min(LONGEST_HINT.as_secs_f64())))
    };
    let header = text(response.headers(), header::RETRY_AFTER.as_str())
        .and_then(|value| value.trim().parse().ok().or_else(|| seconds_until(value)))
        .and_then(seconds);
    let said = body(response, BODY_CAP)
        .await
        .ok()
        .and_then(|body| serde_json::from_slice::<Problem>(&body).ok())
        .and_then(|problem| match problem.retry_after? {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(string) => string.trim().parse().ok(),
            _ => None,
        })
        .and_then(seconds);
    header.max(said)
}

/// The seconds to an HTTP date.
fn seconds_until(date: &str) -> Option<f64> {
    let at = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp().as_second();
    Some((at - crate::clock::unix_now()).max(0) as f64)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What went wrong on the way, without the URL: the talk's id is said elsewhere.
fn transport(error: &reqwest::Error) -> String {
    let step = if error.is_connect() {
        "cannot connect"
    } else if error.is_timeout() {
        "no whole answer in time"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut off"
    } else {
        "the request failed"
    };
    match error.source() {
        Some(source) => format!("{step}: {}", chain(source)),
        None => step.to_owned(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
