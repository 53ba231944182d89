//! What an answer that brought no talk means, sorted once.
//!
//! The rows are those of the table "HTTP answers" in the README: the worker acts
//! on the [`Kind`] and never looks at a status code.

use std::fmt;
use std::time::Duration;

/// Whom a failure concerns, and so what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This talk or page alone: the answer is none such, or the request is refused as wrong.
    Talk,
    /// The API says that the talk does not exist.
    Gone,
    /// The API refuses this talk to this token.
    Denied,
    /// It may pass: the server, a gateway or the way there.
    Transient,
    /// A bare 403: from several talks in a row it means that the account or this address is blocked.
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

/// A request that brought no talk.
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
}

impl Failure {
    /// A failure without a server's hints.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = capped(detail.into());
        Failure { kind, detail, retry_after: None, request_id: None, http_status: None }
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
    /// A pair of tokens: `POST /oauth2/access_token`
    Token,
}

/// What of a response decides its kind.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub to: To,
    pub status: u16,
    /// The `Content-Type`, where sent.
    pub content_type: Option<&'a str>,
    /// The `Location`, where sent.
    pub location: Option<&'a str>,
}

impl Answer<'_> {
    /// Sorts an answer; `None` where a fetch has a body to be read as a talk, where the API took a
    /// close request, and where a list has a body to be read or is at its end (204).
    pub fn failure(&self) -> Option<Failure> {
        let status = self.status;
        let failure = |kind, words: &str| Some(Failure::new(kind, format!("HTTP {status}{words}")));
        match status {
            202 if self.to == To::Close => None,
            200..300 if self.to == To::Close => {
                failure(Kind::Transient, ": not how the API takes a close request")
            }
            404 | 408 if self.to == To::Token => failure(Kind::Transient, ": no tokens there"),
            400..500 if self.to == To::Token && !self.concerns_everybody() => match self.is_html() {
                true => failure(Kind::Transient, " as HTML: a gateway's, not the API's"),
                false => failure(Kind::Unauthorized, ": the account issues no tokens to us"),
            },
            204 if self.to == To::Token => failure(Kind::Talk, ": no tokens in the answer"),
            422 if self.to == To::Close => failure(Kind::Closing, ": closed already, or being closed"),
            200 => None,
            204 if self.to == To::List => None,
            204 => failure(Kind::Gone, ": no such talk"),
            404 if self.is_html() => failure(Kind::Transient, " as HTML: a gateway's, not the API's"),
            404 if self.to == To::List => failure(Kind::Talk, ": no such list"),
            404 => failure(Kind::Gone, ": no such talk"),
            401 => failure(Kind::Unauthorized, ": the token is not accepted"),
            402 => failure(Kind::Unpaid, ": the account is not paid for"),
            403 if self.to == To::List && self.is("application/problem+json") => {
                failure(Kind::Talk, ": this token has no right to it")
            }
            403 if self.is("application/problem+json") => {
                failure(Kind::Denied, ": this token has no right to the talk")
            }
            403 => failure(
                Kind::Forbidden,
                " without a problem report: as when the account or address is blocked",
            ),
            429 => failure(Kind::RateLimited, ": too many requests"),
            300..=399 => failure(
                Kind::Talk,
                &format!(
                    ": redirected to {}, which is not followed: is api.base_url the account's address?",
                    self.location.map_or("an address it does not name", before_query)
                ),
            ),
            500.. => failure(Kind::Transient, ": the server failed"),
            _ => failure(Kind::Talk, ": not an answer that the API documents"),
        }
    }

    /// It says the same to every request: the account is unpaid or blocked, or there were too many.
    fn concerns_everybody(&self) -> bool {
        matches!(self.status, 402 | 429) || self.status == 403 && !self.is("application/problem+json")
    }

    /// HTML of any kind, XHTML too.
    fn is_html(&self) -> bool {
        self.content_type.is_some_and(|sent| sent.to_ascii_lowercase().contains("html"))
    }

    fn is(&self, media_type: &str) -> bool {
        self.content_type.is_some_and(|sent| {
            let sent = sent.split(';').next().unwrap_or_default().trim();
            sent.eq_ignore_ascii_case(media_type)
        })
    }
}

