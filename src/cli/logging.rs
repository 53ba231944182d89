//! Where log lines go.

use super::progress::Stderr;
use crate::config::LogFormat;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// The level after `-v` and `-q`.
pub fn adjusted(level: Level, verbose: u8, quiet: bool) -> Level {
    match (quiet, verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => level,
        (false, 1) => level.max(Level::DEBUG),
        (false, _) => Level::TRACE,
    }
}

/// Begins logging, to stderr or to journald.
pub fn start(format: LogFormat, level: Level) -> Result<()> {
    // Other crates' lines are for the one who asks for everything.
    let others = if level == Level::TRACE { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let filter = Targets::new()
        .with_default(others.min(LevelFilter::from_level(level)))
        .with_target("talkmirror", level);
    let registry = tracing_subscriber::registry().with(filter);
    let text = || tracing_subscriber::fmt::layer().with_writer(|| Stderr).with_target(false);
    match format {
        LogFormat::Journald => {
            let layer = tracing_journald::layer()
                .context("cannot log to journald (log.format): is systemd running here?")?;
            registry.with(layer.with_field_prefix(None)).init();
        }
        LogFormat::Auto if under_systemd() => match tracing_journald::layer() {
            Ok(layer) => registry.with(layer.with_field_prefix(None)).init(),
            Err(_) => registry.with(text().with_ansi(false)).init(),
        },
        LogFormat::Auto | LogFormat::Text => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
            let ansi = format == LogFormat::Auto && std::io::stderr().is_terminal() && !no_color;
            registry.with(text().with_ansi(ansi)).init();
        }
        LogFormat::Json => registry.with(text().json().flatten_event(true)).init(),
    }
    Ok(())
}

/// Whether our stderr is the stream to the journal that systemd names.
fn under_systemd() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    // Not by /dev/stderr: its way through /proc is closed to a process that may not be dumped.
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else {
        return false;
    };
    File::from(stderr).metadata().is_ok_and(|stderr| named == format!("{}:{}", stderr.dev(), stderr.ino()))
}
