//! What to do next: pure functions over given times and chance. When a talk is looked at
//! again, whether it is stale, and what of its closing comes next.

pub mod closing;
mod retry;
pub mod stale;

pub use retry::{DENIED_RETRY, NextTry, RetryRules, after_failure, backoff, not_before};
