//! The amoCRM API: one client, and what its responses mean.
//!
//! Every request ends within its deadline. No body over [`BODY_CAP`] is kept in memory, no redirect is followed,
//! and the token goes to the configured host only. The gate decides when a request may leave; the worker decides
//! what follows from a response.
//!
//! Uses `clock`, `departure`, `directory`, `files`, `number`, `talk`. Alone knows `reqwest`.

mod account;
mod body;
mod connection;
mod error;
mod hints;
mod jwt;
mod loose;
pub(crate) mod oauth;
mod pages;
mod proxy;
mod token;
mod wire;

pub use account::AccountInfo;
pub use connection::noting_departure;
pub use error::{Failure, Kind, Shape};
pub use hints::Date;
pub(crate) use jwt::is_jwt;
pub(crate) use pages::IDS_PER_REQUEST;
pub use pages::{Page, PageQuery, Rows};
pub use proxy::proxy;
pub use token::{Token, TokenSource};
pub use wire::{WireError, odd_fields};

use crate::talk::{Talk, TalkId};
use connection::Connections;
use error::{Content, RequestKind, ResponseParts};
use hints::retry_after;
use oauth::{Integration, Issuer};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// No talk comes near this size. A larger body is an error, so that it cannot fill the memory.
pub const BODY_CAP: usize = 1024 * 1024;

/// The vendor's domain that a host is or belongs to: `amocrm.ru` for `example.amocrm.ru`.
pub fn vendor_of(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["amocrm.ru", "amocrm.com", "kommo.com"].into_iter().find(|vendor| {
        host.strip_suffix(vendor).is_some_and(|account| account.is_empty() || account.ends_with('.'))
    })
}

/// How to reach the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The account's address: scheme and host.
    pub base_url: Url,
    /// The most that a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// For a whole request, from the connection to the last byte of the body.
    pub timeout: Duration,
    /// How many connections are kept open at most.
    pub max_in_flight: usize,
}

/// A talk as the API returned it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The talk as it is now.
    pub talk: Talk,
    /// The body as received.
    pub payload: String,
    /// Optional fields with a value of a shape that the API does not document.
    pub odd: Vec<&'static str>,
    /// The server's time of the response.
    pub date: Date,
}

/// The client for one account.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    connections: Connections,
    talks_url: Url,
    timeout: Duration,
    authorization: HeaderValue,
}

impl Client {
    /// Builds a client. Sends nothing.
    ///
    /// # Errors
    /// If the system's TLS set-up cannot be used.
    pub fn new(config: &ClientConfig, token: &Token) -> Result<Client, Failure> {
        let http = connection::http(config)?;
        let talks_url = config
            .base_url
            .join("/api/v4/talks/")
            .map_err(|error| Failure::new(Kind::Rejected, error.to_string()))?;
        let (connections, timeout) = (Connections::default(), config.timeout);
        Ok(Client { http, connections, talks_url, timeout, authorization: authorization(token) })
    }

    /// An issuer of token pairs that uses the same connections.
    ///
    /// # Errors
    /// None if the address was checked.
    pub fn issuer(&self, integration: Arc<Integration>) -> Result<Issuer, Failure> {
        Issuer::with_http(self.http.clone(), &self.talks_url, integration)
    }

    /// The same client and connections with another token.
    pub fn with_token(&self, token: &Token) -> Client {
        Client {
            http: self.http.clone(),
            connections: self.connections.clone(),
            talks_url: self.talks_url.clone(),
            timeout: self.timeout,
            authorization: authorization(token),
        }
    }

    /// `GET /api/v4/talks/{talk_id}`.
    ///
    /// `account_id` is the account that the talk must belong to, if it is known.
    ///
    /// # Errors
    /// Every response that is not this talk, classified.
    pub async fn fetch_talk(&self, talk_id: TalkId, account_id: Option<i64>) -> Result<Fetched, FetchError> {
        let mut response = self.send(self.http.get(self.talk_url(talk_id, ""))).await?;
        let request_id = request_id(&response);
        let with_request_id = |failure| with_request_id(failure, request_id.as_ref());
        if response.status() != StatusCode::OK
            && let Some(failure) = self.classify(&mut response, RequestKind::Fetch).await
        {
            return Err(with_request_id(failure).into());
        }

        let (date, content_type) = (Date::of(&response), content_type(&response));
        let body = body::read(&mut response, BODY_CAP).await.map_err(with_request_id)?;
        let payload = text_of(body, content_type.as_deref(), "talk").map_err(with_request_id)?;
        match wire::talk(&payload, talk_id, account_id) {
            Ok(wire::ReadTalk { talk, odd }) => Ok(Fetched { talk, payload, odd, date }),
            Err(error) => {
                let detail = self.without_token(&error.to_string());
                let (shape, other_account) = match error {
                    WireError::NotJson(_) => (Shape::NotJson, None),
                    WireError::OtherObject(_) => (Shape::OtherObject, None),
                    WireError::NoTalk { path, .. } => (Shape::WrongAt(path), None),
                    WireError::OtherAccount { found, .. } => {
                        (Shape::WrongAt("account_id".into()), Some(found))
                    }
                };
                Err(FetchError {
                    failure: with_request_id(Failure::unexpected(shape, detail)),
                    other_account,
                })
            }
        }
    }
}

