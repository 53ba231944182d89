//! `[directory]`: the names of the account's users, pipelines, leads and, if wanted, contacts.
//!
//! A round by the schedule reads the whole lists, and asks for the leads and contacts of talks that matter, and for those
//! without a row. Between two rounds the feeder looks each `directory.interval` which talks changed, and asks for what
//! they name and has no row, many ids in one request. It stores names, and queues nothing.

mod requests;
mod state;

pub(crate) use state::began_at;

use super::{FIRST_REST, FeederContext, FeederEnded};
use crate::amocrm::IDS_PER_REQUEST;
use crate::clock::{self, unix_now};
use crate::config::DirectoryRules;
use crate::directory::NameList;
use crate::store::feeds::{Fed, FeedRequest, FeederRow, NamesRequest, NeededIds, Round};
use crate::talk::TalkId;
use state::DirectoryState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Between two reads of the database that found nothing to ask for, …
const SCAN_INTERVAL: Duration = Duration::from_millis(250);
/// … and between others: the writer has other work too.
const SHORT_SCAN_INTERVAL: Duration = Duration::from_millis(20);
/// How many talks one such read looks up: some milliseconds.
const TALKS_PER_SCAN: usize = 500;
/// Leads and contacts of talks that changed or were missed since this time are asked for again each day.
const MATTERS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Directory {
    context: FeederContext,
    rules: DirectoryRules,
    state: DirectoryState,
    /// When the talks that changed are looked at next.
    look_at: Instant,
    /// No page is asked for before.
    page_at: Instant,
    /// The whole lists that the round has yet to read.
    lists: Vec<NameList>,
    /// The talks that the round has yet to look up; the last come first.
    talks: Vec<TalkId>,
    /// How far the walks over all ids that talks name are.
    walks: BTreeMap<NameList, i64>,
    /// The ids to ask for.
    leads: BTreeSet<i64>,
    contacts: BTreeSet<i64>,
    /// How many ids a request names.
    ids_per_request: usize,
    /// The last id of a request whose answer could not be read, until answers can be read again.
    failed_at: Option<i64>,
}

impl Directory {
    /// `before` is the stored row of this feeder. `is_due`: a tick follows at once.
    pub(crate) fn new(
        context: FeederContext,
        rules: DirectoryRules,
        before: Option<&FeederRow>,
        is_due: bool,
    ) -> Directory {
        let mut state = DirectoryState::of(before, unix_now());
        if is_due && state.runs() {
            // It would take what it read days ago for new, and the tick would begin none.
            state.end(unix_now());
        }
        if !rules.contacts {
            // They are no longer asked for.
            state.works(NameList::Contacts);
        }
        Directory {
            context,
            rules,
            state,
            look_at: clock::mono(),
            page_at: clock::mono(),
            lists: Vec::new(),
            talks: Vec::new(),
            walks: BTreeMap::new(),
            leads: BTreeSet::new(),
            contacts: BTreeSet::new(),
            ids_per_request: IDS_PER_REQUEST,
            failed_at: None,
        }
    }

