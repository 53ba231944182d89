//! Measured processes: the simulator in one of its own, and what the kernel counts of others.

use nix::sys::resource::{UsageWho, getrusage};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use talkmirror_simulator::{Account, Simulator};

/// The talks of the simulated account.
pub const TALKS: i64 = 50_000;

/// The simulator's process: prints its address, ends with its stdin.
pub fn simulate() {
    keep_to_core(1);
    let mut account = Account::with_talks(TALKS);
    account.limit = usize::MAX;
    account.keep_log = false;
    let simulator = Simulator::start(account).expect("a loopback port");
    println!("{}", simulator.base_url());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Binds this process, and those it starts, to one core if there are several.
pub fn keep_to_core(core: usize) {
    let mut cores = nix::sched::CpuSet::new();
    cores.set(core).expect("a core's number");
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cores).expect("a core to keep to");
    }
}

pub struct SimulatorProcess {
    child: Child,
    pub base_url: String,
}

impl SimulatorProcess {
    pub fn start() -> SimulatorProcess {
        let mut child = Command::new(std::env::current_exe().expect("our own path"))
            .arg("--simulator")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut base_url = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut base_url)
            .expect("the simulator says its address");
        SimulatorProcess { child, base_url: base_url.trim().to_owned() }
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Processor seconds of all ended child processes.
pub fn children_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// The peak resident memory of a process. `None` once it has ended.
pub fn peak_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
