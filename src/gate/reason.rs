//! Why everything pauses.

use crate::named::named;
use std::fmt;

named! {
    /// Why everything pauses. In `daemon_status.pause_reason`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Reason {
        Unauthorized = "unauthorized",
        Unpaid = "unpaid",
        Blocked = "blocked",
        RateLimited = "rate_limited",
        Outage = "outage",
        /// Different requests get the same undocumented response.
        UnexpectedAnswer = "unexpected_answer",
        /// The API reports too many stored open talks as missing.
        ManyGone = "many_gone",
    }
}

impl Reason {
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
