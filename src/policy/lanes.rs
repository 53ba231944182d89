//! Shares the quota: which lane of the queue may send the next request.
//!
//! More urgent lanes go first, and none starves: each lane with work gets at least its [`Lane::share`] of the
//! requests. Talks never mirrored come before talks that are probably unchanged.

use crate::named::named;

named! {
    /// A part of the queue, by the purpose of its rows. Most urgent first; also in the table `lanes`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Lane {
        /// Talks to close, and closings to verify.
        Closing = "closing",
        /// Requested by SQL, a command or a webhook.
        Asked = "asked",
        /// Hints of the events and the listing, and the requests for these lists.
        Hints = "hints",
        /// Closed talks and backfill ids that were never fetched, and the pages that list them.
        Unmirrored = "unmirrored",
        /// Mirrored talks, to fetch again.
        Refresh = "refresh",
    }
}

impl Lane {
    /// The minimum share of all requests while it has work.
    pub const fn share(self) -> f64 {
        match self {
            Lane::Closing | Lane::Asked | Lane::Hints | Lane::Unmirrored => 0.05,
            // A first load may take days, while open talks keep changing.
            Lane::Refresh => 0.1,
        }
    }

    /// The queue's `priority` that puts a row into this lane.
    pub const fn priority(self) -> i64 {
        match self {
            Lane::Closing => 1_000_000_000,
            Lane::Asked => 0,
            Lane::Hints => -1_000_000,
            Lane::Unmirrored => -2_000_000,
            Lane::Refresh => -3_000_000,
        }
    }

    /// The lane of a row. Its priority decides, because its `reason` may be any text.
    pub fn of(priority: i64) -> Lane {
        match priority {
            1_000_000_000.. => Lane::Closing,
            -999_999..1_000_000_000 => Lane::Asked,
            -1_999_999..=-1_000_000 => Lane::Hints,
            -2_999_999..=-2_000_000 => Lane::Unmirrored,
            ..=-3_000_000 => Lane::Refresh,
        }
    }

    /// The highest priority of this lane's rows.
    pub fn most_priority(self) -> i64 {
        match self {
            Lane::Closing => i64::MAX,
            Lane::Asked => Lane::Closing.priority() - 1,
            Lane::Hints | Lane::Unmirrored | Lane::Refresh => self.priority(),
        }
    }

    /// The lowest priority of this lane's rows.
    pub fn least_priority(self) -> i64 {
        match self {
            Lane::Closing => 1_000_000_000,
            Lane::Asked => -999_999,
            Lane::Hints => -1_999_999,
            Lane::Unmirrored => -2_999_999,
            Lane::Refresh => i64::MIN,
        }
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Lanes {
    /// How many requests each lane is owed.
    credit: [f64; Lane::ALL.len()],
}

impl Lanes {
    /// The next lane among those that have work (indexed by [`Lane::ALL`]), if any.
    pub fn turn(&self, has_work: [bool; Lane::ALL.len()]) -> Option<Lane> {
        let lanes = || Lane::ALL.into_iter().filter(|lane| has_work[*lane as usize]);
        let owed = lanes()
            .filter(|lane| self.credit[*lane as usize] >= 1.0)
            .max_by(|a, b| self.credit[*a as usize].total_cmp(&self.credit[*b as usize]));
        owed.or_else(|| lanes().next())
    }

    /// Records that a request of this lane has left. `has_work` is which lanes could have sent it.
    pub fn sent(&mut self, lane: Lane, has_work: [bool; Lane::ALL.len()]) {
        for (lane, credit) in Lane::ALL.into_iter().zip(&mut self.credit) {
            // A lane without work accumulates no credit.
            *credit = if has_work[lane as usize] { *credit + lane.share() } else { 0.0 };
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
            assert_eq!(urgent.least_priority() - 1, lane.most_priority());
            assert_eq!(Lane::of(lane.most_priority()), lane);
        }
        assert_eq!(Lane::of(i64::MIN), Lane::Refresh);
        assert_eq!(Lane::of(i64::MAX), Lane::Closing);
        assert_eq!(Lane::of(-5), Lane::Asked, "somebody's own order among what is asked for");
    }

    /// How many of 1000 requests each lane gets, if these always have work.
    fn shared(has_work: [bool; 5]) -> [u32; 5] {
        let (mut lanes, mut counts) = (Lanes::default(), [0; 5]);
        for _ in 0..1000 {
            let lane = lanes.turn(has_work).expect("there is work");
            lanes.sent(lane, has_work);
            counts[lane as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_most_urgent_lane_goes_first_and_gets_what_the_others_are_not_owed() {
        let counts = shared([true; 5]);
        assert!(counts[0] >= 740, "{counts:?}");
        assert!(counts[1..4].iter().all(|count| (49..=52).contains(count)), "{counts:?}");
        assert!((99..=102).contains(&counts[4]), "{counts:?}");
    }

    #[test]
    fn what_was_never_mirrored_gets_all_but_a_tenth_and_everything_with_nothing_else_to_do() {
        let counts = shared([false, false, false, true, true]);
        assert!((99..=101).contains(&counts[4]), "{counts:?}");
        assert_eq!(shared([false, false, false, true, false])[3], 1000);
        assert_eq!(Lanes::default().turn([false; 5]), None);
    }

    proptest! {
        #[test]
        fn no_lane_that_has_work_starves(
            work in proptest::collection::vec(proptest::array::uniform5(any::<bool>()), 100..400),
            lane in 0usize..5,
        ) {
            let mut lanes = Lanes::default();
            let (mut served, mut sent) = (0.0, 0.0);
            for mut has_work in work {
                has_work[lane] = true;
                if let Some(turn) = lanes.turn(has_work) {
                    prop_assert!(has_work[turn as usize], "it is nobody's turn who has no work");
                    lanes.sent(turn, has_work);
                    sent += 1.0;
                    served += f64::from(u8::from(turn as usize == lane));
                }
                // Several owed lanes take turns.
                prop_assert!(served >= Lane::ALL[lane].share() * sent - 4.0, "{served} of {sent}");
            }
        }
    }
}
