//! What `check` reports on `http.listen`.

use super::CheckResult;
use crate::config::Config;
use crate::http::PROCESS_HEADER;
use crate::report::Overview;
use crate::store::lock;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A daemon on this machine responds at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Another program that listens there may send without end.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Whether `address` is free, or used by the daemon of this database.
pub(super) fn listen(config: &Config, address: SocketAddr, overview: Option<&Overview>) -> CheckResult {
    let Err(error) = TcpListener::bind(address) else {
        return Ok(format!("{address} is free"));
    };
    let daemon = overview.and_then(|overview| overview.daemon.as_ref());
    if error.kind() == ErrorKind::AddrInUse
        && lock::is_held(&config.database) == Some(true)
        && let Some(daemon) = daemon
        && process_at(address).ok().flatten() == Some(daemon.pid)
    {
        return Ok(format!("{address} is in use by the daemon of this database (process {})", daemon.pid));
    }
    let text =
        format!("cannot listen on {address}: {error}; set http.listen to an address that is free here");
    Err(text.into())
}

/// The process id of the talkmirror process that listens there.
fn process_at(address: SocketAddr) -> io::Result<Option<u32>> {
    let mut to = address;
    if address.ip().is_unspecified() {
        to.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    let mut stream = TcpStream::connect_timeout(&to, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(stream, "GET /healthz HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    let value = answer.lines().find_map(|line| line.strip_prefix(PROCESS_HEADER)?.strip_prefix(':'));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}
