//! What mirroring costs: `cargo bench`.
//!
//! End to end, the real binary works a full queue against the simulator in another process, with a rate limit too
//! high to matter. Processor time and memory are the binary's own, as counted by the kernel.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

#[path = "../tests/black_box/as_mirrored.rs"]
mod as_mirrored;
#[path = "mirror/costs.rs"]
mod costs;
#[path = "mirror/process.rs"]
mod process;
#[path = "mirror/record.rs"]
mod record;

use criterion::{BatchSize, Criterion, Throughput};
use process::{SimulatorProcess, TALKS, children_cpu, keep_to_core, median, peak_mib, simulate};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use talkmirror::clock::unix_now;
use talkmirror::policy::closing::{CloseMode, CloseRules, FetchReason};
use talkmirror::policy::refresh::{RefreshRules, Shares};
use talkmirror::policy::stale::StaleRules;
use talkmirror::store;
use talkmirror::store::feeds::{Fed, FeedRequest};
use talkmirror::talk::TalkId;
use talkmirror_simulator::{ACCOUNT_ID, Account, TOKEN};

const MILLION: i64 = 1_000_000;
const CLOSED_TALKS: i64 = 1_000_000;

fn main() {
    if std::env::args().any(|argument| argument == "--simulator") {
        return simulate();
    }
    if let Some(base_url) = std::env::args().skip_while(|argument| argument != "--bare").nth(1) {
        return fetch_all(&base_url);
    }
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    store_alone(&mut criterion);
    sweep(&mut criterion);
    refresh(&mut criterion);
    let simulator = SimulatorProcess::start();
    // One core for the mirror, and one for the server.
    keep_to_core(0);
    end_to_end(&mut criterion, &simulator);
    costs::print(&simulator);
    figures(&simulator);
    criterion.final_summary();
}

/// The lower bound: the same requests and decoding, but nothing stored.
fn fetch_all(base_url: &str) {
    use talkmirror::amocrm::{Client, ClientConfig, Token, TokenSource};
    let token = Token::read(TokenSource::Environment(TOKEN.to_owned().into())).expect("a token");
    let config = ClientConfig {
        base_url: base_url.parse().expect("an address"),
        connect_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        max_in_flight: 16,
    };
    let client = Arc::new(Client::new(&config, &token).expect("a client"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let next = Arc::new(std::sync::atomic::AtomicI64::new(1));
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (client, next) = (Arc::clone(&client), Arc::clone(&next));
            lanes.spawn(async move {
                loop {
                    let talk_id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if talk_id > TALKS {
                        return;
                    }
                    client.fetch_talk(TalkId::new(talk_id), None).await.expect("a talk");
                }
            });
        }
        lanes.join_all().await;
    });
}

/// The ids from 1 to this one.
fn up_to(last: i64) -> RangeInclusive<TalkId> {
    TalkId::new(1)..=TalkId::new(last)
}

/// A folder with a configuration, and a queue of the first `talks` ids. Feeders are off: without a rate limit they
/// would find the simulator's talks meanwhile.
fn folder(base_url: &str, talks: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), TOKEN).expect("a token");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("token"), private).expect("a token");
    let config = format!(
        "[api]\nbase_url = \"{base_url}\"\ntoken_file = \"token\"\nrequests_per_second = 1000000\nmax_in_flight = 16\n\
         [refresh]\nenabled = false\n[listing]\nenabled = false\n[events]\nenabled = false\n\
         [directory]\nenabled = false\n"
    );
    std::fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let mut connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
    store::queue::enqueue(&mut connection, &[up_to(talks)], |_| {}).expect("a full queue");
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
    command.arg("--quiet").arg("--config").arg(folder.join("config.toml")).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Works the whole queue. Returns the time, and the peak memory in MiB.
fn sync(folder: &Path) -> (Duration, f64) {
    let began = Instant::now();
    let mut child = command(folder, &["sync"]).spawn().expect("the binary runs");
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        peak = peak_mib(child.id()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "sync: {status}");
    (began.elapsed(), peak)
}

fn end_to_end(criterion: &mut Criterion, simulator: &SimulatorProcess) {
    let mut group = criterion.benchmark_group("end to end");
    group.throughput(Throughput::Elements(TALKS as u64));
    group.measurement_time(Duration::from_secs(30));
    group.bench_function("sync of 50,000 queued talks", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations).map(|_| sync(folder(&simulator.base_url, TALKS).path()).0).sum()
        });
    });
    group.finish();
}

