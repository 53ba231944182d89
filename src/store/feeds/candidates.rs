//! The candidates for refreshes, in the writer's memory: open talks, and those closed lately.
//!
//! They are read once, follow each commit, and are reloaded each hour, because other processes may write too. Only
//! this module knows when the listing last showed a talk. After a restart the next pass shows it.

use super::directory::NewTalks;
use super::{Fed, FeedRequest, Feeder, NamesRequest};
use crate::clock::UnixSeconds;
use crate::policy::refresh::{Candidate, Choice, Class, RefreshRules};
use crate::store::record::{Effect, Outcome, Record};
use crate::talk::{Talk, TalkId};
use rusqlite::{Connection, Row};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroI64;
use std::time::Duration;

/// How often all are reloaded.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Candidates {
    talks: HashMap<TalkId, StoredCandidate>,
    /// When they were read, and since when a closed talk must have changed to be included.
    read: Option<(UnixSeconds, UnixSeconds)>,
    /// When a listing pass last showed every open talk. What it did not show is closed.
    passed_at: Option<UnixSeconds>,
    listing_works: bool,
    events_work: bool,
    new_talks: NewTalks,
}

/// A compact [`Candidate`]: there may be a hundred thousand. `checked_at` is in Unix seconds, so that `None` needs no room.
#[derive(Debug, Clone, Copy)]
struct StoredCandidate {
    updated_at: UnixSeconds,
    fetched_at: UnixSeconds,
    checked_at: Option<NonZeroI64>,
    class: Class,
}

