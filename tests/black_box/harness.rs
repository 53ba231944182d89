//! A mirror in its own folder, the real binary, and the simulated account.

use crate::as_mirrored::as_mirrored;
use assert_cmd::Command;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use talkmirror_simulator::{Account, Fault, Simulator, TOKEN};
use tempfile::TempDir;

/// No wait of a test takes this long unless the machine is stuck.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Mirror {
    folder: TempDir,
    /// `database.path`, relative to the folder.
    database: &'static str,
    pub simulator: Simulator,
}

/// An account with talks, with a rate limit too high to matter.
pub fn account(talks: i64) -> Account {
    let mut account = Account::with_talks(talks);
    account.limit = usize::MAX;
    account
}

/// The time in whole Unix seconds, as SQL, JSON and the simulated account have it.
pub fn unix_now() -> i64 {
    talkmirror::clock::unix_now().get()
}

impl Mirror {
    pub fn new(account: Account) -> Mirror {
        Mirror::with_database(account, "talks.db")
    }

    pub fn with_database(account: Account, database: &'static str) -> Mirror {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(account).unwrap();
        let mirror = Mirror { folder, database, simulator };
        mirror.configure("");
        mirror
    }

    /// Writes the configuration: quick retries, a high rate limit and no feeders. `more` overrides it with lines of
    /// `section.key = value`.
    pub fn configure(&self, more: &str) {
        self.write_secret("token", TOKEN);
        let base = format!(
            "api.base_url = \"{}\"\napi.token_file = \"token\"\napi.requests_per_second = 1000\n\
             api.max_in_flight = 8\napi.timeout = \"2s\"\nqueue.poll_interval = \"50ms\"\n\
             queue.retry_base = \"10ms\"\nqueue.retry_max = \"1s\"\n\
             refresh.enabled = false\nlisting.enabled = false\nevents.enabled = false\ndirectory.enabled = false\n{}",
            self.simulator.base_url(),
            match self.database {
                "talks.db" => String::new(),
                path => format!("database.path = \"{path}\"\n"),
            }
        );
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let keys: Vec<String> = more.lines().map(key).collect();
        let base: String =
            base.lines().filter(|line| !keys.contains(&key(line))).map(|line| format!("{line}\n")).collect();
        fs::write(self.path("config.toml"), base + more).unwrap();
    }

    /// Waits until everything pauses for this reason.
    pub fn wait_for_pause(&self, reason: &str) {
        self.wait_sql("a pause", "SELECT pause_reason FROM daemon_status", reason.to_owned());
    }

    /// Writes a file that only its owner may read.
    pub fn write_secret(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.path(self.database)
    }

    /// The binary with this mirror's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        command.env_remove("TALKMIRROR_CONFIG").env_remove("STATE_DIRECTORY").env("LC_ALL", "C.UTF-8");
        command.arg("--config").arg(self.path("config.toml")).args(arguments);
        command.timeout(DEADLINE * 2);
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must end with this code. Returns stdout and stderr.
    pub fn ends(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.output(arguments);
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\nstdout: {out}\nstderr: {err}");
        assert!(!err.contains("panicked"), "{err}");
        (out, err)
    }

    /// What `status` tells as JSON.
    pub fn status(&self) -> serde_json::Value {
        let (out, err) = text(&self.output(&["status", "--json"]));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    }

    /// Starts the daemon, with its log in `daemon.log`.
    pub fn daemon(&self) -> Daemon {
        self.start(&["run"])
    }

    pub fn start(&self, arguments: &[&str]) -> Daemon {
        self.start_in(arguments, &[])
    }

    /// Starts it with these environment variables.
    pub fn start_in(&self, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Daemon {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.log")).unwrap();
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child }
    }

    /// The daemon, once it has opened the database and stored its status.
    pub fn running_daemon(&self) -> Daemon {
        let daemon = self.daemon();
        let pid = i64::from(daemon.child.id());
        self.wait_sql("the daemon runs", "SELECT pid FROM daemon_status", pid);
        daemon
    }

