//! How far the mirror lags behind the account, for each policy of choosing refreshes: `cargo bench --bench
//! freshness`.
//!
//! Six hours of [`TALKS`] open talks at [`REQUESTS_PER_SECOND`] requests a second, on a simulated clock: nothing is sent and
//! nothing sleeps. The daemon's own code chooses refreshes and shares the quota. Each policy sees the same changes,
//! those of [`changes`].
//!
//! # What is measured
//!
//! A talk is stale since the first change that the mirror does not show. The mean and the 95th percentile are over
//! all talks, sampled every 30 s. The delay is from a change to the fetch that showed it; a change never shown
//! counts at the end. Pages of names and of events take requests, and show no change: what events report is not simulated.
//! Responses are instant. "by the last fetch" is talkmirror's score without the listing's
//! knowledge of unchanged talks.
//!
//! Then the first load of an account: see [`load`].

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

// Directly in `benches` each file would be its own bench.
#[path = "freshness/changes.rs"]
mod changes;
#[path = "freshness/load.rs"]
mod load;

use changes::{Change, History, Model};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;
use talkmirror::clock::UnixSeconds;
use talkmirror::policy::lanes::{Lane, Lanes};
use talkmirror::policy::refresh::{Candidate, Class, OLDEST_SHARE, RefreshRules, Shares, choose};
use talkmirror::talk::TalkId;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
const TALKS: usize = 20_000;
/// Few enough that the bound of [`OLDEST_SHARE`] lies within the time.
const FEW_TALKS: usize = 2_000;
const DURATION_SECS: i64 = 6 * 3600;
/// Requests per second.
const REQUESTS_PER_SECOND: i64 = 4;
/// How often the refresh lane is filled, in seconds.
const REFILL_INTERVAL_SECS: i64 = 5;
const MIN_INTERVAL_SECS: i64 = 120;
const RULES: RefreshRules = RefreshRules {
    min_interval: Duration::from_secs(MIN_INTERVAL_SECS as u64),
    recheck: Duration::from_secs(3600),
    closed_for: Duration::ZERO,
};
/// How often a listing pass begins, in seconds.
const LISTING_INTERVAL_SECS: i64 = 600;
const PAGE: usize = 250;
/// How often a page of events and one of new names are asked for, in seconds.
const OTHERS_INTERVAL_SECS: i64 = 60;
/// Ids in a request for names: a daily round asks for the leads of all talks, …
const NAMES_PAGE: usize = 100;
/// … with a twentieth of the requests.
const NAMES_INTERVAL_SECS: i64 = 20 / REQUESTS_PER_SECOND;
const SAMPLE_INTERVAL_SECS: i64 = 30;

#[derive(Clone, Copy, Default)]
enum Policy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Due when a tenth of its age has passed since the fetch, and [`MIN_INTERVAL_SECS`] at least.
    TenthOfAge,
    /// By the score alone, without the listing's knowledge of unchanged talks.
    ByFetch,
    Ours,
}

const POLICIES: [(Policy, &str); 4] = [
    (Policy::RoundRobin, "round-robin"),
    (Policy::TenthOfAge, "10 % of age"),
    (Policy::ByFetch, "by the last fetch"),
    (Policy::Ours, "talkmirror"),
];

/// A request of the hints lane.
#[derive(Clone, Copy)]
enum Hint {
    Page(usize),
    Talk(usize),
    /// A page of names or of events, which shows no change.
    Other,
}

/// How often each number of whole seconds occurred.
#[derive(Default)]
struct Histogram(Vec<u64>);

impl Histogram {
    fn add(&mut self, seconds: i64) {
        let seconds = usize::try_from(seconds).expect("no change is seen before it comes");
        if seconds >= self.0.len() {
            self.0.resize(seconds + 1, 0);
        }
        self.0[seconds] += 1;
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self.0.iter().enumerate().map(|(s, count)| s as f64 * *count as f64).sum();
        sum / self.0.iter().sum::<u64>() as f64
    }

    fn p95(&self) -> f64 {
        let mut left = self.0.iter().sum::<u64>() * 95 / 100;
        let reached = self.0.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        reached.unwrap_or(0) as f64
    }
}

