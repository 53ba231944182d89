//! `[listing]`: compares the account's list of talks with the mirror, 250 talks a request.
//!
//! A row of the list is a hint: what is unknown, differs, or is open in the mirror and not shown is
//! fetched. A hint that a fetch did not bear out is not followed again before the next day: a list
//! that always differs must not turn into a fetch of everything each time.

use super::{Ended, Unread, Ways};
use crate::amocrm::{Query, Rows};
use crate::clock::unix_now;
use crate::policy::lanes::Lane;
use crate::store::feeds::{Fed, Feeder, FeederRow, News, Order};
use crate::talk::Listed;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use tokio::sync::Notify;

/// In seconds: so often a pass is over all talks, closed ones too.
const DAY: i64 = 24 * 60 * 60;
/// Pages of one pass at most: ten million talks.
const MOST_PAGES: u32 = 40_000;

/// See the module's text.
#[derive(Debug)]
pub struct Listing {
    ways: Ways,
    /// When the last pass over the open talks, and over all, was done; Unix seconds.
    passed_at: Option<i64>,
    whole_at: Option<i64>,
    /// When the account was last seen to ignore the filter: it is believed to for a day.
    unfiltered_at: Option<i64>,
    /// Hints that were followed, and when; `None` where the list did not show an open talk.
    followed: Followed,
}

/// How a pass ended.
#[derive(Debug)]
enum Pass {
    Done,
    /// Closed talks were shown that were not asked for.
    IgnoresFilter,
    Unread(Unread),
}

impl Listing {
    /// `before` is what an earlier process left.
    pub fn new(ways: Ways, before: Option<&FeederRow>) -> Listing {
        let at = |key: &str| before.and_then(|row| row.cursor.as_ref()?.get(key)?.as_i64());
        Listing {
            ways,
            passed_at: at("passed_at"),
            whole_at: at("whole_at"),
            unfiltered_at: at("unfiltered_at"),
            followed: HashMap::new(),
        }
    }

