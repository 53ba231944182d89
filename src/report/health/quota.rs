//! Warnings that the quota is too small.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue, lasting};
use crate::number;
use crate::policy::lanes::Lane;
use crate::report::Overview;
use crate::store::status::{LANES_SPAN, Liveness, Mode};
use std::time::Duration;

/// Each open talk should be fetched again within this time, on average.
const FULL_ROUND: Duration = Duration::from_secs(60 * 60);
/// Due talks that wait longer than this while the daemon runs are reported.
const BACKLOG: Duration = Duration::from_secs(10 * 60);

/// Warns that the quota is too small, with the `api.requests_per_second` that would do.
pub(super) fn warnings(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Vec<Complaint> {
    let Some(daemon) = overview.daemon.as_ref().filter(|_| alive == Some(Liveness::Running)) else {
        return Vec::new();
    };
    if daemon.pause.is_some() || daemon.mode != Mode::Run {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    // Earlier, the lanes' figures show only the first rush.
    let settled = now.duration_since(daemon.started_at) >= LANES_SPAN;
    let rate = |named: &[&str]| {
        let counted = daemon.lanes.iter().filter(|lane| settled && named.contains(&lane.lane.as_str()));
        counted.map(|lane| lane.requests as f64).sum::<f64>() / LANES_SPAN.as_secs_f64()
    };
    let unmirrored = rate(&[Lane::Unmirrored.as_str()]);
    let others = rate(&[Lane::Closing, Lane::Asked, Lane::Hints].map(Lane::as_str)) + unmirrored;
    let used = others + rate(&[Lane::Refresh.as_str()]);
    let allowed = daemon.requests_per_second;
    // Responses take time, so a used-up quota yields no more than it did.
    let (had, cost) = if used > allowed * 0.6 { (used, allowed / used) } else { (allowed, 1.0) };
    let spare = (had - others).max(had * Lane::Refresh.share());
    // As it is written in the configuration.
    let quota = |rate: f64| format!("{}", (rate * cost).ceil());
    let refreshes = overview.feeders.iter().any(|row| row.feeder == "refresh" && row.enabled);
    let open = overview.freshness.talks as f64;
    // While talks wait for their first fetch, refreshes get a tenth. Another warning covers that.
    if refreshes && unmirrored == 0.0 && open / spare > FULL_ROUND.as_secs_f64() {
        let round = MessageValue::Duration(number::truncated(open / spare));
        let enough = quota(others + open / FULL_ROUND.as_secs_f64());
        warnings.push(Complaint {
            what: Message::new("what-quota-refresh")
                .with("spare", MessageValue::Decimal(spare, 1))
                .with("open", overview.freshness.talks)
                .with("round", round),
            action: Message::new("do-quota-refresh").with("quota", enough),
        });
    }
    if let Some(oldest) =
        overview.queue.urgent_since.filter(|oldest| settled && now.duration_since(*oldest) > BACKLOG)
    {
        let waiting = overview.queue.urgent;
        let rate = others + waiting as f64 / BACKLOG.as_secs_f64();
        warnings.push(Complaint {
            what: Message::new("what-quota-backlog")
                .with("number", waiting)
                .with("time", lasting(oldest, now)),
            action: Message::new("do-quota-backlog").with("quota", quota(rate)),
        });
    }
    warnings
}