/// One policy applied to one history.
#[derive(Default)]
struct Run<'a> {
    changes: &'a [Vec<Change>],
    policy: Policy,
    mirror: Vec<Candidate>,
    /// How many of each talk's changes are mirrored.
    shown: Vec<usize>,
    /// When the first of the others happens.
    next: Vec<i64>,
    queued: Vec<bool>,
    /// Which of them are in the hints lane.
    hinted: Vec<bool>,
    hints: VecDeque<Hint>,
    refresh: VecDeque<usize>,
    lanes: Lanes,
    shares: Shares,
    /// The position of the round-robin.
    cursor: usize,
    staleness: Histogram,
    delay: Histogram,
    longest_unseen: i64,
    /// How many requests were sent.
    requests: u64,
    /// Whether the listing is on.
    listing: bool,
    /// Whether pages of names and of events are asked for.
    others: bool,
}

/// The id of the talk at this place.
fn id_of(talk: usize) -> TalkId {
    TalkId::new(talk as i64)
}

fn place_of(talk_id: TalkId) -> usize {
    talk_id.get() as usize
}

impl<'a> Run<'a> {
    fn new(history: &'a History, policy: Policy) -> Run<'a> {
        let talks = history.changes.len();
        let blank = |(talk, at): (usize, &i64)| Candidate {
            talk_id: id_of(talk),
            updated_at: UnixSeconds::new(*at),
            fetched_at: UnixSeconds::new(*at),
            checked_at: None,
            class: Class::InWork,
        };
        let mut run = Run {
            changes: &history.changes,
            policy,
            mirror: history.fetched.iter().enumerate().map(blank).collect(),
            shown: vec![0; talks],
            next: vec![0; talks],
            queued: vec![false; talks],
            hinted: vec![false; talks],
            ..Run::default()
        };
        (0..talks).for_each(|talk| run.fetch(talk, history.fetched[talk]));
        run
    }

    fn until_end(mut self, listing: bool) -> Run<'a> {
        self.listing = listing;
        for tick in 0..DURATION_SECS * REQUESTS_PER_SECOND {
            let now = tick / REQUESTS_PER_SECOND;
            if tick % REQUESTS_PER_SECOND == 0 {
                self.begin_second(now, listing);
            }
            let has_work = [false, false, !self.hints.is_empty(), false, !self.refresh.is_empty()];
            if let Some(lane) = self.lanes.turn(has_work) {
                self.lanes.sent(lane, has_work);
                self.requests += 1;
                self.send(lane, now);
            }
        }
        (0..self.mirror.len()).for_each(|talk| self.fetch(talk, DURATION_SECS));
        self
    }

    fn begin_second(&mut self, now: i64, listing: bool) {
        if now % SAMPLE_INTERVAL_SECS == 0 {
            self.next.iter().for_each(|next| self.staleness.add((now - next).max(0)));
        }
        // A pass that is not finished continues instead.
        let passing = || self.hints.iter().any(|hint| matches!(hint, Hint::Page(_)));
        if listing && now % LISTING_INTERVAL_SECS == 0 && !passing() {
            self.hints.push_back(Hint::Page(0));
        }
        if self.others {
            let is_round = (now / NAMES_INTERVAL_SECS) < (self.mirror.len() / NAMES_PAGE) as i64;
            let pages = 2 * i64::from(now % OTHERS_INTERVAL_SECS == 0)
                + i64::from(is_round && now % NAMES_INTERVAL_SECS == 0);
            (0..pages).for_each(|_| self.hints.push_back(Hint::Other));
        }
        if now % REFILL_INTERVAL_SECS == 0 {
            let room = (REQUESTS_PER_SECOND * REFILL_INTERVAL_SECS) as usize - self.refresh.len();
            let chosen = self.choose(room, now);
            chosen.iter().for_each(|talk| self.queued[*talk] = true);
            self.refresh.extend(chosen);
        }
    }

    fn send(&mut self, lane: Lane, now: i64) {
        if lane == Lane::Refresh {
            let talk = self.refresh.pop_front().expect("it has work");
            return self.fetch(talk, now);
        }
        match self.hints.pop_front().expect("it has work") {
            Hint::Talk(talk) => self.fetch(talk, now),
            Hint::Page(page) => self.list(page, now),
            Hint::Other => {}
        }
    }

