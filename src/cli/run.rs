//! `run`: the daemon.

use crate::config::Config;
use crate::daemon;
use anyhow::Result;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;

/// Runs until a signal; `set_level` changes what is logged.
pub fn run(config: &Config, set_level: &dyn Fn(Level)) -> Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(config, set_level));
    // A name that is being looked up must not hold up the exit.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// One thread is plenty for a few requests a second, and the cheapest for thousands.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
