//! What can happen to a request.

use std::time::Duration;

/// A fault of one request.
///
/// Faults of one talk do not happen to the listing and the events. These respond as with [`Fault::Nothing`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum Fault {
    /// This status as `application/problem+json`.
    Problem(u16),
    /// This status as a gateway's HTML page.
    Html(u16),
    /// 429 with these waits in its header and its body, in seconds.
    TooMany { header: Option<u64>, body: Option<u64> },
    /// 302 to this address.
    Redirect(String),
    /// 204.
    NoContent,
    /// This status with exactly this body and these headers.
    Answer { status: u16, headers: Vec<(&'static str, &'static str)>, body: Vec<u8> },
    /// 200 without a body.
    Empty,
    /// 200 with HTML.
    NotJson,
    /// The talk with another talk's id.
    WrongId,
    /// The talk with another account's number.
    OtherAccount,
    /// The talk without this field.
    Missing(&'static str),
    /// The JSON, truncated, with a matching length header.
    Truncated,
    /// A valid response of over 1 MiB.
    TooLarge,
    /// The connection ends in the middle of the body.
    CutOff,
    /// The connection is reset instead of a response.
    Reset,
    /// No response within this time, then the connection ends.
    Hang(Duration),
    /// The right response, late.
    Slow(Duration),
    /// The right response.
    Nothing,
    /// A manager answers the client just before the talk is shown.
    Answered,
    /// The server acts on the request, then resets the connection instead of responding.
    ActAndReset,
    /// The server acts on the request and does not respond within this time. Then the connection ends.
    ActAndHang(Duration),
    /// 202, and nothing happens.
    TakenInVain,
}

impl Fault {
    /// Whether the fault needs a talk.
    pub(super) fn needs_talk(&self) -> bool {
        matches!(self, Fault::WrongId | Fault::OtherAccount | Fault::Missing(_) | Fault::Answered)
    }

    /// Every fault of one request that shows nothing about the token or the account as a whole.
    pub fn passing() -> Vec<Fault> {
        vec![
            Fault::Problem(500),
            Fault::Problem(503),
            Fault::Html(502),
            Fault::Html(504),
            Fault::Html(404),
            Fault::Problem(400),
            Fault::TooMany { header: None, body: Some(1) },
            Fault::Empty,
            Fault::NotJson,
            Fault::WrongId,
            Fault::Missing("updated_at"),
            Fault::Truncated,
            Fault::TooLarge,
            Fault::CutOff,
            Fault::Reset,
            Fault::Hang(Duration::from_secs(5)),
            Fault::Slow(Duration::from_millis(50)),
        ]
    }
}

/// Random faults.
#[derive(Debug, Clone)]
pub struct Storm {
    /// The share of requests that fail, 0 to 1.
    pub share: f64,
    /// The faults, all equally likely.
    pub faults: Vec<Fault>,
}