    fn fetch(&mut self, talk: usize, now: i64) {
        let changes = &self.changes[talk];
        let shown = &mut self.shown[talk];
        while let Some(change) = changes.get(*shown).filter(|change| change.at <= now) {
            *shown += 1;
            if change.at >= 0 {
                self.delay.add(now - change.at);
            }
        }
        let Change { at, class } = changes[*shown - 1];
        let (updated_at, fetched_at) = (UnixSeconds::new(at), UnixSeconds::new(now));
        self.next[talk] = changes.get(*shown).map_or(i64::MAX, |change| change.at);
        self.longest_unseen = self.longest_unseen.max(fetched_at.seconds_since(self.mirror[talk].fetched_at));
        let checked_at = self.mirror[talk].checked_at;
        self.mirror[talk] = Candidate { talk_id: id_of(talk), updated_at, fetched_at, checked_at, class };
        self.queued[talk] = false;
        self.hinted[talk] = false;
    }

    /// Talks that differ on a page go to the hints lane. Then the next page follows.
    fn list(&mut self, page: usize, now: i64) {
        let end = (page + 1) * PAGE;
        for talk in page * PAGE..end {
            if self.next[talk] > now {
                self.mirror[talk].checked_at = Some(UnixSeconds::new(now));
            } else if !self.hinted[talk] {
                self.refresh.retain(|waiting| *waiting != talk);
                self.queued[talk] = true;
                self.hinted[talk] = true;
                self.hints.push_back(Hint::Talk(talk));
            }
        }
        if end < self.mirror.len() {
            self.hints.push_back(Hint::Page(page + 1));
        }
    }

    fn choose(&mut self, room: usize, now: i64) -> Vec<usize> {
        let free = self.mirror.iter().filter(|talk| !self.queued[place_of(talk.talk_id)]);
        match self.policy {
            Policy::RoundRobin => {
                let from_cursor = self.mirror.len() + self.cursor;
                let turns = (self.cursor..from_cursor).map(|turn| turn % self.mirror.len());
                let chosen: Vec<usize> = turns.filter(|talk| !self.queued[*talk]).take(room).collect();
                self.cursor = chosen.last().map_or(self.cursor, |talk| talk + 1);
                chosen
            }
            Policy::TenthOfAge => {
                let mut order: Vec<_> = free.map(|talk| (tenth_of_age(talk, now), talk.talk_id)).collect();
                order.select_nth_unstable(room);
                order.truncate(room);
                order.sort_unstable();
                order.into_iter().map(|(_, talk_id)| place_of(talk_id)).collect()
            }
            Policy::ByFetch | Policy::Ours => {
                let shares = (room, self.shares.oldest_of(room));
                let is_ours = matches!(self.policy, Policy::Ours);
                let seen = free.map(|talk| match is_ours {
                    true => *talk,
                    false => Candidate { checked_at: None, ..*talk },
                });
                let chosen = choose(seen, (&RULES, is_ours && self.listing), shares, UnixSeconds::new(now));
                chosen.into_iter().map(place_of).collect()
            }
        }
    }
}

/// Orders due talks by due time, then the others by fetch time.
fn tenth_of_age(talk: &Candidate, now: i64) -> (bool, i64) {
    let fetched_at = talk.fetched_at.get();
    let due = fetched_at + (talk.fetched_at.seconds_since(talk.updated_at) / 10).max(MIN_INTERVAL_SECS);
    if due <= now { (false, due) } else { (true, fetched_at) }
}

/// A line of the table.
struct Row {
    policy: &'static str,
    hints: &'static str,
    /// In the order of the columns. Each holds one figure per seed.
    figures: [Vec<f64>; 7],
}

