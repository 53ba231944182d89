//! The first load of an account with the listing: [`CLOSED`] closed and [`OPEN`] open talks, none mirrored yet, at
//! [`REQUESTS_PER_SECOND`] requests a second. The open talks keep changing.
//!
//! A pass over the open talks begins every ten minutes. The events are read each minute, and show nothing here that
//! the listing does not. The list of all talks is read once.

use super::changes::{History, Model};
use super::{
    Histogram, LISTING_INTERVAL_SECS, PAGE, REFILL_INTERVAL_SECS, RULES, SAMPLE_INTERVAL_SECS, SEEDS,
    at_most, id_of, median, place_of,
};
use std::collections::VecDeque;
use talkmirror::clock::UnixSeconds;
use talkmirror::policy::lanes::{Lane, Lanes};
use talkmirror::policy::refresh::{Candidate, Shares, choose};

const OPEN: usize = 5_000;
const CLOSED: usize = 100_000;
/// Requests per second.
const REQUESTS_PER_SECOND: usize = 6;
const EVENTS_INTERVAL_SECS: usize = 60;

/// A request of the hints lane.
#[derive(Clone, Copy)]
enum Hint {
    Page(usize),
    Talk(usize),
    Events,
}

/// A running load.
struct Load<'a> {
    history: &'a History,
    /// The open talks, if mirrored.
    mirror: Vec<Option<Candidate>>,
    shown: Vec<usize>,
    queued: Vec<bool>,
    hints: VecDeque<Hint>,
    refresh: VecDeque<usize>,
    /// Pages read of the whole list, closed talks that they showed, and how many of those are mirrored.
    pages: usize,
    known: usize,
    closed: usize,
    lanes: Lanes,
    shares: Shares,
    staleness: Histogram,
}

/// Prints the table. Returns whether each load was quick enough.
pub fn is_within_target() -> bool {
    let talks = OPEN + CLOSED;
    let least = (talks / REQUESTS_PER_SECOND) as f64;
    println!(
        "\nFirst load of {CLOSED} closed and {OPEN} open talks at {REQUESTS_PER_SECOND} requests a second:\n"
    );
    println!("| changes of open talks | load s | of talks / pace | mean staleness of open talks s | p95 s |");
    println!("|---|--:|--:|--:|--:|");
    let mut worst: f64 = 0.0;
    for (model, name) in [(Model::Correspondence, "as people write"), (Model::SteadyRates, "at steady rates")]
    {
        let mut figures: [Vec<f64>; 3] = Default::default();
        for seed in SEEDS {
            let (seconds, staleness) = load(&History::new(model, OPEN, seed));
            worst = worst.max(seconds / least);
            let each = [seconds, staleness.mean(), staleness.p95()];
            figures.iter_mut().zip(each).for_each(|(figures, figure)| figures.push(figure));
        }
        let [seconds, mean, p95] = figures.map(median);
        println!("| {name} | {seconds:.0} | {:.3} | {mean:.1} | {p95:.0} |", seconds / least);
    }
    println!();
    at_most("first load, of talks / pace", worst, 1.15)
}

/// How many seconds the load takes, and how stale the mirrored open talks are meanwhile.
fn load(history: &History) -> (f64, Histogram) {
    let mut load = Load {
        history,
        mirror: vec![None; OPEN],
        shown: vec![0; OPEN],
        queued: vec![false; OPEN],
        hints: VecDeque::new(),
        refresh: VecDeque::new(),
        pages: 0,
        known: 0,
        closed: 0,
        lanes: Lanes::default(),
        shares: Shares::default(),
        staleness: Histogram::default(),
    };
    for tick in 0.. {
        let now = (tick / REQUESTS_PER_SECOND) as i64;
        if tick % REQUESTS_PER_SECOND == 0 {
            load.begin_second(now);
        }
        load.send(now);
        if load.closed == CLOSED && load.mirror.iter().all(Option::is_some) {
            return ((tick + 1) as f64 / REQUESTS_PER_SECOND as f64, load.staleness);
        }
    }
    unreachable!("it ends")
}

