//! Where log lines go.

use super::progress::{LogLines, Stderr};
use crate::config::LogFormat;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use tracing::Level;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

/// The level after `-v` and `-q`.
pub(super) fn adjusted(level: Level, verbose: u8, quiet: bool) -> Level {
    match (quiet, verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => level,
        (false, 1) => level.max(Level::DEBUG),
        (false, _) => Level::TRACE,
    }
}

/// Sets the least severe level that is logged.
pub(super) type SetLevel = Box<dyn Fn(Level)>;

/// Starts logging to stderr or to journald.
pub(super) fn start(format: LogFormat, level: Level) -> Result<SetLevel> {
    let (filter, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(filter);
    let text = || tracing_subscriber::fmt::layer().with_writer(|| LogLines).with_target(false);
    match format {
        LogFormat::Journald => {
            let layer = tracing_journald::layer()
                .context("cannot log to journald (log.format): is systemd running here?")?;
            registry.with(journald(layer)).init();
        }
        LogFormat::Auto if under_systemd() => match tracing_journald::layer() {
            Ok(layer) => registry.with(journald(layer)).init(),
            Err(_) => registry.with(text().with_ansi(false)).init(),
        },
        LogFormat::Auto | LogFormat::Text => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
            let ansi = format == LogFormat::Auto && std::io::stderr().is_terminal() && !no_color;
            registry.with(text().with_ansi(ansi)).init();
        }
        LogFormat::Json => registry.with(text().with_writer(|| Stderr).json().flatten_event(true)).init(),
    }
    Ok(Box::new(move |level| {
        // It fails only if the process is ending, when nothing is logged any more.
        let _ = handle.reload(targets(level));
    }))
}

/// Other crates log a fault each time, while talkmirror logs an outage once. Their lines are for debugging.
fn targets(level: Level) -> Targets {
    let others = match level {
        Level::TRACE => LevelFilter::DEBUG,
        Level::DEBUG => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    };
    Targets::new().with_default(others).with_target("talkmirror", level)
}

/// Fields keep their names, such as TALK_ID, and priorities are those of other daemons.
fn journald(layer: tracing_journald::Layer) -> tracing_journald::Layer {
    let priorities =
        PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
    layer.with_field_prefix(None).with_priority_mappings(priorities)
}

/// Whether stderr is the journal stream that systemd names.
fn under_systemd() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    // Not by /dev/stderr: it leads through /proc, which is closed to a process that may not be dumped.
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else {
        return false;
    };
    File::from(stderr).metadata().is_ok_and(|stderr| named == format!("{}:{}", stderr.dev(), stderr.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_libraries_are_for_debug_and_trace() {
        let others = "rustls_platform_verifier";
        for level in [Level::ERROR, Level::WARN, Level::INFO] {
            assert!(!targets(level).would_enable(others, &Level::ERROR), "{level}");
            assert!(targets(level).would_enable("talkmirror::worker", &level));
        }
        let debug = targets(Level::DEBUG);
        assert!(debug.would_enable(others, &Level::WARN) && !debug.would_enable(others, &Level::INFO));
        let trace = targets(Level::TRACE);
        assert!(trace.would_enable(others, &Level::DEBUG) && !trace.would_enable(others, &Level::TRACE));
    }
}
