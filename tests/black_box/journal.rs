//! The daemon's log, and the status that systemd shows: what of a line stands for an event. Fields where it has some; else words of its message, which are
//! written here and in no test.

use crate::harness::Mirror;

pub const BACKED_UP: &str = "INFO backed up ";
pub const BACKFILL_ENDED: &str = "INFO the backfill from ";
pub const BACKUP_FAILED: &str = "ERROR the backup failed: ";
pub const BACKUP_STILL_UNDER_WAY: &str = "WARN the last backup is still under way";
pub const CLOCK_RIGHT_AGAIN: &str = "clock agrees with the API's again";
pub const CLOCK_SET_AHEAD: &str = "INFO the clock was set ahead";
pub const CLOCK_SET_BACK: &str = "INFO the clock was set back";
pub const CLOSE_REQUESTED: &str = "outcome=\"requested\"";
pub const CONFIG_MISTAKE: &str = "ERROR a mistake in the new configuration: ";
pub const CONFIG_REFUSED: &str = "ERROR refused the new configuration";
pub const CONFIG_APPLIED: &str = "INFO applied the new configuration";
pub const DATABASE_WRITABLE_AGAIN: &str = "INFO the database can be written again";
pub const DATABASE_NOT_WRITABLE: &str = "ERROR cannot write the database: ";
pub const DIRECTORY_TROUBLE: &str = "feeder=\"directory\"";
pub const EVENTS_TROUBLE: &str = "feeder=\"events\"";
pub const FIRST_LIVE_SWEEP: &str = "WARN the first live sweep";
pub const HOST_REFUSED: &str = "WARN http.listen: refused a request";
pub const LISTING_TROUBLE: &str = "feeder=\"listing\"";
pub const NOT_CLOSING: &str = ": nothing is closed ";
pub const ODD_FIELD: &str = "WARN the optional field ";
pub const PAUSED: &str = "ERROR paused: ";
pub const REQUEST_TOO_LATE: &str = "INFO close request of talk ";
pub const RESTART_NEEDED: &str = "WARN restart talkmirror ";
pub const RESULT_NOT_RECORDED: &str = "cannot be recorded";
pub const RESUMED: &str = "INFO resumed after ";
pub const RETENTION: &str = "INFO retention: ";
pub const STATUS_NO_PROGRESS: &str = "STATUS=NO PROGRESS";
pub const STATUS_PAUSED: &str = "STATUS=PAUSED";
pub const STATUS_UPDATES_SCHEMA: &str = "STATUS=bringing the database to this version's schema";
pub const STATUS_WAITS_FOR_LOCK: &str = "STATUS=waiting for another program";
pub const STOPPING: &str = "INFO stopping on ";
pub const SWEEP_SKIPPED: &str = "INFO skipped a sweep: ";
pub const SWEEP_STOPPED: &str = "ERROR stopped a sweep: ";
pub const SWEPT: &str = "INFO swept: ";
pub const TOKEN_END: &str = "expires_at=";
pub const TOKEN_KEPT: &str = "WARN the API token in use is kept";
pub const TOKEN_NOT_KEPT: &str = "the new token cannot be stored";
pub const TOKEN_REPLACED: &str = "INFO the API token was replaced";
pub const WAITS_FOR_LOCK: &str = ": waiting until its transaction ends";
pub const WITHDRAWN: &str = "outcome=\"withdrawn\"";

impl Mirror {
    /// The lines of an event so far, without their times.
    pub fn logged(&self, event: &str) -> Vec<String> {
        entries(&self.log()).filter(|entry| entry.contains(event)).collect()
    }

    /// The lines about keys that a reload changed.
    pub fn logged_changes(&self) -> String {
        let is_change =
            |line: &String| line.starts_with("INFO ") && (line.contains(" → ") || line.ends_with(" changed"));
        let lines: Vec<String> =
            entries(&self.log()).filter(is_change).filter(|line| !line.contains("nothing")).collect();
        lines.join("\n")
    }

    /// Waits for the first line of an event.
    pub fn wait_logged(&self, event: &str) -> String {
        self.wait_logged_times(event, 1)
    }

    /// Waits until an event was logged so often; the last line of it.
    pub fn wait_logged_times(&self, event: &str, times: usize) -> String {
        let mut lines = Vec::new();
        self.wait(&format!("{times} × {event:?} in the log"), || {
            lines = self.logged(event);
            lines.len() >= times
        });
        lines.swap_remove(times - 1)
    }
}

/// What a command wrote to stderr, without times and without what is no fault.
pub fn faults(err: &str) -> String {
    entries(err).filter(|entry| !entry.starts_with("INFO ")).map(|entry| format!("{entry}\n")).collect()
}

/// The error that a command ended with, the last of what it wrote to stderr.
pub fn error(err: &str) -> &str {
    let start = if err.starts_with("error: ") { Some(0) } else { err.find("\nerror: ").map(|at| at + 1) };
    &err[start.unwrap_or_else(|| panic!("no error in\n{err}"))..]
}

/// Lines without their times.
fn entries(log: &str) -> impl Iterator<Item = String> + '_ {
    log.lines().map(|line| {
        let is_time = |word: &str| word.len() > 20 && word.starts_with("20") && word.ends_with('Z');
        let message = line.split_once(' ').filter(|(first, _)| is_time(first)).map_or(line, |(_, rest)| rest);
        message.trim_start().to_owned()
    })
}
