//! `[refresh]`: fetches mirrored talks again, with the requests that the other lanes leave.
//!
//! [`crate::policy::refresh`] chooses them, every few seconds.

use super::{FeederContext, FeederEnded};
use crate::clock::unix_now;
use crate::number;
use crate::policy::lanes::Lane;
use crate::policy::refresh::{RefreshRules, Shares};
use crate::store::feeds::{Fed, FeedRequest};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often talks are chosen.
pub(crate) const CHOOSE_EVERY: Duration = Duration::from_secs(5);
/// The lane is filled a little beyond need, so that it does not run dry before the next choice.
const LANE_FILL_FACTOR: f64 = 1.2;

/// Runs until the worker ends.
pub(crate) async fn run(context: FeederContext, rules: RefreshRules) -> FeederEnded {
    let mut shares = Shares::default();
    let mut tick = interval(CHOOSE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(quota) = context.api.quota().await else { return FeederEnded };
        let spare = (quota.pace - quota.urgent).max(quota.pace * Lane::Refresh.share());
        let room =
            number::size(number::truncated((spare * CHOOSE_EVERY.as_secs_f64() * LANE_FILL_FACTOR).ceil()));
        let request =
            FeedRequest::Refresh { rules: rules.clone(), room, shares: shares.clone(), now: unix_now() };
        match context.feed(request).await {
            Ok(Fed::Refreshed { shares: left, queued }) => {
                tracing::debug!(queued, "refreshing {queued} talks");
                shares = left;
            }
            Ok(_) => {}
            Err(ended) => return ended,
        }
    }
}