    /// The environment of a process with the clock error last set by [`Mirror::shift_clock`].
    pub fn shifted_clock(&self) -> [(&'static str, OsString); 2] {
        let shift = self.path("clock-shift");
        if !shift.exists() {
            self.shift_clock(0);
        }
        [("LD_PRELOAD", clock_shift().into()), ("SHIFT_FILE", shift.into())]
    }

    /// Sets the clock error of those processes, in seconds.
    pub fn shift_clock(&self, seconds: i64) {
        fs::write(self.path("clock-shift"), seconds.to_string()).unwrap();
    }

    /// The daemon with this clock, once it has opened the database.
    pub fn daemon_with_shifted_clock(&self) -> Daemon {
        let environment = self.shifted_clock();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        let daemon = self.start_in(&["run"], &environment);
        let pid = i64::from(daemon.child.id());
        self.wait_sql("the daemon runs", "SELECT pid FROM daemon_status", pid);
        daemon
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// A free port that no other test gets. Not from 32768 up, where outgoing connections take ports at any time.
    pub fn free_port() -> u16 {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Another run of the tests starts at another port.
        let first = 10_000 + (std::process::id() % 200) as u16 * 100;
        loop {
            let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    }

    /// A GET at `http.listen`: the status and the body.
    pub fn get(&self, port: u16, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// A plain SQLite connection.
    pub fn connect(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection
    }

    pub fn execute(&self, sql: &str) {
        self.connect().execute_batch(sql).unwrap();
    }

    /// The first column of the first row.
    pub fn sql<T: FromSql>(&self, sql: &str) -> T {
        self.connect().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn try_sql<T: FromSql>(&self, sql: &str) -> Option<T> {
        if !self.database().exists() {
            return None;
        }
        let connection = Connection::open(self.database()).ok()?;
        connection.query_row(sql, [], |row| row.get(0)).optional().ok()?
    }

    /// Waits until a query gives this value.
    pub fn wait_sql<T: FromSql + PartialEq + std::fmt::Debug>(&self, what: &str, sql: &str, value: T) {
        let mut last = None;
        self.wait(what, || {
            last = self.try_sql::<T>(sql);
            last.as_ref() == Some(&value)
        });
    }

    /// The same, for what takes minutes on a slow machine.
    pub fn wait_for_long(&self, what: &str, sql: &str, value: i64) {
        self.wait_within(DEADLINE * 5, what, || self.try_sql::<i64>(sql) == Some(value));
    }

    /// Waits for a state, with a deadline.
    pub fn wait(&self, what: &str, reached: impl FnMut() -> bool) {
        self.wait_within(DEADLINE, what, reached);
    }

    /// The same, for what takes minutes.
    pub fn wait_long(&self, what: &str, reached: impl FnMut() -> bool) {
        self.wait_within(DEADLINE * 5, what, reached);
    }

    fn wait_within(&self, deadline: Duration, what: &str, mut reached: impl FnMut() -> bool) {
        let began = Instant::now();
        while !reached() {
            assert!(began.elapsed() < deadline, "not reached: {what}\nlog:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Checks that the database is sound, and that its versions and queue fit its talks.
    pub fn assert_sound(&self) {
        assert_eq!(self.sql::<String>("PRAGMA integrity_check"), "ok");
        let odd = "SELECT count(*) FROM talks t WHERE
                     (SELECT count(*) FROM talk_versions v WHERE v.talk_id = t.talk_id AND valid_to IS NULL) <> 1";
        assert_eq!(self.sql::<i64>(odd), 0, "each talk has one current version");
    }

    /// Checks that every simulated talk is mirrored in its current state, and that the queue is empty.
    pub fn assert_mirrors_the_account(&self) {
        self.assert_sound();
        assert_eq!(self.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
        let connection = self.connect();
        let account = self.simulator.account();
        assert_eq!(self.sql::<i64>("SELECT count(*) FROM talks"), account.talks.len() as i64);
        for talk in account.talks.values() {
            let talk = as_mirrored(talk);
            let stored = talkmirror::store::record::stored_talk(&connection, talk.talk_id).unwrap();
            assert_eq!(stored, Some(talk));
        }
    }
}

/// Reports that a test cannot run here. With `TALKMIRROR_STRICT` it fails: `.ci/run` has what every test needs.
pub fn skip(why: &str) {
    let is_strict = std::env::var_os("TALKMIRROR_STRICT").is_some_and(|value| !value.is_empty());
    assert!(!is_strict, "cannot run, and TALKMIRROR_STRICT is set: {why}");
    eprintln!("skipped: {why}");
}

/// A small file system. Dropping this unmounts it.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    pub fn mount(path: PathBuf, size: &str) -> Option<SmallDisk> {
        if !nix::unistd::Uid::effective().is_root() {
            skip("only root can mount a small disk");
            return None;
        }
        fs::create_dir(&path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(path));
        }
        skip("a tmpfs cannot be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The library that shifts a process's clock, compiled once.
fn clock_shift() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/black_box/clock_shift.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock_shift.so");
        let unfinished = library.with_extension(std::process::id().to_string());
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&unfinished).arg(source);
        assert!(compiler.status().unwrap().success(), "{compiler:?}");
        // Other test runs may have it loaded.
        fs::rename(&unfinished, &library).unwrap();
        library
    };
    LIBRARY.get_or_init(build).clone()
}

/// Copies the binary to where other users can run it.
pub fn copy_binary(to: &Path) {
    // Copied by another process: a file open for writing here, or in a child that another test starts, cannot be
    // run.
    let copied =
        std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_talkmirror")).arg(to).status().unwrap();
    assert!(copied.success());
}

pub fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into())
}

/// A process. Dropping this kills it.
pub struct Daemon {
    pub child: Child,
}

impl Daemon {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// `kill -9`, and gone.
    pub fn kill_hard(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "the process does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A 200 with this body, of the API's content type.
pub fn response(body: impl ToString) -> Fault {
    let headers = vec![("content-type", "application/hal+json")];
    Fault::Answer { status: 200, headers, body: body.to_string().into() }
}
