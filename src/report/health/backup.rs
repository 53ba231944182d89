//! Complaints about the scheduled backups.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::config::next_tick;
use crate::language::{Message, ago, in_time};
use crate::store::backup::state::BackupState;
use std::time::Duration;

/// A backup may be this late: a large mirror takes time.
const OVERDUE_GRACE: Duration = Duration::from_secs(60 * 60);

/// Reports that the last backup failed, or that a due one was not made.
pub(crate) fn complaint(state: &BackupState, now: UnixSeconds) -> Option<Complaint> {
    let rules = state.rules.as_ref()?;
    let next = |after| next_tick(&rules.schedule, after);
    if let Some(trouble) = &state.trouble {
        let what = Message::new("what-backup-failed").with("time", ago(trouble.at, now));
        let action = match next(now) {
            Some(at) => Message::new("do-backup-failed").with("time", in_time(at, now)),
            None => Message::new("do-backup-failed-for-good"),
        };
        return Some(Complaint { what: what.with("error", trouble.error.as_str()), action });
    }
    let due =
        state.settled_until(now).and_then(next).filter(|due| now.duration_since(*due) > OVERDUE_GRACE)?;
    let last = match &state.last {
        Some(last) => Message::new("backup-last").with("time", ago(last.at, now)),
        None => Message::new("backup-none"),
    };
    Some(Complaint {
        what: Message::new("what-backup-overdue").with("time", ago(due, now)).with("last", last),
        action: Message::new("do-backup-overdue"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backup::state::{BackupFailure, BackupRules, LastBackup};

    const DAY: i64 = 86_400;
    /// A time at midnight.
    const MIDNIGHT: UnixSeconds = UnixSeconds::new(19_000 * DAY);

    fn state(last: Option<UnixSeconds>, since: UnixSeconds) -> BackupState {
        let rules = BackupRules { schedule: "0 0 3 * * *".into(), path: "/backups".into(), keep: 7, since };
        let last = last.map(|at| LastBackup { at, path: "p".into(), bytes: 1, talks: 1, seconds: 0.1 });
        BackupState { rules: Some(rules), last, trouble: None }
    }

    fn what(state: &BackupState, now: UnixSeconds) -> Option<String> {
        complaint(state, now).map(|complaint| complaint.what.to_string())
    }

    #[test]
    fn one_that_is_overdue_for_an_hour_is_named() {
        let due = MIDNIGHT + 3 * 3600;
        let made = state(Some(due - DAY), MIDNIGHT - 9 * DAY);
        assert_eq!(what(&made, due + OVERDUE_GRACE), None);
        let late = what(&made, due + OVERDUE_GRACE + 1).unwrap();
        assert_eq!(late, "a backup was due 1 h ago and was not made; the last was made 25 h ago");
        assert_eq!(what(&state(Some(due), MIDNIGHT), due + OVERDUE_GRACE + 1), None, "it was made");
        let new = state(None, due + 1);
        assert_eq!(what(&new, due + OVERDUE_GRACE + 1), None, "only since then are there to be any");
        assert!(what(&new, due + DAY + OVERDUE_GRACE + 1).unwrap().ends_with("there is none yet"));
        let mut off = made.clone();
        off.rules = None;
        assert_eq!(what(&off, due + 9 * DAY), None);
    }

    #[test]
    fn one_that_failed_is_named_with_when_it_is_tried_again() {
        let mut failed = state(Some(MIDNIGHT - 21 * 3600), MIDNIGHT - 9 * DAY);
        let at = MIDNIGHT + 3 * 3600;
        failed.trouble = Some(BackupFailure { since: at, at, error: "the disk is full".into() });
        let complaint = complaint(&failed, at + 3600).unwrap();
        assert_eq!(complaint.what.to_string(), "the backup failed 1 h ago: the disk is full");
        assert!(
            complaint
                .action
                .to_string()
                .starts_with("correct that; the backup is retried in 23 h, or at once")
        );
        failed.rules = None;
        assert_eq!(super::complaint(&failed, at + 3600), None);
    }
}
