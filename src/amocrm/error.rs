//! What an answer that brought nothing of use means, sorted once.
//!
//! The rows are those of the table in docs/troubleshooting.md: the worker acts
//! on the [`Kind`] and never looks at a status code.

use super::loose::is_json;
use std::fmt;
use std::time::Duration;
use url::Url;

/// Whom a failure concerns, and so what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not an answer that the API documents. From one talk alone it is that talk's; if different requests get the same
    /// [`Shape`], it is everybody's.
    Unexpected,
    /// The API refuses this request alone as wrong.
    Rejected,
    /// The account does not offer this list.
    NotServed,
    /// The API says that the talk does not exist.
    Gone,
    /// The API refuses this talk to this token.
    Denied,
    /// The server or a gateway failed: it may pass.
    Transient,
    /// No answer came: DNS, connect, TLS, proxy, reset or timeout.
    NoAnswer,
    /// A bare 403: several in a row mean that the account or this address is blocked.
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

/// What an unexpected answer looks like: equal for answers of the same kind, whichever request got them.
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
    /// A JSON object of something else: an error's, say.
    OtherObject,
    /// What was asked for, but wrong at this path.
    WrongAt(String),
    /// A larger body than any talk has.
    TooLarge,
    /// An encoding that was not asked for, or is broken.
    Encoded,
}

/// A request that brought nothing of use.
#[derive(Debug, Clone)]
pub struct Failure {
    pub kind: Kind,
    /// What happened, in one line without the talk's id; no bodies, no secrets.
    pub detail: String,
    /// How long the server asks to wait, the longest of what it says.
    pub retry_after: Option<Duration>,
    /// The server's `X-Request-Id`, for its support.
    pub request_id: Option<String>,
    /// The answer's status, where one came; to be written down, not to be acted on.
    pub http_status: Option<u16>,
    /// Of an unexpected answer.
    pub shape: Option<Shape>,
    /// A connection that was of use before closed without a byte: a GET may be repeated at once.
    pub repeatable: bool,
}

impl Failure {
    /// A failure without a server's hints.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = capped(detail.into());
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

    /// An answer that the API does not document.
    pub fn unexpected(shape: Shape, detail: impl Into<String>) -> Self {
        Failure { shape: Some(shape), ..Failure::new(Kind::Unexpected, detail) }
    }
}

/// An error may quote what the server sent; a line of log and a cell of a table are not the place for all of it.
fn capped(mut text: String) -> String {
    const LONGEST: usize = 300;
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
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

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
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

/// What a body looks like, whatever its media type says: gateways label theirs as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    /// A JSON object: the API speaks.
    Object,
    /// A JSON list or text: as well.
    Json,
    /// A web page: a gateway speaks.
    Page,
    Other,
}

impl Content {
    /// Of a body with this `Content-Type`.
    pub fn of(content_type: Option<&str>, body: &[u8]) -> Content {
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

    /// Of a body that is too long to be read, or was cut off, by how it begins.
    pub fn beginning(content_type: Option<&str>, body: &[u8]) -> Content {
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

/// What of a response decides its kind.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub to: To,
    pub status: u16,
    pub content: Content,
    /// The `Location`, where sent.
    pub location: Option<&'a str>,
}

impl Answer<'_> {
    /// Sorts an answer; `None` where there is a body to be read as what was asked for, where the API took a
    /// close request, and where a list is at its end (204).
    pub fn failure(&self) -> Option<Failure> {
        let Answer { to, status, content, .. } = *self;
        let failure = |kind, words: &str| Some(Failure::new(kind, format!("HTTP {status}{words}")));
        let gateway = || failure(Kind::Transient, " that is not JSON: a gateway's, not the API's");
        match (status, to) {
            (202, To::Close) => None,
            (200..300, To::Close) => failure(Kind::Transient, ": not how the API takes a close request"),
            (422, To::Close) => failure(Kind::Closing, ": closed already, or being closed"),
            (200, _) => None,
            (204, To::List) => None,
            (204, To::Account) => failure(Kind::NotServed, ": no account there"),
            (204, To::Token) => self.unexpected(Shape::Empty, ": no tokens in the answer"),
            (204, _) => failure(Kind::Gone, ": no such talk"),
            (401, To::Fetch | To::Close | To::List | To::Account) => {
                failure(Kind::Unauthorized, ": the token is not accepted")
            }
            (402, _) => failure(Kind::Unpaid, ": the account is not paid for"),
            (429, _) => failure(Kind::RateLimited, ": too many requests"),
            (403, _) if !matches!(content, Content::Object | Content::Json) => failure(
                Kind::Forbidden,
                " without a problem report: as when the account or address is blocked",
            ),
            (403, To::Fetch | To::Close) => failure(Kind::Denied, ": this token has no right to the talk"),
            (403, To::List | To::Account) => failure(Kind::NotServed, ": this token has no right to it"),
            (404 | 408, To::Token) => failure(Kind::Transient, ": no tokens there"),
            (404, _) if matches!(content, Content::Page | Content::Other) => gateway(),
            (404, To::List | To::Account) => failure(Kind::NotServed, ": nothing is served there"),
            (404, _) => failure(Kind::Gone, ": no such talk"),
            (400..500, To::Token) => match content {
                Content::Page => gateway(),
                _ => failure(Kind::Unauthorized, ": the account issues no tokens to us"),
            },
            (400..500, To::Close) if content == Content::Object => {
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

    fn unexpected(&self, shape: Shape, words: &str) -> Option<Failure> {
        Some(Failure::unexpected(shape, format!("HTTP {}{words}", self.status)))
    }
}

/// What comes after the ? may be a secret of a login page.
fn before_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

#[cfg(test)]
mod tests;