impl Client {
    /// `POST /api/v4/talks/{talk_id}/close`. Returns the status if the API accepted the request.
    ///
    /// With `force_close` the talk is closed at once. Without it the NPS bot may start first. The request is
    /// abandoned after `within`, so it cannot leave later than that.
    ///
    /// # Errors
    /// Every response that is not an acceptance, classified. Without a response the outcome is unknown.
    pub async fn close_talk(
        &self,
        talk_id: TalkId,
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
        match self.classify(&mut response, RequestKind::Close).await {
            Some(failure) => Err(with_request_id(failure, request_id.as_ref())),
            None => Ok(response.status().as_u16()),
        }
    }

    fn talk_url(&self, talk_id: TalkId, then: &str) -> Url {
        let mut url = self.talks_url.clone();
        url.set_path(&format!("{}{talk_id}{then}", self.talks_url.path()));
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, HeaderValue::from_static("application/hal+json"))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
            .send()
            .await
            .map_err(|error| self.connections.failure(&error))?;
        self.connections.note(&response);
        Ok(response)
    }

    /// The failure shown by a status, its headers and its body.
    async fn classify(&self, response: &mut Response, to: RequestKind) -> Option<Failure> {
        let location = text(response.headers(), header::LOCATION.as_str()).map(|to| self.without_token(to));
        failure(response, to, location.as_deref()).await
    }

    /// The server's text may quote our own request.
    fn without_token(&self, text: &str) -> String {
        let token = self.authorization.to_str().unwrap_or_default().trim_start_matches("Bearer ");
        text.replace(token, "[token]")
    }
}

/// A fetch that returned no talk of this account.
#[derive(Debug)]
pub struct FetchError {
    /// What failed.
    pub failure: Failure,
    /// The response was a talk, but of this other account.
    pub other_account: Option<i64>,
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        FetchError { failure, other_account: None }
    }
}

/// The server's id of the request. Read only if the request failed.
fn request_id(response: &Response) -> Option<HeaderValue> {
    response.headers().get("x-request-id").cloned()
}

fn with_request_id(failure: Failure, request_id: Option<&HeaderValue>) -> Failure {
    let text = request_id.and_then(|id| id.to_str().ok());
    Failure { request_id: text.map(|id| id.chars().take(100).collect()), ..failure }
}

fn authorization(token: &Token) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret().expose_secret()))
        .expect("a token is checked to be visible ASCII when it is read");
    value.set_sensitive(true);
    value
}

/// The failure that a response shows, whatever was requested. `None` if its body is to be read.
async fn failure(response: &mut Response, to: RequestKind, location: Option<&str>) -> Option<Failure> {
    let status = response.status();
    // A gateway's page is recognised by its content. Its media type may be wrong.
    let content = match status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        false => Content::Empty,
        true => {
            let content_type = content_type(response);
            match body::beginning(response, BODY_CAP).await {
                (body, true) => Content::of(content_type.as_deref(), &body),
                (body, false) => Content::beginning(content_type.as_deref(), &body),
            }
        }
    };
    let answer = ResponseParts { to, status: status.as_u16(), content, location };
    let mut failure = answer.failure()?;
    failure.http_status = Some(status.as_u16());
    if failure.kind == Kind::RateLimited {
        failure.retry_after = retry_after(response).await;
    }
    Some(failure)
}

/// The text of a body that must be JSON. `what` names it in the error.
fn text_of(body: Vec<u8>, content_type: Option<&str>, what: &str) -> Result<String, Failure> {
    let unexpected = |shape, found: &str| {
        Err(Failure::unexpected(shape, format!("the answer holds no valid {what}: {found}")))
    };
    match Content::of(content_type, &body) {
        Content::Page => return unexpected(Shape::Page, "it is a web page"),
        Content::Empty if body.trim_ascii().is_empty() => {
            return unexpected(Shape::Empty, "the body is empty");
        }
        _ => {}
    }
    String::from_utf8(body).or_else(|_| unexpected(Shape::NotJson, "the body is not UTF-8"))
}

fn content_type(response: &Response) -> Option<String> {
    text(response.headers(), header::CONTENT_TYPE.as_str()).map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
pub(crate) mod tests;
