//! Who may read the database and who may not, with separate users as under systemd.

use crate::harness::{Daemon, Mirror, account, copy_binary, skip};
use crate::snapshots::{assert_said, verdicts};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, chown};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The daemon's user and group. The kernel only needs numbers, not names.
pub const DAEMON: u32 = 61_001;
/// A user of the daemon's group.
pub const ANALYST: (u32, u32) = (61_002, DAEMON);
/// A user outside our groups.
pub const OUTSIDER: (u32, u32) = (61_003, 61_003);

/// A mirror whose files belong to a separate user, in a folder that its group may read.
pub struct State {
    pub mirror: Mirror,
    pub binary: PathBuf,
}

impl State {
    /// `None` if other users' rights cannot be tested.
    pub fn new(talks: i64) -> Option<State> {
        if !Uid::effective().is_root() {
            skip("only root can try other users' rights");
            return None;
        }
        if Command::new("sqlite3").arg("--version").output().is_err() {
            skip("no sqlite3 shell");
            return None;
        }
        let mirror = Mirror::new(account(talks));
        mirror.configure("database.path = \"state/talks.db\"\n");
        // Other users may not have access to the binary's folder.
        let binary = mirror.path("talkmirror");
        copy_binary(&binary);
        let mode = |path: &str, mode| {
            fs::set_permissions(mirror.path(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        let own = |path: &str| {
            chown(&mirror.path(path), Some(Uid::from_raw(DAEMON)), Some(Gid::from_raw(DAEMON))).unwrap();
        };
        fs::create_dir(mirror.path("state")).unwrap();
        mode("", 0o755);
        mode("state", 0o750);
        mode("token", 0o600);
        own("state");
        own("token");
        Some(State { mirror, binary })
    }

    /// The binary as the daemon's user, with the mask of the unit.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.mirror.path("config.toml")).args(arguments).stdin(Stdio::null());
        command.uid(DAEMON).gid(DAEMON);
        // SAFETY: umask is a system call without a lock.
        #[expect(unsafe_code, reason = "before the command is executed")]
        unsafe {
            command.pre_exec(|| {
                umask(Mode::from_bits_truncate(0o027));
                Ok(())
            });
        }
        command
    }

    pub fn daemon(&self) -> Daemon {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.mirror.path("daemon.log")).unwrap();
        Daemon { child: self.command(&["run"]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap() }
    }

    pub fn database(&self) -> PathBuf {
        self.mirror.path("state/talks.db")
    }

    /// Runs a program as this user. Returns its output, and whether it succeeded.
    pub fn as_user(&self, (uid, gid): (u32, u32), program: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program).args(arguments).uid(uid).gid(gid).output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.trim().to_owned())
    }

    fn sqlite(&self, user: (u32, u32), option: &str, sql: &str) -> (bool, String) {
        self.as_user(user, "sqlite3", &[option, self.database().to_str().unwrap(), sql])
    }

    fn assert_rights(&self, state: &str) {
        let count = "SELECT count(*) FROM talks";
        let (ok, text) = self.sqlite(ANALYST, "-readonly", count);
        assert!(ok && text.parse::<i64>().is_ok(), "{state}: the analyst reads: {text}");
        let (ok, text) = self.sqlite(ANALYST, "-batch", "INSERT INTO talk_queue (talk_id) VALUES (7777)");
        assert!(!ok && text.contains("readonly database"), "{state}: the analyst does not write: {text}");
        for path in ["state/new", "state/talks.db", "state/talks.db-shm"] {
            let path = self.mirror.path(path);
            let (ok, _) = self.as_user(ANALYST, "sh", &["-c", &format!("echo x >> {}", path.display())]);
            assert!(!ok, "{state}: the analyst does not write {}", path.display());
        }
        let (ok, text) = self.sqlite(OUTSIDER, "-readonly", count);
        assert!(!ok && text.contains("unable to open"), "{state}: an outsider does not read: {text}");
        for user in [ANALYST, OUTSIDER] {
            let (ok, text) = self.as_user(user, "cat", &[self.mirror.path("token").to_str().unwrap()]);
            assert!(
                !ok && !text.contains(talkmirror_simulator::TOKEN),
                "{state}: the token is closed: {text}"
            );
        }
    }

    pub fn talks(&self) -> i64 {
        let (ok, text) = self.sqlite(ANALYST, "-readonly", "SELECT count(*) FROM talks");
        assert!(ok, "{text}");
        text.parse().unwrap()
    }
}

#[test]
fn check_says_whether_the_daemon_s_user_may_write_where_backups_go() {
    let Some(state) = State::new(1) else { return };
    let folder = state.mirror.path("copies");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.display();
    state.mirror.configure(&format!("database.path = \"state/talks.db\"\nbackup.path = \"{path}\"\n"));
    assert!(
        state.command(&["sync", "1"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    );
    let check = || String::from_utf8(state.command(&["check"]).output().unwrap().stdout).unwrap();
    let out = check();
    assert_said!(verdicts(&out, &["backup"]), @"backup  BAD  cannot write into the folder [folder]/copies: give this user the right to write there, or use another folder. A systemd service also needs that right in a drop-in (`systemctl edit`: [Service] ReadWritePaths=[folder]/copies): Permission denied (os error 13)");
    let (out, _) = state.mirror.ends(0, &["check"]);
    assert_said!(verdicts(&out, &["backup"]), @"backup  ok  [folder]/copies can be used: at 0 0 3 * * * (UTC), the newest 7 are kept; tested as this user, but the daemon runs as another");
    chown(&folder, Some(Uid::from_raw(DAEMON)), None).unwrap();
    let out = check();
    assert_said!(verdicts(&out, &["backup"]), @"backup  ok  [folder]/copies can be used: at 0 0 3 * * * (UTC), the newest 7 are kept");
}

#[test]
fn a_user_of_the_group_reads_in_each_state_of_the_daemon_and_nobody_else_does() {
    let Some(state) = State::new(3000) else { return };
    assert!(state.command(&["enqueue", "1..3000"]).stdout(Stdio::null()).status().unwrap().success());
    let daemon = state.daemon();
    state.mirror.wait("talks are written", || state.talks() > 0);
    let mut seen = 0;
    while seen < 3000 {
        let talks = state.talks();
        assert!(talks >= seen, "{talks} after {seen}");
        seen = talks;
    }
    state.assert_rights("running");
    daemon.stop();
    state.assert_rights("stopped");
    state.daemon().kill_hard();
    state.assert_rights("killed");
    // The analyst's actions do not harm a later start.
    let daemon = state.daemon();
    assert!(state.command(&["enqueue", "1"]).stdout(Stdio::null()).status().unwrap().success());
    let settled = || state.sqlite(ANALYST, "-readonly", "SELECT count(*) FROM talk_queue").1 == "0";
    state.mirror.wait("it works on", settled);
    daemon.kill_hard();
    state.assert_rights("killed once more");
}

#[test]
fn what_root_makes_by_hand_belongs_to_the_owner_of_the_folder() {
    let Some(state) = State::new(5) else { return };
    state.mirror.ends(0, &["enqueue", "1"]);
    state.mirror.ends(0, &["sync", "2"]);
    for entry in fs::read_dir(state.mirror.path("state")).unwrap() {
        let entry = entry.unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&entry.metadata().unwrap());
        assert_eq!(owner, DAEMON, "{:?}", entry.path());
    }
    let daemon = state.daemon();
    assert!(state.command(&["enqueue", "3"]).stdout(Stdio::null()).status().unwrap().success());
    state.mirror.wait("the daemon works on it", || state.talks() == 3);
    daemon.stop();
}
