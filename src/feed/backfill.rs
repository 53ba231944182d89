//! `talkmirror backfill`: walks the account's past ids with the requests that the other lanes leave.
//!
//! The walk itself is stored in the database ([`crate::store::feeds`]). This task drives it.

use super::refresh::CHOOSE_EVERY;
use super::{FeederContext, FeederEnded};
use crate::clock::unix_now;
use crate::number;
use crate::store::feeds::{Fed, FeedRequest};
use crate::text::shown;
use tokio::time::{MissedTickBehavior, interval};

/// The lane is filled a little beyond need, so that it does not run dry before the next step.
const LANE_FILL_FACTOR: f64 = 1.2;

/// Runs until the worker ends.
pub(crate) async fn run(context: FeederContext) -> FeederEnded {
    let mut tick = interval(CHOOSE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(quota) = context.api.quota().await else { return FeederEnded };
        let room = number::size(number::truncated(
            (quota.pace * CHOOSE_EVERY.as_secs_f64() * LANE_FILL_FACTOR).ceil(),
        ));
        match context.feed(FeedRequest::Backfill { room, now: unix_now() }).await {
            Ok(Fed::Backfill(Some(walk), _)) => {
                if let Some((_, why)) = &walk.ended {
                    let (looked_at, _) = walk.progress();
                    tracing::info!(
                        "the backfill from {} to {} has ended after {looked_at} ids, {} of them fetched: {}",
                        walk.from,
                        walk.to,
                        walk.queued,
                        shown(why)
                    );
                }
            }
            Ok(_) => {}
            Err(ended) => return ended,
        }
    }
}
