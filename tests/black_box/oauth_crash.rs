//! Killed around a renewal: the stored tokens still work.

use crate::harness::account;
use crate::oauth::{keep_as, oauth, stored};
use std::time::Duration;
use talkmirror_simulator::Fault;

#[test]
fn a_kill_at_any_point_of_a_renewal_leaves_tokens_that_work() {
    let mirror = oauth(account(30));
    mirror.simulator.account().oauth.codes.push("a-code".into());
    mirror.ends(0, &["login", "--code", "a-code"]);
    for round in 0..24 {
        // Work that uses the new tokens.
        mirror.ends(0, &["enqueue", "1..30"]);
        // Time has passed, so a renewal is due.
        keep_as(&mirror, stored(&mirror), -80_000, 2000);
        let asked = mirror.simulator.account().token_requests();
        let fault = match round % 4 {
            0 => Fault::Hang(Duration::from_secs(2)),
            1 => Fault::ActAndHang(Duration::from_secs(2)),
            2 => Fault::Slow(Duration::from_millis(30)),
            _ => Fault::Nothing,
        };
        mirror.simulator.account().oauth.scripted = [fault].into();
        let daemon = mirror.daemon();
        mirror.wait("tokens are asked for", || mirror.simulator.account().token_requests() > asked);
        if round % 4 != 0 {
            // Somewhere between the response, the files and the first use.
            std::thread::sleep(Duration::from_millis(15 + round));
        }
        daemon.kill_hard();
        let refused = mirror.simulator.account().oauth.refusals;
        assert_eq!(refused, 0, "round {round}\n{}", mirror.log());
    }
    mirror.simulator.account().oauth.scripted.clear();
    mirror.ends(0, &["enqueue", "1..30"]);
    mirror.ends(0, &["sync"]);
    mirror.assert_mirrors_the_account();
    let account = mirror.simulator.account();
    assert!(account.oauth.renewals >= 12, "{}", account.oauth.renewals);
    assert_eq!(account.oauth.refusals, 0, "a refresh token that no longer works was used");
    let names: Vec<_> = std::fs::read_dir(mirror.path("secrets")).unwrap().flatten().collect();
    assert!(names.len() <= 2, "leftovers are swept away: {names:?}");
}
