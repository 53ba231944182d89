//! How far the account's past events are read: `[events] since`.
//!
//! They are read once, from now back, some days at a time and page by page. The state is the cursor of the row in
//! `feeders`, so a restart continues.

use super::Feeder;
use crate::clock::UnixSeconds;
use crate::number;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is read in one go at first: a day. The next window is twice as long if one page was enough, …
const FIRST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// … up to this, so that a quiet account costs few requests, …
const MAX_WINDOW: Duration = Duration::from_secs(64 * 24 * 60 * 60);
/// … and half as long if it took more pages than this: few are read again after a kill.
const MANY_PAGES: u32 = 20;
const MIN_WINDOW: Duration = Duration::from_secs(60 * 60);

/// The state of the walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastEvents {
    /// The events since this time are read, …
    pub since: UnixSeconds,
    /// … up to this one, when it first began.
    pub until: UnixSeconds,
    /// When it last began or went on after a start, …
    pub resumed_at: UnixSeconds,
    /// … and what it had read by then.
    resumed_from: UnixSeconds,
    /// The next window ends here. What happened later is read.
    next: UnixSeconds,
    /// How long that window is.
    length: Duration,
    /// The page of that window.
    pub page: u32,
    /// Events since this time queue their talks: the events feeder might find them read already.
    pub queue_since: UnixSeconds,
    /// How many events it has read.
    pub events: u64,
    /// When it ended.
    pub ended_at: Option<UnixSeconds>,
}

impl PastEvents {
    /// A walk over this length of time. `queue_since` is where the events feeder reads from.
    pub fn new(length: Duration, queue_since: UnixSeconds, now: UnixSeconds) -> PastEvents {
        PastEvents {
            since: now - length,
            until: now,
            resumed_at: now,
            resumed_from: now,
            next: now,
            length: FIRST_WINDOW,
            page: 1,
            queue_since,
            events: 0,
            ended_at: None,
        }
    }

    /// The same walk after a start, if it is to read this length of time: further back than before, or less if it still
    /// runs. `None` if it began at a time that is yet to come, by a wrong clock.
    #[must_use]
    pub fn of_length(self, length: Duration, now: UnixSeconds) -> Option<PastEvents> {
        if self.until > now + FIRST_WINDOW {
            return None;
        }
        let since = self.until - length;
        Some(match self.ended_at {
            Some(_) if since >= self.since => self,
            // All of it is read.
            None if since >= self.next => PastEvents { since: self.next, ended_at: Some(now), ..self },
            _ => PastEvents { since, ended_at: None, resumed_at: now, resumed_from: self.next, ..self },
        })
    }

    /// Whether it has read nothing yet.
    pub fn is_new(&self) -> bool {
        self.next == self.until && self.page == 1
    }

    /// The first and the last second of the time to read next.
    pub fn window(&self) -> (UnixSeconds, UnixSeconds) {
        (self.since.max(self.next - self.length), self.next)
    }

    /// The page of the window was read, with so many events, and others may follow in it.
    pub fn has_read(&mut self, events: u64, more: bool, now: UnixSeconds) {
        self.events += events;
        if more {
            self.page += 1;
            return;
        }
        // The first second is read again: it is not documented whether the last one of a window counts.
        self.next = self.window().0;
        self.length = match self.page {
            1 => (self.length * 2).min(MAX_WINDOW),
            MANY_PAGES.. => (self.length / 2).max(MIN_WINDOW),
            _ => self.length,
        };
        self.page = 1;
        if self.next <= self.since {
            self.ended_at = Some(now);
        }
    }

    /// A page of the window cannot be read, but the first could: the next try has a shorter window. False if it is as
    /// short as can be.
    pub fn shorten(&mut self) -> bool {
        let can = self.page > 1 && self.length > MIN_WINDOW;
        if can {
            (self.length, self.page) = ((self.length / 2).max(MIN_WINDOW), 1);
        }
        can
    }

    /// How much of the time is read, from 0 to 1.
    pub fn share(&self) -> f64 {
        let all = self.until.seconds_since(self.since).max(1) as f64;
        match self.ended_at {
            Some(_) => 1.0,
            None => (self.until.seconds_since(self.next) as f64 / all).clamp(0.0, 1.0),
        }
    }

    /// Seconds until it ends at the current pace, if known.
    pub fn seconds_left(&self, now: UnixSeconds) -> Option<i64> {
        let read = self.resumed_from.seconds_since(self.next) as f64;
        let left = self.next.seconds_since(self.since) as f64;
        let took = now.seconds_since(self.resumed_at).max(1) as f64;
        (read > 0.0 && self.ended_at.is_none()).then(|| number::truncated(left / read * took))
    }
}

