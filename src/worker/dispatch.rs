//! What is to be fetched, and in which order: rows read ahead of the queue, lane by lane, and what comes before them. It
//! knows which talks are busy, so that none is fetched twice at once.

use crate::clock::{Now, UnixSeconds};
use crate::gate::Source;
use crate::policy::lanes::{Lane, Lanes};
use crate::store::queue::{DueBatch, DueRow};
use crate::talk::TalkId;
use std::collections::{HashSet, VecDeque};

/// Rows of a lane read ahead: a second's worth, within these bounds. Few at a low pace, so that what is urgent comes soon.
const ROWS_AHEAD: std::ops::RangeInclusive<usize> = 8..=8192;
/// Rows left in a lane when more are read: enough until they come. What is busy is read again each time,
/// so seldom is better.
const ROWS_LEFT: usize = 2048;
/// Talks remembered that were shown lately.
const KNOWN_TALKS: usize = 8;

/// Due rows in the order in which to fetch them.
#[derive(Debug, Default)]
pub(super) struct Prefetch {
    lanes: [VecDeque<DueRow>; Lane::ALL.len()],
    /// Lanes in which more was due than was read.
    more: [bool; Lane::ALL.len()],
}

impl Prefetch {
    fn replace(&mut self, batch: DueBatch) {
        self.lanes.iter_mut().for_each(VecDeque::clear);
        for row in batch.due {
            self.lanes[row.lane as usize].push_back(row);
        }
        self.more = batch.more;
    }

    /// Whether a lane in which more is due has no more than this left.
    fn runs_low(&self, low: usize) -> bool {
        self.lanes.iter().zip(self.more).any(|(lane, more)| more && lane.len() <= low)
    }

    fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    fn first(&self, lane: Lane) -> Option<DueRow> {
        self.lanes[lane as usize].front().copied()
    }

    fn retain(&mut self, keep: impl Fn(&DueRow) -> bool) {
        self.lanes.iter_mut().for_each(|lane| lane.retain(&keep));
    }
}

/// A look into the queue that is to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadAhead {
    /// Rows of each lane at most.
    pub limit: usize,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Dispatch {
    prefetch: Prefetch,
    lanes: Lanes,
    /// A stored talk to fetch before anything else.
    confirm: Option<DueRow>,
    /// Fetches to repeat, as their connections were closed on them.
    repeats: VecDeque<DueRow>,
    /// Whose requests were repeated just now.
    repeated: HashSet<Source>,
    /// Being fetched, or fetched and not recorded yet.
    busy: HashSet<TalkId>,
    /// Talks that can neither be recorded nor fail.
    refused: HashSet<TalkId>,
    /// Talks that were shown lately, the latest first.
    known: VecDeque<TalkId>,
    /// A look into the queue is under way.
    is_reading: bool,
    /// The queue may hold due rows that are not in the prefetch.
    may_be_due: bool,
    /// Somebody changed the queue: what was read ahead may be out of date.
    is_outdated: bool,
    /// When the next row is due that is not yet.
    next_due_at: Option<UnixSeconds>,
}

impl Dispatch {
    /// `known` are stored talks that were there when last fetched.
    pub(super) fn new(known: Vec<TalkId>) -> Dispatch {
        Dispatch {
            prefetch: Prefetch::default(),
            lanes: Lanes::default(),
            confirm: None,
            repeats: VecDeque::new(),
            repeated: HashSet::new(),
            busy: HashSet::new(),
            refused: HashSet::new(),
            known: known.into(),
            is_reading: false,
            may_be_due: true,
            is_outdated: false,
            next_due_at: None,
        }
    }

    /// Rows may be due that were not before.
    pub(super) fn rows_may_be_due(&mut self) {
        self.may_be_due = true;
    }

    /// Somebody changed the queue.
    pub(super) fn queue_changed(&mut self) {
        self.is_outdated = true;
    }

