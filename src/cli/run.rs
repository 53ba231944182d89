//! `run`: the daemon.

use crate::config::Config;
use crate::daemon;
use anyhow::Result;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Runs until a signal.
pub fn run(config: &Config) -> Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(config));
    // A name that is being looked up must not hold up the exit.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// One thread is plenty for a few requests a second, and the cheapest for thousands.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
