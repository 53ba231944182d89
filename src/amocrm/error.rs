//! What a failed response means. Every response is classified here, once.
//!
//! The rows are those of the table in docs/troubleshooting.md. The worker acts on the [`Kind`] and never on a
//! status code.

use super::loose::is_json;
use std::fmt;
use std::time::Duration;
use url::Url;

/// What a failure affects, and so how to react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A response that the API does not document. If it comes for one talk only, that talk fails. If different
    /// requests get the same [`Shape`], everything pauses.
    Unexpected,
    /// The API rejects this one request as wrong.
    Rejected,
    /// The account does not offer this list.
    NotServed,
    /// The API reports that the talk does not exist.
    Gone,
    /// The API denies this token access to the talk.
    Denied,
    /// The server or a gateway failed. It may pass.
    Transient,
    /// No response: DNS, connect, TLS, proxy, reset or timeout.
    NoAnswer,
    /// A bare 403. Several in a row mean that the account or this address is blocked.
    Forbidden,
    /// The token is not accepted.
    Unauthorized,
    /// The account is not paid for.
    Unpaid,
    /// Too many requests.
    RateLimited,
    /// The talk is closed already, or being closed.
    Closing,
}

/// What an unexpected response looks like. Equal for responses of the same kind, whatever the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A status that the API does not document.
    Status(u16),
    /// A redirect to this host.
    Redirect(String),
    /// A web page.
    Page,
    /// No body.
    Empty,
    /// Neither a page nor JSON.
    NotJson,
    /// A JSON object that is something else, such as an error.
    OtherObject,
    /// The requested object, but wrong at this path.
    WrongAt(String),
    /// A body larger than any talk.
    TooLarge,
    /// An encoding that was not requested, or is broken.
    Encoded,
}

/// A request that brought no usable response.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Whose failure it is, and what follows.
    pub kind: Kind,
    /// What happened, in one line. It never holds the talk's id, a body or a secret.
    pub detail: String,
    /// The longest wait that the server asks for.
    pub retry_after: Option<Duration>,
    /// The server's `X-Request-Id`, for its support.
    pub request_id: Option<String>,
    /// The response's status, if there was one. It is recorded and never acted on.
    pub http_status: Option<u16>,
    /// Set if the response is unexpected.
    pub shape: Option<Shape>,
    /// A connection that worked before closed without a byte: a GET may be repeated at once.
    pub repeatable: bool,
}

impl Failure {
    /// A failure without hints from the server.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = truncated(detail.into());
        Failure {
            kind,
            detail,
            retry_after: None,
            request_id: None,
            http_status: None,
            shape: None,
            repeatable: false,
        }
    }

    /// A response that the API does not document.
    pub fn unexpected(shape: Shape, detail: impl Into<String>) -> Self {
        Failure { shape: Some(shape), ..Failure::new(Kind::Unexpected, detail) }
    }
}

/// An error may quote what the server sent. Neither a log line nor a table cell has room for all of it.
fn truncated(mut text: String) -> String {
    const MAX_DETAIL_CHARS: usize = 300;
    if let Some((end, _)) = text.char_indices().nth(MAX_DETAIL_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// `GET /api/v4/talks/{id}`
    Fetch,
    /// `POST /api/v4/talks/{id}/close`
    Close,
    /// A page of a list: `GET /api/v4/talks`, `GET /api/v4/events`
    List,
    /// `GET /api/v4/account`
    Account,
    /// A pair of tokens: `POST /oauth2/access_token`
    Token,
}

/// What a body looks like. Gateways set media types freely, so the content decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Empty,
    /// A JSON object: the API responds.
    Object,
    /// A JSON list or text: the API responds.
    Json,
    /// A web page: a gateway responds.
    Page,
    Other,
}

impl Content {
    /// The content of a whole body with this `Content-Type`.
    pub(super) fn of(content_type: Option<&str>, body: &[u8]) -> Content {
        let body = body.trim_ascii();
        match body.first() {
            Some(b'{') if is_json(body) => Content::Object,
            Some(b'[' | b'"') if is_json(body) => Content::Json,
            _ if is_page(content_type, body) => Content::Page,
            None => Content::Empty,
            Some(_) if matches!(body, b"null" | b"false") => Content::Empty,
            Some(_) => Content::Other,
        }
    }

