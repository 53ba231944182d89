//! A simulated account at its own address, to try the daemon against:
//!
//! ```text
//! cargo run --example simulated_account -- --listen 127.0.0.1:8080
//! ```
//!
//! Its first line shows what to configure, the second which talks auto-close should close. It runs until it is
//! killed.

#![allow(clippy::disallowed_methods, reason = "it reads the time")]
#![allow(clippy::print_stdout, reason = "scripts read the address from it")]

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::net::SocketAddr;
use talkmirror_simulator::{ACCOUNT_ID, Account, Simulator, TOKEN};

/// A simulated amoCRM account.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where it answers: an address of this machine alone
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Talks of all kinds
    #[arg(long, default_value_t = 30)]
    talks: i64,
    /// Talks, besides these, that were missed two days ago
    #[arg(long, default_value_t = 3)]
    forgotten: u32,
    /// The account's number
    #[arg(long, default_value_t = ACCOUNT_ID)]
    account_id: i64,
    /// The token that it accepts
    #[arg(long, default_value = TOKEN)]
    token: String,
    /// Requests that it answers in any second
    #[arg(long, default_value_t = 7)]
    limit: usize,
    /// Talks come, are missed and answered by themselves
    #[arg(long)]
    alive: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.listen.ip().is_loopback(),
        "{} is not an address of this machine alone",
        arguments.listen
    );
    let mut account = Account::with_talks(arguments.talks);
    account.account_id = arguments.account_id;
    account.token = arguments.token;
    account.limit = arguments.limit;
    account.alive = arguments.alive;
    account.keep_log = false;
    let forgotten: Vec<String> =
        (0..arguments.forgotten).map(|_| account.create_missed(2 * 86_400).to_string()).collect();
    for talk in account.talks.values_mut() {
        talk.account_id = arguments.account_id;
    }
    let (talks, token) = (account.talks.len(), account.token.clone());
    let simulator = Simulator::start_at(arguments.listen, account)
        .with_context(|| format!("cannot answer at {}", arguments.listen))?;
    println!("api.base_url = \"{}\" with {talks} talks, token: {token}", simulator.base_url());
    println!("forgotten: {}", forgotten.join(" "));
    loop {
        std::thread::park();
    }
}
