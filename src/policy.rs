//! Decides what to do next: pure functions of given times and random numbers. When a talk is fetched again, whether
//! it is stale, the next step of its closing, and who may send a request.
//!
//! Uses `clock`, `language`, `named`, `number`, `talk`, `text`.

pub mod closing;
pub mod exemption;
pub(crate) mod gone;
pub(crate) mod growth;
pub mod hours;
pub mod lanes;
pub(crate) mod origin;
pub mod refresh;
mod retry;
pub mod stale;
pub(crate) mod tokens;
pub(crate) mod unknown_origin;

pub(crate) use retry::{DENIED_RETRY, NextTry, RetryRules, after_failure, backoff, not_before};
