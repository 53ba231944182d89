//! What must hold after each kill and at the end.

use crate::harness::{Daemon, Mirror, unix_now};
use crate::other_processes::{Disturbances, SECRET};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;
use std::time::Duration;
use talkmirror_simulator::{ACCOUNT_ID, TOKEN};

#[derive(Debug, Default)]
pub struct Checks {
    /// How much of the log was checked.
    looked: u64,
    /// How many talks' closings were checked.
    closes: usize,
    /// Requests checked for talks that the account does not have.
    requests: usize,
    nonexistent: BTreeSet<i64>,
    /// Full disks before this process.
    full_disks: u32,
    ended: u32,
}

impl Checks {
    /// Kills it, and checks that it ran until then: no response and no row may end it. A disk that is full at its
    /// start may.
    pub fn still_runs(&mut self, mirror: &Mirror, disturbances: &Disturbances, mut daemon: Daemon) {
        let full_disks = disturbances.full_disks.load(Ordering::Relaxed);
        if let Some(status) = daemon.child.try_wait().unwrap() {
            let log = mirror.log();
            let last = log.lines().next_back().unwrap_or_default();
            assert!(
                full_disks > self.full_disks && last.contains("full"),
                "it ended by itself: {status}: {last}"
            );
            self.ended += 1;
        }
        self.full_disks = full_disks;
        daemon.kill_hard();
    }

    pub fn after_kill(&mut self, mirror: &Mirror, disturbances: &Disturbances, kill: u32) {
        self.log_is_clean(mirror);
        let is_there = mirror.database().exists()
            && mirror.sql::<i64>("SELECT count(*) FROM sqlite_schema WHERE name = 'talk_queue'") == 1;
        if !is_there {
            assert!(disturbances.ids.lock().unwrap().is_empty(), "there was a database before kill {kill}");
            return;
        }
        mirror.assert_sound();
        let other = format!("SELECT count(*) FROM talks WHERE account_id <> {ACCOUNT_ID}");
        assert_eq!(mirror.sql::<i64>(&other), 0);
        self.nothing_is_lost(mirror, disturbances, kill);
        self.closings_are_right(mirror, kill);
        let account = mirror.simulator.account();
        assert_eq!(account.violations, 0, "the rate limit holds over restarts, until kill {kill}");
        assert_eq!(account.overlaps, 0, "no talk is asked for twice at once, until kill {kill}");
    }

    /// Each queued talk is mirrored, waits, or is reported missing by the account.
    fn nothing_is_lost(&mut self, mirror: &Mirror, disturbances: &Disturbances, kill: u32) {
        {
            let account = mirror.simulator.account();
            let new = account.log[self.requests..].iter();
            self.nonexistent.extend(
                new.filter(|request| matches!(request.status, 404 | 204)).map(|request| request.talk_id),
            );
            self.requests = account.log.len();
        }
        let connection = mirror.connect();
        let mut known =
            connection.prepare("SELECT talk_id FROM talks UNION ALL SELECT talk_id FROM talk_queue").unwrap();
        let known: BTreeSet<i64> =
            known.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let disturbances = disturbances.ids.lock().unwrap();
        let lost: Vec<_> =
            disturbances.iter().filter(|id| !known.contains(id) && !self.nonexistent.contains(id)).collect();
        assert!(lost.is_empty(), "queued, and neither mirrored nor waiting after kill {kill}: {lost:?}");
    }

    /// Each close request was recorded before, for a talk shown stale less than 30 s before. No talk was closed
    /// twice.
    fn closings_are_right(&mut self, mirror: &Mirror, kill: u32) {
        let account = mirror.simulator.account();
        for close in &account.closes[self.closes..] {
            let talk_id = close.talk_id;
            let (shown_at, shown) = close.shown.as_ref().expect("a talk is shown before it is closed");
            assert!(close.at.duration_since(*shown_at) < Duration::from_secs(30), "kill {kill}");
            let stale = shown.missed_at.is_some_and(|at| unix_now() - at > 3600);
            assert!(shown.is_in_work && stale, "kill {kill}: {shown:?}");
            assert!(account.closes_of(talk_id).1 <= 1, "talk {talk_id} was closed twice");
            let written = format!("SELECT count(*) FROM closures WHERE talk_id = {talk_id} AND attempts > 0");
            assert!(mirror.sql::<i64>(&written) >= 1, "the closing of talk {talk_id} is not written down");
        }
        self.closes = account.closes.len();
    }

    fn log_is_clean(&mut self, mirror: &Mirror) {
        let Ok(mut log) = File::open(mirror.path("daemon.log")) else { return };
        log.seek(SeekFrom::Start(self.looked)).unwrap();
        let mut new = Vec::new();
        self.looked += log.read_to_end(&mut new).unwrap() as u64;
        let new = String::from_utf8_lossy(&new);
        for never in ["panicked", TOKEN, SECRET, "marks account", "the database cannot be used"] {
            assert!(!new.contains(never), "{never}:\n{new}");
        }
    }

    pub fn in_the_end(&mut self, mirror: &Mirror, disturbances: &Disturbances) {
        self.after_kill(mirror, disturbances, 0);
        mirror.assert_mirrors_the_account();
        let odd = "SELECT count(*) FROM talks WHERE gone_at IS NOT NULL OR denied_at IS NOT NULL";
        assert_eq!(mirror.sql::<i64>(odd), 0, "what the account shows is neither gone nor denied");
        // A talk that is still stale was refused, or its closing is under way.
        let left = "SELECT count(*) FROM talks t
                     WHERE is_in_work AND missed_at < unixepoch() - 3700 AND updated_at < unixepoch() - 100
                       AND NOT EXISTS (SELECT 1 FROM closures c WHERE c.talk_id = t.talk_id AND attempts > 0)";
        assert_eq!(mirror.sql::<i64>(left), 0, "every stale talk was to be closed");
    }

    /// A line of progress.
    pub fn line(
        &self,
        mirror: &Mirror,
        disturbances: &Disturbances,
        (kill, kills): (u32, u32),
        time: Duration,
    ) -> String {
        let account = mirror.simulator.account();
        let closed = account.closes.iter().filter(|close| close.effective).count();
        let count = |counter: &std::sync::atomic::AtomicU32| counter.load(Ordering::Relaxed);
        format!(
            "{kill} of {kills} kills in {time:.0?}: {} requests, {} talks, {} told, {} by hooks; {} close requests, {closed} \
             closed; {} held locks, {} full disks, which ended {} starts, {} times resumed",
            account.log.len(),
            account.talks.len(),
            disturbances.ids.lock().unwrap().len(),
            count(&disturbances.webhooks),
            account.closes.len(),
            count(&disturbances.locks),
            count(&disturbances.full_disks),
            self.ended,
            count(&disturbances.resumes),
        )
    }
}
