//! Webhooks: what is accepted, and what is refused.

use crate::feeders::{EVENTS, LISTING, REFRESH};
use crate::harness::{Mirror, account};
use crate::journal;
use crate::snapshots::{assert_said, part};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use talkmirror_simulator::{ACCOUNT_ID, Account, Fault};

const SECRET: &str = "a-secret-of-24-letters-x";

/// A mirror that receives webhooks at its own port.
struct Hooked {
    mirror: Mirror,
    port: u16,
}

impl Hooked {
    fn new(talks: i64) -> Hooked {
        Hooked::with(account(talks), "")
    }

    fn with(account: Account, more: &str) -> Hooked {
        let mirror = Mirror::new(account);
        std::fs::write(mirror.path("secret"), format!("{SECRET}\n")).unwrap();
        let port = Mirror::free_port();
        mirror.configure(&format!(
            "webhook.enabled = true\nwebhook.secret_file = \"secret\"\nhttp.listen = \"127.0.0.1:{port}\"\n{more}"
        ));
        Hooked { mirror, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// The status of the response to a webhook.
    fn post(&self, body: &str) -> u16 {
        self.send("POST", &format!("/webhook/{SECRET}"), body)
    }

    fn send(&self, method: &str, path: &str, body: &str) -> u16 {
        let mut stream = self.connect();
        write(&mut stream, method, path, body);
        read(&mut BufReader::new(stream))
    }
}

fn write(stream: &mut TcpStream, method: &str, path: &str, body: &str) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    // A response may come before the whole body was sent.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn read(reader: &mut BufReader<TcpStream>) -> u16 {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(announced) = line.to_lowercase().strip_prefix("content-length:") {
            length = announced.trim().parse().unwrap();
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
    status
}

fn update(talk_id: i64) -> String {
    format!("talk[update][0][talk_id]={talk_id}&talk[update][0][is_in_work]=0&account[id]={ACCOUNT_ID}")
}

#[test]
fn hooks_alone_have_new_changed_closed_and_missed_talks_fetched() {
    let hooked = Hooked::new(5);
    let mirror = &hooked.mirror;
    let daemon = mirror.running_daemon();
    assert_eq!(
        hooked.post(&format!("talk%5Badd%5D%5B3%5D%5Btalk_id%5D=1&account%5Bid%5D={ACCOUNT_ID}")),
        204
    );
    assert_eq!(hooked.post(&update(2)), 204);
    assert_eq!(hooked.post(&format!("message[add][0][talk_id]=3&account[id]={ACCOUNT_ID}")), 204);
    mirror.wait_sql("they are fetched", "SELECT group_concat(talk_id) FROM talks", "1,2,3".to_owned());
    mirror.simulator.account().talk(1).is_in_work = false;
    mirror.simulator.account().talk(2).missed_at = Some(1_700_000_000);
    assert_eq!(hooked.post(&update(1)), 204);
    assert_eq!(hooked.post(&update(2)), 204);
    mirror.wait_sql("a closing", "SELECT is_in_work = 0 FROM talks WHERE talk_id = 1", Some(1));
    mirror.wait_sql("a missed talk", "SELECT missed_at FROM talks WHERE talk_id = 2", Some(1_700_000_000));
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Webhook"), @"Webhook  last [n] s ago: 1 talk queued (5 in all)");
    daemon.stop();
}

#[test]
fn ten_hooks_for_one_talk_are_one_fetch() {
    let hooked = Hooked::new(1);
    let daemon = hooked.mirror.running_daemon();
    for _ in 0..10 {
        assert_eq!(hooked.post(&update(1)), 204);
    }
    hooked.mirror.wait_sql(
        "fetched",
        "SELECT (SELECT count(*) FROM talks) - (SELECT count(*) FROM talk_queue)",
        1,
    );
    daemon.stop();
    assert_eq!(hooked.mirror.simulator.account().requests_of(1), 1);
}

#[test]
fn a_webhook_hurries_no_retry_and_revives_a_talk_that_failed() {
    let hooked = Hooked::new(3);
    let mirror = &hooked.mirror;
    mirror.ends(0, &["enqueue", "1..2"]);
    mirror.execute(
        "UPDATE talk_queue SET attempts = 2, due_at = unixepoch() + 900 WHERE talk_id = 1;
         UPDATE talk_queue SET attempts = 8, failed_at = 5, last_error = 'x' WHERE talk_id = 2;",
    );
    let daemon = mirror.running_daemon();
    assert_eq!(hooked.post(&update(1)), 204);
    assert_eq!(hooked.post(&update(2)), 204);
    assert_eq!(hooked.post(&update(3)), 204);
    mirror.wait_sql("the others are fetched", "SELECT group_concat(talk_id) FROM talks", "2,3".to_owned());
    daemon.stop();
    let rows = "SELECT group_concat(attempts || ' ' || (failed_at IS NULL) || ' ' || (due_at > unixepoch() + 800)) FROM talk_queue";
    assert_eq!(mirror.sql::<String>(rows), "2 1 1");
}

#[test]
fn what_is_no_hook_of_this_account_is_refused_and_queues_nothing() {
    let hooked = Hooked::new(3);
    let mirror = &hooked.mirror;
    mirror.ends(0, &["sync", "1"]);
    let daemon = mirror.running_daemon();
    for path in [
        "/elsewhere",
        "/webhook",
        "/webhook/",
        "/webhook/wrong",
        &format!("/webhook/{SECRET}x"),
        &format!("/webhook/{SECRET}/x"),
    ] {
        assert_eq!(hooked.send("POST", path, &update(2)), 404, "{path}");
    }
    assert_eq!(hooked.send("GET", &format!("/webhook/{SECRET}"), ""), 404);
    for body in ["", "{\"talk\":1}", "talk[add][0][talk_id]=two&account[id]=1", "\u{0}\u{1}"] {
        assert_eq!(hooked.post(body), 400, "{body:?}");
    }
    assert_eq!(hooked.post("talk[add][0][talk_id]=2&account[id]=1"), 403);
    assert_eq!(hooked.post(&format!("{}&x={}", update(2), "x".repeat(1024 * 1024))), 413);
    assert_eq!(
        hooked.post(&format!("leads[add][0][id]=2&account[id]={ACCOUNT_ID}")),
        204,
        "another event of ours"
    );
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talk_queue"), 0);
    daemon.stop();
    assert!(!mirror.log().contains(SECRET) && !mirror.log().contains("panicked"), "{}", mirror.log());
}

#[test]
fn a_busy_database_is_answered_503_within_two_seconds_and_the_hook_is_not_lost() {
    let hooked = Hooked::new(3);
    let mirror = &hooked.mirror;
    let daemon = mirror.running_daemon();
    let holder = mirror.connect();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    assert_eq!(hooked.post(&update(2)), 503);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    holder.execute_batch("COMMIT").unwrap();
    mirror.wait_sql("it is fetched", "SELECT count(*) FROM talks", 1);
    assert_eq!(hooked.post(&update(3)), 204);
    daemon.stop();
}

#[test]
fn a_hook_that_was_committed_outlives_a_kill_and_may_be_sent_again() {
    let hooked = Hooked::new(30);
    let mirror = &hooked.mirror;
    mirror.simulator.account().always = Some(Fault::Problem(401));
    for talk_id in 1..=10 {
        let daemon = mirror.running_daemon();
        let mut stream = hooked.connect();
        write(&mut stream, "POST", &format!("/webhook/{SECRET}"), &update(talk_id));
        let queued = format!("SELECT count(*) FROM talk_queue WHERE talk_id = {talk_id}");
        mirror.wait_sql("committed", &queued, 1);
        daemon.kill_hard();
    }
    mirror.simulator.account().always = None;
    let daemon = mirror.running_daemon();
    for talk_id in 1..=10 {
        assert_eq!(hooked.post(&update(talk_id)), 204, "the vendor sends it again");
    }
    mirror.wait_sql("all are fetched", "SELECT count(*) FROM talks", 10);
    daemon.stop();
    mirror.assert_sound();
}

#[test]
fn a_flood_is_taken_in_whole() {
    let hooked = Hooked::new(400);
    let mirror = &hooked.mirror;
    let daemon = mirror.running_daemon();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let hooked = &hooked;
            scope.spawn(move || {
                let stream = hooked.connect();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                for post in 0..500 {
                    let talk_id = 1 + (thread * 500 + post) % 400;
                    write(&mut stream, "POST", &format!("/webhook/{SECRET}"), &update(talk_id));
                    assert_eq!(read(&mut reader), 204);
                }
            });
        }
    });
    mirror.wait_sql("all are fetched", "SELECT count(*) FROM talks", 400);
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_mirrors_the_account();
    let requests = mirror.simulator.account().requests();
    assert!(requests < 4000, "4,000 hooks were {requests} fetches");
}

