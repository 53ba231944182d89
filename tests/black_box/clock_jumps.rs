//! The wall clock is set while the daemon runs.

use crate::feeders::EVENTS;
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::assert_said;

const HOURS: i64 = 3 * 3600;

/// Everything with a schedule, each second.
const EACH_SECOND: &str = "auto_close.mode = \"dry-run\"\nauto_close.schedule = \"* * * * * *\"\n\
                           backup.path = \"backups\"\nbackup.schedule = \"* * * * * *\"\nbackup.keep = 2\n";

/// Waits until each schedule has ticked by the shifted clock.
fn wait_for_ticks(mirror: &Mirror, shift: i64, what: &str) {
    let listed = mirror.simulator.account().events_requests();
    mirror.wait(&format!("{what}: the events are read"), || {
        mirror.simulator.account().events_requests() > listed + 1
    });
    for key in ["backup.last", "auto_close.last_sweep"] {
        let near = format!(
            "SELECT count(*) FROM mirror_info WHERE key = '{key}' \
             AND abs((value ->> 'at') - unixepoch() - {shift}) < 1000"
        );
        mirror.wait_sql(&format!("{what}: {key}"), &near, 1);
    }
}

#[test]
fn schedules_go_on_when_the_clock_is_set_back_and_ahead() {
    let mirror = Mirror::new(account(3));
    mirror.configure(&format!("{EVENTS}{EACH_SECOND}"));
    mirror.ends(0, &["sync", "1..3"]);
    let daemon = mirror.daemon_with_shifted_clock();
    wait_for_ticks(&mirror, 0, "at first");
    mirror.shift_clock(-HOURS);
    assert_said!(mirror.wait_logged(journal::CLOCK_SET_BACK), @"INFO the clock was set back by 3 h: it is now [time], and the schedules use that time");
    wait_for_ticks(&mirror, -HOURS, "set back");
    mirror.shift_clock(HOURS);
    assert_said!(mirror.wait_logged(journal::CLOCK_SET_AHEAD), @"INFO the clock was set ahead by 6 h, or the machine slept: it is now [time]");
    wait_for_ticks(&mirror, HOURS, "set ahead");
    daemon.stop();
    for change in [journal::CLOCK_SET_BACK, journal::CLOCK_SET_AHEAD] {
        assert_eq!(mirror.logged(change).len(), 1, "{}", mirror.log());
    }
}
