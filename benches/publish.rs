//! What publishing costs: `cargo bench --bench publish`, or a part of it: `-- recording`, `load`, `lag`, `fleet`.
//!
//! The real binary publishes to a PostgreSQL server that the bench starts, with Debian's settings and `fsync`. Processor
//! time and memory are as counted by the kernel. `recording PROGRAM` compares with another build of the binary,
//! `load 1` is one round instead of 5, and `fleet 20` runs as many mirrors instead of 200.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]
#![allow(clippy::needless_pass_by_value, reason = "values to compare with are written where they are passed")]
#![allow(dead_code, reason = "what it shares with the tests has more than it needs")]

#[path = "../tests/black_box/as_mirrored.rs"]
mod as_mirrored;
#[path = "publish/fleet.rs"]
mod fleet;
#[path = "../tests/black_box/harness.rs"]
mod harness;
#[path = "publish/lag.rs"]
mod lag;
#[path = "publish/load.rs"]
mod load;
#[path = "../tests/publish/pgbouncer.rs"]
mod pgbouncer;
#[path = "../tests/publish/postgres.rs"]
mod postgres;
#[path = "mirror/process.rs"]
mod process;
#[path = "mirror/record.rs"]
mod record;
#[path = "publish/recording.rs"]
mod recording;
#[path = "publish/usage.rs"]
mod usage;

use postgres::Server;

/// As on a real server, unlike in the tests.
const SETTINGS: &str = "fsync = on\ntrack_commit_timestamp = on\n";

fn main() {
    // cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "--simulator") {
        return process::simulate();
    }
    let wanted = |part: &str| arguments.first().is_none_or(|first| first == part);
    let option = || arguments.get(1);
    if wanted("recording") {
        recording::print(option().map(std::path::PathBuf::from));
    }
    if !["load", "lag", "fleet"].iter().any(|part| wanted(part)) {
        return;
    }
    let server: &'static Server = Box::leak(Box::new(Server::start(SETTINGS)));
    if wanted("load") {
        load::print(server, option().map_or(5, |rounds| rounds.parse().expect("a number of rounds")));
    }
    if wanted("lag") {
        lag::print(server);
    }
    if wanted("fleet") {
        fleet::print(server, option().map_or(200, |count| count.parse().expect("a number of mirrors")));
    }
    server.stop("fast");
}
