//! Whether this process may act for the account: with a standby, one of two hosts may, and the server's row says which.

use crate::clock::{Deadline, Now};
use std::time::Duration;

/// What the publisher knows of the account's row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Hold {
    /// Not known yet, or another mirror has it.
    No,
    /// The server does not know the account, as it was asked at that time: there is nothing to take over.
    Unknown { asked: Now },
    /// It is ours. The last renewal was sent at that time.
    Held { renewed: Now },
}

impl Hold {
    /// Until when this process may act, if a hold lasts so long on the server. Here it ends earlier, after four fifths.
    /// `None` if it may not.
    pub(crate) fn ends(self, lasts: Duration, now: Now) -> Option<Deadline> {
        match self {
            Hold::Held { renewed: since } | Hold::Unknown { asked: since } => {
                Some(Deadline { since, lasts: usable(lasts) }).filter(|ends| !ends.is_over(now))
            }
            Hold::No => None,
        }
    }
}

/// How long this process may act after a renewal that lasts so long on the server.
pub(super) fn usable(lasts: Duration) -> Duration {
    lasts.mul_f64(0.8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_hold_ends_here_before_it_ends_on_the_server_also_in_a_sleep() {
        let renewed = clock::now();
        let after = |mono: f64, unix: f64| Now {
            mono: renewed.mono + Duration::from_secs_f64(mono),
            unix: renewed.unix + unix,
        };
        let valid = |now| Hold::Held { renewed }.ends(Duration::from_secs(100), now).is_some();
        assert!(valid(after(0.0, 0.0)) && valid(after(79.9, 79.9)));
        assert!(!valid(after(80.1, 80.1)));
        assert!(!valid(after(1.0, 90.0)), "it slept");
        assert!(valid(after(1.0, -3600.0)), "the clock was set back");
        assert_eq!(Hold::No.ends(Duration::MAX, renewed), None);
    }
}
