//! The line about backups.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::config::next_tick;
use crate::language::{Language, Message, MessageValue, ago, in_time, lasting};
use crate::number;
use crate::store::backup::state::BackupState;

/// The state of the scheduled backups. If no daemon `runs`, there is no next backup.
pub(super) fn line(state: &BackupState, runs: bool, now: UnixSeconds, language: Language) -> Text {
    let Some(rules) = &state.rules else { return language.text("status-off").into() };
    let last = match &state.last {
        Some(last) => Message::new("status-backup-last")
            .with("time", ago(last.at, now))
            .with("path", last.path.as_str())
            .with("size", MessageValue::Bytes(last.bytes)),
        None => Message::new("status-backup-none").with("path", rules.path.as_str()),
    };
    if let Some(trouble) = &state.trouble {
        let failing = Message::new("status-backup-failing")
            .with("time", lasting(trouble.since, now))
            .with("error", trouble.error.as_str());
        return Text::from(format!("{}; ", last.to(language))).then(Text::alarming(failing.to(language)));
    }
    let kept = Message::new("status-backup-kept").with("number", number::whole(rules.keep));
    let line = match next_tick(&rules.schedule, now).filter(|_| runs) {
        Some(at) => Message::new("status-backup-next").with("time", in_time(at, now)),
        None => Message::new("status-backup-line"),
    };
    line.with("last", last).with("kept", kept).to(language).into()
}
