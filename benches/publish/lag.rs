//! The time from the mirror's commit of a talk to the server's.

use crate::harness::{Mirror, account};
use crate::postgres::Server;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TALKS: i64 = 600;

/// Prints the figures.
pub fn print(server: &'static Server) {
    let database = server.database();
    let mirror = Mirror::new(account(TALKS));
    mirror.configure(&database.config().replace("100ms", "1s"));
    let daemon = mirror.running_daemon();
    mirror.wait("the account is claimed", || {
        database.try_sql("SELECT 1 FROM talkmirror.accounts").as_deref() == Some("1")
    });
    let (writer, reader) = (mirror.connect(), mirror.connect());
    writer.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
    let mut committed: HashMap<i64, f64> = HashMap::new();
    let mut next = Instant::now();
    let mut queued = 0;
    while (committed.len() as i64) < TALKS {
        if queued < TALKS && Instant::now() >= next {
            queued += 1;
            writer.execute("INSERT INTO talk_queue (talk_id) VALUES (?1)", [queued]).expect("queued");
            next += Duration::from_millis(fastrand::u64(20..180));
        }
        let mut talks = reader.prepare_cached("SELECT talk_id FROM talks").expect("talks");
        let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
        let mut rows = talks.query([]).expect("talks");
        while let Some(row) = rows.next().expect("a talk") {
            committed.entry(row.get(0).expect("an id")).or_insert(at);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    database.wait_until_published(&mirror);
    daemon.stop();
    let sql = "SELECT talk_id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM talkmirror.talks";
    let mut lags: Vec<f64> = database
        .sql(sql)
        .lines()
        .map(|line| {
            let (talk_id, at) = line.split_once('|').expect("two columns");
            at.parse::<f64>().expect("a time") - committed[&talk_id.parse::<i64>().expect("an id")]
        })
        .collect();
    lags.sort_by(f64::total_cmp);
    assert_eq!(lags.len() as i64, TALKS);
    let percentile = |share: usize| lags[lags.len() * share / 100];
    println!(
        "from commit to commit, interval = 1s: p50 {:.2} s, p95 {:.2} s, most {:.2} s",
        percentile(50),
        percentile(95),
        lags[lags.len() - 1]
    );
}
