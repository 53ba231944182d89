//! The line about backups.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::config::next_tick;
use crate::report::humanize;
use crate::store::backup::state::BackupState;
use indicatif::HumanBytes;

/// The state of the scheduled backups. If no daemon `runs`, there is no next backup.
pub(super) fn line(state: &BackupState, runs: bool, now: UnixSeconds) -> Text {
    let Some(rules) = &state.rules else { return "off".into() };
    let last = match &state.last {
        Some(last) => {
            format!("last {}: {}, {}", humanize::ago(last.at, now), last.path, HumanBytes(last.bytes))
        }
        None => format!("none yet, to {}", rules.path),
    };
    if let Some(trouble) = &state.trouble {
        let trouble = format!("failing {}: {}", humanize::lasting(trouble.since, now), trouble.error);
        return Text::from(format!("{last}; ")).then(Text::alarming(trouble));
    }
    let next = next_tick(&rules.schedule, now)
        .filter(|_| runs)
        .map_or(String::new(), |at| format!("; next {}", humanize::in_time(at, now)));
    format!("{last}{next}; {} are kept", rules.keep).into()
}