    /// The content of a body that is too long or cut off, judged by its beginning.
    pub(super) fn beginning(content_type: Option<&str>, body: &[u8]) -> Content {
        let body = body.trim_ascii_start();
        match body.first() {
            Some(b'{') => Content::Object,
            Some(b'[') => Content::Json,
            _ if is_page(content_type, body) => Content::Page,
            None => Content::Empty,
            Some(_) => Content::Other,
        }
    }
}

fn is_page(content_type: Option<&str>, body: &[u8]) -> bool {
    let html = content_type.is_some_and(|sent| sent.to_ascii_lowercase().contains("html"));
    html || body.starts_with(b"<")
}

/// The parts of a response that decide its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseParts<'a> {
    pub to: RequestKind,
    pub status: u16,
    pub content: Content,
    /// The `Location`, if sent.
    pub location: Option<&'a str>,
}

impl ResponseParts<'_> {
    /// Classifies a response. `None` if its body is to be read, if the API accepted a close request, or if a list
    /// is at its end (204).
    pub(super) fn failure(&self) -> Option<Failure> {
        let ResponseParts { to, status, content, .. } = *self;
        let failure = |kind, text: &str| Some(Failure::new(kind, format!("HTTP {status}{text}")));
        let gateway = || failure(Kind::Transient, " that is not JSON: from a gateway, not from the API");
        match (status, to) {
            (202, RequestKind::Close) => None,
            (200..300, RequestKind::Close) => {
                failure(Kind::Transient, ": not how the API accepts a close request")
            }
            (422, RequestKind::Close) => failure(Kind::Closing, ": already closed, or being closed"),
            (200, _) => None,
            (204, RequestKind::List) => None,
            (204, RequestKind::Account) => failure(Kind::NotServed, ": no account at this address"),
            (204, RequestKind::Token) => self.unexpected(Shape::Empty, ": no tokens in the answer"),
            (204, _) => failure(Kind::Gone, ": no such talk"),
            (401, RequestKind::Fetch | RequestKind::Close | RequestKind::List | RequestKind::Account) => {
                failure(Kind::Unauthorized, ": the token is not accepted")
            }
            (402, _) => failure(Kind::Unpaid, ": the account is not paid for"),
            (429, _) => failure(Kind::RateLimited, ": too many requests"),
            (403, _) if !matches!(content, Content::Object | Content::Json) => failure(
                Kind::Forbidden,
                " without a problem report: the account or this address may be blocked",
            ),
            (403, RequestKind::Fetch | RequestKind::Close) => {
                failure(Kind::Denied, ": this token has no right to the talk")
            }
            (403, RequestKind::List | RequestKind::Account) => {
                failure(Kind::NotServed, ": this token has no right to it")
            }
            (404 | 408, RequestKind::Token) => failure(Kind::Transient, ": no tokens at this address"),
            (404, _) if matches!(content, Content::Page | Content::Other) => gateway(),
            (404, RequestKind::List | RequestKind::Account) => {
                failure(Kind::NotServed, ": nothing at this address")
            }
            (404, _) => failure(Kind::Gone, ": no such talk"),
            (400..500, RequestKind::Token) => match content {
                Content::Page => gateway(),
                _ => failure(Kind::Unauthorized, ": the API issues no tokens to talkmirror"),
            },
            (400..500, RequestKind::Close) if content == Content::Object => {
                failure(Kind::Rejected, ": the API refuses the request")
            }
            (300..400, _) => self.redirected(),
            (500.., _) => failure(Kind::Transient, ": the server failed"),
            _ => self.unexpected(Shape::Status(status), ": not an answer that the API documents"),
        }
    }

    fn redirected(&self) -> Option<Failure> {
        let to = self.location.map_or("an address it does not name", before_query);
        let host = Url::parse(to).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.unexpected(
            Shape::Redirect(host.unwrap_or_default()),
            &format!(": redirected to {to}, which is not followed: is api.base_url the account's address?"),
        )
    }

    fn unexpected(&self, shape: Shape, text: &str) -> Option<Failure> {
        Some(Failure::unexpected(shape, format!("HTTP {}{text}", self.status)))
    }
}

/// The query may hold a secret of a login page.
fn before_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

#[cfg(test)]
mod tests;
