//! Why everything pauses.

use std::fmt;

/// Why everything pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unauthorized,
    Unpaid,
    Blocked,
    RateLimited,
    Outage,
    /// Different requests get the same undocumented response.
    UnexpectedAnswer,
    /// The API reports too many stored open talks as missing.
    ManyGone,
}

impl Reason {
    pub const ALL: [Reason; 7] = [
        Reason::Unauthorized,
        Reason::Unpaid,
        Reason::Blocked,
        Reason::RateLimited,
        Reason::Outage,
        Reason::UnexpectedAnswer,
        Reason::ManyGone,
    ];

    /// As in `daemon_status.pause_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unauthorized => "unauthorized",
            Reason::Unpaid => "unpaid",
            Reason::Blocked => "blocked",
            Reason::RateLimited => "rate_limited",
            Reason::Outage => "outage",
            Reason::UnexpectedAnswer => "unexpected_answer",
            Reason::ManyGone => "many_gone",
        }
    }

    /// Parses a name in `daemon_status`.
    pub fn parse(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether such a pause survives a restart. A restart must not probe sooner than the vendor allows, nor forget
    /// what a person has not checked. A refused token may be replaced by then, and an outage is found again.
    pub fn survives_restart(self) -> bool {
        matches!(self, Reason::RateLimited | Reason::Unpaid | Reason::Blocked | Reason::ManyGone)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Unauthorized => "the API does not accept the token",
            Reason::Unpaid => "the account is not paid for",
            Reason::Blocked => "the account or this address is blocked",
            Reason::RateLimited => "too many requests for the API",
            Reason::Outage => "the API fails or cannot be reached",
            Reason::UnexpectedAnswer => "the API returns unexpected answers",
            Reason::ManyGone => "the API reports too many stored open talks as missing",
        })
    }
}
