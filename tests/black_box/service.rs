//! The notify protocol of systemd, over a real socket.

use crate::harness::{Daemon, Mirror, account, skip};
use crate::journal;
use crate::snapshots::assert_said;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use talkmirror_simulator::TOKEN;

/// The receiver of notify messages.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn start(mirror: &Mirror, watchdog: Duration) -> (Manager, Daemon) {
        let manager = Manager::bind(mirror);
        let path = mirror.path("notify");
        let usec = watchdog.as_micros().to_string();
        let environment = [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", OsStr::new(&usec))];
        (manager, mirror.start_in(&["run"], &environment))
    }

    fn bind(mirror: &Mirror) -> Manager {
        let path = mirror.path("notify");
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Manager { socket, heard: Vec::new() }
    }

    /// Receives the pending messages.
    fn listen(&mut self) {
        let mut message = [0; 8192];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.heard.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
    }

    fn has_heard(&mut self, line: &str) -> bool {
        self.listen();
        self.heard.iter().any(|heard| heard.starts_with(line))
    }

    fn count(&mut self, line: &str) -> usize {
        self.listen();
        self.heard.iter().filter(|heard| *heard == line).count()
    }

    /// The index of the first line that begins like this.
    fn place(&self, line: &str) -> usize {
        self.heard
            .iter()
            .position(|heard| heard.starts_with(line))
            .unwrap_or_else(|| panic!("{line}: {:?}", self.heard))
    }
}

/// What a status says of the moment.
const MOMENT: [(&str, &str); 2] =
    [(r"(none yet|\d\d:\d\d:\d\d UTC)", "[time]"), (r"[\d.]+ of 1000.0 requests", "[n] of 1000.0 requests")];

/// A stopped thread. Dropping this resumes it.
struct Held(Pid);

impl Held {
    fn stop(thread: Pid) -> Held {
        ptrace::attach(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Held(thread)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}

#[test]
fn ready_comes_with_an_open_database_and_stopping_before_the_end() {
    let mirror = Mirror::new(account(10));
    mirror.ends(0, &["enqueue", "1..10"]);
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_secs(120));
    mirror.wait("ready", || manager.has_heard("READY=1"));
    assert!(mirror.database().exists());
    mirror.wait("a status", || {
        let counts_all =
            |line: &String| line.starts_with("STATUS=") && line.split(' ').any(|word| word == "10");
        manager.listen();
        manager.heard.iter().any(counts_all)
    });
    daemon.stop();
    manager.listen();
    assert!(manager.place("READY=1") < manager.place("STOPPING=1"), "{:?}", manager.heard);
}

#[test]
fn nobody_is_told_ready_where_the_configuration_is_wrong_or_the_database_held() {
    let mirror = Mirror::new(account(1));
    mirror.configure("api.requests_per_second = 0\n");
    let (mut manager, mut daemon) = Manager::start(&mirror, Duration::from_secs(120));
    assert_eq!(daemon.wait().code(), Some(78));
    mirror.configure("");
    let holder = mirror.running_daemon();
    let (mut second, mut daemon) = Manager::start(&mirror, Duration::from_secs(120));
    assert_eq!(daemon.wait().code(), Some(75));
    assert!(!manager.has_heard("READY=1") && !second.has_heard("READY=1"));
    holder.stop();
}

#[test]
fn a_reload_is_announced_with_its_time_and_a_refused_one_stays_in_the_status() {
    let mirror = Mirror::new(account(1));
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_secs(120));
    mirror.wait("ready", || manager.has_heard("READY=1"));
    manager.heard.clear();
    mirror.configure("api.requests_per_second = 0\nqueue.max_attempts = 0\n");
    daemon.signal(Signal::SIGHUP);
    mirror.wait("ready again", || manager.has_heard("READY=1"));
    assert!(manager.place("RELOADING=1") < manager.place("READY=1"));
    let usec = manager.heard[manager.place("MONOTONIC_USEC=")].split_once('=').unwrap().1.to_owned();
    assert!(usec.parse::<u64>().unwrap() > 0);
    let status = manager.heard[manager.place("STATUS=")].clone();
    assert_said!(status, MOMENT, @"STATUS=NEW CONFIGURATION REFUSED, the old one stays in force: [folder]/config.toml: api.requests_per_second: expected a whole number from 1 to 1000000, found 0; [folder]/config.toml: queue.max_attempts: expected a whole number from 1 to 1000, found 0; [n] of 1000.0 requests a second, last success [time]; 0 talks fetched and 0 closed since [time]");
    manager.heard.clear();
    mirror.configure("");
    daemon.signal(Signal::SIGHUP);
    mirror.wait("ready again", || manager.has_heard("READY=1"));
    assert_said!(manager.heard[manager.place("STATUS=")], MOMENT, @"STATUS=[n] of 1000.0 requests a second, last success [time]; 0 talks fetched and 0 closed since [time]");
    daemon.stop();
}

