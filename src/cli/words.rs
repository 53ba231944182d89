//! The words that the commands share.

pub use crate::clock::span;
pub use crate::words::{ago, aim, brief, causes, count, in_time, lasting, moment, moment_ago, talks};
