//! Why nothing is published, and whether that may pass.

use crate::store::SqlError;
use std::error::Error;
use std::fmt;
use std::io;
use tokio_postgres::error::SqlState;

/// Why a step failed.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// The server, or the way to it.
    Server(Box<tokio_postgres::Error>),
    /// It took longer than its deadline.
    Timeout(&'static str),
    /// Another claim has raised the epoch, or the position was moved: the account must be claimed again.
    Fenced,
    /// A person must act: why, and what to do.
    Refused(String),
    /// Another mirror holds the account: which, and what to do. A standby waits for its end.
    Held(String),
    /// The mirror cannot be read.
    Mirror(SqlError),
    /// The daemon stops, or its writer has ended.
    Stopped,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may pass.
    Transient,
    /// A person must act.
    Refused,
    /// Something in one of the rows. The others may be published.
    OfRows,
}

impl PublishError {
    pub(crate) fn class(&self) -> Class {
        match self {
            PublishError::Server(error) => match error.code() {
                Some(state) => class_of(state),
                None if is_of_tls(error.as_ref()) || is_of_settings(error) => Class::Refused,
                None => Class::Transient,
            },
            PublishError::Refused(_) | PublishError::Held(_) => Class::Refused,
            _ => Class::Transient,
        }
    }

    /// For metrics: the SQLSTATE, or what kind of failure it is.
    pub(crate) fn label(&self) -> &str {
        match self {
            PublishError::Server(error) => error.code().map_or("connection", SqlState::code),
            PublishError::Timeout(_) => "timeout",
            PublishError::Fenced => "fenced",
            PublishError::Refused(_) => "refused",
            PublishError::Held(_) => "held",
            PublishError::Mirror(_) => "mirror",
            PublishError::Stopped => "stopped",
        }
    }
}

/// By its SQLSTATE.
fn class_of(state: &SqlState) -> Class {
    let code = state.code();
    match (state, code.get(..2).unwrap_or_default()) {
        // Data, integrity, limits, a view's check, and what a trigger raises: a row's own.
        (_, "21" | "22" | "23" | "44" | "54") => Class::OfRows,
        (state, _) if *state == SqlState::RAISE_EXCEPTION => Class::OfRows,
        // Who connects, what it may do, and what must be there.
        (_, "28" | "42" | "3D" | "3F" | "0A") => Class::Refused,
        _ => Class::Transient,
    }
}

/// What a person can do about it.
fn remedy(state: &SqlState) -> Option<&'static str> {
    match state.code() {
        "28P01" => Some("write the role's password into publish.password_file"),
        "28000" => Some(
            "make the role, and let it connect from here (CREATE ROLE or ALTER ROLE … LOGIN, pg_hba.conf)",
        ),
        "3D000" => Some("name a database that exists in publish.server, or create it"),
        "42501" => Some(
            "give the role its rights: `talkmirror publish init` with the schema's owner, and \
             GRANT talkmirror_publisher TO the role of publish.server",
        ),
        "42P01" | "42703" | "3F000" => Some(
            "create what is missing with the schema's owner: `talkmirror publish init`. If rows were lost with it, run \
             `talkmirror publish all` then",
        ),
        "42P10" => Some("give the table its primary key back: rows are found by it"),
        "25006" => Some(READ_ONLY),
        "53100" => Some("free disk space on the server"),
        "53300" => Some("raise max_connections on the server, or put a pooler before it"),
        _ => None,
    }
}

/// What a person can do about a server that refuses writes.
const READ_ONLY: &str = "name the primary in publish.server, or lift default_transaction_read_only";

/// What a person can do about an error that is not the server's own.
fn remedy_of_connection(text: &str) -> Option<&'static str> {
    // These errors arrive without types of their own: only their words identify them.
    let remedies = [
        (
            "UnknownIssuer",
            "publish.ca_file must hold the certificate of the authority that signed the server's",
        ),
        (
            "BadSignature",
            "publish.ca_file must hold the certificate of the authority that signed the server's",
        ),
        (
            "CaUsedAsEndEntity",
            "give the server a certificate that an authority signed, not the authority's own",
        ),
        ("not valid for name", "publish.server must name the host as its certificate does"),
        ("NotValidForName", "publish.server must name the host as its certificate does"),
        ("xpired", "give the server a new certificate"),
        (
            "does not support TLS",
            "switch TLS on at the server (ssl = on): only this machine is reached without",
        ),
        ("password missing", "write the role's password into publish.password_file"),
        ("does not allow writes", READ_ONLY),
    ];
    remedies.into_iter().find(|(part, _)| text.contains(part)).map(|(_, remedy)| remedy)
}

/// A wrong certificate, or a server without TLS. Waiting does not help.
fn is_of_tls(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        if found.is::<rustls::Error>() {
            return true;
        }
        // `io::Error` hides what it wraps from `source`.
        let wrapped = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if wrapped.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = found.source();
    }
    error.to_string().starts_with("error performing TLS handshake")
        && !error.source().is_some_and(<dyn Error>::is::<io::Error>)
}

/// The driver needs another setting, such as a password.
fn is_of_settings(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    text.starts_with("invalid configuration") || text.starts_with("authentication error")
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Server(error) => match error.as_db_error() {
                Some(found) => {
                    write!(f, "{} (SQLSTATE {})", found.message(), found.code().code())?;
                    match remedy(found.code()) {
                        Some(remedy) => write!(f, ": {remedy}"),
                        None => Ok(()),
                    }
                }
                None => {
                    let mut text = error.to_string();
                    let mut cause = error.source();
                    while let Some(found) = cause {
                        text = format!("{text}: {found}");
                        cause = found.source();
                    }
                    match remedy_of_connection(&text) {
                        Some(remedy) => write!(f, "{text}: {remedy}"),
                        None => write!(f, "{text}"),
                    }
                }
            },
            PublishError::Timeout(what) => {
                write!(f, "the server did not answer in time while talkmirror {what}")
            }
            PublishError::Fenced => write!(f, "another process has claimed the account since"),
            PublishError::Refused(why) | PublishError::Held(why) => write!(f, "{why}"),
            PublishError::Mirror(error) => write!(f, "cannot read the mirror: {error}"),
            PublishError::Stopped => write!(f, "talkmirror stops"),
        }
    }
}

impl Error for PublishError {}

impl From<tokio_postgres::Error> for PublishError {
    fn from(error: tokio_postgres::Error) -> PublishError {
        PublishError::Server(Box::new(error))
    }
}

impl From<SqlError> for PublishError {
    fn from(error: SqlError) -> PublishError {
        PublishError::Mirror(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_the_server_passes_or_needs_a_person_or_is_of_a_row() {
        let classes = |codes: &[&str], class| {
            for code in codes {
                assert_eq!(class_of(&SqlState::from_code(code)), class, "{code}");
            }
        };
        classes(
            &[
                "53100", "25006", "53300", "40001", "40P01", "57P01", "57P02", "57P03", "08006", "55P03",
                "57014", "XX000",
            ],
            Class::Transient,
        );
        classes(&["28P01", "28000", "42501", "42P01", "42703", "3D000", "3F000", "0A000"], Class::Refused);
        classes(
            &["21000", "22021", "22P02", "22008", "23502", "23514", "44000", "54001", "54000", "P0001"],
            Class::OfRows,
        );
    }
}
