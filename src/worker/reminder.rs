//! A trouble that lasts is said again each hour, and not at each request.

use super::Worker;
use crate::clock::{self, Now, duration};
use crate::text::shown;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60 * 60);

/// When a trouble was last said in the log.
#[derive(Debug, Default)]
pub(super) struct Reminder {
    said: Option<Instant>,
}

impl Reminder {
    /// Whether to say it again: an hour after its start, and each hour. `since` is when it began.
    fn due(&mut self, since: Option<Instant>, now: Instant) -> bool {
        let Some(since) = since else {
            self.said = None;
            return false;
        };
        let said = self.said.map_or(since, |said| said.max(since));
        let due = now.saturating_duration_since(said) >= EVERY;
        if due {
            self.said = Some(now);
        }
        due
    }
}

impl Worker {
    /// Says what lasts; done each second.
    pub(super) fn remind(&mut self, now: Now) {
        let pause = self.gate.pause();
        if let Some(pause) = pause.filter(|pause| self.pause_reminder.due(Some(pause.since), now.mono)) {
            let lasted = duration(now.mono.saturating_duration_since(pause.since).as_secs() as i64);
            let next = duration(pause.until.saturating_duration_since(now.mono).as_secs() as i64);
            tracing::error!(
                reason = pause.reason.as_str(),
                "still paused, for {lasted}: {} ({}); next probe in {next}",
                pause.reason,
                shown(self.condition.pause_detail()),
            );
        }
        if pause.is_none() {
            self.pause_reminder.due(None, now.mono);
        }
        let since = self.trouble.as_ref().map(|(_, since)| *since);
        if self.trouble_reminder.due(since, now.mono)
            && let Some((why, since)) = &self.trouble
        {
            let lasted = duration(clock::since(*since).as_secs() as i64);
            tracing::error!("still cannot write the database, for {lasted}: {}", shown(why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_each_hour_and_anew_when_it_comes_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut reminder = Reminder::default();
        assert!(!reminder.due(Some(start), at(3599)));
        assert!(reminder.due(Some(start), at(3600)));
        assert!(!reminder.due(Some(start), at(3601)));
        assert!(!reminder.due(Some(start), at(7199)));
        assert!(reminder.due(Some(start), at(7200)));
        assert!(!reminder.due(None, at(7300)));
        assert!(!reminder.due(Some(at(7400)), at(10_999)), "its hour begins anew");
        assert!(reminder.due(Some(at(7400)), at(11_000)));
        assert!(!reminder.due(Some(at(11_100)), at(14_699)), "also where its end was not seen");
    }
}
