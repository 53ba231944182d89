//! `[listing]`: compares the account's list of talks with the mirror, 250 talks per request.
//!
//! A row of the list is a hint. A talk that is unknown, differs, or is open in the mirror but missing in the list
//! is fetched. Each tick starts a pass over the open talks. Once a day a pass over all talks runs beside it, page
//! by page. A hint that repeats although it was followed is followed at growing intervals, so that one that always
//! differs does not cause a fetch each time.

mod followed;

use super::{FeederContext, FeederEnded, ListError};
use crate::amocrm::{Page, PageQuery, Rows};
use crate::clock::{UnixSeconds, unix_now};
use crate::policy::lanes::Lane;
use crate::store::feeds::{Fed, FeedRequest, Feeder, FeederRow, Hint, News};
use crate::talk::{Listed, TalkId};
use followed::Followed;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often all talks are passed over, closed ones too.
const WHOLE_PASS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// At most this many pages per pass: ten million talks.
const MAX_PAGES: u32 = 40_000;
/// This many closed talks among the open ones, and over 5 %, show that the filter is ignored.
const UNFILTERED_MIN_CLOSED: usize = 10;
/// A list this short is read to its end, filtered or not: 2,000 talks.
const SHORT_LIST_PAGES: u32 = 8;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Listing {
    context: FeederContext,
    followed: Followed,
    /// When the last pass over all talks ended.
    whole_at: Option<UnixSeconds>,
    /// The next page of the running pass over all talks, if any.
    whole_page: Option<u32>,
    /// Passes in a row with more closed talks than chance explains.
    unfiltered: u32,
    /// The warning about a short unfiltered list was logged.
    warned_short: bool,
    /// When a long list was last seen to ignore the filter. This is assumed for a day.
    unfiltered_at: Option<UnixSeconds>,
}

/// The ids that a pass queued, and how many of them are already recorded.
#[derive(Debug, Default)]
struct Queued {
    all: u64,
    noted: u64,
}

impl Listing {
    /// `before` is the stored row of this feeder.
    pub(crate) fn new(context: FeederContext, before: Option<&FeederRow>) -> Listing {
        let number = |key: &str| before.and_then(|row| row.cursor.as_ref()?.get(key)?.as_i64());
        Listing {
            context,
            followed: Followed::default(),
            whole_at: number("whole_at").map(UnixSeconds::new),
            whole_page: number("whole_page").and_then(|page| u32::try_from(page).ok()),
            unfiltered: 0,
            warned_short: false,
            unfiltered_at: number("unfiltered_at").map(UnixSeconds::new),
        }
    }