    /// Passes over the list at each tick, until the worker ends.
    pub async fn run(mut self, tick: Arc<Notify>) -> Ended {
        loop {
            tick.notified().await;
            if !self.ways.rests(unix_now())
                && let Err(ended) = self.look().await
            {
                return ended;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Ended> {
        let mut queued = 0;
        let lately = |at: Option<i64>, now: i64| at.is_some_and(|at| (at..at + DAY).contains(&now));
        if !lately(self.unfiltered_at, unix_now()) {
            self.unfiltered_at = None;
            let passed = self.pass(true, &mut queued).await?;
            match passed {
                Pass::Done => self.passed_at = Some(unix_now()),
                Pass::IgnoresFilter => self.unfiltered_at = Some(unix_now()),
                Pass::Unread(unread) => return self.broke_off(unread, queued).await,
            }
        }
        if !lately(self.whole_at, unix_now()) {
            self.followed.clear();
            if let Pass::Unread(unread) = self.pass(false, &mut queued).await? {
                return self.broke_off(unread, queued).await;
            }
            self.whole_at = Some(unix_now());
        }
        let trouble = self.unfiltered_at.is_some().then(|| {
            "the list ignores filter[only_in_work]: it is read once a day, as a whole, and no more often"
                .into()
        });
        self.ways.ran(queued, trouble, Some(self.cursor())).await
    }

    async fn broke_off(&mut self, unread: Unread, queued: u64) -> Result<(), Ended> {
        let trouble = self.ways.unread(unread);
        self.ways.ran(queued, Some(trouble), Some(self.cursor())).await
    }

    fn cursor(&self) -> Value {
        json!({
            "passed_at": self.passed_at, "whole_at": self.whole_at, "unfiltered_at": self.unfiltered_at
        })
    }

    /// Reads all pages once; what differs from the mirror is queued, and then what was not shown.
    async fn pass(&mut self, only_in_work: bool, queued: &mut u64) -> Result<Pass, Ended> {
        let began = unix_now();
        // The whole account's list is long, and in no hurry.
        let lane = if only_in_work { Lane::Hints } else { Lane::Backfill };
        let mut seen = HashSet::new();
        let mut before: Vec<Listed> = Vec::new();
        let followed = mem::take(&mut self.followed);
        for page in 1..=MOST_PAGES {
            let page = match self.ways.page(lane, Query::Talks { page, only_in_work }).await? {
                Ok(page) => page,
                Err(unread) => return Ok(Pass::Unread(unread)),
            };
            let Rows::Talks(rows) = page.rows else { break };
            if only_in_work && ignores_filter(&rows) {
                return Ok(Pass::IgnoresFilter);
            }
            if !rows.is_empty() && rows == before {
                let why = "each page shows the same talks".to_owned();
                return Ok(Pass::Unread(Unread::NotServed(why)));
            }
            // Of the closed ones there may be millions, and none of them is looked for.
            seen.extend(rows.iter().filter(|row| row.is_in_work != Some(false)).map(|row| row.talk_id));
            before.clone_from(&rows);
            *queued += self.follow(rows, &followed).await?;
            if !page.more {
                break;
            }
        }
        *queued += self.follow_unseen(seen, began, &followed).await?;
        Ok(Pass::Done)
    }

    /// Queues what differs from the mirror, but for what was followed in vain.
    async fn follow(&mut self, rows: Vec<Listed>, followed: &Followed) -> Result<u64, Ended> {
        let Fed::Compared(news) = self.ways.feed(Order::Compare(rows)).await? else { return Ok(0) };
        let now = unix_now();
        let mut ids = Vec::new();
        for News { listed, mirrored, fetched_at } in news {
            let hint = Some(listed);
            if !mirrored && listed.is_in_work == Some(false) {
                // The account's past is in no hurry, and seen once a day.
                ids.push((listed.talk_id, Lane::Backfill));
            } else if fetched_at.is_none() {
                // What was never fetched was not followed in vain; of a new account that is every talk.
                ids.push((listed.talk_id, Lane::Hints));
            } else if !self.in_vain((listed.talk_id, hint, fetched_at), followed) {
                self.followed.insert(listed.talk_id, (hint, now));
                ids.push((listed.talk_id, Lane::Hints));
            }
        }
        self.enqueue(ids, now).await
    }

    /// Queues the open talks of the mirror that the whole pass did not show.
    async fn follow_unseen(
        &mut self,
        seen: HashSet<i64>,
        began: i64,
        followed: &Followed,
    ) -> Result<u64, Ended> {
        let order = Order::Unseen { seen: Arc::new(seen), before: began };
        let Fed::Unseen(unseen) = self.ways.feed(order).await? else { return Ok(0) };
        let now = unix_now();
        let mut ids = Vec::new();
        for (talk_id, fetched_at) in unseen {
            if !self.in_vain((talk_id, None, Some(fetched_at)), followed) {
                self.followed.insert(talk_id, (None, now));
                ids.push((talk_id, Lane::Hints));
            }
        }
        self.enqueue(ids, now).await
    }

    /// Whether the same hint was followed before, and a fetch since did not bear it out. It stays so.
    fn in_vain(
        &mut self,
        (talk_id, hint, fetched_at): (i64, Option<Listed>, Option<i64>),
        before: &Followed,
    ) -> bool {
        let Some((earlier, at)) = before.get(&talk_id).copied() else { return false };
        let in_vain = earlier == hint && fetched_at.is_some_and(|fetched_at| fetched_at >= at);
        if in_vain {
            self.followed.insert(talk_id, (hint, at));
        }
        in_vain
    }

    async fn enqueue(&self, ids: Vec<(i64, Lane)>, now: i64) -> Result<u64, Ended> {
        if ids.is_empty() {
            return Ok(0);
        }
        self.ways.queue(Order::Enqueue { feeder: Feeder::Listing, ids, due_at: now, now }).await
    }
}

type Followed = HashMap<i64, (Option<Listed>, i64)>;

/// A talk may be closed while the list is made; a list with many such was not filtered.
fn ignores_filter(rows: &[Listed]) -> bool {
    let closed = rows.iter().filter(|row| row.is_in_work == Some(false)).count();
    closed * 20 > rows.len()
}
