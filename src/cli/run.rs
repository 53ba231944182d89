//! `run`: the daemon.

use super::surroundings::{FILES_TO_WORK, require_files};
use crate::config::Config;
use crate::daemon::{self, DaemonError};
use anyhow::{Context, Result};
use std::fs;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;

/// Concurrent DNS lookups and database reads. The rest waits.
const MAX_BLOCKING_THREADS: usize = 8;
/// Threads are kept for the life of the process.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Runs until a signal. `set_level` changes the log level.
pub(super) fn run(config: &Config, set_level: &dyn Fn(Level)) -> Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(config, set_level));
    // A pending DNS lookup must not delay the exit.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// One thread is enough for a few requests a second, and cheapest for thousands of daemons. The blocking pool
/// starts its first thread at once: without any, tokio panics if it cannot start one; with one it waits.
pub(super) fn runtime() -> Result<Runtime> {
    require_files(FILES_TO_WORK)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .context("cannot set up network I/O and timers")?;
    start_a_thread().map_err(DaemonError::Thread)?;
    runtime.block_on(runtime.spawn_blocking(|| {}))?;
    Ok(runtime)
}

/// Whether the system allows this process another thread.
fn start_a_thread() -> io::Result<()> {
    let count = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = count();
    let ended = thread::Builder::new().spawn(|| {})?.join();
    // The system counts a thread for a moment after its end.
    for _ in 0..1000 {
        if ended.is_err() || count() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
