//! The states and modes of closings, what is wanted of a talk, and what was decided.

use crate::clock::Now;
use crate::named::named;
use crate::policy::lanes::Lane;
use crate::policy::stale::{StaleRules, Verdict};
use std::cmp::Ordering;
use std::fmt;

named! {
    /// `auto_close.mode`, also in `closures.mode`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum CloseMode {
        #[default]
        Off = "off",
        /// Decide and record, close nothing.
        DryRun = "dry-run",
        Live = "live",
    }
}

impl fmt::Display for CloseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

named! {
    /// What became of a decision to close, in `closures.outcome`. A closing goes forward only.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ClosingOutcome {
        /// Of a dry run: it would have been requested.
        WouldClose = "would_close",
        /// Written before the request leaves.
        Requested = "requested",
        /// The API took it.
        Accepted = "accepted",
        /// A later fetch saw it closed.
        Closed = "closed",
        /// The fetch just before closing showed that it is not to be closed.
        Withdrawn = "withdrawn",
        /// The API refused it to this token.
        Refused = "refused",
        /// Not closed.
        Failed = "failed",
    }
}

impl ClosingOutcome {
    /// It has no end yet.
    pub fn is_under_way(self) -> bool {
        matches!(self, ClosingOutcome::Requested | ClosingOutcome::Accepted)
    }

    /// The talk is not closed again for a day because of it.
    pub fn bars(self) -> bool {
        matches!(self, ClosingOutcome::Refused | ClosingOutcome::Failed)
    }
}

/// By name, as people read a list of them.
impl Ord for ClosingOutcome {
    fn cmp(&self, other: &ClosingOutcome) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for ClosingOutcome {
    fn partial_cmp(&self, other: &ClosingOutcome) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ClosingOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[auto_close]`, as far as the worker goes by it.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseRules {
    /// Off, dry run or live.
    pub mode: CloseMode,
    /// Which talks are stale.
    pub stale: StaleRules,
    /// Close at once, without starting the NPS bot.
    pub force_close: bool,
    /// A sweep queues at most so many talks.
    pub max_per_sweep: usize,
    /// A sweep that finds more than this share of the open talks stale, 0 to 1, queues none.
    pub max_share: f64,
}

named! {
    /// What a talk is fetched for, in `talk_queue.reason`. What is only mirrored has a feeder's name there, or somebody's
    /// own word.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub enum FetchReason {
        /// To be mirrored.
        #[default]
        Mirror = "mirror",
        /// To be closed if it is stale, as the mode has it.
        Close = "close",
        /// To see whether it would be closed.
        DryRun = "close-dry-run",
        /// To see what became of a close request.
        Verify = "verify",
    }
}

impl FetchReason {
    /// Those that the queue names by its `reason`.
    pub const OF_CLOSINGS: [FetchReason; 3] = [FetchReason::Close, FetchReason::DryRun, FetchReason::Verify];

    /// What a queue row is fetched for. At a priority below that of closings the reason is somebody's own word.
    pub fn of_row(reason: &str, priority: i64) -> FetchReason {
        let known = FetchReason::OF_CLOSINGS.into_iter().find(|known| known.as_str() == reason);
        known.filter(|_| priority >= Lane::Closing.priority()).unwrap_or_default()
    }
}

/// What was decided of a talk, and on which fetch.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// On the state just fetched.
    pub verdict: Verdict,
    /// When the request left that showed it.
    pub sent: Now,
    /// Which rules it was decided by: those count up.
    pub rules_epoch: u64,
}

/// What is wanted of a talk that was fetched to be closed.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseContext {
    /// Why the talk was fetched.
    pub reason: FetchReason,
    /// What may be done now.
    pub mode: CloseMode,
    /// The verdict of the rules, and the fetch it was reached on.
    pub decision: Decision,
    /// Whether the talk is closed without waiting for the NPS bot.
    pub force_close: bool,
    /// Close requests of one closing at most.
    pub max_attempts: u32,
    /// Why nothing may be decided now: the clock, or `--no-close`.
    pub obstacle: Option<String>,
}