fn main() -> ExitCode {
    // `cargo test --all-targets` runs it too, unoptimised.
    if !std::env::args().any(|argument| argument == "--bench") {
        eprintln!("nothing done: cargo bench --bench freshness");
        return ExitCode::SUCCESS;
    }
    println!(
        "{TALKS} talks, {} h, {REQUESTS_PER_SECOND} requests a second; medians of {} seeds\n",
        DURATION_SECS / 3600,
        SEEDS.count()
    );
    let titles = [
        (Model::Correspondence, "Changes as people write to each other"),
        (Model::SteadyRates, "Changes at a steady rate of each talk's own, which the score does not suppose"),
    ];
    let [supposed, steady] = titles.map(|(model, title)| measure(model, title));
    let ratio = |row: usize| range(&supposed[row].figures[2]).1;
    // The rows with the listing begin after those without.
    let (by_fetch, ours) = (POLICIES.len() + 2, POLICIES.len() + 3);
    let not_staler = |what: &str, rows: &[Row]| {
        let (before, now) = (&rows[by_fetch].figures[0], &rows[ours].figures[0]);
        let worst = before.iter().zip(now).map(|(before, now)| now / before).fold(0.0, f64::max);
        at_most(&format!("talkmirror, listing, {what}, of by the last fetch"), worst, 1.0)
    };
    let others_cost_little = |what: &str, rows: &[Row]| {
        let (without, with) = (&rows[ours].figures[0], &rows[ours + 1].figures[0]);
        let worst = without.iter().zip(with).map(|(without, with)| with / without).fold(0.0, f64::max);
        at_most(&format!("talkmirror, names and events, {what}, of without"), worst, 1.05)
    };
    let met = [
        at_most("talkmirror, no hints, of round-robin", ratio(3), 0.45),
        at_most("talkmirror, listing, of round-robin", ratio(ours), 0.15),
        not_staler("as people write", &supposed),
        not_staler("at steady rates", &steady),
        others_cost_little("as people write", &supposed),
        others_cost_little("at steady rates", &steady),
        none_forgotten(),
        load::is_within_target(),
    ];
    if met.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints the table of a model and returns its rows.
fn measure(model: Model, title: &str) -> Vec<Row> {
    let histories: Vec<History> = SEEDS.map(|seed| History::new(model, TALKS, seed)).collect();
    let changes = histories.iter().map(History::changes_a_second).collect();
    println!("{title}, {:.2} a second:\n", median(changes));
    let rows = table(&histories);
    print(&rows);
    rows
}

/// Each policy without hints, then with the listing; last talkmirror's with names and events too. The first is the baseline.
fn table(histories: &[History]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let all = ["none", "listing"].into_iter().flat_map(|h| POLICIES.map(|p| (h, p)));
    let with_others = ("listing, names, events", (Policy::Ours, "talkmirror"));
    for (hints, (policy, name)) in all.chain([with_others]) {
        let mut figures: [Vec<f64>; 7] = Default::default();
        for (seed, history) in histories.iter().enumerate() {
            let run = Run { others: hints.contains("names"), ..Run::new(history, policy) };
            let run = run.until_end(hints != "none");
            let mean = run.staleness.mean();
            let ratio = mean / rows.first().map_or(mean, |row| row.figures[0][seed]);
            let unseen = run.longest_unseen as f64;
            let rate = run.requests as f64 / DURATION_SECS as f64;
            let each = [mean, run.staleness.p95(), ratio, unseen, run.delay.mean(), run.delay.p95(), rate];
            figures.iter_mut().zip(each).for_each(|(figures, figure)| figures.push(figure));
        }
        rows.push(Row { policy: name, hints, figures });
    }
    rows
}

fn print(rows: &[Row]) {
    println!(
        "| policy | hints | mean s | p95 s | of round-robin | longest unseen s | delay mean s | delay p95 s | requests/s |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for Row { policy, hints, figures } in rows {
        let (least, most) = range(&figures[2]);
        let [mean, p95, ratio, unseen, delay, delay_p95, rate] = figures.clone().map(median);
        print!("| {policy} | {hints} | {mean:.1} | {p95:.0} | {ratio:.2} ({least:.2}–{most:.2}) ");
        println!("| {unseen:.0} | {delay:.0} | {delay_p95:.0} | {rate:.2} |");
    }
    println!();
}

/// Checks that no talk goes unseen for longer than the share of the oldest allows.
fn none_forgotten() -> bool {
    let unseen = SEEDS.map(|seed| {
        Run::new(&History::new(Model::Correspondence, FEW_TALKS, seed), Policy::Ours)
            .until_end(false)
            .longest_unseen as f64
    });
    // Without hints every request is a refresh.
    let bound = FEW_TALKS as f64 / (OLDEST_SHARE * REQUESTS_PER_SECOND as f64);
    let what = format!("talkmirror, no hints, longest unseen of {FEW_TALKS} talks, s");
    at_most(&what, unseen.fold(0.0, f64::max), bound)
}

fn at_most(what: &str, figure: f64, target: f64) -> bool {
    let met = figure <= target;
    // Seconds are whole, ratios are not.
    let digits = if target > 10.0 { 0 } else { 3 };
    let verdict = if met { "ok" } else { "MISSED" };
    println!("{what}: {figure:.digits$} at the worst seed, at most {target:.digits$}: {verdict}");
    met
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The minimum and the maximum.
fn range(figures: &[f64]) -> (f64, f64) {
    figures.iter().fold((f64::INFINITY, 0.0), |(least, most), figure| (least.min(*figure), most.max(*figure)))
}
