//! Which host names are accepted.
//!
//! The server has no password, because only this machine can reach it. But a web page open in a local browser may
//! resolve its own name to this machine (DNS rebinding). The requested host name reveals that.

use crate::clock;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, Version, header};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use url::Host;

/// How often a refused host is logged.
const WARN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Longer names are truncated in the journal.
const MAX_NAME_CHARS: usize = 100;

/// Accepts loopback names, the address of the connection, and the names of `http.hosts`.
#[derive(Debug)]
pub(super) struct Hosts {
    named: watch::Receiver<Vec<String>>,
    warned_at: Mutex<Option<Instant>>,
}

impl Hosts {
    pub(super) fn new(named: watch::Receiver<Vec<String>>) -> Hosts {
        Hosts { named, warned_at: Mutex::default() }
    }

    /// Whether a request that arrived on the address `local` is meant for this server.
    ///
    /// # Errors
    /// 421 if it is not, and 400 if it does not name exactly one host.
    pub(super) fn admit(
        &self,
        (version, uri, headers): (Version, &Uri, &HeaderMap),
        local: IpAddr,
    ) -> Result<(), StatusCode> {
        let mut named = headers.get_all(header::HOST).iter();
        let authority = match (named.next(), named.next()) {
            (None, _) if version < Version::HTTP_11 && uri.authority().is_none() => return Ok(()),
            (None, _) if version >= Version::HTTP_11 => return Err(StatusCode::BAD_REQUEST),
            (Some(_), Some(_)) => return Err(StatusCode::BAD_REQUEST),
            (host, _) => match uri.authority() {
                // It takes precedence over the header.
                Some(authority) => Ok(authority.clone()),
                None => Authority::try_from(host.map_or(&b""[..], |host| host.as_bytes())),
            },
        };
        let authority = authority.map_err(|_| StatusCode::BAD_REQUEST)?;
        if authority.as_str().contains('@') {
            return Err(StatusCode::BAD_REQUEST);
        }
        let host = Host::parse(authority.host()).map_err(|_| StatusCode::BAD_REQUEST)?;
        if self.is_ours(&host, local) {
            return Ok(());
        }
        self.warn(authority.host());
        Err(StatusCode::MISDIRECTED_REQUEST)
    }

    fn is_ours(&self, host: &Host, local: IpAddr) -> bool {
        let is_local = |address: IpAddr| {
            let address = address.to_canonical();
            address.is_loopback() || address == local.to_canonical()
        };
        let name = match host {
            Host::Ipv4(address) if is_local(IpAddr::V4(*address)) => return true,
            Host::Ipv6(address) if is_local(IpAddr::V6(*address)) => return true,
            host => host.to_string(),
        };
        let name = name.trim_end_matches('.');
        name == "localhost" || self.named.borrow().iter().any(|named| named == name)
    }

    fn warn(&self, name: &str) {
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_some_and(|at| clock::since(at) < WARN_INTERVAL) {
            return;
        }
        *warned_at = Some(clock::mono());
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        tracing::warn!(
            "http.listen: refused a request for the host \"{}\": name it in http.hosts if it is this server's",
            name.escape_default()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_OURS: Result<(), u16> = Err(421);
    const BAD: Result<(), u16> = Err(400);

    fn ask(version: Version, uri: &str, hosts: &[&str]) -> Result<(), u16> {
        let (_sender, named) = watch::channel(vec!["mirror.example".to_owned(), "192.0.2.9".to_owned()]);
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        let local = "192.0.2.1".parse().unwrap();
        let uri: Uri = uri.parse().unwrap();
        Hosts::new(named).admit((version, &uri, &headers), local).map_err(|status| status.as_u16())
    }

    fn host(host: &str) -> Result<(), u16> {
        ask(Version::HTTP_11, "/metrics", &[host])
    }

    #[test]
    fn loopback_names_the_address_itself_and_the_configured_names_are_answered() {
        for ours in [
            "localhost",
            "LOCALHOST:9187",
            "localhost.",
            "127.0.0.1:9187",
            "127.9.9.9",
            "[::1]:9187",
            "[::ffff:127.0.0.1]",
            "192.0.2.1:9187",
            "192.0.2.9",
            "Mirror.Example",
            "mirror.example.:443",
        ] {
            assert_eq!(host(ours), Ok(()), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:9187",
            "mirror.example.evil.example",
            "a.mirror.example",
            "localhost.evil.example",
            "192.0.2.2",
            "127.0.0.1.evil.example",
            "[2001:db8::1]",
            "0.0.0.0",
        ] {
            assert_eq!(host(other), NOT_OURS, "{other}");
        }
    }

    #[test]
    fn which_host_is_asked_for_must_be_clear() {
        for bad in ["", "a b", "user@localhost", "localhost:port:1", "[::1", "a/b", "local\tost"] {
            assert_eq!(host(bad), BAD, "{bad}");
        }
        assert_eq!(ask(Version::HTTP_11, "/", &[]), BAD);
        assert_eq!(ask(Version::HTTP_11, "http://localhost/", &[]), BAD);
        assert_eq!(ask(Version::HTTP_11, "/", &["localhost", "localhost"]), BAD);
        assert_eq!(ask(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(ask(Version::HTTP_10, "/", &["evil.example"]), NOT_OURS);
        assert_eq!(ask(Version::HTTP_10, "http://evil.example/", &[]), NOT_OURS);
    }

    #[test]
    fn an_address_in_the_request_line_goes_before_the_header() {
        assert_eq!(ask(Version::HTTP_11, "http://evil.example/", &["localhost"]), NOT_OURS);
        assert_eq!(ask(Version::HTTP_11, "http://localhost:1/", &["evil.example"]), Ok(()));
    }
}