impl Candidates {
    /// Reloads them if this request needs them and they are missing or too old.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn prepare(&mut self, connection: &Connection, request: &FeedRequest) -> rusqlite::Result<()> {
        let (now, closed_since) = match request {
            FeedRequest::Refresh { rules, now, .. } => (*now, *now - rules.closed_for),
            FeedRequest::Unseen { now, .. } => {
                (*now, self.read.map_or(*now, |(_, closed_since)| closed_since))
            }
            FeedRequest::Names(NamesRequest::New { .. }) => {
                self.new_talks.look();
                return Ok(());
            }
            _ => return Ok(()),
        };
        // A smaller range than the loaded one needs no reload.
        let is_enough = |(at, since): (UnixSeconds, UnixSeconds)| {
            (at..at + RELOAD_INTERVAL).contains(&now) && since <= closed_since
        };
        if self.read.is_some_and(is_enough) {
            return Ok(());
        }
        let mut talks = HashMap::new();
        let mut open = connection.prepare_cached(
            "SELECT talk_id, updated_at, fetched_at, is_read = 0 OR missed_at IS NOT NULL
               FROM talks INDEXED BY talks_open
              WHERE is_in_work = 1 AND gone_at IS NULL AND denied_at IS NULL",
        )?;
        let mut rows = open.query([])?;
        while let Some(row) = rows.next()? {
            let class = if row.get(3)? { Class::Waiting } else { Class::InWork };
            let (talk_id, talk) = self.read(row, class)?;
            talks.insert(talk_id, talk);
        }
        let mut closed = connection.prepare_cached(
            "SELECT talk_id, updated_at, fetched_at FROM talks INDEXED BY talks_closed
              WHERE is_in_work = 0 AND gone_at IS NULL AND denied_at IS NULL AND updated_at > ?1",
        )?;
        let mut rows = closed.query([closed_since])?;
        while let Some(row) = rows.next()? {
            let (talk_id, talk) = self.read(row, Class::Closed)?;
            talks.insert(talk_id, talk);
        }
        self.talks = talks;
        self.read = Some((now, closed_since));
        Ok(())
    }

    fn read(&self, row: &Row<'_>, class: Class) -> rusqlite::Result<(TalkId, StoredCandidate)> {
        let talk_id = row.get(0)?;
        let checked_at = self.checked_at(talk_id);
        Ok((talk_id, StoredCandidate { updated_at: row.get(1)?, fetched_at: row.get(2)?, checked_at, class }))
    }

    fn checked_at(&self, talk_id: TalkId) -> Option<NonZeroI64> {
        self.talks.get(&talk_id)?.checked_at
    }

    /// Offers each candidate to a choice. `is_free` as in [`Choice::offer`].
    ///
    /// # Errors
    /// If `is_free` fails.
    pub(super) fn offer(
        &self,
        choice: &mut Choice,
        rules: &RefreshRules,
        mut is_free: impl FnMut(TalkId) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        for (&talk_id, &StoredCandidate { updated_at, fetched_at, checked_at, class }) in &self.talks {
            let checked_at = match class {
                Class::Waiting | Class::InWork => checked_at.map(|at| UnixSeconds::new(at.get())),
                Class::Closed => self.passed_at,
            };
            let candidate = Candidate { talk_id, updated_at, fetched_at, checked_at, class };
            choice.offer(candidate, rules, &mut is_free)?;
        }
        Ok(())
    }

    /// Whether the listing and the events work, and so show changes.
    pub(super) fn watched(&self) -> bool {
        self.listing_works && self.events_work
    }

    /// The talks that changed since the feeder of names last looked.
    pub(super) fn new_talks(&self) -> &NewTalks {
        &self.new_talks
    }

    /// The open talks last fetched before `before` that are not in `seen`.
    pub(super) fn unseen(
        &self,
        seen: &HashSet<TalkId>,
        before: UnixSeconds,
        now: UnixSeconds,
    ) -> Vec<TalkId> {
        let is_unseen = |(talk_id, talk): &(&TalkId, &StoredCandidate)| {
            // A time in the future comes from a wrong clock.
            let is_older = talk.fetched_at < before || talk.fetched_at > now;
            talk.class != Class::Closed && is_older && !seen.contains(talk_id)
        };
        let mut unseen: Vec<TalkId> =
            self.talks.iter().filter(is_unseen).map(|(talk_id, _)| *talk_id).collect();
        unseen.sort_unstable();
        unseen
    }

    /// Follows a committed record and its effect.
    pub fn recorded(&mut self, record: &Record, effect: Effect) {
        self.new_talks.recorded(record, effect);
        let Some((_, closed_since)) = self.read else { return };
        let talk_id = record.talk_id;
        match (&record.outcome, effect) {
            (Outcome::Talk(_), Effect::Older) => match self.talks.get_mut(&talk_id) {
                Some(talk) => talk.fetched_at = record.at,
                // It may have been gone or denied until now. Only the database knows how it is stored.
                None => self.read = None,
            },
            (Outcome::Talk(arrived), Effect::New | Effect::Changed | Effect::Same) => {
                let (updated_at, class) = (arrived.talk.updated_at, class(&arrived.talk));
                if class == Class::Closed && updated_at <= closed_since {
                    self.talks.remove(&talk_id);
                } else {
                    let checked_at = self.checked_at(talk_id);
                    self.talks.insert(
                        talk_id,
                        StoredCandidate { updated_at, fetched_at: record.at, checked_at, class },
                    );
                }
            }
            (_, Effect::Gone { .. } | Effect::Denied) => {
                self.talks.remove(&talk_id);
            }
            _ => {}
        }
    }

    /// Follows a committed request and its result.
    pub fn fed(&mut self, request: &FeedRequest, fed: &Fed) {
        match (request, fed) {
            (FeedRequest::Compare { listed, now }, Fed::Compared(news)) => {
                let news: HashSet<TalkId> = news.iter().map(|news| news.listed.talk_id).collect();
                for listed in listed.iter().filter(|listed| !news.contains(&listed.talk_id)) {
                    if let Some(talk) = self.talks.get_mut(&listed.talk_id) {
                        talk.checked_at = NonZeroI64::new(now.get());
                    }
                }
            }
            (FeedRequest::Unseen { before, .. }, Fed::Unseen(_)) => self.passed_at = Some(*before),
            (FeedRequest::Names(NamesRequest::New { .. }), _) => self.new_talks.looked(),
            (FeedRequest::Note(note), _) => self.works(note.feeder, note.error.is_none()),
            _ => {}
        }
    }

    /// A feeder was switched off.
    pub fn switched_off(&mut self, feeder: Feeder) {
        self.works(feeder, false);
        if feeder == Feeder::Directory {
            self.new_talks.forget();
        }
    }

    /// Records whether a feeder works, and so shows changes.
    fn works(&mut self, feeder: Feeder, works: bool) {
        match feeder {
            Feeder::Listing => self.listing_works = works,
            Feeder::Events => self.events_work = works,
            Feeder::Refresh | Feeder::PastEvents | Feeder::Webhook | Feeder::Backfill => {}
            // One that failed to read a list goes on with the others.
            Feeder::Directory => {}
        }
    }
}

fn class(talk: &Talk) -> Class {
    match talk.is_in_work {
        true if talk.is_read == Some(false) || talk.missed_at.is_some() => Class::Waiting,
        true => Class::InWork,
        false => Class::Closed,
    }
}
