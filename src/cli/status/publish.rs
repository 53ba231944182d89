//! The line about publishing.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::report::Overview;
use crate::report::health::publish::{trouble, waiting};
use crate::report::humanize;

/// How publishing goes. `None` while it is off. If no daemon `runs`, nothing is published.
pub(super) fn line(overview: &Overview, runs: bool, now: UnixSeconds) -> Option<Text> {
    let state = overview.publish.as_ref()?;
    let server = &state.server;
    if !runs {
        return Some(format!("to {server} while the daemon runs").into());
    }
    let lag = state.lag(now);
    let wait = match (state.backlog, lag) {
        (0, _) => "all changes are published".to_owned(),
        (backlog, 0) => waiting(backlog).to_string(),
        (backlog, lag) => format!("{}, for up to {}", waiting(backlog), humanize::duration(lag)),
    };
    let left_out = match state.set_aside.len() {
        0 => String::new(),
        count => format!("; {} left out", humanize::talks(count)),
    };
    let line = format!("to {server}: {wait}{left_out}");
    Some(match trouble(overview) {
        Some(trouble) if trouble.stands_by => format!("standing by for {server}: {}", trouble.error).into(),
        Some(trouble) => {
            let error = format!("error {}: {}", humanize::lasting(trouble.since, now), trouble.error);
            Text::from(format!("{line}; ")).then(Text::alarming(error))
        }
        None => line.into(),
    })
}