    /// A row is due at this time.
    pub(super) fn due_later(&mut self, due_at: UnixSeconds) {
        self.next_due_at = earlier(self.next_due_at, Some(due_at));
    }

    /// The wall clock was set: the due times are read anew.
    pub(super) fn clock_was_set(&mut self) {
        self.next_due_at = None;
        self.is_outdated = true;
    }

    /// When the next row is due; known while nothing is due.
    pub(super) fn next_due_at(&self) -> Option<UnixSeconds> {
        self.next_due_at
    }

    /// When to wake for the next row, if no response or look into the queue wakes us anyway.
    pub(super) fn wakes_at(&self) -> Option<UnixSeconds> {
        self.next_due_at.filter(|_| self.prefetch.is_empty() && !self.is_reading)
    }

    /// A look into the queue, if what was read ahead runs out or is out of date. `pace` is in requests a second.
    pub(super) fn read_ahead(&mut self, pace: u32, now: Now) -> Option<ReadAhead> {
        let wanted = (pace as usize).clamp(*ROWS_AHEAD.start(), *ROWS_AHEAD.end());
        let due = self.may_be_due || self.next_due_at.is_some_and(|at| at <= now.secs());
        let low = self.prefetch.runs_low(ROWS_LEFT.min(wanted / 2));
        if self.is_reading || !(self.is_outdated || due || low) {
            return None;
        }
        self.is_reading = true;
        self.may_be_due = false;
        self.is_outdated = false;
        self.next_due_at = None;
        // What is busy still stands at the head of the queue.
        Some(ReadAhead { limit: wanted + self.busy.len() })
    }

    /// What the look has found.
    pub(super) fn on_read(&mut self, batch: DueBatch) {
        self.is_reading = false;
        self.next_due_at = earlier(self.next_due_at, batch.next_due_at);
        self.prefetch.replace(batch);
        let confirming = self.confirm.map(|row| row.talk_id);
        let (busy, refused) = (&self.busy, &self.refused);
        let free = |talk_id: TalkId| !busy.contains(&talk_id) && !refused.contains(&talk_id);
        self.prefetch.retain(|row| free(row.talk_id) && Some(row.talk_id) != confirming);
    }

    /// A look into the queue is under way.
    pub(super) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Whether a row that was read ahead may be fetched.
    pub(super) fn has_rows(&self) -> bool {
        !self.prefetch.is_empty()
    }

    /// Nothing is due, as far as is known now, and nothing is busy.
    pub(super) fn is_idle(&self) -> bool {
        let more = self.prefetch.more != [false; Lane::ALL.len()];
        let due = self.may_be_due || self.is_outdated || self.is_reading || self.has_rows() || more;
        !due && self.confirm.is_none() && self.busy.is_empty()
    }

    /// The first row of a lane.
    pub(super) fn first(&self, lane: Lane) -> Option<DueRow> {
        self.prefetch.first(lane)
    }

    /// The lane whose turn it is, of those that have something to send.
    pub(super) fn turn(&mut self, has_work: [bool; Lane::ALL.len()]) -> Option<Lane> {
        self.lanes.turn(has_work)
    }

    /// A request has left for a lane, while those had something to send.
    pub(super) fn sent(&mut self, lane: Lane, has_work: [bool; Lane::ALL.len()]) {
        self.lanes.sent(lane, has_work);
    }

    /// A row's fetch leaves: it is busy until it is recorded.
    pub(super) fn begin(&mut self, row: DueRow) {
        let is_this = |other: &DueRow| other.talk_id == row.talk_id;
        if self.repeats.front().is_some_and(is_this) {
            self.repeats.pop_front();
        }
        self.confirm = self.confirm.filter(|wanted| !is_this(wanted));
        match self.prefetch.first(row.lane).is_some_and(|first| is_this(&first)) {
            true => drop(self.prefetch.lanes[row.lane as usize].pop_front()),
            // A talk that is fetched out of turn may be read ahead in any lane.
            false if row.ticket.is_none() => self.prefetch.retain(|other| !is_this(other)),
            false => {}
        }
        self.busy.insert(row.talk_id);
    }