/// The walk, if there is one or was.
///
/// # Errors
/// If the database cannot be read.
pub fn state(connection: &Connection) -> rusqlite::Result<Option<PastEvents>> {
    let row = super::row(connection, Feeder::PastEvents)?;
    Ok(row.and_then(|row| serde_json::from_value(row.cursor?).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: Duration = FIRST_WINDOW;

    fn walk(days: u32) -> PastEvents {
        PastEvents::new(DAY * days, NOW - 600, NOW)
    }

    /// The windows that it reads until it ends, each with so many more pages than one.
    fn windows(walk: &mut PastEvents, pages: &[u32]) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        while walk.ended_at.is_none() {
            let (from, to) = walk.window();
            for _ in 0..pages.get(windows.len()).copied().unwrap_or_default() {
                walk.has_read(100, true, NOW);
                assert_eq!(walk.window(), (from, to));
            }
            windows.push((NOW.seconds_since(from), NOW.seconds_since(to)));
            walk.has_read(1, false, NOW);
        }
        windows
    }

    proptest! {
        #[test]
        fn every_second_is_read_once_from_now_back(length in 1u64..30_000_000, pages in prop::collection::vec(0u32..30, 40)) {
            let mut walk = PastEvents::new(Duration::from_secs(length), NOW, NOW);
            let windows = windows(&mut walk, &pages);
            prop_assert_eq!(windows[0].1, 0);
            prop_assert_eq!(windows.last().unwrap().0, i64::try_from(length).unwrap());
            // But for the second at a border.
            prop_assert!(windows.windows(2).all(|pair| pair[1].1 == pair[0].0));
        }
    }

    #[test]
    fn a_longer_time_is_read_from_where_it_ended_and_a_shorter_one_ends_sooner() {
        let mut ended = walk(3);
        assert_eq!(windows(&mut ended, &[]).len(), 2, "a day, and two days");
        assert_eq!(ended.clone().of_length(DAY * 2, NOW), Some(ended.clone()));
        let mut longer = ended.of_length(DAY * 5, NOW).unwrap();
        let read = windows(&mut longer, &[]);
        assert_eq!((read[0].1, read.last().unwrap().0), (3 * 86_400, 5 * 86_400));
        let mut shorter = walk(50).of_length(DAY, NOW).unwrap();
        assert_eq!(windows(&mut shorter, &[]).last().unwrap().0, 86_400);
        assert_eq!(walk(3).of_length(DAY, NOW - 2 * 86_400), None, "it began by a clock that was ahead");
        // One that has read more than it is to read has ended, and goes on from there.
        let mut read = walk(50);
        read.has_read(1, false, NOW);
        read.has_read(1, false, NOW);
        let ended = read.of_length(DAY, NOW).unwrap();
        assert_eq!((ended.ended_at, NOW.seconds_since(ended.since)), (Some(NOW), 3 * 86_400));
        let mut longer = ended.of_length(DAY * 4, NOW).unwrap();
        assert_eq!(windows(&mut longer, &[]), [(4 * 86_400, 3 * 86_400)]);
    }

    #[test]
    fn a_window_whose_later_pages_cannot_be_read_becomes_shorter_until_it_is_an_hour() {
        let mut walk = walk(10);
        assert!(!walk.shorten(), "its first page cannot be read");
        let mut lengths = Vec::new();
        loop {
            walk.has_read(100, true, NOW);
            if !walk.shorten() {
                break;
            }
            let (from, to) = walk.window();
            lengths.push(to.seconds_since(from) / 60);
        }
        assert_eq!(lengths, [720, 360, 180, 90, 60]);
    }

    #[test]
    fn pages_of_a_window_are_read_before_the_next_and_the_share_grows() {
        let mut walk = walk(10);
        let window = walk.window();
        assert_eq!((walk.share(), walk.seconds_left(NOW + 60)), (0.0, None));
        walk.has_read(100, true, NOW);
        assert_eq!((walk.page, walk.window()), (2, window));
        walk.has_read(7, false, NOW);
        assert_eq!((walk.page, walk.events, walk.length), (1, 107, FIRST_WINDOW));
        assert!((walk.share() - 0.1).abs() < 1e-5, "{}", walk.share());
        assert_eq!(walk.seconds_left(NOW + 60), Some(540));
    }
}
