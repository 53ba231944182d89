//! Many mirrors on one host: what each costs, idle and with two changes a second, and what they cost the server.

use crate::harness::{Daemon, Mirror, account};
use crate::pgbouncer::Pooler;
use crate::postgres::{Database, Server, config_of};
use crate::usage::{self, Syncs};
use rusqlite::Connection;
use std::time::{Duration, Instant};

const TALKS: i64 = 30;
/// Connections of PgBouncer to the server.
const POOL_SIZE: usize = 8;
const MEASURED: Duration = Duration::from_secs(60);
/// Of each account, in a second.
const CHANGES: usize = 2;

struct Fleet {
    mirrors: Vec<Mirror>,
    connections: Vec<Connection>,
}

/// Prints the table.
pub fn print(server: &'static Server, count: usize) {
    let database = server.database();
    let pooler = Pooler::start(server, POOL_SIZE).expect("PgBouncer");
    let mirrors: Vec<Mirror> = (0..count).map(|number| mirror(number as i64 + 1)).collect();
    let mut fleet = Fleet { mirrors, connections: Vec::new() };
    println!("{count} mirrors, each with {TALKS} talks; of one core, or for each mirror");
    println!(
        "| publishing | changes a second | daemons | server | PgBouncer | Pss of each | syncs of each a second |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    let cases =
        [("off", None), ("direct", Some(database.address())), ("PgBouncer", Some(pooler.address(&database)))];
    for (name, address) in cases {
        let publish =
            address.as_ref().map_or_else(String::new, |address| config_of(address).replace("100ms", "1s"));
        for mirror in &fleet.mirrors {
            mirror.configure(&format!("{DEFAULTS}{publish}"));
        }
        let daemons = fleet.start(address.is_some().then_some(&database));
        for changes in [0, CHANGES] {
            fleet.measure(name, changes, &daemons, server, &pooler);
        }
        daemons.into_iter().for_each(Daemon::stop);
    }
}

/// The defaults, which the tests' own configuration changes.
const DEFAULTS: &str = "api.requests_per_second = 6\napi.timeout = \"30s\"\nqueue.poll_interval = \"1s\"\n\
                        refresh.enabled = true\nlisting.enabled = true\nevents.enabled = true\n";

fn mirror(account_id: i64) -> Mirror {
    let mut simulated = account(TALKS);
    simulated.account_id = account_id;
    simulated.keep_log = false;
    simulated.talks.values_mut().for_each(|talk| talk.account_id = account_id);
    let mirror = Mirror::new(simulated);
    mirror.ends(0, &["sync", &format!("1..{TALKS}"), "--quiet"]);
    mirror
}

impl Fleet {
    /// Starts all, spread over the time as the unit does, and waits until all is published.
    fn start(&mut self, database: Option<&Database>) -> Vec<Daemon> {
        let start = |mirror: &Mirror| {
            std::thread::sleep(Duration::from_millis(100));
            mirror.daemon()
        };
        let daemons = self.mirrors.iter().map(start).collect();
        for mirror in &self.mirrors {
            if let Some(database) = database {
                database.wait_until_published(mirror);
            }
        }
        if self.connections.is_empty() {
            let connections = self.mirrors.iter().map(Mirror::connect);
            self.connections = connections.collect();
            // What queues is no part of what is measured.
            self.connections
                .iter()
                .for_each(|of| of.execute_batch("PRAGMA synchronous = OFF").expect("a pragma"));
        }
        std::thread::sleep(Duration::from_secs(10));
        daemons
    }

    fn measure(&self, name: &str, changes: usize, daemons: &[Daemon], server: &Server, pooler: &Pooler) {
        let pids: Vec<u32> = daemons.iter().map(|daemon| daemon.child.id()).collect();
        let now = || {
            (
                usage::cpu(&pids),
                usage::cpu(&usage::of_server(server)),
                usage::cpu(&[pooler.pid]),
                self.versions(),
            )
        };
        let (syncs, began, before) = (Syncs::count(&pids), Instant::now(), now());
        let mut second = 0;
        while began.elapsed() < MEASURED {
            // Spread over the second.
            for (number, (mirror, connection)) in self.mirrors.iter().zip(&self.connections).enumerate() {
                let due = began
                    + Duration::from_secs(second)
                    + Duration::from_secs(1) * number as u32 / daemons.len() as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let talks = (0..changes as i64).map(|nth| 1 + (second as i64 * changes as i64 + nth) % TALKS);
                change(mirror, connection, talks);
            }
            second += 1;
        }
        let (took, after, syncs) = (began.elapsed().as_secs_f64(), now(), syncs.end());
        let share = |before: f64, after: f64| (after - before) / took * 100.0;
        let pss =
            pids.iter().map(|pid| usage::mib(*pid, "smaps_rollup", "Pss:")).sum::<f64>() / pids.len() as f64;
        let syncs = syncs
            .map_or("unknown".to_owned(), |syncs| format!("{:.2}", syncs as f64 / took / pids.len() as f64));
        println!(
            "| {name} | {:.0} | {:.1} % | {:.1} % | {:.1} % | {pss:.1} MiB | {syncs} |",
            (after.3 - before.3) as f64 / took,
            share(before.0, after.0),
            share(before.1, after.1),
            share(before.2, after.2),
        );
    }

    /// All versions of all talks.
    fn versions(&self) -> i64 {
        let of = |connection: &Connection| {
            connection
                .query_row("SELECT sum(version) FROM talks", [], |row| row.get::<_, i64>(0))
                .expect("a sum")
        };
        self.connections.iter().map(of).sum()
    }
}

/// Changes talks in the account, and queues them.
fn change(mirror: &Mirror, connection: &Connection, talks: impl Iterator<Item = i64>) {
    for talk_id in talks {
        mirror.simulator.account().talk(talk_id).updated_at += 1;
        connection.execute("INSERT INTO talk_queue (talk_id) VALUES (?1)", [talk_id]).expect("queued");
    }
}
