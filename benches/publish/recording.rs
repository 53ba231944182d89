//! What it costs the mirror to mark changes: processor time to work 50,000 queued talks, with and without.

use crate::process::{SimulatorProcess, TALKS, children_cpu, keep_to_core, median};
use crate::record;
use nix::sys::resource::{UsageWho, getrusage};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use talkmirror::store;
use talkmirror::talk::TalkId;
use talkmirror_simulator::{Account, TOKEN};

/// Over all cases, interleaved, so that a busy machine affects each case alike.
const ROUNDS: usize = 11;

/// One line of the table.
struct Case {
    name: &'static str,
    program: PathBuf,
    is_marked: bool,
    /// Processor seconds for 1,000 talks: new ones, and the same again unchanged.
    new: Vec<f64>,
    unchanged: Vec<f64>,
}

/// Prints the table. `other` is another build of the binary.
pub fn print(other: Option<PathBuf>) {
    marking();
    let simulator = SimulatorProcess::start();
    // One core for the mirror, and one for the server.
    keep_to_core(0);
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_talkmirror"));
    let case = |name, program, is_marked| Case { name, program, is_marked, new: vec![], unchanged: vec![] };
    let mut cases = vec![case("off", ours.clone(), false), case("on", ours, true)];
    cases.extend(other.map(|program| case("off, other build", program, false)));
    for round in 0..ROUNDS {
        let first = round % cases.len();
        cases.rotate_left(first);
        cases.iter_mut().for_each(|case| case.work(&simulator.base_url));
        cases.rotate_right(first);
        // It takes minutes.
        eprintln!("round {} of {ROUNDS}", round + 1);
    }
    println!(
        "| publishing | 1,000 new talks | of off | 1,000 unchanged ones | of off |\n| --- | --- | --- | --- | --- |"
    );
    for case in &cases {
        let (new, unchanged) = (ratio(&case.new, &cases[0].new), ratio(&case.unchanged, &cases[0].unchanged));
        let (of_new, of_unchanged) = (median(case.new.clone()), median(case.unchanged.clone()));
        println!("| {} | {of_new:.4} s | {new:.3} | {of_unchanged:.4} s | {unchanged:.3} |", case.name);
    }
}

/// The median of the rounds' ratios. What slows down a whole round does not show in it.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of / to).collect())
}

impl Case {
    fn work(&mut self, base_url: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::write(path.join("token"), TOKEN).expect("a token");
        fs::set_permissions(path.join("token"), fs::Permissions::from_mode(0o600)).expect("a token");
        let config = format!(
            "[api]\nbase_url = \"{base_url}\"\ntoken_file = \"token\"\nrequests_per_second = 1000000\nmax_in_flight = 16\n\
             [refresh]\nenabled = false\n[listing]\nenabled = false\n[events]\nenabled = false\n\
             [directory]\nenabled = false\n"
        );
        fs::write(path.join("config.toml"), config).expect("a configuration");
        for round in [&mut self.new, &mut self.unchanged] {
            run(&self.program, path, &["enqueue", &format!("1..{TALKS}")]);
            if self.is_marked {
                switch_on(&Connection::open(path.join("talks.db")).expect("a database"));
            }
            let before = children_cpu();
            run(&self.program, path, &["sync"]);
            round.push((children_cpu() - before) / (TALKS as f64 / 1000.0));
        }
        let connection = Connection::open(path.join("talks.db")).expect("a database");
        let marked: i64 = match self.is_marked {
            true => {
                connection.query_row("SELECT count(*) FROM changes", [], |row| row.get(0)).expect("a count")
            }
            false => 0,
        };
        assert_eq!(marked, if self.is_marked { TALKS } else { 0 });
    }
}

/// Has changes marked, as the publisher does. It runs in no sync.
fn switch_on(connection: &Connection) {
    let sql =
        "INSERT OR IGNORE INTO mirror_info VALUES ('publish.capture', '{\"floor\":0,\"marked_to\":null}')";
    connection.execute(sql, []).expect("marking");
}

/// Prints what marking one new talk takes, in this process, without requests.
fn marking() {
    let talks: Vec<_> = Account::with_talks(TALKS).talks.into_values().collect();
    let differences = (0..ROUNDS).map(|_| {
        let of = [false, true].map(|is_marked| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
            let ids = TalkId::new(1)..=TalkId::new(TALKS);
            store::queue::enqueue(&mut connection, &[ids], |_| {}).expect("a full queue");
            if is_marked {
                switch_on(&connection);
            }
            let before = own_cpu();
            record::all(&mut connection, &talks);
            (own_cpu() - before) / TALKS as f64 * 1e6
        });
        (of[1] - of[0], of[0])
    });
    let (more, off): (Vec<f64>, Vec<f64>) = differences.unzip();
    println!("marking a new talk takes {:.2} µs, recording it {:.2} µs", median(more), median(off));
}

/// Processor seconds of this thread.
fn own_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("usage");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.arg("--quiet").arg("--config").arg(folder.join("config.toml")).args(arguments);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the binary runs");
    assert!(status.success(), "{arguments:?}: {status}");
}
