//! talkmirror keeps a local SQLite mirror of the talks of one amoCRM (Kommo) account.
//!
//! # The road
//!
//! Everything that is ever fetched goes one way:
//!
//! ```text
//! SQL, commands, ──> talk_queue ──> worker: read ahead ─> gate ─> GET ─> record (one transaction) ─> close
//! sweep, feeders         ^                                                    │                        │
//!                        └──────────── a row that is due again is the only way back ───────────────────┘
//! ```
//!
//! - [`cli`] says what was asked and prints; [`daemon`] builds the parts and keeps them going.
//! - [`worker`] is the road: it reads due ids ahead, fetches them through the [`gate`] with the
//!   client of [`amocrm`], and hands what came to the writer of [`store`].
//! - [`feed`] finds talks by itself: refreshes, the account's list and events, hooks, the backfill. It
//!   only queues.
//! - [`policy`] decides when a talk is looked at again, whether it is stale, what of its closing comes
//!   next, which talk to refresh and whose turn it is to send, [`report::health`] whether the mirror is well:
//!   pure functions over given times.
//! - [`http`] shows how it goes, to programs and people; [`telemetry`] counts, [`report::humanize`] says it in words, [`text`]
//!   escapes what others wrote.
//! - [`config`] is checked whole before anything begins. [`clock`] is where time is read, [`departure`] when a request
//!   left, [`files`] how text files are.
//!
//! `cli -> daemon -> http, feed -> worker -> policy, amocrm, store, gate -> talk, departure`. `amocrm` and `store` don't know
//! each other; only `store` knows rusqlite, only `amocrm` knows reqwest, only `cli` knows clap, only
//! `config` knows the `config` crate.
//!
//! # What never happens
//!
//! 1. The server counts more than the configured number of requests in any second, as long as the time of the way to it
//!    varies by less than 50 ms. In the ten minutes after a 429 this holds whatever the network does.
//! 2. A stored talk is overwritten by an older answer, or lost to a bad one.
//! 3. An id put in the queue disappears without being fetched, found gone, or failed with its reason.
//! 4. A talk is closed that a fetch less than 30 s before did not show stale, open and quiet.
//! 5. Something waits forever: every request, statement and stop has a deadline.
//! 6. A secret in a log, an error, the database or the process list.
//! 7. A 404, 403 or 204 changes a row before it is known that the mirror's own account answers.
//! 8. What everybody is answered, or nobody, costs a talk an attempt.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod amocrm;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod departure;
pub mod feed;
pub mod files;
pub mod gate;
pub mod http;
#[cfg(test)]
mod mutated;
pub mod policy;
pub mod report;
pub mod sqlite;
pub mod store;
pub mod talk;
pub mod telemetry;
pub mod text;
pub mod worker;
