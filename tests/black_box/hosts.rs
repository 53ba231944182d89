//! Which host names are accepted at `http.listen`.

use crate::harness::{Mirror, account};
use crate::http::shown;
use crate::journal;
use crate::snapshots::assert_said;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The status of the response to this raw request head.
fn status(port: u16, head: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn of_host(port: u16, path: &str, host: &str) -> u16 {
    status(port, &format!("GET {path} HTTP/1.1\r\nHost: {host}"))
}

const SECRET: &str = "0123456789abcdef";

fn hooked(more: &str) -> (Mirror, u16) {
    let (mirror, port) =
        shown(account(1), &format!("webhook.enabled = true\nwebhook.secret_file = \"secret\"\n{more}"));
    std::fs::write(mirror.path("secret"), SECRET).unwrap();
    (mirror, port)
}

#[test]
fn a_page_whose_name_resolves_to_this_machine_reads_nothing() {
    let (mirror, port) = hooked("");
    let daemon = mirror.running_daemon();
    let hook = format!("/webhook/{SECRET}");
    for path in ["/", "/metrics", "/readyz", "/healthz", "/page.js", "/nothing", hook.as_str()] {
        assert_eq!(of_host(port, path, &format!("evil.example:{port}")), 421, "{path}");
        assert_ne!(of_host(port, path, &format!("localhost:{port}")), 421, "{path}");
        assert_ne!(of_host(port, path, "127.0.0.1"), 421, "{path}");
        assert_ne!(of_host(port, path, "[::1]"), 421, "{path}");
    }
    assert_eq!(status(port, "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost"), 421);
    assert_eq!(status(port, "GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example"), 200);
    assert_eq!(status(port, "GET /metrics HTTP/1.1\r\nX: y"), 400);
    assert_eq!(status(port, "GET /metrics HTTP/1.0\r\nX: y"), 200);
    assert_said!(mirror.wait_logged(journal::HOST_REFUSED), @r#"WARN http.listen: refused a request for the host "evil.example": name it in http.hosts if it is this server's"#);
    assert_eq!(mirror.logged(journal::HOST_REFUSED).len(), 1, "once an hour: {}", mirror.log());
    daemon.stop();
}

#[test]
fn names_of_http_hosts_are_answered_and_taken_up_at_a_reload() {
    let (mirror, port) = shown(account(1), "http.hosts = [\"Mirror.Example\"]\n");
    let daemon = mirror.running_daemon();
    assert_eq!(of_host(port, "/metrics", "mirror.EXAMPLE:9187"), 200);
    assert_eq!(of_host(port, "/metrics", "prometheus.example"), 421);
    mirror.configure(&format!("http.listen = \"127.0.0.1:{port}\"\nhttp.hosts = [\"prometheus.example\"]\n"));
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    mirror.wait("it is applied", || of_host(port, "/metrics", "prometheus.example") == 200);
    assert_eq!(of_host(port, "/metrics", "mirror.example"), 421);
    daemon.stop();
    mirror.configure("http.hosts = [\"mirror.example:80\", \"*.example\", \"http://x\"]\n");
    let (_, err) = mirror.ends(78, &["run"]);
    assert_said!(err, @r#"
    error: [folder]/config.toml: http.hosts: expected a list of host names without ports: ["mirror.example"], found "mirror.example:80"
    [folder]/config.toml: http.hosts: expected a list of host names without ports: ["mirror.example"], found "*.example"
    [folder]/config.toml: http.hosts: expected a list of host names without ports: ["mirror.example"], found "http://x"
    "#);
}

#[test]
fn a_hook_s_address_may_end_with_a_slash() {
    let (mirror, port) = hooked("");
    let daemon = mirror.running_daemon();
    let body = "talk%5Badd%5D%5B0%5D%5Btalk_id%5D=1&account%5Bid%5D=17029541";
    let post = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}"
        );
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(post(&format!("/webhook/{SECRET}/")), 204);
    assert_eq!(post("/webhook/another-secret-of-mine/"), 404);
    assert_eq!(post(&format!("/webhook/{SECRET}//")), 404);
    mirror.wait_sql("the talk is fetched", "SELECT count(*) FROM talks", 1);
    daemon.stop();
}
