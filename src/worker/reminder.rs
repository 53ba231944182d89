//! What lasts is reported again each hour, and not at each request.

use std::time::{Duration, Instant};

const REMINDER_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// When it was last reported.
#[derive(Debug, Default)]
pub(super) struct Reminder {
    reported: Option<Instant>,
}

impl Reminder {
    /// Whether to report it again: an hour after its start, and each hour. `since` is when it began.
    pub(super) fn due(&mut self, since: Option<Instant>, now: Instant) -> bool {
        let Some(since) = since else {
            self.reported = None;
            return false;
        };
        let reported = self.reported.map_or(since, |reported| reported.max(since));
        let due = now.saturating_duration_since(reported) >= REMINDER_INTERVAL;
        if due {
            self.reported = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_reported_each_hour_and_anew_when_it_comes_again() {
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
