//! Publishing, against real PostgreSQL servers.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a test reads the time")]
#![allow(clippy::needless_pass_by_value, reason = "values to compare with are written where they are passed")]
#![allow(clippy::print_stderr, reason = "a test says that it skips")]

#[path = "../black_box/as_mirrored.rs"]
mod as_mirrored;
mod certificates;
mod compare;
mod dashboard;
mod demo;
mod failover;
mod failures;
mod hanging;
#[path = "../black_box/harness.rs"]
#[allow(dead_code, reason = "it has more than these tests need")]
mod harness;
mod odd_data;
mod page;
#[allow(dead_code, reason = "the bench reads more of it")]
mod pgbouncer;
mod pooler;
mod postgres;
mod proxy;
mod publishing;
mod readers;
mod secrets;
mod shown;
#[path = "../black_box/snapshots.rs"]
#[allow(dead_code, reason = "it has more than these tests need")]
mod snapshots;
mod takeover;
mod views;
mod whole;
