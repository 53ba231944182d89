//! Why everything pauses.

use crate::language::Message;
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

    /// What it is, for people.
    pub(crate) fn message(self) -> Message {
        match self {
            Reason::Unauthorized => Message::new("reason-unauthorized"),
            Reason::Unpaid => Message::new("reason-unpaid"),
            Reason::Blocked => Message::new("reason-blocked"),
            Reason::RateLimited => Message::new("reason-rate-limited"),
            Reason::Outage => Message::new("reason-outage"),
            Reason::UnexpectedAnswer => Message::new("reason-unexpected-answer"),
            Reason::ManyGone => Message::new("reason-many-gone"),
        }
    }
}

/// In English.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}