    /// Its fetch is recorded, or came to nothing.
    pub(super) fn done(&mut self, talk_id: TalkId) {
        self.busy.remove(&talk_id);
    }

    /// It can neither be recorded nor fail: it is left alone.
    pub(super) fn refuse(&mut self, talk_id: TalkId) {
        self.refused.insert(talk_id);
    }

    pub(super) fn is_busy(&self, talk_id: TalkId) -> bool {
        self.busy.contains(&talk_id)
    }

    /// How many talks are being fetched, or are fetched and not recorded yet.
    pub(super) fn busy(&self) -> usize {
        self.busy.len()
    }

    /// Whether the request that was answered now was a repeat.
    pub(super) fn was_repeated(&mut self, source: Source) -> bool {
        self.repeated.remove(&source)
    }

    /// Its connection was closed on it: it leaves once more.
    pub(super) fn note_repeat(&mut self, source: Source) {
        self.repeated.insert(source);
    }

    /// The row is fetched once more, before others.
    pub(super) fn repeat(&mut self, row: DueRow) {
        self.note_repeat(Source::Talk(row.talk_id));
        self.repeats.push_back(row);
    }

    /// The next fetch to repeat.
    pub(super) fn next_repeat(&self) -> Option<DueRow> {
        self.repeats.front().copied()
    }

    /// The repeat of this talk, which then is the first one.
    pub(super) fn repeat_of(&mut self, talk_id: TalkId) -> Option<DueRow> {
        let place = self.repeats.iter().position(|row| row.talk_id == talk_id)?;
        self.repeats.swap(0, place);
        self.next_repeat()
    }

    /// The stored talk that is to be fetched before anything else.
    pub(super) fn confirm(&self) -> Option<DueRow> {
        self.confirm
    }

    /// Has a stored talk fetched that is not busy, whatever is due: its response shows whether the API works, or what time
    /// it is there.
    pub(super) fn confirm_by_a_known_talk(&mut self) {
        let known = self.known.iter().copied().find(|talk_id| !self.busy.contains(talk_id));
        if let (None, Some(talk_id)) = (self.confirm, known) {
            self.prefetch.retain(|row| row.talk_id != talk_id);
            self.confirm = Some(DueRow::without_ticket(talk_id));
        }
    }

    /// The same by the talk that was shown last, if nothing else is to be done.
    pub(super) fn confirm_if_idle(&mut self) {
        if self.prefetch.is_empty() && self.busy.is_empty() && self.confirm.is_none() {
            self.confirm = self.known.front().copied().map(DueRow::without_ticket);
        }
    }

    /// Stored talks that were shown lately, the latest first.
    pub(super) fn known(&self) -> impl Iterator<Item = TalkId> {
        self.known.iter().copied()
    }

    /// The stored talk at this place among them.
    pub(super) fn known_at(&self, place: usize) -> Option<TalkId> {
        self.known.get(place).copied()
    }

    pub(super) fn knows_none(&self) -> bool {
        self.known.is_empty()
    }

    /// A stored talk was shown.
    pub(super) fn shown(&mut self, talk_id: TalkId) {
        if !self.known.contains(&talk_id) {
            self.known.truncate(KNOWN_TALKS - 1);
            self.known.push_front(talk_id);
        }
    }

    /// It is not shown any more.
    pub(super) fn not_shown(&mut self, talk_id: TalkId) {
        self.known.retain(|known| *known != talk_id);
    }

    /// The next probe asks for another stored talk: this one may fail by itself.
    pub(super) fn ask_another(&mut self, talk_id: TalkId) {
        if let Some(place) = self.known.iter().position(|known| *known == talk_id) {
            self.known.remove(place);
            self.known.push_back(talk_id);
        }
    }
}

fn earlier(a: Option<UnixSeconds>, b: Option<UnixSeconds>) -> Option<UnixSeconds> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
