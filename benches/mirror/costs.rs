//! What a talk costs, by the size of the mirror.

use super::{MILLION, SimulatorProcess, TALKS, bare, children_cpu, folder, median, sync, up_to};
use std::path::Path;
use talkmirror::store;
use tempfile::TempDir;

/// Rounds over all cases, interleaved, so that a busy machine affects each case alike.
const ROUNDS: usize = 5;

/// One line of the table.
#[derive(Default)]
struct Costs {
    /// Processor seconds per 1,000 talks.
    cpu: Vec<f64>,
    talks_per_second: Vec<f64>,
    peak_mib: Vec<f64>,
}

impl Costs {
    /// Works the whole queue of a folder.
    fn work(&mut self, folder: &Path) {
        let before = children_cpu();
        let (took, peak) = sync(folder);
        self.cpu.push((children_cpu() - before) / (TALKS as f64 / 1000.0));
        self.talks_per_second.push(TALKS as f64 / took.as_secs_f64());
        self.peak_mib.push(peak);
    }

    fn print(self, what: &str) {
        let peak = self.peak_mib.into_iter().fold(0.0, f64::max);
        let (cpu, rate) = (median(self.cpu), median(self.talks_per_second));
        println!("| {what} | {cpu:.4} s | {rate:.0} | {peak:.1} MiB |");
    }
}

/// Prints the table.
pub fn print(simulator: &SimulatorProcess) {
    let million = million(simulator);
    let (mut new, mut queued, mut mirrored) = (Costs::default(), Costs::default(), Costs::default());
    let (mut unchanged, mut unchanged_of_many) = (Costs::default(), Costs::default());
    let mut floor = Vec::new();
    for _ in 0..ROUNDS {
        let empty = folder(&simulator.base_url, TALKS);
        new.work(empty.path());
        queue_again(empty.path());
        unchanged.work(empty.path());

        let many = folder(&simulator.base_url, TALKS);
        let connection = store::open(&many.path().join("talks.db"), true).expect("a database");
        connection
            .execute_batch(&format!(
                "WITH RECURSIVE ids (id) AS (SELECT {MILLION} UNION ALL SELECT id + 1 FROM ids WHERE id < 2 * {MILLION})
                 INSERT INTO talk_queue (talk_id, due_at) SELECT id, unixepoch() + 86400 FROM ids;
                 PRAGMA optimize = 0x10002"
            ))
            .expect("a million rows");
        drop(connection);
        queued.work(many.path());

        let database = empty.path().join("talks.db");
        std::fs::copy(million.path().join("talks.db"), &database).expect("room for a copy");
        queue_again(empty.path());
        mirrored.work(empty.path());
        queue_again(empty.path());
        unchanged_of_many.work(empty.path());

        let before = children_cpu();
        bare(simulator);
        floor.push((children_cpu() - before) / (TALKS as f64 / 1000.0));
    }
    println!(
        "| talks | processor time for 1,000 | talks a second | peak memory |\n| --- | --- | --- | --- |"
    );
    new.print("new, in an empty database");
    queued.print("new, beside a million queued ids");
    mirrored.print("new, beside a million mirrored talks");
    unchanged.print("unchanged, of 50,000 mirrored");
    unchanged_of_many.print("unchanged, of a million mirrored");
    println!("| requests and decoding alone | {:.4} s | | |", median(floor));
}

fn queue_again(folder: &Path) {
    let mut connection = store::open(&folder.join("talks.db"), true).expect("a database");
    store::queue::enqueue(&mut connection, &[up_to(TALKS)], |_| {}).expect("a full queue");
}

/// A million talks with other ids than the simulator's.
fn million(simulator: &SimulatorProcess) -> TempDir {
    let folder = folder(&simulator.base_url, 1);
    let connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
    let talks = include_str!("../../tests/million.sql");
    connection
        .execute_batch(&talks.replace("SELECT i AS talk_id", "SELECT 1000000 + i AS talk_id"))
        .expect("a million talks");
    // As a daemon does after running for a while.
    connection.execute_batch("PRAGMA optimize = 0x10002").expect("statistics");
    folder
}
