//! Sharing the quota: which lane of the queue may send the next request.
//!
//! The lanes go in order of urgency, and none starves: each that has work gets at least
//! [`LEAST_SHARE`] of the requests. The backfill gets at most a third of what is allowed, however
//! little else there is to do.

use std::time::{Duration, Instant};

/// Of all requests, for each lane while it has work.
pub const LEAST_SHARE: f64 = 0.05;
/// Of what is allowed, for the backfill at most.
pub const BACKFILL_SHARE: f64 = 1.0 / 3.0;

/// A part of the queue, by what its rows were queued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// To be closed, and to verify that it was.
    Closing,
    /// Asked for: by SQL, a command or a webhook.
    Asked,
    /// What events and the listing hint at, and their own requests.
    Hints,
    /// Mirrored talks, once more.
    Refresh,
    /// The account's past.
    Backfill,
}

impl Lane {
    /// In order of urgency.
    pub const ALL: [Lane; 5] = [Lane::Closing, Lane::Asked, Lane::Hints, Lane::Refresh, Lane::Backfill];

    /// As in the table `lanes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Closing => "closing",
            Lane::Asked => "asked",
            Lane::Hints => "hints",
            Lane::Refresh => "refresh",
            Lane::Backfill => "backfill",
        }
    }

    /// The queue's `priority` that puts a row into this lane.
    pub const fn priority(self) -> i64 {
        match self {
            Lane::Closing => 1_000_000_000,
            Lane::Asked => 0,
            Lane::Hints => -1_000_000,
            Lane::Refresh => -2_000_000,
            Lane::Backfill => -3_000_000,
        }
    }

    /// The lane of a row: by its priority, as a `reason` may be anybody's own word.
    pub fn of(priority: i64) -> Lane {
        match priority {
            1_000_000_000.. => Lane::Closing,
            -999_999..1_000_000_000 => Lane::Asked,
            -1_999_999..=-1_000_000 => Lane::Hints,
            -2_999_999..=-2_000_000 => Lane::Refresh,
            ..=-3_000_000 => Lane::Backfill,
        }
    }

    /// The least priority of this lane's rows.
    pub fn least_priority(self) -> i64 {
        match self {
            Lane::Closing => 1_000_000_000,
            Lane::Asked => -999_999,
            Lane::Hints => -1_999_999,
            Lane::Refresh => -2_999_999,
            Lane::Backfill => i64::MIN,
        }
    }
}

/// Which lane may send, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Of(Lane),
    /// Not before then: only the backfill has work, and it has had its third.
    NotBefore(Instant),
    /// No lane has work.
    Idle,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lanes {
    /// What each lane is owed, in requests.
    credit: [f64; Lane::ALL.len()],
    /// When the last request of the backfill left.
    backfilled: Option<Instant>,
}

impl Lanes {
    /// Whose turn it is among the lanes that have work (by [`Lane::ALL`]). `pace` is the requests
    /// that are allowed in a second.
    pub fn turn(&self, has_work: [bool; Lane::ALL.len()], pace: f64, now: Instant) -> Turn {
        // Evenly, so that what is urgent never finds the quota used up by it.
        let apart = Duration::from_secs_f64(1.0 / (pace * BACKFILL_SHARE).max(1e-3));
        let wait = self.backfilled.map(|at| at + apart).filter(|at| *at > now);
        let lanes = || Lane::ALL.into_iter().filter(|lane| has_work[*lane as usize]);
        // Also where the backfill would have to wait: requests may leave all at once, second by second.
        let owed = lanes()
            .filter(|lane| self.credit[*lane as usize] >= 1.0)
            .max_by(|a, b| self.credit[*a as usize].total_cmp(&self.credit[*b as usize]));
        let first = || lanes().find(|lane| *lane != Lane::Backfill || wait.is_none());
        match (owed.or_else(first), wait) {
            (Some(lane), _) => Turn::Of(lane),
            (None, Some(at)) if has_work[Lane::Backfill as usize] => Turn::NotBefore(at),
            (None, _) => Turn::Idle,
        }
    }