fn store_alone(criterion: &mut Criterion) {
    let mut account = Account::with_talks(TALKS);
    account.limit = usize::MAX;
    let talks: Vec<_> = std::mem::take(&mut account.talks).into_values().collect();
    let mut group = criterion.benchmark_group("store alone");
    group.throughput(Throughput::Elements(TALKS as u64));
    group.bench_function("record 50,000 new talks, 128 in a transaction", |bencher| {
        bencher.iter_batched(
            || {
                let folder = tempfile::tempdir().expect("a folder");
                let mut connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
                store::queue::enqueue(&mut connection, &[up_to(TALKS)], |_| {}).expect("a full queue");
                (folder, connection)
            },
            |(folder, mut connection)| {
                record::all(&mut connection, &talks);
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A sweep over 1,000 open talks, 100 of them stale, with few and with many closed talks.
fn sweep(criterion: &mut Criterion) {
    let rules = CloseRules {
        mode: CloseMode::Live,
        stale: StaleRules {
            stale_after: Duration::from_secs(86_400),
            quiet_for: Duration::from_secs(900),
            only_origins: Vec::new(),
            work_time: None,
            except_origins: vec!["avito".into()],
        },
        force_close: true,
        max_per_sweep: 50,
        max_share: 0.5,
    };
    let mut group = criterion.benchmark_group("sweep");
    for closed in [1000, CLOSED_TALKS] {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous = OFF;
                 WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < {closed} + 1000)
                 INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, origin,
                                    missed_at, account_id, payload, first_fetched_at, fetched_at, changed_at)
                 SELECT id, 1, unixepoch() - 200000, id, id > {closed}, 0, 'telegram',
                        CASE WHEN id % 10 = 0 THEN unixepoch() - 100000 - id % 50000 END, 1, '{{}}', 1, 1, 1
                   FROM ids;
                 PRAGMA optimize = 0x10002;"
            ))
            .expect("talks");
        group.bench_function(format!("1,000 open talks beside {closed} closed ones"), |bencher| {
            bencher.iter(|| {
                let now = unix_now();
                let counts = store::sweep::counts(&connection, &rules.stale, now).expect("counts");
                let found = store::sweep::candidates(&connection, &rules.stale, FetchReason::Close, 50, now);
                assert_eq!((counts, found.expect("candidates").len()), ((100, 1000), 50));
            });
        });
    }
    group.finish();
}

/// One choice of talks to refresh, as made every five seconds: 100,000 talks are open, 20,000 were closed this
/// week, and their rows are as wide as real ones.
fn refresh(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut connection = store::open(&folder.path().join("talks.db"), true).expect("a database");
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF;
             WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 120000)
             INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, origin,
                                account_id, payload, first_fetched_at, fetched_at, changed_at)
             SELECT id, 1, unixepoch() - abs(random()) % 500000, id, id <= 100000, id % 2, 'telegram', 1,
                    printf('%.*c', 900, 'x'), 1, unixepoch() - abs(random()) % 20000, 1
               FROM ids;
             PRAGMA optimize = 0x10002;",
        )
        .expect("talks");
    let seconds = Duration::from_secs;
    let rules =
        RefreshRules { min_interval: seconds(120), recheck: seconds(3600), closed_for: seconds(7 * 86_400) };
    let mut candidates = store::feeds::Candidates::default();
    let mut group = criterion.benchmark_group("refresh");
    group.bench_function("36 of 100,000 open talks and 20,000 closed", |bencher| {
        bencher.iter(|| {
            let tx = connection.transaction().expect("a transaction");
            let (rules, now) = (rules.clone(), unix_now());
            let request = FeedRequest::Refresh { rules, room: 36, shares: Shares::default(), now };
            candidates.prepare(&tx, &request).expect("talks are read");
            let fed = store::feeds::work_alone(&tx, &request, &candidates).expect("talks are chosen");
            assert!(matches!(fed, Fed::Refreshed { queued: 36, .. }), "{fed:?}");
            // Rolled back, so that the next choice is the same.
        });
    });
    group.finish();
}

/// Webhooks received and committed, from eight connections. Returns the number per second.
fn webhook_rate(folder: &Path) -> f64 {
    const WEBHOOKS: usize = 20_000;
    const CONNECTIONS: usize = 8;
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    std::fs::write(folder.join("secret"), "a-secret-for-hooks").expect("a secret");
    let config = folder.join("config.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let more = format!(
        "[http]\nlisten = \"127.0.0.1:{port}\"\n[webhook]\nenabled = true\nsecret_file = \"secret\"\n"
    );
    std::fs::write(config, text + &more).expect("a configuration");
    let mut daemon = command(folder, &["run"]).spawn().expect("the daemon starts");
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
                let mut answer = [0; 512];
                for hook in 0..WEBHOOKS / CONNECTIONS {
                    let talk_id = 1 + (hook * CONNECTIONS + connection) % TALKS as usize;
                    let body = format!("talk[update][0][talk_id]={talk_id}&talk[update][0][is_in_work]=1&account[id]={ACCOUNT_ID}");
                    let head = format!("POST /webhook/a-secret-for-hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
                    stream.write_all((head + &body).as_bytes()).expect("sent");
                    let read = stream.read(&mut answer).expect("an answer");
                    assert!(answer[..read].starts_with(b"HTTP/1.1 204"));
                }
            });
        }
    });
    let rate = WEBHOOKS as f64 / began.elapsed().as_secs_f64();
    end(&mut daemon);
    rate
}

fn end(daemon: &mut Child) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .expect("a signal");
    let _ = daemon.wait();
}

/// Memory with a long queue, and the webhook rate.
fn figures(simulator: &SimulatorProcess) {
    let folder = folder(&simulator.base_url, MILLION);
    let mut daemon = command(folder.path(), &["run"]).spawn().expect("the daemon starts");
    std::thread::sleep(Duration::from_secs(5));
    let peak = peak_mib(daemon.id()).expect("the daemon lives");
    end(&mut daemon);
    println!("peak memory, a million queued:     {peak:>8.1} MiB");
    let rates = (0..5).map(|_| webhook_rate(self::folder(&simulator.base_url, 1).path())).collect();
    println!("hooks a second:                    {:>8.0}", median(rates));
}

/// Runs the lower bound in its own process.
fn bare(simulator: &SimulatorProcess) {
    let mut bare = Command::new(std::env::current_exe().expect("our own path"));
    assert!(bare.args(["--bare", &simulator.base_url]).status().expect("it runs").success());
}