impl Load<'_> {
    /// The first change of a talk that is not mirrored.
    fn next(&self, talk: usize) -> i64 {
        self.history.changes[talk].get(self.shown[talk]).map_or(i64::MAX, |change| change.at)
    }

    fn begin_second(&mut self, now: i64) {
        if now % SAMPLE_INTERVAL_SECS == 0 {
            for talk in (0..OPEN).filter(|talk| self.mirror[*talk].is_some()) {
                self.staleness.add((now - self.next(talk)).max(0));
            }
        }
        let passing = self.hints.iter().any(|hint| matches!(hint, Hint::Page(_)));
        if now % LISTING_INTERVAL_SECS == 0 && !passing {
            self.hints.push_back(Hint::Page(0));
        }
        if now % EVENTS_INTERVAL_SECS as i64 == 0 {
            self.hints.push_back(Hint::Events);
        }
        if now % REFILL_INTERVAL_SECS == 0 {
            let room = (REQUESTS_PER_SECOND * REFILL_INTERVAL_SECS as usize)
                - self.refresh.len().min(REQUESTS_PER_SECOND * REFILL_INTERVAL_SECS as usize);
            let shares = (room, self.shares.oldest_of(room));
            let free = self.mirror.iter().flatten().filter(|talk| !self.queued[place_of(talk.talk_id)]);
            for talk_id in choose(free.copied(), (&RULES, true), shares, UnixSeconds::new(now)) {
                self.queued[place_of(talk_id)] = true;
                self.refresh.push_back(place_of(talk_id));
            }
        }
    }

    fn send(&mut self, now: i64) {
        let pages = (OPEN + CLOSED).div_ceil(PAGE);
        let unmirrored = self.pages < pages || self.closed < self.known;
        let has_work = [false, false, !self.hints.is_empty(), unmirrored, !self.refresh.is_empty()];
        let Some(lane) = self.lanes.turn(has_work) else { return };
        self.lanes.sent(lane, has_work);
        match lane {
            Lane::Refresh => {
                let talk = self.refresh.pop_front().expect("it has work");
                self.fetch(talk, now);
            }
            Lane::Unmirrored if self.pages < pages => {
                self.pages += 1;
                self.known = (CLOSED * self.pages).div_ceil(pages);
            }
            Lane::Unmirrored => self.closed += 1,
            _ => match self.hints.pop_front().expect("it has work") {
                Hint::Talk(talk) => self.fetch(talk, now),
                Hint::Page(page) => self.list(page, now),
                Hint::Events => {}
            },
        }
    }

    fn fetch(&mut self, talk: usize, now: i64) {
        let changes = &self.history.changes[talk];
        while changes.get(self.shown[talk]).is_some_and(|change| change.at <= now) {
            self.shown[talk] += 1;
        }
        let change = changes[self.shown[talk] - 1];
        let checked_at = self.mirror[talk].and_then(|talk| talk.checked_at);
        let (updated_at, fetched_at) = (UnixSeconds::new(change.at), UnixSeconds::new(now));
        let (talk_id, class) = (id_of(talk), change.class);
        self.mirror[talk] = Some(Candidate { talk_id, updated_at, fetched_at, checked_at, class });
        self.queued[talk] = false;
    }

    fn list(&mut self, page: usize, now: i64) {
        let end = ((page + 1) * PAGE).min(OPEN);
        for talk in page * PAGE..end {
            let is_unchanged = self.next(talk) > now;
            match &mut self.mirror[talk] {
                Some(mirrored) if is_unchanged => mirrored.checked_at = Some(UnixSeconds::new(now)),
                _ if !self.queued[talk] || self.refresh.contains(&talk) => {
                    self.refresh.retain(|waiting| *waiting != talk);
                    self.queued[talk] = true;
                    self.hints.push_back(Hint::Talk(talk));
                }
                _ => {}
            }
        }
        if end < OPEN {
            self.hints.push_back(Hint::Page(page + 1));
        }
    }
}
