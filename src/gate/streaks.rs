//! Failures in a row: a single one concerns its own request, but the same one for request after request is everybody's.

use super::{Reason, Signal};
use std::collections::{HashMap, HashSet};

/// Different requests in a row that meet a failing server: then all pauses.
const FAILING: usize = 5;
/// Requests in a row that get no answer, whoever sent them: then all pauses.
const SILENT: usize = 3;
/// Requests in a row that are refused with a bare 403: then all pauses.
const FORBIDDEN: usize = 3;
/// Different requests in a row that get the same kind of unexpected answer: then all pauses.
const UNEXPECTED: usize = 3;
/// Beyond so many it is not worth to remember whose failures are their own.
const MOST_EXCUSED: usize = 10_000;

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
    /// Good answers so far.
    answered: u64,
    /// Those that began a pause which another's good answer ended, and the good answers before they failed last: they
    /// fail by themselves as long as others are answered in between.
    excused: HashMap<Source, u64>,
}

impl Streaks {
    /// Counts a failure; returns why everything is to pause, if it is.
    pub(super) fn add(&mut self, source: Source, signal: &Signal) -> Option<Reason> {
        let before = self.excused.get_mut(&source).map(|before| std::mem::replace(before, self.answered));
        let is_own = before.is_some_and(|before| self.answered > before);
        let (streak, length, reason) = match signal {
            Signal::Transient => {
                self.silent.clear();
                self.forbidden.clear();
                (&mut self.failing, FAILING, Reason::Outage)
            }
            Signal::NoAnswer => {
                self.forbidden.clear();
                (&mut self.silent, SILENT, Reason::Outage)
            }
            Signal::Forbidden => {
                self.silent.clear();
                self.failing.clear();
                (&mut self.forbidden, FORBIDDEN, Reason::Blocked)
            }
            Signal::Unexpected(kind) => {
                self.silent.clear();
                self.forbidden.clear();
                if self.unexpected.0 != *kind {
                    self.unexpected = (kind.clone(), Vec::new());
                }
                (&mut self.unexpected.1, UNEXPECTED, Reason::UnexpectedAnswer)
            }
            _ => return None,
        };
        // The account is no single talk, and can have no fault of its own for long.
        let each_counts = source == Source::Account || matches!(signal, Signal::NoAnswer | Signal::Forbidden);
        if !is_own && (each_counts || !streak.contains(&source)) {
            streak.push(source);
        }
        if streak.len() < length {
            return None;
        }
        self.blamed = std::mem::take(streak);
        Some(reason)
    }

    /// A good answer: what failed before was nobody else's fault. The account answers for itself alone while several
    /// talks fail.
    pub(super) fn healthy(&mut self, source: Source) {
        if source == Source::Account && self.has_several_talks() {
            return;
        }
        self.clear();
        self.answered += 1;
        self.excused.remove(&source);
    }

    /// The probe of a pause was answered. If it was another's request, those that began the pause fail by themselves.
    pub(super) fn reopened(&mut self, source: Source) {
        let blamed = std::mem::take(&mut self.blamed);
        let by_account = source == Source::Account && are_several_talks(&blamed);
        if !blamed.contains(&source) && !by_account && self.excused.len() < MOST_EXCUSED {
            let before = self.answered;
            self.excused.extend(blamed.into_iter().map(|source| (source, before)));
        }
        self.clear();
        self.answered += 1;
        self.excused.remove(&source);
    }

    fn has_several_talks(&self) -> bool {
        [&self.failing, &self.silent, &self.forbidden, &self.unexpected.1]
            .into_iter()
            .any(|streak| are_several_talks(streak))
    }

    pub(super) fn blamed(&self) -> &[Source] {
        &self.blamed
    }

    pub(super) fn is_excused(&self, source: Source) -> bool {
        self.excused.contains_key(&source)
    }

    pub(super) fn excused_talks(&self) -> Vec<i64> {
        let talk = |source: &Source| match source {
            Source::Talk(talk_id) => Some(*talk_id),
            _ => None,
        };
        self.excused.keys().filter_map(talk).collect()
    }

    /// Every streak ends.
    pub(super) fn clear(&mut self) {
        self.failing.clear();
        self.silent.clear();
        self.forbidden.clear();
        self.unexpected.1.clear();
    }
}

fn are_several_talks(sources: &[Source]) -> bool {
    let talks: HashSet<&Source> = sources.iter().filter(|source| matches!(source, Source::Talk(_))).collect();
    talks.len() > 1
}
