//! Failures in a row: a single one concerns its own request, but the same one for request after request is everybody's.

use super::{Reason, Signal};

/// Different requests in a row that meet a failing server: then all pauses.
const FAILING_LIMIT: usize = 5;
/// Requests in a row that get no answer, whoever sent them: then all pauses.
const SILENT_LIMIT: usize = 3;
/// Requests in a row that are refused with a bare 403: then all pauses.
const FORBIDDEN_LIMIT: usize = 3;
/// Different requests in a row that get the same kind of unexpected answer: then all pauses.
const UNEXPECTED_LIMIT: usize = 3;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Of this talk: its fetch, or its close request.
    Talk(i64),
    /// Of the list that this feeder reads.
    List(&'static str),
    /// `GET /api/v4/account`
    Account,
    /// The renewal of a token.
    Token,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Streaks {
    failing: Vec<Source>,
    silent: Vec<Source>,
    forbidden: Vec<Source>,
    unexpected: (String, Vec<Source>),
    /// Whose requests began the last pause.
    blamed: Vec<Source>,
}

impl Streaks {
    /// Counts a failure; returns why everything is to pause, if it is.
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
        // The account is no single talk, and can have no fault of its own for long.
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

    /// Every streak ends.
    pub(super) fn clear(&mut self) {
        self.failing.clear();
        self.silent.clear();
        self.forbidden.clear();
        self.unexpected.1.clear();
    }
}