    /// Runs a round at each tick, until the worker ends.
    pub(crate) async fn run(mut self, tick: Arc<Notify>) -> FeederEnded {
        if let Err(ended) = self.resume().await {
            return ended;
        }
        loop {
            let wait = match self.step().await {
                Ok(wait) => wait,
                Err(ended) => return ended,
            };
            tokio::select! {
                () = tick.notified() => {
                    // A round that takes longer goes on.
                    if !self.state.runs()
                        && let Err(ended) = self.begin_round().await
                    {
                        return ended;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// The lists that name what talks name.
    fn linked(&self) -> &'static [NameList] {
        match self.rules.contacts {
            true => &[NameList::Leads, NameList::Contacts],
            false => &[NameList::Leads],
        }
    }

    /// Goes on with the round of before the start, and looks for what talks name that were recorded meanwhile.
    async fn resume(&mut self) -> Result<(), FeederEnded> {
        self.look().await?;
        for list in self.linked() {
            self.walks.insert(*list, 0);
        }
        if self.state.runs() {
            self.take_up_round().await?;
        }
        Ok(())
    }

    async fn begin_round(&mut self) -> Result<(), FeederEnded> {
        self.state.begin(unix_now());
        self.take_up_round().await
    }

    /// Finds what the round has yet to do. Rows that it has read already are not older than it.
    async fn take_up_round(&mut self) -> Result<(), FeederEnded> {
        self.lists = self.state.lists_left(unix_now());
        for list in self.linked() {
            self.walks.insert(*list, 0);
        }
        self.find_daily().await
    }

    async fn find_daily(&mut self) -> Result<(), FeederEnded> {
        let since = unix_now() - MATTERS_FOR;
        if let Fed::Talks(talks) = self.feed(NamesRequest::Daily { since }).await? {
            self.talks = talks;
            // The last are taken first: the newest.
            self.talks.reverse();
        }
        Ok(())
    }

    /// Does the next thing. Returns how long to wait before the next step.
    async fn step(&mut self) -> Result<Duration, FeederEnded> {
        let now = unix_now();
        if clock::mono() >= self.look_at {
            self.look().await?;
        }
        for list in self.state.rested(now) {
            // What was found meanwhile was not kept.
            match list {
                NameList::Users | NameList::Pipelines => self.lists.push(list),
                NameList::Leads | NameList::Contacts => {
                    self.walks.insert(list, 0);
                    self.find_daily().await?;
                }
            }
        }
        // A tick ends a wait early. The next page waits nevertheless.
        let page_wait = self.page_at.saturating_duration_since(clock::mono());
        self.lists.retain(|list| !self.state.is_resting(*list, now));
        if let Some(list) = self.lists.last().copied() {
            if page_wait.is_zero() {
                self.lists.pop();
                self.read_whole(list).await?;
            }
            return Ok(page_wait);
        }
        let is_scanning = !self.talks.is_empty() || !self.walks.is_empty();
        for list in self.linked() {
            let count = self.ids(*list).len();
            if count > 0 && (count >= self.ids_per_request || !is_scanning) {
                if page_wait.is_zero() {
                    self.ask(*list).await?;
                }
                return Ok(page_wait);
            }
        }
        if is_scanning {
            let found = self.scan().await?;
            return Ok(if found { SHORT_SCAN_INTERVAL } else { SCAN_INTERVAL });
        }
        if self.state.runs() {
            self.state.end(now);
            self.note().await?;
        }
        // A rest of a list may end sooner.
        Ok(self.look_at.saturating_duration_since(clock::mono()).min(FIRST_REST))
    }

    /// Looks which talks changed since the last look.
    async fn look(&mut self) -> Result<(), FeederEnded> {
        self.look_at = clock::mono() + self.rules.interval;
        let contacts = self.rules.contacts;
        if let Fed::NewNames { ids, overflowed } = self.feed(NamesRequest::New { contacts }).await? {
            self.need(ids);
            if overflowed {
                for list in self.linked() {
                    self.walks.insert(*list, 0);
                }
            }
        }
        Ok(())
    }

    /// Looks up the next talks of the round, or the next ids of a walk. Returns whether there are ids to ask for.
    async fn scan(&mut self) -> Result<bool, FeederEnded> {
        let now = unix_now();
        if !self.talks.is_empty() {
            let talks = self.talks.split_off(self.talks.len().saturating_sub(TALKS_PER_SCAN));
            let began_at = self.state.began_at().unwrap_or(now);
            let round = Round { began_at, since: now - MATTERS_FOR, now };
            let request = NamesRequest::Of { talks, contacts: self.rules.contacts, round };
            if let Fed::NewNames { ids, .. } = self.feed(request).await? {
                self.need(ids);
            }
        } else if let Some((list, after)) = self.walks.pop_first()
            && let Fed::Unknown { ids, after } = self.feed(NamesRequest::Unknown { list, after }).await?
        {
            self.walks.extend(after.map(|after| (list, after)));
            self.need(match list {
                NameList::Contacts => NeededIds { contacts: ids, ..NeededIds::default() },
                _ => NeededIds { leads: ids, ..NeededIds::default() },
            });
        }
        Ok(!self.leads.is_empty() || !self.contacts.is_empty())
    }

    /// Asks for these ids later, unless their list rests.
    fn need(&mut self, ids: NeededIds) {
        let now = unix_now();
        if !self.state.is_resting(NameList::Leads, now) {
            self.leads.extend(ids.leads);
        }
        if !self.state.is_resting(NameList::Contacts, now) {
            self.contacts.extend(ids.contacts);
        }
    }

    fn ids(&mut self, list: NameList) -> &mut BTreeSet<i64> {
        match list {
            NameList::Contacts => &mut self.contacts,
            _ => &mut self.leads,
        }
    }

    async fn note(&mut self) -> Result<(), FeederEnded> {
        let error = self.state.error();
        self.context.record_run((0, 0), error, Some(self.state.cursor())).await
    }

    async fn feed(&self, request: NamesRequest) -> Result<Fed, FeederEnded> {
        self.context.feed(FeedRequest::Names(request)).await
    }
}