#[test]
fn a_pause_stands_in_the_status_and_is_no_standstill() {
    let mut account = account(10);
    account.token = "another".into();
    let mirror = Mirror::new(account);
    mirror.ends(0, &["enqueue", "1..10"]);
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_millis(600));
    mirror.wait("paused", || manager.has_heard(journal::STATUS_PAUSED));
    let fed = manager.count("WATCHDOG=1");
    mirror.wait("the watchdog is fed on", || manager.count("WATCHDOG=1") > fed + 3);
    let status = manager.heard[manager.place(journal::STATUS_PAUSED)].clone();
    assert_said!(status, MOMENT, @"STATUS=PAUSED since [time]: the API does not accept the token (HTTP 401: the token is not accepted); next probe at [time]; [n] of 1000.0 requests a second, last success [time]; 0 talks fetched and 0 closed since [time]");
    assert!(!status.contains(TOKEN));
    daemon.stop();
}

#[test]
fn a_locked_database_is_no_standstill_and_a_stopped_process_is_one() {
    let mirror = Mirror::new(account(10));
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_millis(600));
    mirror.wait("fed", || manager.count("WATCHDOG=1") > 2);
    let foreign = mirror.connect();
    foreign.execute_batch("BEGIN IMMEDIATE; INSERT INTO talk_queue (talk_id) VALUES (1)").unwrap();
    mirror.wait("it is said", || manager.has_heard("STATUS=CANNOT WRITE THE DATABASE"));
    let fed = manager.count("WATCHDOG=1");
    mirror.wait("fed on", || manager.count("WATCHDOG=1") > fed + 3);
    foreign.execute_batch("COMMIT").unwrap();
    mirror.wait_sql("it goes on", "SELECT count(*) FROM talks", 1);
    daemon.signal(Signal::SIGSTOP);
    // Reads messages sent before it stopped, until none come for a while.
    let mut quiet_since = (Instant::now(), manager.count("WATCHDOG=1"));
    mirror.wait("it is silent", || {
        let fed = manager.count("WATCHDOG=1");
        if fed != quiet_since.1 {
            quiet_since = (Instant::now(), fed);
        }
        quiet_since.0.elapsed() > Duration::from_secs(2)
    });
    daemon.signal(Signal::SIGCONT);
    mirror.wait("fed again", || manager.count("WATCHDOG=1") > quiet_since.1);
    daemon.stop();
}

#[test]
fn a_writer_that_hangs_is_not_hidden_by_a_worker_that_goes_on() {
    if !nix::unistd::geteuid().is_root() {
        skip("only root may stop a thread of a process that may not be looked into");
        return;
    }
    let (mirror, port) = crate::http::shown(account(10), "");
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_millis(600));
    mirror.wait("ready", || manager.has_heard("READY=1"));
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
    let writer = tasks
        .map(|task| task.unwrap())
        .find(|task| std::fs::read_to_string(task.path().join("comm")).unwrap().trim() == "writer")
        .expect("the writer's thread");
    let writer = Pid::from_raw(writer.file_name().to_str().unwrap().parse().unwrap());
    let held = loop {
        let held = Held::stop(writer);
        // Not while SQLite runs: then the writer is given a quarter of an hour.
        let call =
            std::fs::read_to_string(format!("/proc/{}/task/{writer}/syscall", daemon.child.id())).unwrap();
        if call.split(' ').next() == Some(&nix::libc::SYS_futex.to_string()) {
            break held;
        }
    };
    mirror.wait_long("the standstill is seen", || {
        // As systemd does: a full notify socket blocks its sender.
        manager.listen();
        mirror.get(port, "/healthz").0 == 503
    });
    let (_, why) = mirror.get(port, "/healthz");
    assert_said!(why, @"the daemon makes no progress: the thread that writes the database has done nothing for [n] s");
    let (status, ready) = mirror.get(port, "/readyz");
    assert_eq!(status, 503);
    assert_said!(ready, @"the daemon makes no progress: the thread that writes the database has done nothing for [n] s");
    manager.listen();
    manager.heard.clear();
    mirror.wait("it is said", || manager.has_heard(journal::STATUS_NO_PROGRESS));
    assert_eq!(manager.count("WATCHDOG=1"), 0, "and the watchdog is not fed");
    drop((held, manager));
    mirror.wait("it goes on", || mirror.get(port, "/healthz").0 == 200);
    daemon.stop();
}

