//! Failures in a row. A single failure concerns its own request. The same failure for request after request
//! concerns everything.

use super::{Reason, Signal};
use crate::talk::TalkId;

/// This many different requests in a row that meet a failing server pause everything.
const FAILING_LIMIT: usize = 5;
/// This many requests in a row without a response pause everything, even from one source.
const SILENT_LIMIT: usize = 3;
/// This many bare 403s in a row pause everything.
const FORBIDDEN_LIMIT: usize = 3;
/// This many different requests in a row with the same unexpected response pause everything.
const UNEXPECTED_LIMIT: usize = 3;

/// The source of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// This talk: its fetch, or its close request.
    Talk(TalkId),
    /// The list of this feeder.
    List(&'static str),
    /// `GET /api/v4/account`
    Account,
    /// The renewal of a token.
    Token,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Streaks {
    failing: Vec<Source>,
    silent: Vec<Source>,
    forbidden: Vec<Source>,
    unexpected: (String, Vec<Source>),
    /// The sources whose requests began the last pause.
    blamed: Vec<Source>,
}

impl Streaks {
    /// Counts a failure. Returns the reason to pause everything, if there is one.
    pub(super) fn add(&mut self, source: Source, signal: &Signal) -> Option<Reason> {
        let (streak, length, reason) = match signal {
            Signal::Transient => {
                self.silent.clear();
                self.forbidden.clear();
                (&mut self.failing, FAILING_LIMIT, Reason::Outage)
            }
            Signal::NoAnswer => {
                self.forbidden.clear();
                (&mut self.silent, SILENT_LIMIT, Reason::Outage)
            }
            Signal::Forbidden => {
                self.silent.clear();
                self.failing.clear();
                (&mut self.forbidden, FORBIDDEN_LIMIT, Reason::Blocked)
            }
            Signal::Unexpected(kind) => {
                self.silent.clear();
                self.forbidden.clear();
                if self.unexpected.0 != *kind {
                    self.unexpected = (kind.clone(), Vec::new());
                }
                (&mut self.unexpected.1, UNEXPECTED_LIMIT, Reason::UnexpectedAnswer)
            }
            _ => return None,
        };
        // The account is not a single talk, and cannot fail alone for long.
        let each_counts = source == Source::Account || matches!(signal, Signal::NoAnswer | Signal::Forbidden);
        if each_counts || !streak.contains(&source) {
            streak.push(source);
        }
        if streak.len() < length {
            return None;
        }
        self.blamed = std::mem::take(streak);
        Some(reason)
    }

    pub(super) fn blamed(&self) -> &[Source] {
        &self.blamed
    }

    pub(super) fn take_blamed(&mut self) -> Vec<Source> {
        std::mem::take(&mut self.blamed)
    }

    /// Ends every streak.
    pub(super) fn clear(&mut self) {
        self.failing.clear();
        self.silent.clear();
        self.forbidden.clear();
        self.unexpected.1.clear();
    }
}