/// What comes after the ? may be a secret of a login page.
fn before_query(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(to: To, status: u16, content_type: Option<&str>) -> Option<Kind> {
        Answer { to, status, content_type, location: None }.failure().map(|failure| failure.kind)
    }

    #[test]
    fn a_close_request_is_taken_or_its_answer_has_one_kind() {
        let kind = |status, content_type| kind_of(To::Close, status, content_type);
        let problem = Some("application/problem+json");
        assert_eq!(kind(202, None), None);
        assert_eq!(kind(200, Some("text/html")), Some(Kind::Transient), "a gateway's page");
        assert_eq!(kind(422, problem), Some(Kind::Closing));
        assert_eq!(kind(404, problem), Some(Kind::Gone));
        assert_eq!(kind(404, Some("text/html")), Some(Kind::Transient));
        assert_eq!(kind(403, problem), Some(Kind::Denied));
        assert_eq!(kind(403, Some("text/html")), Some(Kind::Forbidden));
        assert_eq!(kind(400, problem), Some(Kind::Talk));
        assert_eq!(kind(302, None), Some(Kind::Talk));
        assert_eq!(kind(500, None), Some(Kind::Transient));
        assert_eq!(kind(429, None), Some(Kind::RateLimited));
    }

    #[test]
    fn a_list_that_is_not_served_concerns_itself_alone() {
        let kind = |status, content_type| kind_of(To::List, status, content_type);
        let problem = Some("application/problem+json");
        assert_eq!((kind(200, None), kind(204, None)), (None, None));
        for status in [400, 403, 404, 405, 422, 302] {
            assert_eq!(kind(status, problem), Some(Kind::Talk));
        }
        assert_eq!(kind(404, Some("text/html")), Some(Kind::Transient), "a gateway's");
        assert_eq!(kind(403, Some("text/html")), Some(Kind::Forbidden), "perhaps the account is blocked");
        assert_eq!(kind(401, problem), Some(Kind::Unauthorized));
        assert_eq!(kind(429, None), Some(Kind::RateLimited));
        assert_eq!(kind(502, None), Some(Kind::Transient));
    }

    #[test]
    fn a_refused_token_needs_a_person_and_a_gateway_does_not() {
        let kind = |status, content_type| kind_of(To::Token, status, content_type);
        let (problem, html) = (Some("application/problem+json"), Some("text/html"));
        assert_eq!(kind(200, None), None);
        for status in [400, 401, 403, 422] {
            assert_eq!(kind(status, problem), Some(Kind::Unauthorized));
        }
        assert_eq!(kind(400, Some("application/json")), Some(Kind::Unauthorized));
        for status in [404, 408] {
            assert_eq!(kind(status, problem), Some(Kind::Transient), "nobody revoked anything");
        }
        for status in [400, 404, 408, 502] {
            assert_eq!(kind(status, html), Some(Kind::Transient));
        }
        assert_eq!(kind(503, problem), Some(Kind::Transient));
        assert_eq!(kind(403, html), Some(Kind::Forbidden));
        assert_eq!(kind(402, problem), Some(Kind::Unpaid));
        assert_eq!(kind(429, html), Some(Kind::RateLimited));
        for status in [204, 302, 307] {
            assert_eq!(kind(status, None), Some(Kind::Talk));
        }
    }

    #[test]
    fn every_status_has_one_kind() {
        let kind = |status, content_type| kind_of(To::Fetch, status, content_type);
        let problem = Some("application/problem+json; charset=utf-8");
        let html = Some("text/html; charset=UTF-8");

        assert_eq!(kind(200, Some("application/hal+json")), None);
        assert_eq!(kind(204, None), Some(Kind::Gone));
        assert_eq!(kind(404, problem), Some(Kind::Gone));
        assert_eq!(kind(404, None), Some(Kind::Gone));
        assert_eq!(kind(404, html), Some(Kind::Transient));
        assert_eq!(kind(404, Some("application/xhtml+xml")), Some(Kind::Transient));
        assert_eq!(kind(401, problem), Some(Kind::Unauthorized));
        assert_eq!(kind(402, problem), Some(Kind::Unpaid));
        assert_eq!(kind(403, problem), Some(Kind::Denied));
        assert_eq!(kind(403, html), Some(Kind::Forbidden));
        assert_eq!(kind(403, None), Some(Kind::Forbidden));
        assert_eq!(kind(429, html), Some(Kind::RateLimited));
        for status in [500, 502, 503, 504, 599] {
            assert_eq!(kind(status, html), Some(Kind::Transient));
        }
        for status in [201, 202, 206, 301, 302, 307, 308, 400, 405, 408, 410, 422] {
            assert_eq!(kind(status, problem), Some(Kind::Talk));
        }
    }

    #[test]
    fn a_redirect_names_its_address() {
        let failure = Answer {
            to: To::Fetch,
            status: 302,
            content_type: None,
            location: Some("https://elsewhere.example/login"),
        }
        .failure()
        .unwrap();
        assert!(failure.detail.contains("https://elsewhere.example/login"));
    }
}