    /// A request of this lane has left; `has_work` says which lanes could have sent it.
    pub fn sent(&mut self, lane: Lane, has_work: [bool; Lane::ALL.len()], now: Instant) {
        if lane == Lane::Backfill {
            self.backfilled = Some(now);
        }
        for (credit, has_work) in self.credit.iter_mut().zip(has_work) {
            // A lane without work saves nothing up.
            *credit = if has_work { *credit + LEAST_SHARE } else { 0.0 };
        }
        let credit = &mut self.credit[lane as usize];
        *credit = (*credit - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_lane_has_priorities_of_its_own_and_between_them_lies_none() {
        for (lane, urgent) in Lane::ALL.into_iter().skip(1).zip(Lane::ALL) {
            assert_eq!(Lane::of(lane.priority()), lane);
            assert_eq!(Lane::of(urgent.least_priority()), urgent);
            assert_eq!(Lane::of(urgent.least_priority() - 1), lane);
        }
        assert_eq!(Lane::of(i64::MIN), Lane::Backfill);
        assert_eq!(Lane::of(i64::MAX), Lane::Closing);
        assert_eq!(Lane::of(-5), Lane::Asked, "somebody's own order among what is asked for");
    }

    #[test]
    fn the_most_urgent_lane_goes_first_and_gets_what_the_others_are_not_owed() {
        let (mut lanes, begin) = (Lanes::default(), Instant::now());
        let mut counts = [0; 5];
        for millisecond in 0..1000 {
            let now = begin + Duration::from_millis(millisecond);
            let Turn::Of(lane) = lanes.turn([true; 5], 1e6, now) else { panic!("there is work") };
            lanes.sent(lane, [true; 5], now);
            counts[lane as usize] += 1;
        }
        assert!(counts[0] >= 790, "{counts:?}");
        assert!(counts[1..].iter().all(|count| (49..=52).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_backfill_has_a_third_evenly_with_nothing_else_to_do() {
        let mut lanes = Lanes::default();
        let begin = Instant::now();
        let alone = [false, false, false, false, true];
        let mut sent = 0;
        for tenth in 0..600 {
            let now = begin + Duration::from_millis(tenth * 100);
            if lanes.turn(alone, 6.0, now) == Turn::Of(Lane::Backfill) {
                lanes.sent(Lane::Backfill, alone, now);
                sent += 1;
            }
            assert!(matches!(lanes.turn(alone, 6.0, now), Turn::NotBefore(at) if at > now));
        }
        assert_eq!(sent, 120, "2 a second of 6, for a minute");
        assert_eq!(lanes.turn([false; 5], 6.0, begin), Turn::Idle);
    }

    #[test]
    fn the_backfill_has_its_least_share_of_requests_that_leave_all_at_once() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let with = [false, true, false, false, true];
        let mut backfilled = 0;
        for _ in 0..1000 {
            let Turn::Of(lane) = lanes.turn(with, 150.0, now) else { panic!("there is work") };
            lanes.sent(lane, with, now);
            backfilled += u32::from(lane == Lane::Backfill);
        }
        assert!((49..=51).contains(&backfilled), "{backfilled}");
    }

    proptest! {
        #[test]
        fn no_lane_that_has_work_starves(
            work in proptest::collection::vec(proptest::array::uniform5(any::<bool>()), 100..400),
            lane in 0usize..5,
        ) {
            let (mut lanes, now) = (Lanes::default(), Instant::now());
            let (mut served, mut sent) = (0.0, 0.0);
            for mut has_work in work {
                has_work[lane] = true;
                if let Turn::Of(turn) = lanes.turn(has_work, 1e6, now) {
                    prop_assert!(has_work[turn as usize], "it is nobody's turn who has no work");
                    lanes.sent(turn, has_work, now);
                    sent += 1.0;
                    served += f64::from(u8::from(turn as usize == lane));
                }
                // Owed lanes come one after the other.
                prop_assert!(served >= LEAST_SHARE * sent - 4.0, "{served} of {sent}");
            }
        }
    }
}
