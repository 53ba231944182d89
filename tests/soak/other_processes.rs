//! Other processes: programs that queue talks, readers, one that holds the lock, one that fills the disk, and an
//! operator.

use crate::harness::Mirror;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, Scope};
use std::time::Duration;
use talkmirror_simulator::ACCOUNT_ID;

pub const SECRET: &str = "a-secret-of-24-letters-x";

/// What the other processes did to the mirror.
#[derive(Debug, Default)]
pub struct Disturbances {
    /// Talks whose queueing was confirmed.
    pub ids: Mutex<BTreeSet<i64>>,
    pub locks: AtomicU32,
    pub full_disks: AtomicU32,
    pub webhooks: AtomicU32,
    pub resumes: AtomicU32,
    ends: AtomicBool,
}

impl Disturbances {
    /// Stops the other processes of this daemon's life.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    fn is_running(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }

    fn add(&self, ids: impl IntoIterator<Item = i64>) {
        self.ids.lock().unwrap().extend(ids);
    }
}

#[derive(Clone, Copy)]
pub struct OtherProcesses<'a> {
    pub mirror: &'a Mirror,
    pub disturbances: &'a Disturbances,
    pub port: u16,
    /// Whether there is a disk that may be filled.
    pub disk: bool,
}

impl<'a> OtherProcesses<'a> {
    /// Starts the other processes for one daemon's life.
    pub fn start<'scope>(self, scope: &'scope Scope<'scope, '_>, rng: &mut fastrand::Rng)
    where
        'a: 'scope,
    {
        self.disturbances.ends.store(false, Ordering::Relaxed);
        let mut one = |share: f64| (rng.f64() < share).then(|| rng.fork());
        let (producer, reader) = (one(1.0).unwrap(), one(1.0).unwrap());
        scope.spawn(move || self.queue_by_sql(producer));
        scope.spawn(move || self.read(reader));
        if let Some(rng) = one(0.5) {
            scope.spawn(move || self.send_webhooks(rng));
        }
        if let Some(rng) = one(0.2) {
            scope.spawn(move || self.queue_by_command(rng));
        }
        if let Some(rng) = one(0.7) {
            scope.spawn(move || self.operate(rng));
        }
        if let Some(mut rng) = one(0.1) {
            self.disturbances.locks.fetch_add(1, Ordering::Relaxed);
            let database = self.mirror.database();
            let (after, time) = (rng.u64(0..1_000), rng.u64(100..6_000));
            // It may outlive the daemon, and still run when the next one starts.
            thread::spawn(move || hold_the_lock(database, after, time));
        }
        if let Some(rng) = one(0.1).filter(|_| self.disk) {
            self.disturbances.full_disks.fetch_add(1, Ordering::Relaxed);
            scope.spawn(move || self.fill_the_disk(rng));
        }
        self.miss_a_talk(rng);
    }

    /// Adds a client who was not answered for two hours.
    fn miss_a_talk(self, rng: &mut fastrand::Rng) {
        let mut account = self.mirror.simulator.account();
        for _ in 0..rng.u32(0..3) {
            let talk_id = account.create_missed(7200);
            account.emit("talk_missed_event", talk_id);
        }
    }

    fn some_talk(self, rng: &mut fastrand::Rng) -> i64 {
        let last = *self.mirror.simulator.account().talks.keys().max().unwrap();
        // Sometimes one that does not exist.
        rng.i64(1..last + 5)
    }

    fn queue_by_sql(self, mut rng: fastrand::Rng) {
        while self.disturbances.is_running() {
            thread::sleep(Duration::from_millis(rng.u64(5..800)));
            let ids: Vec<i64> = (0..rng.u32(1..6)).map(|_| self.some_talk(&mut rng)).collect();
            if queue(self.mirror.database(), &ids, &mut rng).is_ok() {
                self.disturbances.add(ids);
            }
        }
    }

    fn queue_by_command(self, mut rng: fastrand::Rng) {
        let first = self.some_talk(&mut rng);
        let output = self.mirror.output(&["enqueue", &format!("{first}..{}", first + 3)]);
        if output.status.success() {
            self.disturbances.add(first..=first + 3);
        }
    }

    fn send_webhooks(self, mut rng: fastrand::Rng) {
        while self.disturbances.is_running() {
            thread::sleep(Duration::from_millis(rng.u64(20..300)));
            let talk_id = self.some_talk(&mut rng);
            let body = format!("talk[update][0][talk_id]={talk_id}&account[id]={ACCOUNT_ID}");
            if webhook(self.port, &body).is_some_and(|status| status == 204) {
                self.disturbances.webhooks.fetch_add(1, Ordering::Relaxed);
                self.disturbances.add([talk_id]);
            }
        }
    }

    fn read(self, mut rng: fastrand::Rng) {
        while self.disturbances.is_running() {
            thread::sleep(Duration::from_millis(rng.u64(20..400)));
            let Ok(connection) = Connection::open(self.mirror.database()) else { continue };
            let _ = connection.execute_batch("BEGIN");
            let _: rusqlite::Result<i64> =
                connection.query_row("SELECT count(*) FROM open_talks", [], |row| row.get(0));
            thread::sleep(Duration::from_millis(rng.u64(0..400)));
        }
    }

    /// Checks the status, and ends a pause.
    fn operate(self, mut rng: fastrand::Rng) {
        thread::sleep(Duration::from_millis(rng.u64(0..1_000)));
        let output = self.mirror.output(&["status", "--json"]);
        let (out, err) = crate::harness::text(&output);
        assert!(!err.contains("panicked"), "{err}");
        // Before the first start there is no status.
        let status = (!out.is_empty()).then(|| serde_json::from_str::<Value>(&out).unwrap());
        if status.is_some_and(|status| !status["daemon"]["pause"].is_null()) {
            self.disturbances.resumes.fetch_add(1, Ordering::Relaxed);
            // The probing process may be killed, so this waits no longer than the others.
            let mut resume = self.mirror.start(&["resume"]);
            while self.disturbances.is_running() && resume.child.try_wait().unwrap().is_none() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn fill_the_disk(self, mut rng: fastrand::Rng) {
        thread::sleep(Duration::from_millis(rng.u64(0..1_500)));
        let ballast = self.mirror.path("disk/ballast");
        if let Ok(mut file) = File::create(&ballast) {
            let block = vec![0; 1 << 20];
            while file.write_all(&block).is_ok() {}
        }
        thread::sleep(Duration::from_millis(rng.u64(100..1_500)));
        fs::remove_file(ballast).unwrap();
    }
}

/// Queues talks like analysts' and integrators' programs, sometimes with odd values.
fn queue(database: PathBuf, ids: &[i64], rng: &mut fastrand::Rng) -> rusqlite::Result<()> {
    let mut connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    let tx = connection.transaction()?;
    for id in ids {
        match rng.u32(0..20) {
            0 => tx.execute(
                "INSERT INTO talk_queue (talk_id, attempts, priority) VALUES (?1, ?2, ?3)",
                (id, i64::MAX - rng.i64(0..2), rng.i64(..)),
            )?,
            1 => tx.execute(
                "INSERT INTO talk_queue (talk_id, due_at, enqueued_at) VALUES (?1, ?2, ?3)",
                (id, rng.i64(..), rng.i64(..)),
            )?,
            2 => tx.execute(
                "INSERT INTO talk_queue VALUES (?1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
                [id],
            )?,
            _ => tx.execute("INSERT INTO talk_queue (talk_id) VALUES (?1)", [id])?,
        };
    }
    tx.commit()
}

/// The status of the response to a webhook.
fn webhook(port: u16, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    write!(
        stream,
        "POST /webhook/{SECRET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn hold_the_lock(database: PathBuf, after: u64, time: u64) {
    thread::sleep(Duration::from_millis(after));
    if !database.exists() {
        return;
    }
    let Ok(connection) = Connection::open(database) else { return };
    let _ = connection.busy_timeout(Duration::from_secs(1));
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        thread::sleep(Duration::from_millis(time));
    }
}