#[test]
fn a_start_that_makes_indexes_of_many_talks_has_systemd_wait_and_ready_comes_after_it() {
    let mirror = Mirror::new(account(0));
    mirror.ends(0, &["enqueue", "1"]);
    mirror.execute(
        "PRAGMA synchronous = OFF;
         DROP INDEX talks_origin; DROP INDEX talks_contact; DROP INDEX talks_open; DROP INDEX talks_closed;
         INSERT INTO mirror_info VALUES ('account_id', '17029541');
         WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 100000)
         INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, account_id, payload,
                            first_fetched_at, fetched_at, changed_at)
         SELECT id, id, id, 1, id % 2, 0, 17029541, '{}', 1, 1, 1 FROM ids;",
    );
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_secs(120));
    mirror.wait("ready", || manager.has_heard("READY=1"));
    assert!(manager.place("EXTEND_TIMEOUT_USEC=") < manager.place("READY=1"), "{:?}", manager.heard);
    assert!(manager.has_heard(journal::STATUS_UPDATES_SCHEMA), "{:?}", manager.heard);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM sqlite_schema WHERE name = 'talks_closed'"), 1);
    daemon.stop();
}

#[test]
fn a_lock_that_is_waited_for_at_the_start_has_systemd_wait_too() {
    let mirror = Mirror::new(account(0));
    mirror.ends(0, &["enqueue", "1"]);
    let connection = mirror.connect();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_secs(120));
    mirror.wait("it says why it is not ready", || manager.has_heard(journal::STATUS_WAITS_FOR_LOCK));
    connection.execute_batch("COMMIT").unwrap();
    mirror.wait("ready", || manager.has_heard("READY=1"));
    assert!(manager.place("EXTEND_TIMEOUT_USEC=") < manager.place("READY=1"), "{:?}", manager.heard);
    daemon.stop();
}

#[test]
fn a_manager_with_a_full_queue_holds_nobody_up_and_hears_ready_once_there_is_room() {
    let (mirror, port) = crate::http::shown(account(10), "");
    mirror.ends(0, &["enqueue", "1..10"]);
    let mut manager = Manager::bind(&mirror);
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"OTHER=1", mirror.path("notify")).is_ok() {}
    // No watchdog, whose messages would bring the others with them.
    // A start that waits for a lock notifies too.
    let writer = mirror.connect();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let daemon = mirror.start_in(&["run"], &[("NOTIFY_SOCKET", mirror.path("notify").as_os_str())]);
    std::thread::sleep(Duration::from_secs(2));
    writer.execute_batch("COMMIT").unwrap();
    mirror.wait_sql("it works", "SELECT count(*) FROM talks", 10);
    mirror.wait("it is alive", || mirror.get(port, "/healthz").0 == 200);
    mirror.wait("ready", || manager.has_heard("READY=1"));
    daemon.stop();
    manager.listen();
    assert!(manager.place("READY=1") < manager.place("STOPPING=1"), "{:?}", manager.heard);
}

#[test]
fn a_manager_that_does_not_listen_holds_nobody_up() {
    let (mirror, port) = crate::http::shown(account(10), "");
    let (mut manager, daemon) = Manager::start(&mirror, Duration::from_millis(300));
    mirror.wait("ready", || manager.has_heard("READY=1"));
    // A socket holds about ten messages, and the watchdog is fed ten times a second.
    mirror.wait_sql("it is full", "SELECT unixepoch() - started_at > 5 FROM daemon_status", true);
    mirror.ends(0, &["enqueue", "1..10"]);
    mirror.wait_sql("it works", "SELECT count(*) FROM talks", 10);
    assert_eq!(mirror.get(port, "/healthz").0, 200);
    daemon.stop();
}