#[test]
fn the_rate_limit_holds_with_all_feeders_at_once() {
    let mut account = account(300);
    account.limit = 7;
    account.alive = true;
    account.latency = Duration::from_millis(30);
    let more = format!("api.requests_per_second = 7\n{REFRESH}{LISTING}{EVENTS}");
    let hooked = Hooked::with(account, &more);
    let mirror = &hooked.mirror;
    mirror.ends(0, &["enqueue", "1..20"]);
    mirror.ends(0, &["backfill", "--from", "300"]);
    let daemon = mirror.running_daemon();
    let mut talk_id = 0;
    mirror.wait("many requests", || {
        talk_id = talk_id % 300 + 1;
        assert_eq!(hooked.post(&update(talk_id)), 204);
        mirror.simulator.account().requests() >= 150
    });
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!((account.violations, account.overlaps), (0, 0));
    assert!(account.most_in_a_second() <= 7);
    assert!(account.list_requests() > 0 && account.events_requests() > 0);
}

#[test]
fn an_address_that_is_taken_is_said_so() {
    let hooked = Hooked::new(0);
    let _taken = TcpListener::bind(("127.0.0.1", hooked.port)).unwrap();
    let (_, err) = hooked.mirror.ends(1, &["run"]);
    let own = format!(":{}\\b", hooked.port);
    assert_said!(journal::error(&err), [(&own, ":[http.listen]")], @"error: cannot listen on 127.0.0.1:[http.listen]: set http.listen to an address that is free here: Address already in use (os error 98)");
}

#[test]
fn hooks_are_switched_on_and_their_secret_is_changed_while_the_daemon_runs() {
    let mirror = Mirror::new(account(3));
    let port = Mirror::free_port();
    let listen = format!("http.listen = \"127.0.0.1:{port}\"\n");
    mirror.configure(&listen);
    std::fs::write(mirror.path("secret"), SECRET).unwrap();
    let daemon = mirror.running_daemon();
    let hooked = Hooked { mirror, port };
    assert_eq!(hooked.post(&update(1)), 404, "no hooks are taken");
    hooked.mirror.configure(&format!("{listen}webhook.enabled = true\nwebhook.secret_file = \"secret\"\n"));
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    hooked.mirror.wait("hooks are taken", || hooked.post(&update(1)) == 204);
    std::fs::write(hooked.mirror.path("secret"), "another-secret-of-32-letters-xxx").unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    hooked.mirror.wait("the old secret is of no use", || hooked.post(&update(1)) == 404);
    assert_eq!(hooked.send("POST", "/webhook/another-secret-of-32-letters-xxx", &update(2)), 204);
    hooked.mirror.wait_sql("both are fetched", "SELECT count(*) FROM talks", 2);
    daemon.stop();
}
