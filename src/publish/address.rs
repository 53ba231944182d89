//! `publish.server`: which servers, and whether they are reached by TLS.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long one host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a host may leave what was sent unacknowledged.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The servers to publish to. The first of them that accepts writes is used.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    config: Box<Config>,
}

impl ServerAddress {
    /// Whether each host is a Unix socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
    }

    /// With TLS, unless each host is this machine.
    pub(crate) fn uses_tls(&self) -> bool {
        !self.config.get_hosts().iter().all(is_here)
    }

    /// What the driver connects with, one host each. Given several, it would spend all the time on a host that accepts
    /// and then sends nothing, and never try the others.
    pub(super) fn configs(&self) -> Vec<Config> {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate();
        hosts.map(|(place, host)| self.config_of(host, ports.get(place).or(ports.first()))).collect()
    }

    fn config_of(&self, host: &Host, port: Option<&u16>) -> Config {
        let mut config = Config::new();
        match host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(folder) => config.host_path(folder),
        };
        if let Some(port) = port {
            config.port(*port);
        }
        config
            .user(self.user())
            .dbname(self.database())
            .ssl_negotiation(self.config.get_ssl_negotiation())
            .channel_binding(self.config.get_channel_binding())
            .application_name("talkmirror")
            .ssl_mode(if self.uses_tls() { SslMode::Require } else { SslMode::Disable })
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_TIMEOUT)
            .keepalives_idle(KEEPALIVE);
        config
    }

    /// The role that connects.
    pub(crate) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }
}

/// Nothing leaves the machine on the way there.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Hosts and database, without the user: `db1,db2:5433/warehouse`.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        for (place, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(folder) => write!(f, "{comma}{}", folder.display())?,
            }
            match ports.get(place).or(ports.first()) {
                Some(port) if *port != 5432 => write!(f, ":{port}")?,
                _ => {}
            }
        }
        write!(f, "/{}", self.database())
    }
}

/// As [`fmt::Display`].
impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ServerAddress {
    /// What was found instead. It repeats nothing of the text, which may hold a password.
    type Err = String;

    fn from_str(text: &str) -> Result<ServerAddress, String> {
        if !["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err("another kind of address".into());
        }
        let config = Config::from_str(text).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("an address that cannot be read ({})", source.unwrap_or_else(|| error.to_string()))
        })?;
        let found = match () {
            () if config.get_password().is_some() => {
                "a password among settings that others may read: put it into publish.password_file"
            }
            () if text.contains("sslmode=") => {
                "sslmode: TLS with a verified name is always used, except on this machine"
            }
            () if config.get_hosts().is_empty() => "no host",
            () if !config.get_hostaddrs().is_empty() => {
                "hostaddr: name the host, because its name is verified"
            }
            () if config.get_user().is_none_or(str::is_empty) => "no user",
            () if config.get_dbname().is_none_or(str::is_empty) => "no database",
            () if config.get_options().is_some() => "options, which a connection pooler refuses",
            () => return Ok(ServerAddress { config: Box::new(config) }),
        };
        Err(found.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, bool), String> {
        text.parse::<ServerAddress>().map(|address| (address.to_string(), address.uses_tls()))
    }

    #[test]
    fn an_address_is_shown_without_its_user_and_uses_tls_unless_it_is_this_machine() {
        let read = |text, shown: &str, tls| assert_eq!(parsed(text), Ok((shown.into(), tls)), "{text}");
        read("postgresql://talkmirror@db1,db2:5433/warehouse", "db1,db2:5433/warehouse", true);
        read("postgresql://talkmirror@db1:5432,db2:5433/warehouse", "db1,db2:5433/warehouse", true);
        read("postgres://u@127.0.0.1:5433/w", "127.0.0.1:5433/w", false);
        read("postgres://u@localhost/w", "localhost/w", false);
        read("postgres://u@localhost,db1/w", "localhost,db1/w", true);
        read("postgresql:///w?user=u&host=/run/postgresql", "/run/postgresql/w", false);
        read("postgres://u@%2Frun%2Fpostgresql/w", "/run/postgresql/w", false);
        read("postgres://u@localhost.example.com/w", "localhost.example.com/w", true);
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for text in [
            "postgresql://u:secret@db1/w",
            "postgresql://u@db1/w?password=secret",
            "postgresql://u@db1/w?sslmode=disable&application_name=secret",
            "postgresql://db1/w?application_name=secret",
            "postgresql://u@db1?application_name=secret",
            "postgresql://u@db1/w?secret",
            "postgresql://u@db1/w?options=secret",
            "postgresql://u@db1/w?hostaddr=10.0.0.1&application_name=secret",
            "host=db1 user=u dbname=secret",
            "secret",
        ] {
            let refused = parsed(text).unwrap_err();
            assert!(!refused.contains("secret"), "{text}: {refused}");
        }
    }
}
