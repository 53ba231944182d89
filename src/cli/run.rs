//! `run`: the daemon.

use super::surroundings::{FILES_OF_WORK, require_files};
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

/// Look-ups of names and readings of the database at once; the rest waits for its turn.
const MOST_THREADS: usize = 8;
/// They are kept for as long as a process lives.
const KEEP_THREADS: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Runs until a signal; `set_level` changes what is logged.
pub fn run(config: &Config, set_level: &dyn Fn(Level)) -> Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(config, set_level));
    // A name that is being looked up must not hold up the exit.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// One thread is plenty for a few requests a second, and the cheapest for thousands. The pool for what blocks has its
/// first from the start: without any, tokio panics when it can start none, and with one it waits.
pub fn runtime() -> Result<Runtime> {
    require_files(FILES_OF_WORK)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .thread_keep_alive(KEEP_THREADS)
        .build()
        .context("cannot set up waiting for the network and for time")?;
    start_a_thread().map_err(DaemonError::Thread)?;
    runtime.block_on(runtime.spawn_blocking(|| {}))?;
    Ok(runtime)
}

/// Whether the system lets this process have another thread.
fn start_a_thread() -> io::Result<()> {
    let count = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = count();
    let ended = thread::Builder::new().spawn(|| {})?.join();
    // The system counts one for a moment after its end.
    for _ in 0..1000 {
        if ended.is_err() || count() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
