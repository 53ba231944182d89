//! Another process under the same name: two hosts with one host name, and their files at one path, as after a clone. Each
//! takes the other's claim for a past one of its own and claims anew, so they would end each other's claims without end.

use super::{Claimant, ServerRow};
use std::time::{Duration, Instant};

/// So many claims in a row end by somebody else's before that shows a rival. A server that lost its last batches ends one.
const MAX_ENDED: u32 = 3;
/// An ended claim counts for so long.
const COUNTS_FOR: Duration = Duration::from_secs(60 * 60);

/// Watches for one.
#[derive(Debug, Default)]
pub(in crate::publish) struct RivalWatch {
    ended: u32,
    ended_at: Option<Instant>,
}

impl RivalWatch {
    /// A claim of ours was ended by somebody else's.
    pub(in crate::publish) fn note_fenced(&mut self, now: Instant) {
        let counts = self.ended_at.is_some_and(|ended_at| now < ended_at + COUNTS_FOR);
        self.ended = if counts { self.ended + 1 } else { 1 };
        self.ended_at = Some(now);
    }

    /// Whether our name on the server no longer proves that the claim is ours.
    pub(in crate::publish) fn has_rival(&self) -> bool {
        self.ended >= MAX_ENDED
    }
}

/// Why the account is left to the rival, if it holds it. `epoch` is that of our own last claim.
pub(super) fn refusal(server: Option<&ServerRow>, epoch: i64, claimant: &Claimant) -> Option<String> {
    let is_rival = |server: &&ServerRow| {
        claimant.has_rival && server.is_held && server.publisher == claimant.publisher && server.epoch > epoch
    };
    server.filter(is_rival).map(|server| {
        format!(
            "account {} is published by another process under the name of this one, {} (last sign of life {}): give each \
             host its own name, or its database another path, or stop one of the two",
            claimant.account_id,
            server.publisher,
            server.last_sign()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_rival_shows_by_claims_that_end_one_soon_after_the_other() {
        let (mut watch, mut now) = (RivalWatch::default(), clock::mono());
        for _ in 0..5 {
            watch.note_fenced(now);
            now += COUNTS_FOR;
        }
        assert!(!watch.has_rival(), "a failover now and then");
        watch.note_fenced(now);
        watch.note_fenced(now);
        assert!(!watch.has_rival());
        watch.note_fenced(now);
        assert!(watch.has_rival());
    }

    #[test]
    fn the_account_is_left_to_a_rival_while_it_holds_it() {
        let row = |epoch, is_held| ServerRow {
            mirror: "a".into(),
            position: 1,
            epoch,
            publisher: "here:/talks.db".into(),
            published_at: UNIX_EPOCH,
            is_held,
        };
        let claimant = |has_rival| Claimant {
            account_id: 7,
            base_url: String::new(),
            publisher: "here:/talks.db".into(),
            hold: Duration::from_secs(300),
            adopt: false,
            has_rival,
        };
        let why = refusal(Some(&row(5, true)), 4, &claimant(true)).unwrap();
        let begin = "account 7 is published by another process under the name of this one, here:/talks.db (last sign of \
                     life 1970-01-01T00:00:00Z): give each host its own name";
        assert!(why.starts_with(begin), "{why}");
        assert_eq!(refusal(Some(&row(5, true)), 4, &claimant(false)), None, "a past claim of ours");
        assert_eq!(refusal(Some(&row(5, true)), 5, &claimant(true)), None, "our own");
        assert_eq!(refusal(Some(&row(5, false)), 4, &claimant(true)), None, "it is gone");
        let other = ServerRow { publisher: "other:/talks.db".into(), ..row(5, true) };
        assert_eq!(refusal(Some(&other), 4, &claimant(true)), None, "`decide` has its own words");
        assert_eq!(refusal(None, 4, &claimant(true)), None);
    }
}
