//! `status`: one screen about the mirror, read from the database alone. It is in the language of the locale.

mod backup;
mod feeders;
mod publish;
mod screen;
mod size;
mod wal;
mod watch;

use super::print::Out;
use crate::clock::{UnixSeconds, unix_now};
use crate::config::Config;
use crate::language::Language;
use crate::policy::closing::CloseMode;
use crate::report::health::{self, Complaint};
use crate::report::{self, Overview};
use crate::store::lock;
use crate::store::status::Liveness;
use crate::store::{self, StoreError};
use anyhow::Result;
use serde_json::json;
use std::process::ExitCode;

/// How the state is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Once,
    AsJson,
    /// Again and again, until a person ends it.
    Watched,
}

/// Shows the state. Returns 1 if the mirror is not healthy.
pub(super) fn status(config: &Config, shown: Shown) -> Result<ExitCode> {
    let language = Language::of_locale(|name| std::env::var(name).ok());
    if shown == Shown::Watched {
        return watch::watch(config, language);
    }
    let state = State::read(config)?;
    let mut out = Out::new();
    match shown {
        Shown::AsJson => out.exact(format!("{:#}", state.json(config)))?,
        Shown::Once | Shown::Watched => screen::print(&mut out, &state, config, language)?,
    }
    out.done()?;
    Ok(state.exit_code())
}

/// What is shown, as of one moment.
#[derive(Debug)]
struct State {
    overview: Overview,
    alive: Option<Liveness>,
    complaints: Vec<Complaint>,
    warnings: Vec<Complaint>,
    /// The program that holds the write lock.
    writer: Option<String>,
    now: UnixSeconds,
}

impl State {
    fn read(config: &Config) -> Result<State> {
        let database = config.database.as_path();
        // Checked before this process opens the database.
        let held = lock::is_held(database);
        let connection = store::open_read_only(database)?;
        let now = unix_now();
        let mut overview = report::overview(&connection, now).map_err(StoreError::from)?;
        let alive = overview.daemon.as_ref().map(|daemon| daemon.liveness(held, now));
        wal::find_reader(database, &mut overview);
        let closes = config.auto_close.rules.mode != CloseMode::Off;
        let mut complaints = health::complaints(&overview, alive, closes, now);
        let mut warnings = health::warnings(&overview, alive, now);
        let writer = wal::lock_holder(database, &overview);
        if let Some(holder) = &writer {
            let list = if wal::is_held_up(&overview, alive, now) { &mut complaints } else { &mut warnings };
            list.push(wal::locked(holder));
        }
        Ok(State { overview, alive, complaints, warnings, writer, now })
    }

    /// Whether a process works the queue.
    fn runs(&self) -> bool {
        matches!(self.alive, Some(Liveness::Running | Liveness::Silent))
    }

    fn exit_code(&self) -> ExitCode {
        if self.complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn json(&self, config: &Config) -> serde_json::Value {
        let mut status = json!(self.overview);
        status["healthy"] = json!(self.complaints.is_empty());
        status["complaints"] = json!(self.complaints);
        status["warnings"] = json!(self.warnings);
        status["write_lock_held_by"] = json!(self.writer);
        status["running"] = json!(self.runs());
        status["database"] = json!(config.database);
        status["auto_close"] = json!(config.auto_close.rules.mode.as_str());
        status["now"] = json!(self.now);
        status
    }
}
