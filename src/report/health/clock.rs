//! Warnings about this machine's clock, judged by the times in the database.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue};
use crate::report::Overview;
use std::time::Duration;

/// Times less than this ahead are not reported.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Warns that times in the database are in the future.
pub(super) fn warning(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    let seen_at = overview.daemon.as_ref().map(|daemon| daemon.seen_at);
    let latest = seen_at.max(overview.fetched_at)?;
    (latest.duration_since(now) > TOLERANCE).then(|| Complaint {
        what: Message::new("what-clock").with("span", MessageValue::Duration(latest.seconds_since(now))),
        action: Message::new("do-clock-check"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;

    #[test]
    fn times_over_a_minute_ahead_are_warned_of() {
        let mut overview = overview();
        assert_eq!(warning(&overview, NOW), None);
        overview.fetched_at = Some(NOW + TOLERANCE);
        assert_eq!(warning(&overview, NOW), None);
        overview.fetched_at = Some(NOW + 3 * 3600);
        let what = "times in the database are up to 3 h in the future: the clock was set back, or was wrong";
        assert_eq!(warning(&overview, NOW).unwrap().what.to_string(), what);
        overview.fetched_at = None;
        overview.daemon.as_mut().unwrap().seen_at = NOW + TOLERANCE + 1;
        assert!(warning(&overview, NOW).unwrap().what.to_string().contains("up to 1 min"));
        overview.daemon.as_mut().unwrap().seen_at = UnixSeconds::MAX;
        assert!(warning(&overview, UnixSeconds::MIN).is_some());
    }
}
