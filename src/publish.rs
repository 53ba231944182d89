//! Publishes the mirror's changes to a PostgreSQL server, and takes an account over from it.
//!
//! Each committed state reaches the server once, in whole transactions, in the order of the changes. What the server
//! loses is sent again. At most one mirror publishes an account. Nothing waits for the server: no fetch, no commit, no
//! stop. It deletes nothing there but rows of small tables that are published whole, and only `publish init` changes its
//! schema.
//!
//! Uses `clock`, `files`, `number`, `store`, `telemetry`, `text`. Alone knows `tokio_postgres`.

mod address;
mod adopt;
mod batch_limit;
mod claim;
mod connection;
#[cfg(feature = "demo")]
pub(crate) mod demo;
mod error;
mod hold;
mod publisher;
mod pull;
mod reporter;
mod rows;
mod rules;
pub(crate) mod schema;
mod server_state;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod turn;
mod whole;

pub(crate) use address::ServerAddress;
pub(crate) use adopt::{Adopted, adopt};
pub(crate) use connection::Server;
pub(crate) use hold::Hold;
pub(crate) use publisher::{Publisher, switch_off};
pub(crate) use rules::PublishRules;
pub(crate) use server_state::{ServerState, init, state};

/// Begins a transaction that may take so long. If this end dies or gives up, the server ends it by itself: nobody waits for
/// a lock of ours.
fn begin(timeout: std::time::Duration) -> String {
    format!(
        "BEGIN; SET LOCAL statement_timeout = '{}ms'; SET LOCAL lock_timeout = '5s'; \
         SET LOCAL idle_in_transaction_session_timeout = '30s'",
        timeout.as_millis()
    )
}
