//! talkmirror keeps a local SQLite mirror of the talks of one amoCRM (Kommo) account.
//!
//! # The data flow
//!
//! Every fetch takes the same path:
//!
//! ```text
//! SQL, commands, ──> talk_queue ──> worker: prefetch ─> gate ─> GET ─> record (one transaction) ─> close
//! sweep, feeders         ^                                                 │                        │
//!                        └──────── a row that becomes due again is the only way back ───────────────┘
//! ```
//!
//! - [`cli`] parses the command line and prints; [`daemon`] builds the parts and runs them.
//! - [`worker`] is the path: it prefetches due ids, sends requests through the [`gate`] with the client of [`amocrm`],
//!   and hands the results to the writer of [`store`].
//! - [`feed`] finds talks on its own: refreshes, the account's list and events, webhooks, the backfill. It only queues,
//!   and keeps events and the names of [`directory`].
//! - [`policy`] decides when to fetch a talk again, whether it is stale, the next step of its closing, which talk to
//!   refresh and which lane sends next. [`report::health`] decides whether the mirror is healthy. Both are pure functions
//!   of given times.
//! - [`http`] shows the state to programs and people; [`telemetry`] counts, [`report::humanize`] formats times and
//!   numbers, [`language`] has the sentences of the status page and of `status` in each language, [`text`] escapes text
//!   from outside.
//! - [`config`] is checked as a whole before anything starts. [`clock`] reads the time, [`departure`] notes when a request
//!   left, [`files`] reads text files, `number` converts numbers.
//!
//! # Where to look
//!
//! `docs/architecture.md` follows one id through the code, with the file and the function of each hop. In short:
//!
//! - A 429: [`amocrm`] classifies it, `worker::responses` passes it on, [`gate::Gate::answered`] pauses.
//! - Why a talk was not closed: [`policy::stale::stale`], then [`policy::closing::next`]. `talkmirror why ID` shows it.
//! - A new view: `store/views.sql`, and nothing else.
//! - A config key: `config/keys.rs` reads it, `config.example.toml` explains it.
//!
//! Each room names at its top the rooms that it uses. `tests/tidy.rs` holds that: `cli -> daemon -> http, feed -> worker
//! -> report -> store -> sqlite`, with `policy`, `amocrm`, `gate` and plain data below. It also holds which room alone
//! knows a crate, and that only [`clock`] reads the time.
//!
//! # What never happens
//!
//! 1. The server counts more than the configured number of requests in any second, if the transit time varies by less
//!    than 50 ms. In the ten minutes after a 429 this holds whatever the network does.
//! 2. A stored talk is overwritten by an older response, or lost to a bad one.
//! 3. A queued id disappears without being fetched, found gone, or failed with its reason.
//! 4. A talk is closed that a fetch less than 30 s before did not show stale, open and quiet.
//! 5. Something waits forever: every request, statement and stop has a deadline.
//! 6. A secret appears in the journal, an error, the database or the process list.
//! 7. A 404, 403 or 204 changes a row before the API is confirmed to be the mirrored account's.
//! 8. A failure that affects every request costs a talk an attempt.

#![allow(rustdoc::private_intra_doc_links, reason = "the map is for those who change the rooms")]
#![cfg_attr(
    test,
    allow(
        clippy::needless_pass_by_value,
        reason = "values to compare with are written where they are passed"
    ),
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "a test's numbers are its own"
    ),
    allow(clippy::disallowed_methods, reason = "a test's times begin somewhere")
)]

pub mod amocrm;
pub mod cli;
pub mod clock;
mod config;
mod daemon;
pub mod departure;
pub mod directory;
mod feed;
mod files;
pub mod gate;
mod http;
mod language;
#[cfg(test)]
mod mutated;
mod named;
mod number;
pub mod policy;
mod publish;
mod report;
mod sqlite;
pub mod store;
pub mod talk;
mod telemetry;
mod text;
mod worker;
