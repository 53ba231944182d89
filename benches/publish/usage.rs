//! What processes use, as the kernel counts it.

use crate::postgres::Server;
use std::fs;
use std::process::{Child, Command, Stdio};

/// Processor seconds of these processes so far, with those of their children that have ended.
pub fn cpu(pids: &[u32]) -> f64 {
    let ticks: u64 = pids.iter().map(|pid| ticks(*pid).unwrap_or(0)).sum();
    // The kernel shows them in hundredths, whatever it counts in.
    ticks as f64 / 100.0
}

/// `utime`, `stime`, `cutime` and `cstime`.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    fields.split(' ').skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

/// The server's processes now: the first, and its children. What a child used that has ended is in the first's time.
pub fn of_server(server: &Server) -> Vec<u32> {
    let lines = fs::read_to_string(server.folder.join("data/postmaster.pid")).expect("a running server");
    let first = lines.lines().next().expect("a process id");
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).expect("its children");
    children.split_whitespace().chain([first]).map(|pid| pid.parse().expect("a process id")).collect()
}

/// A line of `/proc/PID/FILE` in MiB.
pub fn mib(pid: u32, file: &str, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process lives");
    let found = text.lines().find(|found| found.starts_with(line)).expect("a line");
    let kib: f64 = found.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1024.0
}

/// Counts `fsync` and `fdatasync` of processes, by `perf`.
pub struct Syncs(Option<Child>);

impl Syncs {
    pub fn count(pids: &[u32]) -> Syncs {
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        let events = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync";
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x", ",", "-e", events, "-p", &pids.join(",")]);
        Syncs(perf.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok())
    }

    /// How many there were. `None` if `perf` cannot count here.
    pub fn end(self) -> Option<u64> {
        let child = self.0?;
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).ok()?;
        let output = child.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let counts = text.lines().filter(|line| line.contains("sys_enter_f"));
        counts.map(|line| line.split(',').next()?.parse::<u64>().ok()).sum()
    }
}
