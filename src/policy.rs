//! Decides what to do next: pure functions of given times and random numbers. When a talk is fetched again, whether
//! it is stale, the next step of its closing, and who may send a request.
//!
//! Uses `clock`, `named`, `talk`, `text`.

pub mod closing;
pub mod gone;
pub mod growth;
pub mod lanes;
pub mod origin;
pub mod refresh;
mod retry;
pub mod stale;
pub mod tokens;
pub mod unknown_origin;

pub use retry::{DENIED_RETRY, NextTry, RetryRules, after_failure, backoff, not_before};
