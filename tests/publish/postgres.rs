//! A PostgreSQL server of this test binary, on loopback, as a user that is not root. Each test has its own database.

use crate::harness::{Mirror, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// A server in a folder of its own.
pub struct Server {
    pub folder: PathBuf,
    pub port: u16,
}

/// A database of a server.
pub struct Database {
    pub server: &'static Server,
    pub name: String,
    /// The role that publishes.
    pub role: String,
}

/// The folder of PostgreSQL's programs, of the newest version that is installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number =
        |path: &Path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(|path| number(path))?;
    let programs = newest.join("bin");
    programs.join("initdb").exists().then_some(programs)
}

/// A program of PostgreSQL, as a user that is not root.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(programs().unwrap().join(name));
    if let Some(user) = other_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

pub fn other_user() -> Option<User> {
    nix::unistd::Uid::effective().is_root().then(|| User::from_name("postgres").unwrap().unwrap())
}

/// A folder that this user may write.
pub fn other_folder() -> PathBuf {
    let folder = tempfile::tempdir().unwrap().keep();
    if let Some(user) = other_user() {
        nix::unistd::chown(&folder, Some(user.uid), Some(user.gid)).unwrap();
    }
    folder
}

/// Starts a server's process, as a user that is not root, with its log in a folder. It ends with this process. Returns its
/// process id.
pub fn run_beside(program: &Path, arguments: &[PathBuf], folder: &Path) -> u32 {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if let Some(user) = other_user() {
        command.args(["--reuid", &user.name, "--regid", &user.gid.to_string(), "--clear-groups"]);
    }
    command.arg(program).args(arguments).stdout(log.try_clone().unwrap()).stderr(log);
    let (started, ready) = mpsc::channel();
    // The kernel ends the server when the thread that started it ends. So that thread stays.
    std::thread::spawn(move || {
        let mut child = command.spawn().unwrap();
        started.send(child.id()).unwrap();
        let _ = child.wait();
    });
    ready.recv().unwrap()
}

impl Server {
    /// The server of this test binary. `None` if PostgreSQL is not installed.
    pub fn shared() -> Option<&'static Server> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER
            .get_or_init(|| match programs() {
                Some(_) => Some(Server::start("")),
                None => {
                    skip("PostgreSQL is not installed (Debian's package postgresql)");
                    None
                }
            })
            .as_ref()
    }

    /// A new one, with these lines in its configuration. It ends with this process.
    pub fn start(more: &str) -> Server {
        let folder = other_folder();
        let data = folder.join("data");
        let made = program("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = Mirror::free_port();
        let mut lines = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        lines += &format!(
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n\
             max_connections = 300\nlog_min_messages = warning\n{more}\n",
            folder.display()
        );
        fs::write(data.join("postgresql.conf"), lines).unwrap();
        let server = Server { folder, port };
        server.run();
        server
    }

    /// A standby of it, asynchronous, that follows it.
    pub fn standby(&self) -> Server {
        let (folder, port) = (other_folder(), Mirror::free_port());
        let data = folder.join("data");
        let copied = program("pg_basebackup")
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-R",
                "-c",
                "fast",
                "-D",
            ])
            .arg(&data)
            .status();
        assert!(copied.unwrap().success());
        let lines = format!("port = {port}\nunix_socket_directories = '{}'\n", folder.display());
        let path = data.join("postgresql.conf");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &lines).unwrap();
        let server = Server { folder, port };
        server.run();
        server
    }

    /// Starts the process, and waits until it takes connections.
    pub fn run(&self) {
        run_beside(
            &programs().unwrap().join("postgres"),
            &["-D".into(), self.folder.join("data")],
            &self.folder,
        );
        let began = Instant::now();
        while self.psql("postgres", "SELECT 1").is_err() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the process: `immediate` as by a crash, or `fast`.
    pub fn stop(&self, mode: &str) {
        let data = self.folder.join("data");
        let status =
            program("pg_ctl").args(["-m", mode, "-w", "stop", "-D"]).arg(data).stdout(Stdio::null()).status();
        assert!(status.unwrap().success());
    }

    /// Signals all its processes, those of its sessions too.
    pub fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let first: i32 = pid.lines().next().unwrap().parse().unwrap();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        for process in std::iter::once(first).chain(children) {
            // A session may end just now.
            let _ = kill(Pid::from_raw(process), signal);
        }
    }

    /// Runs SQL as the superuser. Returns what it prints, one row a line.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// A new database with the role `talkmirror`, and the schema in it.
    pub fn database(&'static self) -> Database {
        let database = self.empty_database();
        let mirror = tempfile::tempdir().unwrap();
        let made = assert_cmd::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
            .current_dir(&mirror)
            .args(["publish", "init", "--server", &database.address_of("postgres")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Other tests of this server may grant it at the same moment.
        database.sql("DO $$ BEGIN GRANT talkmirror_publisher TO talkmirror; EXCEPTION WHEN unique_violation THEN NULL; END $$");
        database
    }

    /// A new database with the role `talkmirror`, and nothing in it.
    pub fn empty_database(&'static self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("warehouse{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let role = "DO $$ BEGIN CREATE ROLE talkmirror LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
        self.psql("postgres", role).unwrap();
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        Database { server: self, name, role: "talkmirror".into() }
    }
}

/// Lines of the configuration that publish to this address.
pub fn config_of(address: &str) -> String {
    format!("publish.enabled = true\npublish.server = \"{address}\"\npublish.interval = \"100ms\"\n")
}

impl Database {
    /// Runs SQL as the superuser.
    pub fn sql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same. An error, such as while the server is down, is no result.
    pub fn try_sql(&self, sql: &str) -> Option<String> {
        self.server.psql(&self.name, sql).ok()
    }

    /// For `publish.server`.
    pub fn address(&self) -> String {
        self.address_of(&self.role)
    }

    pub fn address_of(&self, user: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// Lines of the configuration that publish to it.
    pub fn config(&self) -> String {
        config_of(&self.address())
    }

    /// Publishes by a role of its own, so that a test may take its rights away.
    pub fn with_own_role(mut self) -> Database {
        self.role = format!("publisher_of_{}", self.name);
        self.sql(&format!("CREATE ROLE {0} LOGIN; GRANT talkmirror_publisher TO {0}", self.role));
        self
    }

    /// Ends all sessions of the publisher.
    pub fn end_sessions(&self) -> String {
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'talkmirror'
                AND datname = current_database()",
        )
    }

    /// Waits until the server has all changes of the mirror.
    pub fn wait_until_published(&self, mirror: &Mirror) {
        let account_id = mirror.simulator.account().account_id;
        let position = format!("SELECT position FROM talkmirror.accounts WHERE account_id = {account_id}");
        mirror.wait("everything is published", || {
            let marking =
                "SELECT count(*) FROM mirror_info WHERE key = 'publish.capture' AND value LIKE '%null%'";
            mirror.try_sql::<i64>(marking) == Some(1)
                && self.try_sql(&position)
                    == mirror.try_sql::<i64>("SELECT max(seq) FROM changes").map(|top| top.to_string())
        });
    }
}