    /// Runs a pass at each tick, until the worker ends.
    pub(crate) async fn run(mut self, tick: Arc<Notify>) -> FeederEnded {
        loop {
            let done = tokio::select! {
                biased;
                () = tick.notified() => match self.context.is_resting(unix_now()) {
                    true => Ok(()),
                    false => self.check_open_talks().await,
                },
                // A tick drops this future. The page is requested again.
                page = self.next_whole_page() => self.handle_whole_page(page).await,
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    /// Runs a pass over the open talks.
    async fn check_open_talks(&mut self) -> Result<(), FeederEnded> {
        let now = unix_now();
        if !lately(self.whole_at, now) && self.whole_page.is_none() {
            self.followed = Followed::default();
            self.whole_page = Some(1);
        }
        self.followed.forget(now);
        let mut queued = Queued::default();
        let mut error = None;
        if !lately(self.unfiltered_at, now) {
            self.unfiltered_at = None;
            match self.compare_open_talks(&mut queued).await? {
                Ok(true) => {}
                Ok(false) => self.unfiltered_at = Some(unix_now()),
                Err(list_error) => error = Some(self.context.describe_list_error(list_error)),
            }
        }
        let ignored = "the list of talks ignores filter[only_in_work]";
        if self.unfiltered_at.is_some() {
            error = Some(format!("{ignored}: it is long, so it is read once a day, as a whole"));
        } else if self.unfiltered > 1 {
            // This costs a few more requests, and the mirror is right all the same.
            if !std::mem::replace(&mut self.warned_short, true) {
                tracing::warn!(
                    feeder = "listing",
                    "{ignored}: it is short, so it is read as a whole each time"
                );
            }
        }
        self.context.record_run((queued.all, queued.noted), error, Some(self.cursor())).await
    }

    /// Reads all pages of the open talks once. Queues what differs from the mirror, then what the list did not
    /// show. False if the list is long and not filtered.
    async fn compare_open_talks(
        &mut self,
        queued: &mut Queued,
    ) -> Result<Result<bool, ListError>, FeederEnded> {
        let began = unix_now();
        let (mut rows_read, mut closed) = (0, 0);
        let mut seen = HashSet::new();
        let mut before: Vec<Listed> = Vec::new();
        for page in 1..=MAX_PAGES {
            let Page { rows, more, .. } =
                match self.context.page(Lane::Hints, PageQuery::Talks { page, only_in_work: true }).await? {
                    Ok(page) => page,
                    Err(list_error) => return Ok(Err(list_error)),
                };
            let Rows::Talks(rows) = rows else { break };
            if !rows.is_empty() && rows == before {
                return Ok(Err(ListError::NotServed("each page shows the same talks".into())));
            }
            rows_read += rows.len();
            closed += rows.iter().filter(|row| row.is_in_work == Some(false)).count();
            let many = closed >= UNFILTERED_MIN_CLOSED && closed * 20 > rows_read;
            if many && page > SHORT_LIST_PAGES {
                return Ok(Ok(false));
            }
            seen.extend(rows.iter().map(|row| row.talk_id));
            before.clone_from(&rows);
            let added = self.follow(rows).await?;
            queued.all += added;
            queued.noted += added;
            // A first pass is long. Later passes find little, so they need no commit for each page.
            if added > 0 {
                self.context.record_step(added, None).await?;
            }
            if !more {
                break;
            }
        }
        queued.all += self.follow_unseen(seen, began).await?;
        self.unfiltered = match closed * 20 > rows_read {
            true if closed >= UNFILTERED_MIN_CLOSED => 2,
            // A talk may be closed while the list is made, but not in each pass.
            true => self.unfiltered + 1,
            false => 0,
        };
        Ok(Ok(true))
    }

    /// The next page of all talks. Pending forever if none is wanted.
    async fn next_whole_page(&self) -> Result<Result<Page, ListError>, FeederEnded> {
        match self.whole_page.filter(|_| !self.context.is_resting(unix_now())) {
            // The whole list is long and not urgent.
            Some(page) => {
                self.context.page(Lane::Unmirrored, PageQuery::Talks { page, only_in_work: false }).await
            }
            None => std::future::pending().await,
        }
    }

    async fn handle_whole_page(
        &mut self,
        page: Result<Result<Page, ListError>, FeederEnded>,
    ) -> Result<(), FeederEnded> {
        let mut queued = 0;
        match page? {
            Ok(Page { rows: Rows::Talks(rows), more, .. }) => {
                queued = self.follow(rows).await?;
                self.whole_page =
                    self.whole_page.filter(|page| more && *page < MAX_PAGES).map(|page| page + 1);
                if self.whole_page.is_none() {
                    self.whole_at = Some(unix_now());
                }
            }
            Ok(_) => {}
            Err(list_error) => {
                let error = Some(self.context.describe_list_error(list_error));
                return self.context.record_run((0, 0), error, Some(self.cursor())).await;
            }
        }
        self.context.record_step(queued, Some(self.cursor())).await
    }

    fn cursor(&self) -> Value {
        json!({
            "whole_at": self.whole_at, "whole_page": self.whole_page, "unfiltered_at": self.unfiltered_at
        })
    }

    /// Queues what differs from the mirror.
    async fn follow(&mut self, rows: Vec<Listed>) -> Result<u64, FeederEnded> {
        let now = unix_now();
        let request = FeedRequest::Compare { listed: rows, now };
        let Fed::Compared(news) = self.context.feed(request).await? else { return Ok(0) };
        let mut hints = Vec::new();
        for News { listed, mirrored, looked_at } in news {
            let talk_id = listed.talk_id;
            // A failed talk that shows the same each time stays failed.
            let changed = self.followed.has_changed(talk_id, listed);
            let may_follow = self.followed.may_follow(talk_id, Some(listed), now);
            if !mirrored && listed.is_in_work == Some(false) {
                // The account's past is not urgent, and seen once a day.
                hints.push(Hint { talk_id, lane: Lane::Unmirrored, changed });
            } else if looked_at.is_none() || may_follow {
                hints.push(Hint { talk_id, lane: Lane::Hints, changed });
            }
        }
        self.enqueue(hints, now).await
    }

    /// Queues the mirror's open talks that the pass did not show.
    async fn follow_unseen(&mut self, seen: HashSet<TalkId>, began: UnixSeconds) -> Result<u64, FeederEnded> {
        let now = unix_now();
        let request = FeedRequest::Unseen { seen: Arc::new(seen), before: began, now };
        let Fed::Unseen(unseen) = self.context.feed(request).await? else { return Ok(0) };
        let may_follow = |talk_id: &TalkId| self.followed.may_follow(*talk_id, None, now);
        let hint = |talk_id| Hint { talk_id, lane: Lane::Hints, changed: false };
        let hints = unseen.into_iter().filter(may_follow).map(hint).collect();
        self.enqueue(hints, now).await
    }

    async fn enqueue(&self, hints: Vec<Hint>, now: UnixSeconds) -> Result<u64, FeederEnded> {
        if hints.is_empty() {
            return Ok(0);
        }
        self.context.queue(FeedRequest::Enqueue { feeder: Feeder::Listing, hints, due_at: now, now }).await
    }
}

fn lately(at: Option<UnixSeconds>, now: UnixSeconds) -> bool {
    at.is_some_and(|at| (at..at + WHOLE_PASS_INTERVAL).contains(&now))
}
