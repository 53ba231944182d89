//! What was read ahead of the queue, lane by lane.

use super::{Worker, earlier};
use crate::clock::Now;
use crate::policy::lanes::Lane;
use crate::store::queue::{Due, Head};
use std::collections::VecDeque;

/// Rows of a lane read ahead at most. Few at a low ceiling, so that what is urgent comes soon.
const READ_AHEAD: (usize, usize) = (8, 8192);
/// Read ahead again when so few are left: enough to go on with until the answer comes. What is busy is
/// read again each time, so seldom is better.
const RUNS_LOW: usize = 2048;

/// Due rows in the order in which to fetch them.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    lanes: [VecDeque<Due>; Lane::ALL.len()],
    /// Lanes in which more was due than was read.
    more: [bool; Lane::ALL.len()],
}

impl Ahead {
    /// Takes up what was read anew.
    pub(super) fn replace(&mut self, head: Head) {
        self.lanes.iter_mut().for_each(VecDeque::clear);
        for due in head.due {
            self.lanes[due.lane as usize].push_back(due);
        }
        self.more = head.more;
    }

    /// Whether a lane in which more is due has no more than this left.
    pub(super) fn runs_low(&self, low: usize) -> bool {
        self.lanes.iter().zip(self.more).any(|(lane, more)| more && lane.len() <= low)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Nothing more was due when it was read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_empty() && self.more == [false; Lane::ALL.len()]
    }

    pub(super) fn first(&self, lane: Lane) -> Option<Due> {
        self.lanes[lane as usize].front().copied()
    }

    pub(super) fn take_first(&mut self, lane: Lane) {
        self.lanes[lane as usize].pop_front();
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Due) -> bool) {
        for lane in &mut self.lanes {
            lane.retain(&keep);
        }
    }
}

impl Worker {
    /// Asks for the head of the queue when what was read ahead runs out or is out of date.
    pub(super) fn read_ahead(&mut self, now: Now) {
        let (least, most) = READ_AHEAD;
        let wanted = (self.config.requests_per_second as usize).clamp(least, most);
        let due = self.may_be_due || self.next_due_at.is_some_and(|at| at <= now.secs());
        let low = self.ready.runs_low(RUNS_LOW.min(wanted / 2));
        if self.head_asked || self.stopping || !(self.reread || due || low) {
            return;
        }
        self.head_asked = true;
        self.may_be_due = false;
        self.reread = false;
        self.next_due_at = None;
        // What is busy still stands at the head.
        self.writer.head(now.secs(), wanted + self.busy.len(), self.only());
    }

    pub(super) fn on_head(&mut self, head: Head) {
        self.head_asked = false;
        self.next_due_at = earlier(self.next_due_at, head.next_due_at);
        self.ready.replace(head);
        let confirming = self.confirm_now.map(|due| due.talk_id);
        let (busy, refused) = (&self.busy, &self.refused);
        let free = |talk_id: i64| !busy.contains(&talk_id) && !refused.contains(&talk_id);
        self.ready.retain(|due| free(due.talk_id) && Some(due.talk_id) != confirming);
    }
}
