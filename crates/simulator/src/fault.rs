//! What can happen to a request.

use std::time::Duration;

/// One thing that goes wrong.
///
/// What goes wrong with one talk does not happen to the listing and the events: they are
/// answered as with [`Fault::Nothing`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// This status as `application/problem+json`.
    Problem(u16),
    /// This status as a gateway's HTML page.
    Html(u16),
    /// 429 with what it says in its header and its body, in seconds.
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
    /// The JSON, cut but of the announced length.
    Truncated,
    /// A valid answer of over 1 MiB.
    TooLarge,
    /// The connection ends amid the body.
    CutOff,
    /// The connection is reset instead of an answer.
    Reset,
    /// No answer within this time, then the connection ends.
    Hang(Duration),
    /// The right answer, late.
    Slow(Duration),
    /// The right answer.
    Nothing,
    /// Somebody answers the client just before the talk is shown.
    Answered,
    /// The request is acted upon, and the connection reset instead of an answer.
    ActAndReset,
    /// The request is acted upon; no answer within this time, then the connection ends.
    ActAndHang(Duration),
    /// 202, and nothing happens.
    TakenInVain,
}

impl Fault {
    /// It goes wrong with one talk.
    pub(super) fn needs_talk(&self) -> bool {
        matches!(self, Fault::WrongId | Fault::OtherAccount | Fault::Missing(_) | Fault::Answered)
    }

    /// Every fault of one request that says nothing of the token or the account as a whole.
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

/// Faults by chance.
#[derive(Debug, Clone)]
pub struct Storm {
    /// The share of requests that fail, 0 to 1.
    pub share: f64,
    /// What happens to them, each as likely.
    pub faults: Vec<Fault>,
}
