//! The words that the commands share.

pub use crate::clock::duration;
pub use crate::humanize::{
    ago, aim, brief, causes, count, in_time, lasting, talks, timestamp, timestamp_ago,
};
