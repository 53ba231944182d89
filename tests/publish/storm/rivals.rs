//! Who else wants to publish the account: a second mirror of it, and a copy of the first one's file.

use crate::harness::{Daemon, Mirror, account};
use crate::postgres::Database;

/// Each is refused, and mirrors on for itself.
pub struct Rivals {
    second: Mirror,
    copy: Mirror,
    daemons: Vec<Daemon>,
}

impl Rivals {
    pub fn start(mirror: &Mirror, database: &Database) -> Rivals {
        let rival = || {
            let rival = Mirror::new(account(20));
            rival.configure(&database.config());
            rival
        };
        let (second, copy) = (rival(), rival());
        second.ends(0, &["sync", "1..20"]);
        let mut rivals = Rivals { daemons: vec![second.daemon()], second, copy };
        rivals.copy_anew(mirror);
        rivals
    }

    fn copy_anew(&mut self, mirror: &Mirror) {
        self.daemons.truncate(1);
        // The log too: what the last copy logged must not count for this one.
        for name in ["talks.db", "talks.db-wal", "talks.db-shm", "daemon.log"] {
            let _ = std::fs::remove_file(self.copy.path(name));
        }
        mirror.connect().execute("VACUUM INTO ?1", [self.copy.database().to_str().unwrap()]).unwrap();
        // It would work the first one's queue at its own account.
        self.copy.execute("DELETE FROM talk_queue");
        self.daemons.push(self.copy.daemon());
    }

    /// Checks that both are refused, and starts a newer copy.
    pub fn check_and_copy_anew(&mut self, mirror: &Mirror) {
        self.check();
        self.copy_anew(mirror);
    }

    fn check(&self) {
        for (rival, why) in
            [(&self.second, "is published by"), (&self.copy, "this is a copy of that database")]
        {
            rival.wait("it is refused", || rival.log().contains(why));
            assert!(!rival.log().contains("publishing to"), "{}", rival.log());
        }
    }

    pub fn end(self) {
        self.check();
    }
}
