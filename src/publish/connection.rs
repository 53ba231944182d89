//! A connection to the server: TLS with a verified name, the password, and the task that drives it.

use super::address::ServerAddress;
use super::error::PublishError;
use crate::files;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// One host may take so long, with TLS and the password.
const HOST_TIMEOUT: Duration = Duration::from_secs(5);
/// Small queries, such as those of the account's row, may take so long.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to publish to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// `publish.server`
    pub address: ServerAddress,
    /// The file of the password: `publish.password_file`, or the systemd credential. It is read at each connect.
    pub password_file: Option<PathBuf>,
    /// `publish.ca_file`. `None`: the system's roots.
    pub ca_file: Option<PathBuf>,
}

/// An open connection. Dropping it closes it.
pub(super) struct Connection {
    client: Client,
    driver: JoinHandle<()>,
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Otherwise it would wait for a server that answers no more.
        self.driver.abort();
    }
}

impl Server {
    /// Connects to the first host that accepts writes.
    ///
    /// # Errors
    /// If none does, or the password or the certificates cannot be read.
    pub(super) async fn connect(&self) -> Result<Connection, PublishError> {
        let password = self.password()?;
        let tls = self.address.uses_tls().then(|| self.tls()).transpose()?;
        let mut failed = PublishError::Refused("publish.server names no host".into());
        for mut config in self.address.configs() {
            if let Some(password) = &password {
                config.password(password.expose_secret());
            }
            match within(HOST_TIMEOUT, "connected", connect(&config, tls.clone())).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// The password, if a file is named, without the line end at its end.
    fn password(&self) -> Result<Option<SecretString>, PublishError> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let (text, _) = files::read_secret(path).map_err(|found| {
            unreadable(path, &found, "write the password there, for this user alone to read")
        })?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(unreadable(path, "it is empty", "write the password there"));
        }
        Ok(Some(SecretString::from(password)))
    }

    fn tls(&self) -> Result<ClientConfig, PublishError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            let what = "publish.ca_file must hold certificates in PEM";
            let text = files::read_text(path).map_err(|error| unreadable(path, &error.to_string(), what))?;
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                certificate
                    .map_err(|error| error.to_string())
                    .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
                    .map_err(|error| unreadable(path, &error, what))?;
            }
            if roots.is_empty() {
                return Err(unreadable(path, "no certificate is in it", what));
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| PublishError::Refused(error.to_string()))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// What the server answers, unless that takes longer than `limit`. Nothing else ends the wait: the kernel of a server that
/// is stopped, and a pooler, acknowledge what is sent. `what` follows "while talkmirror".
pub(super) async fn within<T, E: Into<PublishError>>(
    limit: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, PublishError> {
    timeout(limit, answer).await.map_err(|_| PublishError::Timeout(what))?.map_err(Into::into)
}

async fn connect(config: &Config, tls: Option<ClientConfig>) -> Result<Connection, PublishError> {
    let (client, driver) = if let Some(tls) = tls {
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    };
    Ok(Connection { client, driver })
}

fn unreadable(path: &Path, found: &str, remedy: &str) -> PublishError {
    PublishError::Refused(format!("cannot read {} ({found}): {remedy}", path.display()))
}
